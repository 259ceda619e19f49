//! `vedette run`: the agent.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::setup::{self, StateDir};
use crate::agent::{self, Setup};
use crate::config::{self, AgentConfig, Purpose};
use crate::plan;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A configuration file, or a directory of them [default: ./vedette.yaml, then the user's, then /etc/vedette/].
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<u8> {
    let path = arguments.config.map_or_else(config::find, Ok).map_err(anyhow::Error::msg)?;
    watch(path).await
}

/// Watches what a file says until SIGTERM, SIGINT or SIGHUP; a second signal ends at once.
pub(super) async fn watch(path: PathBuf) -> anyhow::Result<u8> {
    let document = config::read(&path);
    let mut diagnostics = super::logging::start(&document.agent().log);
    let opened = setup::open(&document, Purpose::Schedule, StateDir::Configured).await?;
    let config = opened.loaded.config;
    let secrets = plan::secret_values(&config)?;
    if let Some(diagnostics) = &mut diagnostics {
        diagnostics.start(config.otlp.as_ref(), &agent::texts(&secrets), &opened.store.instance_id())?;
    }
    let plan = plan::build(&config, &opened.catalogue, &secrets).await?;
    let listener = listen(&config.agent).await?;
    let stop = CancellationToken::new();
    tokio::spawn(until_signalled(stop.clone()));
    let ended = agent::run(Setup { config, plan, secrets, store: opened.store, vitals: Arc::clone(&opened.vitals), listener }, stop).await;
    if let Some(diagnostics) = diagnostics {
        diagnostics.end().await;
    }
    ended.map(|()| super::OK)
}

/// A port that is taken is said before anything runs.
async fn listen(agent: &AgentConfig) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = agent.listen else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| format!("cannot listen on {address}; change agent.listen, or end what holds the port"))
}

async fn until_signalled(stop: CancellationToken) {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = kinds.map(signal) else {
        return tracing::error!("signals cannot be received; only SIGKILL will end this agent");
    };
    for again in [false, true] {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, _ = hangup.recv() => {} }
        if again {
            std::process::exit(i32::from(super::NO_VERDICT));
        }
        tracing::info!("stopping: runs in flight end, what is left is sent; a second signal ends at once");
        stop.cancel();
    }
}
