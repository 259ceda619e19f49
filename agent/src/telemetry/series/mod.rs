//! The last value of every series, and which of them are due to be sent.
//!
//! A series belongs to a probe or to the agent itself. Its points keep strict order: a value's time is the end of its
//! run when it is first sent, and the time of sending when it is sent again, never before the point that was sent last.

mod histogram;
mod name;
mod own;
mod probe;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{DataPointFlags, NumberDataPoint};

use super::encode::{Data, Point};
use super::otlp::{Scope, keys};
use crate::clock::{Timestamp, nanos};
use crate::outcome::{Identity, State};

use histogram::Histogram;
pub(super) use name::{Extra, Kind, Metric};
use name::{Known, Tag};

/// Every series is sent again after so long at most, or Prometheus forgets a check that runs every ten minutes.
const AGAIN: Duration = Duration::from_mins(1);

/// Points that are collected at once, about: so that a hundred thousand probes are never in memory twice.
const BATCH: usize = 2_000;

/// Which points are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Zeros of counters whose first value comes with the next pass: `rate()` needs to see where they began.
    Zeros,
    /// Values that changed, or that were not sent for long.
    Values,
}

/// Which metric: an index into [`Table::metrics`].
type MetricId = u32;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    metric: MetricId,
    extra: Extra,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Whole(u64),
    Real(f64),
    /// Six series in one, of which one holds.
    State(State),
    Histogram(Box<Histogram>),
    /// A gauge of which the last run had nothing to tell.
    Absent,
}

#[derive(Clone, Debug)]
struct Series {
    value: Value,
    /// When the value came about.
    at: Timestamp,
    /// Time of the last point that was sent; 0 = never.
    sent: Timestamp,
    changed: bool,
}

/// The series of a probe, or of the agent itself.
#[derive(Debug)]
struct Group {
    identity: Option<Arc<Identity>>,
    /// Where the known metrics of its scope begin.
    first: MetricId,
    series: BTreeMap<Key, Series>,
}

/// All series.
#[derive(Debug)]
pub(super) struct Table {
    /// One for the life of the process.
    start: Timestamp,
    interval: Duration,
    exponential: bool,
    metrics: Vec<Arc<Metric>>,
    by_metric: HashMap<Metric, MetricId>,
    groups: Vec<Group>,
    by_identity: HashMap<Arc<Identity>, usize>,
    /// Series of plugins' measurements, by check.
    measured: HashMap<String, usize>,
    /// Whether there are counters that have not been sent yet.
    fresh: bool,
}

/// A series as it is now, for those who show it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) metric: &'a Metric,
    pub(super) identity: Option<&'a Identity>,
    pub(super) extra: Extra,
    pub(super) shown: Shown<'a>,
}

/// The value of a series.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    Number(f64),
    /// Bounds, counts of their buckets (one more), sum.
    Buckets(&'a [f64], &'a [u64], f64),
    /// Count and sum.
    Total(u64, f64),
}

impl Table {
    pub(super) fn new(start: Timestamp, interval: Duration, exponential: bool) -> Self {
        let mut table = Self {
            start,
            interval,
            exponential,
            metrics: Vec::new(),
            by_metric: HashMap::new(),
            groups: Vec::new(),
            by_identity: HashMap::new(),
            measured: HashMap::new(),
            fresh: false,
        };
        let first = table.known(&Scope::own(), own::METRICS);
        table.groups.push(Group { identity: None, first, series: BTreeMap::new() });
        table
    }

    /// The metrics of a scope that are known when the program is written; the id of the first.
    fn known(&mut self, scope: &Scope, all: &[Known]) -> MetricId {
        let ids = all.iter().map(|Known(name, kind, unit, help)| {
            let kind = if *kind == Kind::Explicit && self.exponential && scope != &Scope::own() { Kind::Exponential } else { *kind };
            self.metric(Metric { scope: scope.clone(), name: (*name).into(), unit: (*unit).into(), kind, help })
        });
        ids.collect::<Vec<_>>().first().copied().unwrap_or_default()
    }

