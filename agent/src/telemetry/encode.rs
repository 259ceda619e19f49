//! Spans, points and events become requests of OTLP, each within the bounds that collectors accept.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric as MetricMessage, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::otlp::{Scope, Signal};
use super::series::{Kind, Metric};

/// Items of a request, at most.
pub(super) const ITEMS: usize = 2_000;

/// Bytes of a request before compression, at most.
pub(super) const BYTES: usize = 1 << 20;

/// Tag and length of a message within another.
const HEAD: usize = 8;

/// A point, and the metric it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) metric: Arc<Metric>,
    pub(super) data: Data,
}

/// What kind of point.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Number(NumberDataPoint),
    Explicit(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

/// Things of one signal that wait to be sent.
#[derive(Clone, Debug)]
pub(super) enum Items {
    Traces(Vec<(Scope, Span)>),
    Metrics(Vec<Point>),
    Logs(Vec<(Scope, LogRecord)>),
}

/// A request as it is before compression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plain {
    pub(super) signal: Signal,
    pub(super) items: usize,
    pub(super) body: Vec<u8>,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Traces(spans) => spans.len(),
            Self::Metrics(points) => points.len(),
            Self::Logs(records) => records.len(),
        }
    }

    /// As many requests as the bounds ask for, in the order of the things in them.
    pub(super) fn requests(self, resource: &Resource) -> Vec<Plain> {
        let fixed = resource.encoded_len() + 2 * HEAD;
        match self {
            Self::Traces(spans) => {
                let chunks =
                    bounded(spans, fixed, |before, (scope, span)| scoped(before.map(|(scope, _)| scope), scope) + span.encoded_len());
                chunks.into_iter().map(|chunk| traces(resource, chunk)).collect()
            }
            Self::Metrics(mut points) => {
                points.sort_by(|one, other| one.metric.cmp(&other.metric));
                let chunks = bounded(points, fixed, |before, point| point_cost(before.map(|before| &before.metric), point));
                chunks.into_iter().map(|chunk| metrics(resource, chunk)).collect()
            }
            Self::Logs(records) => {
                let chunks =
                    bounded(records, fixed, |before, (scope, record)| scoped(before.map(|(scope, _)| scope), scope) + record.encoded_len());
                chunks.into_iter().map(|chunk| logs(resource, chunk)).collect()
            }
        }
    }
}

/// Cuts before an item that would make a request too long.
fn bounded<T>(items: Vec<T>, fixed: usize, cost: impl Fn(Option<&T>, &T) -> usize) -> Vec<Vec<T>> {
    let (mut chunks, mut chunk, mut size) = (Vec::new(), Vec::<T>::new(), fixed);
    for item in items {
        let more = cost(chunk.last(), &item);
        if !chunk.is_empty() && (chunk.len() == ITEMS || size + more > BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            size = fixed;
        }
        size += if chunk.is_empty() { cost(None, &item) } else { more };
        chunk.push(item);
    }
    chunks.extend((!chunk.is_empty()).then_some(chunk));
    chunks
}

fn scoped(before: Option<&Scope>, scope: &Scope) -> usize {
    HEAD + if before == Some(scope) { 0 } else { scope.len() + 2 * HEAD }
}

fn point_cost(before: Option<&Arc<Metric>>, point: &Point) -> usize {
    let metric = &point.metric;
    let known = before.is_some_and(|before| before == metric);
    let head = if known { 0 } else { metric.name.len() + metric.unit.len() + metric.help.len() + 4 * HEAD };
    let data = match &point.data {
        Data::Number(point) => point.encoded_len(),
        Data::Explicit(point) => point.encoded_len(),
        Data::Exponential(point) => point.encoded_len(),
    };
    scoped(before.map(|before| &before.scope), &metric.scope) + head + data
}

/// Neighbours of one scope.
fn by_scope<T>(items: Vec<(Scope, T)>) -> Vec<(Scope, Vec<T>)> {
    let mut groups: Vec<(Scope, Vec<T>)> = Vec::new();
    for (scope, item) in items {
        match groups.last_mut() {
            Some((known, group)) if *known == scope => group.push(item),
            _ => groups.push((scope, vec![item])),
        }
    }
    groups
}

fn traces(resource: &Resource, spans: Vec<(Scope, Span)>) -> Plain {
    let items = spans.len();
    let groups = by_scope(spans).into_iter();
    let scope_spans = groups.map(|(scope, spans)| ScopeSpans { scope: Some(scope.message()), spans, ..ScopeSpans::default() }).collect();
    let of = ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() };
    Plain { signal: Signal::Traces, items, body: ExportTraceServiceRequest { resource_spans: vec![of] }.encode_to_vec() }
}

