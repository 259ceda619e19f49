//! `agent.log.otlp`: the agent's own log over OTLP, through the SDK, where loss is tolerable. It has a service name of
//! its own, so that it never mixes with what is said about targets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tokio::runtime::Handle;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::encode::Plain;
use super::otlp::Signal;
use super::queue;
use super::resource::facts;
use super::sender::{Transport, Verdict};
use super::settings::{Env, Route, Settings};
use crate::clock::Timestamp;
use crate::config::OtlpConfig;

/// What is left is sent for at most so long when the agent ends.
const FLUSH: Duration = Duration::from_secs(2);

/// Whoever speaks under this name is heard on stderr like a library, and is never sent.
const UNSENT: &str = "opentelemetry";

type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// The agent's own log on its way to a collector. The log begins before the configuration has been judged, which says
/// where to: until [`Diagnostics::start`] nothing is sent.
#[derive(Default)]
pub struct Diagnostics {
    bridge: Arc<OnceLock<Bridge>>,
    provider: Option<SdkLoggerProvider>,
}

impl Diagnostics {
    /// For the log: takes the lines of our own code, down to a level.
    pub fn layer<S>(&self, level: Level) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // Only our own code: what the libraries say that send these lines would never end.
        Outlet(Arc::clone(&self.bridge)).with_filter(Targets::new().with_target("vedette", level))
    }

    /// Sends from now on, where `export.otlp` and `OTEL_*` lead to. Must be called within a tokio runtime.
    pub fn start(
        &mut self,
        otlp: Option<&OtlpConfig>,
        secrets: &BTreeMap<String, String>,
        instance_id: &str,
    ) -> Result<(), TelemetryError> {
        self.start_with(otlp, secrets, instance_id, &Env::of_process())
    }

    fn start_with(
        &mut self,
        otlp: Option<&OtlpConfig>,
        secrets: &BTreeMap<String, String>,
        instance_id: &str,
        env: &Env,
    ) -> Result<(), TelemetryError> {
        let Some([.., route]) = Settings::read(otlp, secrets, env)?.routes else {
            tracing::warn!("agent.log.otlp is set, but neither export.otlp nor OTEL_EXPORTER_OTLP_ENDPOINT says where to send");
            return Ok(());
        };
        let provider =
            SdkLoggerProvider::builder().with_resource(resource(env, instance_id)).with_batch_exporter(exporter(&route)?).build();
        let _ = self.bridge.set(Bridge::new(&provider));
        self.provider = Some(provider);
        Ok(())
    }

    /// Sends what is left, for a short while.
    pub async fn end(self) {
        let Some(provider) = self.provider else { return };
        // The SDK blocks; and what could not be sent has been complained about already.
        let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
    }
}

fn resource(env: &Env, instance_id: &str) -> Resource {
    let mut facts = facts(env, instance_id);
    facts.insert("service.name".to_owned(), "vedette-agent".to_owned());
    Resource::builder_empty().with_attributes(facts.into_iter().map(|(key, value)| KeyValue::new(key, value))).build()
}

/// The SDK's exporter over our own way to the collector. Only so do headers, certificates, proxies and gRPC follow the
/// very settings that results follow: left to itself, the SDK lets headers of the environment win over the file's.
fn exporter(route: &Route) -> Result<LogExporter, TelemetryError> {
    let runtime = Handle::try_current().map_err(|_| TelemetryError("agent.log.otlp needs a tokio runtime".to_owned()))?;
    let way = Way { transport: Transport::new(route)?, failing: AtomicBool::new(false) };
    let builder = LogExporter::builder().with_http().with_http_client(Client { way: Arc::new(way), runtime });
    let builder = builder.with_endpoint(route.url.as_str()).with_protocol(Protocol::HttpBinary).with_timeout(route.timeout);
    builder.build().map_err(|error| TelemetryError(format!("agent.log.otlp: {error}")))
}

/// The layer itself: silent until there is a bridge.
struct Outlet(Arc<OnceLock<Bridge>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Outlet {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(bridge) = self.0.get() {
            bridge.on_event(event, context);
        }
    }
}

/// Takes the SDK's requests, which come on a thread of its own, to the runtime.
#[derive(Debug)]
struct Client {
    way: Arc<Way>,
    runtime: Handle,
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let way = Arc::clone(&self.way);
        let sent = self.runtime.spawn(async move { way.post(&request.into_body()).await });
        Box::pin(async move {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = sent.await?;
            Ok(response)
        })
    }
}

#[derive(Debug)]
struct Way {
    transport: Transport,
    /// Whether the last try failed.
    failing: AtomicBool,
}

