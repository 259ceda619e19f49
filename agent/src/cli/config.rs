//! `vedette config`: every mistake at once, the effective configuration, its JSON Schema.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output;
use super::setup::{self, Opened, StateDir};
use crate::config::{self, Purpose, visible};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what is wrong, all of it; exit 0 if nothing is.
    Check(File),
    /// The effective configuration, defaults filled in.
    Print(File),
    /// JSON Schema of the configuration, for editors.
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct File {
    /// A configuration file, or a directory of them [default: as for `run`].
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn config(command: Command) -> anyhow::Result<u8> {
    super::logging::quiet();
    let text = match command {
        Command::Check(file) => {
            let path = file.path()?;
            let config = open(&path).await?.loaded.config;
            let probes: usize = config.checks.iter().map(|check| check.targets.len()).sum();
            format!(
                "ok: {}: {}, {}\n",
                visible::line(&path.to_string_lossy()),
                count(config.checks.len(), "check"),
                count(probes, "target")
            )
        }
        Command::Print(file) => config::yaml(&open(&file.path()?).await?.loaded.effective),
        Command::Schema => format!("{:#}\n", config::schema()),
    };
    Ok(output::print(&text, super::OK))
}

impl File {
    fn path(self) -> anyhow::Result<PathBuf> {
        self.config.map_or_else(config::find, Ok).map_err(anyhow::Error::msg)
    }
}

async fn open(path: &Path) -> anyhow::Result<Opened> {
    setup::open(&config::read(path), Purpose::Schedule, StateDir::Configured).await
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
