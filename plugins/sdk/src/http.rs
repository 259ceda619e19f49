//! HTTP exchanges: requests in one line, answers with what one asks of them.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bindings::check::vedette::plugin::http as host;
pub use crate::bindings::check::vedette::plugin::http::{
    FailedExchange, Field, Hop, HttpVersion, RedirectPolicy, Request, RequestField, RequestOptions, Response,
};
use crate::net::TlsOptions;
use crate::secrets::{BytesPart, Encoding, SecretUse, TextPart};
use crate::{Fault, Stop, text};

impl Request {
    /// A request without fields and body. `url` is absolute, `http` or `https`.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
            options: RequestOptions { timeout: None, redirects: None, max_body: None, keep_body: None, version: None, tls: None },
        }
    }

    /// A `GET`.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` of JSON. What cannot be written as JSON (a map whose keys are no texts) is sent as `null`.
    pub fn post_json(url: &str, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
        Self::new("POST", url).field("content-type", "application/json").body(body)
    }

    /// With a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push(RequestField { name: name.to_owned(), value: vec![TextPart::Literal(value.to_owned())] });
        self
    }

    /// With a field whose whole value is a secret: the host puts it there, the plugin never sees it.
    #[must_use]
    pub fn secret_field(mut self, name: &str, secret: &str) -> Self {
        let value = TextPart::Secret(SecretUse { name: secret.to_owned(), encoding: Encoding::Raw });
        self.fields.push(RequestField { name: name.to_owned(), value: vec![value] });
        self
    }

    /// With a body, or with so much more of it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body.push(BytesPart::Literal(body.into()));
        self
    }

    /// With so much time for the whole exchange, redirects included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// With so many redirects at most; none: a redirect is the answer.
    #[must_use]
    pub fn redirects(mut self, most: u8) -> Self {
        self.options.redirects = Some(if most == 0 { RedirectPolicy::None } else { RedirectPolicy::Follow(most) });
        self
    }

    /// With a body of at most so many bytes; more ends the exchange.
    #[must_use]
    pub fn max_body(mut self, bytes: u32) -> Self {
        self.options.max_body = Some(bytes);
        self
    }

    /// With so many bytes of the answer's body handed over; 0 is cheapest.
    #[must_use]
    pub fn keep_body(mut self, bytes: u32) -> Self {
        self.options.keep_body = Some(bytes);
        self
    }

    /// With other options for TLS than the check's.
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.options.tls = Some(options);
        self
    }

    /// Makes the exchange. Any answer, whatever its status, is `Ok`.
    pub fn send(&self) -> Result<Response, Box<FailedExchange>> {
        host::send(self).map_err(Box::new)
    }
}

impl Response {
    /// The first value of a field; `name` in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// All values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// The body as text: UTF-8, what is invalid replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether the body holds this text.
    pub fn contains(&self, needle: &str) -> bool {
        text::contains(self.text().as_bytes(), needle.as_bytes())
    }

    /// The body as JSON. What is none, or is of another shape, stops the check: the target is at fault.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Stop::failure(Fault::Expectation, format!("{}: the body is not the JSON expected: {error}", self.status)))
    }

    /// From the first redirect's start to the last byte.
    pub fn length(&self) -> Duration {
        let hops: u64 = self.redirects.iter().map(|hop| hop.timings.total).sum();
        Duration::from_nanos(hops.saturating_add(self.timings.total))
    }
}
