//! What leaves the agent: records become spans, series and events; requests of OTLP; a queue; a sender.
//!
//! ```text
//! record -> channel -> gather -> (spans, series, events) -> encode -> queue -> sender -> collector
//!                        series -> prometheus
//! ```
//! No stage waits for one further down: a full channel and a full queue count what they cannot take.

pub mod diagnostics;
mod encode;
mod events;
mod farewell;
#[cfg(test)]
mod fake;
mod gather;
mod otlp;
mod prometheus;
mod queue;
mod resource;
#[cfg(test)]
mod sample;
mod sender;
mod series;
mod settings;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{Instant, Timestamp};
use crate::config::{OtlpConfig, SloConfig};
use crate::outcome::{Identity, Record, TraceId};
use crate::vitals::Vitals;

use farewell::{Destination, farewell};
use gather::{Export, Gather};
use queue::{Home, Lane, Rest};
use sender::Transport;
use series::Table;
use settings::{Env, Settings};

/// Records that may wait for the task that takes them.
const RECORDS: usize = 4_096;

/// What has come is written to disk in the end, for at most so long: a disk that hangs does not keep the agent.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What telemetry is started with.
#[derive(Debug)]
pub struct Options {
    /// `export.otlp`; none and no `OTEL_EXPORTER_OTLP_*` = nothing leaves.
    pub otlp: Option<OtlpConfig>,
    /// Values of the secrets that headers name, by name.
    pub secrets: BTreeMap<String, String>,
    /// `service.instance.id`
    pub instance_id: String,
    /// What has not left yet is kept below it; none = in memory only.
    pub state_dir: Option<PathBuf>,
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
pub struct Telemetry(Arc<Running>);

#[derive(Debug)]
struct Running {
    records: mpsc::Sender<Arc<Record>>,
    table: Arc<Mutex<Table>>,
    vitals: Arc<Vitals>,
    /// Traces whose last 63 bits are below this are exported; none if nothing is.
    below: Option<u64>,
    stop: CancellationToken,
    /// When the senders have to be done, once it is known that they have to.
    deadline: Arc<Mutex<Instant>>,
    lanes: Vec<Arc<Lane>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Of the signals that are exported.
    destinations: Vec<Destination>,
}

/// Why telemetry cannot be started.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TelemetryError(pub String);

impl Telemetry {
    /// Starts it; must be called within a tokio runtime.
    pub fn start(options: Options) -> Result<Self, TelemetryError> {
        Self::start_with(options, &Env::of_process())
    }

    fn start_with(options: Options, env: &Env) -> Result<Self, TelemetryError> {
        let Options { otlp, secrets, instance_id, state_dir, probes, vitals } = options;
        let settings = Settings::read(otlp.as_ref(), &secrets, env)?;
        let start = Timestamp::now();
        let mut table = Table::new(start, settings.interval, settings.exponential_histograms);
        for probe in &probes {
            table.load(probe, start);
        }
        let slos: HashMap<_, _> = probes.iter().filter_map(|probe| Some((Arc::clone(&probe.identity), probe.slo?))).collect();
        let table = Arc::new(Mutex::new(table));

        let (finished, finishing) = watch::channel(None);
        let (mut lanes, mut tasks) = (Vec::new(), Vec::new());
        let export = match &settings.routes {
            Some(routes) => {
                let ways = routes.iter().map(|route| Ok((route, Transport::new(route)?))).collect::<Result<Vec<_>, TelemetryError>>()?;
                let home = home(state_dir.as_deref());
                for (route, transport) in ways {
                    let lane = Lane::open(route.signal, home.as_ref(), &vitals);
                    tasks.push(tokio::spawn(sender::deliver(Arc::clone(&lane), transport, finishing.clone())));
                    lanes.push(lane);
                }
                let resource = Arc::new(resource::resource(env, &instance_id));
                let (span_delay, event_delay) = (settings.span_delay, settings.event_delay);
                lanes.clone().try_into().ok().map(|lanes| Export { resource, lanes, span_delay, event_delay })
            }
            None => None,
        };
        let destinations = settings.routes.iter().flatten().map(Destination::of).collect();
        let below = export.as_ref().map(|_| threshold(settings.successes));
        let (records, received) = mpsc::channel(RECORDS);
        let (stop, deadline) = (CancellationToken::new(), Arc::new(Mutex::new(Instant::now())));
        let gather = Gather::new(received, Arc::clone(&table), Arc::clone(&vitals), slos, export);
        tasks.push(tokio::spawn(gather.run(settings.interval, stop.clone(), finished, Arc::clone(&deadline))));
        let tasks = Mutex::new(tasks);
        Ok(Self(Arc::new(Running { records, table, vitals, below, stop, deadline, lanes, tasks, destinations })))
    }

    /// Takes a record. Never waits: what does not fit is counted.
    pub fn record(&self, record: Arc<Record>) {
        match self.0.records.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.0.vitals.records_dropped.increment(),
        }
    }

    /// Whether the trace of a successful run is exported: decided by trace id, before anything is sent. The same ids as
    /// a backend's own sampler of that ratio takes.
    pub fn decide(&self, trace_id: TraceId) -> bool {
        let low = u128::from_be_bytes(trace_id.0) & u128::from(u64::MAX >> 1);
        self.0.below.is_some_and(|below| low < u128::from(below))
    }

    /// The last values of all series and the agent's own, as Prometheus text (format 0.0.4).
    pub fn prometheus(&self) -> String {
        let mut table = self.0.table.lock();
        table.read(&self.0.vitals, Timestamp::now());
        prometheus::render(&table)
    }

    /// Sends what is left, for at most so long, keeps the rest for the next start where it can, and says what was not
    /// delivered. Records that come later are counted as dropped.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        *self.0.deadline.lock() = deadline;
        self.0.stop.cancel();
        let tasks = std::mem::take(&mut *self.0.tasks.lock());
        for mut task in tasks.into_iter().rev() {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
        let rests = futures_util::future::join_all(self.0.lanes.iter().map(|lane| close(lane))).await;
        for line in farewell(&self.0.vitals, self.0.destinations.iter().zip(rests)) {
            tracing::warn!("{line}");
        }
    }
}

/// Where what has not left yet is kept; none if that is in memory.
fn home(state_dir: Option<&Path>) -> Option<Home> {
    let Some(state_dir) = state_dir else {
        tracing::info!("agent.state_dir is off: telemetry that waits for the collector is in memory only, and a restart loses it");
        return None;
    };
    match Home::open(state_dir) {
        Ok(home) => Some(home),
        Err(error) => {
            tracing::warn!("{error}; until then telemetry that waits for the collector is in memory only, and a restart loses it");
            None
        }
    }
}

/// Ends a queue; what is left in it.
async fn close(lane: &Lane) -> Rest {
    tokio::time::timeout(LAST_WRITE, lane.close()).await.unwrap_or_else(|_| {
        tracing::warn!(signal = lane.signal().word(), "the disk of the queue does not answer; what was not written yet is lost");
        lane.rest()
    })
}

/// The bound on the low 63 bits of trace ids that lets a ratio of them pass.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= ratio <= 1, and floats saturate")]
fn threshold(ratio: f64) -> u64 {
    (ratio * (1_u64 << 63) as f64) as u64
}
