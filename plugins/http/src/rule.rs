//! The words of `expect:` and `warn:`, read into rules.

use std::ops::RangeInclusive;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use vedette_sdk::{ConfigIssue, Failure};

/// A rule, and whether breaking it fails or degrades.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) rule: Rule,
    pub(crate) soft: bool,
}

/// One thing that is expected of an answer.
#[derive(Debug)]
pub(crate) enum Rule {
    /// The code is in one of the ranges; the text is what the operator wrote.
    Status(Vec<RangeInclusive<u16>>, String),
    /// The text is in the body.
    BodyContains(String),
    /// The pattern is found in the body.
    BodyMatches(Regex),
    /// The pattern is found in a value of the field.
    Header(String, Regex),
    /// All that the path finds, and it finds something, equals the value.
    Json(String, JsonPath, Value),
    /// At most so many nanoseconds.
    Latency(u64),
    /// Every certificate is valid for so many nanoseconds more.
    CertificateValidFor(u64),
}

impl Rule {
    /// The word of the configuration.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Status(..) => "status",
            Self::BodyContains(_) => "body_contains",
            Self::BodyMatches(_) => "body_matches",
            Self::Header(..) => "header",
            Self::Json(..) => "json",
            Self::Latency(_) => "latency",
            Self::CertificateValidFor(_) => "certificate_valid_for",
        }
    }
}

impl Expected {
    /// Whether the body has to be handed over.
    pub(crate) fn looks_at_body(&self) -> bool {
        matches!(self.rule, Rule::BodyContains(_) | Rule::BodyMatches(_) | Rule::Json(..))
    }
}

/// All rules, in the order of the configuration, the hard ones first. Without the word `status` any 2xx is expected.
pub(crate) fn all(expect: &Map<String, Value>, warn: &Map<String, Value>) -> Result<Vec<Expected>, Failure> {
    let mut reading = Reading { rules: Vec::new(), issues: Vec::new(), soft: false };
    if !expect.contains_key("status") {
        reading.found(Rule::Status(vec![200..=299], "2xx".to_owned()));
    }
    reading.words(expect, "/expect");
    reading.soft = true;
    reading.words(warn, "/warn");
    if reading.issues.is_empty() { Ok(reading.rules) } else { Err(Failure::InvalidConfig(reading.issues)) }
}

struct Reading {
    rules: Vec<Expected>,
    issues: Vec<ConfigIssue>,
    soft: bool,
}

impl Reading {
    fn found(&mut self, rule: Rule) {
        self.rules.push(Expected { rule, soft: self.soft });
    }

    fn issue(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.issues.push(ConfigIssue { pointer: pointer.into(), message: message.into() });
    }

    fn words(&mut self, words: &Map<String, Value>, place: &str) {
        for (word, value) in words {
            let place = format!("{place}/{word}");
            match word.as_str() {
                "status" => self.status(value, &place),
                "body_contains" => self.each_text(value, &place, |_, text| Ok(Rule::BodyContains(text.to_owned()))),
                "body_matches" => self.each_text(value, &place, |_, text| regex(text).map(Rule::BodyMatches)),
                "header" => self.each_member(value, &place, |name, value| {
                    let pattern = value.as_str().ok_or("a pattern is expected")?;
                    Ok(Rule::Header(name.to_owned(), regex(pattern)?))
                }),
                "json" => self.each_member(value, &place, |path, value| {
                    let parsed = JsonPath::parse(path).map_err(|error| error.to_string())?;
                    Ok(Rule::Json(path.to_owned(), parsed, value.clone()))
                }),
                "latency" => self.length(value, &place, Rule::Latency),
                "certificate_valid_for" => self.length(value, &place, Rule::CertificateValidFor),
                _ => self.issue(place, "no such word"),
            }
        }
    }

    fn status(&mut self, value: &Value, place: &str) {
        let (mut ranges, mut words) = (Vec::new(), Vec::new());
        for (index, item) in items(value).iter().enumerate() {
            let word = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            match range(&word) {
                Some(range) => ranges.push(range),
                None => return self.issue(format!("{place}/{index}"), format!("`{word}` is no status: write 200, 2xx or 300-304")),
            }
            words.push(word);
        }
        if ranges.is_empty() {
            return self.issue(place, "at least one status is expected");
        }
        self.found(Rule::Status(ranges, words.join(" or ")));
    }

