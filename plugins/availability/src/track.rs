//! Results in a row, and the state that they make.

use vedette_sdk::summary::{Outcome, Previous, RunResult, State};
use vedette_sdk::{AttributeValue, Fault, text};

use crate::Settings;
use crate::bytes::{Reader, put};

/// How many changes between neighbouring results are looked at for flapping.
const CHANGES: u32 = 20;
/// Flapping from so many percent of changes, until below so many: the thresholds and the weights (0.8 for the oldest of the twenty
/// to 1.2 for the newest) are those that Nagios documents for its detection of flapping and Icinga 2 has as defaults.
const FLAPPING: u32 = 30;
const CALM: u32 = 25;
/// So many equal results in a row end flapping at once: what has been down for six runs must not be hidden behind the word.
const AGREED: u32 = 6;

/// A result that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// When the run was planned.
    pub(crate) at: u64,
    /// Success, or failure and timeout.
    pub(crate) good: bool,
    /// A success with soft expectations that were not met.
    warned: bool,
    /// Of a failure.
    reason: String,
}

impl Counted {
    /// `None` for what says nothing of the target.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        let good = match outcome.run_result {
            RunResult::Success => true,
            RunResult::Failure | RunResult::Timeout => false,
            RunResult::Error | RunResult::Skipped | RunResult::Unknown => return None,
        };
        let reason = if good { String::new() } else { reason(outcome) };
        Some(Self { at: outcome.scheduled_at, good, warned: good && outcome.warnings > 0, reason })
    }
}

/// What the results so far came to. Counts are of results in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    /// The state but for flapping.
    settled: State,
    flapping: bool,
    good: u32,
    bad: u32,
    warned: u32,
    clean: u32,
    /// The last results, a bit each, the newest lowest: 1 is bad.
    recent: u32,
    /// How many of them there are, at most one more than `CHANGES`.
    seen: u32,
    /// When the last result that counts was planned; 0 if there was none.
    last: u64,
    /// Why the last failure was one.
    reason: String,
}

impl Track {
    /// Without any result, in the state in which the last call left it.
    pub(crate) fn anew(previous: Option<&Previous>) -> Self {
        let state = previous.map_or(State::Unknown, |previous| previous.state);
        let flapping = state == State::Flapping;
        Self {
            settled: if flapping { State::Unknown } else { state },
            flapping,
            good: 0,
            bad: 0,
            warned: 0,
            clean: 0,
            recent: 0,
            seen: 0,
            last: previous.map_or(0, |previous| previous.at),
            reason: String::new(),
        }
    }

    /// The state.
    pub(crate) fn state(&self) -> State {
        if self.flapping { State::Flapping } else { self.settled }
    }

    /// Takes one result more.
    pub(crate) fn take(&mut self, result: &Counted, settings: &Settings) {
        let grown = |count: u32, grows: bool| if grows { count.saturating_add(1) } else { 0 };
        self.good = grown(self.good, result.good);
        self.bad = grown(self.bad, !result.good);
        self.warned = grown(self.warned, result.warned);
        self.clean = grown(self.clean, result.good && !result.warned);
        self.recent = (self.recent << 1) | u32::from(!result.good);
        self.seen = (self.seen + 1).min(CHANGES + 1);
        self.last = self.last.max(result.at);
        if !result.good {
            self.reason.clone_from(&result.reason);
        }
        self.settled = self.next(settings);
        self.flapping = settings.flapping && self.flaps();
    }

    /// The state after the last result. One success is enough where nothing is known, because nothing speaks against it.
    fn next(&self, settings: &Settings) -> State {
        let enough = if self.settled == State::Unknown { 1 } else { settings.up_after };
        match self.settled {
            _ if self.bad >= settings.down_after => State::Down,
            State::Unknown | State::Down if self.good < enough => self.settled,
            _ if self.warned >= settings.degraded_after => State::Degraded,
            State::Degraded if self.clean < settings.up_after => State::Degraded,
            _ => State::Up,
        }
    }

    fn flaps(&self) -> bool {
        let share = self.share_of_changes();
        if self.flapping {
            return share >= CALM && self.good.max(self.bad) < AGREED;
        }
        let changed = self.seen > 1 && (self.recent ^ (self.recent >> 1)) & 1 == 1;
        changed && share >= FLAPPING
    }

    /// Which of the last changes took place, the newest lowest.
    fn changes(&self) -> u32 {
        let known = (1_u32 << self.seen.saturating_sub(1)) - 1;
        (self.recent ^ (self.recent >> 1)) & known
    }

