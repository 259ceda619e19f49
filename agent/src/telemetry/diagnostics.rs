//! `agent.log.otlp`: the agent's own debug tracing over OTLP, through the SDK, where loss is tolerable. It has a service
//! name of its own, so that it never mixes with what is said about targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use prost::Message;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::encode::Plain;
use super::otlp::Signal;
use super::queue::Request;
use super::sender::Transport;
use super::settings::{Env, Settings};
use crate::clock::Timestamp;
use crate::config::{Compression, OtlpConfig};

/// Sends spans of the agent's own code where `export.otlp` and `OTEL_*` lead to; none if they lead nowhere. Must be
/// called within a tokio runtime.
pub fn layer<S>(
    otlp: Option<&OtlpConfig>,
    secrets: &BTreeMap<String, String>,
    instance_id: &str,
) -> Result<Option<impl Layer<S> + Send + Sync + 'static>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let Some([route, ..]) = Settings::read(otlp, secrets, &Env::of_process())?.routes else { return Ok(None) };
    let runtime = Handle::try_current().map_err(|_| TelemetryError("diagnostics need a tokio runtime".to_owned()))?;
    let way = Arc::new((Transport::new(&route)?, route.compression));
    let exporter = Exporter { way, runtime, resource: ResourceAttributesWithSchema::default() };
    let provider = SdkTracerProvider::builder().with_resource(resource(instance_id)).with_batch_exporter(exporter).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("vedette"));
    // Only our own code: spans of the libraries that send these spans would never end.
    Ok(Some(layer.with_filter(filter_fn(|metadata| metadata.target().starts_with("vedette")))))
}

fn resource(instance_id: &str) -> Resource {
    let facts = [("service.version", env!("CARGO_PKG_VERSION").to_owned()), ("service.instance.id", instance_id.to_owned())];
    let facts = facts.map(|(key, value)| opentelemetry::KeyValue::new(key, value));
    Resource::builder_empty().with_service_name("vedette-agent").with_attributes(facts).build()
}

/// Hands batches of the SDK, which come on a thread of its own, to the runtime, one try each.
struct Exporter {
    way: Arc<(Transport, Compression)>,
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let way = Arc::clone(&self.way);
        self.runtime.spawn(async move {
            let plain = Plain { signal: Signal::Traces, items, body };
            way.0.send(&Request::pack(&plain, way.1, Timestamp::now())).await
        });
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::fake::{Fake, until};
    use super::super::sample;
    use super::*;

    #[tokio::test]
    async fn spans_of_our_own_code_leave_under_a_service_name_of_their_own() {
        let fake = Fake::start([]).await;
        let file = OtlpConfig { endpoint: Some(fake.url.clone()), ..OtlpConfig::default() };
        let layer = layer(Some(&file), &BTreeMap::new(), "an-id").unwrap().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("ours").in_scope(|| ());
            tracing::info_span!(target: "hyper", "theirs").in_scope(|| ());
        });
        until(|| !fake.attempts().is_empty()).await;
        let attempt = &fake.attempts()[0];
        assert_eq!(attempt.names(), "ours");
        let request = ExportTraceServiceRequest::decode(attempt.plain.as_slice()).unwrap();
        let resource = request.resource_spans[0].resource.clone().unwrap();
        let name = resource.attributes.iter().find(|pair| pair.key == "service.name").map(sample::shown);
        assert_eq!(name.as_deref(), Some("vedette-agent"));
    }
}
