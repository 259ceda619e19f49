//! Words for people, and searching.

use crate::Timestamp;

const SECOND: u64 = 1_000_000_000;

/// How long something took: `0.4 ms`, `12.4 ms`, `1.25 s`, `75 s`; what is shorter than a tenth of a millisecond has more
/// digits, because nothing takes no time.
pub fn latency(nanoseconds: u64) -> String {
    let (value, digits, unit) = match nanoseconds {
        0..1_000 => (nanoseconds as f64 / 1e6, 6, "ms"),
        1_000..100_000 => (nanoseconds as f64 / 1e6, 3, "ms"),
        100_000..SECOND => (nanoseconds as f64 / 1e6, 1, "ms"),
        _ => (nanoseconds as f64 / 1e9, 2, "s"),
    };
    trimmed(value, digits, unit)
}

/// A length of time to the last digit: `0.001 ms`, `12.45 ms`, `1.255 s`.
pub fn exact(nanoseconds: u64) -> String {
    let (value, digits, unit) = match nanoseconds {
        0..SECOND => (nanoseconds as f64 / 1e6, 6, "ms"),
        _ => (nanoseconds as f64 / 1e9, 9, "s"),
    };
    trimmed(value, digits, unit)
}

/// Without zeros at the end.
fn trimmed(value: f64, digits: usize, unit: &str) -> String {
    let number = format!("{value:.digits$}");
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// A length of calendar time, in its largest unit and rounded down: `3 days`, `1 hour`, `40 minutes`, `12 seconds`.
pub fn span(nanoseconds: u64) -> String {
    let seconds = nanoseconds / SECOND;
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// When something was or will be, seen from `now`: `3 days ago`, `in 2 hours`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    if at <= now { format!("{} ago", span(now - at)) } else { format!("in {}", span(at - now)) }
}

/// Whether `needle` stands anywhere in `haystack`.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// A foreign text in quotes on one line, control characters escaped, cut after `most` characters.
pub fn quoted(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_carry_the_digits_that_matter() {
        let told = [0, 12_400_000, 10_000_000, 999_000_000, SECOND, 1_250_000_000, 75 * SECOND].map(latency);
        assert_eq!(told, ["0 ms", "12.4 ms", "10 ms", "999 ms", "1 s", "1.25 s", "75 s"]);
        assert_eq!(
            [1, 1_000, 12_345, 99_999, 100_000, 449_999].map(latency),
            ["0.000001 ms", "0.001 ms", "0.012 ms", "0.1 ms", "0.1 ms", "0.4 ms"]
        );
    }

    #[test]
    fn exact_lengths_keep_every_digit() {
        let told = [0, 1, 1_000, 12_450_000, 300_000_000, SECOND, 1_255_000_001].map(exact);
        assert_eq!(told, ["0 ms", "0.000001 ms", "0.001 ms", "12.45 ms", "300 ms", "1 s", "1.255000001 s"]);
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = [0, 1, 61, 3600, 86_399, 3 * 86_400].map(|seconds| span(seconds * SECOND));
        assert_eq!(told, ["0 seconds", "1 second", "1 minute", "1 hour", "23 hours", "3 days"]);
    }

    #[test]
    fn quoted_text_is_one_line_and_cut_between_characters() {
        assert_eq!(quoted("a\nb", 9), r#""a\nb""#);
        assert_eq!(quoted("äöü", 2), "\"äö\"…");
    }
}
