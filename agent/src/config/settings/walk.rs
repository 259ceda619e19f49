//! A value and its schema side by side: what of the schema speaks of which part of the value.

use serde_json::{Map, Value as Json};

use super::Settings;

/// Looks at, and changes, each part of a value together with each part of the schema that speaks of it.
pub(super) trait Visitor {
    /// Before what is within it.
    fn before(&mut self, _schema: &Map<String, Json>, _value: &mut Json) {}
    /// After what is within it. `path` leads to the value.
    fn after(&mut self, _schema: &Map<String, Json>, _value: &mut Json, _path: &[String]) {}
}

/// Fills in the defaults of the schema.
pub(super) struct Defaults;

impl Visitor for Defaults {
    fn before(&mut self, schema: &Map<String, Json>, value: &mut Json) {
        let (Some(Json::Object(properties)), Json::Object(entries)) = (schema.get("properties"), value) else { return };
        for (name, property) in properties {
            if let Some(default) = property.get("default").filter(|_| !entries.contains_key(name)) {
                entries.insert(name.clone(), default.clone());
            }
        }
    }
}

/// A part of the schema and the pointer to it, as a fragment.
type Part<'s> = (String, &'s Json);

impl<'s> Settings<'s> {
    /// Visits a value; what is wrong in it as far as it is plain which part of the schema speaks of it.
    pub(super) fn walk(&self, value: &mut Json, visitor: &mut dyn Visitor) {
        self.visit(&("#".to_owned(), self.schema), value, &mut Vec::new(), visitor);
    }

    fn visit(&self, part: &Part<'s>, value: &mut Json, path: &mut Vec<String>, visitor: &mut dyn Visitor) {
        let (at, Json::Object(schema)) = part else { return };
        visitor.before(schema, value);
        // Which alternative it is has to be known before anything within has been changed.
        let same = self.of_the_same(at, schema, value);
        match value {
            Json::Object(entries) => {
                for (key, child) in entries {
                    for part in properties(at, schema, key) {
                        path.push(key.clone());
                        self.visit(&part, child, path, visitor);
                        path.pop();
                    }
                }
            }
            Json::Array(items) => {
                for (number, item) in items.iter_mut().enumerate() {
                    let Some(part) = item_part(at, schema, number) else { continue };
                    path.push(number.to_string());
                    self.visit(&part, item, path, visitor);
                    path.pop();
                }
            }
            _ => {}
        }
        for part in same {
            self.visit(&part, value, path, visitor);
        }
        visitor.after(schema, value, path);
    }

    /// Further parts of the schema that speak of the same value.
    fn of_the_same(&self, at: &str, schema: &'s Map<String, Json>, value: &Json) -> Vec<Part<'s>> {
        let mut parts = Vec::new();
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            parts.extend(self.schema.pointer(target.trim_start_matches('#')).map(|part| (target.to_owned(), part)));
        }
        parts.extend(each(at, schema, "allOf"));
        for alternatives in ["anyOf", "oneOf"] {
            parts.extend(each(at, schema, alternatives).find(|(at, _)| self.is(at, value)));
        }
        if schema.contains_key("if") {
            let next = if self.is(&format!("{at}/if"), value) { "then" } else { "else" };
            parts.extend(schema.get(next).map(|part| (format!("{at}/{next}"), part)));
        }
        parts
    }
}

fn each<'s>(at: &str, schema: &'s Map<String, Json>, keyword: &'static str) -> impl Iterator<Item = Part<'s>> {
    let parts = schema.get(keyword).and_then(Json::as_array).into_iter().flatten();
    parts.enumerate().map(move |(number, part)| (format!("{at}/{keyword}/{number}"), part))
}

/// What speaks of the value of a key.
fn properties<'s>(at: &str, schema: &'s Map<String, Json>, key: &str) -> Vec<Part<'s>> {
    let mut parts = Vec::new();
    if let Some(part) = schema.get("properties").and_then(|properties| properties.get(key)) {
        parts.push((format!("{at}/properties/{}", escape(key)), part));
    }
    for (pattern, part) in schema.get("patternProperties").and_then(Json::as_object).into_iter().flatten() {
        if regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(key)) {
            parts.push((format!("{at}/patternProperties/{}", escape(pattern)), part));
        }
    }
    if parts.is_empty() {
        parts.extend(schema.get("additionalProperties").map(|part| (format!("{at}/additionalProperties"), part)));
    }
    parts
}

fn item_part<'s>(at: &str, schema: &'s Map<String, Json>, number: usize) -> Option<Part<'s>> {
    let prefix = schema.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
    if number < prefix {
        return each(at, schema, "prefixItems").nth(number);
    }
    schema.get("items").map(|part| (format!("{at}/items"), part))
}

/// A path as a JSON Pointer.
pub(super) fn pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |pointer, step| pointer + "/" + &escape(step))
}

/// A step of a JSON Pointer.
fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
