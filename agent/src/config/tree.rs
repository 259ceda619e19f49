//! What the files say, before anybody knows what it means: values with the place of each of them and of each key.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Number, Value as Json};

use super::mistake::{Place, SUBSTITUTED};
use super::quantity;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where.
    pub(super) place: Place,
    /// What.
    pub(super) value: Value,
}

/// What a file says in one place.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Was wrong, and that has been told: nobody complains again.
    Wrong,
    /// Nothing.
    Null,
    /// `true`, `false`.
    Flag(bool),
    /// A number with all its digits.
    Number(Number),
    /// Text.
    Text(String),
    /// In order.
    List(Vec<Node>),
    /// In order, each key once.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Place,
    /// Its value.
    pub(super) node: Node,
}

impl Entry {
    /// An entry that no file says.
    pub(super) fn implied(key: &str, node: Node) -> Self {
        Self { key: key.to_owned(), place: Place::NOWHERE, node }
    }
}

impl Value {
    /// What a mistake calls it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Wrong => "a mistake".to_owned(),
            Self::Null => "nothing".to_owned(),
            Self::Flag(flag) => format!("`{flag}`"),
            Self::Number(number) => super::mistake::quoted(&number.to_string()),
            Self::Text(text) => super::mistake::quoted(text),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

impl Node {
    /// What a mistake calls it. What was substituted may be a secret.
    pub(super) fn describe(&self) -> String {
        if self.place.is_substituted() { SUBSTITUTED.to_owned() } else { self.value.describe() }
    }

    /// A value that no file says.
    pub(super) fn implied(value: Value) -> Self {
        Self { place: Place::NOWHERE, value }
    }

    /// A mapping that no file says.
    pub(super) fn mapping<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self::implied(Value::Map(entries.into_iter().map(|(key, value)| Entry::implied(key, Self::implied(value))).collect()))
    }

    /// What stands here instead of what was wrong.
    pub(super) fn wrong(&self) -> Self {
        Self { place: self.place, value: Value::Wrong }
    }

    /// Whether it was wrong.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.value, Value::Wrong)
    }

    /// Whether it or anything within was wrong.
    pub(super) fn has_wrong(&self) -> bool {
        match &self.value {
            Value::Wrong => true,
            Value::List(items) => items.iter().any(Self::has_wrong),
            Value::Map(entries) => entries.iter().any(|entry| entry.node.has_wrong()),
            _ => false,
        }
    }

    /// Its entries, if it is a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Its items, if it is a list.
    pub(super) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The entry of a key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The path of a key.
    pub(super) fn path(&self, key: &str) -> Option<&Path> {
        self.text(key).map(Path::new)
    }

    /// The value of a key, if a file says it: what is implied is not.
    pub(super) fn said(&self, key: &str) -> Option<&Self> {
        self.get(key).filter(|node| node.place != Place::NOWHERE)
    }

    /// The flag of a key.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        if let Value::Flag(flag) = self.get(key)?.value { Some(flag) } else { None }
    }

    /// The whole number of a key.
    pub(super) fn whole(&self, key: &str) -> Option<u32> {
        if let Value::Number(number) = &self.get(key)?.value { number.as_str().parse().ok() } else { None }
    }

    /// The length of time of a key.
    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key)?.as_duration()
    }

    /// The text that it is.
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The length of time that it is.
    pub(super) fn as_duration(&self) -> Option<Duration> {
        quantity::duration(self.as_text()?).ok()
    }

    /// The same without places.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Wrong | Value::Null => Json::Null,
            Value::Flag(flag) => Json::Bool(*flag),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// How many nodes it has, how many bytes its texts, and how deep it is.
    pub(super) fn extent(&self) -> (usize, usize, usize) {
        let below = |children: &mut dyn Iterator<Item = (usize, &Self)>| {
            children.fold((1, 0, 1), |(nodes, bytes, height), (key, child)| {
                let (more, longer, higher) = child.extent();
                (nodes + more, bytes + key + longer, height.max(higher + 1))
            })
        };
        match &self.value {
            Value::List(items) => below(&mut items.iter().map(|item| (0, item))),
            Value::Map(entries) => below(&mut entries.iter().map(|entry| (entry.key.len(), &entry.node))),
            Value::Text(text) => (1, text.len(), 0),
            _ => (1, 0, 0),
        }
    }

    /// Whether two values are the same, wherever they stand; mappings without order.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}
