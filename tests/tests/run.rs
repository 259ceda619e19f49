//! `vedette run` from outside: page, grid, overload, outages of targets and collector, plugins that misbehave.

#![expect(clippy::float_cmp, reason = "counts are exact")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use e2e::HOSTILE;
use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::home::Home;
use e2e::patience::eventually;
use e2e::received::Received;
use e2e::receiver::Receiver;
use e2e::target::Target;
use rustix::process::Signal;
use serde_json::{Value, json};

/// A check every second, which is often for a test and nothing for an agent.
fn quick(checks: &[Value]) -> Value {
    json!({"defaults": {"every": "1s", "timeout": "800ms", "retries": 0}, "checks": checks})
}

fn exporting(mut config: Value, backend: &Receiver) -> Value {
    config["export"] = json!({"otlp": {"endpoint": backend.endpoint()}});
    config
}

fn check(name: &str, target: &Target) -> Value {
    json!({"name": name, "target": target.url()})
}

#[tokio::test]
async fn an_agent_without_a_collector_probes_and_serves() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let agent = Agent::start(&home, &quick(&[check("api", &target)])).await;
    eventually("the target is asked again and again", async || (target.count() >= 3).then_some(())).await;

    let page = agent.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].starts_with("text/html") && page.text.contains("api"), "{page:#?}");
    let checks = agent.get("/api/v1/checks").await;
    assert_eq!(checks.headers["content-type"], "application/json");
    assert!(serde_json::from_str::<Value>(&checks.text).expect("JSON").to_string().contains("\"api\""), "{checks:#?}");
    assert_eq!(agent.get("/healthz").await.status, 200);
    assert_eq!(agent.get("/no/such/page").await.status, 404);
    let metrics = agent.metrics().await;
    assert_eq!(metrics.value("synthetic_check_up", &[("synthetic_check_name", "api")]), Some(1.0));
    assert!(metrics.sum("synthetic_check_runs_total", &[("synthetic_check_result", "success")]) >= 2.0);
    assert!(!metrics.names("vedette_").is_empty(), "the agent's own telemetry");

    let address = agent.address().to_owned();
    assert_eq!(agent.terminate().await, 0);
    assert!(e2e::message::get(&address, "/healthz").await.is_err(), "nothing answers after the end");
}

#[tokio::test]
async fn overload_is_skipped_and_counted() {
    let (home, target) = (Home::new(), Target::open(Answer::slow(Duration::from_millis(400))));
    let checks = (0..20).map(|index| json!({"name": format!("c{index}"), "target": target.at(&format!("/{index}"))}));
    let mut config = quick(&checks.collect::<Vec<_>>());
    config["agent"] = json!({"concurrency": 2});
    let agent = Agent::start(&home, &config).await;
    // Twenty runs a second are planned, five can be done.
    eventually("runs are skipped", async || (agent.metrics().await.sum("vedette_scheduler_runs_missed_total", &[]) >= 60.0).then_some(()))
        .await;

    let metrics = agent.metrics().await;
    let sum = |name: &str| metrics.sum(name, &[]);
    let (planned, started) = (sum("vedette_scheduler_runs_planned_total"), sum("vedette_scheduler_runs_started_total"));
    let missed = sum("vedette_scheduler_runs_missed_total");
    // The three are read one after the other while the agent goes on.
    assert!((planned - started - missed).abs() <= 3.0, "{planned} planned, {started} run, {missed} skipped");
    let skipped = metrics.sum("synthetic_check_runs_total", &[("synthetic_check_result", "skipped")]);
    assert!((skipped - missed).abs() <= 3.0, "{skipped} skipped runs told of checks, {missed} of the scheduler");
    let reasons = metrics.0.iter().filter(|sample| sample.name == "synthetic_check_runs_total" && sample.value > 0.0);
    let reasons: BTreeSet<_> = reasons.filter_map(|sample| sample.labels.get("error_type").map(String::as_str)).collect();
    assert!(reasons.is_subset(&BTreeSet::from(["capacity", "late", ""])), "{reasons:?}");
    assert!(reasons.contains("capacity"), "{reasons:?}");
    assert!(target.peak() <= 2, "{} runs in flight under a limit of 2", target.peak());
    assert_eq!(agent.terminate().await, 0);
}

/// Events of a state change to a state.
fn changes(received: &Received, to: &str) -> usize {
    received
        .events("synthetic.check.state_changed", &[])
        .iter()
        .filter(|event| event.attributes.iter().any(|(key, value)| key.rsplit(['.', '_']).next() == Some("to") && value == to))
        .count()
}

