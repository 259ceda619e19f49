//! `vedette run` with a real collector, over HTTP and over gRPC: what was asked, what arrived, what Prometheus would see.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]
#![expect(clippy::float_cmp, reason = "counts are exact")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::agent::Agent;
use e2e::answer::Answer;
use e2e::certificates::Authority;
use e2e::collector::Collector;
use e2e::exposition::Exposition;
use e2e::home::Home;
use e2e::received::{Received, Span};
use e2e::target::Target;
use serde_json::{Value, json};

/// So long the agent watches.
const WATCHED: Duration = Duration::from_secs(50);

/// Metrics of the contract: name, unit, whether it is a counter or a histogram, name in Prometheus.
const METRICS: [(&str, &str, bool, &str); 17] = [
    ("synthetic.check.runs", "{run}", true, "synthetic_check_runs_total"),
    ("synthetic.check.attempts", "{attempt}", true, "synthetic_check_attempts_total"),
    ("synthetic.check.duration", "s", true, "synthetic_check_duration_seconds_bucket"),
    ("synthetic.check.phase.duration", "s", false, "synthetic_check_phase_duration_seconds"),
    ("synthetic.check.up", "", false, "synthetic_check_up"),
    ("synthetic.check.state", "", false, "synthetic_check_state"),
    ("synthetic.check.last_run.time", "s", false, "synthetic_check_last_run_time_seconds"),
    ("synthetic.check.last_success.time", "s", false, "synthetic_check_last_success_time_seconds"),
    ("synthetic.check.interval", "s", false, "synthetic_check_interval_seconds"),
    ("synthetic.check.expectations", "{expectation}", true, "synthetic_check_expectations_total"),
    ("synthetic.check.response.size", "By", false, "synthetic_check_response_size_bytes"),
    ("synthetic.tls.certificate.not_after", "s", false, "synthetic_tls_certificate_not_after_seconds"),
    ("synthetic.slo.target", "", false, "synthetic_slo_target"),
    ("synthetic.slo.window", "s", false, "synthetic_slo_window_seconds"),
    ("synthetic.slo.error_budget.remaining", "", false, "synthetic_slo_error_budget_remaining"),
    ("synthetic.slo.burn_rate", "", false, "synthetic_slo_burn_rate"),
    ("synthetic.availability", "", false, "synthetic_availability"),
];

const RESULTS: [&str; 6] = ["success", "failure", "timeout", "error", "skipped", "unknown"];
const PHASES: [&str; 6] = ["dns.lookup", "tcp.connect", "tls.handshake", "http.send", "http.wait", "http.receive"];

/// What a check is, and what every run of it must end as.
struct Watched {
    name: &'static str,
    target: Target,
    more: Value,
    result: &'static str,
}

async fn watched(authority: &Authority) -> Vec<Watched> {
    let new = |name, target, more, result| Watched { name, target, more, result };
    let wrong = json!({"with": {"expect": {"status": 204, "body_contains": "cart"}, "warn": {"latency": "1ns"}}});
    let slo = json!({"slo": {"objective": "99%", "window": "30d"}, "labels": {"team": "payments"}});
    vec![
        new("healthy", Target::open(Answer::healthy()), slo, "success"),
        new("slow", Target::open(Answer::slow(Duration::from_millis(300))), json!({}), "success"),
        new("by-turns", Target::open(Answer::unavailable_by_turns()), json!({"retries": 1, "every": "4s"}), "success"),
        new("hops", Target::open(Answer::Hops(2)), json!({}), "success"),
        new("secure", Target::open_tls(Answer::healthy(), authority.valid()), json!({}), "success"),
        new("expired", Target::open_tls(Answer::healthy(), authority.expired()), json!({}), "failure"),
        new("wrong", Target::open(Answer::healthy()), wrong, "failure"),
        new("refused", Target::refusing().await, json!({}), "failure"),
        new("reset", Target::open(Answer::Reset), json!({}), "failure"),
        new("late", Target::open(Answer::slow(Duration::from_secs(30))), json!({}), "timeout"),
    ]
}

