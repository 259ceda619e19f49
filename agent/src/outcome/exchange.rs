//! What is known of one exchange on the wire: its phases, its connection, its certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{ErrorType, Phase, SpanId};
use crate::clock::{Instant, Timestamp};

/// A stretch of time within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub start: Instant,
    /// When it ended.
    pub end: Instant,
}

impl Stretch {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.end.saturating_duration_since(self.start)
    }
}

/// Where an exchange's time went; `None` where a phase did not take place. They follow each other without
/// overlap. A phase that was cut short (by a timeout, by a failure) ends where it was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Option<Stretch>; 6]);

impl Phases {
    /// The stretch of one phase.
    pub fn get(&self, phase: Phase) -> Option<Stretch> {
        self.0[phase as usize]
    }

    /// Notes the stretch of one phase.
    pub fn set(&mut self, phase: Phase, stretch: Stretch) {
        self.0[phase as usize] = Some(stretch);
    }

    /// Those that took place, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Stretch)> + '_ {
        Phase::ALL.iter().filter_map(|&phase| Some((phase, self.get(phase)?)))
    }

    /// How long one phase took over several exchanges; `None` where none of them had it.
    pub fn sum<'a>(exchanges: impl IntoIterator<Item = &'a Exchange>, phase: Phase) -> Option<Duration> {
        exchanges.into_iter().filter_map(|exchange| exchange.phases.get(phase)).map(|stretch| stretch.length()).reduce(|a, b| a + b)
    }
}

/// A certificate as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name, RFC 4514.
    pub subject: String,
    /// Distinguished name, RFC 4514.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// DNS and IP subject alternative names.
    pub alt_names: Vec<String>,
    /// Hexadecimal SHA-256 of the DER form.
    pub fingerprint_sha256: String,
}

/// What is known of a TLS connection, or of one that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `1.2`, `1.3`; none if the handshake did not get so far.
    pub version: Option<String>,
    /// IANA name; none if the handshake did not get so far.
    pub cipher: Option<String>,
    /// ALPN protocol agreed on.
    pub alpn: Option<String>,
    /// The name that was asked for.
    pub server_name: Option<String>,
    /// Whether the chain was verified against the configured roots.
    pub verified: bool,
    /// Leaf first, as sent; at most 8.
    pub chain: Vec<Certificate>,
}

/// HTTP's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl HttpVersion {
    /// `HTTP/1.1`, `HTTP/2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    /// `1.1`, `2`: `network.protocol.version`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// One exchange on the wire. A redirect that is followed makes another.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its CLIENT span, which is the parent in the `traceparent` that the target got.
    pub span_id: SpanId,
    /// The span within which it took place: a step's, or the attempt's.
    pub parent: SpanId,
    /// Request method.
    pub method: String,
    /// URL without user information and without secrets.
    pub url: String,
    /// Host of the URL.
    pub host: String,
    /// Port of the URL, or of its scheme.
    pub port: u16,
    /// From its start to its end.
    pub stretch: Stretch,
    /// Where the time went.
    pub phases: Phases,
    /// Where the packets went, if there was a connection.
    pub remote: Option<SocketAddr>,
    /// Version of the answer.
    pub version: Option<HttpVersion>,
    /// Status code of the answer.
    pub status: Option<u16>,
    /// 0 for the first, counting redirects.
    pub resend_count: u32,
    /// Bytes of the body after decoding, as far as it was read; none without an answer.
    pub body_size: Option<u64>,
    /// What is known of TLS.
    pub tls: Option<Arc<TlsInfo>>,
    /// What went wrong, if something did.
    pub error: Option<(ErrorType, String)>,
}
