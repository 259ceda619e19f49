//! What is refused before anything is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use wasmtime::{Config, Engine};

use super::super::bindings::http;
use super::super::bindings::secrets::{BytesPart, Encoding, SecretUse, TextPart};
use super::super::engine::Ticker;
use super::super::{Grants, Limits, Secret};
use super::http::CARRIED;
use super::*;
use crate::clock::Anchor;
use crate::network::{Policy, Reach, Request};
use crate::outcome::{Identity, SpanId, TraceId};

fn grants() -> Grants {
    let secret = |value: &[u8], origin: &str| Secret { value: value.to_vec(), send_to: vec![url::Url::parse(origin).unwrap().origin()] };
    Grants {
        policy: Policy { reach: Reach::Operator, insecure_tls: false },
        secrets: BTreeMap::from([
            ("token".to_owned(), secret(b"hunter2", "https://shop.example.com")),
            ("lines".to_owned(), secret(b"two\nlines", "https://shop.example.com")),
            ("bytes".to_owned(), secret(b"\xff\xfe", "https://shop.example.com")),
        ]),
        files: BTreeMap::from([("ca".to_owned(), PathBuf::from("/etc/ca.pem"))]),
    }
}

fn call(grants: Grants) -> Call {
    let identity = Identity {
        check: String::new(),
        target: String::new(),
        service: String::new(),
        address: String::new(),
        location: String::new(),
        labels: Vec::new(),
        plugin: String::new(),
        plugin_version: String::new(),
        plugin_digest: String::new(),
        peer_service: None,
        every: Duration::ZERO,
    };
    let anchor = Anchor::now();
    Call {
        probe: Arc::new(identity),
        address: "".into(),
        target_labels: Arc::new([]),
        settings: "".into(),
        trace_id: TraceId([1; 16]),
        parent: SpanId([2; 8]),
        sampled: false,
        propagate: false,
        scheduled_at: anchor.wall(),
        anchor,
        timeout: Duration::from_secs(2),
        attempt: 1,
        grants: Arc::new(grants),
        limits: Limits { exchanges: 3, ..Limits::default() },
        state: BTreeMap::new(),
    }
}

fn lent(grants: Grants) -> Lent {
    let mut config = Config::new();
    let engine = Engine::new(config.epoch_interruption(true)).unwrap();
    let meter = Meter::new(Arc::new(Ticker::start(&engine).unwrap()), Duration::from_secs(1));
    let (network, vitals) = (Network::new(), Arc::default());
    let options = HostOptions { slots: 1, max_memory: 1 << 20, cache: None, compiler: None, network, vitals };
    Lent::new(call(grants), Instant::now(), meter, &options)
}

fn request() -> http::Request {
    http::Request {
        method: "GET".to_owned(),
        url: "https://shop.example.com/".to_owned(),
        fields: Vec::new(),
        body: Vec::new(),
        options: http::RequestOptions { timeout: None, redirects: None, max_body: None, keep_body: None, version: None, tls: None },
    }
}

fn literal(name: &str, value: &str) -> http::RequestField {
    http::RequestField { name: name.to_owned(), value: vec![TextPart::Literal(value.to_owned())] }
}

fn wanted(name: &str, encoding: Encoding) -> SecretUse {
    SecretUse { name: name.to_owned(), encoding }
}

/// The request as it would be sent, or why it is not: `denied`, `invalid` or `exhausted`.
fn prepared(lent: &mut Lent, change: impl FnOnce(&mut http::Request)) -> Result<Request, &'static str> {
    let mut request = request();
    change(&mut request);
    lent.prepare(request).map(|prepared| prepared.request).map_err(|refusal| match refusal {
        Refusal::Denied(_) => "denied",
        Refusal::Invalid(_) => "invalid",
        Refusal::Exhausted(_) => "exhausted",
    })
}

