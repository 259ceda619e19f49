//! What is remembered of one probe: the last runs in brief, a few in full, the changes of its state.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::outcome::{ErrorType, Outcome, Record, RunResult, State, Summary, TraceId};

/// How many runs are remembered in brief: as many as the page's strip has places.
pub(super) const BRIEFS: usize = 60;

/// How many changes of state are remembered.
const CHANGES: usize = 20;

/// A reason longer than this is cut; the whole one stands in what is kept in full.
const REASON: usize = 240;

/// A run in brief.
#[derive(Clone, Debug)]
pub(super) struct Brief {
    /// Which.
    pub(super) trace_id: TraceId,
    /// When it ended.
    pub(super) at: Timestamp,
    /// What it came to.
    pub(super) result: RunResult,
    /// Why; none with success.
    pub(super) error_type: Option<ErrorType>,
    /// A soft expectation was not met.
    pub(super) warned: bool,
    /// How many attempts it took.
    pub(super) attempts: u8,
    /// How many planned runs it stands for.
    pub(super) runs: u32,
    /// Seconds, with success.
    pub(super) latency: Option<f32>,
    /// One line for people; none with a success that warned of nothing.
    pub(super) reason: Option<Arc<str>>,
}

impl Brief {
    fn new(outcome: &Outcome) -> Self {
        let warning = outcome.unmet(true).next();
        let success = outcome.result == RunResult::Success;
        let reason = if success { warning.map(|unmet| format!("{}: {}", unmet.name, unmet.detail)) } else { Some(outcome.message.clone()) };
        Self {
            trace_id: outcome.trace_id,
            at: outcome.ended_at(),
            result: outcome.result,
            error_type: outcome.error_type,
            warned: success && warning.is_some(),
            attempts: u8::try_from(outcome.attempts.len()).unwrap_or(u8::MAX),
            runs: u32::try_from(outcome.runs).unwrap_or(u32::MAX),
            latency: outcome.latency().map(|latency| latency.as_secs_f32()),
            reason: reason.map(|text| cut(&text).into()),
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON)]
}

/// A change of state, with what brought it about.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// When.
    pub(super) at: Timestamp,
    /// Before.
    pub(super) from: State,
    /// After.
    pub(super) to: State,
    /// The run that did it.
    pub(super) trace_id: TraceId,
    /// That run's reason.
    pub(super) reason: Arc<str>,
}

/// How many runs are kept in full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// That did not succeed: they are what people come for, so they outlive successes.
    pub(super) troubles: usize,
    /// That succeeded.
    pub(super) successes: usize,
}

impl Quota {
    /// With many probes each keeps less, so that the whole stays small: a run in full is a few KiB.
    pub(super) fn for_probes(count: usize) -> Self {
        let share = |total: usize, most: usize| (total / count.max(1)).clamp(1, most);
        Self { troubles: share(4096, 10), successes: share(1024, 5) }
    }
}

/// The recent past of one probe.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The board's version when it last changed; 0 = never.
    pub(super) version: u64,
    /// Oldest first.
    pub(super) briefs: VecDeque<Brief>,
    /// Runs in full that did not succeed, oldest first. Skipped ones have nothing to look at.
    pub(super) troubles: VecDeque<Arc<Record>>,
    /// Runs in full that succeeded, oldest first.
    pub(super) successes: VecDeque<Arc<Record>>,
    /// Oldest first.
    pub(super) changes: VecDeque<Change>,
    /// The newest.
    pub(super) summary: Option<Arc<Summary>>,
    /// End of the last success.
    pub(super) last_success: Option<Timestamp>,
    /// When the first of the certificates that the server last sent ends.
    pub(super) certificate: Option<Timestamp>,
    /// When the newest run was meant to start.
    scheduled_at: Option<Timestamp>,
}

