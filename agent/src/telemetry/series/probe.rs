//! What a record makes of the series of its probe.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::histogram::{BOUNDS, Exemplar, Explicit, Exponential, Histogram};
use super::name::Expected;
use super::{Extra, Group, Key, Kind, Known, Metric, MetricId, Table, Tag, Value};
use crate::clock::Timestamp;
use crate::config::SloConfig;
use crate::outcome::{Identity, Instrument, Measurement, Outcome, Phase, Record, RunResult, Summary};
use crate::telemetry::ProbeSeries;
use crate::telemetry::otlp::Scope;
use crate::telemetry::spans::exported;
use crate::vitals::Vitals;

/// Series that the measurements of one check may have.
const MEASURED: usize = 1_000;

const RUNS: MetricId = 0;
const ATTEMPTS: MetricId = 1;
const DURATION: MetricId = 2;
const PHASE: MetricId = 3;
const UP: MetricId = 4;
const STATE: MetricId = 5;
const LAST_RUN: MetricId = 6;
const LAST_SUCCESS: MetricId = 7;
const INTERVAL: MetricId = 8;
const EXPECTATIONS: MetricId = 9;
const SIZE: MetricId = 10;
const NOT_AFTER: MetricId = 11;
const AVAILABILITY: MetricId = 12;
const SLO_TARGET: MetricId = 13;
const SLO_WINDOW: MetricId = 14;
const SLO_REMAINING: MetricId = 15;
const SLO_BURN: MetricId = 16;

/// In the order of the constants above. A gauge without a dimension has no unit: `1` turns into `_ratio` in Prometheus.
const METRICS: &[Known] = &[
    Known("synthetic.check.runs", Kind::Counter, "{run}", "Planned runs by result."),
    Known("synthetic.check.attempts", Kind::Counter, "{attempt}", "Attempts by their own result."),
    Known("synthetic.check.duration", Kind::Explicit, "s", "Length of runs, attempts and pauses."),
    Known("synthetic.check.phase.duration", Kind::Gauge, "s", "Phases of the last run, summed over its exchanges."),
    Known("synthetic.check.up", Kind::Gauge, "", "1 after success, 0 after failure and timeout."),
    Known("synthetic.check.state", Kind::Gauge, "", "1 for the state that holds."),
    Known("synthetic.check.last_run.time", Kind::Gauge, "s", "End of the last run."),
    Known("synthetic.check.last_success.time", Kind::Gauge, "s", "End of the last successful run."),
    Known("synthetic.check.interval", Kind::Gauge, "s", "Between two scheduled runs."),
    Known("synthetic.check.expectations", Kind::Counter, "{expectation}", "Expectations by whether they were met."),
    Known("synthetic.check.response.size", Kind::Gauge, "By", "Body of the final answer, decoded."),
    Known("synthetic.tls.certificate.not_after", Kind::Gauge, "s", "Earliest end in the chain that the server sent."),
    Known("synthetic.availability", Kind::Gauge, "", "Good out of valid runs."),
    Known("synthetic.slo.target", Kind::Gauge, "", "The objective."),
    Known("synthetic.slo.window", Kind::Gauge, "s", "Over which the objective is kept."),
    Known("synthetic.slo.error_budget.remaining", Kind::Gauge, "", "Share of the error budget that is left; below 0 when overspent."),
    Known("synthetic.slo.burn_rate", Kind::Gauge, "", "1 spends the error budget exactly in its window."),
];

/// Where a record's series are, and when its values came about.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    first: MetricId,
    at: Timestamp,
}

impl Place {
    fn key(self, metric: MetricId, extra: Extra) -> (usize, Key) {
        (self.group, Key { metric: self.first + metric, extra })
    }
}

impl Table {
    /// A probe is known: counters begin at zero for every result, so that `rate()` sees the first failure.
    pub(in crate::telemetry) fn load(&mut self, probe: &ProbeSeries, at: Timestamp) {
        let place = self.place(&probe.identity, at);
        for result in RunResult::ALL {
            for metric in [RUNS, ATTEMPTS] {
                let (group, key) = place.key(metric, Extra::Result(*result, None));
                self.set(group, key, Value::Whole(0), at);
            }
        }
        self.gauge(place, INTERVAL, Extra::Nothing, probe.identity.every.as_secs_f64());
        if let Some(slo) = probe.slo {
            self.gauge(place, SLO_TARGET, Extra::Nothing, slo.objective);
            self.gauge(place, SLO_WINDOW, Extra::Nothing, slo.window.as_secs_f64());
        }
    }

