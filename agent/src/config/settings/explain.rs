//! What the validator found wrong, in the words of the rest of the file, and where.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value as Json;

use super::format;
use super::pattern::Patterns;
use crate::config::kind::one_of;
use crate::config::mistake::{Found, Mistake, Place, SUBSTITUTED, meant, quoted};
use crate::config::quantity::{self, QuantityError};
use crate::config::tree::{Node, Value};

/// Turns errors into mistakes.
pub(super) struct Explain<'a> {
    /// The plugin's.
    pub(super) schema: &'a Json,
    /// What is known of patterns.
    pub(super) patterns: &'a Patterns,
    /// What it is held against.
    pub(super) with: &'a Node,
    /// The check's, for what no file says.
    pub(super) place: Place,
    /// Mistakes.
    pub(super) found: &'a mut Found,
}

impl<'a> Explain<'a> {
    /// Tells one error.
    pub(super) fn error(&mut self, error: &ValidationError<'_>) {
        let (node, name) = self.locate(error.instance_path());
        let place = node.place.or(self.place);
        // What was wrong before stands here as nothing, and nobody complains again.
        let about_keys = matches!(
            error.kind(),
            Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } | Kind::PropertyNames { .. } | Kind::Required { .. }
        );
        if node.has_wrong() && !about_keys {
            return;
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for key in unexpected {
                    let known = self.part(error, 1).and_then(|part| part.get("properties")).and_then(Json::as_object);
                    let known: Vec<&str> = known.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                    let all = (!known.is_empty()).then(|| format!("known here are {}", one_of(&known)));
                    let hint = meant(key, known.iter().copied()).or(all);
                    let place = node.entry(key).map_or(place, |entry| entry.place);
                    self.found.add(Mistake::new(place, format!("unknown key {}", quoted(key))).hint(hint));
                }
            }
            Kind::PropertyNames { error: inner } => {
                let key = inner.instance().as_str().unwrap_or_default();
                let place = node.entry(key).map_or(place, |entry| entry.place);
                let (message, hint) = self.message(inner, &Node { place, value: Value::Text(key.to_owned()) });
                self.found.add(Mistake::new(place, sentence(&quoted(key), &message)).hint(hint));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.alternatives(error, context, node, &name),
            _ => {
                let (message, hint) = self.message(error, node);
                self.found.add(Mistake::new(place, sentence(&name, &message)).hint(hint));
            }
        }
    }

    /// Where a value stands, and what it is called.
    fn locate(&self, path: &Location) -> (&'a Node, String) {
        let (mut node, mut name) = (self.with, "`with`".to_owned());
        for step in path.segments() {
            let next = match &step {
                LocationSegment::Property(key) => {
                    name = quoted(key);
                    node.get(key)
                }
                LocationSegment::Index(number) => {
                    name = if name.starts_with("an entry") { name } else { format!("an entry of {name}") };
                    // A key of digits looks like a number.
                    node.items().get(*number).or_else(|| node.get(&number.to_string()))
                }
            };
            let Some(next) = next else { break };
            node = next;
        }
        (node, name)
    }

    /// The schema that holds the keyword of an error, `above` steps above it.
    fn part(&self, error: &ValidationError<'_>, above: usize) -> Option<&'a Json> {
        let mut pointer = error.schema_path().as_str();
        for _ in 0..above {
            pointer = pointer.rsplit_once('/').map_or("", |(above, _)| above);
        }
        self.schema.pointer(pointer)
    }

    /// A value that is none of several alternatives. If it is plain which one is meant, what is wrong with that is told.
    fn alternatives(&mut self, error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>], node: &Node, name: &str) {
        let at = error.instance_path().as_str();
        let mut near = context.iter().filter(|errors| !errors.iter().any(|error| is_of_another_kind(error, at)));
        if let (Some(errors), None) = (near.next(), near.next()) {
            for error in errors {
                self.error(error);
            }
            return;
        }
        let place = node.place.or(self.place);
        let parts = self.part(error, 0).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let bare = parts.iter().find_map(|part| bare_number(self.resolved(part), node));
        let wanted = || parts.iter().map(|part| self.wanted(part)).collect::<Vec<_>>().join(", or ");
        let message = bare.unwrap_or_else(|| format!("has to be {}, not {}", wanted(), node.describe()));
        self.found.add(Mistake::new(place, sentence(name, &message)));
    }

    fn resolved<'s>(&'s self, part: &'s Json) -> &'s Json {
        let target = part.get("$ref").and_then(Json::as_str).and_then(|target| self.schema.pointer(target.trim_start_matches('#')));
        target.unwrap_or(part)
    }

    /// What a schema wants, for people.
    fn wanted(&self, part: &Json) -> String {
        let part = self.resolved(part);
        if let Some(only) = part.get("const") {
            return format!("`{}`", plain(only));
        }
        if let Some(options) = part.get("enum").and_then(Json::as_array) {
            return one_of(&options.iter().map(plain).collect::<Vec<_>>());
        }
        if let Some(parts) = part.get("anyOf").or_else(|| part.get("oneOf")).and_then(Json::as_array) {
            return parts.iter().map(|part| self.wanted(part)).collect::<Vec<_>>().join(", or ");
        }
        match part.get("type") {
            Some(Json::Array(types)) => types.iter().map(|kind| described(part, kind)).collect::<Vec<_>>().join(", or "),
            kind => described(part, kind.unwrap_or(&Json::Null)),
        }
    }

    /// What follows the name of the key, and a hint.
    fn message(&self, error: &ValidationError<'_>, node: &Node) -> (String, Option<String>) {
        let value = &node.value;
        let part = self.part(error, 1).unwrap_or(&Json::Null);
        let about = || part.get("description").and_then(Json::as_str).map(str::to_owned);
        let message = match error.kind() {
            Kind::Type { .. } => {
                let quotes = matches!(value, Value::Number(_) | Value::Flag(_)) && part.get("type").is_some_and(|kind| kind == "string");
                let bare = bare_number(part, node);
                let hint =
                    (quotes && bare.is_none() && part.get("format").is_none()).then(|| "put it in quotes to make it a text".to_owned());
                let message = bare.unwrap_or_else(|| format!("has to be {}, not {}", self.wanted(part), node.describe()));
                return (message, hint);
            }
            Kind::Format { .. } if node.place.is_substituted() => format!("has to be {}, not {SUBSTITUTED}", self.wanted(part)),
            Kind::Format { format } => {
                let text = if let Value::Text(text) = value { text } else { "" };
                let why = without_unit(part, text).or_else(|| format::check(format, text, self.patterns).err());
                format!(": {}", why.unwrap_or_else(|| format!("{} is no {format}", quoted(text))))
            }
            Kind::Enum { options } => {
                let options: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
                let hint = if let Value::Text(text) = value { meant(text, options.iter().map(String::as_str)) } else { None };
                return (format!("has to be {}, not {}", one_of(&options), node.describe()), hint);
            }
            Kind::Constant { expected_value } => format!("has to be `{}`, not {}", plain(expected_value), node.describe()),
            Kind::Required { property } => format!("has no `{}`", plain(property)),
            Kind::Minimum { limit } => format!("has to be {limit} or more, not {}", node.describe()),
            Kind::Maximum { limit } => format!("has to be {limit} or less, not {}", node.describe()),
            Kind::ExclusiveMinimum { limit } => format!("has to be more than {limit}, not {}", node.describe()),
            Kind::ExclusiveMaximum { limit } => format!("has to be less than {limit}, not {}", node.describe()),
            Kind::MinLength { limit: 1 } => "has to be a text, not an empty one".to_owned(),
            Kind::MinLength { limit } => format!("has to have at least {limit} characters"),
            Kind::MaxLength { limit } => format!("has to have at most {limit} characters"),
            Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => "has none".to_owned(),
            Kind::MinItems { limit } | Kind::MinProperties { limit } => format!("has to have at least {limit} entries"),
            Kind::MaxItems { limit } | Kind::MaxProperties { limit } => format!("has to have at most {limit} entries"),
            Kind::UniqueItems => "has an entry twice".to_owned(),
            Kind::Pattern { pattern } => format!("has to match `{pattern}`, not {}", node.describe()),
            Kind::FalseSchema => "is not allowed here".to_owned(),
            _ => format!(": {}", error.masked_with("this")),
        };
        (message, about())
    }
}

