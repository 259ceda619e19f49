//! `vedette plugin`: which plugins there are, and what one says of itself.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use super::output;
use crate::config::{self, Document, PluginWanted, visible};
use crate::plan::{self, Catalogue};
use crate::plugin::{Kind, Plugin};
use crate::store::Store;
use crate::vitals::Vitals;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Built-in plugins, and those that a configuration declares.
    List {
        /// A configuration file, or a directory of them.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// What a plugin says of itself, and the schema of its settings.
    Inspect {
        /// Name of a plugin, or path of a component.
        #[arg(value_name = "NAME|FILE")]
        plugin: String,
        /// The configuration that declares it.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(super) async fn plugin(command: Command) -> anyhow::Result<u8> {
    super::logging::quiet();
    let (Command::List { config } | Command::Inspect { config, .. }) = &command;
    let document = config.as_deref().map_or_else(|| config::for_urls(&[]), config::read);
    let catalogue = Catalogue::open(1, &Store::open(document.agent().state_dir.as_deref()), &Arc::new(Vitals::default()))?;
    let text = match command {
        Command::List { .. } => list(&catalogue, &document).await,
        Command::Inspect { plugin, .. } => inspect(&catalogue, &document, &plugin).await,
    }?;
    Ok(output::print(&text, super::OK))
}

async fn list(catalogue: &Catalogue, document: &Document) -> anyhow::Result<String> {
    // A component that is not there is a mistake of the file, told with its place like any other.
    document.judge_plugins(&catalogue.schemas(document).await)?;
    let mut text = format!("{:<16}  {:<10}  {:<10}  {:<8}  {}\n", "NAME", "KIND", "SOURCE", "VERSION", "SUMMARY");
    let built_in = plan::built_in().map(|name| PluginWanted { name: name.to_owned(), source: None });
    let declared = document.plugins().into_iter().filter(|wanted| wanted.source.is_some());
    for PluginWanted { name, source } in built_in.chain(declared) {
        let plugin = catalogue.plugin(&name, source.as_deref()).await?;
        let (from, manifest) = (from(&plugin), plugin.manifest());
        let (version, summary) = (visible::line(&manifest.version), visible::line(&manifest.summary));
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<16}  {:<10}  {from:<10}  {version:<8}  {summary}", kind(&plugin));
    }
    Ok(text)
}

async fn inspect(catalogue: &Catalogue, document: &Document, name: &str) -> anyhow::Result<String> {
    // Whoever looks up how a setting is written need not have written everything right.
    document.is_readable()?;
    let declared = document.plugins().into_iter().find(|wanted| wanted.name == name).and_then(|wanted| wanted.source);
    let by_path = || Some(PathBuf::from(name)).filter(|path| path.is_file() && !plan::built_in().any(|other| other == name));
    let source = declared.or_else(by_path);
    let plugin = catalogue.plugin(name, source.as_deref().map(Path::new)).await?;
    Ok(describe(&plugin))
}

fn describe(plugin: &Plugin) -> String {
    let manifest = plugin.manifest();
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<10} {}", visible::line(&value.to_string()));
    };
    line("name", &manifest.name);
    line("version", &manifest.version);
    line("summary", &manifest.summary);
    line("kind", &kind(plugin));
    line("source", &from(plugin));
    line("digest", &format_args!("sha256:{}", plugin.digest()));
    line("size", &format_args!("{} bytes", plugin.size()));
    if !manifest.target_schemes.is_empty() {
        line("targets", &manifest.target_schemes.join(", "));
    }
    for measurement in &manifest.measurements {
        let unit = if measurement.unit.is_empty() { String::new() } else { format!(" in {}", measurement.unit) };
        line("measures", &format_args!("{} ({}{unit}): {}", measurement.name, measurement.instrument, measurement.description));
    }
    let schema = format!("{:#}", manifest.config_schema);
    let _ = writeln!(text, "settings   (JSON Schema)\n{}", visible::json(&schema));
    text
}

fn from(plugin: &Plugin) -> &'static str {
    if plugin.builtin() { "built-in" } else { "file" }
}

fn kind(plugin: &Plugin) -> &'static str {
    match plugin.kind() {
        Kind::Checker => "checker",
        Kind::Summariser => "summariser",
    }
}
