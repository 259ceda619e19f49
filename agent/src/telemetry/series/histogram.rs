//! Distributions: explicit buckets with bounds of our choice, and exponential ones that find theirs.

use std::collections::VecDeque;

use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as BucketsMessage;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar as ExemplarMessage, ExponentialHistogramDataPoint, HistogramDataPoint};

use crate::clock::Timestamp;
use crate::outcome::{SpanId, TraceId};

/// Upper bounds of the buckets of `synthetic.check.duration`, in seconds: from an answer on the same machine to the
/// longest timeout that is sensible.
pub(in crate::telemetry) const BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A value together with the span that it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::telemetry) struct Exemplar {
    pub(in crate::telemetry) trace: TraceId,
    pub(in crate::telemetry) span: SpanId,
    pub(in crate::telemetry) value: f64,
    pub(in crate::telemetry) at: Timestamp,
}

impl Exemplar {
    fn message(self) -> ExemplarMessage {
        ExemplarMessage {
            time_unix_nano: self.at.0,
            trace_id: self.trace.0.to_vec(),
            span_id: self.span.0.to_vec(),
            value: Some(ExemplarValue::AsDouble(self.value)),
            ..ExemplarMessage::default()
        }
    }
}

/// Buckets with fixed bounds.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::telemetry) struct Explicit {
    pub(super) bounds: &'static [f64],
    /// One more than bounds: the last is beyond all of them.
    pub(super) counts: Box<[u64]>,
    pub(super) sum: f64,
    exemplar: Option<Exemplar>,
}

impl Explicit {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1].into(), sum: 0.0, exemplar: None }
    }

    /// What others have counted.
    pub(super) fn of(bounds: &'static [f64], counts: &[u64], sum: f64) -> Self {
        Self { bounds, counts: counts.into(), sum, exemplar: None }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn record(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// Its point; an exemplar is told once. Attributes and times are the caller's.
    pub(super) fn point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            count: self.count(),
            sum: Some(self.sum),
            bucket_counts: self.counts.to_vec(),
            explicit_bounds: self.bounds.to_vec(),
            exemplars: self.exemplar.take().into_iter().map(Exemplar::message).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

/// Buckets of one side of zero: neighbours from `offset` on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    offset: i32,
    counts: VecDeque<u64>,
}

/// At most so many buckets on a side, as the SDKs have it.
const MOST: i64 = 160;

impl Buckets {
    /// How often the scale has to be halved before `index` fits.
    fn excess(&self, index: i32) -> u32 {
        if self.counts.is_empty() {
            return 0;
        }
        let last = i64::from(self.offset) + i64::try_from(self.counts.len()).unwrap_or(MOST) - 1;
        let (mut low, mut high) = (i64::from(self.offset.min(index)), last.max(i64::from(index)));
        let mut halvings = 0;
        while high - low >= MOST {
            (low, high, halvings) = (low >> 1, high >> 1, halvings + 1);
        }
        halvings
    }

    fn halve(&mut self, times: u32) {
        let (was, offset) = (std::mem::take(&mut self.counts), self.offset);
        self.offset = offset >> times;
        for (index, count) in (offset..).zip(was).filter(|(_, count)| *count > 0) {
            self.add(index >> times, count);
        }
    }

    /// Adds to a bucket that fits.
    fn add(&mut self, index: i32, count: u64) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        while index < self.offset {
            self.counts.push_front(0);
            self.offset -= 1;
        }
        let place = usize::try_from(index - self.offset).unwrap_or_default();
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += count;
    }

    fn message(&self) -> BucketsMessage {
        BucketsMessage { offset: self.offset, bucket_counts: self.counts.iter().copied().collect() }
    }
}

/// Buckets whose bounds are powers of `2^(2^-scale)`; coarser as values spread.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::telemetry) struct Exponential {
    scale: i32,
    zeros: u64,
    positive: Buckets,
    negative: Buckets,
    pub(super) count: u64,
    pub(super) sum: f64,
    exemplar: Option<Exemplar>,
}

impl Default for Exponential {
    fn default() -> Self {
        let (positive, negative) = (Buckets::default(), Buckets::default());
        Self { scale: 20, zeros: 0, positive, negative, count: 0, sum: 0.0, exemplar: None }
    }
}

