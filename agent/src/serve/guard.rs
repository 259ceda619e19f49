//! What holds for every answer: headers that keep a browser on our side, and names that may ask for us.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::routes::{Shared, words};
use super::{Access, Site};

/// Everything from here, nothing inline, nobody around us.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// Refuses names that are not ours, and puts the headers on every answer.
pub(super) async fn guard(State(site): Shared, request: Request, next: Next) -> Response {
    let mut response = if asked_rightly(&site, &request) {
        next.run(request).await
    } else {
        let text = "this agent listens on loopback and answers to localhost and to addresses only; behind a proxy, set agent.auth";
        words(StatusCode::MISDIRECTED_REQUEST, text)
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A page from elsewhere whose name was made to point at loopback (DNS rebinding) may not read us. It always comes
/// with a name; who shows a token is known, whatever the name.
fn asked_rightly(site: &Arc<Site>, request: &Request) -> bool {
    if !site.loopback || matches!(site.service.access, Access::Token(_)) {
        return true;
    }
    let named = request.headers().get(header::HOST).map(HeaderValue::to_str);
    match named {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(host)) => is_ours(host),
    }
}

/// `localhost`, names below it, and addresses, each with or without a port.
fn is_ours(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    bare.is_empty() || name == "localhost" || name.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_and_addresses_are_ours_and_no_others() {
        for host in ["localhost", "LOCALHOST:9115", "vedette.localhost:1", "127.0.0.1:9115", "[::1]:9115", "192.0.2.1"] {
            assert!(is_ours(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9115", "127.0.0.1.evil.example", "notlocalhost"] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
