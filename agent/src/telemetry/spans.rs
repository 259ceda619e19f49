//! A record becomes spans: the run, its attempts, the plugin's steps, exchanges, and the phases below them.

use std::collections::HashSet;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::otlp::{attribute, flag, integer, keys, real, text, texts};
use crate::outcome::{Attempt, ErrorType, Exchange, Expectation, Outcome, Phase, Report, RunResult, SpanId, Step, Stretch};

/// Sampled, and known not to have a remote parent.
const FLAGS: u32 = 0x101;

/// Whether the trace of a run leaves: never that of a run that did not take place, always that of one that did not
/// succeed, and of the others those that were decided on.
pub(super) fn exported(outcome: &Outcome) -> bool {
    outcome.result != RunResult::Skipped && (outcome.sampled || outcome.result != RunResult::Success)
}

/// All spans of a run. The first is the root.
pub(super) fn spans(outcome: &Outcome) -> Vec<Span> {
    let mut spans = vec![root(outcome)];
    let several = outcome.attempts.len() > 1;
    for (number, attempt) in (1..).zip(&outcome.attempts) {
        let top = if several { attempt.span_id } else { outcome.root };
        if several {
            spans.push(attempt_span(outcome, number, attempt));
        }
        // A parent that does not exist would make an orphan, which no backend shows.
        let within: HashSet<SpanId> = attempt.steps.iter().map(|step| step.span_id).collect();
        let parent = |wanted: SpanId| if within.contains(&wanted) { wanted } else { top };
        spans.extend(attempt.steps.iter().map(|step| step_span(outcome, step, parent(step.parent))));
        for exchange in &attempt.exchanges {
            spans.push(exchange_span(outcome, attempt, exchange, parent(exchange.parent)));
            spans.extend(exchange.phases.iter().map(|(phase, stretch)| phase_span(outcome, exchange, phase, stretch)));
        }
    }
    spans
}

fn span(outcome: &Outcome, id: SpanId, parent: Option<SpanId>, name: String, stretch: Stretch) -> Span {
    Span {
        trace_id: outcome.trace_id.0.to_vec(),
        span_id: id.0.to_vec(),
        parent_span_id: parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        flags: FLAGS,
        name,
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: outcome.anchor.timestamp(stretch.start).0,
        end_time_unix_nano: outcome.anchor.timestamp(stretch.end).0,
        ..Span::default()
    }
}

fn failed(message: &str) -> Status {
    Status { message: message.to_owned(), code: StatusCode::Error.into() }
}

fn root(outcome: &Outcome) -> Span {
    let (probe, last) = (&outcome.probe, outcome.last().map(|attempt| &attempt.report));
    let stretch = Stretch { start: outcome.anchor.instant(), end: outcome.ended };
    let mut attributes = keys(probe);
    attributes.extend([
        text("synthetic.check.plugin", &probe.plugin),
        text("synthetic.check.plugin.version", &probe.plugin_version),
        text("synthetic.check.plugin.digest", &probe.plugin_digest),
        text("synthetic.run.id", outcome.trace_id.to_string()),
        integer("synthetic.run.attempts", i64::try_from(outcome.attempts.len()).unwrap_or(i64::MAX)),
        text("synthetic.run.trigger", outcome.trigger.word()),
        real("synthetic.run.lateness", outcome.lateness().as_secs_f64()),
        text("synthetic.check.result", outcome.result.word()),
        text("synthetic.run.message", &outcome.message),
    ]);
    attributes.extend(outcome.error_type.map(|error| text("error.type", error.word())));
    attributes.extend(probe.peer_service.as_ref().map(|peer| text("service.peer.name", peer)));
    let failed_names: Vec<&str> = outcome.unmet(false).map(|expectation| expectation.name.as_str()).collect();
    if !failed_names.is_empty() {
        attributes.push(texts("synthetic.expectation.failed", failed_names));
    }
    attributes.extend(last.into_iter().flat_map(noted));
    let expectations = last.map(|report| report.expectations.as_slice()).unwrap_or_default();
    let unmet = expectations.iter().filter(|expectation| !expectation.met);
    Span {
        attributes,
        status: (outcome.result != RunResult::Success).then(|| failed(&outcome.message)),
        events: unmet.map(|expectation| expectation_event(outcome, expectation)).collect(),
        ..span(outcome, outcome.root, None, format!("check {}", probe.check), stretch)
    }
}

/// What a plugin noted of a run. What only the agent may say was dropped when the report was judged.
fn noted(report: &Report) -> impl Iterator<Item = KeyValue> + '_ {
    report.attributes.iter().map(attribute)
}

fn expectation_event(outcome: &Outcome, expectation: &Expectation) -> Event {
    Event {
        time_unix_nano: outcome.ended_at().0,
        name: "synthetic.check.expectation_failed".to_owned(),
        attributes: expectation_facts(expectation),
        ..Event::default()
    }
}

