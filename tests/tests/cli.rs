//! The command line from outside: what reaches the terminal, what cannot be written, what is printed and read again.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and fails")]

use std::path::Path;
use std::time::Duration;

use e2e::answer::Answer;
use e2e::home::{Finished, Home, binary};
use e2e::target::Target;

/// Runs the program as a shell does: `$0` is the program, `$@` the arguments.
async fn shell(home: &Home, script: &str, arguments: &[&str]) -> Finished {
    let output = home.tool(Path::new("/bin/sh")).arg("-c").arg(script).arg(binary()).args(arguments).output();
    let output = output.await.expect("there is a shell");
    Finished {
        code: output.status.code().unwrap_or(128),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        length: Duration::ZERO,
    }
}

#[tokio::test]
async fn results_that_cannot_be_written_are_no_success() {
    let (home, good, bad) = (Home::new(), Target::open(Answer::healthy()), Target::open(Answer::new(500, "")));
    let (good, bad) = (good.url(), bad.url());
    let file = home.write("a.yaml", "checks: [{name: a, target: \"http://127.0.0.1:9/\"}]").display().to_string();
    let commands: [(&[&str], i32); 9] = [
        (&["check", &good], 3),
        (&["check", &good, &bad], 1),
        (&["check", "--format", "json", &good], 3),
        (&["config", "check", "-c", &file], 3),
        (&["config", "print", "-c", &file], 3),
        (&["config", "schema"], 3),
        (&["plugin", "list"], 3),
        (&["plugin", "inspect", "http"], 3),
        (&["--help"], 3),
    ];
    for (arguments, code) in commands {
        for script in ["\"$0\" \"$@\" > /dev/full", "\"$0\" \"$@\" >&-"] {
            let finished = shell(&home, script, arguments).await;
            assert_eq!(finished.code, code, "{arguments:?} {script} {finished:#?}");
            assert!(finished.stderr.starts_with("vedette: the results cannot be written to stdout: "), "{finished:#?}");
            assert_eq!(finished.stderr.lines().count(), 1, "{finished:#?}");
        }
        // A reader that has gone away is no error, and one that nobody wants is none either.
        let finished = shell(&home, "(trap '' PIPE; \"$0\" \"$@\"; echo $? >&2) | true; \"$0\" \"$@\" > /dev/null", arguments).await;
        let usual = i32::from(code == 1);
        assert_eq!((finished.stderr.trim(), finished.code), (usual.to_string().as_str(), usual), "{arguments:?} {finished:#?}");
    }
}

#[tokio::test]
async fn nothing_from_outside_does_anything_to_a_terminal() {
    let home = Home::new();
    let hostile = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}";
    let at = |text: &str| format!("{text}{hostile}");
    let file = home.write("a.yaml", "checks: [{name: a, target: \"http://127.0.0.1:9/\"}]").display().to_string();
    let (target, name) = (at("http://h/"), at("a"));
    let commands: [&[&str]; 9] = [
        &["check", &target],
        &["check", &name],
        &["check", "--timeout", &name, "http://h/"],
        &["check", "--retries", &name, "http://h/"],
        &["check", "--only", &name, "-c", &file],
        &["check", "-c", &name],
        &["config", "check", "-c", &name],
        &["plugin", "inspect", &name],
        &[&name],
    ];
    for arguments in commands {
        let finished = home.vedette(arguments).await;
        assert_eq!(finished.code, 2, "{finished:#?}");
        assert!(finished.stdout.is_empty() && finished.stderr.contains("\\u{1b}]0;x\\u{7}"), "{finished:#?}");
        assert!(!finished.stderr.contains(|char| vedette::config::visible::is_hidden(char) && char != '\n'), "{finished:#?}");
    }
}

#[tokio::test]
async fn an_argument_that_is_no_url_is_told_with_what_may_be_meant() {
    let home = Home::new();
    home.write("watch.yaml", "checks: []");
    for (argument, hint) in [
        ("foo", "did you mean `https://foo` (or `http://foo`)?"),
        ("localhost:8080", "did you mean `https://localhost:8080` (or `http://localhost:8080`)?"),
        ("./watch.yaml", "`vedette check -c ./watch.yaml`"),
        ("./missing.yml", "`vedette check -c ./missing.yml`"),
        (".", "`vedette check -c .`"),
    ] {
        let finished = home.check(&[argument]).await;
        assert!(finished.code == 2 && finished.stderr.contains(hint), "{finished:#?}");
    }
    let finished = home.check(&["-c", "watch.yaml", "http://h/"]).await;
    assert!(
        finished.stderr.contains("vedette check [OPTIONS] <URL>...\n") && finished.stderr.contains("--config <FILE>\n"),
        "{finished:#?}"
    );
}

