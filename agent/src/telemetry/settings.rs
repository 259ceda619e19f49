//! Where telemetry goes, and how: the configuration file over `OTEL_*` over defaults. Pure: the environment is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::TelemetryError;
use super::otlp::Signal;
use crate::config::{Compression, OtlpConfig, OtlpProtocol, Text};

/// `OTEL_*` of the environment. What is empty is as good as not set, as the specification says.
#[derive(Debug, Default)]
pub(super) struct Env(BTreeMap<String, String>);

impl Env {
    /// That of the process.
    pub(super) fn of_process() -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(texts.filter(|(name, _)| name.starts_with("OTEL_")).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// `OTEL_EXPORTER_OTLP_{SIGNAL}_{what}`, or else `OTEL_EXPORTER_OTLP_{what}`; with the name it was found under.
    fn exporter(&self, signal: Signal, what: &str) -> Option<(String, &str)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.word().to_uppercase()), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// A length of time in milliseconds, not 0.
    fn millis(&self, name: &str) -> Result<Option<Duration>, TelemetryError> {
        self.get(name).map(|value| millis(name, value)).transpose()
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn asks_for_export(&self) -> bool {
        self.0.keys().any(|name| name.starts_with("OTEL_EXPORTER_OTLP_") && self.get(name).is_some())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Env {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// How one signal travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) signal: Signal,
    pub(super) protocol: OtlpProtocol,
    /// Whole over HTTP; scheme and authority over gRPC.
    pub(super) url: url::Url,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) compression: Compression,
    /// Of one request.
    pub(super) timeout: Duration,
    /// PEM.
    pub(super) tls_ca: Option<PathBuf>,
    /// PEM.
    pub(super) tls_certificate: Option<PathBuf>,
    /// PEM.
    pub(super) tls_key: Option<PathBuf>,
}

/// All there is to know before telemetry starts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Of traces, metrics and logs; none = nothing leaves.
    pub(super) routes: Option<[Route; 3]>,
    /// Of metrics.
    pub(super) interval: Duration,
    /// How long a span may wait for others.
    pub(super) span_delay: Duration,
    /// How long an event may wait for others.
    pub(super) event_delay: Duration,
    pub(super) exponential_histograms: bool,
    /// Share of successful runs whose trace is exported.
    pub(super) successes: f64,
}

const INTERVAL: Duration = Duration::from_secs(15);
const DELAY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    pub(super) fn read(file: Option<&OtlpConfig>, secrets: &BTreeMap<String, String>, env: &Env) -> Result<Self, TelemetryError> {
        let wanted = (file.is_some() || env.asks_for_export()) && !env.is_true("OTEL_SDK_DISABLED");
        let [traces, metrics, logs] = Signal::ALL.map(|signal| wanted.then(|| route(signal, file, secrets, env)).transpose());
        let interval = file.and_then(|file| file.interval).filter(|interval| !interval.is_zero());
        Ok(Self {
            routes: match (traces?, metrics?, logs?) {
                (Some(traces), Some(metrics), Some(logs)) => Some([traces, metrics, logs]),
                _ => None,
            },
            interval: interval.map_or_else(|| env.millis("OTEL_METRIC_EXPORT_INTERVAL"), |set| Ok(Some(set)))?.unwrap_or(INTERVAL),
            span_delay: env.millis("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(DELAY),
            event_delay: env.millis("OTEL_BLRP_SCHEDULE_DELAY")?.unwrap_or(DELAY),
            exponential_histograms: file.is_some_and(|file| file.exponential_histograms),
            successes: file.map_or(1.0, |file| file.successes.clamp(0.0, 1.0)),
        })
    }
}

fn route(signal: Signal, file: Option<&OtlpConfig>, secrets: &BTreeMap<String, String>, env: &Env) -> Result<Route, TelemetryError> {
    let protocol = match (file.and_then(|file| file.protocol), env.exporter(signal, "PROTOCOL")) {
        (Some(protocol), _) => protocol,
        (None, Some((name, value))) => protocol(&name, value)?,
        (None, None) => OtlpProtocol::Http,
    };
    let compression = match (file.and_then(|file| file.compression), env.exporter(signal, "COMPRESSION")) {
        (Some(compression), _) => compression,
        (None, Some((name, value))) => compression(&name, value)?,
        (None, None) => Compression::Gzip,
    };
    let timeout = match (file.and_then(|file| file.timeout), env.exporter(signal, "TIMEOUT")) {
        (Some(timeout), _) => timeout,
        (None, Some((name, value))) => millis(&name, value)?,
        (None, None) => TIMEOUT,
    };
    let path = |of_file: Option<&PathBuf>, what| of_file.cloned().or_else(|| env.exporter(signal, what).map(|(_, path)| path.into()));
    Ok(Route {
        signal,
        protocol,
        url: endpoint(signal, protocol, file.and_then(|file| file.endpoint.as_deref()), env)?,
        headers: headers(signal, file, secrets, env)?,
        compression,
        timeout,
        tls_ca: path(file.and_then(|file| file.tls_ca.as_ref()), "CERTIFICATE"),
        tls_certificate: path(file.and_then(|file| file.tls_certificate.as_ref()), "CLIENT_CERTIFICATE"),
        tls_key: path(file.and_then(|file| file.tls_key.as_ref()), "CLIENT_KEY"),
    })
}

/// The path of a signal is added to a base, and never to an endpoint that is meant for that signal alone.
fn endpoint(signal: Signal, protocol: OtlpProtocol, of_file: Option<&str>, env: &Env) -> Result<url::Url, TelemetryError> {
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.word().to_uppercase());
    let (name, text, whole) = if let Some(text) = of_file {
        ("export.otlp.endpoint", text, false)
    } else if let Some(text) = env.get(&own) {
        (own.as_str(), text, true)
    } else if let Some(text) = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", text, false)
    } else if protocol == OtlpProtocol::Grpc {
        ("the default endpoint", "http://localhost:4317", false)
    } else {
        ("the default endpoint", "http://localhost:4318", false)
    };
    let mut text = text.trim_end_matches('/').to_owned();
    if protocol == OtlpProtocol::Grpc && !text.contains("://") {
        // As the specification has it: a bare `host:port` is TLS unless it is said to be insecure.
        let insecure = env.exporter(signal, "INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        text = format!("{}://{text}", if insecure { "http" } else { "https" });
    } else if protocol == OtlpProtocol::Http && !whole {
        text = format!("{text}/v1/{}", signal.word());
    }
    let wrong = |why: &str| TelemetryError(format!("{name} is {text:?}: {why}; it has to be a URL such as http://localhost:4318"));
    let url = url::Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(wrong("neither http nor https")),
    }
}

