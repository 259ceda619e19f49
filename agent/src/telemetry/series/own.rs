//! What the agent says of itself: its vitals, as series of the scope `vedette`.

use std::time::Duration;

use super::histogram::{Explicit, Histogram};
use super::{Extra, Key, Kind, Known, MetricId, Table, Value};
use crate::clock::Timestamp;
use crate::outcome::State;
use crate::telemetry::otlp::Signal;
use crate::vitals::{BOUNDS, Family, Lengths, Vitals};

/// The group of the agent itself.
const OWN: usize = 0;

const INFO: MetricId = 0;
const UPTIME: MetricId = 1;
const CHECKS: MetricId = 2;
const LATENESS: MetricId = 3;
const PLANNED: MetricId = 4;
const STARTED: MetricId = 5;
const MISSED: MetricId = 6;
const IN_FLIGHT: MetricId = 7;
const PLUGIN_RUNS: MetricId = 8;
const PLUGIN_CPU: MetricId = 9;
const PLUGIN_INSTANTIATE: MetricId = 10;
const PLUGIN_MEMORY: MetricId = 11;
const PLUGIN_TRAPS: MetricId = 12;
const PLUGIN_CACHE: MetricId = 13;
const EXPORT_REQUESTS: MetricId = 14;
const EXPORT_ITEMS: MetricId = 15;
const QUEUE_SIZE: MetricId = 16;
const QUEUE_LIMIT: MetricId = 17;
const QUEUE_AGE: MetricId = 18;
const LAST_SUCCESS: MetricId = 19;
const RECORDS_DROPPED: MetricId = 20;
const SERIES_ACTIVE: MetricId = 21;
const SERIES_LIMITED: MetricId = 22;
const PROCESS_CPU: MetricId = 23;
const PROCESS_MEMORY: MetricId = 24;
const PROCESS_VIRTUAL: MetricId = 25;
const PROCESS_THREADS: MetricId = 26;
const PROCESS_FILES: MetricId = 27;
const EXPORT_DROPPED: MetricId = 28;
const EXPORT_SYNCED: MetricId = 29;
const QUEUE_ITEMS: MetricId = 30;
const PLUGIN_LIMITS: MetricId = 31;
const PLUGIN_QUARANTINED: MetricId = 32;

/// In the order of the constants above.
pub(super) const METRICS: &[Known] = &[
    Known("vedette.info", Kind::Gauge, "", "Always 1; its keys say what runs."),
    Known("vedette.uptime", Kind::Gauge, "s", "Since the agent started."),
    Known("vedette.checks", Kind::Gauge, "{check}", "Probes by state."),
    Known("vedette.scheduler.lateness", Kind::Explicit, "s", "How much later than planned runs started."),
    Known("vedette.scheduler.runs.planned", Kind::Counter, "{run}", "Runs that the grid asked for."),
    Known("vedette.scheduler.runs.started", Kind::Counter, "{run}", "Runs that took place, or are in flight."),
    Known("vedette.scheduler.runs.missed", Kind::Counter, "{run}", "Runs that did not take place."),
    Known("vedette.scheduler.in_flight", Kind::Gauge, "{run}", "Runs in flight."),
    Known("vedette.plugin.runs", Kind::Counter, "{run}", "Calls of plugins."),
    Known("vedette.plugin.cpu", Kind::Counter, "s", "CPU time of guests."),
    Known("vedette.plugin.instantiate", Kind::Explicit, "s", "How long instantiation took."),
    Known("vedette.plugin.memory.peak", Kind::Gauge, "By", "The most linear memory that any guest had."),
    Known("vedette.plugin.traps", Kind::Counter, "{trap}", "Traps and limits of guests."),
    Known("vedette.plugin.cache", Kind::Counter, "{lookup}", "Compiled artefacts found on disk, or not."),
    Known("vedette.export.requests", Kind::Counter, "{request}", "Export requests."),
    Known(
        "vedette.export.items",
        Kind::Counter,
        "{item}",
        "Spans, points and records; produced + replayed = sent + queued + rejected + dropped.",
    ),
    Known("vedette.export.queue.size", Kind::Gauge, "By", "In the queue."),
    Known("vedette.export.queue.limit", Kind::Gauge, "By", "What the queue may hold."),
    Known("vedette.export.queue.oldest_age", Kind::Gauge, "s", "Age of the oldest request in the queue."),
    Known("vedette.export.last_success.time", Kind::Gauge, "s", "When something last left."),
    Known("vedette.records.dropped", Kind::Counter, "{record}", "Records that telemetry could not take."),
    Known("vedette.series.active", Kind::Gauge, "{series}", "Series that exist."),
    Known("vedette.series.limited", Kind::Counter, "{point}", "Points refused because a check had too many series."),
    Known("vedette.process.cpu.time", Kind::Counter, "s", "CPU time of the process."),
    Known("vedette.process.memory.usage", Kind::Gauge, "By", "Resident memory."),
    Known("vedette.process.memory.virtual", Kind::Gauge, "By", "Virtual memory."),
    Known("vedette.process.threads", Kind::Gauge, "{thread}", "Threads."),
    Known("vedette.process.open_file_descriptors", Kind::Gauge, "{file}", "Open file descriptors."),
    Known("vedette.export.dropped", Kind::Counter, "{item}", "Spans, points and records that were given up, by reason."),
    Known("vedette.export.synced", Kind::Counter, "{item}", "Spans, points and records that a power cut cannot take, or that left before."),
    Known("vedette.export.queue.items", Kind::Gauge, "{item}", "Spans, points and records in the queue."),
    Known("vedette.plugin.limits", Kind::Counter, "{refusal}", "What limits of guests refused, by limit."),
    Known("vedette.plugin.quarantined", Kind::Gauge, "{check}", "Probes whose plugin is in quarantine."),
];

