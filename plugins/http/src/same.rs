//! Equality of JSON values: same type, 1 = 1.0, no digit lost, objects without order.

use serde_json::{Number, Value};

/// Whether both say the same.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Decimal::of(left) == Decimal::of(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// A number as its text says it: digits without zeroes around them, times a power of ten. A float would lose digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    /// Text where it does not fit: numbers of that kind are equal if they are written alike.
    exponent: Result<i64, String>,
}

impl Decimal {
    fn of(number: &Number) -> Self {
        let text = number.to_string();
        let (negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let digits = significant.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: Ok(0) };
        }
        let (dropped, behind) = (all.len() - significant.len(), fraction.len());
        let exponent = exponent.parse::<i64>().ok();
        let exponent = exponent.and_then(|exponent| exponent.checked_add_unsigned(dropped as u64)?.checked_sub_unsigned(behind as u64));
        Self { negative, digits, exponent: exponent.ok_or_else(|| text.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(left: &str, right: &str) -> bool {
        let [left, right] = [left, right].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(same(&left, &right), same(&right, &left), "{left} and {right}");
        same(&left, &right)
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        for (left, right) in
            [("1", "1.0"), ("1", "1e0"), ("100", "1E+2"), ("0.05", "5e-2"), ("-0", "0"), ("0e9", "0.00"), ("12.50", "12.5")]
        {
            assert!(equal(left, right), "{left} and {right}");
        }
    }

    #[test]
    fn no_digit_is_lost() {
        assert!(!equal("9007199254740993", "9007199254740992"));
        assert!(!equal("0.1", "0.10000000000000000001"));
        assert!(!equal("1", "-1"));
        assert!(!equal("1", "10"));
        assert!(!equal("1e999999999999999999999", "1e999999999999999999998"));
        assert!(equal("1e400", "10e399"));
    }

    #[test]
    fn types_are_not_converted() {
        for (left, right) in [("1", "\"1\""), ("null", "0"), ("false", "null"), ("[]", "{}"), ("[1]", "1")] {
            assert!(!equal(left, right), "{left} and {right}");
        }
    }

    #[test]
    fn objects_have_no_order_and_arrays_do() {
        assert!(equal(r#"{"a": 1, "b": [1.0, {"c": null}]}"#, r#"{"b": [1, {"c": null}], "a": 1.00}"#));
        assert!(!equal("[1, 2]", "[2, 1]"));
        assert!(!equal(r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#));
        assert!(!equal(r#"{"a": 1}"#, r#"{"b": 1}"#));
    }
}
