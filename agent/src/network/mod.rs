//! What the host lends to plugins: exchanges over the network, timed. Knows nothing of Wasm.
//!
//! A request goes through the rooms from the top to the bottom; each hop has a connection of its own:
//!
//! ```text
//! redirect -> hop -> policy, resolve, dial, tls (verify, hello, certificate), session (head, tap, body, decoding)
//!             hop notes its phases in a course; wording turns what went wrong into words without secrets
//! ```

mod body;
mod certificate;
mod course;
mod decoding;
mod dial;
mod head;
mod hello;
mod hop;
mod policy;
mod redirect;
mod resolve;
mod session;
mod tap;
#[cfg(test)]
mod tests;
mod tls;
mod verify;
mod wording;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Instant;
use crate::config::AllowedHost;
use crate::outcome::{ErrorType, Exchange, HttpVersion, SpanId, TlsInfo, TraceId};

/// The door through which every connection of a check goes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Network {
    shared: Arc<Shared>,
}

/// What all exchanges of a process have in common. Nothing of it is a connection: none is ever used twice.
#[derive(Debug, Default)]
struct Shared {
    names: resolve::Names,
    trust: tls::Trust,
}

impl Network {
    /// Resolver and roots are read when first needed, so that plain http works where there are no certificates.
    pub fn new() -> Self {
        Self::default()
    }

    /// One request with its redirects. Never later than the request's deadline.
    pub async fn exchange(&self, request: Request, policy: &Policy) -> Exchanged {
        redirect::follow(&self.shared, request, policy).await
    }
}

/// Whether a file holds certificates that can be trusted (PEM), or why not.
pub fn judge_roots(path: &Path) -> Result<(), String> {
    tls::read_roots(path).map(drop)
}

/// Who may be reached.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Destinations.
    pub reach: Reach,
    /// Whether `verify: false` is granted.
    pub insecure_tls: bool,
}

/// Destinations that a plugin may reach.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Of a built-in plugin: whatever the operator's file leads to, but for cloud metadata addresses.
    Operator,
    /// Of any other plugin: these and nothing else.
    Hosts(Vec<AllowedHost>),
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: http::Method,
    /// Absolute, `http` or `https`. User information becomes a Basic `authorization` field.
    pub url: url::Url,
    /// Fields in the order in which they are sent.
    pub fields: Vec<Field>,
    /// Body.
    pub body: bytes::Bytes,
    /// How many redirects are followed; 0 = none, a 3xx is the answer.
    pub redirects: u8,
    /// Bytes after decoding; more is an error.
    pub max_body: u64,
    /// Bytes that are handed over; the rest is read and counted only.
    pub keep_body: u64,
    /// The one version to speak; negotiated if none.
    pub version: Option<HttpVersion>,
    /// What differs from the usual TLS.
    pub tls: TlsOptions,
    /// When everything has to have ended.
    pub deadline: Instant,
    /// The span below which the exchanges stand.
    pub parent: SpanId,
    /// What `traceparent` says; none = none is sent.
    pub trace: Option<TraceContext>,
    /// Exact texts (secrets) to mask in recorded URLs and errors.
    pub masks: Vec<String>,
}

/// A header field to be sent.
#[derive(Clone, Debug)]
pub struct Field {
    /// Any case.
    pub name: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Came from a secret: dropped when the origin changes.
    pub secret: bool,
}

/// The trace that a request belongs to. The parent in `traceparent` is the exchange's own span.
#[derive(Clone, Copy, Debug)]
pub struct TraceContext {
    /// The run.
    pub trace_id: TraceId,
    /// Whether it is going to be exported.
    pub sampled: bool,
}

/// What differs from the usual TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// SNI and verification name; the URL's host if none.
    pub server_name: Option<String>,
    /// False goes on regardless of what verification says, and records it.
    pub verify: bool,
    /// PEM file of roots to trust instead of the system's.
    pub roots: Option<PathBuf>,
    /// Protocols to offer, in this order; the usual ones if empty.
    pub alpn: Vec<String>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { server_name: None, verify: true, roots: None, alpn: Vec::new() }
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// One per hop, in order; empty if the request was refused before anything was sent.
    pub exchanges: Vec<Exchange>,
    /// The final answer, whatever its status, or why there is none.
    pub answer: Result<Answer, NetError>,
}

