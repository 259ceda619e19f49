//! What an unquoted scalar is: the core schema of YAML 1.2. Numbers keep all their digits.

use std::str::FromStr;

use serde_json::Number;

use super::tree::Value;

/// Nothing, a flag, a number, or else text.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        _ => number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let (sign, rest) = text.strip_prefix('-').map_or_else(|| ("", text.strip_prefix('+').unwrap_or(text)), |rest| ("-", rest));
    let (mantissa, exponent) = rest.find(['e', 'E']).map_or((rest, ""), |at| rest.split_at(at));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    // JSON knows neither `007` nor `.5` nor `1.`.
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Number::from_str(&format!("{sign}{whole}{point}{fraction}{exponent}")).ok()
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let unsigned = digits.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    unsigned.then(|| u128::from_str_radix(digits, radix).ok())?.and_then(|number| Number::from_str(&number.to_string()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unquoted_scalar_is_what_yaml_1_2_says() {
        for (text, expected) in [
            ("42", "42"),
            ("-007", "-7"),
            ("+1", "1"),
            (".5", "0.5"),
            ("1.", "1"),
            ("1.10", "1.10"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("99999999999999999999999", "99999999999999999999999"),
            ("1e3", "1e+3"),
            ("0", "0"),
        ] {
            let Value::Number(number) = resolve(text) else { panic!("{text} is no number") };
            assert_eq!(number.to_string().replace("e3", "e+3"), expected, "{text}");
        }
        for text in ["yes", "off", "1_000", "1.2.3", "v1", "0x", "0x+1", "-", ".", "e5", "1e", "30s", ".inf", "12:30"] {
            assert!(matches!(resolve(text), Value::Text(same) if same == text), "{text}");
        }
        assert!(matches!(resolve("~"), Value::Null) && matches!(resolve("True"), Value::Flag(true)));
    }
}
