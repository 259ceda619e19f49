//! The status page, the API, /metrics, /healthz, /readyz.

use std::sync::Arc;
use std::time::Duration;

use crate::config::SloConfig;
use crate::outcome::{Identity, Record};
use crate::vitals::Vitals;

/// What is known of a probe before its first run.
#[derive(Clone, Debug)]
pub struct ProbeInfo {
    /// Which.
    pub identity: Arc<Identity>,
    /// Settings as JSON text, secrets by name.
    pub settings: Arc<str>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Further attempts.
    pub retries: u32,
    /// Of the summary, shortest first.
    pub windows: Arc<[Duration]>,
    /// Its objective.
    pub slo: Option<SloConfig>,
}

/// The recent past of every probe, as the page shows it. Clones share it.
#[derive(Clone, Debug)]
pub struct Board;

impl Board {
    /// An empty one, for probes in the order of the configuration.
    pub fn new(_location: &str, _probes: Vec<ProbeInfo>) -> Self {
        Self
    }

    /// Takes a record. Never waits.
    pub fn record(&self, _record: &Arc<Record>) {}
}

/// Who may see what.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everything to everybody who can connect: loopback, or `auth: none`.
    Open,
    /// `/healthz` and `/readyz` only.
    HealthOnly,
    /// The rest to whoever shows the token.
    Token(String),
}

/// Text of `/metrics`.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub struct Service {
    /// The page's data.
    pub board: Board,
    /// Who may see it.
    pub access: Access,
    /// Text of `/metrics`.
    pub metrics: Metrics,
    /// The agent itself.
    pub vitals: Arc<Vitals>,
}

/// Serves until `stop` ends; open connections get a moment to finish.
#[expect(clippy::unused_async, reason = "a skeleton")]
pub async fn serve(_listener: tokio::net::TcpListener, _service: Service, _stop: tokio_util::sync::CancellationToken) {}
