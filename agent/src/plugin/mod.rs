//! The sandbox: wasmtime lives here only. Compiles plugins, lends them the network, runs them, judges their reports.
//!
//! `load` makes a [`Plugin`] of bytes (through `cache`, `compiler`, `fit`, `manifest`); `attempt` and `summarise` call it, each in a fresh instance in a slot of `engine`,
//! polled by `meter`; `lend` serves its imports; `judge` and `tidy` make of its answer what may leave, with `masks` over known secrets.

mod attempt;
mod bindings;
mod builtin;
mod cache;
mod compiler;
mod convert;
mod engine;
mod fit;
mod judge;
mod lend;
mod limit;
mod load;
mod manifest;
mod masks;
mod meter;
mod summarise;
mod tidy;
mod tuning;
mod wasi;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;
use wasmtime::Engine;
use wasmtime::component::Linker;

use self::cache::Cache;
use self::engine::Ticker;
use self::lend::{Confined, Lent};
use self::load::Loaded;
use crate::clock::{Anchor, Instant, Timestamp};
use crate::network::{Network, Policy};
use crate::outcome::{
    Event, Exchange, Identity, Instrument, Label, Measurement, Outcome, Report, Sli, SpanId, State, Step, Stretch, TraceId,
};
use crate::vitals::Vitals;

pub use self::builtin::{built_in, built_in_component};
pub use self::compiler::{COMMAND as COMPILE_COMMAND, COMPONENT as COMPONENT_LIMIT, child as compile_for_parent, this_program};

/// The most linear memory that any guest may be given, whatever the configuration says, in bytes.
pub const MEMORY_LIMIT: u64 = tuning::MEMORY_LIMIT;

/// The engine with its pool of slots, its cache of compiled plugins and the thread that ticks its epochs. The thread ends with it.
pub struct Host {
    /// Options.
    pub options: HostOptions,
    engine: Engine,
    ticker: Arc<Ticker>,
    cache: Cache,
    /// Of attempts.
    slots: Semaphore,
    /// Of calls that wait for nothing: they never queue behind attempts that wait for their targets.
    quick: Semaphore,
    checkers: Linker<Lent>,
    summarisers: Linker<Confined>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What a host is opened with.
#[derive(Debug)]
pub struct HostOptions {
    /// Attempts at the same time, at most.
    pub slots: u32,
    /// The most linear memory that any guest may be given, in bytes.
    pub max_memory: u64,
    /// Where compiled plugins are kept; none = memory only.
    pub cache: Option<PathBuf>,
    /// The program that is started to compile components, see [`this_program`]; none = they are compiled in this
    /// process, which only what tests itself should do.
    pub compiler: Option<PathBuf>,
    /// What is lent to guests.
    pub network: Network,
    /// Counted here.
    pub vitals: Arc<Vitals>,
}

/// Why a plugin cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PluginError {
    /// The sandbox cannot be opened.
    #[error("the sandbox cannot be opened: {0}")]
    Engine(String),
    /// Not a component, or one that does not fit.
    #[error("plugin `{name}`: {message}")]
    Unusable {
        /// Its name in the configuration.
        name: String,
        /// What, and what to do.
        message: String,
    },
}

impl Host {
    /// Opens the sandbox.
    pub fn new(options: HostOptions) -> Result<Arc<Self>, PluginError> {
        let engine = engine::open(&options)?;
        let linked = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        Ok(Arc::new(Self {
            ticker: Arc::new(Ticker::start(&engine)?),
            cache: Cache::open(options.cache.as_deref(), &engine),
            slots: Semaphore::new(options.slots as usize),
            quick: Semaphore::new(engine::QUICK as usize),
            checkers: load::for_checkers(&engine).map_err(linked)?,
            summarisers: load::for_summarisers(&engine).map_err(linked)?,
            engine,
            options,
        }))
    }

    /// Compiles a component (or finds it compiled), and asks it what it is.
    pub async fn load(self: &Arc<Self>, name: &str, component: &[u8], builtin: bool) -> Result<Plugin, PluginError> {
        self.load_plugin(name, component, builtin).await
    }

    /// Waits for a slot of a call that waits for nothing.
    async fn quick_slot(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        timeout_at(deadline, self.quick.acquire()).await.ok()?.ok()
    }
}

/// What a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `checker`
    Checker,
    /// `summariser`
    Summariser,
}

/// A compiled plugin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugin {
    loaded: Arc<Loaded>,
}

/// What a plugin says of itself, checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// `acme:login-journey`
    pub name: String,
    /// `SemVer`.
    pub version: String,
    /// One line.
    pub summary: String,
    /// JSON Schema of the settings: parsed, an object.
    pub config_schema: serde_json::Value,
    /// Schemes of targets; empty if targets are not URLs.
    pub target_schemes: Vec<String>,
    /// Numbers that it may yield.
    pub measurements: Vec<MeasurementInfo>,
}

