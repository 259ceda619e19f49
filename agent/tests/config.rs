//! Configurations from outside: what is refused, with the whole answer; what is right is accepted.
//!
//! `tests/invalid/NAME.yaml` (or a directory of that name) is refused with exactly `NAME.err`. `UPDATE_EXPECT=1` writes the answers anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot have its files has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vedette::config::{self, Document, Loaded, PluginSchema, Purpose, Schemas};

/// What the built-in plugins take, as far as these tests look at it.
fn schemas() -> Schemas {
    // Alternatives are written both ways in which a schema can: as types, and as schemas.
    let text_or_list = |of: Value| json!({"anyOf": [of, {"type": "array", "items": of}]});
    let pattern = json!({"type": ["string", "array"], "format": "vedette-regex", "minItems": 1, "items": {"type": "string", "format": "vedette-regex"}});
    let words = json!({"type": "object", "additionalProperties": false, "properties": {
        "status": text_or_list(json!({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$"}]})),
        "body_contains": text_or_list(json!({"type": "string", "minLength": 1})),
        "body_matches": pattern,
        "header": {"type": "object", "additionalProperties": {"type": "string", "format": "vedette-regex"}},
        "json": {"type": "object", "propertyNames": {"format": "vedette-jsonpath"}},
        "latency": {"type": "string", "format": "vedette-duration", "examples": ["800ms"]},
        "certificate_valid_for": {"type": "string", "format": "vedette-duration"}}});
    let http = json!({"type": "object", "additionalProperties": false, "properties": {
        "expect": {"$ref": "#/$defs/words"},
        "warn": {"$ref": "#/$defs/words"},
        "tls": {"type": "object", "additionalProperties": false, "properties": {
            "ca": {"type": "string", "format": "vedette-file"}, "server_name": {"type": "string"}, "verify": {"type": "boolean", "default": true}}},
        "headers": {"type": "object", "additionalProperties": {"type": ["string", "object"],
            "additionalProperties": false, "required": ["secret"], "properties": {"secret": {"type": "string", "format": "vedette-secret"}}}},
        "method": {"type": "string", "default": "GET"},
        "max_body": {"type": "string", "format": "vedette-size", "default": "10MiB"}},
        "$defs": {"words": words}});
    let availability = json!({"type": "object", "additionalProperties": false, "properties": {
        "down_after": {"type": "integer", "minimum": 1, "default": 2}, "up_after": {"type": "integer", "minimum": 1, "default": 2}}});
    let schemes = vec!["http".to_owned(), "https".to_owned()];
    BTreeMap::from([
        ("http".to_owned(), Ok(PluginSchema { summariser: false, schema: http, target_schemes: schemes })),
        ("availability".to_owned(), Ok(PluginSchema { summariser: true, schema: availability, target_schemes: Vec::new() })),
        ("broken".to_owned(), Err("./broken.wasm is not a component".to_owned())),
    ])
}

fn judged(document: &Document) -> Result<Loaded, String> {
    document.judge(&schemas(), Purpose::Schedule).map_err(|mistakes| mistakes.to_string())
}

/// A folder for the files of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vedette-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_wrong_is_refused_with_all_mistakes() {
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/invalid").unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_none_or(|extension| extension != "err"));
    cases.sort();
    assert!(cases.len() >= 30);
    let mut differ = Vec::new();
    for path in cases {
        let told = match judged(&config::read(&path)) {
            Ok(_) => "accepted".to_owned(),
            Err(told) => told.replace(&std::env::current_dir().unwrap().display().to_string(), "[here]") + "\n",
        };
        let expected = path.with_extension("err");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            differ.push(format!("{}:\n{told}", path.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A line that ends in `#!` is named in the answer, with a column within it; of those in `#?` one is.
#[test]
fn each_marked_line_is_named_with_its_place() {
    for path in fs::read_dir("tests/invalid").unwrap().map(|entry| entry.unwrap().path()) {
        let Some(text) = fs::read_to_string(&path).ok().filter(|_| path.extension().is_none_or(|extension| extension != "err")) else {
            continue;
        };
        let Ok(told) = fs::read_to_string(path.with_extension("err")) else { continue };
        let named = |number: usize, line: &str| {
            let place = format!("{}:{}:", path.display(), number + 1);
            let mut columns = told.split(&place).skip(1).filter_map(|rest| rest.split([':', '\n']).next()?.parse::<usize>().ok());
            columns.any(|column| (1..=line.chars().count() + 1).contains(&column))
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.ends_with("#!")) {
            assert!(named(number, line), "{} line {}", path.display(), number + 1);
        }
        let mut alternatives = text.lines().enumerate().filter(|(_, line)| line.ends_with("#?")).peekable();
        assert!(alternatives.peek().is_none() || alternatives.any(|(number, line)| named(number, line)), "{}", path.display());
    }
}

const HEALTHY: &str = "checks:\n  - name: api\n    target: http://127.0.0.1:9/health\n";

const FULL: &str = r#"
agent: {location: eu-west-1, listen: "127.0.0.1:9115", auth: {token: {secret: page}}, state_dir: "off", concurrency: 64, log: {level: debug, format: json, otlp: true}}
export:
  otlp: {endpoint: "http://localhost:4318", protocol: grpc, headers: {authorization: {secret: page}, x: "${y}"}, compression: zstd, timeout: 5s, interval: 1m, histograms: exponential, successes: 0.25}
secrets:
  page: {file: ./token, send_to: ["https://shop.example.com", "http://127.0.0.1:9"]}
  key: {env: KEY}
defaults: {every: 20s, timeout: 1.5s, retries: 2, propagate_trace: false, summary: {windows: [1h, 10m]}}
checks:
  - name: api
    target: https://user:pw@api.example.com/health?x=1
  - name: shop
    targets:
      - https://shop.example.com/
      - {name: checkout, address: https://shop.example.com/checkout, labels: {tier: "1", a: b}}
    every: 10s
    with:
      expect: {status: [200, 204], body_contains: "cart", body_matches: "v\\d+", header: {content-type: "text/html.*"},
               json: {"$.status": "ok", "$.ratio": 1.10, "$.id": 123456789012345678901234567890}, latency: 800ms, certificate_valid_for: 14d}
      warn: {latency: 300ms, certificate_valid_for: 30d}
      tls: {server_name: shop.internal, verify: true, ca: ./ca.pem}
      headers: {x-probe: "1", authorization: {secret: key}, cookie: {secret: page}}
    summary: {with: {down_after: 3}}
    slo: {objective: 99.9%, window: 30d}
    labels: {team: payments}
    propagate_trace: true
    peer_service: shop
"#;

#[test]
fn what_is_right_is_accepted() {
    let folder = Folder::new("right");
    let check = |more: &str| format!("{HEALTHY}{more}");
    for (name, text) in [
        ("smallest", HEALTHY.to_owned()),
        ("plugin_named", check("    plugin: http\n")),
        ("json", r#"{"checks": [{"name": "api", "target": "http://127.0.0.1:9/"}]}"#.to_owned()),
        ("windows_line_ends", HEALTHY.replace('\n', "\r\n")),
        ("byte_order_mark", format!("\u{feff}{HEALTHY}")),
        ("beyond_ascii", HEALTHY.replace("name: api", "name: Prüfung-läuft")),
        ("quoted_number", HEALTHY.replace("name: api", "name: \"42\"")),
        ("comments", format!("# our checks\n\n{HEALTHY}\n# the end")),
        ("no_newline", HEALTHY.trim_end().to_owned()),
        ("just_fits", check("    every: 10s\n    timeout: 2s\n    retries: 1\n")),
        ("exactly_fits", check("    every: 4100ms\n    timeout: 2s\n    retries: 1\n")),
        ("no_retries", check("    every: 2s\n    timeout: 1s\n    retries: 0\n")),
        ("listen_off", format!("agent: {{listen: \"off\"}}\n{HEALTHY}")),
        ("listen_off_unquoted", format!("agent: {{listen: off}}\n{HEALTHY}")),
        ("ipv6", HEALTHY.replace("127.0.0.1:9", "[::1]:9")),
        ("empty_sections", format!("agent:\nexport:\nsecrets:\nplugins:\ndefaults:\n{HEALTHY}    labels:\n    with:\n")),
        ("anchors", check("    labels: &l {team: x}\n  - {name: shop, target: http://127.0.0.1:9/, labels: *l}\n")),
    ] {
        let path = folder.write(&format!("{name}.yaml"), text);
        if let Err(told) = judged(&config::read(&path)) {
            panic!("{name}: {told}");
        }
    }
}

#[test]
fn a_full_configuration_is_what_the_agent_reads() {
    let folder = Folder::new("full");
    folder.write("ca.pem", "");
    let loaded = judged(&config::read(&folder.write("vedette.yaml", FULL))).unwrap();
    let config = &loaded.config;
    assert_eq!((config.agent.location.as_str(), config.agent.concurrency, config.agent.state_dir.clone()), ("eu-west-1", 64, None));
    assert_eq!(config.agent.auth, config::Auth::Token { secret: "page".to_owned() });
    assert_eq!(config.agent.log, config::LogConfig { level: tracing::Level::DEBUG, json: true, otlp: true });
    let otlp = config.otlp.as_ref().unwrap();
    assert_eq!(
        (otlp.protocol, otlp.compression, otlp.successes),
        (Some(config::OtlpProtocol::Grpc), Some(config::Compression::Zstd), 0.25)
    );
    assert_eq!(otlp.headers["authorization"], config::Text::Secret("page".to_owned()));
    assert_eq!(config.secrets["page"].source, config::SecretSource::File(folder.0.join("token")));
    assert_eq!(config.secrets["page"].send_to.len(), 2);
    let [api, shop] = &config.checks[..] else { panic!("{:?}", config.checks) };
    assert_eq!((api.timeout.as_millis(), api.every.as_secs(), api.retries, api.propagate_trace, api.several), (1_500, 20, 2, false, false));
    assert_eq!(api.targets[0].address, "https://user:pw@api.example.com/health?x=1");
    assert_eq!(shop.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["shop.example.com", "checkout"]);
    assert_eq!(shop.targets[1].labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>(), ["a", "tier"]);
    assert_eq!((shop.every.as_secs(), shop.propagate_trace, shop.several, shop.peer_service.as_deref()), (10, true, true, Some("shop")));
    assert_eq!(shop.secrets, ["key", "page"]);
    assert_eq!(shop.files, BTreeMap::from([("file-1".to_owned(), folder.0.join("ca.pem"))]));
    assert_eq!(shop.slo.map(|slo| (slo.objective, slo.window.as_secs())), Some((0.999, 2_592_000)));
    assert_eq!(shop.summary.windows.iter().map(std::time::Duration::as_secs).collect::<Vec<_>>(), [600, 3_600]);
    assert_eq!(shop.summary.settings, r#"{"down_after":3,"up_after":2}"#);
    let settings: Value = serde_json::from_str(&shop.settings).unwrap();
    assert_eq!((&settings["expect"]["latency"], &settings["tls"]["ca"]), (&json!(800_000_000), &json!("file-1")));
    assert!(shop.settings.contains("1.10") && shop.settings.contains("123456789012345678901234567890"));
}

#[test]
fn what_is_printed_is_right_and_reads_back_equal() {
    let folder = Folder::new("printed");
    folder.write("ca.pem", "");
    for (name, text) in [("full", FULL.replace("user:pw@", "")), ("small", HEALTHY.to_owned())] {
        let loaded = judged(&config::read(&folder.write(&format!("{name}.yaml"), text))).unwrap();
        let printed = config::yaml(&loaded.effective);
        let again = judged(&config::read(&folder.write(&format!("elsewhere/{name}.yaml"), &printed)));
        let again = again.unwrap_or_else(|told| panic!("{told}\n{printed}"));
        assert_eq!(again.effective, loaded.effective, "{printed}");
        assert_eq!(format!("{:?}", again.config), format!("{:?}", loaded.config));
        assert!(printed.contains("30s") || name == "full");
    }
}

#[test]
fn what_is_printed_shows_defaults_and_no_user_information() {
    let folder = Folder::new("masked");
    folder.write("ca.pem", "");
    let loaded = judged(&config::read(&folder.write("full.yaml", FULL))).unwrap();
    let printed = config::yaml(&loaded.effective);
    assert!(!printed.contains("user:pw") && printed.contains("https://***@api.example.com/health"), "{printed}");
    let loaded = judged(&config::read(&folder.write("small.yaml", HEALTHY))).unwrap();
    let printed = config::yaml(&loaded.effective);
    for line in [
        "listen: \"127.0.0.1:9115\"",
        "every: 30s",
        "timeout: 2s",
        "plugin: http",
        "windows: [5m, 1h, 24h]",
        "max_body: 10MiB",
        "down_after: 2",
    ] {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
}

#[test]
fn files_of_a_directory_are_merged_by_name() {
    let folder = Folder::new("merged");
    folder.write("conf/b.yml", "checks: [{name: two, target: http://127.0.0.1:9/}]\nagent: {location: here}\n");
    folder.write(
        "conf/a.yaml",
        "agent: {location: here, concurrency: 7}\ndefaults: {timeout: 300ms}\nchecks: [{name: one, target: http://127.0.0.1:9/}]\n",
    );
    folder.write("conf/c.yaml", "# nothing\n");
    folder.write("conf/.hidden.yaml", "nonsense: [");
    folder.write("conf/readme.txt", "nonsense: [");
    let config = judged(&config::read(&folder.0.join("conf"))).unwrap().config;
    assert_eq!(
        config.checks.iter().map(|check| (check.name.as_str(), check.timeout.as_millis())).collect::<Vec<_>>(),
        [("one", 300), ("two", 300)]
    );
    assert_eq!((config.agent.location.as_str(), config.agent.concurrency), ("here", 7));
}

#[test]
fn a_check_of_once_does_not_look_at_its_interval() {
    let folder = Folder::new("once");
    let document = config::read(&folder.write("a.yaml", format!("{HEALTHY}    every: 1s\n")));
    assert!(document.judge(&schemas(), Purpose::Once).is_ok() && document.judge(&schemas(), Purpose::Schedule).is_err());
}

#[test]
fn urls_are_checks_that_are_called_by_their_addresses() {
    let urls =
        ["http://127.0.0.1:9/health", "http://127.0.0.1:9/", "http://127.0.0.1:9", "http://u:p@h/x?a=1", "http://h/x?a=2", "https://h/x"];
    let document = config::for_urls(&urls.map(str::to_owned));
    let loaded = document.judge(&schemas(), Purpose::Once).unwrap();
    let named: Vec<(&str, &str)> =
        loaded.config.checks.iter().map(|check| (check.name.as_str(), check.targets[0].address.as_str())).collect();
    assert_eq!(
        named,
        [
            ("127.0.0.1:9/health", urls[0]),
            ("127.0.0.1:9", urls[1]),
            ("http://h/x", urls[3]),
            ("http://h/x (2)", urls[4]),
            ("https://h/x", urls[5])
        ]
    );
    assert_eq!(document.plugins().iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["http", "availability"]);
}

#[test]
fn what_is_no_url_is_named_without_a_file() {
    for url in ["not a url", "ftp://127.0.0.1/x", "http://", "http://[::1", "http://127.0.0.1:99999/", ""] {
        let document = config::for_urls(&["http://127.0.0.1:9/".to_owned(), url.to_owned()]);
        let told = document.judge(&schemas(), Purpose::Once).unwrap_err().to_string();
        assert!(told.contains(url) && !told.contains('|') && told.lines().count() <= 2, "{told}");
    }
}

#[test]
fn plugins_are_told_with_their_files() {
    let folder = Folder::new("plugins");
    let text = "plugins: {journey: {source: ./j.wasm}}\nchecks:\n  - {name: a, target: http://h/, plugin: journey}\n  - {name: b, target: http://h/, plugin: unknown}\n";
    let document = config::read(&folder.write("a.yaml", text));
    let wanted: Vec<(String, Option<PathBuf>)> = document.plugins().into_iter().map(|plugin| (plugin.name, plugin.source)).collect();
    assert_eq!(wanted, [("availability".to_owned(), None), ("journey".to_owned(), Some(folder.0.join("j.wasm")))]);
}

#[test]
fn the_agent_is_known_before_the_rest_is_right() {
    let folder = Folder::new("agent");
    let document = config::read(&folder.write("a.yaml", "agent: {location: here, listen: nonsense, state_dir: state}\nchecks: 1\n"));
    let agent = document.agent();
    assert_eq!((agent.location.as_str(), agent.state_dir), ("here", Some(folder.0.join("state"))));
    assert_eq!(agent.listen, Some("127.0.0.1:9115".parse().unwrap()));
    assert_eq!(config::read(Path::new("no/such")).agent().concurrency, 512);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new("unreadable");
    fs::create_dir_all(folder.0.join("empty")).unwrap();
    for (path, word) in [(folder.0.join("nowhere.yaml"), "cannot be read"), (folder.0.join("empty"), "no *.yaml")] {
        let told = judged(&config::read(&path)).unwrap_err();
        assert!(told.starts_with(&path.display().to_string()) && told.contains(word), "{told}");
    }
    for (name, bytes) in [("binary", &b"checks:\n  - \xff\xfe\x00"[..]), ("control", b"a: \x1b[31mred"), ("utf16", b"\xff\xfec\x00h\x00")] {
        let told = judged(&config::read(&folder.write(&format!("{name}.yaml"), bytes))).unwrap_err();
        assert!(told.contains(&format!("{name}.yaml:")) && !told.contains('\u{1b}'), "{told}");
    }
    let told = judged(&config::read(&folder.write("long.yaml", "a: ".to_owned() + &"x".repeat(10 << 20)))).unwrap_err();
    assert!(told.contains("longer than 8MiB"), "{told}");
}

#[test]
fn long_defaults_of_many_checks_are_refused() {
    let folder = Folder::new("inherited");
    let checks = (0..1_000).fold(String::new(), |text, number| text + &format!("  - {{name: c{number}, target: \"http://h/\"}}\n"));
    let text = format!("defaults: {{summary: {{with: {{x: {}}}}}}}\nchecks:\n{checks}", "x".repeat(1_000_000));
    let told = judged(&config::read(&folder.write("a.yaml", text))).unwrap_err();
    assert!(told.contains("too long for so many checks to inherit"), "{}", &told[..1_000]);
}

#[test]
fn ten_thousand_checks_are_read() {
    let folder = Folder::new("many");
    let text: String = (0..10_000).fold("checks:\n".to_owned(), |text, number| {
        text + &format!("  - {{name: c{number}, target: \"http://127.0.0.1:9/{number}\", with: {{expect: {{status: [200, 2xx]}}}}}}\n")
    });
    assert_eq!(judged(&config::read(&folder.write("a.yaml", text))).unwrap().config.checks.len(), 10_000);
}

#[test]
fn the_schema_accepts_what_is_right_and_refuses_what_is_not() {
    let schema = config::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = Folder::new("schema");
    folder.write("ca.pem", "");
    let loaded = judged(&config::read(&folder.write("a.yaml", FULL))).unwrap();
    let errors: Vec<String> = validator.iter_errors(&loaded.effective).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let check = |more: Value| {
        let mut check = json!({"name": "api", "target": "http://127.0.0.1:9/"});
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        validator.is_valid(&json!({"checks": [check]}))
    };
    for right in [json!({}), json!({"timeout": "2s", "retries": 0}), json!({"timeout": "${env:TIMEOUT}", "with": {"any": 1}})] {
        assert!(check(right.clone()), "{right}");
    }
    for wrong in [
        json!({"tiemout": "2s"}),
        json!({"timeout": 2}),
        json!({"timeout": "2"}),
        json!({"retries": -1}),
        json!({"name": 1}),
        json!({"targets": ["http://127.0.0.1:9/"]}),
        json!({"labels": {"vedette.x": "y"}}),
        json!({"slo": {"window": "30d"}}),
    ] {
        assert!(!check(wrong.clone()), "{wrong}");
    }
}

#[test]
fn labels_are_few_and_short_since_they_are_on_every_series() {
    let folder = Folder::new("labels");
    let judge = |name: &str, count: usize, value: &str| {
        let labels: Vec<_> = (0..count).map(|number| format!("l{number}: {value}")).collect();
        let text = format!("{HEALTHY}    labels: {{{}}}\n", labels.join(", "));
        judged(&config::read(&folder.write(name, text))).map(drop)
    };
    assert!(judge("fits.yaml", 64, "x").is_ok());
    let mistakes = judge("many.yaml", 65, "x").unwrap_err();
    assert!(mistakes.contains("holds 65 labels, at most 64"), "{mistakes}");
    let mistakes = judge("long.yaml", 1, &"x".repeat(257)).unwrap_err();
    assert!(mistakes.contains("`l0` has to be a short text"), "{mistakes}");
}

#[test]
fn defaults_of_the_export_are_shown_and_leave_room_for_the_environment() {
    let folder = Folder::new("otlp");
    let loaded = judged(&config::read(&folder.write("a.yaml", format!("export: {{otlp: {{}}}}\n{HEALTHY}")))).unwrap();
    let printed = config::yaml(&loaded.effective);
    for line in ["protocol: http/protobuf", "compression: gzip", "timeout: 10s", "interval: 15s", "histograms: explicit", "successes: 1.0"]
    {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
    let otlp = loaded.config.otlp.unwrap();
    assert!(otlp.protocol.is_none() && otlp.compression.is_none() && otlp.timeout.is_none() && otlp.interval.is_none());
}

#[test]
fn what_nobody_sees_is_in_no_name_address_or_label() {
    let folder = Folder::new("hidden");
    for (number, hidden) in
        ["\u{1b}", "\u{7f}", "\u{9b}", "\u{ad}", "\u{200b}", "\u{202e}", "\u{2028}", "\u{2066}", "\u{feff}"].iter().enumerate()
    {
        let escaped = format!("\\u{:04X}", hidden.chars().next().unwrap() as u32);
        let text = format!(
            "agent: {{location: \"x{escaped}\"}}\nchecks:\n  - {{name: \"a{escaped}\", targets: [\"http://h/{escaped}\", {{name: \"b{escaped}\", \
             address: \"http://h/\", labels: {{tier: \"{escaped}1\"}}}}], peer_service: \"c{escaped}\"}}\n"
        );
        let told = judged(&config::read(&folder.write(&format!("{number}.yaml"), &text))).unwrap_err();
        assert_eq!(told.matches("a character that nobody sees").count(), 6, "{told}");
        assert!(told.contains(&escaped[2..]) && !told.contains(hidden), "{told}");
    }
}

#[test]
fn what_a_file_or_a_mistake_is_called_does_nothing_to_a_terminal() {
    let folder = Folder::new("terminal");
    let hidden = |char: char| config::visible::is_hidden(char) && char != '\n';
    let path = folder.write("\u{1b}[31m\n\u{202e}.yaml", "checks: [{name: a, \u{202e}target: \"\u{200b}http://h/\"}]\n");
    for told in [judged(&config::read(&path)).unwrap_err(), judged(&config::read(&folder.0.join("no\u{1b}such"))).unwrap_err()] {
        assert!(!told.contains(hidden) && told.contains("\\u{1b}"), "{told}");
    }
}

#[test]
fn what_is_substituted_is_never_shown() {
    let folder = Folder::new("substituted");
    folder.write("secret", "s3cr3t value\n");
    let value = "\"${file:secret}\"";
    let text = format!(
        "agent: {{location: [{value}], listen: {value}, auth: {{token: {{secret: {value}}}}}, log: {value}}}\nexport: {{otlp: {{endpoint: {value}, protocol: {value}, \
         successes: {value}, headers: {{a: {{secret: {value}}}}}}}}}\nsecrets: {{x: {{env: A, send_to: [{value}]}}}}\nplugins: {{broken: {{source: {value}, allow: \
         {{hosts: [{value}]}}}}}}\ndefaults: {{every: {value}}}\nchecks:\n  - {{name: {value}, target: {value}, plugin: {value}, retries: {value}}}\n  - {{name: {value}, targets: \
         [{value}], timeout: &t {value}, with: {{expect: {{latency: {value}, status: {value}}}}}, slo: {{objective: {value}}}, summary: {{plugin: {value}}}}}\n  - {{name: c, target: \
         \"http://h/\", timeout: *t, labels: {value}}}\n"
    );
    let document = config::read(&folder.write("a.yaml", &text));
    let mut schemas = schemas();
    schemas.insert("broken".to_owned(), Err(format!("cannot read {}: no such file", folder.0.join("s3cr3t value").display())));
    let told = document.judge(&schemas, Purpose::Schedule).unwrap_err().to_string();
    assert!(!told.contains("s3cr3t") && told.contains("${file:secret}"), "{told}");
    assert!(told.matches("substituted here").count() >= 20, "{told}");
}

#[test]
fn what_can_be_read_is_judged_beside_what_cannot() {
    let folder = Folder::new("beside");
    folder.write("conf/a.yaml", "checks: [");
    folder.write("conf/b.yaml", "agent: {locaton: here}\nplugins: {half: {}}\n");
    let told = judged(&config::read(&folder.0.join("conf"))).unwrap_err();
    assert!(told.contains("a.yaml:1:9: this is no YAML") && told.contains("b.yaml:1:9: unknown key `locaton`"), "{told}");
    assert!(!told.contains("has no `source`"), "the other file may say it: {told}");
}

#[test]
fn both_targets_and_the_target_beside_them_are_judged() {
    let folder = Folder::new("both");
    let told = judged(&config::read(&folder.write("a.yaml", "checks: [{name: a, target: one, targets: [two]}]\n"))).unwrap_err();
    assert!(told.contains("not both") && told.contains("`https://one`") && told.contains("`https://two`"), "{told}");
}

#[test]
fn a_run_that_does_not_fit_is_told_with_all_that_would_help() {
    let folder = Folder::new("budget");
    let hint = |more: &str| {
        let told = judged(&config::read(&folder.write("a.yaml", format!("{HEALTHY}{more}")))).unwrap_err();
        told.rsplit_once("hint: ").unwrap().1.to_owned()
    };
    let fits = |more: &str| judged(&config::read(&folder.write("a.yaml", format!("{HEALTHY}{more}")))).is_ok();
    assert_eq!(hint("    every: 3s\n"), "raise `every` to 4.1s, or lower `timeout` to 1.4s, or lower `retries` to 0");
    for more in ["every: 4.1s", "every: 3s\n    timeout: 1.4s", "every: 3s\n    retries: 0"] {
        assert!(fits(&format!("    {more}\n")), "{more}");
    }
    assert_eq!(hint("    every: 1s\n    retries: 0\n"), "raise `every` to 2s, or lower `timeout` to 1s");
    assert_eq!(hint("    every: 100ms\n    retries: 3\n"), "raise `every` to 8.7s");
}

#[test]
fn words_of_other_programs_are_understood() {
    let folder = Folder::new("words");
    let told =
        judged(&config::read(&folder.write("a.yaml", "checks: [{name: a, url: \"http://h/\", interval: 30s, expect: {}}]\n"))).unwrap_err();
    assert!(told.contains("did you mean `target`?") && told.contains("did you mean `every`?"), "{told}");
    assert!(told.contains("settings of the plugin stand under `with`"), "{told}");
    let told = judged(&config::read(&folder.write("a.yaml", format!("{HEALTHY}    retries: ${{RETRIES}}\n")))).unwrap_err();
    assert!(told.contains("not `${RETRIES}`") && told.contains("a variable is written `${env:NAME}`"), "{told}");
}

#[test]
fn plugins_are_judged_without_the_rest_and_a_document_may_be_readable_and_wrong() {
    let folder = Folder::new("listed");
    let document = config::read(&folder.write("a.yaml", "plugins: {broken: {source: ./broken.wasm}}\nchecks: [{name: a, target: x}]\n"));
    let told = document.judge_plugins(&schemas()).unwrap_err().to_string();
    assert!(told.contains("a.yaml:1:28: ./broken.wasm is not a component") && !told.contains("url"), "{told}");
    assert!(document.is_readable().is_ok() && config::read(Path::new("no/such")).is_readable().is_err());
}
