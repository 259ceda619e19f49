//! The vocabulary of the agent in the words of the plugin interface, and back.

use super::Call;
use super::bindings::{checker, http, net, types};
use crate::clock::{Anchor, nanos};
use crate::network::{Answer, NetError, Waiting};
use crate::outcome::{
    Attribute, Certificate, ErrorType, Exchange, HttpVersion, Instrument, Label, Measurement, Phase, Severity, TlsInfo, Value,
};

pub(super) fn instrument(instrument: types::Instrument) -> Instrument {
    match instrument {
        types::Instrument::Gauge => Instrument::Gauge,
        types::Instrument::Counter => Instrument::Counter,
        types::Instrument::Histogram => Instrument::Histogram,
    }
}

pub(super) fn severity(severity: types::Severity) -> Severity {
    match severity {
        types::Severity::Debug => Severity::Debug,
        types::Severity::Info => Severity::Info,
        types::Severity::Warning => Severity::Warning,
        types::Severity::Error => Severity::Error,
    }
}

/// What was wrong with the target, as the plugin says.
pub(super) fn error_type(fault: types::Fault) -> ErrorType {
    FAULTS.iter().find(|(known, _)| *known == fault).map_or(ErrorType::Other, |(_, error_type)| *error_type)
}

/// None for what is no fault of the target.
pub(super) fn fault(error_type: ErrorType) -> Option<types::Fault> {
    FAULTS.iter().find(|(_, known)| *known == error_type).map(|(fault, _)| *fault)
}

const FAULTS: [(types::Fault, ErrorType); 14] = [
    (types::Fault::Dns, ErrorType::Dns),
    (types::Fault::ConnectRefused, ErrorType::ConnectRefused),
    (types::Fault::ConnectTimeout, ErrorType::ConnectTimeout),
    (types::Fault::ConnectUnreachable, ErrorType::ConnectUnreachable),
    (types::Fault::ConnectionClosed, ErrorType::ConnectionClosed),
    (types::Fault::TlsHandshake, ErrorType::TlsHandshake),
    (types::Fault::TlsCertificate, ErrorType::TlsCertificate),
    (types::Fault::Protocol, ErrorType::Protocol),
    (types::Fault::Timeout, ErrorType::Timeout),
    (types::Fault::BodyLimit, ErrorType::BodyLimit),
    (types::Fault::Redirects, ErrorType::Redirects),
    (types::Fault::Status, ErrorType::Status),
    (types::Fault::Expectation, ErrorType::Expectation),
    (types::Fault::Other, ErrorType::Other),
];

pub(super) fn labels(labels: &[Label]) -> Vec<types::Label> {
    labels.iter().map(|label| types::Label { name: label.name.clone(), value: label.value.clone() }).collect()
}

pub(super) fn context(call: &Call) -> checker::RunContext {
    checker::RunContext {
        run_id: call.trace_id.to_string(),
        check: call.probe.check.clone(),
        location: call.probe.location.clone(),
        target: types::Target { name: call.probe.target.clone(), address: call.address.to_string(), labels: labels(&call.target_labels) },
        labels: labels(&call.probe.labels),
        scheduled_at: call.scheduled_at.0,
        started_at: call.anchor.wall().0,
        timeout: nanos(call.timeout),
        attempt: call.attempt,
    }
}

pub(super) fn attribute(attribute: &Attribute) -> types::Attribute {
    let value = match &attribute.value {
        Value::Text(text) => types::AttributeValue::Text(text.clone()),
        Value::Flag(flag) => types::AttributeValue::Flag(*flag),
        Value::Integer(number) => types::AttributeValue::Integer(*number),
        Value::Real(number) => types::AttributeValue::Real(*number),
        Value::Texts(texts) => types::AttributeValue::Texts(texts.clone()),
    };
    types::Attribute { name: attribute.name.clone(), value }
}

pub(super) fn measurement(measurement: &Measurement) -> types::Measurement {
    types::Measurement {
        name: measurement.name.clone(),
        unit: measurement.unit.clone(),
        instrument: match measurement.instrument {
            Instrument::Gauge => types::Instrument::Gauge,
            Instrument::Counter => types::Instrument::Counter,
            Instrument::Histogram => types::Instrument::Histogram,
        },
        value: measurement.value,
        attributes: measurement.attributes.iter().map(attribute).collect(),
    }
}

pub(super) fn version(version: http::HttpVersion) -> HttpVersion {
    match version {
        http::HttpVersion::Http10 => HttpVersion::Http10,
        http::HttpVersion::Http11 => HttpVersion::Http11,
        http::HttpVersion::Http2 => HttpVersion::Http2,
    }
}

/// The answer of the last of these exchanges.
pub(super) fn response(answer: Answer, exchanges: &[Exchange], anchor: &Anchor) -> http::Response {
    let last = exchanges.last();
    http::Response {
        status: answer.status,
        version: match answer.version {
            HttpVersion::Http10 => http::HttpVersion::Http10,
            HttpVersion::Http11 => http::HttpVersion::Http11,
            HttpVersion::Http2 => http::HttpVersion::Http2,
        },
        fields: fields(answer.fields),
        body: answer.body.into(),
        body_truncated: answer.body_truncated,
        body_size: answer.body_size,
        trailers: fields(answer.trailers),
        url: answer.url,
        remote: last.and_then(endpoint).unwrap_or_else(|| net::Endpoint {
            address: String::new(),
            port: last.map_or(0, |exchange| exchange.port),
            family: net::IpFamily::V4,
        }),
        tls: last.and_then(|exchange| exchange.tls.as_deref()).map(tls_info),
        timings: timings(last, anchor),
        redirects: hops(exchanges, &answer.locations, anchor),
    }
}

