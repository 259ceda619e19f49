use std::collections::BTreeMap;

use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::super::encode::Items;
use super::super::fake::{Fake, Reply, until};
use super::super::otlp::{Scope, Signal};
use super::answer::retry_after;
use super::*;
use crate::clock::Timestamp;
use crate::config::Compression;
use crate::vitals::Vitals;

/// A lane of traces with its sender.
struct Way {
    lane: Arc<Lane>,
    vitals: Arc<Vitals>,
    finish: watch::Sender<Option<Instant>>,
    sender: JoinHandle<()>,
}

fn route(url: &str, protocol: OtlpProtocol, compression: Compression) -> Route {
    let path = if protocol == OtlpProtocol::Http { "/v1/traces" } else { "" };
    Route {
        signal: Signal::Traces,
        protocol,
        url: format!("{url}{path}").parse().unwrap(),
        headers: BTreeMap::from([("x-team".to_owned(), "payments".to_owned())]),
        compression,
        timeout: Duration::from_secs(20),
        tls_ca: None,
        tls_certificate: None,
        tls_key: None,
    }
}

impl Way {
    fn http(fake: &Fake) -> Self {
        Self::of(&route(&fake.url, OtlpProtocol::Http, Compression::Gzip))
    }

    fn grpc(fake: &Fake) -> Self {
        Self::of(&route(&fake.url, OtlpProtocol::Grpc, Compression::Gzip))
    }

    fn of(route: &Route) -> Self {
        let vitals = Arc::new(Vitals::default());
        let lane = Lane::open(Signal::Traces, None, &vitals);
        let (finish, finishing) = watch::channel(None);
        let transport = Transport::new(route).unwrap();
        let pause = Duration::from_millis(10);
        let delivery = Delivery { pause, ..Delivery::new(Arc::clone(&lane), transport, finishing) };
        Self { lane, vitals, finish, sender: tokio::spawn(delivery.run()) }
    }

    /// A request of spans with these names.
    fn push(&self, names: &str) {
        let span = |name: &str| (Scope::own(), Span { name: name.to_owned(), ..Span::default() });
        let items = Items::Traces(names.split(' ').map(span).collect());
        for plain in items.requests(&Resource::default()) {
            self.lane.push(Request::new(plain, Timestamp::now()));
        }
    }

    async fn finish(self) -> Arc<Vitals> {
        self.finish.send_replace(Some(Instant::now() + Duration::from_secs(30)));
        self.sender.await.unwrap();
        self.vitals
    }
}

/// Items that were sent, rejected, dropped.
fn ledger(vitals: &Vitals) -> [u64; 3] {
    ["sent", "rejected", "dropped"].map(|outcome| {
        let all = vitals.export_items.snapshot().into_iter();
        all.filter(|(values, _)| values[1] == outcome).map(|(_, count)| count).sum()
    })
}

fn order(fake: &Fake) -> Vec<String> {
    fake.attempts().iter().map(|attempt| format!("{}{}", if attempt.taken { "" } else { "!" }, attempt.names())).collect()
}

#[tokio::test]
async fn a_request_that_cannot_be_taken_now_is_tried_again_before_those_behind_it() {
    let fake = Fake::start([503, 429, 502, 504, 408].map(Reply::Status)).await;
    let way = Way::http(&fake);
    way.push("a");
    way.push("b");
    let vitals = way.finish().await;
    assert_eq!(order(&fake), ["!a", "!a", "!a", "!a", "!a", "a", "b"]);
    assert_eq!(ledger(&vitals), [2, 0, 0]);
}

#[tokio::test]
async fn a_collector_that_is_not_there_yet_is_waited_for() {
    for protocol in [OtlpProtocol::Http, OtlpProtocol::Grpc] {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let way = Way::of(&route(&format!("http://{address}"), protocol, Compression::Gzip));
        way.push("a");
        until(|| way.vitals.export_requests.snapshot().iter().any(|(values, count)| values[1] == "retried" && *count >= 2)).await;
        let fake = Fake::listen(TcpListener::bind(address).await.unwrap(), []);
        until(|| fake.attempts().len() == 1).await;
        assert_eq!(ledger(&*way.finish().await), [1, 0, 0]);
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let fake = Fake::start([Reply::StatusAfter(429, "1")]).await;
    let way = Way::http(&fake);
    way.push("a");
    let attempts = fake.reached(2).await;
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(950));
    let soon = jiff::Timestamp::now() + Duration::from_mins(1);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
    let asked = retry_after(&date).unwrap();
    assert!((55..=60).contains(&asked.as_secs()), "{date}: {asked:?}");
    assert_eq!(retry_after("soon"), None);
}

#[tokio::test]
async fn a_wish_for_no_pause_shortens_none() {
    let fake = Fake::start((0..3).map(|_| Reply::StatusAfter(503, "0"))).await;
    let way = Way::http(&fake);
    way.push("a");
    let attempts = fake.reached(4).await;
    // The pauses are 10, 20 and 40 ms, and each may be half of that.
    assert!(attempts[3].at - attempts[0].at >= Duration::from_millis(35), "it asks without a pause");
}

#[tokio::test]
async fn what_is_too_long_is_split_until_it_fits_in_order() {
    for way in [Way::http as fn(&Fake) -> Way, Way::grpc] {
        let fake = Fake::start([]).await;
        fake.refuse_above(2);
        let way = way(&fake);
        way.push("a b c d e");
        way.push("f");
        let vitals = way.finish().await;
        let taken: Vec<_> = order(&fake).into_iter().filter(|names| !names.starts_with('!')).collect();
        assert_eq!(taken.join(" "), "a b c d e f");
        assert_eq!(ledger(&vitals), [6, 0, 0]);
    }
}

