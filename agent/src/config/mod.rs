//! Text -> Config: every mistake at once, with its place. Takes the plugins' schemas as data, knows no plugin.
//!
//! [`read`] the document whole; it names the plugins; [`Document::judge`] it with their schemas.

mod model;
pub mod quantity;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use model::*;

/// The files of a configuration, merged, with the place of everything in it, and the mistakes found so far.
#[derive(Debug)]
pub struct Document;

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

/// Everything that is wrong, rendered as `file:line:column: message`, the line, a caret, a hint.
#[derive(Clone, Debug, Default)]
pub struct Mistakes;

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not built yet")
    }
}

impl std::error::Error for Mistakes {}

/// Reads a file, or all files of a directory. What cannot be read is a mistake of the document.
pub fn read(_path: &Path) -> Document {
    Document
}

/// The document that `check URL...` amounts to: one check per URL, in order, the same URL once.
pub fn for_urls(_urls: &[String]) -> Document {
    Document
}

impl Document {
    /// Plugins that are declared or named, each once; `http` and `availability` where the default is used.
    pub fn plugins(&self) -> Vec<PluginWanted> {
        Vec::new()
    }

    /// `agent:` as far as it is right, defaults for the rest: what is needed to load plugins.
    pub fn agent(&self) -> AgentConfig {
        AgentConfig {
            location: String::new(),
            listen: None,
            auth: Auth::Unset,
            state_dir: None,
            concurrency: 512,
            log: LogConfig { level: tracing::Level::INFO, json: false, otlp: false },
        }
    }

    /// The configuration, if nothing is wrong.
    pub fn judge(&self, _schemas: &Schemas, _purpose: Purpose) -> Result<Loaded, Mistakes> {
        Err(Mistakes)
    }
}

/// Where `run` looks for a file; the error says where it looked.
pub fn find() -> Result<PathBuf, String> {
    Err(String::new())
}

/// JSON Schema of the whole configuration, for editors.
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}

/// A document as YAML.
pub fn yaml(_effective: &serde_json::Value) -> String {
    String::new()
}