/// Which expectation, whether it only degrades, and what came instead.
pub(super) fn expectation_facts(expectation: &Expectation) -> Vec<KeyValue> {
    vec![
        text("synthetic.expectation", &expectation.name),
        flag("synthetic.expectation.soft", expectation.soft),
        text("synthetic.expectation.detail", &expectation.detail),
    ]
}

fn attempt_span(outcome: &Outcome, number: i64, attempt: &Attempt) -> Span {
    let report = &attempt.report;
    let mut attributes = vec![
        integer("synthetic.attempt.number", number),
        text("synthetic.check.result", report.result().word()),
        text("synthetic.run.message", &report.message),
    ];
    attributes.extend(report.error_type.map(|error| text("error.type", error.word())));
    attributes.extend(noted(report));
    Span {
        attributes,
        status: report.error_type.map(|_| failed(&report.message)),
        ..span(outcome, attempt.span_id, Some(outcome.root), format!("attempt {number}"), attempt.stretch)
    }
}

fn step_span(outcome: &Outcome, step: &Step, parent: SpanId) -> Span {
    let message = step.message.as_deref();
    let mut attributes: Vec<_> = step.attributes.iter().map(attribute).collect();
    attributes.extend(message.map(|message| text("synthetic.step.message", message)));
    Span {
        attributes,
        status: (!step.succeeded).then(|| failed(message.unwrap_or_default())),
        ..span(outcome, step.span_id, Some(parent), step.name.clone(), step.stretch)
    }
}

fn exchange_span(outcome: &Outcome, attempt: &Attempt, exchange: &Exchange, parent: SpanId) -> Span {
    // A status that was asked for (`status: 404`) is no error, whatever its class.
    let unwanted = exchange.status.is_some_and(|status| status >= 400) && attempt.report.error_type.is_some();
    let error = match &exchange.error {
        Some((error, message)) => Some((*error, message.as_str())),
        None => unwanted.then_some((ErrorType::Status, "")),
    };
    Span {
        kind: SpanKind::Client.into(),
        attributes: exchange_facts(outcome, exchange, error.map(|(error, _)| error)),
        status: error.map(|(_, message)| failed(message)),
        ..span(outcome, exchange.span_id, Some(parent), exchange.method.clone(), exchange.stretch)
    }
}

/// The semantic conventions of HTTP clients.
fn exchange_facts(outcome: &Outcome, exchange: &Exchange, error: Option<ErrorType>) -> Vec<KeyValue> {
    let mut facts = vec![
        text("http.request.method", &exchange.method),
        text("url.full", &exchange.url),
        text("server.address", &exchange.host),
        integer("server.port", exchange.port),
        text("user_agent.synthetic.type", "test"),
    ];
    facts.extend(exchange.status.map(|status| integer("http.response.status_code", status)));
    if let Some(remote) = exchange.remote {
        facts.extend([text("network.peer.address", remote.ip().to_string()), integer("network.peer.port", remote.port())]);
    }
    if let Some(version) = exchange.version {
        facts.extend([text("network.protocol.name", "http"), text("network.protocol.version", version.number())]);
    }
    if exchange.resend_count > 0 {
        facts.push(integer("http.request.resend_count", exchange.resend_count));
    }
    let size = exchange.body_size.and_then(|size| i64::try_from(size).ok());
    facts.extend(size.map(|size| integer("http.response.body.size", size)));
    if let Some(tls) = &exchange.tls {
        facts.extend(tls.version.as_ref().map(|version| text("tls.protocol.version", version)));
        facts.extend(tls.cipher.as_ref().map(|cipher| text("tls.cipher", cipher)));
        facts.extend(tls.chain.first().map(|leaf| text("tls.server.hash.sha256", &leaf.fingerprint_sha256)));
    }
    facts.extend(error.map(|error| text("error.type", error.word())));
    facts.extend(outcome.probe.peer_service.as_ref().map(|peer| text("service.peer.name", peer)));
    facts
}

