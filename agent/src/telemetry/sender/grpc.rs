//! OTLP over gRPC. A unary call is an HTTP/2 request with a framed body; it is made here, so that the bytes in the queue
//! are sent as they are, whatever the signal.

use std::time::Duration;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use base64::Engine;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use super::answer::{ANSWER, Status as Details, of_status, of_success, shown};
use super::{Request, Route, TelemetryError, Verdict, read, wire};
use crate::config::Compression;
use crate::telemetry::otlp::Signal;

/// A channel to one server. It connects when it is first used, and again when it has to.
#[derive(Debug)]
pub(in crate::telemetry) struct Grpc {
    channel: Channel,
    path: &'static str,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

impl Grpc {
    pub(super) fn new(route: &Route) -> Result<Self, TelemetryError> {
        let wrong =
            |error: tonic::transport::Error| TelemetryError(format!("cannot make a gRPC client for {}: {}", route.url, chain(&error)));
        let mut endpoint = Endpoint::from_shared(route.url.to_string()).map_err(wrong)?.connect_timeout(route.timeout);
        endpoint = endpoint.user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION"))).map_err(wrong)?;
        if route.url.scheme() == "https" {
            endpoint = endpoint.tls_config(tls(route)?).map_err(wrong)?;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &route.headers {
            let wrong = || TelemetryError(format!("export.otlp.headers: {name:?} and its value cannot be sent as gRPC metadata"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            headers.insert(key, HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let path = match route.signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        };
        Ok(Self { channel: endpoint.connect_lazy(), path, headers, compression: route.compression, timeout: route.timeout })
    }

    pub(super) async fn send(&self, request: &Request) -> Verdict {
        match tokio::time::timeout(self.timeout, self.call(request)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => Verdict::Later { after: None, why },
            Err(_) => Verdict::Later { after: None, why: "timed out".to_owned() },
        }
    }

    /// The error says why there was no answer.
    async fn call(&self, request: &Request) -> Result<Verdict, String> {
        let (compression, body) = wire::packed(self.compression, &request.body).await;
        let mut call = ::http::Request::new(Body::new(Full::new(framed(compression, &body))));
        *call.method_mut() = ::http::Method::POST;
        *call.uri_mut() = ::http::Uri::from_static(self.path);
        *call.version_mut() = ::http::Version::HTTP_2;
        *call.headers_mut() = self.headers.clone();
        let encoding = match compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        call.headers_mut().extend(encoding.map(|name| (HeaderName::from_static("grpc-encoding"), HeaderValue::from_static(name))));
        let mut channel = self.channel.clone();
        std::future::poll_fn(|context| GrpcService::<Body>::poll_ready(&mut channel, context)).await.map_err(|error| chain(&error))?;
        let answer = GrpcService::call(&mut channel, call).await.map_err(|error| chain(&error))?;
        let (head, body) = answer.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Ok(of_grpc(&status, &[]));
        }
        if !head.status.is_success() {
            return Ok(of_status(head.status.as_u16(), None, ""));
        }
        let collected = Limited::new(body, ANSWER).collect().await.map_err(|error| error.to_string())?;
        let status = collected.trailers().and_then(Status::from_header_map);
        let status = status.ok_or("the answer ended without a gRPC status")?;
        Ok(of_grpc(&status, &collected.to_bytes()))
    }
}

/// A flag that says whether it is compressed, the length, the message.
fn framed(compression: Compression, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(body.len() + 5);
    frame.put_u8(u8::from(compression != Compression::None));
    frame.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    frame.put_slice(body);
    frame.freeze()
}

/// What OTLP makes of a gRPC status.
fn of_grpc(status: &Status, frame: &[u8]) -> Verdict {
    let after = retry_info(status.details());
    let why = format!("gRPC status {:?}: {}", status.code(), shown(status.message()));
    match status.code() {
        Code::Ok => of_success(frame.get(5..).unwrap_or_default()),
        // What servers made with tonic say of a message beyond their limit.
        Code::OutOfRange if status.message().contains("too large") => Verdict::TooLong(why),
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::Unavailable | Code::DataLoss => {
            Verdict::Later { after, why }
        }
        Code::ResourceExhausted if after.is_some() => Verdict::Later { after, why },
        Code::ResourceExhausted => Verdict::TooLong(why),
        Code::Unknown | Code::Internal => Verdict::Stumbled(why),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Unauthenticated => Verdict::Refused(why),
    }
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let details = Details::decode(details).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

fn tls(route: &Route) -> Result<ClientTlsConfig, TelemetryError> {
    let roots = match &route.tls_ca {
        Some(path) => vec![Certificate::from_pem(read(path)?)],
        None => system_roots(),
    };
    let config = ClientTlsConfig::new().ca_certificates(roots);
    Ok(match (&route.tls_certificate, &route.tls_key) {
        (Some(certificate), Some(key)) => config.identity(Identity::from_pem(read(certificate)?, read(key)?)),
        _ => config,
    })
}

/// The system's, `SSL_CERT_FILE` honoured. tonic takes PEM only.
fn system_roots() -> Vec<Certificate> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!("some roots for the export over gRPC cannot be read: {error}");
    }
    let pem = |der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    loaded.certs.iter().map(|der| Certificate::from_pem(pem(der))).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_beyond_the_limit_of_a_server_made_with_tonic_is_cut_and_not_sent_for_ever() {
        let said = Status::out_of_range("Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes");
        assert!(matches!(of_grpc(&said, &[]), Verdict::TooLong(_)));
        assert!(matches!(of_grpc(&Status::out_of_range("beyond"), &[]), Verdict::Later { .. }));
    }
}