impl Table {
    /// Reads what the agent knows of itself.
    pub(in crate::telemetry) fn read(&mut self, vitals: &Vitals, now: Timestamp) {
        let now = now.max(self.start);
        vitals.series_active.set(i64::try_from(self.len()).unwrap_or(i64::MAX));
        self.own_gauge(INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0, now);
        self.own_gauge(UPTIME, &[], now.since(self.start).as_secs_f64(), now);
        self.read_states(now);
        self.read_scheduler(vitals, now);
        self.read_plugins(vitals, now);
        self.read_export(vitals, now);
        self.read_process(now);
    }

    fn own(&self, metric: MetricId, tags: &[(&'static str, &str)]) -> Key {
        Key { metric: self.groups[OWN].first + metric, extra: Extra::words(tags) }
    }

    fn own_gauge(&mut self, metric: MetricId, tags: &[(&'static str, &str)], value: f64, now: Timestamp) {
        let key = self.own(metric, tags);
        self.set(OWN, key, Value::Real(value), now);
    }

    /// A counter that others count. One that is not zero when it is first read is announced by a zero.
    fn own_counter(&mut self, metric: MetricId, tags: &[(&'static str, &str)], value: Value, now: Timestamp) {
        let key = self.own(metric, tags);
        self.fresh |= !value.is_zero() && self.groups[OWN].series.get(&key).is_none_or(|series| series.sent == Timestamp(0));
        self.set(OWN, key, value, now);
    }

    fn own_family(&mut self, metric: MetricId, names: &[&'static str], family: &Family, now: Timestamp) {
        for (values, count) in family.snapshot() {
            let tags: Vec<_> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
            self.own_counter(metric, &tags, Value::Whole(count), now);
        }
    }

    fn own_lengths(&mut self, metric: MetricId, lengths: &Lengths, now: Timestamp) {
        let (counts, sum) = lengths.snapshot();
        let histogram = Histogram::Explicit(Explicit::of(&BOUNDS, &counts, sum));
        self.own_counter(metric, &[], Value::Histogram(Box::new(histogram)), now);
    }

    fn read_states(&mut self, now: Timestamp) {
        let states = self.groups.iter().flat_map(|group| group.series.values()).filter_map(|series| match series.value {
            Value::State(state) => Some(state),
            _ => None,
        });
        let mut counts = [0_u32; State::ALL.len()];
        states.for_each(|state| counts[state as usize] += 1);
        for (state, count) in State::ALL.iter().zip(counts) {
            self.own_gauge(CHECKS, &[("state", state.word())], f64::from(count), now);
        }
    }

    fn read_scheduler(&mut self, vitals: &Vitals, now: Timestamp) {
        self.own_counter(PLANNED, &[], Value::Whole(vitals.planned.get()), now);
        self.own_counter(STARTED, &[], Value::Whole(vitals.run.get()), now);
        self.own_family(MISSED, &["reason"], &vitals.missed, now);
        self.own_gauge(IN_FLIGHT, &[], vitals.in_flight.get() as f64, now);
        self.own_lengths(LATENESS, &vitals.lateness, now);
    }

    fn read_plugins(&mut self, vitals: &Vitals, now: Timestamp) {
        self.own_family(PLUGIN_RUNS, &["plugin", "result"], &vitals.plugin_runs, now);
        for (values, nanos) in vitals.plugin_cpu.snapshot() {
            let plugin = values.first().map(String::as_str).unwrap_or_default();
            self.own_counter(PLUGIN_CPU, &[("plugin", plugin)], Value::Real(Duration::from_nanos(nanos).as_secs_f64()), now);
        }
        self.own_lengths(PLUGIN_INSTANTIATE, &vitals.plugin_instantiate, now);
        self.own_gauge(PLUGIN_MEMORY, &[], vitals.plugin_memory_peak.get() as f64, now);
        self.own_family(PLUGIN_TRAPS, &["reason"], &vitals.plugin_traps, now);
        self.own_family(PLUGIN_LIMITS, &["limit"], &vitals.plugin_limits, now);
        self.own_gauge(PLUGIN_QUARANTINED, &[], vitals.plugin_quarantined.get() as f64, now);
        self.own_family(PLUGIN_CACHE, &["hit"], &vitals.plugin_cache, now);
    }

    fn read_export(&mut self, vitals: &Vitals, now: Timestamp) {
        self.own_family(EXPORT_REQUESTS, &["signal", "outcome"], &vitals.export_requests, now);
        self.own_family(EXPORT_ITEMS, &["signal", "outcome"], &vitals.export_items, now);
        self.own_family(EXPORT_DROPPED, &["signal", "reason"], &vitals.export_dropped, now);
        self.own_family(EXPORT_SYNCED, &["signal"], &vitals.export_synced, now);
        for (signal, items) in Signal::ALL.into_iter().zip(&vitals.export_queue_items) {
            self.own_gauge(QUEUE_ITEMS, &[("signal", signal.word())], items.get() as f64, now);
        }
        self.own_gauge(QUEUE_SIZE, &[], vitals.export_queue_size.get() as f64, now);
        self.own_gauge(QUEUE_LIMIT, &[], vitals.export_queue_limit.get() as f64, now);
        let oldest = vitals.export_queue_oldest.get();
        let age = if oldest > 0 { (now.seconds() - oldest as f64 / 1e3).max(0.0) } else { 0.0 };
        self.own_gauge(QUEUE_AGE, &[], age, now);
        let success = vitals.export_last_success.get();
        if success > 0 {
            self.own_gauge(LAST_SUCCESS, &[], success as f64 / 1e3, now);
        }
        self.own_counter(RECORDS_DROPPED, &[], Value::Whole(vitals.records_dropped.get()), now);
        self.own_gauge(SERIES_ACTIVE, &[], vitals.series_active.get() as f64, now);
        self.own_counter(SERIES_LIMITED, &[], Value::Whole(vitals.series_limited.get()), now);
    }

    fn read_process(&mut self, now: Timestamp) {
        let Some(process) = Process::read() else { return };
        self.own_counter(PROCESS_CPU, &[], Value::Real(process.cpu), now);
        self.own_gauge(PROCESS_MEMORY, &[], process.resident, now);
        self.own_gauge(PROCESS_VIRTUAL, &[], process.virtual_memory, now);
        self.own_gauge(PROCESS_THREADS, &[], process.threads, now);
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            self.own_gauge(PROCESS_FILES, &[], files.count() as f64, now);
        }
    }
}

/// `/proc/self/stat`, as far as it is told.
struct Process {
    /// Seconds.
    cpu: f64,
    threads: f64,
    /// Bytes.
    virtual_memory: f64,
    /// Bytes.
    resident: f64,
}

impl Process {
    fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The name of the program stands in brackets and may hold anything; fields are counted from behind it.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.trim().parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        Some(Self { cpu: (field(14)? + field(15)?) / ticks, threads: field(20)?, virtual_memory: field(23)?, resident: field(24)? * page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_read_whatever_its_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 100 4096000 10 18446744073709551615";
        let process = Process::parse(stat).unwrap();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert!((process.cpu - 300.0 / ticks).abs() < 1e-9);
        assert_eq!((process.threads, process.virtual_memory), (9.0, 4_096_000.0));
        assert!(Process::read().unwrap().resident > 0.0);
    }
}
