//! Text -> Config: every mistake at once, with its place. Takes the plugins' schemas as data, knows no plugin.
//!
//! [`read`] the document whole; it names the plugins; [`Document::judge`] it with their schemas. Within, data flows one
//! way: `files` and `parse` make a tree with places, `fill` holds it against the table of `keys`, `judge` and its
//! neighbours make of it what the agent reads.

mod address;
mod budget;
mod checks;
mod files;
mod fill;
mod judge;
mod keys;
mod kind;
mod locate;
mod mistake;
mod model;
mod parse;
pub mod quantity;
mod scalar;
mod schema;
mod sections;
mod settings;
mod substitute;
mod tree;
pub mod visible;
mod yaml;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use mistake::{Found, Source};
use tree::{Node, Value};

pub use address::masked;
pub use budget::{budget, longest_pause};
pub use keys::MOST_RETRIES;
pub use locate::find;
pub use mistake::{Mistakes, meant};
pub use model::*;
pub use schema::schema;
pub use yaml::yaml;

/// Names of the plugins that are embedded in the binary: always there, and no name for another.
pub const BUILTIN: &[&str] = &["http", "availability"];

/// The files of a configuration, merged, with the place of everything in it, and the mistakes found so far.
#[derive(Debug)]
pub struct Document {
    sources: Vec<Source>,
    /// Filled; none if what the files say is not known whole.
    tree: Option<Node>,
    found: Found,
}

/// A plugin that the document wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginWanted {
    /// Its name in the configuration.
    pub name: String,
    /// The file it comes from; none = built in.
    pub source: Option<PathBuf>,
}

/// What is known of a plugin when the settings are judged.
#[derive(Clone, Debug)]
pub struct PluginSchema {
    /// A summariser; otherwise a checker.
    pub summariser: bool,
    /// JSON Schema of its settings.
    pub schema: serde_json::Value,
    /// Schemes of targets; empty if targets are not URLs.
    pub target_schemes: Vec<String>,
}

/// Schemas by the name of the plugin, or why there is none.
pub type Schemas = BTreeMap<String, Result<PluginSchema, String>>;

/// What differs between commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `run`, `config`: the budget of a run has to fit into its interval.
    Schedule,
    /// `check`: nobody looks at intervals.
    Once,
}

/// A configuration that has been found right.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the agent reads.
    pub config: Config,
    /// The same as one document, defaults filled in: what `config print` shows.
    pub effective: serde_json::Value,
}

/// Reads a file, or all files of a directory. What cannot be read is a mistake of the document.
pub fn read(path: &Path) -> Document {
    let mut found = Found::default();
    let (sources, root, whole) = files::load(path, &mut found);
    // What stands in the files that could be read is held against the table all the same: all mistakes leave together.
    let tree = root.map(|root| fill::fill(root, &sources, whole, &mut found)).filter(|_| whole);
    Document { sources, tree, found }
}

/// The document that `check URL...` amounts to: one check per URL, in order, the same URL once.
pub fn for_urls(urls: &[String]) -> Document {
    let mut seen = HashSet::new();
    let urls: Vec<&str> = urls.iter().map(String::as_str).filter(|url| seen.insert(address::canonical(url))).collect();
    let checks = urls.iter().zip(address::names(&urls)).enumerate().map(|(number, (url, name))| {
        // What is no URL is told as such, not as a name that no name can be.
        let name = if url::Url::parse(url).is_ok() { name } else { format!("argument {}", number + 1) };
        Node::mapping([("name", Value::Text(name)), ("target", Value::Text((*url).to_owned()))])
    });
    // All of them at the same time.
    let agent = Node::mapping([("concurrency", Value::Number(urls.len().clamp(1, keys::MOST_AT_ONCE as usize).into()))]);
    let root = Node::mapping([("agent", agent.value), ("checks", Value::List(checks.collect()))]);
    let mut found = Found::default();
    let tree = Some(fill::fill(root, &[], true, &mut found));
    Document { sources: Vec::new(), tree, found }
}

impl Document {
    /// Plugins that are declared or named, each once; `http` and `availability` where the default is used. A name that
    /// is neither declared nor built in is a mistake and not among them.
    pub fn plugins(&self) -> Vec<PluginWanted> {
        let Some(tree) = &self.tree else { return Vec::new() };
        let declared = tree.get("plugins").into_iter().flat_map(Node::entries).filter_map(|entry| {
            let source = entry.node.path("source")?.to_owned();
            (!BUILTIN.contains(&entry.key.as_str())).then(|| PluginWanted { name: entry.key.clone(), source: Some(source) })
        });
        let checks = || tree.get("checks").into_iter().flat_map(Node::items);
        let named = checks().filter_map(|check| check.text("plugin"));
        let summarisers = checks().filter_map(|check| check.get("summary")?.text("plugin"));
        let used: HashSet<&str> = named.chain(summarisers).collect();
        let builtin = BUILTIN.iter().filter(|name| used.contains(**name));
        let builtin = builtin.map(|name| PluginWanted { name: (*name).to_owned(), source: None });
        builtin.chain(declared).collect()
    }

    /// `agent:` as far as it is right, defaults for the rest: what is needed to load plugins.
    pub fn agent(&self) -> AgentConfig {
        sections::agent(self.tree.as_ref().and_then(|tree| tree.get("agent")))
    }

    /// Whether it could be read, whatever it says.
    pub fn is_readable(&self) -> Result<(), Mistakes> {
        if self.tree.is_some() { Ok(()) } else { Err(self.found.clone().render(&self.sources)) }
    }

    /// The form of the document, and the plugins that it declares: what is needed to list them.
    pub fn judge_plugins(&self, schemas: &Schemas) -> Result<(), Mistakes> {
        let mut found = self.found.clone();
        if let Some(tree) = &self.tree {
            sections::plugins(tree, schemas, &mut found);
        }
        if found.is_empty() { Ok(()) } else { Err(found.render(&self.sources)) }
    }

    /// The configuration, if nothing is wrong.
    pub fn judge(&self, schemas: &Schemas, purpose: Purpose) -> Result<Loaded, Mistakes> {
        let mut found = self.found.clone();
        let loaded = self.tree.as_ref().and_then(|tree| judge::judge(tree, &self.sources, schemas, purpose, &mut found));
        loaded.filter(|_| found.is_empty()).ok_or_else(|| found.render(&self.sources))
    }
}
