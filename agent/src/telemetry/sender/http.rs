//! OTLP over HTTP with protobuf bodies.

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::answer::{ANSWER, of_status, of_success, retry_after, words};
use super::{Request, Route, TelemetryError, Verdict, read, wire};
use crate::config::Compression;

/// A client of one URL.
#[derive(Debug)]
pub(in crate::telemetry) struct Http {
    client: reqwest::Client,
    url: url::Url,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

impl Http {
    pub(super) fn new(route: &Route) -> Result<Self, TelemetryError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &route.headers {
            let wrong = || TelemetryError(format!("export.otlp.headers: {name:?} and its value cannot be sent as an HTTP header"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self { client: client(route)?, url: route.url.clone(), headers, compression: route.compression, timeout: route.timeout })
    }

    pub(super) async fn send(&self, request: &Request) -> Verdict {
        let (compression, body) = wire::packed(self.compression, &request.body).await;
        let post = self.client.post(self.url.clone()).headers(self.headers.clone()).timeout(self.timeout).body(body);
        let post = match compression {
            Compression::None => post,
            Compression::Gzip => post.header(CONTENT_ENCODING, "gzip"),
            Compression::Zstd => post.header(CONTENT_ENCODING, "zstd"),
        };
        let later = |error: &(dyn std::error::Error + 'static)| Verdict::Later { after: None, why: chain(error) };
        let mut answer = match post.send().await {
            Ok(answer) => answer,
            Err(error) => return later(&error),
        };
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
        let status = answer.status();
        let protobuf = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-protobuf"));
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER => body.extend_from_slice(&chunk),
                Err(error) if status.is_success() => return later(&error),
                // Longer than anybody has to say, or what came of an error's words: the status is known.
                Ok(Some(_) | None) | Err(_) => break,
            }
        }
        if status.is_success() { of_success(&body) } else { of_status(status.as_u16(), after, &words(protobuf, &body)) }
    }
}

fn client(route: &Route) -> Result<reqwest::Client, TelemetryError> {
    let wrong = |error: reqwest::Error| TelemetryError(format!("cannot make a client for {}: {}", route.url, chain(&error)));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(route.timeout);
    if route.url.host_str().is_some_and(is_near) {
        builder = builder.no_proxy();
    }
    if route.url.scheme() == "http" {
        // No roots are looked for, so that plain http works where there are none.
        return builder.tls_certs_only([]).build().map_err(wrong);
    }
    if let Some(path) = &route.tls_ca {
        let roots = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(wrong)?;
        builder = builder.tls_certs_only(roots);
    }
    if let (Some(certificate), Some(key)) = (&route.tls_certificate, &route.tls_key) {
        let both = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&both).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// This machine: no proxy stands before it.
fn is_near(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An error with what caused it, without the URL, whose query may hold a key.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    let mut texts: Vec<String> = Vec::new();
    while let Some(error) = cause {
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => "timed out".to_owned(),
            Some(error) if error.is_connect() => "cannot connect".to_owned(),
            Some(_) => "request failed".to_owned(),
            None => error.to_string(),
        };
        texts.push(text);
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}
