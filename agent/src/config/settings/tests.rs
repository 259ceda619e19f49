use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::mistake::Source;
use crate::config::parse;

/// Judges a text of settings by a schema; a secret `token` is known.
fn judged(schema: &Json, text: &str) -> Result<Judged, String> {
    let source = Source::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("a.yaml"), text.to_owned());
    let source = Source { name: "a.yaml".to_owned(), ..source };
    let mut found = Found::default();
    let with = parse::parse(0, &source, &mut parse::Allowance::default(), &mut found).unwrap();
    let tree = Node::mapping([("secrets", super::super::tree::Node::mapping([("token", super::super::tree::Value::Null)]).value)]);
    let settings = Settings::new(schema)?;
    let sources = [source];
    let judged = settings.judge(&with, with.place, &sources, &Secrets::of(&tree), &mut found);
    let told = found.render(&sources).to_string();
    judged.ok_or(told)
}

fn right(schema: &Json, text: &str) -> Judged {
    judged(schema, text).unwrap_or_else(|told| panic!("{told}"))
}

fn told(schema: &Json, text: &str) -> String {
    judged(schema, text).err().expect("it is wrong")
}

fn schema() -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "latency": {"type": "string", "format": "vedette-duration"},
            "max_body": {"type": "string", "format": "vedette-size", "default": "10MiB"},
            "tls": {"$ref": "#/$defs/tls"},
            "headers": {"type": "object", "additionalProperties": {"anyOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": false, "required": ["secret"],
                 "properties": {"secret": {"type": "string", "format": "vedette-secret"}}}]}},
            "status": {"oneOf": [{"$ref": "#/$defs/code"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/code"}}]},
            "body_matches": {"anyOf": [{"$ref": "#/$defs/regex"}, {"type": "array", "items": {"$ref": "#/$defs/regex"}}]},
            "json": {"type": "object", "propertyNames": {"format": "vedette-jsonpath"}},
            "redirects": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 10}, {"const": "none"}]},
            "pause": {"anyOf": [{"type": "string", "format": "vedette-duration"}, {"const": "off"}]},
            "codes": {"type": ["integer", "array"], "minimum": 100, "items": {"type": ["integer", "string"], "pattern": "^[1-5]xx$"}},
            "method": {"enum": ["GET", "HEAD", "POST"]},
            "nested": {"type": "object", "default": {}, "properties": {"after": {"type": "string", "format": "vedette-duration", "default": "1s"}}}
        },
        "$defs": {
            "code": {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]},
            "regex": {"type": "string", "format": "vedette-regex"},
            "tls": {"type": "object", "additionalProperties": false, "properties": {
                "ca": {"type": "string", "format": "vedette-file"}, "verify": {"type": "boolean", "default": true}}}
        }
    })
}

#[test]
fn texts_are_turned_and_defaults_filled_in() {
    let judged = right(&schema(), "latency: 800ms\npause: 1.5s\ntls: {}\n");
    let expected = json!({"latency": 800_000_000, "pause": 1_500_000_000, "tls": {"verify": true}, "max_body": 10_485_760,
        "nested": {"after": 1_000_000_000}});
    assert_eq!(serde_json::from_str::<Json>(&judged.settings).unwrap(), expected);
    assert_eq!(judged.shown["latency"], "800ms");
    assert_eq!(judged.shown["max_body"], "10MiB");
}

#[test]
fn alternatives_are_told_apart() {
    let judged = right(&schema(), "pause: off\nredirects: none\nstatus: [200, 2xx]\nbody_matches: [a, b]");
    let turned: Json = serde_json::from_str(&judged.settings).unwrap();
    assert_eq!((&turned["pause"], &turned["status"]), (&json!("off"), &json!([200, "2xx"])));
}

#[test]
fn what_has_been_shown_reads_the_same_again() {
    let first = right(&schema(), "latency: 800ms\ntls: {ca: Cargo.toml}\nheaders: {a: {secret: token}}");
    let again = right(&schema(), &first.shown.to_string());
    assert_eq!((first.settings, first.shown, first.files), (again.settings, again.shown, again.files));
}

