//! YAML -> tree. Whatever the file holds, time and memory are bounded: nodes, depth and bytes are counted, those that
//! aliases repeat included.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::mistake::{Found, Mistake, Place, Source, quoted};
use super::tree::{Entry, Node, Value};
use super::{scalar, substitute};

/// Nobody nests deeper by hand, and nothing that walks the tree runs out of stack.
const DEEPEST: usize = 64;

/// The longest scalar, in bytes.
const LONGEST: usize = 1 << 20;

/// What the files of one configuration may still hold, and what checks may still inherit.
#[derive(Debug)]
pub(super) struct Allowance {
    nodes: usize,
    bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { nodes: 500_000, bytes: 32 << 20 }
    }
}

impl Allowance {
    /// Takes some of it, if there is as much.
    pub(super) fn take(&mut self, nodes: usize, bytes: usize) -> Option<()> {
        self.nodes = self.nodes.checked_sub(nodes)?;
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }
}

/// The tree of a file; nothing if it is no YAML at all, which has then been told.
pub(super) fn parse(file: usize, source: &Source, allowance: &mut Allowance, found: &mut Found) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder = Builder { file, source, allowance, found, open: Vec::new(), anchors: HashMap::new(), root: None, documents: 0 };
    for event in Parser::<StrInput<'_>>::new_from_str_with_options(&source.text, options) {
        let told = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let hint = match error.info() {
                    info if info.contains("tab") => Some("indent with spaces"),
                    info if info.contains("block") => Some("lines that belong together begin in the same column"),
                    _ => None,
                };
                Err(Mistake::new(builder.mark(error.marker()), format!("this is no YAML: {}", error.info())).hint(hint))
            }
        };
        if let Err(mistake) = told {
            builder.found.add(mistake);
            return None;
        }
    }
    Some(builder.root.unwrap_or(Node { place: Place::new(file, 1, 1, 0, 1), value: Value::Null }))
}

/// A list or mapping that has not ended yet.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<Key> },
}

/// A key that waits for its value.
struct Key {
    /// None: it was wrong, and what follows is left out.
    name: Option<String>,
    place: Place,
}

struct Builder<'a> {
    file: usize,
    source: &'a Source,
    allowance: &'a mut Allowance,
    found: &'a mut Found,
    open: Vec<Open>,
    /// By number, once they have ended: an alias within its own anchor finds none.
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
}

impl Builder<'_> {
    /// An error ends the file.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let place = self.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Mistake::new(self.mark(&span.start), "a second document in one file")
                        .hint(Some("put it into a file of its own, in one directory with this one")));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if text.len() > LONGEST {
                    return Err(Mistake::new(place, format!("a text longer than {}", super::quantity::show_size(LONGEST as u64))));
                }
                self.spend(place, 1, text.len())?;
                let plain = style == ScalarStyle::Plain && !tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                self.known_tag(place, tag.as_deref());
                self.scalar(place, &text, plain, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.known_tag(place, tag.as_deref());
                self.start(place, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.known_tag(place, tag.as_deref());
                self.start(place, anchor, Content::Map { entries: Vec::new(), keys: HashSet::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => self.alias(place, anchor)?,
            Event::UnresolvedAlias(name) => {
                self.found.add(Mistake::new(place, format!("no anchor `&{name}` stands above this alias")));
                self.put(Node { place, value: Value::Wrong }, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, place: Place, text: &str, plain: bool, anchor: usize) -> Result<(), Mistake> {
        if self.wants_key() {
            return self.put(Node { place, value: Value::Text(text.to_owned()) }, anchor);
        }
        let mut place = place;
        let value = match substitute::substitute(text, &self.source.folder) {
            Ok(text) => {
                place = place.substituted(matches!(text, Cow::Owned(_)));
                self.spend(place, 0, text.len())?;
                if plain { scalar::resolve(&text) } else { Value::Text(text.into_owned()) }
            }
            Err(message) => {
                self.found.add(Mistake::new(place, message));
                Value::Wrong
            }
        };
        self.put(Node { place, value }, anchor)
    }

    fn start(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), Mistake> {
        self.spend(place, 1, 0)?;
        // A list or mapping in the place of a key is kept apart; what it holds is thrown away with it.
        if self.open.len() >= DEEPEST {
            return Err(too_deep(place));
        }
        self.open.push(Open { place, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Mistake> {
        let Some(Open { place, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.put(Node { place, value }, anchor)
    }

    fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Mistake> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.found.add(Mistake::new(place, "an alias within its own anchor"));
            return self.put(Node { place, value: Value::Wrong }, 0);
        };
        let ((nodes, bytes, height), place) = (node.extent(), place.substituted(node.place.is_substituted()));
        if self.open.len() + height > DEEPEST {
            return Err(too_deep(place));
        }
        self.spend(place, nodes, bytes)?;
        let value = self.anchors.get(&anchor).map_or(Value::Wrong, |node| node.value.clone());
        self.put(Node { place, value }, 0)
    }

    /// Puts a node that has ended where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        if anchor > 0 {
            let (nodes, bytes, _) = node.extent();
            self.spend(node.place, nodes, bytes)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, keys, key }) => match key.take() {
                None => *key = Some(self::key(node, entries, keys, self.found)),
                Some(Key { name: None, .. }) => {}
                Some(Key { name: Some(name), place }) => {
                    // A value that is not written has no place of its own.
                    let nothing = matches!(node.value, Value::Null) && node.place.is_empty();
                    let node = if nothing { Node { place, value: node.value } } else { node };
                    entries.push(Entry { key: name, place, node });
                }
            },
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn known_tag(&mut self, place: Place, tag: Option<&Tag>) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.found.add(Mistake::new(place, format!("the tag {} means nothing here", quoted(&tag.original()))));
        }
    }

    fn spend(&mut self, place: Place, nodes: usize, bytes: usize) -> Result<(), Mistake> {
        let most = Allowance::default();
        self.allowance.take(nodes, bytes).ok_or_else(|| {
            Mistake::new(
                place,
                format!(
                    "the configuration is too large: more than {} values or {} of text, what aliases repeat included",
                    most.nodes,
                    super::quantity::show_size(most.bytes as u64)
                ),
            )
        })
    }

    fn mark(&self, mark: &Marker) -> Place {
        Place::new(self.file, mark.line().max(1), mark.col() + 1, mark.byte_offset().unwrap_or(0), 1)
    }

    fn place(&self, span: Span) -> Place {
        let width = span.slice(&self.source.text).map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        let Span { start, .. } = span;
        Place::new(self.file, start.line().max(1), start.col() + 1, start.byte_offset().unwrap_or(0), width)
    }
}

fn too_deep(place: Place) -> Mistake {
    Mistake::new(place, format!("nested deeper than {DEEPEST} levels"))
}

/// A node in the place of a key.
fn key(node: Node, entries: &[Entry], keys: &mut HashSet<String>, found: &mut Found) -> Key {
    let place = node.place;
    let Value::Text(name) = node.value else {
        if !matches!(node.value, Value::Wrong) {
            found.add(Mistake::new(place, format!("a key has to be a text, not {}", node.value.describe())));
        }
        return Key { name: None, place };
    };
    if keys.insert(name.clone()) {
        return Key { name: Some(name), place };
    }
    let first = if found.is_full() { None } else { entries.iter().find(|entry| entry.key == name) };
    let first = first.map_or(Place::NOWHERE, |entry| entry.place);
    found.add(Mistake::new(place, format!("the key {} stands here a second time", quoted(&name))).also("the first is here", first));
    Key { name: None, place }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