fn logs(resource: &Resource, records: Vec<(Scope, LogRecord)>) -> Plain {
    let items = records.len();
    let groups = by_scope(records).into_iter();
    let scope_logs =
        groups.map(|(scope, log_records)| ScopeLogs { scope: Some(scope.message()), log_records, ..ScopeLogs::default() }).collect();
    let of = ResourceLogs { resource: Some(resource.clone()), scope_logs, ..ResourceLogs::default() };
    Plain { signal: Signal::Logs, items, body: ExportLogsServiceRequest { resource_logs: vec![of] }.encode_to_vec() }
}

fn metrics(resource: &Resource, points: Vec<Point>) -> Plain {
    let items = points.len();
    let mut groups: Vec<(Arc<Metric>, Vec<Data>)> = Vec::new();
    for Point { metric, data } in points {
        match groups.last_mut() {
            Some((known, group)) if *known == metric => group.push(data),
            _ => groups.push((metric, vec![data])),
        }
    }
    let messages = groups.into_iter().map(|(metric, data)| (metric.scope.clone(), metric_message(&metric, data))).collect();
    let groups = by_scope(messages).into_iter();
    let scope_metrics =
        groups.map(|(scope, metrics)| ScopeMetrics { scope: Some(scope.message()), metrics, ..ScopeMetrics::default() }).collect();
    let of = ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..ResourceMetrics::default() };
    Plain { signal: Signal::Metrics, items, body: ExportMetricsServiceRequest { resource_metrics: vec![of] }.encode_to_vec() }
}

fn metric_message(metric: &Metric, data: Vec<Data>) -> MetricMessage {
    let (mut numbers, mut explicit, mut exponential) = (Vec::new(), Vec::new(), Vec::new());
    for point in data {
        match point {
            Data::Number(point) => numbers.push(point),
            Data::Explicit(point) => explicit.push(point),
            Data::Exponential(point) => exponential.push(point),
        }
    }
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match metric.kind {
        Kind::Gauge => MetricData::Gauge(Gauge { data_points: numbers }),
        Kind::Counter => MetricData::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true }),
        Kind::Explicit => MetricData::Histogram(Histogram { data_points: explicit, aggregation_temporality }),
        Kind::Exponential => MetricData::ExponentialHistogram(ExponentialHistogram { data_points: exponential, aggregation_temporality }),
    };
    MetricMessage {
        name: metric.name.to_string(),
        description: metric.help.to_owned(),
        unit: metric.unit.to_string(),
        data: Some(data),
        ..MetricMessage::default()
    }
}

impl Plain {
    /// The same in two requests, the first of which holds what came first; none if there is nothing to cut.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        if self.items < 2 {
            return None;
        }
        let (resource, items) = self.decode()?;
        let middle = items.len() / 2;
        Some(match items {
            Items::Traces(mut first) => {
                let second = first.split_off(middle);
                [traces(&resource, first), traces(&resource, second)]
            }
            Items::Metrics(mut first) => {
                let second = first.split_off(middle);
                [metrics(&resource, first), metrics(&resource, second)]
            }
            Items::Logs(mut first) => {
                let second = first.split_off(middle);
                [logs(&resource, first), logs(&resource, second)]
            }
        })
    }

    /// What is in it. Ours hold one resource.
    fn decode(&self) -> Option<(Resource, Items)> {
        let body = self.body.as_slice();
        Some(match self.signal {
            Signal::Traces => {
                let of = ExportTraceServiceRequest::decode(body).ok()?.resource_spans.pop()?;
                let scopes = of.scope_spans.into_iter();
                let spans = scopes.flat_map(|group| {
                    let scope = Scope::from(group.scope);
                    group.spans.into_iter().map(move |span| (scope.clone(), span))
                });
                (of.resource?, Items::Traces(spans.collect()))
            }
            Signal::Logs => {
                let of = ExportLogsServiceRequest::decode(body).ok()?.resource_logs.pop()?;
                let scopes = of.scope_logs.into_iter();
                let records = scopes.flat_map(|group| {
                    let scope = Scope::from(group.scope);
                    group.log_records.into_iter().map(move |record| (scope.clone(), record))
                });
                (of.resource?, Items::Logs(records.collect()))
            }
            Signal::Metrics => {
                let of = ExportMetricsServiceRequest::decode(body).ok()?.resource_metrics.pop()?;
                let scopes = of.scope_metrics.into_iter();
                let points = scopes.flat_map(|group| {
                    let scope = Scope::from(group.scope);
                    group.metrics.into_iter().flat_map(move |metric| points(&scope, metric))
                });
                (of.resource?, Items::Metrics(points.collect()))
            }
        })
    }
}

