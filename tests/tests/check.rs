//! `vedette check` from outside: two hundred targets at once, exit codes, what is remembered, what is refused.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]

use std::time::Duration;

use e2e::HOSTILE;
use e2e::answer::Answer;
use e2e::certificates::Authority;
use e2e::home::Home;
use e2e::target::Target;
use serde_json::{Value, json};

/// Longer than any attempt may take here.
const SLOW: Duration = Duration::from_secs(30);

/// A kind of target and the verdict that it must get with one retry.
struct Kind {
    name: &'static str,
    answer: Option<Answer>,
    expect: Value,
    result: &'static str,
    error_type: Option<&'static str>,
    attempts: u64,
    /// At the target; none where it sees no request.
    requests: usize,
}

impl Kind {
    fn good(name: &'static str, answer: Answer, attempts: u64) -> Self {
        let requests = usize::try_from(attempts).expect("a small number");
        Self { name, answer: Some(answer), expect: json!({}), result: "success", error_type: None, attempts, requests }
    }

    fn bad(name: &'static str, answer: Answer, error_type: &'static str, attempts: u64) -> Self {
        Self { result: "failure", error_type: Some(error_type), ..Self::good(name, answer, attempts) }
    }

    fn expecting(self, expect: Value) -> Self {
        Self { expect, ..self }
    }
}

fn kinds() -> [Kind; 10] {
    let late = Kind::bad("late", Answer::slow(SLOW), "timeout", 2);
    let refused = Kind::bad("refused", Answer::healthy(), "connect_refused", 2);
    [
        Kind::good("healthy", Answer::healthy(), 1),
        Kind::good("slow", Answer::slow(Duration::from_millis(300)), 1),
        Kind::good("unavailable-once", Answer::unavailable_once(), 2),
        Kind::good("right-body", Answer::new(200, "3 in your cart"), 1).expecting(json!({"body_contains": "cart"})),
        Kind { result: "timeout", ..late },
        Kind { answer: None, requests: 0, ..refused },
        Kind::bad("reset", Answer::Reset, "connection_closed", 2),
        Kind::bad("wrong-body", Answer::new(200, "down for maintenance"), "expectation", 1).expecting(json!({"body_contains": "cart"})),
        Kind::bad("broken", Answer::new(500, ""), "status", 1),
        Kind::bad("unavailable", Answer::new(503, ""), "status", 2),
    ]
}

fn config(checks: &[Value]) -> Value {
    json!({"defaults": {"timeout": "2s", "retries": 1}, "checks": checks})
}

fn check(name: &str, target: &Target) -> Value {
    json!({"name": name, "target": target.url()})
}

#[tokio::test]
async fn two_hundred_targets_get_the_right_verdict_in_the_time_of_the_slowest() {
    let (home, kinds) = (Home::new(), kinds());
    let slowest = Target::open(Answer::slow(SLOW));
    let alone = config(&[check("alone", &slowest)]);
    // Twice, so that what is done once per machine is not in the figure.
    home.check_file(&alone).await;
    let one = home.check_file(&alone).await;
    let mut targets = Vec::new();
    for index in 0..200 {
        let kind = &kinds[index % kinds.len()];
        let target = match &kind.answer {
            Some(answer) => Target::open(answer.clone()),
            None => Target::refusing().await,
        };
        targets.push((format!("{}-{index}", kind.name), target, kind));
    }
    let checks = targets.iter().map(|(name, target, kind)| json!({"name": name, "target": target.url(), "with": {"expect": kind.expect}}));
    let all = home.check_file(&config(&checks.collect::<Vec<_>>())).await;

    let services = all.services();
    assert_eq!(services.len(), 200);
    for (name, target, kind) in &targets {
        let service = &services[name];
        assert_eq!(service["result"], kind.result, "{service:#}");
        assert_eq!(service["error_type"], json!(kind.error_type), "{service:#}");
        assert_eq!(service["attempts"], kind.attempts, "{service:#}");
        assert_eq!(service["status"], if kind.result == "success" { "ok" } else { "fail" }, "{service:#}");
        assert_eq!(target.count(), kind.requests, "retries only where they may help: {name}");
    }
    assert_eq!(all.code, 1);
    assert!(all.length < one.length * 2, "200 took {:?} where the slowest alone takes {:?}", all.length, one.length);
}

#[tokio::test]
async fn exit_0_is_for_success_alone() {
    let (home, good, late) = (Home::new(), Target::open(Answer::healthy()), Target::open(Answer::unavailable_once()));
    assert_eq!(home.check(&[&good.url(), &late.url()]).await.code, 0);
}

#[tokio::test]
async fn exit_1_is_for_a_target_that_fails_among_good_ones() {
    let (home, good, bad) = (Home::new(), Target::open(Answer::healthy()), Target::open(Answer::new(404, "")));
    assert_eq!(home.check(&[&good.url(), &bad.url()]).await.code, 1);
}

