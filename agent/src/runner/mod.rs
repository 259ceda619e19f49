//! Due -> Outcome: who may start, the attempts of a run, what a guest keeps between runs.
//!
//! A probe never runs twice at the same time, and no more probes run at the same time than the operator allows. Who
//! cannot start says why (`late`, `capacity`) and is counted; nobody waits in a queue that grows.

mod attempts;
mod quarantine;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Anchor, Instant, Timestamp};
use crate::outcome::{Attempt, ErrorType, Event, Outcome, Severity, TraceId, Trigger};
use crate::plan::Probe;
use crate::plugin::Call;
use crate::store::Store;
use crate::vitals::Vitals;

use attempts::{Start, Try};
use quarantine::{Change, Conduct};

pub use crate::config::budget;

/// A guest has so much more to say what came of an attempt whose time is over. A run that is still within it when
/// the next one is due delays that by as much.
pub const LAST_WORDS: Duration = Duration::from_millis(50);

/// Events of the agent: a probe's plugin is not asked any more, or is again.
const QUARANTINED: &str = "synthetic.plugin.quarantined";
const RELEASED: &str = "synthetic.plugin.released";

/// Runs probes.
#[derive(Debug)]
pub struct Runner {
    lanes: Vec<Arc<Lane>>,
    permits: Arc<Semaphore>,
    store: Store,
    vitals: Arc<Vitals>,
}

/// What is known of one probe between its runs.
#[derive(Debug)]
struct Lane {
    probe: Arc<Probe>,
    /// One permit: taken while the probe runs.
    free: Arc<Semaphore>,
    sequence: AtomicU64,
    /// When the run in flight has to have ended.
    ends_by: Mutex<Option<Instant>>,
    /// How the plugin has behaved of late.
    conduct: Mutex<Conduct>,
    /// What the guest keeps; read from the store before the first run.
    state: Mutex<Option<BTreeMap<String, Vec<u8>>>>,
}

/// A run that may start. Dropping it makes room for others.
#[derive(Debug)]
pub struct Admitted {
    lane: Arc<Lane>,
    _free: OwnedSemaphorePermit,
    _permit: OwnedSemaphorePermit,
}

/// Why and when a run takes place.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// What asked for it.
    pub trigger: Trigger,
    /// When it was meant to start.
    pub scheduled_at: Timestamp,
    /// The run's id.
    pub trace_id: TraceId,
    /// Whether a success would be exported as a trace.
    pub sampled: bool,
}

impl Runner {
    /// For these probes, so many of them at the same time.
    pub fn new(probes: &[Arc<Probe>], concurrency: u32, store: Store, vitals: Arc<Vitals>) -> Self {
        let lane = |probe: &Arc<Probe>| {
            Arc::new(Lane {
                probe: Arc::clone(probe),
                free: Arc::new(Semaphore::new(1)),
                sequence: AtomicU64::new(0),
                ends_by: Mutex::default(),
                conduct: Mutex::default(),
                state: Mutex::default(),
            })
        };
        Self { lanes: probes.iter().map(lane).collect(), permits: Arc::new(Semaphore::new(concurrency as usize)), store, vitals }
    }

