//! Components that are refused before they run: bombs, fragments, and such as want what is not served.

use std::fmt::Write as _;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use e2e::HOSTILE;
use e2e::home::{Home, binary};
use e2e::sandbox::{call, compiled_by, host, told};

/// What is refused, and what has to be said of it.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("a fragment", HOSTILE[..HOSTILE.len() / 2].to_vec(), "it cannot be compiled"),
        ("a fragment that ends within a section's size", HOSTILE[..9].to_vec(), "it cannot be compiled"),
        ("types in types", text(&nested_types(10_000)), "it cannot be compiled"),
        ("a type that doubles", text(&doubling_types(60)), "it cannot be compiled"),
        ("more instances than fit into a slot", text(&instances(9)), "it cannot be used"),
        ("memory of 64 bits", text("(component (core module (memory i64 1)))"), "it cannot be compiled"),
        ("shared memory", text("(component (core module (memory 1 1 shared)))"), "it cannot be compiled"),
        (
            "sockets",
            text(&importing("wasi:sockets/tcp@0.2.0")),
            "it imports `wasi:sockets/tcp@0.2.0`, which is not served: a plugin has no sockets",
        ),
        ("wasi:http", text(&importing("wasi:http/outgoing-handler@0.2.0")), "--disable http"),
        (
            "another version",
            text(&importing("vedette:plugin/http@0.2.0")),
            "it is built against `vedette:plugin/http@0.2.0`, this agent has 0.1.0",
        ),
        ("an interface that does not exist", text(&importing("vedette:plugin/quantum@0.1.0")), "does not have it"),
        ("an import of nobody's", text(&importing("acme:own/thing@1.0.0")), "`acme:own/thing@1.0.0`"),
        ("no plugin", text("(component)"), "exports neither"),
    ]
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap()
}