    /// Everything that a record says.
    pub(in crate::telemetry) fn record(&mut self, record: &Record, slo: Option<SloConfig>, vitals: &Vitals) {
        let outcome = &*record.outcome;
        let place = self.place(&outcome.probe, outcome.ended_at());
        self.count(place, RUNS, Extra::Result(outcome.result, outcome.error_type), outcome.runs);
        for attempt in &outcome.attempts {
            self.count(place, ATTEMPTS, Extra::Result(attempt.report.result(), None), 1);
        }
        if outcome.result != RunResult::Skipped {
            self.gauge(place, LAST_RUN, Extra::Nothing, outcome.ended_at().seconds());
            self.duration(place, outcome);
        }
        if let Some(success) = record.last_success {
            self.gauge(place, LAST_SUCCESS, Extra::Nothing, success.seconds());
        }
        match outcome.result {
            RunResult::Success => self.of_target(place, outcome, true),
            RunResult::Failure | RunResult::Timeout => self.of_target(place, outcome, false),
            // These say nothing of the target: what was known of it stands.
            RunResult::Error | RunResult::Skipped | RunResult::Unknown => {}
        }
        self.summary(place, &record.summary, slo);
        let reported = outcome.last().into_iter().flat_map(|attempt| &attempt.report.measurements);
        for measurement in reported.chain(&record.summary.measurements) {
            self.measurement(place, &outcome.probe, measurement, vitals);
        }
    }

    fn place(&mut self, identity: &Arc<Identity>, at: Timestamp) -> Place {
        let at = at.max(self.start);
        if let Some(group) = self.by_identity.get(identity) {
            return Place { group: *group, first: self.groups[*group].first, at };
        }
        let first = self.known(&Scope::of(identity), METRICS);
        let group = self.groups.len();
        self.groups.push(Group { identity: Some(Arc::clone(identity)), first, series: BTreeMap::new() });
        self.by_identity.insert(Arc::clone(identity), group);
        Place { group, first, at }
    }

    fn gauge(&mut self, place: Place, metric: MetricId, extra: Extra, value: f64) {
        let (group, key) = place.key(metric, extra);
        self.set(group, key, Value::Real(value), place.at);
    }

    /// A gauge that may have nothing to tell.
    fn gauge_or_absent(&mut self, place: Place, metric: MetricId, extra: Extra, value: Option<f64>) {
        let (group, key) = place.key(metric, extra);
        self.set(group, key, value.map_or(Value::Absent, Value::Real), place.at);
    }

    fn count(&mut self, place: Place, metric: MetricId, extra: Extra, amount: u64) {
        let (group, key) = place.key(metric, extra);
        self.add(group, key, amount, place.at);
    }

    fn sample(&mut self, place: Place, (group, key): (usize, Key), empty: Histogram, value: f64, exemplar: Option<Exemplar>) {
        self.change(
            group,
            key,
            place.at,
            || Value::Histogram(Box::new(empty)),
            |known| {
                if let Value::Histogram(histogram) = known {
                    histogram.record(value, exemplar);
                }
            },
        );
    }

    fn duration(&mut self, place: Place, outcome: &Outcome) {
        let length = outcome.length().as_secs_f64();
        let exemplar = Exemplar { trace: outcome.trace_id, span: outcome.root, value: length, at: place.at };
        let empty =
            if self.exponential { Histogram::Exponential(Exponential::default()) } else { Histogram::Explicit(Explicit::new(&BOUNDS)) };
        let key = place.key(DURATION, Extra::Result(outcome.result, None));
        self.sample(place, key, empty, length, exported(outcome).then_some(exemplar));
    }

    /// What a run says of its target. A phase that did not take place this time is no longer told.
    fn of_target(&mut self, place: Place, outcome: &Outcome, up: bool) {
        self.gauge(place, UP, Extra::Nothing, f64::from(u8::from(up)));
        for phase in Phase::ALL {
            let length = outcome.phase(*phase).map(|length| length.as_secs_f64());
            self.phase(place, *phase, length);
        }
        let exchange = outcome.exchange();
        let size = exchange.and_then(|exchange| exchange.body_size).map(|size| size as f64);
        self.gauge_or_absent(place, SIZE, Extra::Nothing, size);
        let chain = exchange.and_then(|exchange| exchange.tls.as_ref()).map(|tls| tls.chain.as_slice()).unwrap_or_default();
        if let Some(end) = chain.iter().map(|certificate| certificate.not_after).min() {
            self.gauge(place, NOT_AFTER, Extra::Nothing, end.seconds());
        }
        for expectation in outcome.last().into_iter().flat_map(|attempt| &attempt.report.expectations) {
            // Both ways at once, so that the other way has its zero long before it is needed.
            for met in [true, false] {
                let expected = Expected { name: expectation.name.clone(), met, soft: expectation.soft };
                self.count(place, EXPECTATIONS, Extra::Expectation(Box::new(expected)), u64::from(met == expectation.met));
            }
        }
    }

