//! `http`: a request is put together, checked and handed to the network. Nothing is sent that is not granted.

use std::time::Duration;

use super::super::bindings::{http, net};
use super::super::convert;
use super::super::limit::Limit;
use super::redirect;
use super::secrets::Composed;
use super::{Lent, Refusal};
use crate::clock::Instant;
use crate::config::quantity;
use crate::network::{Field, NetError, Request, TlsOptions, TraceContext};

/// Followed where the plugin says nothing.
const REDIRECTS: u8 = 10;
const MAX_REDIRECTS: u8 = 20;
const FIELDS: usize = 256;
/// Bytes of the value of one field.
const FIELD: usize = 64 << 10;
const REQUEST_BODY: usize = 1 << 20;
/// Bytes that all exchanges of an attempt carry, both ways: two of the largest bodies.
pub(super) const CARRIED: u64 = 128 << 20;
const BODY: u32 = 10 << 20;
const BODY_CEILING: u32 = 64 << 20;

/// Fields that are the connection's business, or the URL's.
const REFUSED: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request, ready to be sent.
pub(super) struct Prepared {
    pub(super) request: Request,
    /// Its body holds a secret.
    pub(super) secret_body: bool,
    /// It may read less than was asked for, because the attempt has carried so much before.
    pub(super) scant: bool,
}

impl http::Host for Lent {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::FailedExchange> {
        let prepared = self.prepare(request).map_err(|refusal| convert::refused(refusal.into()))?;
        let (network, grants, anchor) = (self.network.clone(), self.call.grants.clone(), self.call.anchor);
        let sealed = (!grants.secrets.is_empty()).then(|| self.masks.of_secrets());
        let (meter, scant) = (self.meter.clone(), prepared.scant);
        let exchanged = meter.wait_for(async move {
            let mut exchanged = redirect::exchange(&network, prepared, &grants.policy).await;
            if let (Some(sealed), Ok(answer)) = (&sealed, &mut exchanged.answer) {
                sealed.body(&mut answer.body);
                answer.fields.iter_mut().chain(&mut answer.trailers).for_each(|(_, value)| sealed.text(value));
                answer.locations.iter_mut().for_each(|location| sealed.text(location));
            }
            exchanged
        });
        let exchanged = exchanged.await;
        self.carry(exchanged.exchanges.iter().filter_map(|exchange| exchange.body_size).sum());
        let answer = match exchanged.answer {
            Err(NetError::BodyLimit(_)) if scant => {
                let error = net::NetError::from(self.spent());
                Err(http::FailedExchange { error, ..convert::failed(NetError::BodyLimit(0), &exchanged.exchanges, &anchor) })
            }
            Ok(answer) => Ok(convert::response(answer, &exchanged.exchanges, &anchor)),
            Err(error) => {
                if let NetError::Denied(rule) = &error {
                    self.note_denial(rule);
                }
                Err(convert::failed(error, &exchanged.exchanges, &anchor))
            }
        };
        self.exchanges.extend(exchanged.exchanges);
        answer
    }
}

impl Lent {
    /// Everything that can be refused before anything is sent.
    pub(super) fn prepare(&mut self, request: http::Request) -> Result<Prepared, Refusal> {
        if self.asked >= self.call.limits.exchanges {
            let most = self.call.limits.exchanges;
            let what = format!("{most} exchanges are all that an attempt may make (`limits.exchanges`)");
            return Err(self.exhaust(Limit::Exchanges, what));
        }
        self.asked += 1;
        let left = CARRIED.saturating_sub(self.carried);
        if left == 0 {
            return Err(self.spent());
        }
        let url = url(&request.url)?;
        let origin = url.origin();
        let method = self.method(&request.method)?;
        let fields = self.fields(request.fields, &origin)?;
        let body = self.body(request.body, &origin)?;
        let options = request.options;
        let wanted = u64::from(options.max_body.unwrap_or(BODY).min(BODY_CEILING));
        let max_body = wanted.min(left);
        self.carry((body.bytes.len() + fields.iter().map(|field| field.value.len()).sum::<usize>()) as u64);
        let request = Request {
            method,
            url,
            fields,
            body: body.bytes.into(),
            redirects: redirects(options.redirects)?,
            max_body,
            keep_body: options.keep_body.map_or(max_body, u64::from).min(max_body),
            version: options.version.map(convert::version),
            tls: self.tls(options.tls)?,
            deadline: self.deadline_of(options.timeout),
            parent: self.steps.innermost(),
            trace: self.call.propagate.then_some(TraceContext { trace_id: self.call.trace_id, sampled: self.call.sampled }),
            masks: self.masks.all().to_vec(),
        };
        Ok(Prepared { request, secret_body: body.secret, scant: max_body < wanted })
    }