#[tokio::test]
async fn one_item_that_is_too_long_is_given_up_and_its_neighbours_are_not() {
    let fake = Fake::start([413, 413].map(Reply::Status)).await;
    let way = Way::http(&fake);
    way.push("a b");
    let vitals = way.finish().await;
    assert_eq!(order(&fake), ["!a b", "!a", "b"]);
    assert_eq!(ledger(&vitals), [1, 1, 0]);
}

#[tokio::test]
async fn a_final_refusal_is_counted_and_not_tried_again() {
    let fake = Fake::start([400, 401, 403, 404, 301].map(Reply::Status)).await;
    let way = Way::http(&fake);
    for name in ["a b", "c", "d", "e", "f", "g"] {
        way.push(name);
    }
    let vitals = way.finish().await;
    assert_eq!(order(&fake), ["!a b", "!c", "!d", "!e", "!f", "g"]);
    assert_eq!(ledger(&vitals), [1, 6, 0]);
}

#[tokio::test]
async fn a_collector_that_stumbles_over_a_request_five_times_does_not_hold_up_the_next() {
    let fake = Fake::start([500, 500, 501, 500, 599].map(Reply::Status)).await;
    let way = Way::http(&fake);
    way.push("a");
    way.push("b");
    let vitals = way.finish().await;
    assert_eq!(order(&fake), ["!a", "!a", "!a", "!a", "!a", "b"]);
    assert_eq!(ledger(&vitals), [1, 1, 0]);
}

#[tokio::test]
async fn what_a_partial_success_leaves_out_is_counted_and_never_sent_again() {
    for way in [Way::http as fn(&Fake) -> Way, Way::grpc] {
        let fake = Fake::start([Reply::Partial(2), Reply::Body(b"\xff\xffno protobuf"), Reply::Partial(99)]).await;
        let way = way(&fake);
        way.push("a b c");
        way.push("d");
        way.push("e");
        let vitals = way.finish().await;
        assert_eq!(order(&fake), ["a b c", "d", "e"]);
        assert_eq!(ledger(&vitals), [2, 3, 0]);
        assert!(vitals.export_last_success.get() > 0);
    }
}

#[tokio::test]
async fn compression_and_headers_are_as_configured() {
    for (protocol, header) in [(OtlpProtocol::Http, "content-encoding"), (OtlpProtocol::Grpc, "grpc-encoding")] {
        for (compression, name) in [(Compression::None, None), (Compression::Gzip, Some("gzip")), (Compression::Zstd, Some("zstd"))] {
            let fake = Fake::start([]).await;
            let way = Way::of(&route(&fake.url, protocol, compression));
            way.push("a");
            let attempt = &fake.reached(1).await[0];
            assert_eq!(attempt.headers.get(header).map(|value| value.to_str().unwrap()), name);
            assert_eq!(attempt.headers["x-team"], "payments");
            assert!(attempt.headers["user-agent"].to_str().unwrap().starts_with("vedette/"));
            assert_eq!(attempt.names(), "a");
        }
    }
}

#[tokio::test]
async fn grpc_statuses_are_judged_as_otlp_says() {
    let retried = [1, 4, 10, 11, 14, 15].map(|code| Reply::Grpc(code, None));
    let refused = [3, 5, 6, 7, 9, 12, 16].map(|code| Reply::Grpc(code, None));
    let fake = Fake::start(retried.into_iter().chain(refused)).await;
    let way = Way::grpc(&fake);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        way.push(name);
    }
    let vitals = way.finish().await;
    assert_eq!(order(&fake), ["!a", "!a", "!a", "!a", "!a", "!a", "!a", "!b", "!c", "!d", "!e", "!f", "!g", "h"]);
    assert_eq!(ledger(&vitals), [1, 7, 0]);
    assert_eq!(fake.attempts()[0].path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
}

#[tokio::test]
async fn an_exhausted_server_that_says_when_is_waited_for() {
    // google.rpc.Status{code: 8, details: [RetryInfo{retry_delay: 1 s}]}
    let details = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ";
    let fake = Fake::start([Reply::Grpc(8, Some(details))]).await;
    let way = Way::grpc(&fake);
    way.push("a b");
    let attempts = fake.reached(2).await;
    assert_eq!(order(&fake), ["!a b", "a b"]);
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(950));
}

#[tokio::test]
async fn an_end_in_sight_cuts_a_pause_short_but_not_one_that_was_asked_for() {
    let fake = Fake::start([Reply::StatusAfter(503, "3600")]).await;
    let way = Way::http(&fake);
    way.push("a");
    fake.reached(1).await;
    way.finish.send_replace(Some(Instant::now() + Duration::from_secs(20)));
    tokio::time::timeout(Duration::from_secs(10), way.sender).await.expect("it ends at once: it would wait in vain").unwrap();
    assert_eq!(order(&fake), ["!a"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for protocol in [OtlpProtocol::Http, OtlpProtocol::Grpc] {
        let route = Route { tls_ca: Some("/no/such/ca.pem".into()), ..route("https://localhost:1", protocol, Compression::None) };
        let error = Transport::new(&route).unwrap_err().to_string();
        assert!(error.contains("/no/such/ca.pem"), "{error}");
    }
}
