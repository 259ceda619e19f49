use serde_json::Map;
use vedette_sdk::http::{Field, Hop, HttpVersion};
use vedette_sdk::net::{Certificate, Endpoint, IpFamily, Timings};
use vedette_sdk::{AttributeValue, Failure, RetryAdvice, Stop};

use super::*;
use crate::rule;

/// 2024-01-01T00:00:00Z.
const NOW: u64 = 1_704_067_200_000_000_000;
const DAY: u64 = 86_400_000_000_000;
const MS: u64 = 1_000_000;

fn timings(total: u64) -> Timings {
    Timings { started_at: NOW, queue: None, resolve: None, connect: None, tls: None, send: None, wait: None, receive: None, total }
}

pub(crate) fn response(status: u16, fields: &[(&str, &str)], body: &str) -> Response {
    Response {
        status,
        version: HttpVersion::Http11,
        fields: fields.iter().map(|(name, value)| Field { name: (*name).into(), value: (*value).into() }).collect(),
        body: body.as_bytes().to_vec(),
        body_truncated: false,
        body_size: body.len() as u64,
        trailers: Vec::new(),
        url: "http://x/".into(),
        remote: Endpoint { address: "127.0.0.1".into(), port: 80, family: IpFamily::V4 },
        tls: None,
        timings: timings(12_400_000),
        redirects: Vec::new(),
    }
}

fn tls(lives: &[(u64, u64)]) -> TlsInfo {
    let chain = lives.iter().map(|(not_before, not_after)| Certificate {
        subject: "CN=x".into(),
        issuer: "CN=y".into(),
        serial: "01".into(),
        not_before: *not_before,
        not_after: *not_after,
        alt_names: Vec::new(),
        fingerprint_sha256: String::new(),
    });
    TlsInfo { version: "1.3".into(), cipher: "x".into(), alpn: None, server_name: None, verified: true, chain: chain.collect() }
}

fn rules(expect: &str, warn: &str) -> Vec<Expected> {
    let words = |text| serde_json::from_str::<Map<_, _>>(text).unwrap();
    rule::all(&words(expect), &words(warn)).unwrap()
}

fn judged(response: &Response, expect: &str, warn: &str) -> Report {
    judge(response, NOW, &rules(expect, warn), Redirects::AtMost(10))
}

/// Details of the hard expectations that this answer does not meet.
fn unmet(response: &Response, expect: &str) -> Vec<String> {
    judged(response, expect, "{}").expectations.into_iter().filter(|it| !it.met).map(|it| it.detail).collect()
}

fn body(text: &str, expect: &str) -> Vec<String> {
    unmet(&response(200, &[], text), expect)
}

#[test]
fn a_2xx_is_a_success_told_with_its_latency_and_its_implicit_expectation() {
    let report = judged(&response(200, &[], ""), "{}", "{}");
    assert_eq!((report.verdict, report.message.as_str()), (Verdict::Success, "200 OK in 12.4 ms"));
    assert_eq!((report.expectations[0].name.as_str(), report.expectations[0].met), ("status", true));
    assert_eq!(report.attributes, []);
}

