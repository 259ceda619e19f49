//! The head of a request: what was asked for, what the host adds, and what may not be said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri, Version};
use http_body_util::Full;
use url::Url;

use super::{Field, NetError, TraceContext};
use crate::outcome::{HttpVersion, SpanId};

/// What every target gets to know of who asks.
const USER_AGENT: &str = concat!("vedette/", env!("CARGO_PKG_VERSION"), " (synthetic)");
/// What `decoding` undoes.
const ENCODINGS: &str = "gzip, deflate, br, zstd";

/// Fields that the connection is run with, and those that the URL and the body decide.
const OURS: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
];

/// What the head of one hop says.
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    /// Without user information.
    pub(super) url: &'a Url,
    pub(super) fields: &'a [Field],
    pub(super) body: &'a Bytes,
    pub(super) version: HttpVersion,
    /// The run, and the span of this very exchange.
    pub(super) trace: Option<(TraceContext, SpanId)>,
}

/// Whether what the plugin asks for may be sent at all.
pub(super) fn check(method: &Method, fields: &[Field]) -> Result<(), NetError> {
    if method == Method::CONNECT {
        return Err(NetError::InvalidRequest("method CONNECT is not for exchanges".to_owned()));
    }
    for field in fields {
        let (name, _) = parsed(field)?;
        if OURS.contains(&name.as_str()) {
            return Err(NetError::InvalidRequest(format!("field `{name}` is set by the host")));
        }
    }
    Ok(())
}

/// Whether the fields ask for encodings themselves, and so want to see the body as it comes.
pub(super) fn asks_for_encodings(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case("accept-encoding"))
}

/// The user information of a URL as the field that it becomes.
pub(super) fn basic(url: &Url) -> Option<Field> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    Some(Field { name: "authorization".to_owned(), value: format!("Basic {}", STANDARD.encode(pair)).into_bytes(), secret: true })
}

impl Head<'_> {
    /// The request as it is sent over a connection that speaks `version`.
    pub(super) fn build(&self) -> Result<http::Request<Full<Bytes>>, NetError> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri()?;
        *request.version_mut() = match self.version {
            HttpVersion::Http10 => Version::HTTP_10,
            HttpVersion::Http11 => Version::HTTP_11,
            HttpVersion::Http2 => Version::HTTP_2,
        };
        *request.headers_mut() = self.fields()?;
        Ok(request)
    }

    fn uri(&self) -> Result<Uri, NetError> {
        let path = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let text = match self.version {
            HttpVersion::Http2 => format!("{}://{}{path}", self.url.scheme(), authority(self.url)),
            _ => path,
        };
        text.parse().map_err(|error| NetError::InvalidRequest(format!("the URL cannot be sent: {error}")))
    }

    fn fields(&self) -> Result<HeaderMap, NetError> {
        let mut fields = HeaderMap::new();
        if self.version != HttpVersion::Http2 {
            fields.insert(header::HOST, value(authority(self.url).as_bytes(), "host")?);
        }
        let given = |name: &HeaderName| self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name.as_str()));
        let usual = [(header::USER_AGENT, USER_AGENT), (header::ACCEPT, "*/*"), (header::ACCEPT_ENCODING, ENCODINGS)];
        for (name, text) in usual.into_iter().filter(|(name, _)| !given(name)) {
            fields.insert(name, HeaderValue::from_static(text));
        }
        for field in self.fields {
            let (name, value) = parsed(field)?;
            fields.append(name, value);
        }
        if let Some((trace, span)) = self.trace {
            let parent = format!("00-{}-{span}-{:02x}", trace.trace_id, u8::from(trace.sampled));
            fields.insert("traceparent", value(parent.as_bytes(), "traceparent")?);
            fields.insert("tracestate", HeaderValue::from_static("vedette=1"));
        }
        if self.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(self.method) {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if self.version == HttpVersion::Http11 {
            // There is never a second exchange: whoever knows need not wait for one.
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(fields)
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn parsed(field: &Field) -> Result<(HeaderName, HeaderValue), NetError> {
    let name = HeaderName::from_bytes(field.name.as_bytes())
        .map_err(|_| NetError::InvalidRequest(format!("`{}` is no name of a field", field.name)))?;
    let mut value = value(&field.value, &field.name)?;
    value.set_sensitive(field.secret);
    Ok((name, value))
}

fn value(bytes: &[u8], name: &str) -> Result<HeaderValue, NetError> {
    HeaderValue::from_bytes(bytes).map_err(|_| NetError::InvalidRequest(format!("the value of field `{name}` cannot be sent")))
}

/// Percent-encoding undone; what is none is kept.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.extend(u8::try_from(high << 4 | low));
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_becomes_a_basic_field() {
        let field = |url: &str| basic(&Url::parse(url).unwrap()).map(|field| String::from_utf8(field.value).unwrap());
        assert_eq!(field("http://user:hunter2@h/").unwrap(), "Basic dXNlcjpodW50ZXIy");
        assert_eq!(field("http://a%40b:p%3Aw@h/").unwrap(), format!("Basic {}", STANDARD.encode("a@b:p:w")));
        assert_eq!(field("http://h/"), None);
    }

    #[test]
    fn what_the_connection_is_run_with_is_refused() {
        let field = |name: &str, value: &[u8]| [Field { name: name.to_owned(), value: value.to_vec(), secret: false }];
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "upgrade", "bad name", ""] {
            assert!(matches!(check(&Method::GET, &field(name, b"x")), Err(NetError::InvalidRequest(_))), "{name}");
        }
        assert!(check(&Method::GET, &field("x-a", b"a\r\nb: c")).is_err(), "a value is one line");
        assert!(check(&Method::GET, &field("x-a", b"\xff")).is_ok());
        assert!(check(&Method::CONNECT, &[]).is_err());
    }
}
