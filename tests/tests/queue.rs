//! What survives: an agent that is killed again and again, a collector that comes and goes.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]
#![expect(clippy::float_cmp, reason = "counts are exact")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::exposition::Exposition;
use e2e::home::Home;
use e2e::patience::eventually;
use e2e::received::Received;
use e2e::receiver::Receiver;
use e2e::target::Target;
use serde_json::{Value, json};

const PROBES: usize = 50;

const LIVES: usize = 12;

/// Of a run that succeeds: root, exchange, connect, send, wait, receive.
const SPANS: usize = 6;

/// Every probe once a second. The paths say in which life they were asked for.
fn configuration(life: usize, target: &Target, backend: &Receiver) -> Value {
    let check = |number| json!({"name": format!("c{number}"), "target": target.at(&path(life, number))});
    json!({
        "export": {"otlp": {"endpoint": backend.endpoint()}},
        "defaults": {"every": "1s", "timeout": "900ms", "retries": 0},
        "checks": (0..PROBES).map(check).collect::<Vec<_>>(),
    })
}

fn path(life: usize, number: usize) -> String {
    format!("/{life}/{number}")
}

fn chance(of: u64) -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 % of
}

/// The runs of each probe that telemetry has counted and that had a request: by result, of those that took place.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, and a small one")]
fn counted(metrics: &Exposition, number: usize) -> [usize; 2] {
    let name = format!("c{number}");
    let runs = |result: &str| {
        let labels = [("synthetic_check_name", name.as_str()), ("synthetic_check_result", result)];
        metrics.sum("synthetic_check_runs_total", &labels) as usize
    };
    [runs("success"), runs("failure") + runs("timeout") + runs("error")]
}

/// The traces that the agent has acknowledged: those of the runs that its counters tell of, once as many spans as all of
/// them have are out of the reach of a power cut.
async fn acknowledged(agent: &Agent, life: usize, target: &Target) -> BTreeSet<String> {
    let counts = eventually("every probe has run", async || {
        let metrics = agent.metrics().await;
        let counts: Vec<_> = (0..PROBES).map(|number| counted(&metrics, number)).collect();
        counts.iter().all(|[good, bad]| good + bad > 0).then_some(counts)
    })
    .await;
    let spans = SPANS * counts.iter().flatten().sum::<usize>();
    eventually("they are on disk", async || {
        let synced = agent.metrics().await.sum("vedette_export_synced_total", &[("signal", "traces")]);
        (synced >= spans as f64).then_some(())
    })
    .await;
    let mut asked: HashMap<String, Vec<String>> = HashMap::new();
    for request in target.requests() {
        let trace = request.trace_id().expect("a traceparent").to_owned();
        asked.entry(request.path).or_default().push(trace);
    }
    // A run that did not succeed may have come without a request: then it is not known which are meant.
    let good = counts.iter().enumerate().filter(|(_, [_, bad])| *bad == 0);
    good.flat_map(|(number, [good, _])| asked[&path(life, number)][..*good].to_vec()).collect()
}

#[tokio::test]
async fn what_was_acknowledged_arrives_however_often_agent_and_collector_are_killed() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let mut acknowledged_so_far = BTreeSet::new();
    let mut there = true;
    for life in 0..LIVES {
        let agent = Agent::start(&home, &configuration(life, &target, &backend)).await;
        if chance(2) == 0 {
            tokio::time::sleep(Duration::from_millis(chance(800))).await;
            if there {
                backend.die().await;
            } else {
                backend.revive();
            }
            there = !there;
        }
        acknowledged_so_far.extend(acknowledged(&agent, life, &target).await);
        tokio::time::sleep(Duration::from_millis(chance(300))).await;
        agent.kill().await;
    }
    backend.revive();
    let agent = Agent::start(&home, &configuration(LIVES, &target, &backend)).await;
    let missing = || {
        let told: BTreeSet<String> = backend.received().spans.into_iter().map(|span| span.trace_id).collect();
        acknowledged_so_far.difference(&told).count()
    };
    eventually("what was acknowledged arrives", async || (missing() == 0).then_some(())).await;
    eventually("the queue is empty", async || balanced(&agent).await.filter(|queued| *queued == 0.0)).await;
    let metrics = agent.metrics().await;
    for outcome in ["rejected", "dropped"] {
        assert_eq!(metrics.sum("vedette_export_items_total", &[("outcome", outcome)]), 0.0, "{outcome}");
    }
    assert_eq!(metrics.sum("vedette_export_requests_total", &[("outcome", "damaged")]), 0.0);
    assert_eq!(agent.terminate().await, 0);

    assert!(acknowledged_so_far.len() >= LIVES * PROBES / 2, "{} were acknowledged", acknowledged_so_far.len());
    let received = backend.received();
    duplicates_are_identical(&received);
    series_are_in_order(&received);
    for trace in received.traces().values() {
        let spans: BTreeSet<_> = trace.iter().map(|span| &span.span_id).collect();
        assert!(spans.len() <= SPANS, "a run has more spans than were counted on: {trace:#?}");
    }
}

