//! Files -> one tree: reading them within bounds, and merging several.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::mistake::{Found, Mistake, Place, Source, quoted};
use super::parse::{Allowance, parse};
use super::quantity;
use super::tree::{Entry, Node, Value};
use crate::bounded;

/// The longest file, and all files of a directory together, in bytes.
const LONGEST: u64 = 8 << 20;

/// The files and what they say together, and whether that is all: not if a file could not be read or is no YAML.
pub(super) fn load(path: &Path, found: &mut Found) -> (Vec<Source>, Option<Node>, bool) {
    let paths = match listed(path) {
        Ok(paths) => paths,
        Err(error) => {
            found.add(Mistake::new(Place::NOWHERE, format!("{}: {error}", path.display())));
            return (Vec::new(), None, false);
        }
    };
    let (mut sources, mut trees, mut left, mut allowance) = (Vec::new(), Vec::new(), LONGEST, Allowance::default());
    let files = paths.len();
    // What is named itself may be a pipe: `-c /dev/stdin`. In a directory it would be nobody's intention, and be waited for.
    let open = if paths == [path] { |path: &Path| File::open(path) } else { bounded::open };
    for path in paths {
        let number = sources.len();
        let (text, told) = match open(&path).map_err(Unreadable::Io).and_then(|file| text(file, &mut left)) {
            Ok(text) => (text, None),
            Err(unreadable) => unreadable.told(number),
        };
        sources.push(Source::new(&path, text));
        match told {
            Some(mistake) => found.add(mistake),
            None => trees.extend(parse(number, &sources[number], &mut allowance, found)),
        }
    }
    let whole = trees.len() == files;
    let root = if files == 1 { trees.pop() } else { Some(merged(trees, found)) };
    (sources, root, whole)
}

/// The files that a path stands for.
fn listed(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: io::Error| format!("cannot be read: {error}");
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let paths = in_directory(path).map_err(failed)?;
    if paths.is_empty() { Err("there is no *.yaml or *.yml in this directory".to_owned()) } else { Ok(paths) }
}

/// `*.yaml` and `*.yml` of a directory, by name. Hidden ones are editors' and mounts' own.
pub(super) fn in_directory(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

enum Unreadable {
    Io(io::Error),
    TooLong,
    NotText(Vec<u8>, usize),
    Control(String, usize, char),
}

impl Unreadable {
    /// What is kept of the text, so that the line can be shown, and the mistake.
    fn told(self, file: usize) -> (String, Option<Mistake>) {
        let (text, at, message) = match self {
            Self::Io(error) => return (String::new(), Some(Mistake::new(Place::file(file), format!("cannot be read: {error}")))),
            Self::TooLong => {
                let message = format!("longer than {}; nobody reads that much", quantity::show_size(LONGEST));
                return (String::new(), Some(Mistake::new(Place::file(file), message)));
            }
            Self::NotText(bytes, at) => (String::from_utf8_lossy(&bytes[..at]).into_owned(), at, "this is not UTF-8 text".to_owned()),
            Self::Control(text, at, char) => (text, at, format!("the character U+{:04X} has no place in a text", char as u32)),
        };
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (text, Some(Mistake::new(Place::new(file, line, column, at, 1), message)))
    }
}

/// The text of a file, without a byte order mark.
fn text(file: File, room: &mut u64) -> Result<String, Unreadable> {
    let mut bytes = bounded::read_to_end(file, *room).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Unreadable::TooLong,
        _ => Unreadable::Io(error),
    })?;
    *room -= bytes.len() as u64;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable::NotText(error.into_bytes(), at)
    })?;
    match text.char_indices().find(|(_, char)| char.is_control() && !matches!(char, '\n' | '\r' | '\t' | '\u{85}')) {
        Some((at, char)) => Err(Unreadable::Control(text, at, char)),
        None => Ok(text),
    }
}

/// Several files as one: their mappings joined, their checks in a row.
fn merged(roots: Vec<Node>, found: &mut Found) -> Node {
    let mut whole = Node::implied(Value::Map(Vec::new()));
    for root in roots {
        match root.value {
            Value::Map(_) => join("", &mut whole, root, found),
            Value::Null | Value::Wrong => {}
            value => found.add(Mistake::new(root.place, format!("the configuration has to be a mapping, not {}", value.describe()))),
        }
    }
    whole
}

/// Joins what two files say of one thing; the whole has no name. It has to be the same, unless both are mappings.
fn join(name: &str, into: &mut Node, from: Node, found: &mut Found) {
    if matches!(from.value, Value::Null | Value::Wrong) {
        return;
    }
    if matches!(into.value, Value::Null) {
        *into = from;
        return;
    }
    let place = into.place;
    match (&mut into.value, from.value) {
        (Value::Wrong, _) => {}
        (Value::Map(entries), Value::Map(more)) => {
            if place == Place::NOWHERE {
                into.place = from.place;
            }
            join_entries(entries, more, name.is_empty(), found);
        }
        (_, value) => {
            let from = Node { place: from.place, value };
            if !into.same(&from) {
                found.add(Mistake::new(from.place, format!("{} has two values", quoted(name))).also("the other is here", place));
            }
        }
    }
}

fn join_entries(entries: &mut Vec<Entry>, more: Vec<Entry>, top: bool, found: &mut Found) {
    let mut known: HashMap<String, usize> = entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
    for entry in more {
        let Some(at) = known.get(&entry.key).copied() else {
            known.insert(entry.key.clone(), entries.len());
            entries.push(entry);
            continue;
        };
        match (&mut entries[at].node.value, entry.node.value) {
            (Value::List(checks), Value::List(more)) if top && entry.key == "checks" => checks.extend(more),
            (_, value) => join(&entry.key, &mut entries[at].node, Node { place: entry.node.place, value }, found),
        }
    }
}
