//! Files that the operator names, from outside: what is wrong with them is said before anything runs.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]

use std::io::Write;
use std::process::Stdio;

use e2e::answer::Answer;
use e2e::certificates::Authority;
use e2e::home::{Finished, Home};
use e2e::target::Target;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// A check that trusts a file.
fn trusting(ca: &str) -> Value {
    json!({"checks": [{"name": "api", "target": "https://127.0.0.1:9/", "with": {"tls": {"ca": ca}}}]})
}

/// A check that sends a secret.
fn sending(secret: &str) -> Value {
    let headers = json!({"authorization": {"secret": "token"}});
    json!({"secrets": {"token": {"file": secret, "send_to": ["http://127.0.0.1:9"]}},
        "checks": [{"name": "api", "target": "http://127.0.0.1:9/", "with": {"headers": headers}}]})
}

fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    assert!(words.iter().all(|word| finished.stderr.contains(word)), "{words:?} are not all said: {}", finished.stderr);
}

/// A FIFO into which nobody writes.
fn fifo(home: &Home) -> String {
    let path = home.path("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO can be made");
    path.display().to_string()
}

#[tokio::test]
async fn what_never_ends_or_never_begins_is_refused_wherever_it_is_named() {
    let home = Home::new();
    let source = |path: &str| {
        json!({"plugins": {"mine": {"source": path}},
            "checks": [{"name": "api", "plugin": "mine", "target": "http://127.0.0.1:9/"}]})
    };
    let substituted = |path: &str| json!({"agent": {"location": format!("${{file:{path}}}")}, "checks": []});
    for path in [fifo(&home), "/dev/zero".to_owned(), "/dev/stdin".to_owned()] {
        for config in [sending(&path), trusting(&path), source(&path), substituted(&path)] {
            assert_refused(&home.check_file(&config).await, &[&path, "name a regular file"]);
        }
    }
}

#[tokio::test]
async fn certificates_for_the_export_are_regular_files_too() {
    let home = Home::new();
    let otlp = json!({"endpoint": "https://127.0.0.1:9", "tls": {"ca": "/dev/zero"}});
    let config =
        json!({"agent": {"listen": "off"}, "export": {"otlp": otlp}, "checks": [{"name": "api", "target": "http://127.0.0.1:9/"}]});
    let file = home.write("run.yaml", config.to_string()).display().to_string();
    assert_refused(&home.vedette(["run", "-c", &file]).await, &["/dev/zero", "name a regular file"]);
}

#[tokio::test]
async fn a_file_that_is_longer_than_what_is_meant_is_refused() {
    let home = Home::new();
    let secret = home.write("secret", "x".repeat((64 << 10) + 1)).display().to_string();
    assert_refused(&home.check_file(&sending(&secret)).await, &["secret `token`", "longer than 64KiB"]);
    let ca = home.write("ca.pem", "x".repeat((4 << 20) + 1)).display().to_string();
    assert_refused(&home.check_file(&trusting(&ca)).await, &["ca.pem", "longer than 4MiB"]);
}

#[tokio::test]
async fn a_file_to_trust_without_a_certificate_is_a_mistake_of_the_configuration() {
    let home = Home::new();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in ["", "not a certificate", "-----BEGIN CERTIFICATE-----\n!", garbage] {
        let ca = home.write("ca.pem", content).display().to_string();
        let finished = home.check_file(&trusting(&ca)).await;
        assert_refused(&finished, &["check `api`", &ca]);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        let file = home.path("vedette.yaml").display().to_string();
        assert_refused(&home.vedette(["run", "-c", &file]).await, &[&ca]);
    }
    Authority::new().write(&home.path("ca.pem"));
    let refused = home.check_file(&trusting(&home.path("ca.pem").display().to_string())).await;
    assert_eq!(refused.services()["api"]["error_type"], "connect_refused");
}

