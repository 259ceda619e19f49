//! A run as JSON. Moments within it are milliseconds after its start.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{RunTold, millis};
use crate::clock::Instant;
use crate::outcome::{Attempt, Attribute, ErrorType, Exchange, Identity, Measurement, Outcome, Stretch, Value};
use crate::serve::board::Remembered;

/// `GET /api/v1/outcomes/{id}`
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Run {
    /// `"detail": "full"`
    Full(Box<Full>),
    /// `"detail": "brief"`: of a run that went well long ago only this is left.
    Brief(Box<BriefRun>),
}

#[derive(Serialize)]
pub(super) struct BriefRun {
    version: u32,
    detail: &'static str,
    check: String,
    target: String,
    service: String,
    #[serde(flatten)]
    run: RunTold,
}

#[derive(Serialize)]
pub(super) struct Full {
    version: u32,
    detail: &'static str,
    check: String,
    target: String,
    service: String,
    address: String,
    location: String,
    trace_id: String,
    root_span_id: String,
    sequence: u64,
    trigger: &'static str,
    result: &'static str,
    error_type: Option<&'static str>,
    message: String,
    scheduled: String,
    started: String,
    ended: String,
    lateness_ms: f64,
    duration_ms: f64,
    latency_ms: Option<f64>,
    /// The state that followed from it.
    state: &'static str,
    attempts: Vec<AttemptTold>,
}

#[derive(Serialize)]
struct AttemptTold {
    span_id: String,
    #[serde(flatten)]
    stretch: Times,
    result: &'static str,
    error_type: Option<&'static str>,
    message: String,
    expectations: Vec<ExpectationTold>,
    measurements: Vec<MeasurementTold>,
    events: Vec<EventTold>,
    attributes: BTreeMap<String, serde_json::Value>,
    steps: Vec<StepTold>,
    exchanges: Vec<ExchangeTold>,
}

#[derive(Serialize)]
struct Times {
    start_ms: f64,
    duration_ms: f64,
}

#[derive(Serialize)]
struct ExpectationTold {
    name: String,
    met: bool,
    soft: bool,
    detail: String,
}

/// A number that a run or a summary yields.
#[derive(Serialize)]
pub(super) struct MeasurementTold {
    name: String,
    unit: String,
    value: f64,
    attributes: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize)]
struct EventTold {
    at: String,
    severity: &'static str,
    name: String,
    message: String,
    attributes: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize)]
struct StepTold {
    span_id: String,
    parent_span_id: String,
    name: String,
    #[serde(flatten)]
    stretch: Times,
    succeeded: bool,
    message: Option<String>,
    attributes: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize)]
struct ExchangeTold {
    span_id: String,
    parent_span_id: String,
    method: String,
    url: String,
    #[serde(flatten)]
    stretch: Times,
    phases: BTreeMap<&'static str, Times>,
    address: Option<String>,
    protocol: Option<&'static str>,
    status: Option<u16>,
    body_bytes: Option<u64>,
    tls: Option<TlsTold>,
    error_type: Option<&'static str>,
    error_message: Option<String>,
}

#[derive(Serialize)]
struct TlsTold {
    version: Option<String>,
    cipher: Option<String>,
    alpn: Option<String>,
    server_name: Option<String>,
    verified: bool,
    chain: Vec<CertificateTold>,
}

#[derive(Serialize)]
struct CertificateTold {
    subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    alt_names: Vec<String>,
    fingerprint_sha256: String,
}

impl Run {
    /// What is remembered of a run of a probe.
    pub(super) fn new(identity: &Identity, remembered: &Remembered) -> Self {
        let (check, target, service) = (identity.check.clone(), identity.target.clone(), identity.service.clone());
        match remembered {
            Remembered::Brief(brief) => {
                Self::Brief(Box::new(BriefRun { version: 1, detail: "brief", check, target, service, run: RunTold::new(brief) }))
            }
            Remembered::Full(record) => {
                let mut full = full(&record.outcome);
                full.state = record.summary.state.word();
                Self::Full(Box::new(full))
            }
        }
    }
}