impl History {
    /// Takes a record.
    pub(super) fn record(&mut self, record: &Arc<Record>, quota: Quota, version: u64) {
        let outcome = &record.outcome;
        self.version = version;
        push(&mut self.briefs, Brief::new(outcome), BRIEFS);
        match outcome.result {
            RunResult::Success => push(&mut self.successes, record.clone(), quota.successes),
            RunResult::Skipped => {}
            _ => push(&mut self.troubles, record.clone(), quota.troubles),
        }
        if let Some(change) = record.change {
            let reason = cut(&outcome.message).into();
            let change = Change { at: record.summary.since, from: change.from, to: change.to, trace_id: outcome.trace_id, reason };
            push(&mut self.changes, change, CHANGES);
        }
        self.summary = Some(record.summary.clone());
        self.last_success = record.last_success.or(self.last_success);
        if let Some(exchange) = outcome.exchange() {
            // A run that got no certificate says nothing of the one before; an answer over plain http does.
            let seen = exchange.tls.as_ref().and_then(|tls| tls.chain.iter().map(|link| link.not_after).min());
            if seen.is_some() || exchange.status.is_some() {
                self.certificate = seen;
            }
        }
        self.scheduled_at = self.scheduled_at.max(Some(outcome.scheduled_at));
    }

    /// The state; unknown before the first run.
    pub(super) fn state(&self) -> State {
        self.summary.as_ref().map_or(State::Unknown, |summary| summary.state)
    }

    /// Whether a person should look at it. That nothing is known yet is no trouble; that nothing can be learnt is.
    pub(super) fn in_trouble(&self) -> bool {
        match self.state() {
            State::Down | State::Flapping | State::Degraded => true,
            State::Unknown => self.briefs.back().is_some_and(|brief| !matches!(brief.result, RunResult::Success | RunResult::Skipped)),
            State::Up | State::Maintenance => false,
        }
    }

    /// When the next run is due, if the schedule holds; none before the first.
    pub(super) fn next(&self, every: Duration) -> Option<Timestamp> {
        Some(self.scheduled_at?.after(every))
    }

    /// A run in full.
    pub(super) fn full(&self, id: TraceId) -> Option<&Arc<Record>> {
        self.troubles.iter().chain(&self.successes).find(|record| record.outcome.trace_id == id)
    }

    /// A run in brief.
    pub(super) fn brief(&self, id: TraceId) -> Option<&Brief> {
        self.briefs.iter().find(|brief| brief.trace_id == id)
    }

    /// The newest run that is kept in full.
    pub(super) fn newest(&self) -> Option<&Arc<Record>> {
        let newest = [self.troubles.back(), self.successes.back()];
        newest.into_iter().flatten().max_by_key(|record| record.outcome.ended)
    }

    /// The number that the summary has under this name, in seconds, and its window: the hour's, or the nearest to it.
    pub(super) fn quantile(&self, name: &str) -> Option<(f64, String)> {
        let summary = self.summary.as_ref()?;
        let candidates = summary.measurements.iter().filter(|measurement| measurement.name == name);
        let windowed = candidates.filter_map(|measurement| {
            let factor = match measurement.unit.as_str() {
                "s" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
            let window = measurement.attributes.iter().find(|attribute| attribute.name == "window").map(|attribute| &attribute.value);
            let (length, word) = match window {
                Some(crate::outcome::Value::Text(text)) => (crate::config::quantity::duration(text).unwrap_or_default(), text.clone()),
                _ => (Duration::ZERO, String::new()),
            };
            Some((length, measurement.value * factor, word))
        });
        let hour = Duration::from_hours(1);
        windowed.min_by_key(|(length, ..)| length.abs_diff(hour)).map(|(_, value, word)| (value, word))
    }
}

/// Appends, and forgets the oldest beyond `most`.
fn push<T>(items: &mut VecDeque<T>, item: T, most: usize) {
    while items.len() >= most.max(1) {
        items.pop_front();
    }
    items.push_back(item);
}
