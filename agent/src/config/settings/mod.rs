//! `with:` held against the plugin's own JSON Schema: mistakes with their places, defaults filled in, formats turned
//! into what the plugin gets.

mod explain;
mod format;
mod pattern;
mod usable;
mod walk;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationOptions, Validator, ValidatorMap};
use serde_json::Value as Json;

use super::mistake::{Found, Mistake, Place, Source, quoted};
use super::sections::Secrets;
use super::tree::Node;
use crate::bounded;
use pattern::Patterns;

/// A plugin's schema, made ready.
pub(super) struct Settings<'s> {
    schema: &'s Json,
    validator: Validator,
    /// Of every part of the schema by its pointer: which of several alternatives a value is. Built when first needed,
    /// which most configurations never do.
    parts: OnceCell<Option<ValidatorMap>>,
    patterns: Arc<Patterns>,
}

/// Settings that have been found right.
pub(super) struct Judged {
    /// What the plugin gets.
    pub(super) settings: String,
    /// As the operator may write them, defaults filled in.
    pub(super) shown: Json,
    /// Handles of files.
    pub(super) files: BTreeMap<String, PathBuf>,
    /// Names of secrets.
    pub(super) secrets: Vec<String>,
}

impl<'s> Settings<'s> {
    /// Makes a schema ready, or says why it is of no use. It comes from the plugin: whatever it says, judging by it ends.
    pub(super) fn new(schema: &'s Json) -> Result<Self, String> {
        usable::check(schema)?;
        let patterns = Arc::<Patterns>::default();
        let validator = options(&patterns).build(schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator, parts: OnceCell::new(), patterns })
    }

    /// Judges `with:`. `place` is the check's, for what no file says.
    pub(super) fn judge(&self, with: &Node, place: Place, sources: &[Source], secrets: &Secrets<'_>, found: &mut Found) -> Option<Judged> {
        self.patterns.begin();
        let mut shown = with.to_json();
        let mut wrong = with.has_wrong();
        let mut explain = explain::Explain { schema: self.schema, patterns: &self.patterns, with, place, found };
        for error in self.validator.iter_errors(&shown) {
            wrong = true;
            explain.error(&error);
        }
        self.walk(&mut shown, &mut walk::Defaults);
        let mut turned = shown.clone();
        // Also where something is wrong already: what is named and is not there is a mistake of its own.
        let granted = Granted { with, place, sources, secrets, found, wrong, files: Vec::new(), names: BTreeSet::new() };
        let mut turn = format::Turn { granted, patterns: &self.patterns, together: 0 };
        self.walk(&mut turned, &mut turn);
        let granted = turn.granted;
        if granted.wrong {
            return None;
        }
        let mut files = BTreeMap::new();
        for (number, (pointer, path)) in granted.files.into_iter().enumerate() {
            if let Some(shown) = shown.pointer_mut(&pointer) {
                *shown = path.to_string_lossy().into_owned().into();
            }
            files.insert(handle(number), path);
        }
        Some(Judged { settings: turned.to_string(), shown, files, secrets: granted.names.into_iter().collect() })
    }

    /// Whether a value is what a part of the schema describes.
    fn is(&self, part: &str, value: &Json) -> bool {
        let parts = self.parts.get_or_init(|| options(&self.patterns).build_map(self.schema).ok());
        parts.as_ref().and_then(|parts| parts.get(part)).is_some_and(|part| part.is_valid(value))
    }
}

/// What a plugin calls a file by.
fn handle(number: usize) -> String {
    format!("file-{}", number + 1)
}

fn options(patterns: &Arc<Patterns>) -> ValidationOptions<'static> {
    // Patterns run in linear time: the schema comes from the plugin.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex()).should_validate_formats(true).offline();
    format::CHECKED.iter().fold(options, |options, name| {
        let patterns = Arc::clone(patterns);
        options.with_format(*name, move |text: &str| format::check(name, text, &patterns).is_ok())
    })
}

/// What settings name of the world beyond them.
struct Granted<'a> {
    with: &'a Node,
    place: Place,
    sources: &'a [Source],
    secrets: &'a Secrets<'a>,
    found: &'a mut Found,
    wrong: bool,
    /// By pointer into the settings.
    files: Vec<(String, PathBuf)>,
    names: BTreeSet<String>,
}

impl Granted<'_> {
    /// The value at a path, if a file says it.
    fn node(&self, path: &[String]) -> Option<&Node> {
        path.iter().try_fold(self.with, |node, step| node.get(step).or_else(|| node.items().get(step.parse::<usize>().ok()?)))
    }

    /// A mistake of the value at a path.
    fn tell(&mut self, path: &[String], message: &str) {
        self.wrong = true;
        let place = self.node(path).map_or(self.place, |node| node.place);
        let key = path.iter().rfind(|step| step.parse::<usize>().is_err()).map(|key| format!("{}: ", quoted(key))).unwrap_or_default();
        self.found.add(Mistake::new(place, format!("{key}{message}")));
    }

    fn secret(&mut self, name: &str, path: &[String]) {
        let said = self.node(path).cloned();
        let node = said.unwrap_or_else(|| Node { place: self.place, value: super::tree::Value::Text(name.to_owned()) });
        self.wrong |= !self.secrets.check(&node, self.found);
        self.names.insert(name.to_owned());
    }

    /// The handle of a file.
    fn file(&mut self, name: &str, path: &[String]) -> String {
        let place = self.node(path).map_or(self.place, |node| node.place);
        let source = place.or(self.place).source(self.sources);
        let absolute = source.map_or_else(|| PathBuf::from(name), |source| source.absolute(name));
        if let Err(why) = bounded::open(&absolute) {
            let shown = if place.is_substituted() {
                "of the name that is substituted here".to_owned()
            } else {
                quoted(&absolute.to_string_lossy())
            };
            self.tell(path, &format!("the file {shown} cannot be read: {why}"));
        }
        let number = self.files.len();
        self.files.push((walk::pointer(path), absolute));
        handle(number)
    }
}

#[cfg(test)]
mod tests;
