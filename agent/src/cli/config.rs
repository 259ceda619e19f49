//! `vedette config`: every mistake at once, the effective configuration, its JSON Schema.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::setup::{self, Opened, StateDir};
use crate::config::{self, Purpose};

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
    match command {
        Command::Check(file) => {
            let config = file.open().await?.loaded.config;
            let probes: usize = config.checks.iter().map(|check| check.targets.len()).sum();
            super::print(&format!("ok: {} checks, {probes} probes\n", config.checks.len()));
        }
        Command::Print(file) => super::print(&config::yaml(&file.open().await?.loaded.effective)),
        Command::Schema => super::print(&format!("{:#}\n", config::schema())),
    }
    Ok(super::OK)
}

impl File {
    async fn open(self) -> anyhow::Result<Opened> {
        let path = self.config.map_or_else(config::find, Ok).map_err(anyhow::Error::msg)?;
        setup::open(&config::read(&path), Purpose::Schedule, StateDir::Configured).await
    }
}