impl Way {
    /// The verdict as the SDK understands it. Of these it tries 503 again, a few times.
    async fn post(&self, body: &Bytes) -> StatusCode {
        let plain = Plain { signal: Signal::Logs, items: 1, body: body.to_vec() };
        let request = queue::Request::new(plain, Timestamp::now());
        let (status, complaint) = match self.transport.send(&request).await {
            Verdict::Accepted { rejected: 0, .. } => (StatusCode::OK, None),
            Verdict::Accepted { rejected, message } => (StatusCode::OK, Some(format!("{rejected} lines refused: {message}"))),
            Verdict::Later { why, .. } => (StatusCode::SERVICE_UNAVAILABLE, Some(why)),
            Verdict::TooLong(why) => (StatusCode::PAYLOAD_TOO_LARGE, Some(why)),
            Verdict::Refused(why) => (StatusCode::BAD_REQUEST, Some(why)),
            Verdict::Stumbled(why) => (StatusCode::INTERNAL_SERVER_ERROR, Some(why)),
        };
        let failed_before = self.failing.swap(complaint.is_some(), Ordering::Relaxed);
        if let (Some(why), false) = (complaint, failed_before) {
            tracing::warn!(target: UNSENT, why, "the agent's own log does not reach the collector; lines of it are lost until it does");
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use prost::Message;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::fake::{Attempt, Fake, Reply};
    use super::super::sample;
    use super::*;
    use crate::config::{Compression, OtlpProtocol, Text};

    fn to(fake: &Fake) -> OtlpConfig {
        OtlpConfig { endpoint: Some(fake.url.clone()), ..OtlpConfig::default() }
    }

    /// Logs as the agent does at level info: `say` before it is known where to, and then `say` again.
    fn started(file: &OtlpConfig, env: &Env, say: impl Fn(&str)) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let subscriber = tracing_subscriber::registry().with(diagnostics.layer(Level::INFO));
        let secrets = BTreeMap::from([("TOKEN".to_owned(), "of the file".to_owned())]);
        tracing::subscriber::with_default(subscriber, || {
            say("early");
            diagnostics.start_with(Some(file), &secrets, "an-id", env).unwrap();
            say("ours");
        });
        diagnostics
    }

    fn bodies(attempt: &Attempt) -> Vec<String> {
        let body = |value: Option<Any>| if let Some(Any::StringValue(text)) = value { text } else { format!("{value:?}") };
        attempt.events().into_iter().map(|event| body(event.body.and_then(|body| body.value))).collect()
    }

    #[tokio::test]
    async fn lines_of_our_own_code_leave_under_a_service_name_of_their_own_and_others_do_not() {
        let fake = Fake::start([]).await;
        let env = [("OTEL_SERVICE_NAME", "watch"), ("OTEL_RESOURCE_ATTRIBUTES", "team=web")].into_iter().collect();
        let diagnostics = started(&to(&fake), &env, |word| {
            tracing::info!(probes = 3, "{word}");
            tracing::info!(target: "vedette::plan", "of a module");
            tracing::debug!("below the level");
            tracing::error!(target: "hyper", "of a library");
            tracing::error!(target: UNSENT, "about sending");
        });
        diagnostics.end().await;
        let attempts = fake.attempts();
        assert_eq!(attempts.iter().map(|attempt| attempt.path.as_str()).collect::<Vec<_>>(), ["/v1/logs"]);
        // The SDK groups lines by their module, in no order.
        let mut said: Vec<_> = bodies(&attempts[0]).into_iter().zip(attempts[0].events()).collect();
        said.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(said.iter().map(|(body, _)| body.as_str()).collect::<Vec<_>>(), ["of a module", "ours"]);
        let event = &said[1].1;
        assert_eq!((event.severity_text.as_str(), event.attributes.iter().map(sample::shown).collect()), ("INFO", vec!["3".to_owned()]));
        let request = ExportLogsServiceRequest::decode(attempts[0].plain.as_slice()).unwrap();
        let resource = request.resource_logs[0].resource.clone().unwrap();
        let facts: BTreeMap<_, _> = resource.attributes.iter().map(|pair| (pair.key.as_str(), sample::shown(pair))).collect();
        assert_eq!((facts["service.name"].as_str(), facts["service.instance.id"].as_str()), ("vedette-agent", "an-id"));
        assert_eq!(facts["team"], "web");
    }

    #[tokio::test]
    async fn they_travel_as_results_do_and_the_file_wins_over_the_environment() {
        let fake = Fake::start([]).await;
        let headers = BTreeMap::from([("x-token".to_owned(), Text::Secret("TOKEN".to_owned()))]);
        let file = OtlpConfig { protocol: Some(OtlpProtocol::Grpc), compression: Some(Compression::Zstd), headers, ..to(&fake) };
        let env = [("OTEL_EXPORTER_OTLP_HEADERS", "x-token=of the environment,x-more=1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        started(&file, &env.into_iter().collect(), |word| tracing::warn!("{word}")).end().await;
        let attempts = fake.attempts();
        assert_eq!(attempts[0].path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
        assert_eq!(
            (&attempts[0].headers["x-token"], &attempts[0].headers["x-more"]),
            (&"of the file".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!(bodies(&attempts[0]), ["ours"]);
    }

    #[tokio::test]
    async fn a_collector_that_is_busy_is_asked_again() {
        let fake = Fake::start([Reply::Status(503)]).await;
        started(&to(&fake), &Env::default(), |word| tracing::info!("{word}")).end().await;
        assert_eq!(fake.attempts().iter().map(|attempt| attempt.taken).collect::<Vec<_>>(), [false, true]);
    }

    #[tokio::test]
    async fn a_collector_that_never_answers_does_not_keep_the_agent_from_ending() {
        let fake = Fake::start([Reply::Hang]).await;
        let file = OtlpConfig { timeout: Some(Duration::from_hours(1)), ..to(&fake) };
        started(&file, &Env::default(), |word| tracing::info!("{word}")).end().await;
        assert_eq!(fake.attempts().len(), 1);
    }

    #[tokio::test]
    async fn with_nowhere_to_send_nothing_starts() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.start_with(None, &BTreeMap::new(), "an-id", &Env::default()).unwrap();
        assert!(diagnostics.bridge.get().is_none());
        diagnostics.end().await;
    }
}
