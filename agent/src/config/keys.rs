//! All keys there are: the one table from which the reader, its suggestions and the JSON Schema are derived.

use super::kind::Kind;
use super::locate;

/// A mapping with known keys.
#[derive(Debug)]
pub(super) struct Section {
    /// What stands in it.
    pub(super) keys: &'static [Key],
    /// A key that is not said has the value that `defaults:` gives it.
    pub(super) inherits: bool,
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// As it is written.
    pub(super) name: &'static str,
    /// What its value is.
    pub(super) kind: Kind,
    /// What holds if it is not there.
    pub(super) unsaid: Unsaid,
    /// For editors.
    pub(super) doc: &'static str,
}

/// What holds where nothing is said.
#[derive(Debug)]
pub(super) enum Unsaid {
    /// A mistake.
    Required,
    /// Nothing: what happens then the doc says.
    Nothing,
    /// The default, as YAML.
    Is(&'static str),
    /// A list of texts.
    Are(&'static [&'static str]),
    /// An empty mapping, whose own defaults hold.
    Empty,
    /// What this machine says.
    Machine(fn() -> String),
}

const fn section(keys: &'static [Key]) -> Section {
    Section { keys, inherits: false }
}

const fn key(name: &'static str, kind: Kind, unsaid: Unsaid, doc: &'static str) -> Key {
    Key { name, kind, unsaid, doc }
}

use Kind::{Duration, Either, File, Flag, Folder, Line, List, Map, Name, Path, Sub, Text, Whole, Word};
use Unsaid::{Are, Empty, Is, Machine, Nothing, Required};

/// A whole file.
pub(super) static ROOT: Section = section(&[
    key("agent", Sub(&AGENT), Empty, "The agent itself."),
    key("export", Sub(&EXPORT), Nothing, "Where results go. Absent: nothing leaves; page and API still serve."),
    key("secrets", Map(&Name, &Sub(&SECRET)), Empty, "Secrets by name. Plugins see the names only."),
    key("plugins", Map(&Name, &Sub(&PLUGIN)), Empty, "Plugins by name, beside those built in."),
    key("defaults", Sub(&DEFAULTS), Empty, "What holds for every check that does not say otherwise."),
    key("checks", List(&Sub(&CHECK)), Nothing, "What is watched."),
]);

static AGENT: Section = section(&[
    key("location", Name, Machine(locate::host_name), "Where this agent stands. Default: the host name."),
    key("listen", Kind::Listen, Is("127.0.0.1:9115"), "Address of status page, API and metrics, or \"off\"."),
    key("auth", Either(&Word(&["none"]), &AUTH), Nothing, "Who may see the page beyond loopback; `none` opens it to all."),
    key("state_dir", Folder, Machine(locate::state_dir), "What survives a restart, or \"off\". Default: the XDG state directory."),
    key("concurrency", Whole(1, MOST_AT_ONCE), Is("512"), "Runs in flight at most."),
    key("log", Sub(&LOG), Empty, "The agent's own log."),
]);

static AUTH: Section = section(&[key("token", Sub(&SECRET_NAME), Required, "Bearer token, or the login form of the page.")]);

static SECRET_NAME: Section = section(&[key("secret", Name, Required, "A name under `secrets:`.")]);

static LOG: Section = section(&[
    key("level", Word(&["error", "warn", "info", "debug", "trace"]), Is("info"), "The least that is logged."),
    key("format", Word(&["text", "json"]), Is("text"), "Lines for people, or JSON objects."),
    key("otlp", Flag, Is("false"), "Also send it over OTLP, under the service name vedette-agent."),
]);

static EXPORT: Section = section(&[key("otlp", Sub(&OTLP), Nothing, "OTLP: traces, metrics and events.")]);

/// What a file does not say here, `OTEL_*` may: the defaults are shown, and hold only if neither does.
static OTLP: Section = section(&[
    key("endpoint", Kind::Url, Nothing, "Base URL. Default: OTEL_EXPORTER_OTLP_ENDPOINT."),
    key("protocol", Word(&["http/protobuf", "grpc"]), Is("http/protobuf"), "How it travels."),
    key("headers", Map(&Kind::HeaderName, &Either(&Text, &SECRET_NAME)), Empty, "Sent with every request; texts or secrets."),
    key("compression", Word(&["none", "gzip", "zstd"]), Is("gzip"), "Of the body."),
    key("timeout", Duration, Is("10s"), "Of one request."),
    key("tls", Sub(&OTLP_TLS), Nothing, "Whom to trust, and who we are."),
    key("interval", Duration, Is("15s"), "Between two exports of metrics."),
    key("histograms", Word(&["explicit", "exponential"]), Is("explicit"), "Which histograms are sent."),
    key("successes", Kind::Share, Is("1.0"), "Share of successful runs whose trace is exported; all others always are."),
]);