/// The final answer. Its phases, remote address, TLS and decoded size stand in the last exchange.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Version.
    pub version: HttpVersion,
    /// Fields in order, names in lower case. Bytes that are not UTF-8 are read as ISO-8859-1.
    pub fields: Vec<(String, String)>,
    /// After decoding, at most `keep_body` bytes.
    pub body: bytes::Bytes,
    /// Whether there was more.
    pub body_truncated: bool,
    /// Bytes on the wire.
    pub body_size: u64,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
    /// URL of the final exchange, masked as it is recorded.
    pub url: String,
    /// Followed redirects: the value of each `location`, in order. The rest of a hop stands in its exchange.
    pub locations: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetError {
    /// Policy forbids it; the text names the rule.
    #[error("denied: {0}")]
    Denied(String),
    /// The request is malformed.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// No address for the name.
    #[error("cannot resolve {name}: {message}")]
    Dns {
        /// The name.
        name: String,
        /// RCODE, if there was an answer: 3 = NXDOMAIN, 2 = SERVFAIL.
        rcode: Option<u16>,
        /// For people.
        message: String,
    },
    /// RST to the SYN.
    #[error("connection refused")]
    ConnectionRefused,
    /// Reset or closed early; the text says when.
    #[error("connection closed {0}")]
    ConnectionClosed(&'static str),
    /// No route.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// This phase did not end in time.
    #[error("timed out while {}", .0.doing())]
    TimedOut(Waiting),
    /// Handshake or verification failed.
    #[error("{message}")]
    Tls {
        /// Alert number sent or received.
        alert: Option<u8>,
        /// `expired`, `not-yet-valid`, `unknown-issuer`, `name-mismatch`, `revoked`, `handshake`, `other`.
        reason: &'static str,
        /// For people: `certificate expired 3 days ago`.
        message: String,
        /// What is known in spite of the failure.
        info: Option<Arc<TlsInfo>>,
    },
    /// The peer broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// More redirects than allowed.
    #[error("more than {0} redirects")]
    TooManyRedirects(u8),
    /// More body than allowed, in bytes.
    #[error("body longer than {0} bytes")]
    BodyLimit(u64),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What was waited for when time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Name resolution.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Tls,
    /// Sending the request.
    Send,
    /// The first byte of the answer.
    Wait,
    /// The rest of the answer.
    Receive,
}

impl Waiting {
    const fn doing(self) -> &'static str {
        match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "in the TLS handshake",
            Self::Send => "sending the request",
            Self::Wait => "waiting for the answer",
            Self::Receive => "receiving the answer",
        }
    }
}

impl NetError {
    /// The word of the closed set.
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::Denied(_) => ErrorType::Denied,
            Self::InvalidRequest(_) => ErrorType::PluginFailure,
            Self::Dns { .. } => ErrorType::Dns,
            Self::ConnectionRefused => ErrorType::ConnectRefused,
            Self::ConnectionClosed(_) => ErrorType::ConnectionClosed,
            Self::Unreachable(_) => ErrorType::ConnectUnreachable,
            Self::TimedOut(Waiting::Connect) => ErrorType::ConnectTimeout,
            Self::TimedOut(_) => ErrorType::Timeout,
            Self::Tls { reason, .. } => match reason.as_bytes() {
                b"handshake" | b"other" => ErrorType::TlsHandshake,
                _ => ErrorType::TlsCertificate,
            },
            Self::Protocol(_) => ErrorType::Protocol,
            Self::TooManyRedirects(_) => ErrorType::Redirects,
            Self::BodyLimit(_) => ErrorType::BodyLimit,
            Self::Other(_) => ErrorType::Other,
        }
    }
}
