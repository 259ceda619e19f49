//! A document as YAML that reads back as the same document.
//!
//! Numbers go out as they came in, with all their digits, and what might be taken for something else is quoted.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::visible::is_hidden;
use super::{scalar, substitute, tree};

/// A document as YAML.
pub fn yaml(effective: &Json) -> String {
    let mut out = String::new();
    match effective {
        Json::Object(entries) if !entries.is_empty() => mapping(entries, 0, &mut out),
        other => {
            flow(other, &mut out);
            out.push('\n');
        }
    }
    out
}

/// The entries of a mapping, the first of them where the cursor stands.
fn mapping(entries: &Map<String, Json>, indent: usize, out: &mut String) {
    for (number, (key, value)) in entries.iter().enumerate() {
        if number > 0 {
            pad(indent, out);
        }
        text(key, false, out);
        out.push(':');
        match value {
            Json::Object(entries) if !entries.is_empty() => {
                out.push('\n');
                pad(indent + 2, out);
                mapping(entries, indent + 2, out);
            }
            Json::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => list(items, indent + 2, out),
            other => {
                out.push(' ');
                flow(other, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Json], indent: usize, out: &mut String) {
    out.push('\n');
    for item in items {
        pad(indent, out);
        out.push_str("- ");
        match item {
            Json::Object(entries) if !entries.is_empty() => mapping(entries, indent + 2, out),
            other => {
                flow(other, out);
                out.push('\n');
            }
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A value on one line.
fn flow(value: &Json, out: &mut String) {
    match value {
        Json::String(value) => text(value, true, out),
        Json::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Json::Object(entries) => {
            out.push('{');
            for (number, (key, value)) in entries.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                text(key, false, out);
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// A text, quoted unless every reader of YAML takes it for that very text. Nothing is substituted in keys.
fn text(text: &str, substituted: bool, out: &mut String) {
    let text = if substituted { substitute::escape(text) } else { text.to_owned() };
    if is_plain(&text) {
        out.push_str(&text);
        return;
    }
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            char if char > '\u{ffff}' && is_hidden(char) => drop(write!(out, "\\U{:08X}", char as u32)),
            '\u{fffe}' | '\u{ffff}' => drop(write!(out, "\\u{:04X}", char as u32)),
            char if is_hidden(char) => drop(write!(out, "\\u{:04X}", char as u32)),
            char => out.push(char),
        }
    }
    out.push('"');
}

/// Words that YAML 1.1 takes for flags and nothing.
const TAKEN: [&str; 8] = ["yes", "no", "on", "off", "y", "n", "true", "false"];

fn is_plain(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|char| char.is_ascii_alphabetic() || char == '/');
    let rest = text.chars().all(|char| char.is_ascii_alphanumeric() || "-_./".contains(char)) || quantity_like(text) || is_url(text);
    (first || quantity_like(text))
        && rest
        && matches!(scalar::resolve(text), tree::Value::Text(_))
        && !TAKEN.contains(&text.to_lowercase().as_str())
}

/// `30s`, `64MiB`, `99.9%`
fn quantity_like(text: &str) -> bool {
    let unit = text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    unit.len() < text.len() && (1..=3).contains(&unit.len()) && unit.chars().all(|char| char.is_ascii_alphabetic() || char == '%')
}

/// One with nothing that means something in YAML.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let safe = |char: char| char.is_ascii_alphanumeric() || "-_./".contains(char);
        let (host, port) = rest.split_once(':').unwrap_or((rest, "0"));
        host.chars().all(safe) && port.starts_with(|char: char| char.is_ascii_digit()) && port.chars().all(safe)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_plain_stays_so_and_the_rest_is_quoted() {
        let document = json!({"checks": [{"name": "api", "target": "http://127.0.0.1:9/x", "every": "30s", "with": {},
            "expect": {"status": [200, "2xx"], "$.a b": "off"}}], "slo": "99.9%"});
        let expected = "checks:\n  - name: api\n    target: http://127.0.0.1:9/x\n    every: 30s\n    with: {}\n    expect:\n      \
                        status: [200, 2xx]\n      \"$.a b\": \"off\"\nslo: 99.9%\n";
        assert_eq!(yaml(&document), expected);
    }

    #[test]
    fn what_may_be_taken_for_something_else_is_quoted() {
        for text in [
            "",
            "yes",
            "No",
            "42",
            "1e3",
            "0x1F",
            "~",
            "a: b",
            "a #b",
            "- a",
            "${env:X}",
            "\u{7f}\n\"\\",
            "2001-01-01",
            "1:30",
            "null",
            "Prüfung",
        ] {
            let shown = yaml(&json!({ "key": text }));
            assert!(shown.starts_with("key: \"") && shown.trim_end().ends_with('"') && shown.lines().count() == 1, "{shown}");
        }
        assert_eq!(yaml(&json!({"key": "${env:X}"})), "key: \"$${env:X}\"\n");
        assert_eq!(yaml(&json!({"key": "\u{9b}\u{202e}\u{e0041}"})), "key: \"\\u009B\\u202E\\U000E0041\"\n");
    }
}