    /// Percent of `CHANGES`, weighted from 0.8 to 1.2. The weights are counted in nineteenths of a hundredth, so that all is whole.
    fn share_of_changes(&self) -> u32 {
        let (changes, steps) = (self.changes(), CHANGES - 1);
        let weights = (0..CHANGES).filter(|age| changes >> age & 1 == 1).map(|age| 120 * steps - 40 * age);
        weights.sum::<u32>() / (CHANGES * steps)
    }

    /// Where nothing that counts has come for long, nothing is known.
    pub(crate) fn settle(&mut self, now: u64, interval: u64, settings: &Settings) {
        let patience = interval.saturating_mul(u64::from(settings.unknown_after));
        if patience > 0 && self.last > 0 && now.saturating_sub(self.last) > patience {
            *self = Self { last: self.last, ..Self::anew(None) };
        }
    }

    /// One line for people.
    pub(crate) fn message(&self, now: u64, settings: &Settings) -> String {
        let runs = |count: u32| if count == 1 { "the last run".to_owned() } else { format!("the last {count} runs") };
        let failed =
            |count: u32, of: u32| format!("{count} of the last {of} run{} failed: {}", if of == 1 { "" } else { "s" }, self.reason);
        let known = self.seen.min(CHANGES);
        let failures = (self.recent & ((1 << known) - 1)).count_ones();
        match self.state() {
            _ if self.seen == 0 && self.last == 0 => "no result that counts yet".to_owned(),
            _ if self.seen == 0 => format!("no result that counts for {}", text::span(now.saturating_sub(self.last))),
            State::Flapping => {
                let changes = self.changes().count_ones();
                format!("{changes} changes between success and failure in the last {known} runs; the last failure: {}", self.reason)
            }
            _ if self.bad >= settings.down_after => failed(self.bad, self.bad),
            _ if self.bad > 0 => format!("{}; down after {} in a row", failed(self.bad, self.bad), settings.down_after),
            State::Down => format!("{} succeeded, up after {}; {}", runs(self.good), settings.up_after, failed(failures, known)),
            _ if self.warned > 0 => format!("{} succeeded with warnings", runs(self.warned)),
            State::Degraded => format!("{} succeeded without warnings, up after {}", runs(self.clean), settings.up_after),
            _ => format!("{} succeeded", runs(self.good)),
        }
    }

    /// Appends it.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let state = match self.settled {
            State::Unknown | State::Flapping => 0,
            State::Up => 1,
            State::Degraded => 2,
            State::Down => 3,
        };
        let counts = [u32::from(self.flapping), self.good, self.bad, self.warned, self.clean, self.recent, self.seen];
        put(bytes, state);
        for count in counts {
            put(bytes, u64::from(count));
        }
        put(bytes, self.last);
        put(bytes, self.reason.len() as u64);
        bytes.extend_from_slice(self.reason.as_bytes());
    }

    /// Reads it back; `None` if it is damaged.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let settled = match reader.number()? {
            0 => State::Unknown,
            1 => State::Up,
            2 => State::Degraded,
            3 => State::Down,
            _ => return None,
        };
        let mut counts = [0_u32; 7];
        for count in &mut counts {
            *count = reader.small()?;
        }
        let [flapping @ 0..=1, good, bad, warned, clean, recent, seen @ 0..=21] = counts else { return None };
        let last = reader.number()?;
        let length = reader.count()?;
        let (reason, rest) = reader.0.split_at_checked(length)?;
        reader.0 = rest;
        let reason = String::from_utf8(reason.to_vec()).ok()?;
        Some(Self { settled, flapping: flapping == 1, good, bad, warned, clean, recent, seen, last, reason })
    }
}

/// Why a run failed, for people. The code of an answer is told where the checker noted it.
fn reason(outcome: &Outcome) -> String {
    let code = outcome.attributes.iter().find(|attribute| attribute.name == "http.response.status_code");
    let words = match outcome.fault {
        Some(Fault::Dns) => "no address for the name",
        Some(Fault::ConnectRefused) => "connection refused",
        Some(Fault::ConnectTimeout) => "no connection in time",
        Some(Fault::ConnectUnreachable) => "unreachable",
        Some(Fault::ConnectionClosed) => "connection closed early",
        Some(Fault::TlsHandshake) => "TLS handshake failed",
        Some(Fault::TlsCertificate) => "certificate not accepted",
        Some(Fault::Protocol) => "answer broke the protocol",
        Some(Fault::Timeout) => "no answer in time",
        Some(Fault::BodyLimit) => "body too long",
        Some(Fault::Redirects) => "too many redirects",
        Some(Fault::Expectation) => "expectation not met",
        Some(Fault::Status) => match code.map(|code| &code.value) {
            Some(AttributeValue::Integer(code)) => return format!("unexpected status {code}"),
            _ => "unexpected status",
        },
        Some(Fault::Other) | None => "failed",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests;
