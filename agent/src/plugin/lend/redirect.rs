//! A secret in a body never follows a redirect to another origin.
//!
//! The network follows redirects and drops secret fields on the way; a body it keeps (307 and 308). So while a body holds a secret, hops are made one at a time,
//! and the network follows by itself again once the body is gone.

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION};

use super::http::Prepared;
use crate::network::{Answer, Exchanged, NetError, Network, Policy, Request};

/// Makes the exchange with its redirects.
pub(super) async fn exchange(network: &Network, prepared: Prepared, policy: &Policy) -> Exchanged {
    let Prepared { mut request, secret_body } = prepared;
    let most = request.redirects;
    if !secret_body || most == 0 {
        return network.exchange(request, policy).await;
    }
    let (mut exchanges, mut locations) = (Vec::new(), Vec::new());
    for hop in 0..=most {
        let holds_secret = !request.body.is_empty();
        request.redirects = if holds_secret { 0 } else { most - hop };
        let made = network.exchange(request.clone(), policy).await;
        let before = u32::try_from(exchanges.len()).unwrap_or(u32::MAX);
        exchanges.extend(made.exchanges.into_iter().map(|mut exchange| {
            exchange.resend_count = exchange.resend_count.saturating_add(before);
            exchange
        }));
        let mut answer = match made.answer {
            Ok(answer) => answer,
            Err(error) => return Exchanged { exchanges, answer: Err(error) },
        };
        let next = if holds_secret { next(&request, &answer) } else { None };
        match next {
            None => {
                locations.append(&mut answer.locations);
                answer.locations = locations;
                return Exchanged { exchanges, answer: Ok(answer) };
            }
            Some(Err(error)) => return Exchanged { exchanges, answer: Err(error) },
            Some(Ok((next, location))) => {
                locations.push(location);
                request = next;
            }
        }
    }
    Exchanged { exchanges, answer: Err(NetError::TooManyRedirects(most)) }
}

/// The request that a redirect asks for, and its `location`; none if the answer is none.
fn next(request: &Request, answer: &Answer) -> Option<Result<(Request, String), NetError>> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let (_, location) = answer.fields.iter().find(|(name, _)| name == "location")?;
    let url = match request.url.join(location) {
        Ok(url) => url,
        Err(error) => return Some(Err(NetError::Protocol(format!("a redirect to what is no URL: {error}")))),
    };
    let elsewhere = url.origin() != request.url.origin();
    let becomes_get = match answer.status {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    };
    if elsewhere && !becomes_get {
        return Some(Err(NetError::Denied("a redirect to another origin would carry a secret in the body".to_owned())));
    }
    let mut next = Request { url, ..request.clone() };
    if becomes_get {
        next.method = Method::GET;
        next.body = bytes::Bytes::new();
        let of_body = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE];
        next.fields.retain(|field| !of_body.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_str())));
    }
    if elsewhere {
        let credentials = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
        next.fields.retain(|field| !field.secret && !credentials.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_str())));
    } else if next.url.username().is_empty() && next.url.password().is_none() {
        // User information is a credential of the origin, not of one URL. An URL with a host can always hold it.
        let _ = next.url.set_username(request.url.username());
        let _ = next.url.set_password(request.url.password());
    }
    Some(Ok((next, location.clone())))
}
