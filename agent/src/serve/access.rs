//! Who may see what: nobody is asked, or everybody is asked for the token, or only health is told.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::routes::{Shared, words};
use super::{Access, page};

/// The cookie that stands for the token.
const COOKIE: &str = "vedette";

/// What a form may weigh.
const FORM: usize = 8 * 1024;

/// A form has to arrive within this.
pub(super) const FORM_WITHIN: Duration = Duration::from_secs(10);

/// A wrong token is answered this late: whoever tries many has to wait for each.
const WRONG: Duration = Duration::from_millis(500);

/// Lets through whoever may pass; health is told to all, and the form's own look needs no token.
pub(super) async fn admit(State(site): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if matches!(path, "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    match &site.service.access {
        Access::Open => next.run(request).await,
        Access::HealthOnly => {
            let text = "this agent tells only /healthz and /readyz here: set agent.auth in its configuration to see more";
            words(StatusCode::FORBIDDEN, text)
        }
        Access::Token(token) => {
            if path == "/login" || path.starts_with("/assets/") || path == "/favicon.ico" || is_known(request.headers(), token) {
                return next.run(request).await;
            }
            ask(request.method(), request.uri(), request.headers())
        }
    }
}

/// Asks for the token: people by a form, programs by words.
fn ask(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let reads = method == Method::GET && accepted.contains("text/html");
    let mut response = if reads {
        let next = uri.path_and_query().map_or("/", |path| path.as_str());
        (StatusCode::UNAUTHORIZED, page::login(next, false)).into_response()
    } else {
        let text = "this needs the agent's token: send it as `Authorization: Bearer …`";
        (StatusCode::UNAUTHORIZED, Json(serde_json::json!({ "error": text }))).into_response()
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vedette\""));
    response
}

/// Whether a request shows the token, or the cookie that stands for it.
fn is_known(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = bearer.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if shown.is_some_and(|(_, shown)| is_same(shown.trim(), token)) {
        return true;
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut ours = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(name, _)| *name == COOKIE);
    ours.any(|(_, value)| is_same(value, &pass(token)))
}

/// What the cookie holds: whoever gets hold of it does not know the token, and another token makes it worthless.
fn pass(token: &str) -> String {
    let digest = Sha256::new().chain_update(b"vedette page\0").chain_update(token).finalize();
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compares by digests, and all of them: how long it takes tells nothing of where they differ.
fn is_same(shown: &str, wanted: &str) -> bool {
    let (shown, wanted) = (Sha256::digest(shown), Sha256::digest(wanted));
    let difference = shown.iter().zip(wanted.iter()).fold(0_u8, |difference, (a, b)| black_box(difference | (a ^ b)));
    black_box(difference) == 0
}

/// A path of this site, or its root: a form must not lead elsewhere.
fn here(next: &str) -> &str {
    let plain =
        next.starts_with('/') && !next[1..].starts_with(['/', '\\']) && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && !next.starts_with("/login") { next } else { "/" }
}

/// The form that takes the token.
pub(super) async fn form(State(site): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    match &site.service.access {
        Access::Token(token) if !is_known(&headers, token) => {
            let query = query.unwrap_or_default();
            let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
            page::login(here(next.as_ref().map_or("/", |(_, value)| value)), false).into_response()
        }
        _ => Redirect::to("/").into_response(),
    }
}

/// Takes the token from the form and sets the cookie.
pub(super) async fn login(State(site): Shared, headers: HeaderMap, body: Body) -> Response {
    let Access::Token(token) = &site.service.access else { return Redirect::to("/").into_response() };
    let body = match tokio::time::timeout(FORM_WITHIN, to_bytes(body, FORM)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return words(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"),
        Err(_) => return words(StatusCode::REQUEST_TIMEOUT, "the form did not arrive in time"),
    };
    let field = |name: &str| {
        form_urlencoded::parse(&body).find(|(field, _)| field == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let next = field("next");
    let next = here(&next);
    if !is_same(field("token").trim(), token.trim()) {
        tokio::time::sleep(WRONG).await;
        return (StatusCode::UNAUTHORIZED, page::login(next, true)).into_response();
    }
    // Behind a proxy that speaks TLS the cookie must not travel without it.
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let cookie =
        format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000{}", pass(token), if secure { "; Secure" } else { "" });
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_nowhere_else() {
        assert_eq!(["/", "/checks/a/b?run=1", "/agent"].map(here), ["/", "/checks/a/b?run=1", "/agent"]);
        for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nb", "/login"] {
            assert_eq!(here(elsewhere), "/", "{elsewhere}");
        }
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(is_same("s3cret", "s3cret"));
        assert!(!is_same("s3cre", "s3cret") && !is_same("", "s3cret") && !is_same("s3cret ", "s3cret"));
        assert_ne!(pass("a"), pass("b"));
    }
}
