//! Components that are refused before they run: bombs, fragments, and such as want what is not served.

use std::fmt::Write as _;

use e2e::HOSTILE;
use e2e::sandbox::host;

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
        ("sockets", text(&importing("wasi:sockets/tcp@0.2.0")), "it imports `wasi:sockets/tcp@0.2.0`, which is not served: a plugin has no sockets"),
        ("wasi:http", text(&importing("wasi:http/outgoing-handler@0.2.0")), "--disable http"),
        ("another version", text(&importing("vedette:plugin/http@0.2.0")), "it is built against `vedette:plugin/http@0.2.0`, this agent has 0.1.0"),
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
    assert_eq!(e2e::sandbox::told(&honest.run(e2e::sandbox::call("{}", "http://127.0.0.1:9/")).await), None);
}
