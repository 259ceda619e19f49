//! `Retry-After`: seconds, or a date of HTTP (RFC 9110, 5.6.7) in any of its three forms.

use std::time::Duration;

use vedette_sdk::http::Response;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long the target asked to be left alone. A date counts from the answer's own `date`, so that neither clock has to be
/// right, and from ours where there is none; one in the past says nothing.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.field("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = parse(text)?;
    let ours = response.timings.started_at.saturating_add(response.timings.total) / 1_000_000_000;
    let now = response.field("date").and_then(parse).unwrap_or(ours);
    at.checked_sub(now).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Seconds since 1970: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split([' ', ',', '-']).filter(|part| !part.is_empty()).collect();
    let ([_, day, month, year, time, "GMT"] | [_, month, day, time, year]) = parts[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = match (year.len(), number(year)?) {
        (4, year) => year,
        (2, year @ 0..70) => 2000 + year,
        (2, year) => 1900 + year,
        _ => return None,
    };
    let (day, clock) = (number(day).filter(|day| (1..=31).contains(day))?, time.split(':').map(number).collect::<Option<Vec<_>>>()?);
    let [hours @ 0..24, minutes @ 0..60, seconds @ 0..=60] = clock[..] else { return None };
    days(year, month, day).map(|days| days * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

/// Digits only: `u64::from_str` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; years are counted from March, so that leap days come last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + (month * 153 + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::response;

    fn asked(fields: &[(&str, &str)]) -> Option<u64> {
        retry_after(&response(503, fields, "")).map(|length| length.as_secs())
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text), Some(784_111_777), "{text}");
        }
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "soon", "Sun, 06 Nov 1994 25:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "a b c d e f g"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(asked(&[("retry-after", " 120 ")]), Some(120));
        assert_eq!(asked(&[("retry-after", "-1")]), None);
        assert_eq!(asked(&[("retry-after", "99999999999999999999999")]), Some(u64::MAX));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn a_date_counts_from_the_answers_own_date() {
        let fields = [("date", "Sun, 06 Nov 1994 08:49:30 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(asked(&fields), Some(7));
        let past = [("date", "Sun, 06 Nov 1994 08:50:00 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(asked(&past), None);
    }

    #[test]
    fn without_one_it_counts_from_our_clock() {
        assert_eq!(asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None, "the test's clock stands in 2024");
        assert_eq!(asked(&[("retry-after", "Mon, 01 Jan 2024 00:00:09 GMT")]), Some(9));
    }
}
