//! `agent:`, `export:`, `secrets:` and `plugins:` as the agent reads them. Their form is right when they come here, or
//! has been told: what is wrong has its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::BUILTIN;
use super::kind;
use super::locate;
use super::mistake::{Found, Mistake, Place, SUBSTITUTED, meant, quoted};
use super::model::{
    AgentConfig, Auth, Compression, LimitsConfig, LogConfig, OtlpConfig, OtlpProtocol, PluginConfig, SecretConfig, SecretSource, Text,
};
use super::quantity;
use super::tree::{Node, Value};

/// `agent:`
pub(super) fn agent(node: Option<&Node>) -> AgentConfig {
    let text = |key| node.and_then(|node| node.text(key));
    let listen = text("listen").unwrap_or("127.0.0.1:9115");
    let state_dir = text("state_dir").map_or_else(locate::state_dir, str::to_owned);
    AgentConfig {
        location: text("location").map_or_else(locate::host_name, str::to_owned),
        listen: listen.parse().ok(),
        auth: auth(node.and_then(|node| node.get("auth"))),
        state_dir: (state_dir != "off").then(|| PathBuf::from(state_dir)),
        concurrency: node.and_then(|node| node.whole("concurrency")).unwrap_or(512),
        log: log(node.and_then(|node| node.get("log"))),
    }
}

fn auth(node: Option<&Node>) -> Auth {
    let secret = node.and_then(|node| node.get("token")?.text("secret"));
    match (node.map(|node| &node.value), secret) {
        (_, Some(secret)) => Auth::Token { secret: secret.to_owned() },
        (Some(Value::Text(_)), None) => Auth::Open,
        _ => Auth::Unset,
    }
}

fn log(node: Option<&Node>) -> LogConfig {
    let level = node.and_then(|node| node.text("level")?.parse().ok());
    LogConfig {
        level: level.unwrap_or(tracing::Level::INFO),
        json: node.and_then(|node| node.text("format")) == Some("json"),
        otlp: node.and_then(|node| node.flag("otlp")).unwrap_or(false),
    }
}

/// `export.otlp:`
pub(super) fn otlp(node: &Node, secrets: &Secrets<'_>, found: &mut Found) -> OtlpConfig {
    let tls = |key| node.get("tls").and_then(|tls| tls.path(key)).map(PathBuf::from);
    // What no file says is for `OTEL_*` to say.
    let said = |key| node.said(key).and_then(Node::as_text);
    let config = OtlpConfig {
        endpoint: said("endpoint").map(str::to_owned),
        protocol: said("protocol").map(|word| if word == "grpc" { OtlpProtocol::Grpc } else { OtlpProtocol::Http }),
        headers: headers(node, secrets, found),
        compression: said("compression").map(|word| match word {
            "gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            _ => Compression::None,
        }),
        timeout: node.said("timeout").and_then(Node::as_duration),
        tls_ca: tls("ca"),
        tls_certificate: tls("certificate"),
        tls_key: tls("key"),
        interval: node.said("interval").and_then(Node::as_duration),
        exponential_histograms: node.text("histograms") == Some("exponential"),
        successes: node
            .get("successes")
            .and_then(|node| if let Value::Number(number) = &node.value { number.as_f64() } else { None })
            .unwrap_or(1.0),
    };
    if let Some(tls) = node.get("tls").filter(|tls| tls.get("certificate").is_some() != tls.get("key").is_some()) {
        found.add(Mistake::new(tls.place, "`certificate` and `key` of `tls` go together"));
    }
    config
}

fn headers(node: &Node, secrets: &Secrets<'_>, found: &mut Found) -> BTreeMap<String, Text> {
    let mut headers = BTreeMap::new();
    for entry in node.get("headers").into_iter().flat_map(Node::entries) {
        let text = match (&entry.node.value, entry.node.get("secret")) {
            (Value::Text(text), _) if http::HeaderValue::from_str(text).is_ok() => Text::Plain(text.clone()),
            (Value::Text(_), _) => {
                found.add(Mistake::new(entry.node.place, format!("{} cannot be sent as a header field", quoted(&entry.key))));
                continue;
            }
            (_, Some(secret)) => {
                secrets.check(secret, found);
                Text::Secret(secret.as_text().unwrap_or_default().to_owned())
            }
            _ => continue,
        };
        headers.insert(entry.key.clone(), text);
    }
    headers
}