fn refused(change: impl FnOnce(&mut http::Request)) -> Option<&'static str> {
    let mut lent = lent(grants());
    let refused = prepared(&mut lent, change).err();
    assert_eq!(lent.denied.is_some(), refused == Some("denied"));
    refused
}

#[test]
fn fields_that_are_the_connections_business_are_refused() {
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "keep-alive", "te", "upgrade", "no token", ""] {
        assert_eq!(refused(|request| request.fields = vec![literal(name, "x")]), Some("invalid"), "{name}");
    }
    assert_eq!(refused(|request| request.fields = vec![literal("x-a", "a\r\nhost: evil")]), Some("invalid"));
    assert_eq!(refused(|request| request.fields = vec![literal("x-a", "b"); 257]), Some("invalid"));
    assert_eq!(refused(|request| request.fields = vec![literal("User-Agent", "mine")]), None);
}

#[test]
fn methods_and_urls_are_what_they_have_to_be() {
    for method in ["get", "", "G T", "GET\r\n"] {
        assert_eq!(refused(|request| request.method = method.to_owned()), Some("invalid"), "{method:?}");
    }
    assert_eq!(refused(|request| request.method = "CONNECT".to_owned()), Some("denied"));
    for url in ["/relative", "ftp://shop.example.com/", "file:///etc/passwd", "https://", "data:,x"] {
        assert_eq!(refused(|request| request.url = url.to_owned()), Some("invalid"), "{url}");
    }
}

#[test]
fn a_secret_is_put_where_it_may_go_and_nowhere_else() {
    let field = |name: &str| http::RequestField {
        name: "authorization".to_owned(),
        value: vec![TextPart::Literal("Basic ".to_owned()), TextPart::Secret(wanted(name, Encoding::Base64))],
    };
    let sent = prepared(&mut lent(grants()), |request| request.fields = vec![field("token")]).unwrap();
    assert_eq!((sent.fields[0].value.as_slice(), sent.fields[0].secret), (&b"Basic aHVudGVyMg=="[..], true));
    assert!(sent.masks.contains(&"hunter2".to_owned()) && sent.masks.contains(&"aHVudGVyMg==".to_owned()));
    assert_eq!(refused(|request| request.fields = vec![field("unknown")]), Some("denied"));
    for url in [
        "http://shop.example.com/",
        "https://shop.example.com:444/",
        "https://evil.example.com/",
        "https://shop.example.com@evil.example.com/",
    ] {
        let change = |request: &mut http::Request| {
            request.url = url.to_owned();
            request.fields = vec![field("token")];
        };
        assert_eq!(refused(change), Some("denied"), "{url}");
    }
    let body = |request: &mut http::Request| {
        request.url = "https://evil.example.com/".to_owned();
        request.body = vec![BytesPart::Secret(wanted("token", Encoding::Raw))];
    };
    assert_eq!(refused(body), Some("denied"));
}

#[test]
fn a_secret_that_cannot_stand_where_it_is_wanted_is_refused() {
    let raw = |request: &mut http::Request| {
        request.fields = vec![http::RequestField { name: "x".to_owned(), value: vec![TextPart::Secret(wanted("lines", Encoding::Raw))] }];
    };
    assert_eq!(refused(raw), Some("invalid"));
    assert_eq!(refused(|request| request.body = vec![BytesPart::Secret(wanted("bytes", Encoding::JsonString))]), Some("invalid"));
}

#[test]
fn a_body_has_a_mebibyte_at_most() {
    assert_eq!(refused(|request| request.body = vec![BytesPart::Literal(vec![0; 1 << 19]); 2]), None);
    assert_eq!(refused(|request| request.body = vec![BytesPart::Literal(vec![0; (1 << 19) + 1]); 2]), Some("invalid"));
}

