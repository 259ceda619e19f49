//! A record becomes events: log records with a name, which point at the trace of their run if it leaves.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use super::otlp::{attribute, integer, keys, string, text};
use super::spans::{expectation_facts, exported};
use crate::clock::Timestamp;
use crate::outcome::{Certificate, Event, Expectation, Outcome, Record, Severity, SpanId, State, StateChange};

/// All events of a record, in the order in which they came about; `renewed` is the certificate before this one.
pub(super) fn events(record: &Record, renewed: Option<&Fingerprint>) -> Vec<LogRecord> {
    let outcome = &*record.outcome;
    let mut events: Vec<LogRecord> = Vec::new();
    for attempt in &outcome.attempts {
        events.extend(attempt.report.events.iter().map(|event| of_plugin(outcome, attempt.span_id, event)));
    }
    events.extend([false, true].into_iter().flat_map(|soft| outcome.unmet(soft)).map(|unmet| expectation_failed(outcome, unmet)));
    if let (Some(before), Some(leaf)) = (renewed, leaf(outcome)) {
        events.push(certificate_changed(outcome, before, leaf));
    }
    events.extend(record.summary.events.iter().map(|event| of_plugin(outcome, outcome.root, event)));
    events.extend(record.change.map(|change| state_changed(record, change)));
    events
}

/// The leaf certificate that a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Which server: a redirect to another one is no change.
    server: (String, u16),
    sha256: String,
}

impl Fingerprint {
    /// Of the final exchange of a run.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        let exchange = outcome.exchange()?;
        Some(Self { server: (exchange.host.clone(), exchange.port), sha256: leaf(outcome)?.fingerprint_sha256.clone() })
    }

    /// Whether the same server showed another one before.
    pub(super) fn differs(&self, before: &Self) -> bool {
        self.server == before.server && self.sha256 != before.sha256
    }
}

fn leaf(outcome: &Outcome) -> Option<&Certificate> {
    outcome.exchange()?.tls.as_ref()?.chain.first()
}

/// Something was lost on the way, or refused for good.
pub(super) fn data_dropped(what: &str, outcome: &str, amount: u64, now: Timestamp) -> LogRecord {
    let body = format!("{amount} {what} {outcome}");
    let attributes = vec![
        text("vedette.export.signal", what),
        text("vedette.export.outcome", outcome),
        integer("vedette.export.items", i64::try_from(amount).unwrap_or(i64::MAX)),
    ];
    event("synthetic.agent.data_dropped", Severity::Error, now, body, attributes)
}

fn event(name: &str, severity: Severity, at: Timestamp, body: String, attributes: Vec<KeyValue>) -> LogRecord {
    let (number, word) = match severity {
        Severity::Debug => (SeverityNumber::Debug, "DEBUG"),
        Severity::Info => (SeverityNumber::Info, "INFO"),
        Severity::Warning => (SeverityNumber::Warn, "WARN"),
        Severity::Error => (SeverityNumber::Error, "ERROR"),
    };
    LogRecord {
        time_unix_nano: at.0,
        observed_time_unix_nano: Timestamp::now().0,
        severity_number: number.into(),
        severity_text: word.to_owned(),
        body: Some(string(body)),
        attributes,
        event_name: name.to_owned(),
        ..LogRecord::default()
    }
}

/// Ties an event to a span of its run; not where the run leaves no trace, since the pointer would lead nowhere.
fn tied(record: LogRecord, outcome: &Outcome, span: SpanId) -> LogRecord {
    if !exported(outcome) {
        return record;
    }
    LogRecord { trace_id: outcome.trace_id.0.to_vec(), span_id: span.0.to_vec(), flags: 1, ..record }
}

fn of_plugin(outcome: &Outcome, span: SpanId, told: &Event) -> LogRecord {
    let mut attributes = keys(&outcome.probe);
    attributes.extend(told.attributes.iter().map(attribute));
    tied(event(&told.name, told.severity, told.at, told.message.clone(), attributes), outcome, span)
}

fn expectation_failed(outcome: &Outcome, unmet: &Expectation) -> LogRecord {
    let mut attributes = keys(&outcome.probe);
    attributes.extend(expectation_facts(unmet));
    let severity = if unmet.soft { Severity::Info } else { Severity::Warning };
    let body = format!("{}: {}: {}", outcome.probe.service, unmet.name, unmet.detail);
    let span = outcome.last().map_or(outcome.root, |attempt| attempt.span_id);
    tied(event("synthetic.check.expectation_failed", severity, outcome.ended_at(), body, attributes), outcome, span)
}