#[tokio::test]
async fn a_target_that_dies_flips_up_and_state_and_is_told_once() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let agent = Agent::start(&home, &exporting(quick(&[check("api", &target)]), &backend)).await;
    let arrived = async |up: f64, state: &str| {
        eventually(&format!("up is {up} and the state {state}"), async || {
            let received = backend.received();
            let holds = received.last("synthetic.check.state", &[("synthetic.state", state)]) == Some(1.0);
            (holds && received.last("synthetic.check.up", &[]) == Some(up)).then_some(())
        })
        .await;
    };
    arrived(1.0, "up").await;
    target.die().await;
    arrived(0.0, "down").await;
    eventually("the change is told", async || (changes(&backend.received(), "down") > 0).then_some(())).await;
    let stood = backend.received().last("synthetic.check.last_success.time", &[]);
    // Some more runs fail, and change nothing.
    let failures = async || backend.received().total("synthetic.check.runs", &[("error.type", "connect_refused")]);
    let before = failures().await;
    eventually("it fails again", async || (failures().await >= before + 2.0).then_some(())).await;
    assert_eq!(backend.received().last("synthetic.check.last_success.time", &[]), stood);
    target.revive();
    arrived(1.0, "up").await;
    eventually("the recovery is told", async || (changes(&backend.received(), "up") > 0).then_some(())).await;
    assert_eq!(agent.terminate().await, 0);

    let received = backend.received();
    assert_eq!(changes(&received, "down"), 1, "{:#?}", received.events);
    let down = received.events("synthetic.check.state_changed", &[]).into_iter().find(|event| event.severity >= 13).expect("a warning");
    assert!(received.traces().contains_key(down.trace_id.as_str()), "it points at the run that caused it");
    assert!(format!("{down:?}").contains("refused"), "{down:#?}");
}

#[tokio::test]
async fn every_request_is_a_trace_even_after_an_absence_of_the_collector() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::refusing_first(6));
    let agent = Agent::start(&home, &exporting(quick(&[check("api", &target)]), &backend)).await;
    eventually("the collector takes something", async || (!backend.received().spans.is_empty()).then_some(())).await;
    eventually("and goes on", async || (target.count() >= 6).then_some(())).await;
    assert_eq!(agent.terminate().await, 0);
    let (received, requests) = (backend.received(), target.requests());
    let asked: BTreeSet<_> = requests.iter().filter_map(|request| request.trace_id()).collect();
    let told: BTreeSet<_> = received.traces().into_keys().collect();
    assert_eq!(asked.len(), requests.len(), "each run has a trace of its own");
    assert_eq!(asked, told);
    assert_eq!(received.total("synthetic.check.runs", &[]), requests.len() as f64);
}

#[tokio::test]
async fn every_signal_that_asks_it_to_end_lets_runs_in_flight_end_first() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (home, target) = (Home::new(), Target::open(Answer::healthy()));
        let agent = Agent::start(&home, &quick(&[check("api", &target)])).await;
        assert_eq!(agent.end(signal).await, 0, "{signal:?}");
    }
}

#[tokio::test]
async fn what_a_collector_that_is_away_does_not_get_is_told_at_the_end() {
    let (home, target, away) = (Home::new(), Target::open(Answer::healthy()), Target::refusing().await);
    let mut config = quick(&[check("api", &target)]);
    config["export"] = json!({"otlp": {"endpoint": away.at("")}});
    let agent = Agent::start(&home, &config).await;
    eventually("spans wait", async || {
        let of = [("signal", "traces"), ("outcome", "produced")];
        (agent.metrics().await.value("vedette_export_items_total", &of) > Some(0.0)).then_some(())
    })
    .await;
    assert!(!agent.log().contains("not delivered"), "{}", agent.log());
    assert_eq!(agent.terminate().await, 0);
    let log = std::fs::read_to_string(home.path("agent.log")).expect("the log");
    for (what, path) in [("spans", "v1/traces"), ("points", "v1/metrics")] {
        let told = log.lines().find(|line| line.contains(&format!(" {what} were not delivered to {}", away.at(&format!("/{path}")))));
        assert!(told.is_some_and(|line| line.contains("WARN")), "{what}:\n{log}");
    }
}

/// An agent that is to listen on all addresses.
fn exposed(home: &Home, agent: Value, target: &Target) -> tokio::process::Command {
    let mut config = quick(&[check("api", target)]);
    config["agent"] = agent;
    config["agent"]["listen"] = json!("0.0.0.0:0");
    config["agent"]["state_dir"] = json!("off");
    let file = home.write("run.yaml", config.to_string());
    let mut command = home.command();
    command.args([OsStr::new("run"), "-c".as_ref(), file.as_os_str()]);
    command
}

#[tokio::test]
async fn an_agent_that_listens_everywhere_tells_an_address_that_can_be_opened() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let mut command = exposed(&home, json!({"auth": "none"}), &target);
    let agent = Agent::started(&mut command, home.path("agent.log")).await;
    assert!(agent.address().starts_with("127.0.0.1:"), "{}", agent.address());
    assert_eq!(agent.get("/").await.status, 200);
    assert_eq!(agent.terminate().await, 0);
}

