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
    let Prepared { mut request, secret_body, .. } = prepared;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Instant;
    use crate::network::{Field, TlsOptions};
    use crate::outcome::{HttpVersion, SpanId};

    fn request(method: Method) -> Request {
        let field = |name: &str, secret| Field { name: name.to_owned(), value: b"x".to_vec(), secret };
        Request {
            method,
            url: "https://user:word@shop.example.com/login".parse().unwrap(),
            fields: vec![field("x-plain", false), field("X-Secret", true), field("Cookie", false), field("content-type", false)],
            body: "password=hunter2".into(),
            redirects: 10,
            max_body: 1000,
            keep_body: 1000,
            version: None,
            tls: TlsOptions::default(),
            deadline: Instant::now() + Duration::from_secs(1),
            parent: SpanId([1; 8]),
            trace: None,
            masks: Vec::new(),
        }
    }

    fn answer(status: u16, location: &str) -> Answer {
        Answer {
            status,
            version: HttpVersion::Http11,
            fields: vec![("location".to_owned(), location.to_owned())],
            body: bytes::Bytes::new(),
            body_truncated: false,
            body_size: 0,
            trailers: Vec::new(),
            url: String::new(),
            locations: Vec::new(),
        }
    }

    fn names(request: &Request) -> Vec<&str> {
        request.fields.iter().map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn a_secret_in_a_body_stays_with_its_origin() {
        for status in [307, 308] {
            for location in ["https://evil.example.com/", "http://shop.example.com/", "https://shop.example.com:444/", "//evil.example.com"]
            {
                let next = next(&request(Method::POST), &answer(status, location)).unwrap();
                assert!(matches!(next, Err(NetError::Denied(_))), "{status} {location}");
            }
        }
        let (same, location) = next(&request(Method::POST), &answer(307, "/again")).unwrap().unwrap();
        assert_eq!((same.url.as_str(), location.as_str()), ("https://user:word@shop.example.com/again", "/again"));
        assert_eq!((same.method.clone(), same.body.len(), names(&same).len()), (Method::POST, 16, 4));
    }

    #[test]
    fn where_the_method_becomes_get_the_body_is_gone_and_elsewhere_the_credentials_too() {
        for status in [301, 302, 303] {
            let (elsewhere, _) = next(&request(Method::POST), &answer(status, "https://other.example.com/")).unwrap().unwrap();
            assert_eq!((elsewhere.method.clone(), elsewhere.body.len()), (Method::GET, 0));
            assert_eq!(names(&elsewhere), ["x-plain"]);
            assert_eq!((elsewhere.url.username(), elsewhere.url.password()), ("", None));
            let (here, _) = next(&request(Method::POST), &answer(status, "/home")).unwrap().unwrap();
            assert_eq!(names(&here), ["x-plain", "X-Secret", "Cookie"]);
        }
    }

    #[test]
    fn a_put_keeps_its_body_with_302_and_so_does_not_leave_its_origin() {
        assert!(matches!(next(&request(Method::PUT), &answer(302, "https://other.example.com/")), Some(Err(NetError::Denied(_)))));
    }

    #[test]
    fn what_is_no_redirect_is_the_answer() {
        assert!(next(&request(Method::POST), &answer(200, "/")).is_none());
        assert!(next(&request(Method::POST), &answer(304, "/")).is_none());
    }
}
