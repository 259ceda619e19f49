use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::Instant;

fn parsed(text: &str) -> (Option<Node>, String) {
    let source = Source::new(Path::new("a.yaml"), text.to_owned());
    let mut found = Found::default();
    let node = parse(0, &source, &mut Allowance::default(), &mut found);
    (node, found.render(&[source]).to_string())
}

fn json(text: &str) -> serde_json::Value {
    let (node, told) = parsed(text);
    assert_eq!(told, "", "{text}");
    node.unwrap().to_json()
}

fn told(text: &str) -> String {
    parsed(text).1
}

#[test]
fn quoted_scalars_are_texts_and_plain_ones_what_they_look_like() {
    assert_eq!(
        json("a: 1\nb: '1'\nc: \"true\"\nd: true\ne: ~\nf: !!str 12\ng:\n8: x\nh: |\n  t\n").to_string(),
        r#"{"a":1,"b":"1","c":"true","d":true,"e":null,"f":"12","g":null,"8":"x","h":"t\n"}"#
    );
}

#[test]
fn digits_are_kept() {
    assert_eq!(json("[1.10, 123456789012345678901234567890]").to_string(), "[1.10,123456789012345678901234567890]");
}

#[test]
fn anchors_are_understood() {
    assert_eq!(
        json("a: &x {k: [1, 2]}\nb: *x\nc: &y text\nd: [*y, *y]").to_string(),
        r#"{"a":{"k":[1,2]},"b":{"k":[1,2]},"c":"text","d":["text","text"]}"#
    );
}

#[test]
fn aliases_that_lead_nowhere_are_told() {
    assert!(told("a: *b").starts_with("a.yaml:1:4: no anchor `&b`"));
    assert!(told("a: &b [*b]").starts_with("a.yaml:1:8: an alias within its own anchor"));
}

#[test]
fn a_key_twice_names_both_places() {
    let told = told("every: 30s\nname: x\nevery: 60s\n");
    assert!(told.starts_with("a.yaml:3:1: the key `every` stands here a second time\n  |\n3 | every: 60s\n  | ^^^^^"), "{told}");
    assert!(told.ends_with("the first is here: a.yaml:1:1"), "{told}");
}

#[test]
fn what_is_no_text_is_no_key() {
    assert!(told("? [a, b]\n: 1\n").contains("a key has to be a text, not a list"));
    assert_eq!(json("? a\n: 1\n").to_string(), r#"{"a":1}"#);
}

#[test]
fn one_file_is_one_document() {
    assert!(told("a: 1\n---\nb: 2\n").starts_with("a.yaml:2:1: a second document"));
}

#[test]
fn tags_mean_nothing() {
    assert!(told("a: !include b.yaml").starts_with("a.yaml:1:"));
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for text in ["a: [1, 2", "a: b: c", "a:\n\t- b", "a: 'x", "{a: b", "a: @b", "- a\nb: c", "%YAML 9.9\n---\na: b", "&a &b c"] {
        let told = told(text);
        assert!(told.starts_with("a.yaml:") && told.contains('^'), "{text:?}: {told}");
    }
}

#[test]
fn a_variable_is_what_it_holds_and_a_quoted_one_is_text() {
    let version = env!("CARGO_PKG_VERSION_MINOR");
    assert_eq!(std::env::var("CARGO_PKG_VERSION_MINOR").as_deref(), Ok(version));
    assert_eq!(
        json("a: ${env:CARGO_PKG_VERSION_MINOR}\nb: '${env:CARGO_PKG_VERSION_MINOR}'\n${env:CARGO_PKG_VERSION_MINOR}: c").to_string(),
        format!(r#"{{"a":{version},"b":"{version}","${{env:CARGO_PKG_VERSION_MINOR}}":"c"}}"#)
    );
    assert!(told("a: 1\nb: ${env:VEDETTE_HAS_NO_SUCH}").starts_with("a.yaml:2:4: the environment variable"));
}

/// Each is refused, and soon.
#[test]
fn hostile_files_are_refused_in_bounded_time_and_memory() {
    let laughs: String = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let below = format!("*a{}, ", level - 1).repeat(10);
        format!("{text}a{level}: &a{level} [{below}]\n")
    });
    let chain: String = (1..5_000).fold("a0: &a0 [x]\n".to_owned(), |text, level| format!("{text}a{level}: &a{level} [*a{}]\n", level - 1));
    let texts = "a: &a '".to_owned() + &"x".repeat(1_000_000) + "'\nb: [" + &"*a, ".repeat(1_000) + "]\n";
    let deep = |open: &str| open.repeat(100_000);
    let hostile = [
        laughs,
        chain,
        texts,
        deep("["),
        deep("{"),
        deep("{a: "),
        deep("- "),
        deep("? "),
        deep("a:\n "),
        (0..1_000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n"),
        format!("a: {}", "x".repeat(2 << 20)),
        format!("a: '{}", "x".repeat(2 << 20)),
        format!("[{}]", "a, ".repeat(600_000)),
        format!("{}: a", "k".repeat(3_000_000)),
        "!".repeat(1_000_000),
        format!("a: {}", "&a ".repeat(300_000)),
        "%".repeat(1_000_000),
        format!("a: \"{}", "\\".repeat(1_000_001)),
        "\"a\": ".repeat(300_000),
    ];
    for text in hostile {
        let began = Instant::now();
        let (_, told) = parsed(&text);
        assert!(!told.is_empty() && told.len() < 1 << 20, "{:?}", &text[..20]);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?} took {:?}", &text[..20], began.elapsed());
    }
}

#[test]
fn many_mistakes_on_a_long_line_are_shown_in_bounded_space() {
    let told = told(&format!("{{{}}}", "a: 1, ".repeat(100_000)));
    assert!(told.len() < 1 << 20 && told.ends_with("and 98999 more"), "{}", &told[told.len() - 100..]);
}
