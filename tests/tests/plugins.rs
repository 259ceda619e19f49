//! The sandbox with guests that misbehave on purpose: each ends as its own error type, and its neighbours notice nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use e2e::sandbox::{call, compiled_by, host, identity, policy, to_do, told};
use vedette::clock::Timestamp;
use vedette::outcome::{ErrorType, RunResult, SpanId, State};
use vedette::plugin::{Call, Grants, Host, Kind, Limits, Plugin, Previous, Secret, SummaryInput};

async fn hostile() -> Plugin {
    host(None).load("hostile", e2e::HOSTILE, false).await.unwrap()
}

/// A directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("vedette-plugins-{}", uuid::Uuid::new_v4())))
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.path()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const BEHAVIOURS: &[(&str, Option<&str>)] = &[
    ("spin", Some("plugin_limit_cpu")),
    ("trap", Some("plugin_trap")),
    ("eat_memory", Some("plugin_limit_memory")),
    ("recurse", Some("plugin_trap")),
    ("garbage", Some("plugin_answer")),
    ("garbage_success", Some("plugin_answer")),
    ("huge_report", Some("plugin_limit_output")),
    ("sleep", Some("plugin_limit_time")),
    ("fail", Some("plugin_failure")),
    ("unavailable", Some("plugin_failure")),
    ("invalid_config", Some("plugin_failure")),
    ("panic", Some("plugin_trap")),
    ("nan", None),
    ("log_flood", None),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_behaviour_ends_as_its_own_error_type_while_honest_runs_succeed_beside_it() {
    let plugin = hostile().await;
    let mut runs = JoinSet::new();
    for &(deed, expected) in BEHAVIOURS {
        let plugin = plugin.clone();
        let timeout = Duration::from_millis(if deed == "sleep" { 500 } else { 30_000 });
        runs.spawn(async move { (deed, expected, plugin.run(Call { timeout, ..to_do(deed) }).await) });
    }
    for _ in 0..50 {
        let plugin = plugin.clone();
        runs.spawn(async move { ("ok", None, plugin.run(to_do("ok")).await) });
    }
    let mut all = 0;
    while let Some(run) = runs.join_next().await {
        let (deed, expected, called) = run.unwrap();
        assert_eq!(told(&called), expected, "{deed}: {}", called.report.message);
        assert!(!called.report.message.is_empty());
        all += 1;
    }
    assert_eq!(all, BEHAVIOURS.len() + 50);
}

#[tokio::test]
async fn what_is_no_number_is_dropped() {
    assert!(hostile().await.run(to_do("nan")).await.report.measurements.is_empty());
}

#[tokio::test]
async fn a_guest_that_sleeps_for_ever_has_its_whole_time_and_50_ms_more() {
    let called = hostile().await.run(Call { timeout: Duration::from_millis(80), ..to_do("sleep") }).await;
    assert_eq!(told(&called), Some("plugin_limit_time"));
    assert!(called.stretch.length() >= Duration::from_millis(130));
}

#[tokio::test]
async fn limits_are_those_of_the_call() {
    let plugin = hostile().await;
    let limits = Limits { memory: 64 << 10, ..Limits::default() };
    assert_eq!(told(&plugin.run(Call { limits, ..to_do("ok") }).await), Some("plugin_limit_memory"));
    let limits = Limits { cpu: Duration::from_nanos(1), ..Limits::default() };
    assert_eq!(told(&plugin.run(Call { limits, ..to_do("ok") }).await), Some("plugin_limit_cpu"));
}

#[tokio::test]
async fn what_is_unavailable_is_worth_another_attempt_and_what_is_unusable_is_not() {
    let plugin = hostile().await;
    assert!(plugin.run(to_do("unavailable")).await.report.retry.is_some());
    let unusable = plugin.run(to_do("invalid_config")).await.report;
    assert!(unusable.retry.is_none());
    assert!(unusable.message.contains("/do: unusable all the same"), "{}", unusable.message);
}

#[tokio::test]
async fn state_is_kept_from_run_to_run_and_only_with_a_report() {
    let plugin = hostile().await;
    let first = plugin.run(to_do("state")).await;
    assert_eq!(first.report.message, "run 1");
    let second = plugin.run(Call { state: first.state.unwrap(), ..to_do("state") }).await;
    assert_eq!(second.report.message, "run 2");
    assert_eq!(plugin.run(to_do("ok")).await.state, None);
}

#[tokio::test]
async fn steps_nest_and_one_that_is_left_open_failed() {
    let called = hostile().await.run(to_do("steps")).await;
    let steps = &called.steps;
    let names: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.succeeded)).collect();
    assert_eq!(names, [("outer", true), ("inner", true), ("failing", false), ("left open", false)]);
    let parents: Vec<_> = steps.iter().map(|step| step.parent).collect();
    assert_eq!(parents, [SpanId([2; 8]), steps[0].span_id, SpanId([2; 8]), SpanId([2; 8])]);
    assert_eq!(steps[1].attributes.len(), 1);
    assert!(steps.iter().all(|step| step.stretch.start >= called.stretch.start && step.stretch.end <= called.stretch.end));
}

