//! What a run yields: the vocabulary that everyone shares.
//!
//! Data only. The network fills [`Exchange`]s, the plugin host [`Attempt`]s, the runner [`Outcome`]s and the
//! summary stage [`Record`]s; telemetry, the status page and the command line read them.

mod exchange;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Instant, Timestamp};

pub use exchange::{Certificate, Exchange, HttpVersion, Phases, Stretch, TlsInfo};
pub use words::{ErrorType, Instrument, Phase, RunResult, Severity, State, Trigger};

/// W3C trace id; also the id of the run. Never all zeroes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// W3C span id. Never all zeroes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(rand::random::<u128>().max(1).to_be_bytes())
    }

    /// The 32 lower-case hexadecimal digits of `text`, if that is what it is.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
        let id = shape.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        (id != 0).then(|| Self(id.to_be_bytes()))
    }
}

impl SpanId {
    /// A fresh one.
    pub fn random() -> Self {
        Self(rand::random::<u64>().max(1).to_be_bytes())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name and its text: a label of a check or of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Letters, digits, `_`, `.`, `-`.
    pub name: String,
    /// Any text.
    pub value: String,
}

/// Whether a name of a label, an attribute or an event is the agent's own, so that neither operator nor plugin may give it.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("synthetic.") || name.starts_with("vedette.") || name == "error.type"
}

/// Which probe: one check on one target at one location. The key of every series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The check's name.
    pub check: String,
    /// The target's name.
    pub target: String,
    /// What a person calls it: `check`, or `check/target` where a check has several.
    pub service: String,
    /// The target's address as it is shown: user information masked.
    pub address: String,
    /// Where this agent stands.
    pub location: String,
    /// The check's labels and the target's, the target's winning; sorted by name.
    pub labels: Vec<Label>,
    /// Name of the plugin in the configuration.
    pub plugin: String,
    /// Version of the plugin, as it says itself.
    pub plugin_version: String,
    /// SHA-256 of the component, hexadecimal.
    pub plugin_digest: String,
    /// `service.peer.name` on the spans.
    pub peer_service: Option<String>,
    /// Between two scheduled runs.
    pub every: Duration,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Real(f64),
    /// Several texts.
    Texts(Vec<String>),
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// `[a-z][a-z0-9_.]{0,127}`.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A step that the plugin opened.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its span.
    pub span_id: SpanId,
    /// The span within which it was opened.
    pub parent: SpanId,
    /// Its name.
    pub name: String,
    /// From begin to finish.
    pub stretch: Stretch,
    /// What the plugin said of it; false if it was never finished.
    pub succeeded: bool,
    /// For people.
    pub message: Option<String>,
    /// What the plugin noted.
    pub attributes: Vec<Attribute>,
}

/// One thing that was expected, and whether it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The word of the configuration.
    pub name: String,
    /// Whether it held.
    pub met: bool,
    /// Degrades instead of failing.
    pub soft: bool,
    /// What was expected and what came.
    pub detail: String,
}

/// One number that a run yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Without the prefix `synthetic.plugin.`.
    pub name: String,
    /// UCUM.
    pub unit: String,
    /// How it is aggregated.
    pub instrument: Instrument,
    /// Finite.
    pub value: f64,
    /// Dimensions.
    pub attributes: Vec<Attribute>,
}

/// Something noteworthy at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// A stable identifier.
    pub name: String,
    /// For people.
    pub message: String,
    /// Facts.
    pub attributes: Vec<Attribute>,
}

/// What one attempt came to, as plugin and host agree.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Error type; none with success.
    pub error_type: Option<ErrorType>,
    /// One line for people. Never empty, no control characters.
    pub message: String,
    /// Everything that was expected.
    pub expectations: Vec<Expectation>,
    /// Numbers.
    pub measurements: Vec<Measurement>,
    /// Events.
    pub events: Vec<Event>,
    /// Facts about the run.
    pub attributes: Vec<Attribute>,
    /// Another attempt is worth making: not before so long, if the target said.
    pub retry: Option<RetryAdvice>,
}

/// The failure may be gone in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAdvice {
    /// Not before so long, as the target asked.
    pub after: Option<Duration>,
}

impl Report {
    /// Success, or what the error type makes.
    pub fn result(&self) -> RunResult {
        self.error_type.map_or(RunResult::Success, ErrorType::result)
    }

