//! Lengths of time and sizes as they are written: a decimal number and its unit, never a bare number.

use std::time::Duration;

/// Units of time in nanoseconds, longest first.
const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size in bytes, largest first: binary ones (IEC 80000-13) and decimal ones.
const SIZES: &[(&str, u64)] =
    &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// `2`
    #[error("`{0}` carries no unit; write for example `{0}{1}`")]
    NoUnit(String, String),
    /// `2 parsecs`
    #[error("`{0}` is no unit; known are {1}")]
    UnknownUnit(String, String),
    /// `-2s`, `fast`
    #[error("`{0}` is not a number with a unit, such as `{1}`")]
    NotANumber(String, &'static str),
    /// More than 64 bits hold, or finer than the smallest unit.
    #[error("`{0}` is too large or too fine")]
    OutOfRange(String),
}

/// `30s`, `250ms`, `1.5h`. Exact to the nanosecond.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    parse(text, TIMES, "s", "30s").map(Duration::from_nanos)
}

/// `64MiB`, `10kB`, in bytes.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    parse(text, SIZES, "MiB", "64MiB")
}

/// A length of time as people write it, and exact: in the largest unit that holds it without a fraction, but from a second
/// on not in a smaller one (`4.1s`), nor in a smaller one than milliseconds from there on (`1.5ms`).
pub fn show_duration(length: Duration) -> String {
    let nanos = crate::clock::nanos(length);
    for (unit, factor) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos > factor && !nanos.is_multiple_of(factor) {
            let fraction = format!("{:0width$}", nanos % factor, width = (factor - 1).to_string().len());
            return format!("{}.{}{unit}", nanos / factor, fraction.trim_end_matches('0'));
        }
        if nanos >= factor {
            break;
        }
    }
    show(nanos, TIMES, "0s")
}

/// A size in the largest unit that holds it without a fraction.
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZES, "0B")
}

fn parse(text: &str, units: &[(&str, u64)], usual: &'static str, example: &'static str) -> Result<u64, QuantityError> {
    let trimmed = text.trim();
    let end = trimmed.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(QuantityError::NotANumber(text.to_owned(), example));
    }
    if unit.is_empty() {
        return Err(QuantityError::NoUnit(trimmed.to_owned(), usual.to_owned()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(QuantityError::UnknownUnit(unit.to_owned(), known.join(", ")));
    };
    exact(whole, fraction.trim_end_matches('0'), *factor).ok_or_else(|| QuantityError::OutOfRange(text.to_owned()))
}

/// `whole.fraction` × `factor`, if that is a whole number of at most 64 bits.
fn exact(whole: &str, fraction: &str, factor: u64) -> Option<u64> {
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
    let part = part.is_multiple_of(scale).then(|| u64::try_from(part / scale).ok())??;
    whole.checked_add(part)
}

fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    let unit = units.iter().find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor));
    unit.map_or_else(|| zero.to_owned(), |(name, factor)| format!("{}{name}", amount / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit_is_a_length_of_time() {
        for (text, millis) in
            [("30s", 30_000), ("250ms", 250), ("0.5s", 500), ("1.50h", 5_400_000), ("2 m", 120_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_what_to_write() {
        assert_eq!(duration("2").unwrap_err().to_string(), "`2` carries no unit; write for example `2s`");
        assert_eq!(size("64").unwrap_err().to_string(), "`64` carries no unit; write for example `64MiB`");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        assert!(duration("30 parsecs").unwrap_err().to_string().contains("`parsecs` is no unit"));
        for text in ["-2s", "", "s", ".5s", "1.s", "1.2.3s", "fast"] {
            assert!(matches!(duration(text), Err(QuantityError::NotANumber(..))), "{text:?}");
        }
        for text in ["99999999999999999999s", "0.1ns", "600000d"] {
            assert!(matches!(duration(text), Err(QuantityError::OutOfRange(_))), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal_as_written() {
        assert_eq!((size("64MiB"), size("10kB"), size("1.5KiB")), (Ok(64 << 20), Ok(10_000), Ok(1536)));
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for millis in [0, 1, 250, 1_000, 1_500, 90_000, 3_600_000, 86_400_000, 86_400_001] {
            let length = Duration::from_millis(millis);
            assert_eq!(duration(&show_duration(length)), Ok(length));
        }
        for (nanos, shown) in [
            (1, "1ns"),
            (1_000, "1us"),
            (1_050, "1.05us"),
            (1_500_000, "1.5ms"),
            (250_000_000, "250ms"),
            (4_100_000_000, "4.1s"),
            (61_000_000_001, "61.000000001s"),
            (90_000_000_000, "90s"),
            (120_000_000_000, "2m"),
        ] {
            let length = Duration::from_nanos(nanos);
            assert_eq!((show_duration(length).as_str(), duration(shown)), (shown, Ok(length)));
        }
        assert_eq!(
            (show_duration(Duration::from_secs(30)), show_duration(Duration::from_hours(720))),
            ("30s".to_owned(), "30d".to_owned())
        );
        assert_eq!((show_size(64 << 20), show_size(0), size(&show_size(1_000_001))), ("64MiB".to_owned(), "0B".to_owned(), Ok(1_000_001)));
    }
}