fn certificate_changed(outcome: &Outcome, before: &Fingerprint, leaf: &Certificate) -> LogRecord {
    let mut attributes = keys(&outcome.probe);
    attributes.extend([
        text("tls.server.hash.sha256", &leaf.fingerprint_sha256),
        text("tls.server.hash.sha256.previous", &before.sha256),
        text("tls.server.subject", &leaf.subject),
        text("tls.server.issuer", &leaf.issuer),
        text("tls.server.not_before", leaf.not_before.to_string()),
        text("tls.server.not_after", leaf.not_after.to_string()),
    ]);
    let body = format!("{}: another certificate, valid until {}", outcome.probe.service, leaf.not_after);
    tied(event("synthetic.tls.certificate_changed", Severity::Info, outcome.ended_at(), body, attributes), outcome, outcome.root)
}

fn state_changed(record: &Record, change: StateChange) -> LogRecord {
    let outcome = &*record.outcome;
    let severity = match change.to {
        State::Up | State::Maintenance => Severity::Info,
        State::Degraded | State::Flapping | State::Unknown => Severity::Warning,
        State::Down => Severity::Error,
    };
    let mut attributes = keys(&outcome.probe);
    attributes.extend([
        text("synthetic.state.from", change.from.word()),
        text("synthetic.state.to", change.to.word()),
        integer("synthetic.state.consecutive", change.consecutive),
    ]);
    attributes.extend(outcome.error_type.map(|error| text("error.type", error.word())));
    let body = format!("{} is {} (was {}): {}", outcome.probe.service, change.to, change.from, outcome.message);
    tied(event("synthetic.check.state_changed", severity, outcome.ended_at(), body, attributes), outcome, outcome.root)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn value(record: &LogRecord, key: &str) -> Option<String> {
        record.attributes.iter().find(|pair| pair.key == key).map(sample::shown)
    }

    fn change(from: State, to: State) -> StateChange {
        StateChange { from, to, consecutive: 2 }
    }

    #[test]
    fn a_state_change_says_from_what_to_what_and_why() {
        let record = Record { change: Some(change(State::Up, State::Down)), ..sample::record(sample::failure()) };
        let events = events(&record, None);
        let told = events.last().unwrap();
        assert_eq!(told.event_name, "synthetic.check.state_changed");
        assert_eq!(value(told, "synthetic.state.from").as_deref(), Some("up"));
        assert_eq!(value(told, "synthetic.state.to").as_deref(), Some("down"));
        assert_eq!(value(told, "error.type").as_deref(), Some("status"));
        assert_eq!(told.severity_text, "ERROR");
        assert_eq!(told.trace_id, record.outcome.trace_id.0);
        assert!(format!("{:?}", told.body).contains("500, expected 2xx"));
    }

    #[test]
    fn a_recovery_is_good_news() {
        let record = Record { change: Some(change(State::Down, State::Up)), ..sample::record(sample::success()) };
        assert_eq!(events(&record, None)[0].severity_text, "INFO");
    }

    #[test]
    fn an_event_of_a_run_without_a_trace_points_at_none() {
        for outcome in [Outcome { sampled: false, ..sample::success() }, sample::skipped(1)] {
            let record = Record { change: Some(change(State::Down, State::Up)), ..sample::record(outcome) };
            let events = events(&record, None);
            assert!(events.len() == 1 && events[0].trace_id.is_empty() && events[0].span_id.is_empty());
        }
    }

    #[test]
    fn every_expectation_that_was_not_met_is_an_event_soft_ones_last() {
        let events = events(&sample::record(sample::failure()), None);
        let told: Vec<_> =
            events.iter().map(|event| (value(event, "synthetic.expectation").unwrap(), event.severity_text.as_str())).collect();
        let wanted = [("status", "WARN"), ("body_contains", "WARN"), ("latency", "INFO")];
        assert_eq!(told, wanted.map(|(name, severity)| (name.to_owned(), severity)));
    }

    #[test]
    fn another_certificate_of_the_same_server_is_told_and_that_of_another_server_is_not() {
        let with = |fingerprint: &str, host: &str| {
            let mut outcome = sample::success();
            outcome.attempts[0].exchanges[0].tls = Some(sample::tls(fingerprint, 1_800_000_000));
            host.clone_into(&mut outcome.attempts[0].exchanges[0].host);
            outcome
        };
        let of = |outcome: &Outcome| Fingerprint::of(outcome).unwrap();
        let (before, after) = (with("aa", "x"), with("bb", "x"));
        assert!(of(&after).differs(&of(&before)));
        assert!(!of(&before).differs(&of(&before)) && !of(&with("bb", "y")).differs(&of(&before)));
        let events = events(&sample::record(after), Some(&of(&before)));
        assert_eq!(events[0].event_name, "synthetic.tls.certificate_changed");
        assert_eq!(value(&events[0], "tls.server.hash.sha256.previous").as_deref(), Some("aa"));
    }
}