#[test]
fn secrets_and_files_are_collected() {
    let judged = right(&schema(), "headers: {b: {secret: token}, a: {secret: token}, c: plain}\ntls: {ca: ./Cargo.toml}");
    assert_eq!(judged.secrets, ["token"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!(judged.files, BTreeMap::from([("file-1".to_owned(), path.clone())]));
    let turned: Json = serde_json::from_str(&judged.settings).unwrap();
    assert_eq!(turned["tls"]["ca"], "file-1");
    assert_eq!(turned["headers"]["b"]["secret"], "token");
    assert_eq!(judged.shown["tls"]["ca"], path.to_str().unwrap());
}

#[test]
fn each_mistake_is_told_where_it_stands_and_what_to_do() {
    for (text, place, words) in [
        ("latncy: 1s", "1:1", &["unknown key `latncy`", "did you mean `latency`?"][..]),
        ("tls:\n  verfy: true", "2:3", &["unknown key `verfy`", "`verify`"]),
        ("latency: 300", "1:10", &["`latency`: `300` carries no unit; write for example `300s`"]),
        ("latency: 3 parsecs", "1:10", &["`latency`: `parsecs` is no unit"]),
        ("max_body: 5", "1:11", &["`5MiB`"]),
        ("pause: 3", "1:8", &["`pause`: `3` carries no unit"]),
        ("pause: [1]", "1:8", &["`pause` has to be a length of time, such as `30s`, or `off`, not a list"]),
        ("tls: {verify: 'yes'}", "1:15", &["`verify` has to be `true` or `false`, not `yes`"]),
        ("headers: {a: 1}", "1:14", &["`a` has to be a text, or a mapping with `secret`, not `1`"]),
        ("headers: {a: {secert: token}}", "1:15", &["unknown key `secert`", "`secret`"]),
        ("headers: {a: {secret: tokne}}", "1:23", &["no secret `tokne`", "did you mean `token`?"]),
        ("status: 99", "1:9", &["`status` has to be 100 or more, not `99`"]),
        ("status: [200, 9xx]", "1:15", &["an entry of `status` has to match `^[1-5]xx$`, not `9xx`"]),
        ("codes: 2xx", "1:8", &["`codes` has to be a whole number, or a list, not `2xx`"]),
        ("codes: [200, 9xx]", "1:14", &["an entry of `codes` has to match"]),
        ("status: []", "1:9", &["`status` has none"]),
        ("body_matches: '('", "1:15", &["`body_matches`: not a regular expression: unclosed group"]),
        ("json: {status: ok}", "1:8", &["`status`: not a JSONPath"]),
        ("redirects: 11", "1:12", &["`redirects` has to be 10 or less, not `11`"]),
        ("method: PSOT", "1:9", &["`method` has to be `GET`, `HEAD` or `POST`, not `PSOT`", "`POST`"]),
        ("tls: {ca: no/such.pem}", "1:11", &["`ca`: the file", "no/such.pem` cannot be read"]),
        ("tls: {ca: /}", "1:11", &["it is a directory"]),
    ] {
        let told = told(&schema(), text);
        assert!(told.contains(&format!("a.yaml:{place}: ")), "{text}: {told}");
        for word in words {
            assert!(told.contains(word), "{text}: {word:?} is not in {told}");
        }
    }
}

#[test]
fn every_mistake_is_told() {
    let text = "latncy: 1s\nstatus: 99\nmethod: PSOT\nmax_body: 5";
    assert_eq!(told(&schema(), text).matches("a.yaml:").count(), 4);
    // What is named and is not there, and what was no value in the first place, hide nothing and are hidden by nothing.
    let text = format!("{text}\nheaders: {{a: {{secret: none}}, b: '${{env:VEDETTE_HAS_NO_SUCH}}', c: 1}}\ntls: {{ca: no/such}}");
    let told = told(&schema(), &text);
    for word in ["latncy", "`status`", "`method`", "`max_body`", "secret `none`", "VEDETTE_HAS_NO_SUCH", "`c` has to be", "no/such"] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    assert_eq!(told.matches("a.yaml:").count(), 8, "{told}");
}

#[test]
fn many_large_patterns_are_refused_once_and_the_same_one_in_many_checks_is_not() {
    let list = |count: usize| (0..count).fold("body_matches: [".to_owned(), |text, number| text + &format!(r"'\w{{20}}{number}', ")) + "]";
    let told = told(&schema(), &list(60));
    assert!(told.contains("more than 4MiB") && told.matches("a.yaml:").count() == 1, "{told}");
    right(&schema(), &list(2));
}

#[test]
fn what_is_substituted_is_never_shown() {
    // Of this package, and set by cargo for every test.
    let value = std::env::var("CARGO_PKG_DESCRIPTION").unwrap();
    let keys = ["latency", "max_body", "status", "body_matches", "redirects", "pause", "codes", "method"];
    let text = keys.iter().fold(String::new(), |text, key| text + key + ": '(${env:CARGO_PKG_DESCRIPTION}'\n");
    let text = text
        + "tls: {ca: '${env:CARGO_PKG_DESCRIPTION}', verify: '${env:CARGO_PKG_DESCRIPTION}'}\nheaders: {a: {secret: '${env:CARGO_PKG_DESCRIPTION}'}}";
    let told = told(&schema(), &text);
    assert_eq!(told.matches("a.yaml:").count(), keys.len() + 3, "{told}");
    assert!(!told.contains(&value[..12]) && told.contains("${env:CARGO_PKG_DESCRIPTION}"), "{told}");
}

#[test]
fn the_unit_that_is_meant_is_the_schema_s() {
    let schema = json!({"properties": {"latency": {"type": "string", "format": "vedette-duration", "examples": ["800ms"]}}});
    for text in ["latency: 300", "latency: '300'"] {
        assert!(told(&schema, text).contains("`300` carries no unit; write for example `300ms`"), "{text}");
    }
    assert!(told(&schema, "latency: []").contains("such as `800ms`"));
}

#[test]
fn a_missing_key_is_told_at_its_mapping() {
    let schema = json!({"type": "object", "required": ["user"], "properties": {"user": {"type": "string"}}});
    assert!(told(&schema, "password: x").starts_with("a.yaml:1:1: `with` has no `user`"));
}

#[test]
fn schemas_that_never_end_are_refused() {
    let doubling = |keyword: &str| {
        let level =
            |level: usize| json!({keyword: [{"$ref": format!("#/$defs/{}", level + 1)}, {"$ref": format!("#/$defs/{}", level + 1)}]});
        let mut parts: serde_json::Map<String, Json> = (0..40).map(|number| (number.to_string(), level(number))).collect();
        parts.insert("40".to_owned(), json!({"type": "string"}));
        json!({"$ref": "#/$defs/0", "$defs": parts})
    };
    for schema in [
        json!({"$ref": "#"}),
        json!({"anyOf": [{"$ref": "#/anyOf/0"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$dynamicRef": "#x"}),
        json!({"properties": {"a": {"$id": "b"}}}),
        json!({"type": "nonsense"}),
        json!({"$ref": "#/$defs/none"}),
        json!({"properties": {"a": {"pattern": "(?=x)"}}}),
        json!({"$schema": "https://example.com/own"}),
        json!(true),
        doubling("anyOf"),
        doubling("allOf"),
    ] {
        assert!(Settings::new(&schema).is_err(), "{}", schema.to_string().chars().take(100).collect::<String>());
    }
}

#[test]
fn a_schema_that_doubles_within_the_value_is_judged_by_in_bounded_time() {
    let level = |level: usize| {
        let below = json!({"$ref": format!("#/$defs/{}", level + 1)});
        json!({"type": "object", "properties": {"x": below, "y": below}})
    };
    let mut parts: serde_json::Map<String, Json> = (0..60).map(|number| (number.to_string(), level(number))).collect();
    parts.insert("60".to_owned(), json!({"anyOf": [{"type": "string"}, {"const": 1}]}));
    right(&json!({"$ref": "#/$defs/0", "$defs": parts}), "{x: {x: {}, y: {}}, y: {}}");
}

#[test]
fn a_schema_that_goes_into_the_value_may_refer_to_itself() {
    let schema = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "after": {"type": "string", "format": "vedette-duration"}}});
    let judged = right(&schema, "{children: [{children: [{after: 1s}]}]}");
    assert_eq!(judged.settings, r#"{"children":[{"children":[{"after":1000000000}]}]}"#);
}

#[test]
fn a_number_keeps_its_digits_on_the_way_to_the_plugin() {
    let judged = right(&json!({"type": "object"}), "{a: 1.10, b: 123456789012345678901234567890}");
    assert_eq!(judged.settings, r#"{"a":1.10,"b":123456789012345678901234567890}"#);
}