fn configuration(all: &[Watched], endpoint: &str, protocol: &str) -> Value {
    let checks = all.iter().map(|watched| {
        let mut check = json!({"name": watched.name, "target": watched.target.url()});
        for (key, value) in watched.more.as_object().expect("an object") {
            check[key] = value.clone();
        }
        check
    });
    json!({
        "export": {"otlp": {"endpoint": endpoint, "protocol": protocol}},
        "defaults": {"every": "2s", "timeout": "900ms", "retries": 0},
        "checks": checks.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn over_http_everything_arrives() {
    everything_arrives("http/protobuf", Collector::http).await;
}

#[tokio::test]
async fn over_grpc_everything_arrives() {
    everything_arrives("grpc", Collector::grpc).await;
}

async fn everything_arrives(protocol: &str, endpoint: impl Fn(&Collector) -> String) {
    let authority = Authority::new();
    let home = Home::new().trusting(&authority);
    let (collector, all) = (Collector::start(&home).await, watched(&authority).await);
    let agent = Agent::start(&home, &configuration(&all, &endpoint(&collector), protocol)).await;
    tokio::time::sleep(WATCHED).await;
    let own = agent.metrics().await;
    assert_eq!(agent.terminate().await, 0);
    let prometheus = collector.exposition().await;
    let received = collector.stop().await;

    every_request_is_a_trace(&all, &received);
    every_run_ends_as_it_must(&all, &received);
    phases_add_up(&received);
    every_series_is_there(&all, &received);
    counters_begin_at_zero_and_never_fall(&received);
    prometheus_sees_the_names_of_the_contract(&prometheus, &own);
}

#[tokio::test]
async fn the_collector_beside_the_deployed_agent_is_configured_right() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/collector.yaml");
    let validated = Home::new().tool(&e2e::collector::binary()).args(["validate", "--config", sample]).output().await;
    let validated = validated.expect("the collector can be started");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
}

fn every_request_is_a_trace(all: &[Watched], received: &Received) {
    let traces = received.traces();
    for watched in all {
        let requests = watched.target.requests();
        assert!(requests.iter().all(|request| request.trace_id().is_some()), "{}: a request without a trace", watched.name);
        let asked: BTreeSet<_> = requests.iter().filter_map(|request| request.trace_id()).collect();
        let runs: BTreeSet<_> = received.runs(watched.name).into_iter().map(|run| run.trace_id.as_str()).collect();
        assert!(asked.is_subset(&runs), "{}: {:?} are no traces", watched.name, asked.difference(&runs));
        let unasked = ["refused", "expired"].contains(&watched.name);
        assert!(if unasked { asked.is_empty() } else { asked == runs }, "{}: runs without a request", watched.name);
        assert!(runs.len() > 5, "{}: {} runs", watched.name, runs.len());
    }
    for spans in traces.values() {
        let ids: BTreeSet<_> = spans.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "a span arrived twice: {spans:#?}");
        assert_eq!(spans.iter().filter(|span| span.parent_id.is_empty()).count(), 1, "one root: {spans:#?}");
        assert!(spans.iter().all(|span| span.parent_id.is_empty() || ids.contains(span.parent_id.as_str())), "an orphan: {spans:#?}");
    }
}

fn every_run_ends_as_it_must(all: &[Watched], received: &Received) {
    for watched in all {
        let of = ("synthetic.check.name", watched.name);
        for run in received.runs(watched.name) {
            assert_eq!(run.attributes["synthetic.check.result"], watched.result, "{run:#?}");
        }
        for result in RESULTS.into_iter().filter(|result| *result != "skipped") {
            let told = received.runs(watched.name).iter().filter(|run| run.attributes["synthetic.check.result"] == result).count();
            let counted = received.total("synthetic.check.runs", &[of, ("synthetic.check.result", result)]);
            assert_eq!(counted, told as f64, "{}: {result} is counted as often as it is told", watched.name);
        }
    }
}

/// Phases of an exchange follow one another within it, and leave nothing of it out.
fn phases_add_up(received: &Received) {
    let exchanges: Vec<_> = received.spans.iter().filter(|span| span.client).collect();
    assert!(exchanges.len() > 100, "{} exchanges", exchanges.len());
    for exchange in exchanges {
        let phases = received.below(exchange);
        assert!(phases.iter().all(|phase| PHASES.contains(&phase.name.as_str())), "{phases:#?}");
        for (one, next) in phases.iter().zip(phases.iter().skip(1)) {
            assert!(one.end <= next.start, "phases overlap: {phases:#?}");
        }
        let within = |phase: &&Span| exchange.start <= phase.start && phase.end <= exchange.end;
        assert!(phases.iter().all(within), "{exchange:#?} {phases:#?}");
        let sum: u64 = phases.iter().map(|phase| phase.length()).sum();
        // What an exchange of half a millisecond does between its phases is much of it; of 300 ms it is nothing.
        let between = exchange.length() - sum;
        assert!(between * 20 <= exchange.length() || between < 5_000_000, "{between} ns are in no phase: {exchange:#?} {phases:#?}");
    }
    for run in received.runs("slow") {
        let [exchange] = received.below(run)[..] else { panic_about(run) };
        let wait = received.below(exchange).into_iter().find(|phase| phase.name == "http.wait").map(Span::length);
        assert!(wait.is_some_and(|wait| wait * 10 >= exchange.length() * 9), "the target's 300 ms are the wait: {exchange:#?}");
    }
}

#[expect(clippy::panic, reason = "a test that cannot go on says why and fails")]
fn panic_about(run: &Span) -> ! {
    panic!("a run of one exchange: {run:#?}")
}

fn every_series_is_there(all: &[Watched], received: &Received) {
    for (name, unit, cumulative, _) in METRICS {
        let mut points = received.points(name, &[]).peekable();
        assert!(points.peek().is_some(), "{name} never arrived; there are {:?}", received.metrics("synthetic."));
        for point in points {
            assert_eq!((point.unit.as_str(), point.cumulative), (unit, cumulative), "{point:#?}");
            for key in ["synthetic.check.name", "synthetic.target.name", "synthetic.location"] {
                assert!(point.attributes.contains_key(key), "{point:#?}");
            }
            let healthy = point.attributes["synthetic.check.name"] == "healthy";
            assert_eq!(point.attributes.get("team").is_some_and(|team| team == "payments"), healthy, "{point:#?}");
        }
    }
    for watched in all {
        let of = ("synthetic.check.name", watched.name);
        let up = f64::from(u8::from(watched.result == "success"));
        assert_eq!(received.last("synthetic.check.up", &[of]), Some(up), "{}", watched.name);
        assert_eq!(received.total("synthetic.check.state", &[of]), 1.0, "{}: one state holds", watched.name);
    }
}

fn counters_begin_at_zero_and_never_fall(received: &Received) {
    let mut series: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for point in received.points.iter().filter(|point| point.name.starts_with("synthetic.")) {
        series.entry(point.series()).or_default().push(point);
    }
    for points in series.values() {
        assert!(points.iter().zip(&points[1..]).all(|(one, next)| one.time < next.time), "time goes back: {points:#?}");
        if points[0].cumulative {
            assert!(points[0].value == 0.0, "the first is not 0: {points:#?}");
            assert!(points.iter().zip(&points[1..]).all(|(one, next)| one.value <= next.value), "it falls: {points:#?}");
        }
    }
    for result in RESULTS {
        assert!(received.points("synthetic.check.runs", &[("synthetic.check.result", result)]).next().is_some(), "{result} is not there");
    }
}

fn prometheus_sees_the_names_of_the_contract(prometheus: &Exposition, own: &Exposition) {
    let (exported, shown) = (prometheus.names("synthetic_"), own.names("synthetic_"));
    for (_, _, _, name) in METRICS {
        assert!(exported.contains(name), "{name} is not among {exported:#?}");
    }
    assert_eq!(exported, shown, "the agent's own /metrics has the collector's names");
}