    pub(super) fn carry(&mut self, bytes: u64) {
        self.carried = self.carried.saturating_add(bytes);
    }

    fn spent(&mut self) -> Refusal {
        self.exhaust(Limit::Bytes, format!("{} are all that the exchanges of an attempt may carry", quantity::show_size(CARRIED)))
    }

    fn method(&mut self, method: &str) -> Result<::http::Method, Refusal> {
        let known = ::http::Method::from_bytes(method.as_bytes()).ok().filter(|_| !method.contains(|char: char| char.is_lowercase()));
        match known {
            Some(::http::Method::CONNECT) => Err(self.deny("the method CONNECT".to_owned())),
            Some(method) => Ok(method),
            None => Err(invalid("the method is no token in upper case")),
        }
    }

    fn fields(&mut self, fields: Vec<http::RequestField>, origin: &url::Origin) -> Result<Vec<Field>, Refusal> {
        if fields.len() > FIELDS {
            return Err(invalid(format!("more than {FIELDS} fields")));
        }
        let mut checked = Vec::with_capacity(fields.len());
        for field in fields {
            let name = ::http::HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| invalid("a field's name is no token"))?;
            if REFUSED.contains(&name.as_str()) {
                return Err(invalid(format!("the field `{name}` is not the plugin's to set")));
            }
            let Composed { bytes, secret } = self.compose_text(field.value, origin, FIELD)?;
            // The value is not shown: it may hold a secret.
            ::http::HeaderValue::from_bytes(&bytes)
                .map_err(|_| invalid(format!("the value of the field `{name}` holds what may not stand in one")))?;
            checked.push(Field { name: field.name, value: bytes, secret });
        }
        Ok(checked)
    }

    fn body(&mut self, parts: Vec<super::super::bindings::secrets::BytesPart>, origin: &url::Origin) -> Result<Composed, Refusal> {
        self.compose_bytes(parts, origin, REQUEST_BODY)
    }

    fn tls(&mut self, options: Option<net::TlsOptions>) -> Result<TlsOptions, Refusal> {
        let Some(options) = options else { return Ok(TlsOptions::default()) };
        if !options.verify && !self.call.grants.policy.insecure_tls {
            return Err(self.deny("to go on where the certificate is not verified needs `allow: {insecure_tls: true}`".to_owned()));
        }
        let roots = match options.roots {
            None => None,
            Some(handle) => match self.call.grants.files.get(&handle) {
                Some(path) => Some(path.clone()),
                None => return Err(self.deny(format!("the file `{handle}` is not granted to this check"))),
            },
        };
        Ok(TlsOptions { server_name: options.server_name, verify: options.verify, roots, alpn: options.alpn })
    }

    /// Never beyond what is left of the attempt.
    fn deadline_of(&self, timeout: Option<u64>) -> Instant {
        let wanted = timeout.and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)));
        wanted.map_or(self.deadline, |wanted| wanted.min(self.deadline))
    }
}

fn url(text: &str) -> Result<url::Url, Refusal> {
    let url = url::Url::parse(text).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(invalid(format!("the scheme `{}` is neither http nor https", scheme.get(..32).unwrap_or(scheme)))),
    }
}

fn redirects(policy: Option<http::RedirectPolicy>) -> Result<u8, Refusal> {
    match policy {
        None => Ok(REDIRECTS),
        Some(http::RedirectPolicy::None) => Ok(0),
        Some(http::RedirectPolicy::Follow(most)) if (1..=MAX_REDIRECTS).contains(&most) => Ok(most),
        Some(http::RedirectPolicy::Follow(most)) => Err(invalid(format!("{most} redirects; 1 to {MAX_REDIRECTS} can be followed"))),
    }
}

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::Invalid(what.into())
}
