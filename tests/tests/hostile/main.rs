//! A sandbox that nobody escapes: guests that break every rule there is, and exactly what comes of each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod components;
mod guests;
mod siege;
mod text;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use e2e::sandbox::{call, host, told};
use guests::{Case, Fate};
use vedette::outcome::{Report, Value};
use vedette::plugin::{Call, Host, Plugin};

/// Logs are taken, or nothing would be counted as too much of them.
fn listen() {
    let _ = tracing_subscriber::fmt().with_writer(std::io::sink).try_init();
}

/// The limits that a run says its guest reached.
fn reached(report: &Report) -> Vec<&str> {
    match report.attributes.iter().find(|fact| fact.name == "vedette.plugin.limits").map(|fact| &fact.value) {
        Some(Value::Texts(limits)) => limits.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Compiles all, a few at a time: each is a process.
async fn loaded(host: &Arc<Host>, cases: Vec<Case>) -> Vec<(Case, Result<Plugin, String>)> {
    let (mut loading, mut done) = (JoinSet::new(), Vec::new());
    for case in cases {
        if loading.len() >= 4 {
            done.extend(loading.join_next().await.map(Result::unwrap));
        }
        let host = Arc::clone(host);
        loading.spawn(async move {
            let plugin = host.load(case.name, &case.component, false).await.map_err(|error| error.to_string());
            (case, plugin)
        });
    }
    done.extend(loading.join_all().await);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_guest_of_the_corpus_meets_its_fate_and_no_other() {
    listen();
    let host = host(None);
    let mut wrong = Vec::new();
    for (case, plugin) in loaded(&host, guests::all()).await {
        let came = match (&case.fate, plugin) {
            (Fate::Refused(words), Err(error)) if error.contains(words) && !error.contains(char::is_control) => continue,
            (Fate::Runs(error_type, limits), Ok(plugin)) => {
                let timeout = Duration::from_millis(if case.sleeps { 200 } else { 30_000 });
                let called = plugin.run(Call { timeout, ..call("{}", "http://127.0.0.1:9/") }).await;
                let message = &called.report.message;
                if told(&called) == *error_type && reached(&called.report) == *limits && !message.contains(char::is_control) {
                    continue;
                }
                format!("{:?} {:?} {message}", told(&called), reached(&called.report))
            }
            (_, Err(error)) => error,
            (_, Ok(_)) => "it was taken".to_owned(),
        };
        wrong.push(format!("{}: {:?} was expected, and this came: {came}", case.name, case.fate));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
