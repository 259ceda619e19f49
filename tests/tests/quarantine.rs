//! A plugin that breaks again and again is left alone: told once, not hammered, and taken back when it behaves.

#![expect(clippy::float_cmp, reason = "counts are exact")]

use e2e::HOSTILE;
use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::home::Home;
use e2e::patience::eventually;
use e2e::received::Received;
use e2e::receiver::Receiver;
use e2e::target::Target;
use serde_json::{Value, json};

/// Every second, which is often for a test and nothing for an agent.
fn config(home: &Home, backend: &Receiver, target: &Target, deed: &str) -> Value {
    let source = home.write("hostile.wasm", HOSTILE);
    json!({
        "defaults": {"every": "1s", "timeout": "800ms", "retries": 0},
        "export": {"otlp": {"endpoint": backend.endpoint()}},
        "plugins": {"hostile": {"source": source, "allow": {"hosts": ["127.0.0.1"]}}},
        "checks": [{"name": "it", "plugin": "hostile", "target": target.url(), "with": {"do": deed}}],
    })
}

/// Runs of the check, and those among them in which the plugin was not asked.
fn runs(received: &Received) -> (usize, usize) {
    let runs = received.runs("it");
    let barred = runs.iter().filter(|run| run.attributes["synthetic.run.message"].starts_with("quarantined until "));
    (runs.len(), barred.count())
}

#[tokio::test]
async fn a_plugin_that_only_breaks_is_asked_less_and_less_and_told_once() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let agent = Agent::start(&home, &config(&home, &backend, &target, "trap")).await;
    eventually("it is left alone again and again", async || (runs(&backend.received()).1 >= 6).then_some(())).await;
    let metrics = agent.metrics().await;
    let sum = |name: &str| metrics.sum(name, &[]);
    let (planned, started, missed) = (
        sum("vedette_scheduler_runs_planned_total"),
        sum("vedette_scheduler_runs_started_total"),
        sum("vedette_scheduler_runs_missed_total"),
    );
    assert!((planned - started - missed).abs() <= 1.0, "{planned} planned, {started} run, {missed} skipped");
    assert_eq!(sum("vedette_plugin_quarantined"), 1.0);
    assert_eq!(agent.terminate().await, 0);

    let received = backend.received();
    let (all, barred) = runs(&received);
    // Five before, a trial after each term of 1, 2, 4 intervals.
    let asked = all - barred;
    assert!((6..=8).contains(&asked), "{asked} of {all} runs asked the plugin");
    for run in received.runs("it") {
        assert_eq!(run.attributes["synthetic.check.result"], "error", "{run:#?}");
        assert_eq!(run.attributes["error.type"], "plugin_trap", "{run:#?}");
    }
    assert_eq!(received.total("synthetic.check.runs", &[("synthetic.check.result", "error")]), all as f64);
    assert_eq!(received.events("synthetic.plugin.quarantined", &[]).len(), 1, "told once");
    assert!(received.events("synthetic.plugin.released", &[]).is_empty());
    assert_eq!(received.last("synthetic.check.state", &[("synthetic.state", "unknown")]), Some(1.0));
}

#[tokio::test]
async fn one_honest_run_ends_it_and_the_state_is_what_it_was() {
    let bad = Answer::new(500, "not yet\n");
    let answers = Answer::First(8, Box::new(Answer::healthy()), Box::new(Answer::First(14, Box::new(bad), Box::new(Answer::healthy()))));
    let (home, target, backend) = (Home::new(), Target::open(answers), Receiver::open());
    let agent = Agent::start(&home, &config(&home, &backend, &target, "brittle")).await;
    eventually("it is taken back", async || (!backend.received().events("synthetic.plugin.released", &[]).is_empty()).then_some(())).await;
    eventually("its state is up", async || {
        (backend.received().last("synthetic.check.state", &[("synthetic.state", "up")]) == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(agent.metrics().await.sum("vedette_plugin_quarantined", &[]), 0.0);
    assert_eq!(agent.terminate().await, 0);

    let received = backend.received();
    for name in ["synthetic.plugin.quarantined", "synthetic.plugin.released"] {
        assert_eq!(received.events(name, &[]).len(), 1, "{name}");
    }
    let states: Vec<_> = received
        .events("synthetic.check.state_changed", &[])
        .iter()
        .filter_map(|event| event.attributes.iter().find(|(key, _)| key.as_str() == "synthetic.state.to").map(|(_, to)| to.clone()))
        .collect();
    assert_eq!(states, ["up", "unknown", "up"]);
    assert!(target.count() <= 8 + 6 + runs(&received).0, "never more than a request a run");
}