fn headers(
    signal: Signal,
    file: Option<&OtlpConfig>,
    secrets: &BTreeMap<String, String>,
    env: &Env,
) -> Result<BTreeMap<String, String>, TelemetryError> {
    let given = env.exporter(signal, "HEADERS").map(|(_, value)| value).unwrap_or_default();
    let mut all: BTreeMap<_, _> = pairs(given).map(|(name, value)| (name.to_lowercase(), value)).collect();
    for (name, text) in file.iter().flat_map(|file| &file.headers) {
        let value = match text {
            Text::Plain(value) => value,
            Text::Secret(secret) => secrets
                .get(secret)
                .ok_or_else(|| TelemetryError(format!("export.otlp.headers.{name} names the secret {secret:?}, which has no value")))?,
        };
        all.insert(name.to_lowercase(), value.clone());
    }
    Ok(all)
}

fn protocol(name: &str, value: &str) -> Result<OtlpProtocol, TelemetryError> {
    match value {
        "grpc" => Ok(OtlpProtocol::Grpc),
        "http/protobuf" => Ok(OtlpProtocol::Http),
        _ => Err(TelemetryError(format!("{name} is {value:?}: it has to be http/protobuf or grpc"))),
    }
}

fn compression(name: &str, value: &str) -> Result<Compression, TelemetryError> {
    match value {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(TelemetryError(format!("{name} is {value:?}: it has to be none, gzip or zstd"))),
    }
}

fn millis(name: &str, value: &str) -> Result<Duration, TelemetryError> {
    match value.parse() {
        Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
        _ => Err(TelemetryError(format!("{name} is {value:?}: it has to be a number of milliseconds, at least 1"))),
    }
}

/// `key=value,key=value`, percent-encoded, as `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_HEADERS` have it.
/// What is no pair is left out.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decoded(key.trim());
        (!key.is_empty()).then(|| (key, percent_decoded(value.trim())))
    };
    text.split(',').filter_map(pair)
}

fn percent_decoded(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        let pair = (byte == b'%').then(|| Some((hex(bytes.get(at + 1)?)?, hex(bytes.get(at + 2)?)?))).flatten();
        let decoded = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        plain.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests;