/// A value of one type, as a schema wants it.
fn described(part: &Json, kind: &Json) -> String {
    if let (Some(of), Some("string") | None) = (quantity_of(part), kind.as_str()) {
        return format!("{}, such as `{}`", of.what, of.example);
    }
    let what = match (part.get("format").and_then(Json::as_str), kind.as_str()) {
        (Some("vedette-regex"), Some("string") | None) => "a regular expression",
        (Some("vedette-jsonpath"), Some("string") | None) => "a JSONPath, such as `$.status`",
        (Some("vedette-secret"), Some("string") | None) => "the name of a secret",
        (Some("vedette-file"), Some("string") | None) => "the path of a file",
        (_, Some("string")) => "a text",
        (_, Some("integer")) => "a whole number",
        (_, Some("number")) => "a number",
        (_, Some("boolean")) => "`true` or `false`",
        (_, Some("array")) => "a list",
        (_, Some("null")) => "nothing",
        (_, Some("object")) => return mapping(part),
        _ => "something else",
    };
    what.to_owned()
}

/// Whether the value at `at` is something else altogether than what this alternative wants.
fn is_of_another_kind(error: &ValidationError<'_>, at: &str) -> bool {
    error.instance_path().as_str() == at
        && match error.kind() {
            Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => true,
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                context.iter().all(|errors| errors.iter().any(|error| is_of_another_kind(error, at)))
            }
            _ => false,
        }
}

