use std::collections::HashSet;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use super::fake::{Fake, Reply, until};
use super::*;
use crate::outcome::{Outcome, State, StateChange};

fn start(env: &[(&str, &str)], file: Option<OtlpConfig>) -> (Telemetry, Arc<Vitals>) {
    let vitals = Arc::new(Vitals::default());
    let probe = ProbeSeries { identity: Arc::new(sample::identity()), windows: Arc::new([]), slo: None };
    let options = Options {
        otlp: file,
        secrets: BTreeMap::new(),
        instance_id: "an-id".to_owned(),
        state_dir: None,
        probes: vec![probe],
        vitals: Arc::clone(&vitals),
    };
    (Telemetry::start_with(options, &env.iter().copied().collect()).unwrap(), vitals)
}

fn to(fake: &Fake) -> (Telemetry, Arc<Vitals>) {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", fake.url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_BLRP_SCHEDULE_DELAY", "20")];
    start(&env, None)
}

fn send(telemetry: &Telemetry, outcome: Outcome) {
    telemetry.record(Arc::new(sample::record(outcome)));
}

/// Produced, and what became of it, for one signal.
fn account(vitals: &Vitals, signal: &str) -> [u64; 4] {
    ["produced", "sent", "rejected", "dropped"].map(|outcome| {
        let wanted = vec![signal.to_owned(), outcome.to_owned()];
        vitals.export_items.snapshot().into_iter().find(|(values, _)| *values == wanted).map_or(0, |(_, count)| count)
    })
}

/// Values of `synthetic.check.runs` in one request, by their last key.
fn runs(attempt: &fake::Attempt) -> Vec<(String, Option<Value>)> {
    let metrics = attempt.metrics().into_iter().filter(|metric| metric.name == "synthetic.check.runs");
    let points = metrics.filter_map(|metric| match metric.data {
        Some(Data::Sum(sum)) => Some(sum.data_points),
        _ => None,
    });
    points.flatten().map(|point| (sample::shown(point.attributes.last().unwrap()), point.value)).collect()
}

#[tokio::test]
async fn a_run_leaves_as_spans_series_and_events() {
    let fake = Fake::start([]).await;
    let (telemetry, vitals) = to(&fake);
    let change = Some(StateChange { from: State::Up, to: State::Down, consecutive: 1 });
    let record = Record { change, ..sample::record(sample::failure()) };
    telemetry.record(Arc::new(record.clone()));
    until(|| !fake.taken("traces").is_empty() && !fake.taken("logs").is_empty()).await;
    telemetry.shutdown(Duration::from_secs(20)).await;

    let spans = fake.taken("traces")[0].spans();
    assert!(spans.iter().all(|span| span.trace_id == record.outcome.trace_id.0));
    let events: Vec<_> = fake.taken("logs").iter().flat_map(fake::Attempt::events).collect();
    assert!(events.iter().any(|event| event.event_name == "synthetic.check.state_changed"));
    assert!(events.iter().all(|event| event.trace_id == record.outcome.trace_id.0));
    for signal in ["traces", "metrics", "logs"] {
        let [produced, sent, rejected, dropped] = account(&vitals, signal);
        assert!(produced > 0 && produced == sent && rejected + dropped == 0, "{signal}");
    }
    assert_eq!(vitals.export_queue_size.get(), 0);
}

#[tokio::test]
async fn zeros_go_before_values_each_in_a_request_of_its_own() {
    let fake = Fake::start([]).await;
    let (telemetry, _) = to(&fake);
    send(&telemetry, sample::failure());
    telemetry.shutdown(Duration::from_secs(20)).await;
    let requests: Vec<_> = fake.taken("metrics").iter().map(runs).filter(|runs| !runs.is_empty()).collect();
    let [loaded, zero, value] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(loaded.len(), 6);
    assert!(loaded.iter().all(|(_, value)| *value == Some(Value::AsInt(0))));
    assert_eq!(zero[..], [("status".to_owned(), Some(Value::AsInt(0)))]);
    assert_eq!(value[..], [("status".to_owned(), Some(Value::AsInt(1)))]);
}

#[tokio::test]
async fn grpc_carries_all_three_signals() {
    let fake = Fake::start([]).await;
    let (telemetry, _) = start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &fake.url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], None);
    send(&telemetry, sample::failure());
    telemetry.shutdown(Duration::from_secs(20)).await;
    let paths: HashSet<_> = fake.attempts().into_iter().map(|attempt| attempt.path).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    assert!(!fake.taken("logs")[0].events().is_empty() && !fake.taken("trace")[0].spans().is_empty());
}

#[tokio::test]
async fn a_success_outside_the_ratio_leaves_its_counters_and_no_trace() {
    let fake = Fake::start([]).await;
    let (telemetry, _) = to(&fake);
    send(&telemetry, Outcome { sampled: false, ..sample::success() });
    send(&telemetry, sample::skipped(2));
    telemetry.shutdown(Duration::from_secs(20)).await;
    assert!(fake.taken("traces").is_empty());
    let counted: Vec<_> = fake.taken("metrics").iter().flat_map(runs).filter(|(_, value)| *value != Some(Value::AsInt(0))).collect();
    assert_eq!(counted, [("success".to_owned(), Some(Value::AsInt(1))), ("late".to_owned(), Some(Value::AsInt(2)))]);
}