    fn each_text(&mut self, value: &Value, place: &str, rule: impl Fn(usize, &str) -> Result<Rule, String>) {
        for (index, item) in items(value).iter().enumerate() {
            match item.as_str().ok_or_else(|| "a text is expected".to_owned()).and_then(|text| rule(index, text)) {
                Ok(rule) => self.found(rule),
                Err(message) if value.is_array() => self.issue(format!("{place}/{index}"), message),
                Err(message) => self.issue(place, message),
            }
        }
    }

    fn each_member(&mut self, value: &Value, place: &str, rule: impl Fn(&str, &Value) -> Result<Rule, String>) {
        let Some(members) = value.as_object() else { return self.issue(place, "names and values are expected") };
        for (name, value) in members {
            match rule(name, value) {
                Ok(rule) => self.found(rule),
                Err(message) => self.issue(format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), message),
            }
        }
    }

    fn length(&mut self, value: &Value, place: &str, rule: fn(u64) -> Rule) {
        match value.as_u64() {
            Some(nanoseconds) => self.found(rule(nanoseconds)),
            None => self.issue(place, "a length of time is expected"),
        }
    }
}

/// A value that may stand for a list of one.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// Groups within groups are limited to what the guest's stack holds, and the whole to what an attempt's CPU time allows
/// for; the agent has held it to the same when it read the file.
fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).nest_limit(150).size_limit(2 << 20).build().map_err(|error| error.to_string())
}

/// `200`, `2xx` or `300-304`.
fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let code = |text: &str| text.parse::<u16>().ok().filter(|code| text.len() == 3 && (100..600).contains(code));
    if let Some(class) = word.strip_suffix("xx") {
        let first = code(&format!("{class}00"))?;
        return Some(first..=first + 99);
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let range = code(first)?..=code(last)?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expect: &str, warn: &str) -> Result<Vec<Expected>, Failure> {
        all(&serde_json::from_str(expect).unwrap(), &serde_json::from_str(warn).unwrap())
    }

    fn pointers(expect: &str) -> Vec<String> {
        match read(expect, "{}") {
            Err(Failure::InvalidConfig(issues)) => issues.into_iter().map(|issue| issue.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_word_any_2xx_is_expected() {
        let rules = read("{}", "{}").unwrap();
        assert!(
            matches!(&rules[..], [Expected { rule: Rule::Status(ranges, text), soft: false }] if ranges == &[200..=299] && text == "2xx")
        );
    }

    #[test]
    fn a_soft_status_does_not_take_the_place_of_the_hard_one() {
        let softs: Vec<_> = read("{}", r#"{"status": 200}"#).unwrap().iter().map(|expected| expected.soft).collect();
        assert_eq!(softs, [false, true]);
    }

    #[test]
    fn a_status_is_a_code_a_class_or_a_range() {
        assert_eq!(range("204"), Some(204..=204));
        assert_eq!(range("5xx"), Some(500..=599));
        assert_eq!(range("300-304"), Some(300..=304));
        for wrong in ["", "99", "600", "0xx", "6xx", "20", "2x", "304-300", "200-", "+20", "2000", "20xx"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_and_maps_make_a_rule_for_each_member_in_the_order_of_the_file() {
        let text = r#"{"latency": 5, "json": {"$.b": 1, "$.a": 2}, "status": [200, "3xx"], "body_contains": ["x", "y"]}"#;
        let words: Vec<_> = read(text, "{}").unwrap().iter().map(|expected| expected.rule.word()).collect();
        assert_eq!(words, ["latency", "json", "json", "status", "body_contains", "body_contains"]);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text =
            r#"{"status": [200, "304-300"], "body_matches": "(", "header": {"a/b": "["}, "json": {"$[": 1}, "latency": -1, "nope": 1}"#;
        assert_eq!(
            pointers(text),
            ["/expect/status/1", "/expect/body_matches", "/expect/header/a~1b", "/expect/json/$[", "/expect/latency", "/expect/nope"]
        );
        assert_eq!(pointers(r#"{"body_contains": ["x", 1]}"#), ["/expect/body_contains/1"]);
    }

    #[test]
    fn only_the_words_about_the_body_look_at_it() {
        let looks = |text| read(text, "{}").unwrap().iter().any(Expected::looks_at_body);
        assert!(!looks(r#"{"status": 200, "header": {"a": "b"}, "latency": 1, "certificate_valid_for": 1}"#));
        for text in [r#"{"body_contains": "x"}"#, r#"{"body_matches": "x"}"#, r#"{"json": {"$": 1}}"#] {
            assert!(looks(text), "{text}");
        }
    }
}