    /// A report of plugin or agent at fault: data, not an error.
    pub fn fault(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type: Some(error_type), message: message.into(), ..Self::default() }
    }
}

/// One attempt of a run.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its span; the root's where the run has one attempt only.
    pub span_id: SpanId,
    /// From its start to its end.
    pub stretch: Stretch,
    /// What it came to.
    pub report: Report,
    /// Steps that the plugin opened.
    pub steps: Vec<Step>,
    /// Exchanges on the wire.
    pub exchanges: Vec<Exchange>,
}

/// What a run yielded. The single source of spans, metrics and events.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which probe.
    pub probe: Arc<Identity>,
    /// Increases by one with each scheduled run of this probe.
    pub sequence: u64,
    /// How many planned runs this stands for: 1, or more where several in a row were skipped for one reason.
    pub runs: u64,
    /// The run's id is its trace id.
    pub trace_id: TraceId,
    /// The root span.
    pub root: SpanId,
    /// Whether the target was told that this trace is kept.
    pub sampled: bool,
    /// Why it took place.
    pub trigger: Trigger,
    /// When the schedule meant it to start.
    pub scheduled_at: Timestamp,
    /// When it did, on both clocks.
    pub anchor: crate::clock::Anchor,
    /// When it ended.
    pub ended: Instant,
    /// What it came to.
    pub result: RunResult,
    /// Why; none with success.
    pub error_type: Option<ErrorType>,
    /// One line for people.
    pub message: String,
    /// 1..n; none if it was skipped, or the plugin was not asked because of its quarantine.
    pub attempts: Vec<Attempt>,
    /// The plugin is in quarantine after this run: nothing is known of the target.
    pub quarantined: bool,
}

impl Outcome {
    /// The last attempt, whose facts are the run's.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The final exchange of the last attempt.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.last()?.exchanges.last()
    }

    /// Of the successful attempt, from its start to the last byte.
    pub fn latency(&self) -> Option<Duration> {
        let attempt = self.last().filter(|_| self.result == RunResult::Success)?;
        let end = attempt.exchanges.last().map_or(attempt.stretch.end, |exchange| exchange.stretch.end);
        Some(end.saturating_duration_since(attempt.stretch.start))
    }

    /// How long one phase took in the last attempt, summed over its exchanges.
    pub fn phase(&self, phase: Phase) -> Option<Duration> {
        Phases::sum(&self.last()?.exchanges, phase)
    }

    /// Expectations of the last attempt that were not met: hard or soft ones.
    pub fn unmet(&self, soft: bool) -> impl Iterator<Item = &Expectation> {
        let all = self.last().map(|attempt| attempt.report.expectations.as_slice()).unwrap_or_default();
        all.iter().filter(move |expectation| !expectation.met && expectation.soft == soft)
    }

    /// When the run ended, on the wall clock.
    pub fn ended_at(&self) -> Timestamp {
        self.anchor.timestamp(self.ended)
    }

    /// How long it took, attempts and pauses.
    pub fn length(&self) -> Duration {
        self.ended.saturating_duration_since(self.anchor.instant())
    }

    /// How much later than planned it started.
    pub fn lateness(&self) -> Duration {
        self.anchor.wall().since(self.scheduled_at)
    }
}

/// One indicator over one window: good out of valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sli {
    /// `availability`, `latency`.
    pub name: String,
    /// Length of the window.
    pub window: Duration,
    /// Good ones.
    pub good: u64,
    /// Valid ones.
    pub valid: u64,
}

/// What the summariser made of the recent outcomes.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The state.
    pub state: State,
    /// When it was entered.
    pub since: Timestamp,
    /// For people.
    pub message: String,
    /// Indicators per window.
    pub slis: Vec<Sli>,
    /// Derived numbers, such as quantiles of latency.
    pub measurements: Vec<Measurement>,
    /// Events.
    pub events: Vec<Event>,
}

/// The state became another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// How many runs in a row had results like the last one.
    pub consecutive: u32,
}

/// An outcome together with what it made of its probe's state. What telemetry and the page are fed with.
#[derive(Clone, Debug)]
pub struct Record {
    /// What happened.
    pub outcome: Arc<Outcome>,
    /// What it means.
    pub summary: Arc<Summary>,
    /// If the state became another one by it.
    pub change: Option<StateChange>,
    /// The end of the last success, this one included; none if never seen.
    pub last_success: Option<Timestamp>,
}
