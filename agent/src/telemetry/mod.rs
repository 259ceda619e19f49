//! What leaves the agent: records become spans, series and events; requests of OTLP; a queue; a sender.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{OtlpConfig, SloConfig};
use crate::outcome::{Identity, Record, TraceId};
use crate::vitals::Vitals;

/// What telemetry is started with.
#[derive(Debug)]
pub struct Options {
    /// `export.otlp`; none and no `OTEL_EXPORTER_OTLP_*` = nothing leaves.
    pub otlp: Option<OtlpConfig>,
    /// Values of the secrets that headers name, by name.
    pub secrets: BTreeMap<String, String>,
    /// `service.instance.id`
    pub instance_id: String,
    /// What is watched.
    pub probes: Vec<ProbeSeries>,
    /// About the agent itself.
    pub vitals: Arc<Vitals>,
}

/// What has to be known of a probe before its first run.
#[derive(Clone, Debug)]
pub struct ProbeSeries {
    /// Which.
    pub identity: Arc<Identity>,
    /// Of the summary.
    pub windows: Arc<[Duration]>,
    /// Its objective.
    pub slo: Option<SloConfig>,
}

/// Running telemetry. Clones share it.
#[derive(Clone, Debug)]
pub struct Telemetry;

/// Why telemetry cannot be started.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TelemetryError(pub String);

impl Telemetry {
    /// Starts it; must be called within a tokio runtime.
    pub fn start(_options: Options) -> Result<Self, TelemetryError> {
        Ok(Self)
    }

    /// Takes a record. Never waits: what does not fit is counted.
    pub fn record(&self, _record: Arc<Record>) {}

    /// Whether the trace of a successful run is exported: decided by trace id, before anything is sent.
    pub fn decide(&self, _trace_id: TraceId) -> bool {
        true
    }

    /// The last values of all series and the agent's own, as Prometheus text (format 0.0.4).
    pub fn prometheus(&self) -> String {
        String::new()
    }

    /// Sends what is left, for at most so long.
    #[expect(clippy::unused_async, reason = "a skeleton")]
    pub async fn shutdown(&self, _grace: Duration) {}
}
