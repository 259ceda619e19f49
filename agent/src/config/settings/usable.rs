//! Whether a schema can be judged by: it comes from a plugin, and must neither run for ever nor exhaust the stack.

use std::collections::HashMap;

use serde_json::Value as Json;

/// References and alternatives that speak of one and the same value, one below the other.
const DEEPEST: usize = 64;

/// All of them together, as often as they are gone through.
const MOST: u64 = 10_000;

/// Keywords that hold schemas of the same value.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const SINGLE: [&str; 4] = ["not", "if", "then", "else"];

/// Why a schema is of no use.
pub(super) fn check(schema: &Json) -> Result<(), String> {
    if !schema.is_object() {
        return Err("it is no object".to_owned());
    }
    references(schema, true)?;
    let mut weights = HashMap::new();
    each(schema, &mut |part| weight(schema, part, 0, &mut weights).map(drop))
}

/// Visits every part of a document that may be a schema.
fn each<'s>(part: &'s Json, visit: &mut dyn FnMut(&'s Json) -> Result<(), String>) -> Result<(), String> {
    match part {
        Json::Object(entries) => {
            visit(part)?;
            entries.values().try_for_each(|value| each(value, visit))
        }
        Json::Array(items) => items.iter().try_for_each(|item| each(item, visit)),
        _ => Ok(()),
    }
}

/// References lead within the document, by pointer: where they lead is then plain to see.
fn references(schema: &Json, top: bool) -> Result<(), String> {
    let Json::Object(entries) = schema else {
        return schema.as_array().into_iter().flatten().try_for_each(|item| references(item, false));
    };
    for (key, value) in entries {
        let text = value.as_str();
        let refused = match key.as_str() {
            "$ref" => text.is_some_and(|target| target != "#" && !target.starts_with("#/") || target.contains('%')),
            "$dynamicRef" | "$recursiveRef" => text.is_some(),
            "$id" => text.is_some() && !top,
            _ => false,
        };
        if refused {
            return Err(format!("`{key}` may only be `#` or `#/…`, without percent-encoding"));
        }
        references(value, false)?;
    }
    Ok(())
}

/// How many parts of the schema speak of one value, beginning here.
fn weight<'s>(root: &'s Json, part: &'s Json, depth: usize, known: &mut HashMap<*const Json, u64>) -> Result<u64, String> {
    if depth > DEEPEST {
        return Err("it refers to itself without going into the value, or too deep".to_owned());
    }
    let here = std::ptr::from_ref(part);
    if let Some(weight) = known.get(&here) {
        return Ok(*weight);
    }
    let mut total: u64 = 1;
    let target = part.get("$ref").and_then(Json::as_str).and_then(|target| root.pointer(target.trim_start_matches('#')));
    let lists = LISTS.iter().filter_map(|keyword| part.get(keyword)?.as_array()).flatten();
    let single = SINGLE.iter().filter_map(|keyword| part.get(keyword));
    let dependent = part.get("dependentSchemas").and_then(Json::as_object).into_iter().flat_map(|schemas| schemas.values());
    for next in target.into_iter().chain(lists).chain(single).chain(dependent) {
        total = total.saturating_add(weight(root, next, depth + 1, known)?);
    }
    if total > MOST {
        return Err("it has too many alternatives".to_owned());
    }
    known.insert(here, total);
    Ok(total)
}
