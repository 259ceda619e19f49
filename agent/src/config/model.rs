//! The configuration once it has been found right: what the rest of the agent reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::outcome::Label;

/// A whole configuration, merged from its files, defaults filled in, `${…}` substituted.
#[derive(Clone, Debug)]
pub struct Config {
    /// `agent:`
    pub agent: AgentConfig,
    /// `export.otlp:`; none = nothing leaves (unless `OTEL_EXPORTER_OTLP_*` says otherwise).
    pub otlp: Option<OtlpConfig>,
    /// `secrets:`
    pub secrets: BTreeMap<String, SecretConfig>,
    /// `plugins:`
    pub plugins: BTreeMap<String, PluginConfig>,
    /// `checks:`, in the order of the files.
    pub checks: Vec<CheckConfig>,
}

/// `agent:`
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Where this agent stands; the host name by default.
    pub location: String,
    /// Status page and API; none = `off`.
    pub listen: Option<SocketAddr>,
    /// Who may see the page beyond loopback.
    pub auth: Auth,
    /// What survives a restart; none = `off`.
    pub state_dir: Option<PathBuf>,
    /// Runs in flight at most.
    pub concurrency: u32,
    /// `log:`
    pub log: LogConfig,
}

/// `agent.auth`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not said: beyond loopback only `/healthz` and `/readyz` are served.
    Unset,
    /// `auth: none`: open to all.
    Open,
    /// `auth: {token: {secret: NAME}}`: bearer token, or the login form.
    Token {
        /// Name under `secrets:`.
        secret: String,
    },
}

/// `agent.log`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// error, warn, info, debug, trace.
    pub level: tracing::Level,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Also send the agent's own diagnostics over OTLP.
    pub otlp: bool,
}

/// `export.otlp`. What is not said is `None` here, so that `OTEL_*` can fill it.
#[derive(Clone, Debug, Default)]
pub struct OtlpConfig {
    /// Base URL.
    pub endpoint: Option<String>,
    /// Transport.
    pub protocol: Option<OtlpProtocol>,
    /// Sent with every request.
    pub headers: BTreeMap<String, Text>,
    /// Of the body.
    pub compression: Option<Compression>,
    /// Of one request.
    pub timeout: Option<Duration>,
    /// CA, PEM.
    pub tls_ca: Option<PathBuf>,
    /// Client certificate, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Client key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Of metrics.
    pub interval: Option<Duration>,
    /// `histograms: exponential`.
    pub exponential_histograms: bool,
    /// Share of successful runs whose trace is exported, 0..=1.
    pub successes: f64,
}

/// A text, or the name of a secret that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it stands.
    Plain(String),
    /// Name under `secrets:`.
    Secret(String),
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `http/protobuf`
    Http,
    /// `grpc`
    Grpc,
}

/// How OTLP is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// zstd
    Zstd,
}

/// An entry of `secrets:`.
#[derive(Clone, Debug)]
pub struct SecretConfig {
    /// Where its value is.
    pub source: SecretSource,
    /// Origins (`https://host[:port]`) that it may be sent to by checks; empty = none.
    pub send_to: Vec<url::Origin>,
}

/// Where a secret's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; a final newline is not part of it.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// An entry of `plugins:`.
#[derive(Clone, Debug)]
pub struct PluginConfig {
    /// Path of the component.
    pub source: PathBuf,
    /// `host[:port]` that it may reach.
    pub allow_hosts: Vec<AllowedHost>,
    /// It may go on where verification failed.
    pub allow_insecure_tls: bool,
    /// What it may use.
    pub limits: LimitsConfig,
}

/// An entry of `allow.hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// Name or IP address, lower case.
    pub host: String,
    /// That port only.
    pub port: Option<u16>,
}

/// `limits:`; what is not said has the host's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitsConfig {
    /// Bytes of linear memory.
    pub memory: Option<u64>,
    /// CPU time of one attempt.
    pub cpu: Option<Duration>,
    /// Exchanges of one attempt.
    pub exchanges: Option<u32>,
}

/// An entry of `checks:`.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// Unique.
    pub name: String,
    /// Name of the plugin.
    pub plugin: String,
    /// At least one.
    pub targets: Vec<TargetConfig>,
    /// Whether it was written as `targets:`, so that its services are called `check/target`.
    pub several: bool,
    /// Between two runs.
    pub every: Duration,
    /// Of one attempt.
    pub timeout: Duration,
    /// Further attempts after a transient failure.
    pub retries: u32,
    /// `with:` as JSON text: accepted by the plugin's schema, defaults filled in, formats turned.
    pub settings: String,
    /// Files named by settings of the format `vedette-file`: handle to path.
    pub files: BTreeMap<String, PathBuf>,
    /// Secrets named by settings of the format `vedette-secret`: what the check is granted.
    pub secrets: Vec<String>,
    /// `summary:`
    pub summary: SummaryConfig,
    /// `slo:`
    pub slo: Option<SloConfig>,
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Whether targets get `traceparent`.
    pub propagate_trace: bool,
    /// `service.peer.name`
    pub peer_service: Option<String>,
}

/// A target of a check.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Unique within its check.
    pub name: String,
    /// As the operator wrote it, user information included: never shown.
    pub address: String,
    /// Sorted by name.
    pub labels: Vec<Label>,
}

/// `summary:`
#[derive(Clone, Debug)]
pub struct SummaryConfig {
    /// Name of the summariser.
    pub plugin: String,
    /// Shortest first.
    pub windows: Vec<Duration>,
    /// `with:` as JSON text, as for a check.
    pub settings: String,
}

/// `slo:`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SloConfig {
    /// 0..1, e.g. 0.999.
    pub objective: f64,
    /// Over which it is kept.
    pub window: Duration,
}