/// What is known up to a failure.
pub(super) fn failed(error: NetError, exchanges: &[Exchange], anchor: &Anchor) -> http::FailedExchange {
    let last = exchanges.last();
    http::FailedExchange {
        error: net_error(error),
        timings: timings(last, anchor),
        remote: last.and_then(endpoint),
        redirects: hops(exchanges, &[], anchor),
    }
}

/// What was refused before anything was sent.
pub(super) fn refused(error: net::NetError) -> http::FailedExchange {
    let timings = net::Timings {
        started_at: crate::clock::Timestamp::now().0,
        queue: None,
        resolve: None,
        connect: None,
        tls: None,
        send: None,
        wait: None,
        receive: None,
        total: 0,
    };
    http::FailedExchange { error, timings, remote: None, redirects: Vec::new() }
}

fn fields(fields: Vec<(String, String)>) -> Vec<http::Field> {
    fields.into_iter().map(|(name, value)| http::Field { name, value }).collect()
}

/// All exchanges but the last were redirects.
fn hops(exchanges: &[Exchange], locations: &[String], anchor: &Anchor) -> Vec<http::Hop> {
    let before = exchanges.split_last().map(|(_, before)| before).unwrap_or_default();
    let hops = before.iter().enumerate().map(|(number, exchange)| http::Hop {
        status: exchange.status.unwrap_or_default(),
        url: exchange.url.clone(),
        // Without the field itself the place it led to is as good.
        location: locations.get(number).or_else(|| Some(&exchanges.get(number + 1)?.url)).cloned().unwrap_or_default(),
        timings: timings(Some(exchange), anchor),
    });
    hops.collect()
}

fn timings(exchange: Option<&Exchange>, anchor: &Anchor) -> net::Timings {
    let of = |phase| exchange.and_then(|exchange| exchange.phases.get(phase)).map(|stretch| nanos(stretch.length()));
    net::Timings {
        started_at: exchange.map_or(anchor.wall(), |exchange| anchor.timestamp(exchange.stretch.start)).0,
        queue: None,
        resolve: of(Phase::Dns),
        connect: of(Phase::Connect),
        tls: of(Phase::Tls),
        send: of(Phase::Send),
        wait: of(Phase::Wait),
        receive: of(Phase::Receive),
        total: exchange.map_or(0, |exchange| nanos(exchange.stretch.length())),
    }
}

fn endpoint(exchange: &Exchange) -> Option<net::Endpoint> {
    let remote = exchange.remote?;
    let family = if remote.is_ipv4() { net::IpFamily::V4 } else { net::IpFamily::V6 };
    Some(net::Endpoint { address: remote.ip().to_string(), port: remote.port(), family })
}

fn tls_info(info: &TlsInfo) -> net::TlsInfo {
    net::TlsInfo {
        version: info.version.clone().unwrap_or_default(),
        cipher: info.cipher.clone().unwrap_or_default(),
        alpn: info.alpn.clone(),
        server_name: info.server_name.clone(),
        verified: info.verified,
        chain: info.chain.iter().map(certificate).collect(),
    }
}

fn certificate(certificate: &Certificate) -> net::Certificate {
    net::Certificate {
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        serial: certificate.serial.clone(),
        not_before: certificate.not_before.0,
        not_after: certificate.not_after.0,
        alt_names: certificate.alt_names.iter().take(256).cloned().collect(),
        fingerprint_sha256: certificate.fingerprint_sha256.clone(),
    }
}

fn net_error(error: NetError) -> net::NetError {
    match error {
        NetError::Denied(rule) => net::NetError::Denied(rule),
        NetError::InvalidRequest(what) => net::NetError::InvalidRequest(what),
        NetError::Dns { name, rcode, message } => net::NetError::Dns(net::DnsFailure { name, rcode, message }),
        NetError::ConnectionRefused => net::NetError::ConnectionRefused,
        NetError::ConnectionClosed(_) => net::NetError::ConnectionClosed,
        NetError::Unreachable(what) => net::NetError::Unreachable(what),
        NetError::TimedOut(waiting) => net::NetError::TimedOut(match waiting {
            Waiting::Resolve => net::Phase::Resolve,
            Waiting::Connect => net::Phase::Connect,
            Waiting::Tls => net::Phase::Tls,
            Waiting::Send => net::Phase::Send,
            Waiting::Wait => net::Phase::Wait,
            Waiting::Receive => net::Phase::Receive,
        }),
        NetError::Tls { alert, reason, message, info } => {
            net::NetError::Tls(net::TlsFailure { alert, reason: reason.to_owned(), message, info: info.as_deref().map(tls_info) })
        }
        NetError::Protocol(what) => net::NetError::Protocol(what),
        NetError::TooManyRedirects(_) => net::NetError::TooManyRedirects,
        NetError::BodyLimit(_) => net::NetError::BodyLimit,
        NetError::Other(what) => net::NetError::Other(what),
    }
}
