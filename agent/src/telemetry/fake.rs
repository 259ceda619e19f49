//! A collector on loopback that says what it is told to: HTTP and gRPC on one port.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;

use crate::clock::Instant;

/// What to answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Take,
    /// Take all but so many.
    Partial(i64),
    /// 200 with such a body.
    Body(&'static [u8]),
    Status(u16),
    StatusAfter(u16, &'static str),
    /// A gRPC status, with `grpc-status-details-bin`.
    Grpc(u32, Option<&'static str>),
    /// Nothing, ever.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) at: Instant,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) plain: Vec<u8>,
    pub(super) taken: bool,
}

impl Attempt {
    pub(super) fn spans(&self) -> Vec<Span> {
        let of = ExportTraceServiceRequest::decode(self.plain.as_slice()).unwrap().resource_spans;
        of.into_iter().flat_map(|of| of.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    pub(super) fn metrics(&self) -> Vec<Metric> {
        let of = ExportMetricsServiceRequest::decode(self.plain.as_slice()).unwrap().resource_metrics;
        of.into_iter().flat_map(|of| of.scope_metrics).flat_map(|scope| scope.metrics).collect()
    }

    pub(super) fn events(&self) -> Vec<LogRecord> {
        let of = ExportLogsServiceRequest::decode(self.plain.as_slice()).unwrap().resource_logs;
        of.into_iter().flat_map(|of| of.scope_logs).flat_map(|scope| scope.log_records).collect()
    }

    /// Names of the spans.
    pub(super) fn names(&self) -> String {
        self.spans().iter().map(|span| span.name.as_str()).collect::<Vec<_>>().join(" ")
    }
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    /// Requests with more spans than this are too long.
    most: Option<usize>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug)]
pub(super) struct Fake {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Takes everything once the replies are used up.
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), replies)
    }

    pub(super) fn listen(listener: TcpListener, replies: impl IntoIterator<Item = Reply>) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Script { replies: replies.into_iter().collect(), ..Script::default() };
        let fake = Self { url, script: Arc::new(Mutex::new(script)) };
        let router = axum::Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub(super) fn refuse_above(&self, most: usize) {
        self.script.lock().most = Some(most);
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.script.lock().attempts.clone()
    }

    /// Those of a signal that were taken.
    pub(super) fn taken(&self, signal: &str) -> Vec<Attempt> {
        let wanted = |attempt: &Attempt| attempt.taken && attempt.path.to_lowercase().contains(signal);
        self.attempts().into_iter().filter(wanted).collect()
    }

    /// Waits until there were so many requests.
    pub(super) async fn reached(&self, count: usize) -> Vec<Attempt> {
        until(|| self.attempts().len() >= count).await;
        self.attempts()
    }
}

pub(super) async fn until(holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in 30 s");
}

async fn answer(State(fake): State<Fake>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let wire = body.collect().await.unwrap().to_bytes();
    let grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
    let encoding = head.headers.get(if grpc { "grpc-encoding" } else { "content-encoding" });
    let wire = if grpc {
        assert_eq!((wire[0] == 1, u32::from_be_bytes(wire[1..5].try_into().unwrap()) as usize), (encoding.is_some(), wire.len() - 5));
        wire.slice(5..)
    } else {
        wire
    };
    let plain = match encoding.map(|encoding| encoding.to_str().unwrap()) {
        None => wire.to_vec(),
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&*wire).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zstd") => zstd::decode_all(&*wire).unwrap(),
        Some(other) => panic!("{other}"),
    };
    let mut attempt = Attempt { at: Instant::now(), path: head.uri.path().to_owned(), headers: head.headers, plain, taken: false };
    let reply = {
        let mut script = fake.script.lock();
        let too_long = script.most.is_some_and(|most| attempt.spans().len() > most);
        let reply = match script.replies.pop_front() {
            None if too_long && grpc => Reply::Grpc(8, None),
            None if too_long => Reply::Status(413),
            reply => reply.unwrap_or(Reply::Take),
        };
        attempt.taken = matches!(reply, Reply::Take | Reply::Partial(_) | Reply::Body(_));
        script.attempts.push(attempt);
        reply
    };
    respond(reply, grpc).await
}

async fn respond(reply: Reply, grpc: bool) -> Response {
    let taken = |rejected: i64| {
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "not those".to_owned() };
        ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec()
    };
    let response = Response::builder();
    match reply {
        Reply::Take => success(taken(0), grpc),
        Reply::Partial(rejected) => success(taken(rejected), grpc),
        Reply::Body(body) => success(body.to_vec(), grpc),
        Reply::Status(status) => response.status(status).body(Body::empty()).unwrap(),
        Reply::StatusAfter(status, after) => response.status(status).header("retry-after", after).body(Body::empty()).unwrap(),
        Reply::Grpc(code, details) => {
            let response = response.header("content-type", "application/grpc").header("grpc-status", code);
            let response = details.into_iter().fold(response, |response, details| response.header("grpc-status-details-bin", details));
            response.body(Body::empty()).unwrap()
        }
        Reply::Hang => std::future::pending().await,
    }
}

fn success(body: Vec<u8>, grpc: bool) -> Response {
    if !grpc {
        return Response::builder().header("content-type", "application/x-protobuf").body(Body::from(body)).unwrap();
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.put_slice(&body);
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
}