#[tokio::test]
async fn a_page_that_is_not_served_is_not_announced() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let mut command = exposed(&home, json!({}), &target);
    let log = || std::fs::read_to_string(home.path("agent.log")).unwrap_or_default();
    let output = std::fs::File::create(home.path("agent.log")).expect("the test's folder takes a file");
    let mut agent = command.stderr(output).spawn().expect("the program can be started");
    eventually("it has started", async || log().contains("watching").then_some(())).await;
    let (before, line) = log().split_once("watching").map(|(before, line)| (before.to_owned(), line.to_owned())).expect("the line");
    assert!(before.contains("only /healthz and /readyz are served"), "that comes first:\n{}", log());
    assert!(!line.contains("page="), "{line}");
    let address = line.split("health=http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let answers = async |path: &str| e2e::message::get(address, path).await.map_or(0, |reply| reply.status);
    assert_eq!((answers("/healthz").await, answers("/").await), (200, 403));
    agent.kill().await.expect("a child can be ended");
}

#[tokio::test]
async fn a_run_in_flight_is_finished_and_told_before_the_end() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::slow(Duration::from_millis(600))), Receiver::open());
    let agent = Agent::start(&home, &exporting(quick(&[check("api", &target)]), &backend)).await;
    let seen = target.count();
    eventually("a run begins", async || (target.count() > seen).then_some(())).await;
    assert_eq!(agent.terminate().await, 0);
    let received = backend.received();
    for request in target.requests() {
        let trace = request.trace_id().expect("a traceparent");
        assert!(received.traces().contains_key(trace), "the run of {trace} was not told");
    }
    let results: BTreeSet<_> = received.runs("api").into_iter().map(|run| run.attributes["synthetic.check.result"].clone()).collect();
    assert_eq!(results, BTreeSet::from(["success".to_owned()]));
}

/// What the hostile guest is told to do, and what its runs must end as.
const MISDEEDS: [(&str, &str); 8] = [
    ("spin", "plugin_limit_cpu"),
    ("sleep", "plugin_limit_time"),
    ("trap", "plugin_trap"),
    ("panic", "plugin_trap"),
    ("recurse", "plugin_trap"),
    ("eat_memory", "plugin_limit_memory"),
    ("garbage", "plugin_answer"),
    ("fail", "plugin_failure"),
];

#[tokio::test]
async fn plugins_that_misbehave_end_as_errors_of_their_own_and_fifty_neighbours_keep_their_grid() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let source = home.write("hostile.wasm", HOSTILE);
    let neighbours: Vec<_> = (0..50).map(|index| format!("n{index}")).collect();
    let good = neighbours.iter().map(|name| json!({"name": name, "target": target.at(&format!("/{name}"))}));
    let bad = MISDEEDS
        .iter()
        .map(|(deed, _)| json!({"name": deed, "plugin": "hostile", "target": target.url(), "with": {"do": deed}, "every": "2s"}));
    let mut config = exporting(quick(&good.chain(bad).collect::<Vec<_>>()), &backend);
    config["plugins"] = json!({"hostile": {"source": source}});
    let agent = Agent::start(&home, &config).await;
    eventually("every misdeed was done three times", async || {
        let received = backend.received();
        MISDEEDS.iter().all(|(deed, _)| received.runs(deed).len() >= 3).then_some(())
    })
    .await;
    assert_eq!(agent.get("/healthz").await.status, 200, "the scheduler ticks all the same");
    assert_eq!(agent.terminate().await, 0);

    let received = backend.received();
    for (deed, error_type) in MISDEEDS {
        for run in received.runs(deed) {
            assert_eq!(run.attributes["synthetic.check.result"], "error", "{run:#?}");
            assert_eq!(run.attributes["error.type"], error_type, "{run:#?}");
        }
    }
    let requests = target.requests();
    let asked: Vec<_> = neighbours.iter().map(|name| requests.iter().filter(|request| request.path[1..] == **name).count()).collect();
    let (least, most) = (asked.iter().min().expect("fifty"), asked.iter().max().expect("fifty"));
    assert!(most - least <= 2, "each was asked as often as the others: {asked:?}");
    for name in &neighbours {
        let of = [("synthetic.check.name", name.as_str())];
        assert_eq!(
            received.total("synthetic.check.runs", &of),
            received.total("synthetic.check.duration", &of),
            "{name}: nothing is skipped"
        );
        for run in received.runs(name) {
            assert_eq!(run.attributes["synthetic.check.result"], "success", "{run:#?}");
            // Later than that and the next run would be due: the grid is lost.
            let late: f64 = run.attributes["synthetic.run.lateness"].parse().expect("a number");
            assert!(late < 0.5, "{run:#?}");
        }
    }
}

#[tokio::test]
async fn the_sample_configuration_is_right() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/vedette.yaml");
    let finished = Home::new().vedette(["config", "check", "-c", sample]).await;
    assert_eq!(finished.code, 0, "{finished:#?}");
}