#[tokio::test]
async fn exit_2_is_for_what_cannot_be_understood_and_nothing_is_asked() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let url = target.url();
    for arguments in [&["--timeout", "2", url.as_str()] as &[&str], &[&url, "ftp://127.0.0.1/"], &["--no-such-option", &url], &[]] {
        let finished = home.check(arguments).await;
        assert_eq!(finished.code, 2, "{finished:#?}");
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty(), "{finished:#?}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn exit_3_is_for_a_plugin_at_fault_and_a_target_that_fails_is_worse() {
    let (home, good, bad) = (Home::new(), Target::open(Answer::healthy()), Target::open(Answer::new(500, "")));
    let source = home.write("hostile.wasm", HOSTILE);
    let with = |target: &Target| {
        json!({"plugins": {"hostile": {"source": source}}, "checks": [
            check("api", target),
            {"name": "trap", "plugin": "hostile", "target": good.url(), "with": {"do": "trap"}},
        ]})
    };
    let finished = home.check_file(&with(&good)).await;
    let service = &finished.services()["trap"];
    assert_eq!((&service["result"], &service["error_type"]), (&json!("error"), &json!("plugin_trap")), "{service:#}");
    assert_eq!(finished.code, 3, "{finished:#?}");
    assert_eq!(home.check_file(&with(&bad)).await.code, 1);
}

#[tokio::test]
async fn the_last_success_survives_and_stands_still_while_the_target_fails() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let file = config(&[check("api", &target)]);
    let last_success = async || home.check_file(&file).await.services()["api"]["last_success"].clone();
    let first = last_success().await;
    assert!(first.is_string());
    target.die().await;
    assert_eq!([last_success().await, last_success().await], [first.clone(), first.clone()]);
    target.revive();
    assert_ne!(last_success().await, first);
}

#[tokio::test]
async fn a_certificate_is_judged_by_the_authorities_that_are_trusted() {
    let authority = Authority::new();
    let (knowing, ignorant) = (Home::new().trusting(&authority), Home::new().trusting(&Authority::new()));
    let valid = Target::open_tls(Answer::healthy(), authority.valid());
    let expired = Target::open_tls(Answer::healthy(), authority.expired());
    let file = config(&[check("valid", &valid), check("expired", &expired)]);
    let (known, unknown) = (knowing.check_file(&file).await.services(), ignorant.check_file(&file).await.services());
    assert_eq!(known["valid"]["result"], "success", "{:#}", known["valid"]);
    for service in [&known["expired"], &unknown["valid"], &unknown["expired"]] {
        assert_eq!(service["error_type"], "tls_certificate", "{service:#}");
        assert_eq!(service["tls"]["chain"].as_array().map(Vec::len), Some(1), "the chain is told all the same: {service:#}");
    }
    assert_eq!((valid.count(), expired.count()), (1, 0), "nothing is sent to whom nobody knows");
}

/// Wrong configurations, each with the place that must be named and a word that must be said.
const WRONG: [(&str, &str, &str); 10] = [
    ("chekcs: []", "1:1", "checks"),
    ("agent: {locaton: here}\nchecks: [{name: a, target: \"http://127.0.0.1:9/\"}]", "1:9", "location"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n    evry: 30s", "4:5", "every"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n    timeout: 2", "4:14", "timeout"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n    retries: many", "4:14", "retries"),
    ("checks:\n  - name: a\n    target: not a url", "3:13", "target"),
    ("checks:\n  - name: a\n    target: ftp://127.0.0.1/x", "3:13", "ftp"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n  - name: a\n    target: http://127.0.0.1:9/x", "4:11", "a"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n    plugin: nobody", "4:13", "nobody"),
    ("checks:\n  - name: a\n    target: http://127.0.0.1:9/\n    with: {expect: {statsu: 200}}", "4:21", "status"),
];

#[tokio::test]
async fn ten_wrong_configurations_are_refused_with_their_place() {
    let home = Home::new();
    for (text, place, word) in WRONG {
        let file = home.write("wrong.yaml", text).display().to_string();
        let finished = home.check(&["-c", &file]).await;
        assert_eq!(finished.code, 2, "{text}\n{finished:#?}");
        assert!(finished.stdout.is_empty(), "{finished:#?}");
        assert!(finished.stderr.contains(&format!("wrong.yaml:{place}")), "{place} is not named:\n{text}\n{}", finished.stderr);
        assert!(finished.stderr.contains(word), "{word:?} is not said:\n{text}\n{}", finished.stderr);
    }
}

#[tokio::test]
async fn several_mistakes_leave_together() {
    let home = Home::new();
    let mistake = |index: usize| format!("  - name: c{index}\n    target: http://127.0.0.1:9/\n    evry: 30s\n");
    let mistakes: Vec<_> = (0..10).map(mistake).collect();
    let file = home.write("wrong.yaml", format!("checks:\n{}", mistakes.concat())).display().to_string();
    let finished = home.check(&["-c", &file]).await;
    assert_eq!(finished.code, 2);
    for index in 0..10 {
        let place = format!("wrong.yaml:{}:5", 4 + 3 * index);
        assert!(finished.stderr.contains(&place), "{place} is not named:\n{}", finished.stderr);
    }
}
