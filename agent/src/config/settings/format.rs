//! Formats that the agent checks and turns while it reads the file, as `config-schema` of the plugin interface says.

use serde_json::{Map, Value as Json};

use super::Granted;
use super::pattern::{Patterns, too_much};
use super::walk::Visitor;
use crate::clock::nanos;
use crate::config::quantity;

/// Those whose texts are judged by themselves; `vedette-secret` and `vedette-file` name something of the world beyond.
pub(super) const CHECKED: [&str; 4] = ["vedette-duration", "vedette-size", "vedette-regex", "vedette-jsonpath"];

/// How deep brackets of a `JSONPath` may nest: its parser recurses.
const DEEPEST_PATH: usize = 32;

/// Whether a text is of a format, or why not.
pub(super) fn check(format: &str, text: &str, patterns: &Patterns) -> Result<(), String> {
    match format {
        "vedette-duration" => quantity::duration(text).map(drop).map_err(|error| error.to_string()),
        "vedette-size" => quantity::size(text).map(drop).map_err(|error| error.to_string()),
        "vedette-regex" => patterns.size(text).map(drop),
        "vedette-jsonpath" => json_path(text),
        _ => Ok(()),
    }
}

fn json_path(text: &str) -> Result<(), String> {
    let depths = text.chars().scan(0_usize, |depth, char| {
        match char {
            '[' | '(' => *depth += 1,
            ']' | ')' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    if depths.max().is_some_and(|deepest| deepest > DEEPEST_PATH) {
        return Err(format!("not a JSONPath: nested deeper than {DEEPEST_PATH} levels"));
    }
    if !text.starts_with('$') {
        return Err("not a JSONPath, such as `$.status`: it has to begin with `$`".to_owned());
    }
    serde_json_path::JsonPath::parse(text).map(drop).map_err(|error| format!("not a JSONPath, such as `$.status`: {error}"))
}

/// Turns what the operator wrote into what the plugin gets.
pub(super) struct Turn<'a> {
    /// What the settings name.
    pub(super) granted: Granted<'a>,
    /// What is known of patterns.
    pub(super) patterns: &'a Patterns,
    /// How large those are that have been met, compiled.
    pub(super) together: usize,
}

impl Visitor for Turn<'_> {
    fn after(&mut self, schema: &Map<String, Json>, value: &mut Json, path: &[String]) {
        let (Some(format), Json::String(text)) = (schema.get("format").and_then(Json::as_str), &*value) else { return };
        let turned = match format {
            "vedette-duration" => quantity::duration(text).ok().map(|length| nanos(length).into()),
            "vedette-size" => quantity::size(text).ok().map(Into::into),
            "vedette-file" => Some(self.granted.file(text, path).into()),
            "vedette-regex" => {
                self.pattern(text, path);
                None
            }
            "vedette-secret" => {
                self.granted.secret(text, path);
                None
            }
            _ => None,
        };
        if let Some(turned) = turned {
            *value = turned;
        }
    }
}

impl Turn<'_> {
    /// Tells once where there begin to be too many.
    fn pattern(&mut self, text: &str, path: &[String]) {
        let before = self.together;
        self.together += self.patterns.size(text).unwrap_or(0);
        if let (None, Some(message)) = (too_much(before), too_much(self.together)) {
            self.granted.tell(path, &message);
        }
    }
}
