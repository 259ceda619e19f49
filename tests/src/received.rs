//! What arrived over OTLP, flattened: spans, points and events.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

/// Attributes as text: a list is joined by commas.
pub type Attributes = BTreeMap<String, String>;

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Hexadecimal.
    pub trace_id: String,
    /// Hexadecimal.
    pub span_id: String,
    /// Hexadecimal; empty for a root.
    pub parent_id: String,
    /// `check api` and the like.
    pub name: String,
    /// Whether it is an exchange with a target.
    pub client: bool,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// By key.
    pub attributes: Attributes,
}

impl Span {
    /// How long it took, in nanoseconds.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// A data point.
#[derive(Clone, Debug)]
pub struct Point {
    /// Of its metric.
    pub name: String,
    /// Of its metric.
    pub unit: String,
    /// Whether it may only grow (counters and histograms).
    pub cumulative: bool,
    /// By key.
    pub attributes: Attributes,
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Of a histogram the count.
    pub value: f64,
}

impl Point {
    /// What tells it from points of other series.
    pub fn series(&self) -> (String, Attributes) {
        (self.name.clone(), self.attributes.clone())
    }
}

/// A log record with a name.
#[derive(Clone, Debug)]
pub struct Event {
    /// `synthetic.check.state_changed` and the like.
    pub name: String,
    /// As OTLP counts: 9 is INFO, 13 WARN, 17 ERROR.
    pub severity: i32,
    /// Its text.
    pub body: String,
    /// By key.
    pub attributes: Attributes,
    /// Hexadecimal; empty if it belongs to no run.
    pub trace_id: String,
}

/// Everything that arrived, in order.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Of all traces.
    pub spans: Vec<Span>,
    /// Of all series.
    pub points: Vec<Point>,
    /// Of all kinds.
    pub events: Vec<Event>,
}

impl Received {
    /// Takes in what a request to a path of OTLP over HTTP carries: `/v1/traces`, `/v1/metrics`, `/v1/logs`.
    pub fn add(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" => self.add_traces(body),
            "/v1/metrics" => self.add_metrics(body),
            "/v1/logs" => self.add_logs(body),
            _ => panic!("{path} is no path of OTLP"),
        }
    }

    fn add_traces(&mut self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).expect("a request for traces");
        for span in request.resource_spans.into_iter().flat_map(|all| all.scope_spans).flat_map(|scope| scope.spans) {
            self.spans.push(Span {
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                client: span.kind() == SpanKind::Client,
                name: span.name,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: attributes(&span.attributes),
            });
        }
    }

    fn add_metrics(&mut self, body: &[u8]) {
        let request = ExportMetricsServiceRequest::decode(body).expect("a request for metrics");
        for metric in request.resource_metrics.into_iter().flat_map(|all| all.scope_metrics).flat_map(|scope| scope.metrics) {
            self.points.extend(points(&metric));
        }
    }

    fn add_logs(&mut self, body: &[u8]) {
        let request = ExportLogsServiceRequest::decode(body).expect("a request for logs");
        for record in request.resource_logs.into_iter().flat_map(|all| all.scope_logs).flat_map(|scope| scope.log_records) {
            self.events.push(Event {
                name: record.event_name,
                severity: record.severity_number,
                body: record.body.as_ref().map(text).unwrap_or_default(),
                attributes: attributes(&record.attributes),
                trace_id: hex(&record.trace_id),
            });
        }
    }

    /// The spans of each trace.
    pub fn traces(&self) -> BTreeMap<&str, Vec<&Span>> {
        let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in &self.spans {
            traces.entry(&span.trace_id).or_default().push(span);
        }
        traces
    }

    /// The root spans of a check's runs.
    pub fn runs(&self, check: &str) -> Vec<&Span> {
        let of = |span: &&Span| span.parent_id.is_empty() && span.attributes.get("synthetic.check.name").is_some_and(|name| name == check);
        self.spans.iter().filter(of).collect()
    }

    /// The spans right below one, in the order of their starts.
    pub fn below(&self, parent: &Span) -> Vec<&Span> {
        let child = |span: &&Span| span.trace_id == parent.trace_id && span.parent_id == parent.span_id;
        let mut found: Vec<_> = self.spans.iter().filter(child).collect();
        found.sort_by_key(|span| span.start);
        found
    }

    /// The points of a metric that carry these attributes.
    pub fn points<'a>(&'a self, name: &'a str, with: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Point> {
        self.points.iter().filter(move |point| point.name == name).filter(move |point| carries(&point.attributes, with))
    }

    /// The newest value of a metric with these attributes.
    pub fn last(&self, name: &str, with: &[(&str, &str)]) -> Option<f64> {
        self.points(name, with).last().map(|point| point.value)
    }

    /// The sum of the newest values of all series of a metric that carry these attributes.
    pub fn total(&self, name: &str, with: &[(&str, &str)]) -> f64 {
        let newest: BTreeMap<_, _> = self.points(name, with).map(|point| (point.series(), point.value)).collect();
        newest.values().sum()
    }

    /// The events of a name that carry these attributes.
    pub fn events(&self, name: &str, with: &[(&str, &str)]) -> Vec<&Event> {
        self.events.iter().filter(|event| event.name == name && carries(&event.attributes, with)).collect()
    }

    /// The names of all metrics that start with this.
    pub fn metrics(&self, prefix: &str) -> BTreeSet<&str> {
        self.points.iter().map(|point| point.name.as_str()).filter(|name| name.starts_with(prefix)).collect()
    }
}

fn carries(attributes: &Attributes, with: &[(&str, &str)]) -> bool {
    with.iter().all(|(key, value)| attributes.get(*key).is_some_and(|other| other == value))
}

fn points(metric: &Metric) -> Vec<Point> {
    let make = |cumulative: bool, of: &[KeyValue], time: u64, value: f64| Point {
        name: metric.name.clone(),
        unit: metric.unit.clone(),
        cumulative,
        attributes: attributes(of),
        time,
        value,
    };
    let number = |cumulative: bool, point: &NumberDataPoint| make(cumulative, &point.attributes, point.time_unix_nano, value(point.value));
    match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| number(false, point)).collect(),
        Some(metric::Data::Sum(sum)) => sum.data_points.iter().map(|point| number(sum.is_monotonic, point)).collect(),
        Some(metric::Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|point| make(true, &point.attributes, point.time_unix_nano, point.count as f64)).collect()
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|point| make(true, &point.attributes, point.time_unix_nano, point.count as f64)).collect()
        }
        Some(metric::Data::Summary(_)) | None => panic!("{} is of a kind that the agent does not know", metric.name),
    }
}

fn value(value: Option<number_data_point::Value>) -> f64 {
    match value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(text).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
