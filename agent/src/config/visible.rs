//! Characters that nobody sees, or that do something to a terminal: refused in names, and written out wherever a text
//! from outside is shown.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character has no look of its own: control, format (zero-width and bidirectional ones among them), line and
/// paragraph separators; Unicode's categories Cc, Cf, Zl and Zp.
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// A text on one line, with what nobody sees written out: `\n`, `\u{202e}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, |char, out| out.extend(char.escape_default()))
}

/// The same of a text that has lines: they stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |char| char == '\n', |char, out| out.extend(char.escape_default()))
}

/// The same of a JSON document, which stays the same document.
pub fn json(document: &str) -> Cow<'_, str> {
    let escape = |char: char, out: &mut String| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    };
    escaped(document, |char| char == '\n', escape)
}

fn escaped(text: &str, stays: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let hidden = |char: char| is_hidden(char) && !stays(char);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if hidden(char) { escape(char, &mut out) } else { out.push(char) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_is_what_unicode_calls_control_format_and_separator() {
        let categories = regex::Regex::new(r"^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]$").unwrap();
        for char in '\0'..=char::MAX {
            assert_eq!(is_hidden(char), categories.is_match(char.encode_utf8(&mut [0; 4])), "U+{:04X}", char as u32);
        }
    }

    #[test]
    fn what_nobody_sees_is_written_out() {
        assert_eq!(line("a\u{1b}[31m\n\t\u{202e}\u{9b}é"), "a\\u{1b}[31m\\n\\t\\u{202e}\\u{9b}é");
        assert_eq!(lines("a\nb\u{2028}"), "a\nb\\u{2028}");
        assert!(matches!(line("Prüfung läuft"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_document() {
        let document = serde_json::json!({"a\u{202e}": "b\u{9b}\u{e0041}\n"});
        let shown = serde_json::to_string_pretty(&document).unwrap();
        assert!(!json(&shown).contains(|char| is_hidden(char) && char != '\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&shown)).unwrap(), document);
    }
}
