//! How numbers and moments are said to people: three digits, a unit, relative with the absolute beside it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use askama::filters::HtmlSafe;

use crate::clock::Timestamp;
use crate::outcome::{RunResult, State};

/// Text that is HTML already: made by this module's neighbours from numbers and from escaped text only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Markup(pub(super) String);

impl HtmlSafe for Markup {}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number with three digits: `0.412`, `4.12`, `41.2`, `412`.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// A whole number with its thousands apart: `12 345`, the space being one that does not break.
pub(super) fn count(value: u64) -> String {
    let text = value.to_string();
    let mut said = String::with_capacity(text.len() + 4);
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            said.push('\u{202f}');
        }
        said.push(digit);
    }
    said
}

/// A measured length: `41.2 ms`, `2.00 s`, `4 min 12 s`.
pub(super) fn length(length: Duration) -> String {
    seconds(length.as_secs_f64())
}

/// The same of seconds.
pub(super) fn seconds(seconds: f64) -> String {
    let (value, unit) = seconds_parts(seconds);
    format!("{value}\u{a0}{unit}")
}

/// The same, number and unit apart.
pub(super) fn seconds_parts(seconds: f64) -> (String, &'static str) {
    match seconds {
        _ if seconds < 0.000_999_5 => (digits(seconds * 1e6), "µs"),
        _ if seconds < 0.999_5 => (digits(seconds * 1e3), "ms"),
        _ if seconds < 120.0 => (digits(seconds), "s"),
        _ => (digits(seconds / 60.0), "min"),
    }
}

/// A rough length: `12 s`, `4 min`, `3 h`, `12 d`. What the page's script says, too.
pub(super) fn rough(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..90 => format!("{seconds}\u{a0}s"),
        90..5_400 => format!("{}\u{a0}min", seconds / 60),
        5_400..172_800 => format!("{}\u{a0}h", seconds / 3_600),
        _ => format!("{}\u{a0}d", seconds / 86_400),
    }
}

/// The length of a window as it is usually called: a day is `24h`.
pub(super) fn window(length: Duration) -> String {
    if length == Duration::from_hours(24) { "24h".to_owned() } else { crate::config::quantity::show_duration(length) }
}

/// A share of good ones. Never rounded up: what is not perfect does not look so.
pub(super) fn share(good: u64, valid: u64) -> Option<String> {
    if valid == 0 {
        return None;
    }
    if good >= valid {
        return Some("100\u{a0}%".to_owned());
    }
    let exact = good as f64 / valid as f64 * 100.0;
    Some(match exact {
        _ if exact >= 99.99 => format!("{:.3}\u{a0}%", (exact * 1e3).floor() / 1e3),
        _ if exact >= 10.0 => format!("{:.1$}\u{a0}%", (exact * 100.0).floor() / 100.0, if exact >= 99.0 { 2 } else { 1 }),
        _ => format!("{exact:.2}\u{a0}%"),
    })
}

/// Bytes in binary units: `0 B`, `1.25 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes}\u{a0}B") } else { format!("{}\u{a0}{unit}", digits(value)) };
        }
        value /= 1024.0;
    }
    format!("{}\u{a0}TiB", digits(value))
}

/// `2026-01-02 03:04:05 UTC`.
pub(super) fn utc(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {} UTC", time.split('.').next().unwrap_or(time)),
        None => text,
    }
}

/// A moment, relative to now: `3 min ago`, `in 12 s`. The absolute one stands in its title; the script adds the local one.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let text = if at > now { format!("in {}", rough(at.since(now))) } else { ago(now.since(at)) };
    time(at, "at", &text)
}

/// When something is due; what is overdue is `now`.
pub(super) fn due(at: Timestamp, now: Timestamp) -> Markup {
    let text = if at > now { format!("in {}", rough(at.since(now))) } else { "now".to_owned() };
    time(at, "due", &text)
}

/// How long something has lasted: `12 min`.
pub(super) fn lasting(since: Timestamp, now: Timestamp) -> Markup {
    time(since, "for", &rough(now.since(since)))
}

fn ago(length: Duration) -> String {
    if length < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", rough(length)) }
}

fn time(at: Timestamp, kind: &str, text: &str) -> Markup {
    let mut markup = String::with_capacity(128);
    // Only digits and our own words: nothing here needs escaping.
    let _ = write!(markup, "<time datetime=\"{at}\" data-{kind} title=\"{}\">{text}</time>", utc(at));
    Markup(markup)
}

/// A text as one segment of a URL's path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The state as a word that begins a line.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Up => "Up",
        State::Degraded => "Degraded",
        State::Down => "Down",
        State::Flapping => "Flapping",
        State::Unknown => "Unknown",
        State::Maintenance => "Maintenance",
    }
}

/// The glyph of a state where there is no drawing, as in a title.
pub(super) fn glyph(state: State) -> &'static str {
    match state {
        State::Up => "✓",
        State::Degraded => "▲",
        State::Down => "●",
        State::Flapping => "◆",
        State::Unknown => "?",
        State::Maintenance => "‖",
    }
}

/// The class of a result in style sheet and drawings.
pub(super) fn class(result: RunResult, warned: bool) -> &'static str {
    match result {
        RunResult::Success if warned => "warned",
        result => result.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let said = [0.000_000_4, 0.000_412, 0.004_12, 0.041_2, 0.412, 2.0, 59.94, 150.0].map(seconds);
        assert_eq!(
            said.map(|text| text.replace('\u{a0}', " ")),
            ["0.40 µs", "412 µs", "4.12 ms", "41.2 ms", "412 ms", "2.00 s", "59.9 s", "2.50 min"]
        );
        assert_eq!(bytes(512), "512\u{a0}B");
        assert_eq!(bytes(1_310_720), "1.25\u{a0}MiB");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_share_is_never_rounded_up_to_perfect() {
        let say = |good, valid| share(good, valid).map(|text| text.replace('\u{a0}', " "));
        assert_eq!(say(10, 10).as_deref(), Some("100 %"));
        assert_eq!(say(99_999, 100_000).as_deref(), Some("99.999 %"));
        assert_eq!(say(9_999_999, 10_000_000).as_deref(), Some("99.999 %"));
        assert_eq!(say(1_439, 1_440).as_deref(), Some("99.93 %"));
        assert_eq!(say(1, 2).as_deref(), Some("50.0 %"));
        assert_eq!(say(0, 2).as_deref(), Some("0.00 %"));
        assert_eq!(say(0, 0), None);
    }

    #[test]
    fn a_moment_is_relative_with_the_absolute_one_beside_it() {
        let now = Timestamp(1_767_323_045_678_900_000);
        let text = moment(Timestamp(now.0 - 200_000_000_000), now).0;
        assert!(text.contains(">3\u{a0}min ago<") && text.contains("title=\"2026-01-02 03:00:45 UTC\""), "{text}");
        assert!(moment(now.after(Duration::from_secs(9)), now).0.contains(">in 9\u{a0}s<"));
        assert!(due(now, now).0.contains(">now<"));
    }

    #[test]
    fn a_segment_of_a_path_holds_any_name() {
        assert_eq!(segment("a/b c?\"<ö"), "a%2Fb%20c%3F%22%3C%C3%B6");
    }
}
