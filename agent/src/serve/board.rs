//! The recent past of every probe: fed by the runner's end, read by page and API.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use std::time::Duration;

use parking_lot::Mutex;

use super::history::{Brief, History, Quota};
use crate::config::SloConfig;
use crate::outcome::{Identity, Record, State, TraceId};

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
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: String,
    /// Tells this board from one of an earlier life of the agent, whose versions mean something else.
    life: u64,
    /// Grows with every record.
    version: AtomicU64,
    quota: Quota,
    probes: Vec<Probe>,
    /// Check, then target, to the index of the probe.
    places: HashMap<String, HashMap<String, usize>>,
}

/// One probe and its past.
#[derive(Debug)]
pub(super) struct Probe {
    /// What is known of it from the start.
    pub(super) info: ProbeInfo,
    history: Mutex<History>,
}

impl Probe {
    /// What is remembered of it now, to be read at leisure.
    pub(super) fn history(&self) -> History {
        self.history.lock().clone()
    }

    /// Reads a little of what is remembered; `read` must be short, since a record may be waiting.
    pub(super) fn glance<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.history.lock())
    }

    /// Its identity.
    pub(super) fn identity(&self) -> &Identity {
        &self.info.identity
    }
}

/// A run, as far as it is remembered.
#[derive(Clone, Debug)]
pub(super) enum Remembered {
    /// All of it.
    Full(Arc<Record>),
    /// What it came to.
    Brief(Brief),
}

impl Board {
    /// An empty one, for probes in the order of the configuration.
    pub fn new(location: &str, probes: Vec<ProbeInfo>) -> Self {
        let mut places = HashMap::<String, HashMap<String, usize>>::new();
        for (index, info) in probes.iter().enumerate() {
            places.entry(info.identity.check.clone()).or_default().insert(info.identity.target.clone(), index);
        }
        let quota = Quota::for_probes(probes.len());
        let probes = probes.into_iter().map(|info| Probe { info, history: Mutex::default() }).collect();
        let (location, version) = (location.to_owned(), AtomicU64::new(0));
        Self(Arc::new(Inner { location, life: rand::random(), version, quota, probes, places }))
    }

    /// Takes a record. Never waits for more than another reader's glance.
    pub fn record(&self, record: &Arc<Record>) {
        let Some(probe) = self.find(&record.outcome.probe.check, &record.outcome.probe.target) else { return };
        let mut history = self.0.probes[probe].history.lock();
        // Under the lock: whoever has seen this version finds the record in place.
        let version = self.0.version.fetch_add(1, AcqRel) + 1;
        history.record(record, self.0.quota, version);
    }

    /// Where the agent stands.
    pub(super) fn location(&self) -> &str {
        &self.0.location
    }

    /// Which life of the agent the versions belong to.
    pub(super) fn life(&self) -> u64 {
        self.0.life
    }

    /// Grows with every record.
    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Acquire)
    }

    /// All probes, in the order of the configuration.
    pub(super) fn probes(&self) -> &[Probe] {
        &self.0.probes
    }

    /// The index of a probe.
    pub(super) fn find(&self, check: &str, target: &str) -> Option<usize> {
        self.0.places.get(check)?.get(target).copied()
    }

    /// The indices of a check's probes, in the order of the configuration; empty if there is no such check.
    pub(super) fn check(&self, name: &str) -> Vec<usize> {
        let mut probes: Vec<usize> = self.0.places.get(name).into_iter().flat_map(HashMap::values).copied().collect();
        probes.sort_unstable();
        probes
    }

    /// How many targets a check has.
    pub(super) fn targets(&self, check: &str) -> usize {
        self.0.places.get(check).map_or(0, HashMap::len)
    }

    /// The indices of the probes that changed after a version.
    pub(super) fn changed_since(&self, version: u64) -> Vec<usize> {
        let changed = self.0.probes.iter().enumerate().filter(|(_, probe)| probe.glance(|history| history.version) > version);
        changed.map(|(index, _)| index).collect()
    }

    /// How many probes are in each state, in the order of [`State::ALL`].
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for probe in &self.0.probes {
            counts.0[probe.glance(History::state) as usize] += 1;
        }
        counts
    }

    /// A run by its id, and the index of its probe.
    pub(super) fn run(&self, id: TraceId) -> Option<(usize, Remembered)> {
        self.0.probes.iter().enumerate().find_map(|(index, probe)| {
            let remembered = probe.glance(|history| {
                let full = history.full(id).map(|record| Remembered::Full(record.clone()));
                full.or_else(|| history.brief(id).map(|brief| Remembered::Brief(brief.clone())))
            });
            Some((index, remembered?))
        })
    }
}

/// How many probes are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; State::ALL.len()]);

impl Counts {
    /// In one state.
    pub(super) fn get(self, state: State) -> usize {
        self.0[state as usize]
    }

    /// The state that matters most of those that there are; none without probes.
    pub(super) fn worst(self) -> Option<State> {
        State::ALL.iter().copied().filter(|state| self.get(*state) > 0).min_by_key(|state| rank(*state))
    }
}

/// The order in which states matter, the worst first.
pub(super) fn rank(state: State) -> u8 {
    match state {
        State::Down => 0,
        State::Flapping => 1,
        State::Degraded => 2,
        State::Unknown => 3,
        State::Up => 4,
        State::Maintenance => 5,
    }
}