impl Exponential {
    fn record(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let index = self.index(value.abs());
        let side = if value > 0.0 { &self.positive } else { &self.negative };
        let halvings = side.excess(index);
        if halvings > 0 {
            self.scale -= i32::try_from(halvings).unwrap_or_default();
            self.positive.halve(halvings);
            self.negative.halve(halvings);
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.add(index >> halvings, 1);
    }

    /// Of the bucket that holds a positive value: bounds are exclusive below and inclusive above.
    #[expect(clippy::cast_possible_truncation, reason = "|log2| < 1100 and scale <= 20: it fits 32 bits")]
    fn index(&self, value: f64) -> i32 {
        ((value.log2() * f64::from(self.scale).exp2()).ceil() as i32) - 1
    }

    /// Its point; an exemplar is told once. Attributes and times are the caller's.
    pub(super) fn point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            count: self.count,
            sum: Some(self.sum),
            scale: self.scale,
            zero_count: self.zeros,
            positive: Some(self.positive.message()),
            negative: (!self.negative.counts.is_empty()).then(|| self.negative.message()),
            exemplars: self.exemplar.take().into_iter().map(Exemplar::message).collect(),
            ..ExponentialHistogramDataPoint::default()
        }
    }
}

/// Either of the two.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::telemetry) enum Histogram {
    Explicit(Explicit),
    Exponential(Exponential),
}

impl Histogram {
    pub(super) fn record(&mut self, value: f64, exemplar: Option<Exemplar>) {
        let kept = match self {
            Self::Explicit(histogram) => {
                histogram.record(value);
                &mut histogram.exemplar
            }
            Self::Exponential(histogram) => {
                histogram.record(value);
                &mut histogram.exemplar
            }
        };
        *kept = exemplar.or(*kept);
    }

    /// The same with nothing in it.
    pub(super) fn empty(&self) -> Self {
        match self {
            Self::Explicit(histogram) => Self::Explicit(Explicit::new(histogram.bounds)),
            Self::Exponential(_) => Self::Exponential(Exponential::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_in_the_bucket_that_ends_there() {
        let mut histogram = Explicit::new(&BOUNDS);
        for value in [0.001, 0.0011, 100.0] {
            histogram.record(value);
        }
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[15]), (1, 1, 1));
        assert_eq!(histogram.count(), 3);
    }

    #[test]
    fn exponential_buckets_hold_every_value_between_their_bounds() {
        let mut histogram = Exponential::default();
        let values = [0.001, 0.25, 0.3, 1.0, 1.5, 60.0, 3600.0];
        for value in values {
            histogram.record(value);
        }
        let point = histogram.point();
        let base = f64::from(-point.scale).exp2().exp2();
        let buckets = point.positive.unwrap();
        assert!(buckets.bucket_counts.len() <= 160 && point.scale < 20);
        for (index, _) in (buckets.offset..).zip(&buckets.bucket_counts).filter(|(_, count)| **count > 0) {
            let (low, high) = (base.powi(index), base.powi(index + 1));
            assert!(values.iter().any(|value| low * 0.999 <= *value && *value <= high * 1.001), "nothing in {low}..{high}");
        }
        assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), point.count);
    }

    #[test]
    fn a_power_of_two_ends_its_bucket() {
        let mut histogram = Exponential { scale: 0, ..Exponential::default() };
        for value in [1.0, 2.0, 2.1] {
            histogram.record(value);
        }
        assert_eq!((histogram.positive.offset, Vec::from(histogram.positive.counts)), (-1, vec![1, 1, 1]));
    }

    #[test]
    fn zeros_and_negative_values_have_their_own_places_and_any_float_fits() {
        let mut histogram = Exponential::default();
        for value in [0.0, -1.0, -5.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::MIN] {
            histogram.record(value);
        }
        let point = histogram.point();
        assert_eq!((point.zero_count, point.count), (1, 7));
        assert_eq!(point.negative.unwrap().bucket_counts.iter().sum::<u64>(), 3);
        assert!(point.positive.unwrap().bucket_counts.len() <= 160);
    }

    #[test]
    fn an_exemplar_is_told_once() {
        let exemplar = Exemplar { trace: TraceId::random(), span: SpanId::random(), value: 0.1, at: Timestamp(1) };
        let mut histogram = Histogram::Explicit(Explicit::new(&BOUNDS));
        histogram.record(0.1, Some(exemplar));
        histogram.record(0.2, None);
        let Histogram::Explicit(explicit) = &mut histogram else { panic!() };
        assert_eq!(explicit.point().exemplars[0].trace_id, exemplar.trace.0);
        assert!(explicit.point().exemplars.is_empty());
    }
}