/// The names under `secrets:`.
pub(super) struct Secrets<'a>(Vec<&'a str>);

impl<'a> Secrets<'a> {
    /// Of a whole configuration.
    pub(super) fn of(tree: &'a Node) -> Self {
        Self(tree.get("secrets").into_iter().flat_map(Node::entries).map(|entry| entry.key.as_str()).collect())
    }

    /// Whether a name is known; a mistake if it is not.
    pub(super) fn check(&self, node: &Node, found: &mut Found) -> bool {
        let Some(name) = node.as_text() else { return true };
        let known = self.0.contains(&name);
        if !known {
            let hint = meant(name, self.0.iter().copied()).unwrap_or_else(|| "name it there, with `file:` or `env:`".to_owned());
            let message = format!("no {} stands under `secrets:`", node.place.named("secret", name));
            found.add(Mistake::new(node.place, message).hint(Some(hint)));
        }
        known
    }
}

/// `secrets:`
pub(super) fn secrets(tree: &Node, found: &mut Found) -> BTreeMap<String, SecretConfig> {
    let mut secrets = BTreeMap::new();
    for entry in tree.get("secrets").into_iter().flat_map(Node::entries).filter(|entry| !entry.node.is_wrong()) {
        let node = &entry.node;
        let (file, env) = (node.get("file"), node.get("env"));
        if file.is_some() == env.is_some() {
            let message = format!("the secret {} has to have either `file` or `env`", quoted(&entry.key));
            found.add(Mistake::new(entry.place, message));
            continue;
        }
        let source = match (file.and_then(Node::as_text), env.and_then(Node::as_text)) {
            (Some(file), _) => SecretSource::File(file.into()),
            (_, Some(env)) => SecretSource::Env(env.to_owned()),
            _ => continue,
        };
        let origins = node.get("send_to").into_iter().flat_map(Node::items).filter_map(|origin| kind::origin(origin.as_text()?));
        secrets.insert(entry.key.clone(), SecretConfig { source, send_to: origins.collect() });
    }
    secrets
}

/// `plugins:`
pub(super) fn plugins(tree: &Node, schemas: &super::Schemas, found: &mut Found) -> BTreeMap<String, PluginConfig> {
    let mut plugins = BTreeMap::new();
    for entry in tree.get("plugins").into_iter().flat_map(Node::entries) {
        if BUILTIN.contains(&entry.key.as_str()) {
            let message = format!("{} is the name of a built-in plugin", quoted(&entry.key));
            found.add(Mistake::new(entry.place, message).hint(Some("give yours another name")));
            continue;
        }
        let Some(source) = entry.node.path("source") else { continue };
        if let Some(Err(why)) = schemas.get(&entry.key) {
            let place = entry.node.get("source").map_or(Place::NOWHERE, |source| source.place);
            let why = if place.is_substituted() { why.replace(&*source.to_string_lossy(), SUBSTITUTED) } else { why.clone() };
            found.add(Mistake::new(place.or(entry.place), why));
        }
        let allow = entry.node.get("allow");
        let hosts = allow.and_then(|allow| allow.get("hosts")).into_iter().flat_map(Node::items);
        let plugin = PluginConfig {
            source: source.to_owned(),
            allow_hosts: hosts.filter_map(|host| kind::host(host.as_text()?)).collect(),
            allow_insecure_tls: allow.and_then(|allow| allow.flag("insecure_tls")).unwrap_or(false),
            limits: limits(entry.node.get("limits")),
        };
        plugins.insert(entry.key.clone(), plugin);
    }
    plugins
}

fn limits(node: Option<&Node>) -> LimitsConfig {
    LimitsConfig {
        memory: node.and_then(|node| quantity::size(node.text("memory")?).ok()),
        cpu: node.and_then(|node| node.duration("cpu")),
        exchanges: node.and_then(|node| node.whole("exchanges")),
    }
}