    /// Lets a run start now, or says why not.
    pub async fn admit(&self, probe: usize) -> Result<Admitted, ErrorType> {
        let lane = Arc::clone(&self.lanes[probe]);
        let free = match Arc::clone(&lane.free).try_acquire_owned() {
            Ok(free) => free,
            Err(_) => lane.last_words().await.ok_or(ErrorType::Late)?,
        };
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| ErrorType::Capacity)?;
        Ok(Admitted { lane, _free: free, _permit: permit })
    }

    /// Lets a run start as soon as there is room: for commands that have no schedule.
    pub async fn admit_in_turn(&self, probe: usize) -> Option<Admitted> {
        let lane = Arc::clone(&self.lanes[probe]);
        let free = Arc::clone(&lane.free).acquire_owned().await.ok()?;
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(Admitted { lane, _free: free, _permit: permit })
    }

    /// Runs a probe once, to its end. A plugin in quarantine is not asked.
    pub async fn run(&self, admitted: Admitted, occasion: Occasion) -> Outcome {
        let lane = &admitted.lane;
        let term = lane.conduct.lock().barred(Instant::now());
        if let Some((until, fault)) = term {
            return lane.barred(occasion, until, fault);
        }
        let mut outcome = self.attempts(lane, occasion).await;
        self.judge_conduct(lane, &mut outcome);
        outcome
    }

    async fn attempts(&self, lane: &Lane, occasion: Occasion) -> Outcome {
        let probe = &lane.probe;
        *lane.ends_by.lock() = Some(Instant::now() + budget(probe.timeout, probe.retries));
        self.vitals.in_flight.add(1);
        let kept = Arc::new(Mutex::new(None));
        let outcome = attempts::run(lane.start(occasion), |this| {
            let (call, plugin, kept) = (self.call(lane, occasion, this), probe.plugin.clone(), Arc::clone(&kept));
            async move {
                let called = plugin.run(call).await;
                // Only what the last attempt wrote is kept.
                *kept.lock() = called.state;
                Attempt {
                    span_id: this.span_id,
                    stretch: called.stretch,
                    report: called.report,
                    steps: called.steps,
                    exchanges: called.exchanges,
                }
            }
        })
        .await;
        self.vitals.in_flight.add(-1);
        if let Some(state) = kept.lock().take() {
            self.store.set_guest_state(&probe.identity.check, &probe.identity.target, &state);
            *lane.state.lock() = Some(state);
        }
        outcome
    }

    /// Puts the plugin into quarantine, or ends it: both are told once, as an event of the run that did it.
    fn judge_conduct(&self, lane: &Lane, outcome: &mut Outcome) {
        let (every, mut conduct) = (lane.probe.identity.every, lane.conduct.lock());
        let change = conduct.take(outcome, outcome.ended, every);
        outcome.quarantined = conduct.quarantined();
        let Some(change) = change else { return };
        let (service, faults) = (&lane.probe.identity.service, conduct.faults());
        let (severity, name, message) = match change {
            Change::Entered => {
                self.vitals.plugin_quarantined.add(1);
                tracing::warn!(service, faults, reason = outcome.message, "the plugin is in quarantine: it is asked less and less often");
                let message = format!("{service}: the plugin is in quarantine after {faults} faults in a row: {}", outcome.message);
                (Severity::Error, QUARANTINED, message)
            }
            Change::Left => {
                self.vitals.plugin_quarantined.add(-1);
                tracing::info!(service, "the plugin has left quarantine");
                (Severity::Info, RELEASED, format!("{service}: the plugin has left quarantine: {}", outcome.message))
            }
        };
        let event = Event { at: outcome.ended_at(), severity, name: name.to_owned(), message, attributes: Vec::new() };
        if let Some(last) = outcome.attempts.last_mut() {
            last.report.events.push(event);
        }
    }

    /// The outcome of so many runs in a row that did not take place.
    pub fn skip(&self, probe: usize, scheduled_at: Timestamp, runs: u64, why: ErrorType) -> Outcome {
        let lane = &self.lanes[probe];
        let occasion = Occasion { trigger: Trigger::Schedule, scheduled_at, trace_id: TraceId::random(), sampled: false };
        let message = match why {
            ErrorType::Capacity => "skipped: as many runs as allowed were in flight (agent.concurrency)",
            _ if runs == 1 => "skipped: the run before still ran, or its moment had passed",
            _ => "skipped: several runs in a row whose moments had passed",
        };
        let start = lane.start(occasion);
        lane.sequence.fetch_add(runs.saturating_sub(1), Relaxed);
        let quarantined = lane.conduct.lock().quarantined();
        Outcome { runs, quarantined, ..attempts::skipped(start, why, message) }
    }

    fn call(&self, lane: &Lane, occasion: Occasion, this: Try) -> Call {
        let probe = &lane.probe;
        Call {
            probe: Arc::clone(&probe.identity),
            address: Arc::clone(&probe.address),
            target_labels: Arc::clone(&probe.target_labels),
            settings: Arc::clone(&probe.settings),
            trace_id: occasion.trace_id,
            parent: this.span_id,
            sampled: this.sampled,
            propagate: probe.propagate,
            scheduled_at: occasion.scheduled_at,
            anchor: this.anchor,
            timeout: probe.timeout,
            attempt: this.number,
            grants: Arc::clone(&probe.grants),
            limits: probe.limits,
            state: self.state(lane),
        }
    }

    /// What the guest kept of earlier runs. Built-in plugins keep nothing.
    fn state(&self, lane: &Lane) -> BTreeMap<String, Vec<u8>> {
        if lane.probe.plugin.builtin() {
            return BTreeMap::new();
        }
        let identity = &lane.probe.identity;
        lane.state.lock().get_or_insert_with(|| self.store.guest_state(&identity.check, &identity.target)).clone()
    }
}

impl Lane {
    fn start(&self, occasion: Occasion) -> Start {
        Start {
            probe: Arc::clone(&self.probe.identity),
            sequence: self.sequence.fetch_add(1, Relaxed) + 1,
            trigger: occasion.trigger,
            scheduled_at: occasion.scheduled_at,
            trace_id: occasion.trace_id,
            sampled: occasion.sampled,
            timeout: self.probe.timeout,
            retries: self.probe.retries,
        }
    }

    /// The outcome of a run whose plugin is not asked.
    fn barred(&self, occasion: Occasion, until: Instant, fault: ErrorType) -> Outcome {
        let until = Anchor::now().timestamp(until);
        let faults = self.conduct.lock().faults();
        attempts::barred(
            self.start(occasion),
            fault,
            format!("quarantined until {until}: {faults} faults of the plugin in a row, the last {fault}"),
        )
    }

    /// The lane, if the run in it is only about to say its last words.
    async fn last_words(&self) -> Option<OwnedSemaphorePermit> {
        let ends_by = (*self.ends_by.lock())?;
        if ends_by > Instant::now() {
            return None;
        }
        let free = Arc::clone(&self.free).acquire_owned();
        tokio::time::timeout_at(ends_by + LAST_WORDS * 2, free).await.ok()?.ok()
    }
}