#[test]
fn a_wrong_status_is_the_fault_and_the_message() {
    let report = judged(&response(500, &[], ""), "{}", "{}");
    assert_eq!((report.verdict, report.fault), (Verdict::Failure, Some(Fault::Status)));
    assert_eq!(report.message, "500 Internal Server Error, expected 2xx");
    assert_eq!(report.retry, None);
    assert_eq!(report.attributes[0].value, AttributeValue::Integer(500));
    assert_eq!(unmet(&response(299, &[], ""), r#"{"status": [200, "3xx"]}"#), ["299, expected 200 or 3xx"]);
}

#[test]
fn all_that_is_not_met_is_told_and_status_names_the_fault() {
    let answer = response(200, &[("content-type", "text/plain")], "down");
    let expect = r#"{"body_contains": "cart", "status": [204], "body_matches": "v\\d+", "header": {"content-type": "text/html.*"}}"#;
    let report = judged(&answer, expect, "{}");
    assert_eq!(report.fault, Some(Fault::Status));
    assert_eq!(report.message, "\"cart\" is not in the body (and 3 more)");
    let names: Vec<_> = report.expectations.iter().map(|it| (it.name.as_str(), it.met)).collect();
    assert_eq!(names, [("body_contains", false), ("status", false), ("body_matches", false), ("header", false)]);
    assert_eq!(judged(&answer, r#"{"body_contains": "cart"}"#, "{}").fault, Some(Fault::Expectation));
}

#[test]
fn what_is_soft_degrades_and_never_fails() {
    let report = judged(&response(200, &[], ""), "{}", r#"{"latency": 10000000, "body_contains": "x"}"#);
    assert_eq!((report.verdict, report.fault), (Verdict::Success, None));
    assert_eq!(report.message, "200 OK in 12.4 ms; warning: 12.4 ms, expected at most 10 ms (and 1 more)");
    assert!(report.expectations.iter().all(|it| it.met != it.soft));
}

#[test]
fn transient_codes_are_worth_another_attempt_unless_they_were_expected() {
    for status in [429, 502, 503, 504] {
        let answer = response(status, &[("retry-after", "3")], "");
        assert_eq!(judged(&answer, "{}", "{}").retry, Some(RetryAdvice { after: Some(3_000_000_000) }), "{status}");
        assert_eq!(judged(&answer, &format!(r#"{{"status": {status}, "body_contains": "x"}}"#), "{}").retry, None);
    }
    assert_eq!(judged(&response(503, &[], ""), "{}", "{}").retry, Some(RetryAdvice { after: None }));
    assert_eq!(judged(&response(500, &[("retry-after", "3")], ""), "{}", "{}").retry, None);
}

#[test]
fn latency_counts_from_the_start_of_the_attempt_to_the_last_byte_of_the_last_exchange() {
    let mut answer = response(200, &[], "");
    let hop = Hop { status: 302, url: String::new(), location: String::new(), timings: timings(20 * MS) };
    answer.redirects = vec![hop.clone(), hop];
    let judged = |most: u64| judge(&answer, NOW - 41 * MS, &rules(&format!(r#"{{"latency": {most}}}"#), "{}"), Redirects::AtMost(10));
    assert_eq!(judged(53_400_000).message, "200 OK in 53.4 ms");
    assert_eq!(judged(53_399_999).message, "53.4 ms, expected at most 53.399999 ms");
}

#[test]
fn a_limit_is_told_as_it_was_written_and_never_looks_met() {
    let judged = |took: u64, most: u64| {
        let answer = response(200, &[], "");
        let started = answer.timings.started_at + answer.timings.total - took;
        judge(&answer, started, &rules(&format!(r#"{{"latency": {most}}}"#), "{}"), Redirects::AtMost(10)).message
    };
    assert_eq!(judged(1_500_000_000, 1_000), "1.5 s, expected at most 0.001 ms");
    assert_eq!(judged(300_040_000, 300 * MS), "300.04 ms, expected at most 300 ms");
    assert_eq!(judged(300_140_000, 300 * MS), "300.1 ms, expected at most 300 ms");
}

#[test]
fn a_redirect_is_one_too_many_where_none_is_allowed_and_an_answer_where_it_is_not_followed() {
    let answer = response(302, &[("location", "/")], "");
    let rules = rules(r#"{"status": 302}"#, "{}");
    assert_eq!(judge(&answer, NOW, &rules, Redirects::AtMost(0)).fault, Some(Fault::Redirects));
    assert_eq!(judge(&answer, NOW, &rules, Redirects::AreAnswers).fault, None);
    assert_eq!(judge(&response(304, &[], ""), NOW, &rules, Redirects::AtMost(0)).fault, Some(Fault::Status));
}

#[test]
fn the_body_is_text_whatever_its_bytes() {
    let mut answer = response(200, &[], "");
    answer.body = b"\xff needle".to_vec();
    assert_eq!(unmet(&answer, r#"{"body_contains": "needle", "body_matches": "^\ufffd n"}"#), [""; 0]);
    assert_eq!(body("A needle", r#"{"body_contains": ["needle", "Needle"]}"#), ["\"Needle\" is not in the body"]);
    assert_eq!(body("v1 v2", r#"{"body_matches": ["v2", "^v2"]}"#), ["/^v2/ is not found in the body"]);
}

#[test]
fn a_header_matches_in_any_of_its_values_whatever_the_case_of_its_name() {
    let answer = response(200, &[("vary", "a"), ("vary", "b")], "");
    assert_eq!(unmet(&answer, r#"{"header": {"Vary": "^b$"}}"#), [""; 0]);
    assert_eq!(unmet(&answer, r#"{"header": {"Vary": "c"}}"#), ["header Vary is \"a\", expected /c/"]);
    assert_eq!(unmet(&answer, r#"{"header": {"etag": "c"}}"#), ["there is no header etag, expected /c/"]);
}

#[test]
fn every_node_that_a_path_finds_equals_the_value_and_there_is_at_least_one() {
    let text = r#"{"items": [{"n": 1}, {"n": 1.0}], "status": "bad", "long": [1, 2, 3, 4]}"#;
    assert_eq!(body(text, r#"{"json": {"$.items[*].n": 1, "$.items": [{"n": 1}, {"n": 1}]}}"#), [""; 0]);
    assert_eq!(body(text, r#"{"json": {"$.status": "ok"}}"#), [r#"$.status is "bad", expected "ok""#]);
    assert_eq!(body(text, r#"{"json": {"$.nope": null}}"#), ["$.nope finds nothing, expected null"]);
    assert_eq!(body(text, r#"{"json": {"$.long": 1}}"#), ["$.long is an array of 4, expected 1"]);
    assert_eq!(body(text, r#"{"json": {"$[?length(@) == 3]": "bad"}}"#), [""; 0]);
    assert!(body("<html>", r#"{"json": {"$.a": 1}}"#)[0].starts_with("the body is not JSON (expected value"));
    assert_eq!(body("\u{feff}{\"a\": 1}", r#"{"json": {"$.a": 1}}"#), [""; 0]);
}

#[test]
fn certificates_have_to_be_valid_for_long_enough_all_of_them() {
    let mut answer = response(200, &[], "");
    let expect = format!(r#"{{"certificate_valid_for": {}}}"#, 14 * DAY);
    assert!(unmet(&answer, &expect)[0].starts_with("there is no certificate over plain http"));
    answer.tls = Some(tls(&[(0, NOW + 14 * DAY), (0, NOW + 90 * DAY)]));
    assert_eq!(unmet(&answer, &expect), [""; 0]);
    answer.tls = Some(tls(&[(0, NOW + 90 * DAY), (0, NOW + 14 * DAY - 1)]));
    assert_eq!(unmet(&answer, &expect), ["certificate of \"CN=x\" is valid for 13 days more, expected to be valid for at least 14 days"]);
    answer.tls = Some(tls(&[(0, NOW - 3 * DAY)]));
    assert!(unmet(&answer, &expect)[0].starts_with("certificate of \"CN=x\" expired 3 days ago"));
    answer.tls = Some(tls(&[(NOW + DAY, NOW + 90 * DAY)]));
    assert!(unmet(&answer, &expect)[0].starts_with("certificate of \"CN=x\" is not valid for 1 day yet"));
    answer.tls = Some(tls(&[]));
    assert!(unmet(&answer, &expect)[0].starts_with("the server sent no certificate"));
}

fn refused(error: NetError) -> FailedExchange {
    FailedExchange { error, timings: timings(MS), remote: None, redirects: Vec::new() }
}

#[test]
fn a_refused_certificate_is_judged_all_the_same() {
    let info = Some(tls(&[(0, NOW - 3 * DAY)]));
    let error = NetError::Tls(TlsFailure { alert: None, reason: "expired".into(), message: String::new(), info });
    let report = failed(&refused(error), &rules(&format!(r#"{{"certificate_valid_for": {DAY}}}"#), "{}")).unwrap();
    assert_eq!((report.fault, report.message.as_str()), (Some(Fault::TlsCertificate), "certificate expired 3 days ago"));
    let told: Vec<_> = report.expectations.iter().map(|it| (it.name.as_str(), it.met)).collect();
    assert_eq!(told, [("certificate_valid_for", false)]);
}

#[test]
fn an_exchange_that_failed_is_the_fault_and_nothing_else_is_judged() {
    let report = failed(&refused(NetError::ConnectionRefused), &rules(r#"{"body_contains": "x"}"#, "{}")).unwrap();
    assert_eq!((report.fault, report.retry.is_some()), (Some(Fault::ConnectRefused), true));
    assert_eq!((report.message.as_str(), report.expectations.len()), ("connection refused", 0));
    let stopped = failed(&refused(NetError::InvalidRequest("bad method".into())), &rules("{}", "{}"));
    assert!(matches!(stopped, Err(Stop::Failure(Failure::InvalidConfig(_)))));
}