static OTLP_TLS: Section = section(&[
    key("ca", File, Nothing, "Certificates to trust, PEM. Default: the system's."),
    key("certificate", File, Nothing, "Client certificate, PEM."),
    key("key", File, Nothing, "Its key, PEM."),
]);

static SECRET: Section = section(&[
    key("file", Path, Nothing, "The file that holds it; a final newline is not part of it."),
    key("env", Name, Nothing, "The environment variable that holds it."),
    key("send_to", List(&Kind::Origin), Are(&[]), "Origins that checks may send it to."),
]);

static PLUGIN: Section = section(&[
    key("source", Kind::Component, Required, "Path of the component."),
    key("allow", Sub(&ALLOW), Empty, "What it may reach."),
    key("limits", Sub(&LIMITS), Empty, "What one attempt may use."),
]);

static ALLOW: Section = section(&[
    key("hosts", List(&Kind::Host), Are(&[]), "`host[:port]`, and nothing else."),
    key("insecure_tls", Flag, Is("false"), "It may go on where the verification of a certificate failed."),
]);

static LIMITS: Section = section(&[
    key("memory", Kind::Size, Is("64MiB"), "Linear memory."),
    key("cpu", Duration, Is("100ms"), "CPU time."),
    key("exchanges", Whole(1, 10_000), Is("16"), "Exchanges over the network."),
]);

/// What others call a key, and what it is called here.
pub(super) const ELSEWHERE: [(&str, &str); 8] = [
    ("url", "target"),
    ("urls", "targets"),
    ("address", "target"),
    ("hosts", "targets"),
    ("interval", "every"),
    ("frequency", "every"),
    ("type", "plugin"),
    ("settings", "with"),
];

const EVERY: Key = key("every", Duration, Is("30s"), "Between two runs.");
const TIMEOUT: Key = key("timeout", Duration, Is("2s"), "Of one attempt.");
/// Runs in flight that may be allowed, at most: each has a slot of the sandbox, and the kernel counts their mappings.
pub(super) const MOST_AT_ONCE: u32 = 30_000;

/// Further attempts that a check may have, at most.
pub const MOST_RETRIES: u32 = 100;

const RETRIES: Key = key("retries", Whole(0, MOST_RETRIES), Is("1"), "Further attempts after a transient failure.");
const PROPAGATE: Key = key("propagate_trace", Flag, Is("true"), "Whether targets get `traceparent`.");
const SUMMARISE: Key = key("summary", Sub(&SUMMARY), Empty, "How results become a state.");

static DEFAULTS: Section = section(&[EVERY, TIMEOUT, RETRIES, PROPAGATE, SUMMARISE]);

static CHECK: Section = Section {
    keys: &[
        key("name", Name, Required, "What it is called."),
        key("plugin", Name, Is("http"), "What checks."),
        key("target", Line, Nothing, "The one address to watch."),
        key("targets", List(&Either(&Line, &TARGET)), Nothing, "Several to watch."),
        EVERY,
        TIMEOUT,
        RETRIES,
        key("with", Kind::Settings, Empty, "Settings of the plugin; its own schema judges them."),
        SUMMARISE,
        key("slo", Sub(&SLO), Nothing, "What is promised."),
        key("labels", Map(&Kind::LabelName, &Name), Empty, "On all its series."),
        PROPAGATE,
        key("peer_service", Name, Nothing, "`service.peer.name` on the spans."),
    ],
    inherits: true,
};

static TARGET: Section = section(&[
    key("name", Name, Nothing, "What it is called. Default: its address without scheme and trailing slash."),
    key("address", Line, Required, "What to watch."),
    key("labels", Map(&Kind::LabelName, &Name), Empty, "On all its series; they win over those of the check."),
]);

static SUMMARY: Section = section(&[
    key("plugin", Name, Is("availability"), "What summarises."),
    key("windows", List(&Duration), Are(&["5m", "1h", "24h"]), "Over which it is summarised."),
    key("with", Kind::Settings, Empty, "Settings of the summariser."),
]);

static SLO: Section = section(&[
    key("objective", Kind::Percent, Required, "The share of runs that is promised to succeed, such as `99.9%`."),
    key("window", Duration, Is("30d"), "Over which it is kept."),
]);