/// Answers every request, and hands over what it was asked.
async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            let mut buffer = [0; 4096];
            while !request.contains("\r\n\r\n") {
                let read = stream.read(&mut buffer).await.unwrap();
                request.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            stream.write_all(answer(&request).as_bytes()).await.unwrap();
            let _ = asked.send(request);
        }
    });
    (address, receiver)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn with_secret(address: &str, send_to: &str) -> Call {
    let origin = url::Url::parse(send_to).unwrap().origin();
    let secret = Secret { value: b"hunter2".to_vec(), send_to: vec![origin] };
    let secrets = BTreeMap::from([("token".to_owned(), secret)]);
    let grants = Grants { policy: policy(&["127.0.0.1"]), secrets, files: BTreeMap::new() };
    Call { grants: Arc::new(grants), ..call(r#"{"do": "secret", "secret": "token"}"#, address) }
}

#[tokio::test]
async fn a_secret_goes_to_its_origin_and_an_echo_of_it_is_masked() {
    let (address, mut asked) = server(ok).await;
    let called = hostile().await.run(with_secret(&address, &address)).await;
    assert_eq!(told(&called), None, "{}", called.report.message);
    assert!(asked.recv().await.unwrap().contains("x-secret: hunter2"));
    assert!(!format!("{called:?}").contains("hunter2"));
    assert!(called.report.message.contains("x-secret: ***"), "{}", called.report.message);
}

#[tokio::test]
async fn a_secret_for_another_origin_is_denied_before_anything_is_sent() {
    let (address, mut asked) = server(ok).await;
    let plugin = hostile().await;
    for send_to in ["http://127.0.0.1:1", "https://shop.example.com"] {
        let called = plugin.run(with_secret(&address, send_to)).await;
        assert_eq!(told(&called), Some("denied"), "{}", called.report.message);
        assert!(called.exchanges.is_empty());
    }
    let unknown = plugin.run(call(r#"{"do": "secret", "secret": "token"}"#, &address)).await;
    assert_eq!(told(&unknown), Some("denied"));
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_trap_in_the_midst_of_a_step_leaves_the_exchange_and_the_step_behind() {
    let (address, _asked) = server(|_| "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()).await;
    let called = hostile().await.run(call(r#"{"do": "brittle"}"#, &address)).await;
    assert_eq!(told(&called), Some("plugin_trap"), "{}", called.report.message);
    assert_eq!((called.exchanges.len(), called.exchanges[0].status), (1, Some(500)));
    assert_eq!((called.steps.len(), called.steps[0].succeeded), (1, false));
}

#[tokio::test]
async fn a_connection_that_is_left_open_ends_with_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let plugin = hostile().await;
    let asked = call(r#"{"do": "http"}"#, &address);
    let run = tokio::spawn(async move { plugin.run(Call { timeout: Duration::from_millis(300), ..asked }).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    // It says that more is to come, and says no more.
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this").await.unwrap();
    let called = run.await.unwrap();
    assert_eq!(told(&called), Some("timeout"), "{}", called.report.message);
    let mut rest = Vec::new();
    // Comes to an end because the agent hangs up.
    let _ = tokio::time::timeout(e2e::patience::PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn the_metadata_service_is_denied() {
    let grants = Grants { policy: policy(&["169.254.169.254"]), secrets: BTreeMap::new(), files: BTreeMap::new() };
    let called = hostile().await.run(Call { grants: Arc::new(grants), ..to_do("metadata") }).await;
    assert_eq!(told(&called), Some("denied"), "{}", called.report.message);
    assert!(called.report.message.contains("169.254.169.254"), "{}", called.report.message);
}

#[tokio::test]
async fn no_more_exchanges_are_made_than_are_granted() {
    let (address, mut asked) = server(|_| ok("")).await;
    let limits = Limits { exchanges: 3, ..Limits::default() };
    let called = hostile().await.run(Call { limits, ..call(r#"{"do": "many_exchanges"}"#, &address) }).await;
    assert_eq!(called.report.result(), RunResult::Error, "{}", called.report.message);
    assert_eq!(called.exchanges.len(), 3);
    assert!((0..3).all(|_| asked.try_recv().is_ok()) && asked.try_recv().is_err());
}

#[tokio::test]
async fn a_second_process_finds_what_the_first_compiled() {
    let folder = Folder::new();
    let hits = |host: &Arc<Host>| host.options.vitals.plugin_cache.snapshot();
    let (cold, warm) = (host(Some(folder.0.clone())), host(Some(folder.0.clone())));
    cold.load("hostile", e2e::HOSTILE, false).await.unwrap();
    assert_eq!(hits(&cold), [(vec!["false".to_owned()], 1)]);
    let plugin = warm.load("hostile", e2e::HOSTILE, false).await.unwrap();
    assert_eq!(hits(&warm), [(vec!["true".to_owned()], 1)]);
    assert_eq!(plugin.manifest().name, "vedette:guest-hostile");
    assert_eq!(told(&plugin.run(to_do("ok")).await), None);
    assert_eq!(folder.files().len(), 1);
    assert_eq!(fs::metadata(&folder.files()[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_was_compiled_once_needs_no_compiler_any_more() {
    let folder = Folder::new();
    host(Some(folder.0.clone())).load("hostile", e2e::HOSTILE, false).await.unwrap();
    let without = compiled_by("/no/such/program".into(), Some(folder.0.clone()));
    let plugin = without.load("hostile", e2e::HOSTILE, false).await.unwrap();
    assert_eq!(told(&plugin.run(to_do("ok")).await), None);
}

#[tokio::test]
async fn an_artefact_under_the_name_of_another_component_is_not_loaded() {
    let folder = Folder::new();
    let host = host(Some(folder.0.clone()));
    host.load("hostile", e2e::HOSTILE, false).await.unwrap();
    let of_checker = folder.files().remove(0);
    host.load("summariser", e2e::HOSTILE_SUMMARISER, false).await.unwrap();
    let of_summariser = folder.files().into_iter().find(|file| *file != of_checker).unwrap();
    fs::copy(&of_checker, &of_summariser).unwrap();
    let plugin = host.load("summariser", e2e::HOSTILE_SUMMARISER, false).await.unwrap();
    assert_eq!(plugin.kind(), Kind::Summariser);
}

#[tokio::test]
async fn a_damaged_artefact_is_ignored_and_replaced() {
    let folder = Folder::new();
    host(Some(folder.0.clone())).load("hostile", e2e::HOSTILE, false).await.unwrap();
    let file = folder.files().remove(0);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&file, damaged).unwrap();
    let host = host(Some(folder.0.clone()));
    let plugin = host.load("hostile", e2e::HOSTILE, false).await.unwrap();
    assert_eq!(host.options.vitals.plugin_cache.snapshot(), [(vec!["false".to_owned()], 1)]);
    assert_eq!(told(&plugin.run(to_do("ok")).await), None);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len());
}

#[tokio::test]
async fn a_directory_that_others_may_use_is_not_read_and_not_written_to() {
    let folder = Folder::new();
    fs::create_dir(&folder.0).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    let plugin = host(Some(folder.0.clone())).load("hostile", e2e::HOSTILE, false).await.unwrap();
    assert_eq!(told(&plugin.run(to_do("ok")).await), None);
    assert!(folder.files().is_empty());
}

/// A component that imports an empty instance of this name, and exports it under that one.
fn component(import: &str, export: &str) -> Vec<u8> {
    let section = |id: u8, body: Vec<u8>| [vec![id, u8::try_from(body.len()).unwrap()], body].concat();
    let name = |name: &str| [vec![0, u8::try_from(name.len()).unwrap()], name.as_bytes().to_vec()].concat();
    let types = section(7, vec![1, 0x42, 0]);
    let imports = section(10, [vec![1], name(import), vec![5, 0]].concat());
    let exports = section(11, [vec![1], name(export), vec![5, 0, 0]].concat());
    [b"\0asm\x0d\0\x01\0".to_vec(), types, imports, exports].concat()
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_and_told_why() {
    let checker = "vedette:plugin/checker@0.1.0";
    let wrong: [(Vec<u8>, &str); 8] = [
        (b"GIF89a".to_vec(), "no WebAssembly component"),
        (b"\0asm\x01\0\0\0".to_vec(), "wasm-tools component new"),
        (b"\0asm\x0d\0\x01\0".to_vec(), "exports neither"),
        (b"\0asm\x0d\0\x01\0\xff".to_vec(), "cannot be compiled"),
        (vec![0; (32 << 20) + 1], "at most 32MiB"),
        (component("wasi:cli/environment@0.3.0", checker), "imports `wasi:cli/environment@0.3.0`, which is not served"),
        (component("vedette:plugin/http@0.1.0", "vedette:plugin/summariser@0.1.0"), "a summariser has its log and nothing else"),
        (component("vedette:plugin/clock@0.1.0", checker), "does not fit this version"),
    ];
    let host = host(None);
    for (bytes, expected) in wrong {
        let error = host.load("odd", &bytes, false).await.unwrap_err().to_string();
        assert!(error.starts_with("plugin `odd`: ") && error.contains(expected), "{error}");
    }
}

fn input(previous: Option<Previous>) -> SummaryInput {
    SummaryInput {
        probe: identity(),
        target_labels: Arc::new([]),
        now: Timestamp::now(),
        windows: Arc::new([Duration::from_mins(5)]),
        outcomes: Vec::new(),
        previous,
    }
}

#[tokio::test]
async fn a_hostile_summariser_is_at_fault_itself() {
    let host = host(None);
    let plugin = host.load("hostile", e2e::HOSTILE_SUMMARISER, false).await.unwrap();
    assert_eq!(plugin.kind(), Kind::Summariser);
    for (deed, expected) in [
        ("spin", "plugin_limit_cpu"),
        ("trap", "plugin_trap"),
        ("eat_memory", "plugin_limit_memory"),
        ("garbage", "plugin_limit_output"),
        ("fail", "plugin_failure"),
    ] {
        let fault = plugin.summarise(input(None), &format!(r#"{{"do": "{deed}"}}"#)).await.unwrap_err();
        assert_eq!(fault.error_type.map(ErrorType::word), Some(expected), "{deed}: {}", fault.message);
    }
    let reasons: Vec<_> = host.options.vitals.plugin_traps.snapshot().into_iter().flat_map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["plugin_limit_cpu", "plugin_limit_memory", "plugin_limit_output", "plugin_trap"]);
}

#[tokio::test]
async fn a_summariser_remembers_what_it_handed_back() {
    let plugin = host(None).load("hostile", e2e::HOSTILE_SUMMARISER, false).await.unwrap();
    let first = plugin.summarise(input(None), "{}").await.unwrap();
    let (at, version) = (Timestamp::now(), plugin.manifest().version.clone());
    let previous = Previous { at, version, state: first.state, since: at, memory: first.memory };
    let second = plugin.summarise(input(Some(previous)), "{}").await.unwrap();
    assert_eq!((second.state, second.message.as_str()), (State::Up, "call 2"));
}

#[tokio::test]
async fn what_guests_used_is_counted() {
    let host = host(None);
    let plugin = host.load("hostile", e2e::HOSTILE, false).await.unwrap();
    plugin.run(to_do("ok")).await;
    plugin.run(to_do("trap")).await;
    let vitals = &host.options.vitals;
    let runs: Vec<_> = vitals.plugin_runs.snapshot().into_iter().map(|(keys, count)| (keys.join("/"), count)).collect();
    assert_eq!(runs, [("hostile/error".to_owned(), 1), ("hostile/success".to_owned(), 1)]);
    assert!(vitals.plugin_memory_peak.get() >= 64 << 10);
    assert!(vitals.plugin_cpu.snapshot()[0].1 > 0);
    assert_eq!(vitals.plugin_instantiate.snapshot().0.iter().sum::<u64>(), 2);
}