fn phase_span(outcome: &Outcome, exchange: &Exchange, phase: Phase, stretch: Stretch) -> Span {
    let name = match phase {
        Phase::Dns => "dns.lookup",
        Phase::Connect => "tcp.connect",
        Phase::Tls => "tls.handshake",
        Phase::Send => "http.send",
        Phase::Wait => "http.wait",
        Phase::Receive => "http.receive",
    };
    span(outcome, SpanId::random(), Some(exchange.span_id), name.to_owned(), stretch)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::{self, at};
    use super::*;
    use crate::outcome::Phases;

    fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn value(span: &Span, key: &str) -> String {
        let found = span.attributes.iter().find(|pair| pair.key == key).unwrap_or_else(|| panic!("no {key}"));
        sample::shown(found)
    }

    #[test]
    fn a_run_of_one_attempt_is_a_root_with_its_exchange_and_exact_phases_below() {
        let mut outcome = sample::success();
        let mut phases = Phases::default();
        phases.set(Phase::Wait, Stretch { start: at(&outcome, 2), end: at(&outcome, 5) });
        outcome.attempts[0].exchanges[0].phases = phases;
        let spans = spans(&outcome);
        assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["check api", "GET", "http.wait"]);
        let [root, exchange, wait] = &spans[..] else { panic!() };
        assert!(root.parent_span_id.is_empty() && root.status.is_none());
        assert_eq!((exchange.kind, root.kind), (SpanKind::Client.into(), SpanKind::Internal.into()));
        assert_eq!(exchange.parent_span_id, root.span_id);
        assert_eq!(wait.parent_span_id, exchange.span_id);
        assert_eq!(wait.start_time_unix_nano, outcome.anchor.wall().after(Duration::from_millis(2)).0);
        assert_eq!(wait.end_time_unix_nano - wait.start_time_unix_nano, 3_000_000);
        assert_eq!(value(root, "synthetic.run.id"), outcome.trace_id.to_string());
        assert_eq!(value(root, "team"), "payments");
        assert_eq!(value(exchange, "http.response.status_code"), "200");
        assert_eq!(value(exchange, "user_agent.synthetic.type"), "test");
    }

    #[test]
    fn several_attempts_are_spans_of_their_own_with_their_exchanges_below() {
        let mut outcome = sample::success();
        let mut first = sample::attempt(&outcome, Some(ErrorType::Status));
        first.span_id = SpanId::random();
        outcome.attempts[0].span_id = SpanId::random();
        outcome.attempts.insert(0, first);
        let spans = spans(&outcome);
        let (one, two) = (find(&spans, "attempt 1"), find(&spans, "attempt 2"));
        assert!(one.status.is_some() && two.status.is_none());
        let parents: Vec<_> = spans.iter().filter(|span| span.name == "GET").map(|span| &span.parent_span_id).collect();
        assert_eq!(parents, [&one.span_id, &two.span_id]);
        assert_eq!(value(&spans[0], "synthetic.run.attempts"), "2");
    }

    #[test]
    fn a_failed_run_says_why_on_its_root_and_lists_every_hard_expectation() {
        let outcome = sample::failure();
        let spans = spans(&outcome);
        let root = &spans[0];
        assert_eq!(root.status.as_ref().unwrap().code, i32::from(StatusCode::Error));
        assert_eq!(value(root, "error.type"), "status");
        assert_eq!(value(root, "synthetic.expectation.failed"), "[status, body_contains]");
        let told: Vec<_> = root.events.iter().map(|event| sample::shown(&event.attributes[0])).collect();
        assert_eq!(told, ["status", "body_contains", "latency"], "soft ones are events too");
        assert_eq!(value(&spans[1], "error.type"), "status");
    }

    #[test]
    fn a_status_that_was_asked_for_is_no_error_of_the_exchange() {
        let mut outcome = sample::success();
        outcome.attempts[0].exchanges[0].status = Some(404);
        assert!(find(&spans(&outcome), "GET").status.is_none());
    }

    #[test]
    fn a_parent_that_is_not_in_the_trace_is_replaced_by_the_attempt_and_steps_hold_their_exchanges() {
        let mut outcome = sample::success();
        let step = sample::step(&outcome, "login");
        outcome.attempts[0].exchanges[0].parent = step.span_id;
        outcome.attempts[0].steps = vec![Step { parent: SpanId::random(), ..step }];
        let spans = spans(&outcome);
        assert_eq!(find(&spans, "login").parent_span_id, spans[0].span_id);
        assert_eq!(find(&spans, "GET").parent_span_id, find(&spans, "login").span_id);
        assert!(find(&spans, "login").status.is_some(), "it was never finished");
    }

    #[test]
    fn what_was_noted_of_a_run_is_on_its_span_by_the_plugin_as_by_its_host() {
        let mut outcome = sample::success();
        outcome.attempts[0].report.attributes = vec![sample::noted("vedette.plugin.limits", "log_lines"), sample::noted("cart", "full")];
        let root = &spans(&outcome)[0];
        assert_eq!((value(root, "cart"), value(root, "vedette.plugin.limits")), ("full".into(), "log_lines".into()));
    }

    #[test]
    fn what_is_exported_is_every_run_but_skipped_ones_and_successes_outside_the_ratio() {
        let with = |result, sampled| exported(&Outcome { sampled, result, ..sample::success() });
        assert!(with(RunResult::Success, true) && !with(RunResult::Success, false));
        assert!(with(RunResult::Failure, false) && with(RunResult::Error, false));
        assert!(!with(RunResult::Skipped, true));
    }
}
