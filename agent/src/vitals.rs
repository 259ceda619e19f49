//! How the agent itself is: counters that every stage adds to, and that self telemetry reads.
//!
//! Kept apart from what is said about targets. Plain atomics, so that counting never waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Instant;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that comes and goes.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// So many more, or fewer.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Is now so many.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Is now at least so many.
    pub fn raise(&self, value: i64) {
        self.0.fetch_max(value, Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets of [`Lengths`], in seconds.
pub const BOUNDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0, 10.0];

/// A distribution of lengths of time.
#[derive(Debug, Default)]
pub struct Lengths {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Lengths {
    /// One more sample.
    pub fn record(&self, length: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < length.as_secs_f64());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(crate::clock::nanos(length), Relaxed);
    }

    /// Samples per bucket (the last is beyond all bounds) and the sum of all in seconds.
    pub fn snapshot(&self) -> ([u64; BOUNDS.len() + 1], f64) {
        (std::array::from_fn(|index| self.buckets[index].load(Relaxed)), self.nanos.load(Relaxed) as f64 / 1e9)
    }
}

/// Counters under one name, told apart by the values of their keys. The sets of values are small and known.
#[derive(Debug, Default)]
pub struct Family(Mutex<BTreeMap<Vec<String>, u64>>);

impl Family {
    /// So many more under these values.
    pub fn add(&self, values: &[&str], amount: u64) {
        let mut all = self.0.lock();
        *all.entry(values.iter().map(ToString::to_string).collect()).or_default() += amount;
    }

    /// All of them, sorted.
    pub fn snapshot(&self) -> Vec<(Vec<String>, u64)> {
        self.0.lock().iter().map(|(values, count)| (values.clone(), *count)).collect()
    }
}

/// When the process started, as far as anybody asks: the moment of its own making.
#[derive(Clone, Copy, Debug)]
pub struct Started(Instant);

impl Default for Started {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// Everything that is counted about the agent itself. One per process, shared.
#[derive(Debug, Default)]
pub struct Vitals {
    /// When the process started.
    pub started: Started,
    /// Runs that the grid asked for. At all times `planned = run + skipped`.
    pub planned: Counter,
    /// Runs that took place, or are in flight.
    pub run: Counter,
    /// Runs that did not, by reason (`late`, `capacity`).
    pub missed: Family,
    /// Runs in flight.
    pub in_flight: Gauge,
    /// How much later than planned runs started.
    pub lateness: Lengths,
    /// The scheduler's last sign of life, in milliseconds of [`Vitals::uptime`].
    pub scheduler_beat: Gauge,
    /// Calls of plugins, by plugin and result.
    pub plugin_runs: Family,
    /// CPU time of guests in nanoseconds, by plugin.
    pub plugin_cpu: Family,
    /// How long instantiation took.
    pub plugin_instantiate: Lengths,
    /// The most linear memory that any guest had, in bytes.
    pub plugin_memory_peak: Gauge,
    /// Traps and limits, by reason.
    pub plugin_traps: Family,
    /// How often a limit of a guest was reached, by limit.
    pub plugin_limits: Family,
    /// Probes whose plugin is in quarantine.
    pub plugin_quarantined: Gauge,
    /// Compiled artefacts that were found (`true`) or not (`false`) on disk.
    pub plugin_cache: Family,
    /// Export requests, by signal and outcome (`sent`, `retried`, `split`, `rejected`, `dropped`, `replayed`, `damaged`).
    pub export_requests: Family,
    /// Spans, points and records, by signal and outcome (`produced`, `replayed`, `sent`, `rejected`, `dropped`).
    pub export_items: Family,
    /// Those that were dropped, by signal and reason (`size`, `age`, `disk`, `damaged`).
    pub export_dropped: Family,
    /// Spans, points and records that no power cut can take any more, or that left before, by signal.
    pub export_synced: Family,
    /// Spans, points and records in the queues of traces, metrics and logs.
    pub export_queue_items: [Gauge; 3],
    /// Bytes in the queue.
    pub export_queue_size: Gauge,
    /// When the oldest request in the queue was put there, in milliseconds since the epoch; 0 = the queue is empty.
    pub export_queue_oldest: Gauge,
    /// Bytes that the queue may hold.
    pub export_queue_limit: Gauge,
    /// When something last left, in milliseconds since the epoch; 0 = never.
    pub export_last_success: Gauge,
    /// Records that telemetry could not take because it was behind.
    pub records_dropped: Counter,
    /// Series that exist.
    pub series_active: Gauge,
    /// Points that were refused because a check had too many series.
    pub series_limited: Counter,
}

impl Vitals {
    /// For how long the process has been running.
    pub fn uptime(&self) -> Duration {
        self.started.0.elapsed()
    }

    /// The scheduler gives a sign of life; it does so at least every second.
    pub fn beat(&self) {
        self.scheduler_beat.set(i64::try_from(self.uptime().as_millis()).unwrap_or(i64::MAX));
    }

    /// How long ago the scheduler gave a sign of life; the uptime if it never did.
    pub fn since_beat(&self) -> Duration {
        let beat = u64::try_from(self.scheduler_beat.get()).unwrap_or_default();
        self.uptime().saturating_sub(Duration::from_millis(beat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_beat_ages_until_the_next_one() {
        let vitals = Vitals::default();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(vitals.since_beat(), Duration::from_secs(7));
        vitals.beat();
        assert_eq!(vitals.since_beat(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(vitals.since_beat(), Duration::from_secs(3));
    }
}