#[tokio::test]
async fn a_secret_that_no_header_field_can_hold_is_a_mistake_of_the_configuration() {
    let home = Home::new();
    for value in ["hunter2\nhunter3\n", "hunter2\0\n", "hunter2\r\n\r\n"] {
        let secret = home.write("secret", value).display().to_string();
        let finished = home.check_file(&sending(&secret)).await;
        assert_refused(&finished, &["secret `token`", "one line"]);
        assert!(!finished.stderr.contains("hunter"), "a value is never shown: {}", finished.stderr);
    }
    let secret = home.write("secret", "hunter2\nhunter3\n").display().to_string();
    let mut elsewhere = json!({"secrets": {"token": {"file": secret}}, "checks": [{"name": "api", "target": "http://127.0.0.1:9/"}]});
    assert_eq!(home.check_file(&elsewhere).await.code, 1, "what goes into no field may have several lines");
    elsewhere["agent"]["auth"] = json!({"token": {"secret": "token"}});
    assert_refused(&home.check_file(&elsewhere).await, &["secret `token`", "one line"]);
    let secret = home.write("secret", "hunter2\n").display().to_string();
    assert_eq!(home.check_file(&sending(&secret)).await.services()["api"]["error_type"], "connect_refused");
}

#[tokio::test]
async fn a_configuration_may_come_through_a_pipe_or_a_redirection() {
    let home = Home::new();
    let config = json!({"checks": [{"name": "api", "target": "http://127.0.0.1:9/"}]}).to_string();
    let arguments = ["config", "check", "-c", "/dev/stdin"];

    let mut piped = home.command().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut pipe = piped.stdin.take().expect("there is a pipe");
    pipe.write_all(config.as_bytes()).await.expect("the pipe takes it");
    drop(pipe);
    let output = piped.wait_with_output().await.expect("the program ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok: /dev/stdin: 1 check, 1 target\n");

    let file = std::fs::File::open(home.write("any.yaml", &config)).expect("the file is there");
    let output = home.command().args(arguments).stdin(file).output().await.expect("the program ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok: /dev/stdin: 1 check, 1 target\n");

    let fifo = fifo(&home);
    let (path, text) = (fifo.clone(), config.clone());
    let writer = std::thread::spawn(move || std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes()));
    assert_eq!(home.vedette(["config", "check", "-c", &fifo]).await.stdout, format!("ok: {fifo}: 1 check, 1 target\n"));
    writer.join().expect("the writer ends").expect("the FIFO takes it");
}

#[tokio::test]
async fn a_configuration_without_end_and_a_fifo_among_files_are_refused() {
    let home = Home::new();
    assert_refused(&home.vedette(["config", "check", "-c", "/dev/zero"]).await, &["/dev/zero", "longer than 8MiB"]);
    let fifo = fifo(&home);
    std::fs::rename(fifo, home.path("fifo.yaml")).expect("it can be renamed");
    let folder = home.folder().display().to_string();
    assert_refused(&home.vedette(["config", "check", "-c", &folder]).await, &["fifo.yaml", "a FIFO"]);
}

#[tokio::test]
async fn message_warning_and_latency_tell_the_same_time() {
    let authority = Authority::new();
    let (home, target) = (Home::new(), Target::open_tls(Answer::Hops(2), authority.valid()));
    authority.write(&home.path("ca.pem"));
    let with = json!({"tls": {"ca": home.path("ca.pem")}, "warn": {"latency": "1us"}});
    let config = json!({"checks": [{"name": "api", "target": target.at("/health"), "with": with}]});
    let service = home.check_file(&config).await.services()["api"].clone();
    let latency = service["latency_ms"].as_f64().expect("it succeeded");
    let milliseconds = |text: &Value, before: &str| {
        let text = text.as_str().unwrap_or_default();
        let number = text.strip_prefix(before).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        number.unwrap_or_else(|| unreachable!("no latency in {text:?}"))
    };
    let told = [milliseconds(&service["message"], "200 OK in "), milliseconds(&service["warnings"][0]["detail"], "")];
    assert!(told.iter().all(|told| (told - latency).abs() <= 0.06), "{told:?} and {latency}");
}