    fn phase(&mut self, place: Place, phase: Phase, length: Option<f64>) {
        if !self.exponential {
            self.gauge_or_absent(place, PHASE, Extra::Phase(phase), length);
        } else if let Some(length) = length {
            let scope = self.metrics[place.first as usize].scope.clone();
            let Known(name, _, unit, help) = METRICS[PHASE as usize];
            let metric = self.metric(Metric { scope, name: name.into(), unit: unit.into(), kind: Kind::Exponential, help });
            let key = (place.group, Key { metric, extra: Extra::Phase(phase) });
            self.sample(place, key, Histogram::Exponential(Exponential::default()), length, None);
        }
    }

    fn summary(&mut self, place: Place, summary: &Summary, slo: Option<SloConfig>) {
        let (group, key) = place.key(STATE, Extra::Nothing);
        self.set(group, key, Value::State(summary.state), place.at);
        for sli in summary.slis.iter().filter(|sli| sli.name == "availability") {
            let share = (sli.valid > 0).then(|| sli.good as f64 / sli.valid as f64);
            self.gauge_or_absent(place, AVAILABILITY, Extra::Window(sli.window), share);
            let Some(slo) = slo.filter(|slo| slo.objective < 1.0) else { continue };
            let burn = share.map(|share| (1.0 - share) / (1.0 - slo.objective));
            self.gauge_or_absent(place, SLO_BURN, Extra::Window(sli.window), burn);
            if sli.window == slo.window {
                self.gauge_or_absent(place, SLO_REMAINING, Extra::Window(sli.window), burn.map(|burn| 1.0 - burn));
            }
        }
    }

    /// A plugin's own number. How many series it may make of them is bounded.
    fn measurement(&mut self, place: Place, identity: &Identity, told: &Measurement, vitals: &Vitals) {
        let kind = match told.instrument {
            Instrument::Gauge => Kind::Gauge,
            Instrument::Counter => Kind::Counter,
            Instrument::Histogram => Kind::Exponential,
        };
        let scope = self.metrics[place.first as usize].scope.clone();
        let name = format!("synthetic.plugin.{}", told.name).into();
        let metric = Metric { scope, name, unit: told.unit.clone().into(), kind, help: "A measurement of the plugin." };
        let key = Key { metric: self.known_or_new(&metric), extra: tags(identity, told) };
        if !self.groups[place.group].series.contains_key(&key) && !self.admit(&identity.check) {
            vitals.series_limited.increment();
            return;
        }
        match told.instrument {
            Instrument::Gauge => self.set(place.group, key, Value::Real(told.value), place.at),
            Instrument::Counter => self.change(
                place.group,
                key,
                place.at,
                || Value::Real(0.0),
                |known| {
                    if let Value::Real(sum) = known {
                        *sum += told.value.max(0.0);
                    }
                },
            ),
            Instrument::Histogram => {
                self.sample(place, (place.group, key), Histogram::Exponential(Exponential::default()), told.value, None);
            }
        }
    }

    fn known_or_new(&mut self, metric: &Metric) -> MetricId {
        self.by_metric.get(metric).copied().unwrap_or_else(|| self.metric(metric.clone()))
    }

    /// Takes one of the places that a check has for series of measurements.
    fn admit(&mut self, check: &str) -> bool {
        let taken = match self.measured.get_mut(check) {
            Some(taken) => taken,
            None => self.measured.entry(check.to_owned()).or_default(),
        };
        let free = *taken < MEASURED;
        *taken += usize::from(free);
        free
    }
}

/// The dimensions of a measurement, without names that are the operator's; the agent's own were dropped when it was judged.
fn tags(identity: &Identity, told: &Measurement) -> Extra {
    let foreign = |name: &str| !identity.labels.iter().any(|label| label.name == name);
    let mut tags: Vec<_> =
        told.attributes.iter().filter(|tag| foreign(&tag.name)).map(|tag| (tag.name.clone().into(), Tag::of(&tag.value))).collect();
    tags.sort();
    tags.dedup_by(|one, other| one.0 == other.0);
    if tags.is_empty() { Extra::Nothing } else { Extra::Tags(tags.into()) }
}