/// A length of time or a size, where a schema wants one.
struct Quantity<'a> {
    what: &'static str,
    /// The schema's own, or a usual one.
    example: &'a str,
    read: fn(&str) -> Result<(), QuantityError>,
}

fn quantity_of(part: &Json) -> Option<Quantity<'_>> {
    let (what, usual, read): (_, _, fn(&str) -> _) = match part.get("format")?.as_str()? {
        "vedette-duration" => ("a length of time", "30s", |text| quantity::duration(text).map(drop)),
        "vedette-size" => ("a size", "64MiB", |text| quantity::size(text).map(drop)),
        _ => return None,
    };
    let example = part.get("examples").and_then(|examples| examples.get(0)?.as_str()).filter(|example| read(example).is_ok());
    Some(Quantity { what, example: example.unwrap_or(usual), read })
}

/// Why a number is no length of time or size, where one is wanted.
fn bare_number(part: &Json, node: &Node) -> Option<String> {
    let Value::Number(number) = &node.value else { return None };
    let (of, text) = (quantity_of(part).filter(|_| !node.place.is_substituted())?, number.to_string());
    without_unit(part, &text).or_else(|| (of.read)(&text).err().map(|why| why.to_string())).map(|why| format!(": {why}"))
}

/// That a number carries no unit, and which one the schema has in mind.
fn without_unit(part: &Json, text: &str) -> Option<String> {
    let of = quantity_of(part)?;
    let Err(QuantityError::NoUnit(number, _)) = (of.read)(text) else { return None };
    let unit = of.example.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.').trim_start();
    Some(QuantityError::NoUnit(number, unit.to_owned()).to_string())
}

fn mapping(part: &Json) -> String {
    let keys: Vec<&String> =
        part.get("properties").and_then(Json::as_object).into_iter().flat_map(|properties| properties.keys()).collect();
    if keys.is_empty() || keys.len() > 4 { "a mapping".to_owned() } else { format!("a mapping with {}", one_of(&keys)) }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sentence(name: &str, message: &str) -> String {
    let space = if message.starts_with(':') { "" } else { " " };
    format!("{name}{space}{message}")
}