    fn metric(&mut self, metric: Metric) -> MetricId {
        if let Some(id) = self.by_metric.get(&metric) {
            return *id;
        }
        let id = MetricId::try_from(self.metrics.len()).unwrap_or(MetricId::MAX);
        self.metrics.push(Arc::new(metric.clone()));
        self.by_metric.insert(metric, id);
        id
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        let of =
            |group: &Group| group.series.values().map(|series| if matches!(series.value, Value::State(_)) { 6 } else { 1 }).sum::<usize>();
        self.groups.iter().map(of).sum()
    }

    /// A value that simply is so.
    fn set(&mut self, group: usize, key: Key, value: Value, at: Timestamp) {
        let series = &mut self.groups[group].series;
        match series.get_mut(&key) {
            Some(series) if series.value == value => {}
            Some(series) => (series.value, series.at, series.changed) = (value, at, true),
            None if value == Value::Absent => {}
            None => {
                series.insert(key, Series { value, at, sent: Timestamp(0), changed: true });
            }
        }
    }

    /// A counter or a distribution, changed by `change`; one that was not known begins as `empty`.
    fn change(&mut self, group: usize, key: Key, at: Timestamp, empty: impl FnOnce() -> Value, change: impl FnOnce(&mut Value)) {
        let series = self.groups[group].series.entry(key);
        let series = series.or_insert_with(|| Series { value: empty(), at, sent: Timestamp(0), changed: true });
        // Never sent, and about to be more than zero.
        self.fresh |= series.sent == Timestamp(0);
        change(&mut series.value);
        (series.at, series.changed) = (series.at.max(at), true);
    }

    /// Adds to a counter.
    fn add(&mut self, group: usize, key: Key, amount: u64, at: Timestamp) {
        self.change(
            group,
            key,
            at,
            || Value::Whole(0),
            |value| {
                if let Value::Whole(count) = value {
                    *count += amount;
                }
            },
        );
    }

    /// Points of a pass, from a group on; and the group to go on with, if there are more.
    pub(super) fn collect(&mut self, pass: Pass, now: Timestamp, from: usize) -> (Vec<Point>, Option<usize>) {
        let (mut points, mut at) = (Vec::new(), from);
        if pass == Pass::Zeros && !self.fresh {
            return (points, None);
        }
        while at < self.groups.len() && points.len() < BATCH {
            self.collect_group(at, pass, now, &mut points);
            at += 1;
        }
        let more = at < self.groups.len();
        if pass == Pass::Zeros && !more {
            self.fresh = false;
        }
        (points, more.then_some(at))
    }

    fn collect_group(&mut self, at: usize, pass: Pass, now: Timestamp, points: &mut Vec<Point>) {
        let (start, interval) = (self.start, self.interval);
        let group = &mut self.groups[at];
        let base = group.identity.as_deref().map(keys).unwrap_or_default();
        for (key, series) in &mut group.series {
            let metric = &self.metrics[key.metric as usize];
            let time = match pass {
                Pass::Zeros => series.zero_time(metric.kind, start, interval),
                Pass::Values => series.value_time(now, start, interval),
            };
            let Some(time) = time else { continue };
            series.sent = time;
            let mut push = |extra: &Extra, value: &mut Value| {
                let attributes = base.iter().cloned().chain(extra.attributes()).collect();
                points.push(Point { metric: Arc::clone(metric), data: value.data(metric.kind, attributes, start, time) });
            };
            match (pass, &mut series.value) {
                (Pass::Zeros, value) => push(&key.extra, &mut value.zero()),
                (Pass::Values, Value::State(holds)) => {
                    for state in State::ALL {
                        push(&Extra::State(*state), &mut Value::truth(state == holds));
                    }
                }
                (Pass::Values, value) => push(&key.extra, value),
            }
            series.changed &= pass == Pass::Zeros;
        }
    }