fn importing(name: &str) -> String {
    format!(r#"(component (import "{name}" (instance $i)) (export "vedette:plugin/checker@0.1.0" (instance $i)))"#)
}

fn nested_types(depth: usize) -> String {
    let mut text = "(component (type (list u8))".to_owned();
    (0..depth).for_each(|below| write!(text, "(type (list {below}))").unwrap());
    text + ")"
}

fn doubling_types(times: usize) -> String {
    let mut text = "(component (type (tuple u8 u8))".to_owned();
    (0..times).for_each(|below| write!(text, "(type (tuple {below} {below}))").unwrap());
    text + ")"
}

fn instances(count: usize) -> String {
    format!("(component (core module $m) {})", "(core instance (instantiate $m))".repeat(count))
}

/// Loops in loops, each of which has to hand every local on to the next: what the compiler keeps is the product.
fn bomb(loops: usize, locals: usize) -> Vec<u8> {
    let open = "loop ".repeat(loops);
    let close = "local.get 0 br_if 0 end ".repeat(loops);
    let mut body = String::new();
    for local in 0..locals {
        let next = (local + 1) % locals;
        write!(body, "local.get {local} local.get {next} i32.add local.set {local} ").unwrap();
    }
    let declared = "i32 ".repeat(locals);
    text(&format!("(component (core module (func (local {declared}) {open} {body} {close})))"))
}

#[tokio::test]
async fn what_cannot_be_a_plugin_is_refused_and_told_why() {
    let host = host(None);
    let mut wrong = Vec::new();
    for (what, component, words) in refused() {
        match host.load("odd", &component, false).await {
            Err(error) if error.to_string().contains(words) => {}
            Err(error) => wrong.push(format!("{what}: {words:?} was expected, and this was said: {error}")),
            Ok(_) => wrong.push(format!("{what}: it was taken")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_component_that_explodes_in_the_compiler_is_refused_and_harms_nobody() {
    let host = host(None);
    let honest = host.load("honest", &crate::guests::honest(), false).await.unwrap();
    let error = host.load("bomb", &bomb(2_000, 8_000), false).await.unwrap_err().to_string();
    assert!(error.contains("compiling it takes more than 1GiB of memory") || error.contains("more than 30s of CPU time"), "{error}");
    assert_eq!(told(&honest.run(call("{}", "http://127.0.0.1:9/")).await), None);
}

/// A program of a few words. Another process writes it: one that is started while this one writes it would hold it open.
fn script(home: &Home, words: &str) -> PathBuf {
    let path = home.path("compiler");
    let written =
        Command::new("/bin/sh").args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 700 "$0""#]).arg(&path).arg(words).status();
    assert!(written.unwrap().success());
    path
}

#[tokio::test]
async fn what_a_compiler_says_that_is_not_right_in_every_way_is_refused_by_name() {
    let home = Home::new();
    let vedette = binary().display().to_string();
    for (words, said) in [
        ("cat > /dev/null", "gave an answer that is none"),
        ("head -c 100000", "gave an answer that is none"),
        ("exec true", "gave an answer that is none"),
        (&format!("\"{vedette}\" \"$@\"; echo more"), "gave an answer that is none"),
        (&format!("\"{vedette}\" \"$@\" | head -c 9999"), "gave an answer that is none"),
        (&format!("\"{vedette}\" \"$@\"; exit 1"), "the process that compiles it failed"),
        // Code for an engine of another kind of memory.
        (&format!("exec \"{vedette}\" \"$1\" 65536"), "it cannot be used"),
        ("echo '\\033[31mout of order' >&2; exit 7", "the process that compiles it failed:  [31mout of order"),
        ("kill -SEGV $$", "was ended by signal 11"),
        ("exit 10", "it cannot be compiled"),
    ] {
        let error = compiled_by(script(&home, words), None).load("it", HOSTILE, false).await.unwrap_err().to_string();
        assert!(error.contains(said), "{words}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    let error = compiled_by("/no/such/program".into(), None).load("it", HOSTILE, false).await.unwrap_err().to_string();
    assert!(error.contains("no process can be started to compile it in (/no/such/program: ") && error.contains("mount /proc"), "{error}");
}

#[tokio::test]
async fn a_compiler_whose_cpu_time_is_used_up_is_told_so() {
    let home = Home::new();
    // The child lowers its own limits; what is lower before stays so.
    let program = script(&home, &format!("ulimit -S -t 1; exec \"{}\" \"$@\"", binary().display()));
    let error = compiled_by(program, None).load("bomb", &bomb(1_000, 3_000), false).await.unwrap_err().to_string();
    assert!(error.contains("compiling it takes more than 30s of CPU time"), "{error}");
}

#[tokio::test]
async fn the_process_that_compiles_has_no_environment_and_its_limits_before_it_reads() {
    let home = Home::new();
    let seen = home.path("seen");
    let program = script(&home, &format!("env > '{}'; exec \"{}\" \"$@\"", seen.display(), binary().display()));
    compiled_by(program, None).load("it", HOSTILE, false).await.unwrap();
    // What the shell itself adds.
    let own = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
    let environment = std::fs::read_to_string(&seen).unwrap();
    assert!(environment.lines().all(|line| own.iter().any(|name| line.starts_with(name))), "{environment}");

    let mut child = Command::new(binary())
        .args(["compile-plugin", "65536"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for its first byte.
    e2e::patience::eventually("the child limits itself", async || {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let limit = |words: &str| limits.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(words));
        (limit("Max address space 1073741824 1073741824") && limit("Max cpu time 30 31") && limit("Max core file size 0 0")).then_some(())
    })
    .await;
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(10), "nothing is no component");
}

#[tokio::test]
async fn a_plugin_that_is_none_is_a_mistake_of_the_file_and_nothing_runs() {
    let home = Home::new();
    let fragment = home.write("fragment.wasm", &HOSTILE[..HOSTILE.len() / 2]);
    let huge = home.path("huge.wasm");
    std::fs::File::create(&huge).unwrap().set_len((32 << 20) + 1).unwrap();
    let endless = PathBuf::from("/dev/zero");
    let sources = [(fragment, "plugin `odd`: it cannot be compiled"), (huge, "it is longer than 32MiB"), (endless, "it is a device")];
    for (source, words) in sources {
        let check = serde_json::json!({"name": "it", "plugin": "odd", "target": "http://127.0.0.1:9/"});
        let finished = home.check_file(&serde_json::json!({"plugins": {"odd": {"source": source}}, "checks": [check]})).await;
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
        assert!(finished.stderr.contains(words), "{finished:#?}");
    }
}

#[tokio::test]
async fn how_plugins_are_compiled_is_no_command_for_people() {
    let help = Home::new().vedette(["--help"]).await;
    assert_eq!(help.code, 0);
    assert!(!help.stdout.contains("compile-plugin"), "{}", help.stdout);
}