fn points(scope: &Scope, message: MetricMessage) -> Vec<Point> {
    let (kind, data): (_, Vec<Data>) = match message.data {
        Some(MetricData::Gauge(gauge)) => (Kind::Gauge, gauge.data_points.into_iter().map(Data::Number).collect()),
        Some(MetricData::Sum(sum)) => (Kind::Counter, sum.data_points.into_iter().map(Data::Number).collect()),
        Some(MetricData::Histogram(histogram)) => (Kind::Explicit, histogram.data_points.into_iter().map(Data::Explicit).collect()),
        Some(MetricData::ExponentialHistogram(histogram)) => {
            (Kind::Exponential, histogram.data_points.into_iter().map(Data::Exponential).collect())
        }
        Some(MetricData::Summary(_)) | None => return Vec::new(),
    };
    // What a metric is for was told with the request that was too long; its halves may do without.
    let metric = Metric { scope: scope.clone(), name: message.name.into(), unit: message.unit.into(), kind, help: "" };
    let metric = Arc::new(metric);
    data.into_iter().map(|data| Point { metric: Arc::clone(&metric), data }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::otlp::text;
    use super::*;

    fn spans(count: usize, size: usize) -> Items {
        let scope = Scope::new("http", "1");
        let span = |number: usize| Span { name: number.to_string(), attributes: vec![text("x", "y".repeat(size))], ..Span::default() };
        Items::Traces((0..count).map(|number| (scope.clone(), span(number))).collect())
    }

    fn points(count: usize) -> Items {
        let metric = |number: usize| Metric {
            scope: Scope::new(["a", "b"][number % 2], "1"),
            name: format!("m{}", number % 7).into(),
            unit: "s".into(),
            kind: Kind::Gauge,
            help: "help",
        };
        let data = |number: usize| Data::Number(NumberDataPoint { time_unix_nano: number as u64 + 1, ..NumberDataPoint::default() });
        Items::Metrics((0..count).map(|number| Point { metric: Arc::new(metric(number)), data: data(number) }).collect())
    }

    fn names(requests: &[Plain]) -> Vec<String> {
        requests
            .iter()
            .flat_map(|plain| match plain.decode().unwrap().1 {
                Items::Traces(spans) => spans.into_iter().map(|(_, span)| span.name).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_request_has_at_most_2000_items_in_their_order() {
        let requests = spans(4_500, 1).requests(&Resource::default());
        assert_eq!(requests.iter().map(|plain| plain.items).collect::<Vec<_>>(), [2_000, 2_000, 500]);
        assert_eq!(names(&requests), (0..4_500).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_request_has_at_most_1_mib_and_is_nearly_filled() {
        let resource = Resource { attributes: vec![text("name", "value")], ..Resource::default() };
        let requests = spans(1_000, 5_000).requests(&resource);
        assert_eq!(requests.iter().map(|plain| plain.items).sum::<usize>(), 1_000);
        assert!(requests.iter().all(|plain| plain.body.len() <= BYTES));
        assert!(requests[0].body.len() > BYTES * 9 / 10);
    }

    #[test]
    fn many_metrics_of_many_scopes_keep_the_bound_too() {
        for plain in points(9_000).requests(&Resource::default()) {
            assert!(plain.body.len() <= BYTES && plain.items <= ITEMS);
            assert_eq!(plain.decode().unwrap().1.len(), plain.items);
        }
    }

    #[test]
    fn an_item_that_is_too_long_alone_does_not_take_others_with_it() {
        let Items::Traces(mut all) = spans(3, 1) else { panic!() };
        all[1].1.attributes = vec![text("x", "y".repeat(2 * BYTES))];
        let sizes: Vec<_> = Items::Traces(all).requests(&Resource::default()).iter().map(|plain| plain.items).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn halves_hold_everything_once_in_order_and_one_item_cannot_be_cut() {
        let [whole] = &spans(5, 1).requests(&Resource::default())[..] else { panic!() };
        let halves = whole.halves().unwrap();
        assert_eq!((halves[0].items, halves[1].items), (2, 3));
        assert_eq!(names(&halves), ["0", "1", "2", "3", "4"]);
        assert!(spans(1, 1).requests(&Resource::default())[0].halves().is_none());
        let [whole] = &points(20).requests(&Resource::default())[..] else { panic!() };
        let halves = whole.halves().unwrap();
        let times = |plain: &Plain| match plain.decode().unwrap().1 {
            Items::Metrics(points) => points
                .into_iter()
                .map(|point| match point.data {
                    Data::Number(point) => point.time_unix_nano,
                    _ => 0,
                })
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let mut all = [times(&halves[0]), times(&halves[1])].concat();
        all.sort_unstable();
        assert_eq!(all, (1..=20).collect::<Vec<_>>());
    }
}
