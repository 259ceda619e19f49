//! `vedette plugin`: which plugins there are, and what one says of itself.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use crate::config;
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
    let declared: Vec<(String, PathBuf)> =
        document.plugins().into_iter().filter_map(|wanted| Some((wanted.name, wanted.source?))).collect();
    match command {
        Command::List { .. } => list(&catalogue, &declared).await,
        Command::Inspect { plugin, .. } => inspect(&catalogue, &declared, &plugin).await,
    }
}

async fn list(catalogue: &Catalogue, declared: &[(String, PathBuf)]) -> anyhow::Result<u8> {
    let mut text = format!("{:<16}  {:<10}  {:<10}  {:<8}  {}\n", "NAME", "KIND", "SOURCE", "VERSION", "SUMMARY");
    let mut code = super::OK;
    let all = plan::built_in().map(|name| (name, None)).chain(declared.iter().map(|(name, path)| (name.as_str(), Some(path.as_path()))));
    for (name, source) in all {
        let (from, loaded) = (source.map_or("built-in", |_| "file"), catalogue.plugin(name, source).await);
        // Writing to a `String` cannot fail.
        let _ = match &loaded {
            Ok(plugin) => {
                let manifest = plugin.manifest();
                writeln!(text, "{name:<16}  {:<10}  {from:<10}  {:<8}  {}", kind(plugin), manifest.version, manifest.summary)
            }
            Err(error) => {
                code = super::NO_VERDICT;
                writeln!(text, "{name:<16}  {:<10}  {from:<10}  {:<8}  {error}", "-", "-")
            }
        };
    }
    super::print(&text);
    Ok(code)
}

async fn inspect(catalogue: &Catalogue, declared: &[(String, PathBuf)], name: &str) -> anyhow::Result<u8> {
    let by_name = declared.iter().find(|(other, _)| other == name).map(|(_, path)| path.as_path());
    let by_path = Some(Path::new(name)).filter(|path| path.is_file() && !plan::built_in().any(|other| other == name));
    let plugin = catalogue.plugin(name, by_name.or(by_path)).await?;
    super::print(&describe(&plugin));
    Ok(super::OK)
}

fn describe(plugin: &Plugin) -> String {
    let manifest = plugin.manifest();
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line("name", &manifest.name);
    line("version", &manifest.version);
    line("summary", &manifest.summary);
    line("kind", &kind(plugin));
    line("source", &if plugin.builtin() { "built-in" } else { "file" });
    line("digest", &format_args!("sha256:{}", plugin.digest()));
    line("size", &format_args!("{} bytes", plugin.size()));
    if !manifest.target_schemes.is_empty() {
        line("targets", &manifest.target_schemes.join(", "));
    }
    for measurement in &manifest.measurements {
        let unit = if measurement.unit.is_empty() { String::new() } else { format!(" in {}", measurement.unit) };
        line("measures", &format_args!("{} ({}{unit}): {}", measurement.name, measurement.instrument, measurement.description));
    }
    let _ = writeln!(text, "settings   (JSON Schema)\n{:#}", manifest.config_schema);
    text
}

fn kind(plugin: &Plugin) -> &'static str {
    match plugin.kind() {
        Kind::Checker => "checker",
        Kind::Summariser => "summariser",
    }
}
