//! A run as a waterfall: attempts, steps, exchanges and their phases on one scale.

use askama::Template;

use super::drawing::{self, Piece};
use super::render;
use super::say::{self, Markup};
use crate::clock::{Instant, Timestamp};
use crate::outcome::{Attempt, Certificate, ErrorType, Exchange, Outcome, SpanId, Step, Stretch, TlsInfo, Value};

#[derive(Template)]
#[template(path = "run.html")]
struct Run {
    class: &'static str,
    result: &'static str,
    error_type: Option<&'static str>,
    message: String,
    trace_id: String,
    facts: Vec<(&'static str, Markup)>,
    lines: Vec<Line>,
    attempts: Vec<AttemptTold>,
    tls: Option<Tls>,
}

struct Line {
    depth: usize,
    label: String,
    detail: String,
    length: String,
    bar: Markup,
    wrong: Option<String>,
}

struct AttemptTold {
    heading: Option<String>,
    message: String,
    failed: bool,
    expectations: Vec<ExpectationTold>,
    facts: Vec<(String, String)>,
}

struct ExpectationTold {
    name: String,
    word: &'static str,
    class: &'static str,
    detail: String,
}

struct Tls {
    summary: String,
    verified: bool,
    chain: Vec<Link>,
}

struct Link {
    subject: String,
    issuer: String,
    from: Markup,
    until: Markup,
    expired: bool,
    alt_names: String,
    fingerprint: String,
}

/// A run that is kept in full.
pub(super) fn run(outcome: &Outcome, now: Timestamp) -> Markup {
    let tls = outcome.exchange().and_then(|exchange| exchange.tls.as_deref());
    let several = outcome.attempts.len() > 1;
    render(&Run {
        class: say::class(outcome.result, outcome.unmet(true).next().is_some()),
        result: outcome.result.word(),
        error_type: outcome.error_type.map(ErrorType::word),
        message: outcome.message.clone(),
        trace_id: outcome.trace_id.to_string(),
        facts: facts(outcome, now),
        lines: lines(outcome),
        attempts: outcome.attempts.iter().enumerate().map(|(index, attempt)| told(attempt, several.then_some(index + 1))).collect(),
        tls: tls.map(|tls| describe(tls, now)),
    })
}

fn facts(outcome: &Outcome, now: Timestamp) -> Vec<(&'static str, Markup)> {
    let plain = |text: String| Markup(text);
    let mut facts = vec![("ended", say::moment(outcome.ended_at(), now)), ("took", plain(say::length(outcome.length())))];
    if let Some(latency) = outcome.latency() {
        facts.push(("latency", plain(say::length(latency))));
    }
    facts.push(("started late by", plain(say::length(outcome.lateness()))));
    facts.push(("trigger", plain(outcome.trigger.word().to_owned())));
    if let Some(exchange) = outcome.exchange() {
        facts.extend(exchange.remote.map(|remote| ("address", plain(remote.to_string()))));
        facts.extend(exchange.version.map(|version| ("protocol", plain(version.name().to_owned()))));
        facts.extend(exchange.body_size.map(|size| ("body", plain(say::bytes(size)))));
    }
    facts
}

/// The scale of a drawing: from the start of the run to its end.
struct Scale {
    start: Instant,
    seconds: f64,
}

impl Scale {
    fn piece(&self, class: &str, stretch: Stretch) -> Piece {
        let start = stretch.start.saturating_duration_since(self.start).as_secs_f64() / self.seconds;
        Piece { class: class.to_owned(), start, length: stretch.length().as_secs_f64() / self.seconds }
    }
}

fn lines(outcome: &Outcome) -> Vec<Line> {
    let scale = Scale { start: outcome.anchor.instant(), seconds: outcome.length().as_secs_f64().max(1e-9) };
    let mut lines = Vec::new();
    for (index, attempt) in outcome.attempts.iter().enumerate() {
        let failed = attempt.report.error_type.is_some();
        lines.push(Line {
            depth: 0,
            label: format!("attempt {}", index + 1),
            detail: String::new(),
            length: say::length(attempt.stretch.length()),
            bar: drawing::bar(&[scale.piece(if failed { "whole broken" } else { "whole" }, attempt.stretch)]),
            wrong: None,
        });
        below(&scale, attempt, attempt.span_id, 1, &mut lines);
    }
    lines
}

/// Steps and exchanges under one span, in the order of their starts. Bounded in depth: a guest opens the steps.
fn below(scale: &Scale, attempt: &Attempt, parent: SpanId, depth: usize, lines: &mut Vec<Line>) {
    let steps = attempt.steps.iter().filter(|step| step.parent == parent).map(|step| (step.stretch.start, Err(step)));
    let exchanges =
        attempt.exchanges.iter().filter(|exchange| exchange.parent == parent).map(|exchange| (exchange.stretch.start, Ok(exchange)));
    let mut children: Vec<(Instant, Result<&Exchange, &Step>)> = steps.chain(exchanges).collect();
    children.sort_by_key(|(start, _)| *start);
    for (_, child) in children {
        match child {
            Ok(exchange) => lines.push(exchange_line(scale, exchange, depth)),
            Err(step) => {
                lines.push(step_line(scale, step, depth));
                if depth < 8 {
                    below(scale, attempt, step.span_id, depth + 1, lines);
                }
            }
        }
    }
}

fn step_line(scale: &Scale, step: &Step, depth: usize) -> Line {
    Line {
        depth,
        label: step.name.clone(),
        detail: step.message.clone().unwrap_or_default(),
        length: say::length(step.stretch.length()),
        bar: drawing::bar(&[scale.piece(if step.succeeded { "whole" } else { "whole broken" }, step.stretch)]),
        wrong: (!step.succeeded).then(|| "failed".to_owned()),
    }
}

fn exchange_line(scale: &Scale, exchange: &Exchange, depth: usize) -> Line {
    let pieces: Vec<Piece> = exchange.phases.iter().map(|(phase, stretch)| scale.piece(&format!("p-{phase}"), stretch)).collect();
    let status = exchange.status.map(|status| status.to_string()).unwrap_or_default();
    Line {
        depth,
        label: format!("{} {status}", exchange.method),
        detail: exchange.url.clone(),
        length: say::length(exchange.stretch.length()),
        bar: drawing::bar(&pieces),
        wrong: exchange.error.as_ref().map(|(error, message)| format!("{error}: {message}")),
    }
}

fn told(attempt: &Attempt, number: Option<usize>) -> AttemptTold {
    let report = &attempt.report;
    let expectation = |expectation: &crate::outcome::Expectation| {
        let (word, class) = match (expectation.met, expectation.soft) {
            (true, _) => ("met", "success"),
            (false, true) => ("not met, warning", "warned"),
            (false, false) => ("not met", "failure"),
        };
        ExpectationTold { name: expectation.name.clone(), word, class, detail: expectation.detail.clone() }
    };
    let attributes = report.attributes.iter().map(|attribute| (attribute.name.clone(), value(&attribute.value)));
    let measurements = report.measurements.iter().map(|number| (number.name.clone(), format!("{} {}", number.value, number.unit)));
    let events = report.events.iter().map(|event| (format!("{} {}", event.severity, event.name), event.message.clone()));
    AttemptTold {
        heading: number.map(|number| format!("Attempt {number}")),
        message: report.message.clone(),
        failed: report.error_type.is_some(),
        expectations: report.expectations.iter().map(expectation).collect(),
        facts: attributes.chain(measurements).chain(events).collect(),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Texts(texts) => texts.join(", "),
    }
}

fn describe(tls: &TlsInfo, now: Timestamp) -> Tls {
    let version = tls.version.as_ref().map(|version| format!("TLS {version}"));
    let alpn = tls.alpn.as_ref().map(|alpn| format!("ALPN {alpn}"));
    let name = tls.server_name.as_ref().map(|name| format!("asked for {name}"));
    let said: Vec<String> = [version, tls.cipher.clone(), alpn, name].into_iter().flatten().collect();
    Tls { summary: said.join(" · "), verified: tls.verified, chain: tls.chain.iter().map(|link| certificate(link, now)).collect() }
}

fn certificate(certificate: &Certificate, now: Timestamp) -> Link {
    Link {
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        from: say::moment(certificate.not_before, now),
        until: say::moment(certificate.not_after, now),
        expired: certificate.not_after <= now,
        alt_names: certificate.alt_names.join(", "),
        fingerprint: certificate.fingerprint_sha256.clone(),
    }
}