fn duplicates_are_identical(received: &Received) {
    let mut spans = HashMap::new();
    for span in &received.spans {
        let shown = format!("{span:?}");
        let known = spans.entry(&span.span_id).or_insert_with(|| shown.clone());
        assert_eq!(*known, shown);
    }
    let mut points = HashMap::new();
    for point in &received.points {
        let shown = format!("{point:?}");
        let known = points.entry((point.series(), point.time)).or_insert_with(|| shown.clone());
        assert_eq!(*known, shown);
    }
}

/// Each point comes after those that were before it, unless it is one of them, sent again.
fn series_are_in_order(received: &Received) {
    let mut known: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for point in &received.points {
        let times = known.entry(point.series()).or_default();
        let newest = times.last().copied().unwrap_or_default();
        assert!(point.time > newest || times.contains(&point.time), "{point:#?} comes after {newest}");
        if point.time > newest {
            times.push(point.time);
        }
    }
    assert!(known.values().any(|times| times.len() > 5), "series go on");
}

/// Items in the queue, if the ledger is right: the numbers are read one after the other while the agent goes on.
async fn balanced(agent: &Agent) -> Option<f64> {
    let metrics = agent.metrics().await;
    let of = |outcome: &str| metrics.sum("vedette_export_items_total", &[("outcome", outcome)]);
    let queued = metrics.sum("vedette_export_queue_items", &[]);
    (of("produced") + of("replayed") == of("sent") + of("rejected") + of("dropped") + queued).then_some(queued)
}

#[tokio::test]
async fn an_absent_collector_costs_nothing_not_even_over_a_restart() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let agent = Agent::start(&home, &configuration(0, &target, &backend)).await;
    eventually("the collector takes something", async || (!backend.received().spans.is_empty()).then_some(())).await;
    backend.die().await;
    let before = target.count();
    eventually("telemetry waits", async || {
        let queued = balanced(&agent).await?;
        (queued > 0.0 && target.count() > before + 3 * PROBES).then_some(())
    })
    .await;
    assert!(agent.metrics().await.value("vedette_export_queue_oldest_age_seconds", &[]).expect("an age") > 0.0);
    assert_eq!(agent.terminate().await, 0);

    let agent = Agent::start(&home, &configuration(1, &target, &backend)).await;
    eventually("it is found again", async || {
        let replayed = agent.metrics().await.sum("vedette_export_items_total", &[("signal", "traces"), ("outcome", "replayed")]);
        (replayed >= (3 * PROBES * SPANS) as f64).then_some(())
    })
    .await;
    backend.revive();
    eventually("it has left", async || balanced(&agent).await.filter(|queued| *queued == 0.0)).await;
    let metrics = agent.metrics().await;
    for outcome in ["rejected", "dropped"] {
        assert_eq!(metrics.sum("vedette_export_items_total", &[("outcome", outcome)]), 0.0, "{outcome}");
    }
    assert_eq!(agent.terminate().await, 0);

    let (received, requests) = (backend.received(), target.requests());
    let asked: BTreeSet<_> = requests.iter().filter_map(|request| request.trace_id()).collect();
    let told: BTreeSet<_> = received.traces().into_keys().collect();
    assert_eq!(asked, told);
    let ids: BTreeSet<_> = received.spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), received.spans.len(), "nothing was sent twice: the agent was never killed");
    series_are_in_order(&received);
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_directory_works_and_says_that_it_keeps_nothing() {
    let (home, target, backend) = (Home::new(), Target::open(Answer::healthy()), Receiver::open());
    let first = Agent::start(&home, &configuration(0, &target, &backend)).await;
    assert!(!first.log().contains("in memory"), "{}", first.log());
    let config = std::fs::read_to_string(home.path("run.yaml")).expect("it was written by the start");
    let file = home.write("second.yaml", config);
    let mut command = home.command();
    command.args(["run", "-c", &file.display().to_string()]);
    let second = Agent::started(&mut command, home.path("second.log")).await;
    let log = second.log();
    assert!(log.contains("another agent keeps its telemetry in") && log.matches("in memory").count() == 1, "{log}");
    eventually("it exports", async || {
        (second.metrics().await.sum("vedette_export_items_total", &[("outcome", "sent")]) > 0.0).then_some(())
    })
    .await;
    assert_eq!(second.terminate().await, 0);
    assert_eq!(first.terminate().await, 0);
}
