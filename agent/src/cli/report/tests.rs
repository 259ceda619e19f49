use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Anchor;
use crate::outcome::{Attempt, ErrorType, Expectation, Identity, Report, SpanId, Stretch, TraceId, Trigger};

fn service(name: &str, report: Report) -> Service {
    let anchor = Anchor::now();
    let stretch = Stretch { start: anchor.instant(), end: anchor.instant() + Duration::from_micros(12_345) };
    let probe = Identity {
        check: name.into(),
        target: name.into(),
        service: name.into(),
        address: format!("http://127.0.0.1/{name}"),
        location: "lab".into(),
        labels: Vec::new(),
        plugin: "http".into(),
        plugin_version: "0.1.0".into(),
        plugin_digest: String::new(),
        peer_service: None,
        every: Duration::from_secs(30),
    };
    let (result, error_type, message) = (report.result(), report.error_type, report.message.clone());
    let span_id = SpanId::random();
    let outcome = Outcome {
        probe: Arc::new(probe),
        sequence: 1,
        runs: 1,
        trace_id: TraceId::random(),
        root: span_id,
        sampled: true,
        trigger: Trigger::Once,
        scheduled_at: anchor.wall(),
        anchor,
        ended: stretch.end,
        result,
        error_type,
        message,
        attempts: vec![Attempt { span_id, stretch, report, steps: Vec::new(), exchanges: Vec::new() }],
        quarantined: false,
    };
    let last_success = (result == RunResult::Success).then(|| outcome.ended_at());
    Service { outcome: Arc::new(outcome), last_success }
}

fn good(name: &str) -> Service {
    service(name, Report { message: "200 OK in 12.3 ms".into(), ..Report::default() })
}

fn bad(name: &str) -> Service {
    let expectation = Expectation { name: "status".into(), met: false, soft: false, detail: "500, expected <2xx>".into() };
    service(name, Report { expectations: vec![expectation], ..Report::fault(ErrorType::Status, "500, expected 2xx") })
}

fn broken(name: &str) -> Service {
    service(name, Report::fault(ErrorType::PluginTrap, "the plugin trapped"))
}

fn results(services: Vec<Service>) -> Results {
    Results { started: Timestamp(1_767_323_045_678_000_000), length: Duration::from_millis(42), location: "lab".into(), services }
}

#[test]
fn the_worst_exit_code_wins_in_the_order_1_3_0() {
    assert_eq!(results(vec![good("a")]).exit_code(), 0);
    assert_eq!(results(vec![good("a"), broken("b")]).exit_code(), 3);
    assert_eq!(results(vec![broken("a"), bad("b"), good("c")]).exit_code(), 1);
}

#[test]
fn json_says_what_the_contract_says() {
    let text = json(&results(vec![good("a"), bad("b")])).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["started"], "2026-01-02T03:04:05.678Z");
    assert_eq!(document["summary"], serde_json::json!({"total": 2, "ok": 1, "fail": 1}));
    let (ok, fail) = (&document["services"][0], &document["services"][1]);
    assert_eq!((&ok["status"], &ok["result"], &ok["error_type"]), (&"ok".into(), &"success".into(), &serde_json::Value::Null));
    assert_eq!(ok["latency_ms"].to_string(), "12.345");
    assert_eq!((&fail["status"], &fail["error_type"], &fail["last_success"]), (&"fail".into(), &"status".into(), &().into()));
    assert_eq!(fail["latency_ms"], serde_json::Value::Null, "only a success has a latency");
    assert_eq!(fail["failed"], serde_json::json!([{"name": "status", "detail": "500, expected <2xx>"}]));
}

#[test]
fn the_table_has_a_line_per_service_and_colour_only_if_asked() {
    let results = results(vec![good("a"), bad("a-longer-name")]);
    let plain = table(&results, false);
    assert!(!plain.contains('\x1b'));
    assert!(table(&results, true).contains('\x1b'));
    let lines: Vec<&str> = plain.lines().collect();
    assert!(lines[1].starts_with("a ") && lines[1].contains("ok") && lines[1].contains("12.3 ms"));
    assert!(lines[2].starts_with("a-longer-name") && lines[2].contains("fail"));
    assert_eq!(lines.last(), Some(&"1 of 2 ok in 42.0 ms"));
}

#[test]
fn what_nobody_sees_is_written_out_or_left_out_in_every_format() {
    let hidden = |char: char| crate::config::visible::is_hidden(char) && char != '\n';
    let hostile = service("a\u{202e}", Report::fault(ErrorType::Status, "\u{1b}]0;x\u{7}\u{9b}\u{200b}"));
    let results = results(vec![hostile]);
    let texts = [table(&results, false), json(&results).unwrap(), junit(&results).unwrap()];
    assert!(texts.iter().all(|text| !text.contains(hidden)), "{texts:?}");
    assert!(texts[0].contains("a\\u{202e}") && texts[0].contains("\\u{1b}]0;x"), "{}", texts[0]);
    let document: serde_json::Value = serde_json::from_str(&texts[1]).unwrap();
    assert_eq!(document["services"][0]["service"], "a\u{202e}");
}

#[test]
fn junit_escapes_and_counts_what_it_lists() {
    let text = junit(&results(vec![good("a"), bad("b<&\"\u{1}"), broken("c")])).unwrap();
    assert!(text.contains(r#"tests="3" failures="2" errors="0""#), "{text}");
    assert_eq!(text.matches("<testcase").count(), 3);
    assert_eq!(text.matches("<failure").count(), 2);
    assert!(text.contains("name=\"b&lt;&amp;&quot;\u{fffd}\""), "{text}");
    assert!(text.contains("expected &lt;2xx&gt;"), "{text}");
}