fn full(outcome: &Outcome) -> Full {
    let probe = &outcome.probe;
    Full {
        version: 1,
        detail: "full",
        check: probe.check.clone(),
        target: probe.target.clone(),
        service: probe.service.clone(),
        address: probe.address.clone(),
        location: probe.location.clone(),
        trace_id: outcome.trace_id.to_string(),
        root_span_id: outcome.root.to_string(),
        sequence: outcome.sequence,
        trigger: outcome.trigger.word(),
        result: outcome.result.word(),
        error_type: outcome.error_type.map(ErrorType::word),
        message: outcome.message.clone(),
        scheduled: outcome.scheduled_at.to_string(),
        started: outcome.anchor.wall().to_string(),
        ended: outcome.ended_at().to_string(),
        lateness_ms: millis(outcome.lateness()),
        duration_ms: millis(outcome.length()),
        latency_ms: outcome.latency().map(millis),
        state: "",
        attempts: outcome.attempts.iter().map(|attempt| told(attempt, outcome.anchor.instant())).collect(),
    }
}

fn told(attempt: &Attempt, start: Instant) -> AttemptTold {
    let report = &attempt.report;
    let expectations = report.expectations.iter().map(|expectation| ExpectationTold {
        name: expectation.name.clone(),
        met: expectation.met,
        soft: expectation.soft,
        detail: expectation.detail.clone(),
    });
    let events = report.events.iter().map(|event| EventTold {
        at: event.at.to_string(),
        severity: event.severity.word(),
        name: event.name.clone(),
        message: event.message.clone(),
        attributes: attributes(&event.attributes),
    });
    let steps = attempt.steps.iter().map(|step| StepTold {
        span_id: step.span_id.to_string(),
        parent_span_id: step.parent.to_string(),
        name: step.name.clone(),
        stretch: times(step.stretch, start),
        succeeded: step.succeeded,
        message: step.message.clone(),
        attributes: attributes(&step.attributes),
    });
    AttemptTold {
        span_id: attempt.span_id.to_string(),
        stretch: times(attempt.stretch, start),
        result: report.result().word(),
        error_type: report.error_type.map(ErrorType::word),
        message: report.message.clone(),
        expectations: expectations.collect(),
        measurements: report.measurements.iter().map(MeasurementTold::new).collect(),
        events: events.collect(),
        attributes: attributes(&report.attributes),
        steps: steps.collect(),
        exchanges: attempt.exchanges.iter().map(|exchange| wire(exchange, start)).collect(),
    }
}

fn wire(exchange: &Exchange, start: Instant) -> ExchangeTold {
    let tls = exchange.tls.as_deref().map(|tls| TlsTold {
        version: tls.version.clone(),
        cipher: tls.cipher.clone(),
        alpn: tls.alpn.clone(),
        server_name: tls.server_name.clone(),
        verified: tls.verified,
        chain: tls.chain.iter().map(CertificateTold::new).collect(),
    });
    ExchangeTold {
        span_id: exchange.span_id.to_string(),
        parent_span_id: exchange.parent.to_string(),
        method: exchange.method.clone(),
        url: exchange.url.clone(),
        stretch: times(exchange.stretch, start),
        phases: exchange.phases.iter().map(|(phase, stretch)| (phase.word(), times(stretch, start))).collect(),
        address: exchange.remote.map(|remote| remote.to_string()),
        protocol: exchange.version.map(crate::outcome::HttpVersion::name),
        status: exchange.status,
        body_bytes: exchange.body_size,
        tls,
        error_type: exchange.error.as_ref().map(|(error, _)| error.word()),
        error_message: exchange.error.as_ref().map(|(_, message)| message.clone()),
    }
}

impl CertificateTold {
    fn new(certificate: &crate::outcome::Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            serial: certificate.serial.clone(),
            not_before: certificate.not_before.to_string(),
            not_after: certificate.not_after.to_string(),
            alt_names: certificate.alt_names.clone(),
            fingerprint_sha256: certificate.fingerprint_sha256.clone(),
        }
    }
}

impl MeasurementTold {
    /// As JSON has it.
    pub(super) fn new(measurement: &Measurement) -> Self {
        Self {
            name: measurement.name.clone(),
            unit: measurement.unit.clone(),
            value: measurement.value,
            attributes: attributes(&measurement.attributes),
        }
    }
}

fn times(stretch: Stretch, start: Instant) -> Times {
    Times { start_ms: millis(stretch.start.saturating_duration_since(start)), duration_ms: millis(stretch.length()) }
}

fn attributes(attributes: &[Attribute]) -> BTreeMap<String, serde_json::Value> {
    let value = |value: &Value| match value {
        Value::Text(text) => text.clone().into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => serde_json::Number::from_f64(*number).map_or(serde_json::Value::Null, Into::into),
        Value::Texts(texts) => texts.clone().into(),
    };
    attributes.iter().map(|attribute| (attribute.name.clone(), value(&attribute.value))).collect()
}
