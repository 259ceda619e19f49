//! The form of the document: every key is known, every value of its kind, and what is not said has its default.

use std::rc::Rc;

use super::keys::{ELSEWHERE, Key, ROOT, Section, Unsaid};
use super::kind::{Kind, Wrong};
use super::mistake::{Found, Mistake, Place, SUBSTITUTED, Source, nearest, quoted};
use super::parse::Allowance;
use super::scalar;
use super::tree::{Entry, Node, Value};

/// Of a check or a target: each is on all series, spans and events of it.
const MOST_LABELS: usize = 64;

/// The document with everything in it, in the order of the table. What is wrong is told and stands there as wrong. Of a
/// document that is not `whole` nothing is missed.
pub(super) fn fill(root: Node, sources: &[Source], whole: bool, found: &mut Found) -> Node {
    let mut form = Form { sources, whole, found, defaults: None, allowance: Allowance::default() };
    form.section("the configuration", root, &ROOT, None)
}

struct Form<'a> {
    sources: &'a [Source],
    whole: bool,
    found: &'a mut Found,
    /// `defaults:`, once it has been filled.
    defaults: Option<Rc<Node>>,
    /// What checks may still inherit of them: each has its own copy.
    allowance: Allowance,
}

impl Form<'_> {
    fn tell(&mut self, place: Place, name: &str, wrong: Wrong) {
        let space = if wrong.message.starts_with([':', ' ']) { "" } else { " " };
        let hint = wrong.hint.filter(|hint| !hint.is_empty());
        self.found.add(Mistake::new(place, format!("{name}{space}{}", wrong.message)).hint(hint));
    }

    /// The entries of a mapping; nothing written is an empty one.
    fn entries(&mut self, name: &str, node: Node, what: &str) -> Option<(Place, Vec<Entry>)> {
        match node.value {
            Value::Map(entries) => Some((node.place, entries)),
            Value::Null => Some((node.place, Vec::new())),
            Value::Wrong => None,
            _ => {
                self.found.add(Mistake::new(node.place, format!("{name} has to be {what}, not {}", node.describe())));
                None
            }
        }
    }

    fn section(&mut self, name: &str, node: Node, section: &'static Section, inherited: Option<&Node>) -> Node {
        let wrong = node.wrong();
        let Some((place, entries)) = self.entries(name, node, "a mapping") else { return wrong };
        let mut said: Vec<Option<Entry>> = section.keys.iter().map(|_| None).collect();
        let mut slips: Vec<&str> = Vec::new();
        for entry in entries {
            match section.keys.iter().position(|key| key.name == entry.key) {
                Some(at) => said[at] = Some(entry),
                None if self.found.is_full() => self.found.add(Mistake::new(entry.place, "")),
                None => {
                    let near = near(&entry.key, section);
                    let hint = near.map_or_else(|| known(section), |near| format!("did you mean `{near}`?"));
                    slips.extend(near);
                    self.found.add(Mistake::new(entry.place, format!("unknown key {}", quoted(&entry.key))).hint(Some(hint)));
                }
            }
        }
        // What was meant by a slip is not missing: one mistake, not two.
        for (key, entry) in section.keys.iter().zip(&mut said) {
            if entry.is_none() && slips.contains(&key.name) {
                *entry = Some(Entry::implied(key.name, Node::implied(Value::Wrong)));
            }
        }
        let defaults = if section.inherits { self.defaults.clone() } else { None };
        let inherited = defaults.as_deref().or(inherited);
        let other_plugin = said
            .iter()
            .flatten()
            .any(|entry| entry.key == "plugin" && inherited.is_some_and(|from| from.text("plugin") != entry.node.as_text()));
        let mut filled = Vec::with_capacity(said.len());
        for (key, entry) in section.keys.iter().zip(said) {
            // Settings belong to the plugin beside them.
            let inherited = inherited.filter(|_| !(other_plugin && matches!(key.kind, Kind::Settings))).and_then(|from| from.get(key.name));
            if let Some(entry) = self.key(place, name, key, entry, inherited) {
                if key.name == "defaults" {
                    self.defaults = Some(Rc::new(entry.node.clone()));
                }
                filled.push(entry);
            }
        }
        Node { place, value: Value::Map(filled) }
    }

    /// What holds for a key.
    fn key(&mut self, within: Place, section: &str, key: &'static Key, said: Option<Entry>, inherited: Option<&Node>) -> Option<Entry> {
        if let Some(Entry { key: name, place, node }) = said {
            let node = self.value(&format!("`{name}`"), node, &key.kind, inherited);
            return Some(Entry { key: name, place, node });
        }
        if let Some(node) = inherited {
            return Some(Entry::implied(key.name, self.inherit(node)));
        }
        let value = match &key.unsaid {
            Unsaid::Nothing => return None,
            Unsaid::Required if !self.whole => Value::Wrong,
            Unsaid::Required => {
                self.found.add(
                    Mistake::new(within, format!("{section} has no `{}`", key.name))
                        .hint(Some(format!("it has to be {}", key.kind.what()))),
                );
                Value::Wrong
            }
            Unsaid::Is(default) => scalar::resolve(default),
            Unsaid::Are(defaults) => {
                Value::List(defaults.iter().map(|default| Node::implied(Value::Text((*default).to_owned()))).collect())
            }
            Unsaid::Empty => self.value("", Node::implied(Value::Map(Vec::new())), &key.kind, None).value,
            Unsaid::Machine(say) => Value::Text(say()),
        };
        Some(Entry::implied(key.name, Node::implied(value)))
    }

    /// Long defaults and many checks are more than memory holds.
    fn inherit(&mut self, node: &Node) -> Node {
        let (nodes, bytes, _) = node.extent();
        if self.allowance.take(nodes, bytes).is_some() {
            return node.clone();
        }
        self.found.add(Mistake::new(node.place, "too long for so many checks to inherit"));
        node.wrong()
    }

    fn value(&mut self, name: &str, node: Node, kind: &'static Kind, inherited: Option<&Node>) -> Node {
        match kind {
            Kind::Sub(section) => self.section(name, node, section, inherited),
            Kind::Either(_, section) if matches!(node.value, Value::Map(_)) => self.section(name, node, section, None),
            Kind::Either(scalar, _) if !matches!(node.value, Value::List(_)) => self.scalar(name, node, scalar),
            Kind::List(of) => self.list(name, node, kind, of),
            Kind::Map(keys, of) => self.map(name, node, keys, of),
            Kind::Settings => {
                let wrong = node.wrong();
                self.entries(name, node, "a mapping").map_or(wrong, |(place, entries)| Node { place, value: Value::Map(entries) })
            }
            _ => self.scalar(name, node, kind),
        }
    }

    fn scalar(&mut self, name: &str, node: Node, kind: &Kind) -> Node {
        let Node { place, value } = node;
        if matches!(value, Value::Wrong) {
            return Node { place, value };
        }
        let variable = matches!(&value, Value::Text(text) if text.contains("${"));
        let value = kind.scalar(value, place.source(self.sources)).unwrap_or_else(|wrong| {
            // Other programs substitute `${NAME}`.
            let hint = wrong.hint.or(variable.then(|| "a variable is written `${env:NAME}`, a file `${file:PATH}`".to_owned()));
            let wrong = Wrong { hint, ..wrong };
            let hidden = || Wrong { message: format!("has to be {}, not {SUBSTITUTED}", kind.what()), hint: None };
            self.tell(place, name, if place.is_substituted() { hidden() } else { wrong });
            Value::Wrong
        });
        Node { place, value }
    }

    fn list(&mut self, name: &str, node: Node, kind: &Kind, of: &'static Kind) -> Node {
        let described = node.describe();
        let Node { place, value } = node;
        let value = match value {
            Value::List(items) => {
                let each = format!("an entry of {name}");
                Value::List(items.into_iter().map(|item| self.value(&each, item, of, None)).collect())
            }
            Value::Null => Value::List(Vec::new()),
            Value::Wrong => Value::Wrong,
            _ => {
                let hint = matches!(value, Value::Map(_)).then(|| "begin each entry with `- `".to_owned());
                self.tell(place, name, Wrong { message: format!("has to be {}, not {described}", kind.what()), hint });
                Value::Wrong
            }
        };
        Node { place, value }
    }

    fn map(&mut self, name: &str, node: Node, keys: &'static Kind, of: &'static Kind) -> Node {
        let wrong = node.wrong();
        let Some((place, entries)) = self.entries(name, node, "a mapping") else { return wrong };
        if matches!(keys, Kind::LabelName) && entries.len() > MOST_LABELS {
            let wrong = Wrong::new(format!("holds {} labels, at most {MOST_LABELS} are allowed", entries.len()));
            self.tell(place, name, wrong.hint("all of them are on every series and span; leave out those that nobody asks by"));
        }
        let mut filled = Vec::with_capacity(entries.len());
        for Entry { key, place, node } in entries {
            let name = quoted(&key);
            if let Err(wrong) = keys.key(&key) {
                self.tell(place, &name, wrong);
            }
            let node = self.value(&name, node, of, None);
            filled.push(Entry { key, place, node });
        }
        Node { place, value: Value::Map(filled) }
    }
}

/// The key of a section that is meant: one that is written alike, or what others call it.
fn near(word: &str, section: &Section) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == word).map(|(_, key)| *key);
    let known = || section.keys.iter().map(|key| key.name);
    nearest(word, known()).or_else(|| elsewhere.filter(|key| known().any(|known| known == *key)))
}

fn known(section: &Section) -> String {
    let names: Vec<String> = section.keys.iter().map(|key| format!("`{}`", key.name)).collect();
    let with = section.keys.iter().find(|key| matches!(key.kind, Kind::Settings));
    let settings = with.map(|with| format!("; settings of the plugin stand under `{}`", with.name)).unwrap_or_default();
    format!("known here are {}{settings}", names.join(", "))
}