#[tokio::test]
async fn a_stuck_collector_delays_neither_records_nor_the_end_beyond_its_grace() {
    let fake = Fake::start(std::iter::repeat_n(Reply::Hang, 100)).await;
    let (telemetry, vitals) = to(&fake);
    for _ in 0..2 * RECORDS {
        send(&telemetry, sample::success());
    }
    assert!(vitals.records_dropped.get() > 0, "nobody had a chance to take them");
    let (before, grace) = (Instant::now(), Duration::from_millis(1_500));
    tokio::time::timeout(Duration::from_secs(20), telemetry.shutdown(grace)).await.unwrap();
    assert!(before.elapsed() >= grace, "it tries for as long as it may");
    let [produced, sent, rejected, dropped] = account(&vitals, "traces");
    assert!(produced > 0 && sent + rejected + dropped == 0, "what is left is in the queue");
}

#[tokio::test]
async fn what_is_refused_is_told_by_an_event() {
    let fake = Fake::start(std::iter::repeat_n(Reply::Status(400), 1)).await;
    let (telemetry, vitals) = to(&fake);
    until(|| account(&vitals, "metrics")[2] > 0).await;
    telemetry.shutdown(Duration::from_secs(20)).await;
    let events: Vec<_> = fake.taken("logs").iter().flat_map(fake::Attempt::events).collect();
    assert_eq!(events.iter().map(|event| event.event_name.as_str()).collect::<Vec<_>>(), ["synthetic.agent.data_dropped"]);
    assert_eq!(sample::shown(&events[0].attributes[0]), "metrics");
}

#[tokio::test]
async fn without_a_collector_the_last_values_are_there_all_the_same() {
    let (telemetry, vitals) = start(&[], None);
    send(&telemetry, sample::success());
    until(|| telemetry.prometheus().contains("synthetic_check_up{")).await;
    let text = telemetry.prometheus();
    assert!(text.contains("synthetic_check_runs_total{") && text.contains("synthetic_check_duration_seconds_bucket{"));
    assert!(text.contains("vedette_process_"));
    assert!(!telemetry.decide(TraceId::random()), "no trace leaves");
    telemetry.shutdown(Duration::from_secs(5)).await;
    assert!(vitals.export_items.snapshot().is_empty());
    send(&telemetry, sample::success());
    assert_eq!(vitals.records_dropped.get(), 1);
}

#[tokio::test]
async fn a_ratio_is_decided_by_the_low_bits_of_the_trace_id() {
    let with = |successes: f64| {
        let endpoint = Some("http://127.0.0.1:9".to_owned());
        start(&[], Some(OtlpConfig { endpoint, successes, ..OtlpConfig::default() })).0
    };
    let low = |low: u64| TraceId(((7_u128 << 64) | u128::from(low)).to_be_bytes());
    let (none, half, all) = (with(0.0), with(0.5), with(1.0));
    assert!(half.decide(low(1)) && half.decide(low((1 << 62) - 1)) && !half.decide(low(1 << 62)));
    assert!(half.decide(low(1 << 63)), "the highest bit does not count");
    assert!(all.decide(low(u64::MAX)) && !none.decide(low(0)));
}

/// The same, with its queue below a folder.
fn keeping(fake: &str, folder: &std::path::Path) -> (Telemetry, Arc<Vitals>) {
    let vitals = Arc::new(Vitals::default());
    let probe = ProbeSeries { identity: Arc::new(sample::identity()), windows: Arc::new([]), slo: None };
    let options = Options {
        otlp: None,
        secrets: BTreeMap::new(),
        instance_id: "an-id".to_owned(),
        state_dir: Some(folder.to_owned()),
        probes: vec![probe],
        vitals: Arc::clone(&vitals),
    };
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", fake), ("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_BLRP_SCHEDULE_DELAY", "20")];
    (Telemetry::start_with(options, &env.into_iter().collect()).unwrap(), vitals)
}

#[tokio::test]
async fn what_an_absent_collector_did_not_take_is_sent_by_the_next_start() {
    let folder = std::env::temp_dir().join(format!("vedette-telemetry-{}", uuid::Uuid::new_v4()));
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let (telemetry, before) = keeping(&url, &folder);
    send(&telemetry, sample::failure());
    telemetry.shutdown(Duration::from_secs(20)).await;
    let fake = Fake::start([]).await;
    let (telemetry, after) = keeping(&fake.url, &folder);
    telemetry.shutdown(Duration::from_secs(20)).await;
    std::fs::remove_dir_all(&folder).unwrap();

    for (index, signal) in ["traces", "metrics", "logs"].into_iter().enumerate() {
        let [produced, sent, rejected, dropped] = account(&before, signal);
        assert!((produced > 0 || signal == "logs") && sent + rejected + dropped == 0, "{signal}");
        assert_eq!(before.export_queue_items[index].get(), i64::try_from(produced).unwrap());
        let [again, sent, ..] = account(&after, signal);
        assert_eq!((sent, after.export_queue_items[index].get()), (again + produced, 0), "{signal}");
    }
    assert!(!fake.taken("traces")[0].spans().is_empty());
}

#[tokio::test]
async fn a_second_agent_on_the_same_folder_waits_in_memory() {
    let folder = std::env::temp_dir().join(format!("vedette-telemetry-{}", uuid::Uuid::new_v4()));
    let fake = Fake::start([]).await;
    let agents = [keeping(&fake.url, &folder), keeping(&fake.url, &folder)];
    let limits = agents.each_ref().map(|(_, vitals)| vitals.export_queue_limit.get());
    assert!(limits[1] < limits[0], "{limits:?}");
    for (telemetry, vitals) in agents {
        telemetry.shutdown(Duration::from_secs(20)).await;
        let [produced, sent, ..] = account(&vitals, "metrics");
        assert!(produced > 0 && produced == sent);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