#[test]
fn a_field_does_not_grow_beyond_its_limit_however_small_its_parts() {
    let parts =
        |count| vec![http::RequestField { name: "x".to_owned(), value: vec![TextPart::Secret(wanted("token", Encoding::Raw)); count] }];
    assert_eq!(refused(|request| request.fields = parts(9_000)), None);
    assert_eq!(refused(|request| request.fields = parts(10_000)), Some("invalid"));
}

#[test]
fn exchanges_carry_no_more_bytes_than_an_attempt_may() {
    let mut lent = lent(grants());
    lent.carried = CARRIED - (1 << 20);
    let sent = prepared(&mut lent, |request| request.body = vec![BytesPart::Literal(vec![0; 1 << 19])]).unwrap();
    assert_eq!(sent.max_body, 1 << 20, "what is left");
    lent.carry(1 << 19);
    assert_eq!(prepared(&mut lent, |_| {}).err(), Some("exhausted"));
    assert!(lent.denied.as_ref().unwrap().contains("128MiB"), "{:?}", lent.denied);
}

#[test]
fn tls_is_weakened_by_grants_only() {
    let tls = |verify, roots: Option<&str>| {
        Some(net::TlsOptions { server_name: None, verify, roots: roots.map(str::to_owned), alpn: Vec::new() })
    };
    assert_eq!(refused(|request| request.options.tls = tls(false, None)), Some("denied"));
    assert_eq!(refused(|request| request.options.tls = tls(true, Some("/etc/passwd"))), Some("denied"));
    let sent = prepared(&mut lent(grants()), |request| request.options.tls = tls(true, Some("ca"))).unwrap();
    assert_eq!(sent.tls.roots, Some(PathBuf::from("/etc/ca.pem")));
    let policy = Policy { insecure_tls: true, ..grants().policy };
    let sent = prepared(&mut lent(Grants { policy, ..grants() }), |request| request.options.tls = tls(false, None)).unwrap();
    assert!(!sent.tls.verify);
}

#[test]
fn limits_of_a_request_have_their_ceilings() {
    let mut lent = lent(grants());
    let sent = prepared(&mut lent, |request| {
        request.options.max_body = Some(u32::MAX);
        request.options.keep_body = Some(u32::MAX);
        request.options.timeout = Some(u64::MAX);
    });
    let sent = sent.unwrap();
    assert_eq!((sent.max_body, sent.keep_body, sent.deadline, sent.redirects), (64 << 20, 64 << 20, lent.deadline, 10));
    let sent = prepared(&mut lent, |request| {
        request.options.keep_body = Some(0);
        request.options.timeout = Some(1);
        request.options.redirects = Some(http::RedirectPolicy::None);
    });
    let sent = sent.unwrap();
    assert_eq!((sent.max_body, sent.keep_body, sent.redirects), (10 << 20, 0, 0));
    assert!(sent.deadline < lent.deadline);
    for most in [0, 21] {
        assert_eq!(refused(|request| request.options.redirects = Some(http::RedirectPolicy::Follow(most))), Some("invalid"));
    }
}

#[test]
fn what_was_refused_counts_as_an_exchange_too() {
    let mut lent = lent(grants());
    for expected in [Some("denied"), None, Some("invalid"), Some("exhausted"), Some("exhausted")] {
        let method = match expected {
            Some("denied") => "CONNECT",
            Some("invalid") => "get",
            _ => "GET",
        };
        assert_eq!(prepared(&mut lent, |request| request.method = method.to_owned()).err(), expected);
    }
}

#[test]
fn exchanges_stand_below_the_innermost_open_step() {
    use super::super::bindings::trace::HostStep;
    let mut lent = lent(grants());
    assert_eq!(prepared(&mut lent, |_| {}).unwrap().parent, SpanId([2; 8]));
    let _step = HostStep::begin(&mut lent, "log in".to_owned());
    assert_eq!(prepared(&mut lent, |_| {}).unwrap().parent, lent.steps.innermost());
    assert_ne!(lent.steps.innermost(), SpanId([2; 8]));
}