/// Declares a measurement.
#[derive(Clone, Debug)]
pub struct MeasurementInfo {
    /// Name.
    pub name: String,
    /// UCUM.
    pub unit: String,
    /// How it is aggregated.
    pub instrument: Instrument,
    /// For people.
    pub description: String,
}

/// What a plugin may use in one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: u64,
    /// CPU time.
    pub cpu: Duration,
    /// Exchanges.
    pub exchanges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 64 << 20, cpu: Duration::from_millis(100), exchanges: 16 }
    }
}

/// What the operator grants to one check.
#[derive(Clone, Debug)]
pub struct Grants {
    /// Where it may connect to.
    pub policy: Policy,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Files by handle.
    pub files: BTreeMap<String, PathBuf>,
}

/// A secret that a check may use.
#[derive(Clone)]
pub struct Secret {
    /// Never enters a guest, never shown.
    pub value: Vec<u8>,
    /// Where it may be sent to.
    pub send_to: Vec<url::Origin>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("send_to", &self.send_to).finish_non_exhaustive()
    }
}

/// One attempt, as it is asked for.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which probe.
    pub probe: Arc<Identity>,
    /// The target's address as the operator wrote it.
    pub address: Arc<str>,
    /// The target's own labels.
    pub target_labels: Arc<[Label]>,
    /// Settings as JSON text.
    pub settings: Arc<str>,
    /// The run.
    pub trace_id: TraceId,
    /// The span that steps and exchanges stand below.
    pub parent: SpanId,
    /// What `traceparent` says.
    pub sampled: bool,
    /// Whether targets get `traceparent` at all.
    pub propagate: bool,
    /// When the run was meant to start.
    pub scheduled_at: Timestamp,
    /// When it did.
    pub anchor: Anchor,
    /// Of this attempt.
    pub timeout: Duration,
    /// 1 for the first.
    pub attempt: u32,
    /// What it may reach and use.
    pub grants: Arc<Grants>,
    /// How much it may use.
    pub limits: Limits,
    /// What it kept of earlier runs.
    pub state: BTreeMap<String, Vec<u8>>,
}

/// What an attempt came to. Faults of plugin or agent are reports, never errors.
#[derive(Clone, Debug)]
pub struct Called {
    /// Judged, capped, masked.
    pub report: Report,
    /// Steps, closed.
    pub steps: Vec<Step>,
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// From its start to its end.
    pub stretch: Stretch,
    /// Writes to keep, if it returned a report and wrote: the whole state.
    pub state: Option<BTreeMap<String, Vec<u8>>>,
}

/// What a summariser is given: `input` of the plugin interface.
#[derive(Clone, Debug)]
pub struct SummaryInput {
    /// Which probe.
    pub probe: Arc<Identity>,
    /// The target's own labels.
    pub target_labels: Arc<[Label]>,
    /// The moment of evaluation.
    pub now: Timestamp,
    /// Shortest first.
    pub windows: Arc<[Duration]>,
    /// New ones, oldest first.
    pub outcomes: Vec<Arc<Outcome>>,
    /// What the last call returned.
    pub previous: Option<Previous>,
}

/// What the last call of a summariser returned.
#[derive(Clone, Debug)]
pub struct Previous {
    /// When.
    pub at: Timestamp,
    /// Version of the plugin that returned it.
    pub version: String,
    /// State.
    pub state: State,
    /// When that state was entered.
    pub since: Timestamp,
    /// Handed back.
    pub memory: Vec<u8>,
}

/// What a summariser returned, judged.
#[derive(Clone, Debug)]
pub struct Summarised {
    /// State.
    pub state: State,
    /// For people.
    pub message: String,
    /// Indicators.
    pub slis: Vec<Sli>,
    /// Derived numbers.
    pub measurements: Vec<Measurement>,
    /// Events.
    pub events: Vec<Event>,
    /// For `Previous`.
    pub memory: Vec<u8>,
}

impl Plugin {
    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.loaded.manifest
    }

    /// What it exports.
    pub fn kind(&self) -> Kind {
        self.loaded.guest.kind()
    }

    /// Whether it is embedded in the binary.
    pub fn builtin(&self) -> bool {
        self.loaded.builtin
    }

    /// SHA-256 of the component, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.loaded.digest
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.loaded.size
    }

    /// Makes one attempt in a fresh instance. Ends at the attempt's timeout, and 50 ms later whatever the guest does.
    pub async fn run(&self, call: Call) -> Called {
        self.loaded.attempt(call).await
    }

    /// Summarises, in a fresh instance. What goes wrong is a report of plugin or agent at fault.
    pub async fn summarise(&self, input: SummaryInput, settings: &str) -> Result<Summarised, Report> {
        self.loaded.summary(input, settings).await
    }
}
