//! `--format json`: one object, the keys of the contract and nothing else.

use std::sync::Arc;

use serde::Serialize;

use super::{Results, Service, millis};
use crate::config::visible;
use crate::outcome::{Certificate, Expectation, Phase, TlsInfo};

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    started: String,
    duration_ms: f64,
    location: &'a str,
    summary: Summary,
    services: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Summary {
    total: usize,
    ok: usize,
    fail: usize,
}

#[derive(Serialize)]
struct Entry<'a> {
    service: &'a str,
    target: &'a str,
    status: &'static str,
    result: &'static str,
    latency_ms: Option<f64>,
    attempts: usize,
    last_success: Option<String>,
    error_type: Option<&'static str>,
    message: &'a str,
    phases_ms: Phases,
    address: Option<String>,
    protocol: Option<&'static str>,
    tls: Option<Tls<'a>>,
    warnings: Vec<Unmet<'a>>,
    failed: Vec<Unmet<'a>>,
    trace_id: String,
}

#[derive(Serialize)]
struct Phases {
    dns: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    send: Option<f64>,
    wait: Option<f64>,
    receive: Option<f64>,
}

#[derive(Serialize)]
struct Tls<'a> {
    version: Option<&'a str>,
    cipher: Option<&'a str>,
    alpn: Option<&'a str>,
    verified: bool,
    chain: Vec<Link<'a>>,
}

/// A certificate of the chain.
#[derive(Serialize)]
struct Link<'a> {
    subject: &'a str,
    issuer: &'a str,
    not_before: String,
    not_after: String,
    alt_names: &'a [String],
}

#[derive(Serialize)]
struct Unmet<'a> {
    name: &'a str,
    detail: &'a str,
}

/// The object of the contract, on several lines, with a line end.
pub fn json(results: &Results) -> Result<String, serde_json::Error> {
    let (total, ok) = (results.services.len(), results.ok());
    let document = Document {
        version: 1,
        started: results.started.to_string(),
        duration_ms: millis(results.length),
        location: &results.location,
        summary: Summary { total, ok, fail: total - ok },
        services: results.services.iter().map(entry).collect(),
    };
    let text = serde_json::to_string_pretty(&document)?;
    Ok(visible::json(&text).into_owned() + "\n")
}

fn entry(service: &Service) -> Entry<'_> {
    let outcome = &service.outcome;
    let exchange = outcome.exchange();
    let phase = |phase| outcome.phase(phase).map(millis);
    Entry {
        service: &outcome.probe.service,
        target: &outcome.probe.address,
        status: if service.ok() { "ok" } else { "fail" },
        result: outcome.result.word(),
        latency_ms: outcome.latency().map(millis),
        attempts: outcome.attempts.len(),
        last_success: service.last_success.map(|time| time.to_string()),
        error_type: outcome.error_type.map(crate::outcome::ErrorType::word),
        message: &outcome.message,
        phases_ms: Phases {
            dns: phase(Phase::Dns),
            connect: phase(Phase::Connect),
            tls: phase(Phase::Tls),
            send: phase(Phase::Send),
            wait: phase(Phase::Wait),
            receive: phase(Phase::Receive),
        },
        address: exchange.and_then(|exchange| exchange.remote).map(|remote| remote.to_string()),
        protocol: exchange.and_then(|exchange| exchange.version).map(crate::outcome::HttpVersion::name),
        tls: exchange.and_then(|exchange| exchange.tls.as_ref()).map(tls),
        warnings: outcome.unmet(true).map(unmet).collect(),
        failed: outcome.unmet(false).map(unmet).collect(),
        trace_id: outcome.trace_id.to_string(),
    }
}

fn tls(info: &Arc<TlsInfo>) -> Tls<'_> {
    Tls {
        version: info.version.as_deref(),
        cipher: info.cipher.as_deref(),
        alpn: info.alpn.as_deref(),
        verified: info.verified,
        chain: info.chain.iter().map(link).collect(),
    }
}

fn link(certificate: &Certificate) -> Link<'_> {
    Link {
        subject: &certificate.subject,
        issuer: &certificate.issuer,
        not_before: certificate.not_before.to_string(),
        not_after: certificate.not_after.to_string(),
        alt_names: &certificate.alt_names,
    }
}

fn unmet(expectation: &Expectation) -> Unmet<'_> {
    Unmet { name: &expectation.name, detail: &expectation.detail }
}
