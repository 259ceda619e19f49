//! What holds for every answer: headers that keep a browser on our side, and names that may ask for us.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::routes::{Shared, words};
use super::{Access, Site};

/// Everything from here, nothing inline, nobody around us.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// Paths that tell nothing of what is watched, and that programs ask under whatever name they know us by.
const FOR_ALL: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses requests that do not say whom they mean, and names that are not ours; puts the headers on every answer.
pub(super) async fn guard(State(site): Shared, request: Request, next: Next) -> Response {
    let mut response = match host(&request) {
        Err(wrong) => words(StatusCode::BAD_REQUEST, wrong),
        Ok(host) if asked_rightly(&site, &request, host) => next.run(request).await,
        Ok(_) => {
            let text = "this agent listens on loopback and answers to localhost, this machine's name and addresses only; behind a proxy, set agent.auth";
            words(StatusCode::MISDIRECTED_REQUEST, text)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whom a request means. RFC 9112, 3.2: one Host, which HTTP/1.0 may leave out; an absolute target goes before it.
fn host(request: &Request) -> Result<Option<&str>, &'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => return Err("a request needs a Host"),
        (None, _) => None,
        (Some(_), Some(_)) => return Err("a request has one Host only"),
        (Some(host), None) => Some(host.to_str().ok().filter(|host| is_host(host)).ok_or("the Host of this request is none")?),
    };
    Ok(request.uri().host().or(host))
}

/// Empty, or a name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    text.is_empty() || (!text.contains('@') && text.parse::<Authority>().is_ok())
}

/// A page from elsewhere whose name was made to point at loopback (DNS rebinding) may not read us. It always comes
/// with a name; who shows a token is known, whatever the name.
fn asked_rightly(site: &Site, request: &Request, host: Option<&str>) -> bool {
    let anyhow = !site.loopback || matches!(site.service.access, Access::Token(_)) || FOR_ALL.contains(&request.uri().path());
    anyhow || host.is_none_or(|host| is_ours(host, &site.machine))
}

/// `localhost`, names below it, this machine's name, and addresses, each with or without a port.
fn is_ours(host: &str, machine: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    bare.is_empty() || name == "localhost" || name.ends_with(".localhost") || name == machine || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_the_machines_and_addresses_are_ours_and_no_others() {
        for host in ["localhost", "LOCALHOST:9115", "vedette.localhost:1", "127.0.0.1:9115", "[::1]:9115", "192.0.2.1", "Watch-1:9115"] {
            assert!(is_ours(host, "watch-1"), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9115", "127.0.0.1.evil.example", "notlocalhost", "watch-1.evil.example"] {
            assert!(!is_ours(host, "watch-1"), "{host}");
        }
    }
}
