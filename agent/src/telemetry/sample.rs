//! Outcomes for the tests of this module.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};

use crate::clock::{Anchor, Instant, Timestamp};
use crate::outcome::*;

pub(super) fn identity() -> Identity {
    Identity {
        check: "api".to_owned(),
        target: "one".to_owned(),
        service: "api".to_owned(),
        address: "http://127.0.0.1/".to_owned(),
        location: "lab".to_owned(),
        labels: vec![Label { name: "team".to_owned(), value: "payments".to_owned() }],
        plugin: "http".to_owned(),
        plugin_version: "1.2.3".to_owned(),
        plugin_digest: "ab".to_owned(),
        peer_service: None,
        every: Duration::from_secs(1),
    }
}

/// So many milliseconds after the run began.
pub(super) fn at(outcome: &Outcome, millis: u64) -> Instant {
    outcome.anchor.instant() + Duration::from_millis(millis)
}

/// A run of 10 ms with one exchange.
pub(super) fn success() -> Outcome {
    let anchor = Anchor::now();
    let mut outcome = Outcome {
        probe: Arc::new(identity()),
        sequence: 1,
        runs: 1,
        trace_id: TraceId::random(),
        root: SpanId::random(),
        sampled: true,
        trigger: Trigger::Schedule,
        scheduled_at: anchor.wall(),
        anchor,
        ended: anchor.instant() + Duration::from_millis(10),
        result: RunResult::Success,
        error_type: None,
        message: "200 OK".to_owned(),
        attempts: Vec::new(),
        quarantined: false,
    };
    outcome.attempts.push(attempt(&outcome, None));
    outcome
}

pub(super) fn attempt(outcome: &Outcome, error_type: Option<ErrorType>) -> Attempt {
    let stretch = Stretch { start: at(outcome, 0), end: at(outcome, 10) };
    let exchange = Exchange {
        span_id: SpanId::random(),
        parent: outcome.root,
        method: "GET".to_owned(),
        url: "http://127.0.0.1/".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 80,
        stretch,
        phases: Phases::default(),
        remote: None,
        version: Some(HttpVersion::Http11),
        status: Some(if error_type.is_some() { 500 } else { 200 }),
        resend_count: 0,
        body_size: Some(12),
        tls: None,
        error: None,
    };
    let report = Report { error_type, message: "done".to_owned(), ..Report::default() };
    Attempt { span_id: outcome.root, stretch, report, steps: Vec::new(), exchanges: vec![exchange] }
}

/// Two hard expectations that were not met, and a soft one.
pub(super) fn failure() -> Outcome {
    let mut outcome = success();
    (outcome.result, outcome.error_type) = (RunResult::Failure, Some(ErrorType::Status));
    outcome.message = "500, expected 2xx".to_owned();
    outcome.attempts = vec![attempt(&outcome, Some(ErrorType::Status))];
    outcome.attempts[0].report.expectations =
        [("status", false), ("body_contains", false), ("latency", true)].map(|(name, soft)| expectation(name, false, soft)).into();
    outcome
}

pub(super) fn skipped(runs: u64) -> Outcome {
    Outcome { runs, result: RunResult::Skipped, error_type: Some(ErrorType::Late), attempts: Vec::new(), ..success() }
}

pub(super) fn expectation(name: &str, met: bool, soft: bool) -> Expectation {
    Expectation { name: name.to_owned(), met, soft, detail: format!("{name} is wrong") }
}

pub(super) fn step(outcome: &Outcome, name: &str) -> Step {
    let stretch = Stretch { start: at(outcome, 0), end: at(outcome, 10) };
    let (span_id, parent) = (SpanId::random(), outcome.root);
    Step { span_id, parent, name: name.to_owned(), stretch, succeeded: false, message: None, attributes: Vec::new() }
}

pub(super) fn noted(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), value: Value::Text(value.to_owned()) }
}

pub(super) fn measurement(name: &str, instrument: Instrument, value: f64) -> Measurement {
    Measurement { name: name.to_owned(), unit: "1".to_owned(), instrument, value, attributes: Vec::new() }
}

pub(super) fn summary(state: State) -> Summary {
    Summary { state, since: Timestamp(1), message: String::new(), slis: Vec::new(), measurements: Vec::new(), events: Vec::new() }
}

/// The record of an outcome, up after a success and down after anything else.
pub(super) fn record(outcome: Outcome) -> Record {
    let good = outcome.result == RunResult::Success;
    let last_success = good.then(|| outcome.ended_at());
    let summary = summary(if good { State::Up } else { State::Down });
    Record { outcome: Arc::new(outcome), summary: Arc::new(summary), change: None, last_success }
}

/// A certificate as the leaf of a connection.
pub(super) fn tls(fingerprint: &str, not_after: u64) -> Arc<TlsInfo> {
    let leaf = Certificate {
        subject: "CN=leaf".to_owned(),
        issuer: "CN=ca".to_owned(),
        serial: "01".to_owned(),
        not_before: Timestamp(0),
        not_after: Timestamp(not_after * 1_000_000_000),
        alt_names: Vec::new(),
        fingerprint_sha256: fingerprint.to_owned(),
    };
    Arc::new(TlsInfo { version: None, cipher: None, alpn: None, server_name: None, verified: true, chain: vec![leaf] })
}

/// A value as text.
pub(super) fn shown(pair: &KeyValue) -> String {
    fn any(value: Option<&AnyValue>) -> String {
        match value.and_then(|value| value.value.as_ref()) {
            Some(Any::StringValue(value)) => value.clone(),
            Some(Any::BoolValue(value)) => value.to_string(),
            Some(Any::IntValue(value)) => value.to_string(),
            Some(Any::DoubleValue(value)) => value.to_string(),
            Some(Any::ArrayValue(array)) => {
                format!("[{}]", array.values.iter().map(|value| any(Some(value))).collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}"),
        }
    }
    any(pair.value.as_ref())
}