    /// Every series as it is now; the agent's own are as they were last read.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.groups.iter().flat_map(move |group| group.series.iter().map(move |(key, series)| (group, key, series))).flat_map(
            move |(group, key, series)| {
                let line =
                    |extra, shown| Line { metric: &self.metrics[key.metric as usize], identity: group.identity.as_deref(), extra, shown };
                let all = match &series.value {
                    Value::State(holds) => State::ALL
                        .iter()
                        .map(|state| line(Extra::State(*state), Shown::Number(f64::from(u8::from(state == holds)))))
                        .collect(),
                    Value::Absent => Vec::new(),
                    value => vec![line(key.extra.clone(), value.shown())],
                };
                all.into_iter()
            },
        )
    }
}

impl Series {
    /// The time of the zero that has to go before the first value, if one has to: as if it had been sent with the
    /// requests before.
    fn zero_time(&self, kind: Kind, start: Timestamp, interval: Duration) -> Option<Timestamp> {
        let wanted = self.sent == Timestamp(0) && kind != Kind::Gauge && !self.value.is_zero();
        wanted.then(|| Timestamp(self.at.0.saturating_sub(nanos(interval))).max(start))
    }

    /// The time of the point that is due, if one is.
    fn value_time(&self, now: Timestamp, start: Timestamp, interval: Duration) -> Option<Timestamp> {
        // What would be too old at the next tick goes with this one. A clock that was put back must not silence a series:
        // any distance counts.
        let old = now.0.abs_diff(self.sent.0) >= nanos(AGAIN.saturating_sub(interval));
        let due = self.changed || (old && self.value != Value::Absent);
        let wanted = if self.changed { self.at } else { now };
        due.then(|| wanted.max(start).max(Timestamp(self.sent.0 + 1)))
    }
}

impl Value {
    fn truth(truth: bool) -> Self {
        Self::Real(f64::from(u8::from(truth)))
    }

    fn zero(&self) -> Self {
        match self {
            Self::Histogram(histogram) => Self::Histogram(Box::new(histogram.empty())),
            Self::Whole(_) => Self::Whole(0),
            _ => Self::Real(0.0),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Whole(value) => *value == 0,
            Self::Real(value) => *value == 0.0,
            Self::Histogram(histogram) => **histogram == histogram.empty(),
            Self::State(_) | Self::Absent => false,
        }
    }

    fn shown(&self) -> Shown<'_> {
        match self {
            Self::Whole(value) => Shown::Number(*value as f64),
            Self::Real(value) => Shown::Number(*value),
            Self::State(_) | Self::Absent => Shown::Number(0.0),
            Self::Histogram(histogram) => match &**histogram {
                Histogram::Explicit(explicit) => Shown::Buckets(explicit.bounds, &explicit.counts, explicit.sum),
                Histogram::Exponential(exponential) => Shown::Total(exponential.count, exponential.sum),
            },
        }
    }

    fn data(&mut self, kind: Kind, attributes: Vec<KeyValue>, start: Timestamp, time: Timestamp) -> Data {
        let number = |value: Option<Number>, flags: u32| {
            // A gauge has no beginning.
            let start_time_unix_nano = if kind == Kind::Gauge { 0 } else { start.0 };
            Data::Number(NumberDataPoint {
                attributes: attributes.clone(),
                start_time_unix_nano,
                time_unix_nano: time.0,
                value,
                flags,
                ..NumberDataPoint::default()
            })
        };
        match self {
            Self::Whole(value) => number(Some(Number::AsInt(i64::try_from(*value).unwrap_or(i64::MAX))), 0),
            Self::Real(value) => number(Some(Number::AsDouble(*value)), 0),
            Self::State(_) | Self::Absent => number(None, DataPointFlags::NoRecordedValueMask as u32),
            Self::Histogram(histogram) => match &mut **histogram {
                Histogram::Explicit(explicit) => {
                    let mut point = explicit.point();
                    (point.attributes, point.start_time_unix_nano, point.time_unix_nano) = (attributes, start.0, time.0);
                    Data::Explicit(point)
                }
                Histogram::Exponential(exponential) => {
                    let mut point = exponential.point();
                    (point.attributes, point.start_time_unix_nano, point.time_unix_nano) = (attributes, start.0, time.0);
                    Data::Exponential(point)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
