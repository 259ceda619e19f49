//! Outcomes -> Summary, through the summariser plugin: what the recent outcomes of a probe mean.
//!
//! Outcomes of one probe are folded in the order in which they come, each exactly once. A summariser that fails
//! leaves the state `unknown`: its fault is never the target's.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::outcome::{Outcome, Record, Report, RunResult, State, StateChange, Summary};
use crate::plan::Probe;
use crate::plugin::{Previous, Summarised, SummaryInput};
use crate::store::Store;

/// The summaries of all probes.
#[derive(Debug)]
pub struct Summaries {
    lanes: Vec<Lane>,
    store: Store,
}

#[derive(Debug)]
struct Lane {
    probe: Arc<Probe>,
    /// Fair: whoever came first is folded first.
    past: Mutex<Past>,
}

/// What has been made of the outcomes so far.
#[derive(Debug)]
struct Past {
    previous: Option<Previous>,
    state: State,
    since: Timestamp,
    /// The result of the last run that took place, and how many in a row had it.
    streak: Option<(RunResult, u32)>,
    last_success: Option<Timestamp>,
    /// Whether the last success has been written to the store.
    stored: bool,
}

impl Summaries {
    /// Of these probes; when each last succeeded is known from the store.
    pub fn new(probes: &[Arc<Probe>], store: Store) -> Self {
        let lane = |probe: &Arc<Probe>| {
            let past = Past {
                previous: None,
                state: State::Unknown,
                since: Timestamp::now(),
                streak: None,
                last_success: store.last_success(&key(probe)),
                stored: true,
            };
            Lane { probe: Arc::clone(probe), past: Mutex::new(past) }
        };
        Self { lanes: probes.iter().map(lane).collect(), store }
    }

    /// Folds one outcome in.
    pub async fn fold(&self, probe: usize, outcome: Outcome) -> Record {
        let lane = &self.lanes[probe];
        let outcome = Arc::new(outcome);
        let mut past = lane.past.lock().await;
        past.note(&outcome);
        let input = lane.input(&outcome, past.previous.clone());
        let summarised = lane.probe.summary.plugin.summarise(input, &lane.probe.summary.settings).await;
        past.judge(&lane.probe, outcome, summarised)
    }

    /// Writes what is new to the store. Called now and then, and at the end.
    pub async fn persist(&self) {
        for lane in &self.lanes {
            let mut past = lane.past.lock().await;
            if let (Some(at), false) = (past.last_success, past.stored) {
                self.store.set_last_success(&key(&lane.probe), at);
                past.stored = true;
            }
        }
    }
}

impl Lane {
    fn input(&self, outcome: &Arc<Outcome>, previous: Option<Previous>) -> SummaryInput {
        SummaryInput {
            probe: Arc::clone(&self.probe.identity),
            target_labels: Arc::clone(&self.probe.target_labels),
            now: outcome.ended_at(),
            windows: Arc::clone(&self.probe.summary.windows),
            outcomes: vec![Arc::clone(outcome)],
            previous,
        }
    }
}

impl Past {
    fn note(&mut self, outcome: &Outcome) {
        if outcome.result == RunResult::Success {
            self.last_success = Some(outcome.ended_at());
            self.stored = false;
        }
        if outcome.result != RunResult::Skipped {
            let before = self.streak.filter(|(result, _)| *result == outcome.result).map_or(0, |(_, count)| count);
            self.streak = Some((outcome.result, before.saturating_add(1)));
        }
    }

    fn judge(&mut self, probe: &Probe, outcome: Arc<Outcome>, summarised: Result<Summarised, Report>) -> Record {
        let now = outcome.ended_at();
        let mut summarised = summarised.unwrap_or_else(|fault| without_verdict(probe, &fault, self.previous.take()));
        if outcome.quarantined {
            // Whatever was known of the target before: nobody looks at it now.
            summarised.state = State::Unknown;
            outcome.message.clone_into(&mut summarised.message);
        }
        let from = std::mem::replace(&mut self.state, summarised.state);
        if from != self.state {
            self.since = now;
        }
        self.previous = Some(Previous {
            at: now,
            version: probe.summary.plugin.manifest().version.clone(),
            state: self.state,
            since: self.since,
            memory: summarised.memory,
        });
        let consecutive = self.streak.map_or(0, |(_, count)| count);
        let summary = Summary {
            state: self.state,
            since: self.since,
            message: summarised.message,
            slis: summarised.slis,
            measurements: summarised.measurements,
            events: summarised.events,
        };
        Record {
            change: (from != self.state).then_some(StateChange { from, to: self.state, consecutive }),
            outcome,
            summary: Arc::new(summary),
            last_success: self.last_success,
        }
    }
}

/// What a summariser that failed leaves: no verdict, and what it remembered before.
fn without_verdict(probe: &Probe, fault: &Report, previous: Option<Previous>) -> Summarised {
    tracing::warn!(service = probe.identity.service, message = fault.message, "the summariser came to no verdict");
    Summarised {
        state: State::Unknown,
        message: format!("the summariser came to no verdict: {}", fault.message),
        slis: Vec::new(),
        measurements: Vec::new(),
        events: Vec::new(),
        memory: previous.map(|previous| previous.memory).unwrap_or_default(),
    }
}

/// A service under another address is another service.
pub fn key(probe: &Probe) -> String {
    format!("{} {}", probe.identity.service, probe.identity.address)
}