#[tokio::test]
async fn more_urls_than_the_agent_s_concurrency_are_all_asked_at_once() {
    let (home, target) = (Home::new(), Target::open(Answer::slow(Duration::from_mins(1))));
    let urls: Vec<String> = (0..600).map(|number| target.at(&format!("/{number}"))).collect();
    let mut arguments = vec!["check", "--format", "json", "--state-dir", "off", "--timeout", "15s", "--retries", "0"];
    arguments.extend(urls.iter().map(String::as_str));
    // The soft limit of open files is what most systems have, or less.
    let finished = shell(&home, "ulimit -S -n 256; exec \"$0\" \"$@\"", &arguments).await;
    assert_eq!(finished.json()["summary"]["total"], 600);
    assert_eq!((finished.code, target.peak()), (1, 600));
}

#[tokio::test]
async fn where_few_files_may_be_open_targets_are_asked_in_turn() {
    let (home, target) = (Home::new(), Target::open(Answer::slow(Duration::from_millis(100))));
    let urls: Vec<String> = (0..200).map(|number| target.at(&format!("/{number}"))).collect();
    let arguments: Vec<&str> =
        ["check", "--state-dir", "off", "--timeout", "30s"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    let finished = shell(&home, "ulimit -n 128; exec \"$0\" \"$@\"", &arguments).await;
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(target.peak() <= 32, "{}", target.peak());
}

#[tokio::test]
async fn a_component_that_is_not_there_is_a_mistake_of_the_file() {
    let home = Home::new();
    let file = home.write("a.yaml", "plugins:\n  gone: {source: ./gone.wasm}\n").display().to_string();
    for arguments in
        [["plugin", "list", "-c", &file].as_slice(), &["plugin", "inspect", "gone", "-c", &file], &["plugin", "list", "-c", "no.yaml"]]
    {
        let finished = home.vedette(arguments).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    }
    let finished = home.vedette(["plugin", "list", "-c", &file]).await;
    assert!(finished.stderr.contains("a.yaml:2:18: cannot read ") && finished.stderr.contains("gone.wasm"), "{finished:#?}");
    // Who wants to know how a setting is written need not have written everything right.
    let file = home.write("b.yaml", "checks: [{name: a, target: \"http://h/\", wiht: {}}]").display().to_string();
    assert_eq!(home.vedette(["plugin", "inspect", "http", "-c", &file]).await.code, 0);
}

/// Every word of the configuration.
const FULL: &str = r#"
agent: {location: lab, listen: "127.0.0.1:0", auth: {token: {secret: page}}, state_dir: "off", concurrency: 9, log: {level: warn, format: json, otlp: true}}
export:
  otlp: {endpoint: "http://localhost:4318", protocol: grpc, headers: {authorization: {secret: page}, x: "$${env:Y}"}, compression: zstd,
         timeout: 5.5s, tls: {ca: ca.pem, certificate: ca.pem, key: ca.pem}, interval: 90s, histograms: exponential, successes: 0.25}
secrets: {page: {file: token}, key: {env: KEY, send_to: ["https://shop.example.com"]}}
plugins: {own: {source: OWN, allow: {hosts: ["shop.example.com:443"], insecure_tls: true}, limits: {memory: 32MiB, cpu: 0.05s, exchanges: 3}}}
defaults: {every: 20s, timeout: 1.5s, retries: 2, propagate_trace: false, summary: {plugin: availability, windows: [1h, 10m], with: {down_after: 3}}}
checks:
  - {name: "api \\ \"1\"", target: "https://api.example.com/health?x=1&y=%20"}
  - name: shop
    plugin: http
    targets: ["https://shop.example.com/", {name: checkout, address: "https://shop.example.com/c", labels: {tier: "1"}}]
    every: 10s
    timeout: 250ms
    retries: 0
    with:
      method: POST
      headers: {x-probe: "1", authorization: {secret: key}}
      body: "a: #b\n\tc"
      redirects: none
      max_body: 1.5MiB
      tls: {ca: ./ca.pem, server_name: shop.internal, verify: false}
      expect: {status: [200, 2xx, "300-304"], body_contains: [cart, "yes"], body_matches: 'v\d+', header: {content-type: "text/html.*"},
               json: {"$.status": "off", "$.id": 123456789012345678901234567890, "$.ratio": 1.10, "$.list": [null, {a: true}]},
               latency: 0.3s, certificate_valid_for: 14d}
      warn: {latency: 1us, certificate_valid_for: 30d}
    summary: {plugin: availability, windows: [5m, 24h], with: {down_after: 1, up_after: 3, degraded_after: 2, unknown_after: 5, flapping: false}}
    slo: {objective: 99.95%, window: 7d}
    labels: {team: "on", "a.b-c_d": "${env:TEAM}"}
    propagate_trace: true
    peer_service: shop
  - {name: own, plugin: own, target: "http://h/", with: {do: trap}}
"#;

#[tokio::test]
async fn what_config_print_prints_config_check_accepts_and_print_prints_again() {
    let home = Home::new().with("TEAM", "payments");
    home.write("ca.pem", "");
    home.write("own.wasm", e2e::HOSTILE);
    let file = home.write("full.yaml", FULL.replace("OWN", "./own.wasm")).display().to_string();
    let printed = home.vedette(["config", "print", "-c", &file]).await;
    assert_eq!(printed.code, 0, "{printed:#?}");
    for line in ["latency: 0.3s", "latency: 1us", "max_body: 1.5MiB", "timeout: 5.5s", "cpu: 0.05s"] {
        assert!(printed.stdout.contains(line), "{line} is not in\n{}", printed.stdout);
    }
    std::fs::create_dir(home.path("elsewhere")).expect("the test's folder takes a folder");
    let again = home.write("elsewhere/again.yaml", &printed.stdout).display().to_string();
    let checked = home.vedette(["config", "check", "-c", &again]).await;
    assert_eq!(
        (checked.code, checked.stdout),
        (0, format!("ok: {again}: 3 checks, 4 targets\n")),
        "{}\n{}",
        checked.stderr,
        printed.stdout
    );
    assert_eq!(home.vedette(["config", "print", "-c", &again]).await.stdout, printed.stdout);
}

#[tokio::test]
async fn patterns_are_bounded_in_number_and_size_and_what_is_accepted_can_be_run() {
    let (home, target) = (Home::new(), Target::open(Answer::healthy()));
    let file = |patterns: &[String]| {
        let list = patterns.iter().map(|pattern| format!("'{pattern}'")).collect::<Vec<_>>().join(", ");
        let text =
            format!("checks: [{{name: a, target: '{}', with: {{max_body: 1kB, expect: {{body_matches: [{list}]}}}}}}]", target.url());
        home.write("a.yaml", text).display().to_string()
    };
    let large = |count: usize| (0..count).map(|number| format!(r"(\w{{20}}{number})?")).collect::<Vec<_>>();
    for (patterns, word) in
        [(large(65), "at most 64 entries"), (vec![r"\w{200}".to_owned()], "more than 2MiB"), (large(30), "more than 4MiB")]
    {
        let finished = home.check(&["-c", &file(&patterns)]).await;
        assert!(finished.code == 2 && finished.stderr.contains(word), "{word}: {finished:#?}");
    }
    let most = (1..30).rev().map(large).find(|patterns| !vedette_refuses(&home, &file(patterns)));
    let finished = home.check(&["--timeout", "30s", "-c", &file(&most.expect("one is accepted"))]).await;
    assert_eq!(finished.code, 0, "{finished:#?}");
}

/// Whether `config check` refuses a file.
fn vedette_refuses(home: &Home, file: &str) -> bool {
    let mut command = std::process::Command::new(binary());
    command.current_dir(home.folder()).args(["config", "check", "-c", file]);
    !command.output().expect("the program can be started").status.success()
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_had_hides_no_other_mistake() {
    let home = Home::new();
    let text = "agent: {concurrency: 29999}\nchecks:\n  - {name: a, target: \"http://h/\", with: {expect: {statsu: 200}}}\n";
    let file = home.write("a.yaml", text).display().to_string();
    // So little address space that no such pool fits into it.
    let finished = shell(&home, "ulimit -v 60000000; exec \"$0\" \"$@\"", &["config", "check", "-c", &file]).await;
    assert!(finished.code == 2 && finished.stderr.contains("statsu"), "{finished:#?}");
}
