//! Real requests over loopback.

mod doors;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::sample::{self, FATES, HOSTILE};
use super::{Access, Board, ProbeInfo, Service, serve};

/// A service that is being served.
struct Served {
    port: u16,
    stop: CancellationToken,
    service: Service,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn served_with(service: Service) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, stop) = (listener.local_addr().unwrap().port(), CancellationToken::new());
    tokio::spawn(serve(listener, service.clone(), stop.clone()));
    Served { port, stop, service }
}

async fn served(access: Access) -> Served {
    served_with(sample::service(access)).await
}

impl Served {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host = if headers.to_lowercase().contains("host:") { "" } else { "host: localhost\r\n" };
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        let mut raw = Vec::new();
        self.send(&request).await.read_to_end(&mut raw).await.unwrap();
        let text = String::from_utf8(raw).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn what_is_there_is_200_and_what_is_not_is_404() {
    let served = served(Access::Open).await;
    let there = [
        "/",
        "/agent",
        "/checks/shop/checkout",
        "/checks/brand-new/brand-new",
        "/api/v1/checks",
        "/api/v1/checks/api",
        "/api/v1/checks/shop",
        "/api/v1/checks/shop/home",
        "/api/v1/agent",
        "/metrics",
        "/healthz",
        "/readyz",
        "/fragments/rows?offset=5",
        "/fragments/rows?ids=1,2,99",
        "/fragments/strip/1",
    ];
    for path in there {
        assert_eq!(served.get(path).await.status, 200, "{path}");
    }
    let not_there = [
        "/no/such/page",
        "/api/v1/checks/nobody",
        "/api/v1/outcomes/nobody",
        "/api/v1/outcomes/0123456789abcdef0123456789abcdef",
        "/api/v1/nothing",
        "/checks/nobody",
        "/checks/shop/nobody",
        "/checks/shop/home?run=rubbish",
        "/assets/page.css",
        "/fragments/strip/99",
    ];
    for path in not_there {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.header("content-type") == Some("application/json"),
            path.starts_with("/api/") || path.contains("strip"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_can_only_be_read_refuses_a_post() {
    let served = served(Access::Open).await;
    for path in ["/", "/api/v1/checks", "/metrics", "/healthz", "/events", "/checks/api/api"] {
        assert_eq!(served.ask("POST", path, "", "x").await.status, 405, "{path}");
    }
    assert_eq!(served.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn every_answer_keeps_the_browser_on_our_side() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    for path in ["/", "/api/v1/checks", "/no/such/page", "/healthz", "/login"] {
        let answer = served.get(path).await;
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'self'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

/// Views as a browser gets them: no script or style within, nothing from elsewhere, nothing of a target's taken as HTML.
#[tokio::test]
async fn hostile_messages_are_shown_as_text() {
    let served = served(Access::Open).await;
    let run = served.get("/api/v1/checks/shop/checkout").await.json()["probes"][0]["runs"][0]["trace_id"].as_str().unwrap().to_owned();
    for path in ["/", "/checks/shop/checkout", &format!("/checks/shop/checkout?run={run}"), "/fragments/rows?ids=2"] {
        let page = served.get(path).await.body;
        assert!(page.contains("503, expected 2xx: &#60;script src=http://evil.example"), "{path}");
        assert!(!page.contains("<img") && !page.contains("<script src=http"), "{path}");
        assert!(!page.contains(" style=") && !page.contains("<style"), "{path}");
        for (at, _) in page.match_indices("<script") {
            assert!(page[at..].starts_with("<script src=\"/assets/page."), "{path}");
        }
    }
    let answer = served.get(&format!("/api/v1/outcomes/{run}")).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["message"], HOSTILE);
    let search = served.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.body;
    assert!(!search.contains("<script>alert") && search.contains("No probe is like that."));
}

#[tokio::test]
async fn the_page_tells_the_worst_first() {
    let served = served(Access::Open).await;
    let page = served.get("/").await.body;
    assert!(page.contains("<title>● 3 down · Vedette</title>"));
    for (number, state) in [(3, "down"), (1, "flapping"), (1, "degraded"), (5, "up"), (2, "unknown"), (1, "maintenance")] {
        assert!(page.contains(&format!("<b>{number}</b> {state}")), "{number} {state}");
    }
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("id=\"c2\"") < place("id=\"c3\""), "what is down comes before what is degraded");
    assert!(!page.contains("id=\"c12\"") && page.contains("id=\"p12\""), "what has not run yet is no trouble");
    assert!(place("id=\"p5\"") < place("id=\"p0\""), "rows come in the order of trouble, too");
    assert!(page.contains("certificate expired 2") && page.contains("certificate 12\u{a0}d"));
    assert!(page.contains("scheduler on time") && page.contains("last export"));
    assert!(page.contains("href=\"https://runbooks.example.com/login\""));
    assert!(page.contains("/assets/down."));
}

#[tokio::test]
async fn a_filter_in_the_url_chooses_rows() {
    let served = served(Access::Open).await;
    for (query, there, not_there) in [
        ("q=CHECKOUT", "id=\"p2\"", "id=\"p1\""),
        ("state=degraded", "id=\"p3\"", "id=\"p2\""),
        ("state=up&label=team%3Dpayments", "id=\"p1\"", "id=\"p0\""),
        ("q=shop%20images", "id=\"p4\"", "id=\"p1\""),
    ] {
        let page = served.get(&format!("/?{query}")).await.body;
        assert!(page.contains(there) && !page.contains(not_there), "{query}");
        assert_eq!(served.get(&format!("/fragments/rows?{query}")).await.body.contains(there), page.contains(there), "{query}");
    }
}

#[tokio::test]
async fn a_thousand_probes_are_a_small_page_and_the_rest_follows() {
    let infos: Vec<ProbeInfo> = (0..1000)
        .map(|index| {
            let mut info = sample::info(&FATES[0]);
            let identity = std::sync::Arc::make_mut(&mut info.identity);
            identity.check = format!("check-{}", index / 4);
            identity.target = format!("target-{index}");
            identity.service = format!("{}/{}", identity.check, identity.target);
            info
        })
        .collect();
    let board = Board::new("eu-west-1", infos.clone());
    for (index, info) in infos.iter().enumerate() {
        sample::live(&board, info, if index % 10 == 7 { &FATES[6] } else { &FATES[0] });
    }
    let served = served_with(Service { board, ..sample::service(Access::Open) }).await;
    let page = served.get("/").await.body;
    let assets = include_str!("assets/page.css").len() + include_str!("assets/page.js").len();
    assert_eq!(page.matches("<tr id=").count(), 100);
    assert!(page.len() + assets < 300_000, "{} + {assets}", page.len());
    assert!(page.contains("and 76 more in trouble"));
    let (mut query, mut rows) = ("offset=0".to_owned(), std::collections::BTreeSet::new());
    for _ in 0..10 {
        let part = served.get(&format!("/fragments/rows?{query}")).await.body;
        rows.extend(part.split("<tr id=\"").skip(1).map(|row| row.split('"').next().unwrap().to_owned()));
        let next = part.split("data-next=\"/fragments/rows?").nth(1);
        query = next.map(|next| next.split('"').next().unwrap().to_owned()).unwrap_or_default();
    }
    assert_eq!((rows.len(), query.as_str()), (1000, ""));
}

#[tokio::test]
async fn the_api_has_every_check_and_its_runs() {
    let served = served(Access::Open).await;
    let all = served.get("/api/v1/checks").await;
    assert_eq!(all.header("content-type"), Some("application/json"));
    let all = all.json();
    let names: Vec<&str> = all["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["api", "shop", "login"]);
    assert_eq!((&all["summary"]["down"], &all["location"]), (&3.into(), &"eu-west-1".into()));
    assert_eq!(all["checks"][1]["state"], "down");
    assert_eq!(all["checks"][9]["probes"][0]["since"], serde_json::Value::Null);
    let shop = served.get("/api/v1/checks/shop").await.json();
    assert_eq!(shop["probes"].as_array().unwrap().len(), 4);
    let checkout = &shop["probes"][1];
    assert_eq!((&checkout["target"], &checkout["state"], &checkout["retries"]), (&"checkout".into(), &"down".into(), &1.into()));
    assert_eq!(checkout["settings"]["headers"]["authorization"]["secret"], "shop_token");
    assert_eq!(checkout["runs"].as_array().unwrap().len(), 60);
    assert_eq!(checkout["state_changes"][0]["to"], "down");
    let trace = |index: usize| checkout["runs"][index]["trace_id"].as_str().unwrap();
    let full = served.get(&format!("/api/v1/outcomes/{}", trace(0))).await.json();
    assert_eq!((&full["detail"], &full["result"], &full["error_type"]), (&"full".into(), &"failure".into(), &"status".into()));
    let exchange = &full["attempts"][0]["exchanges"][0];
    assert_eq!((&exchange["status"], &exchange["protocol"]), (&503.into(), &"HTTP/1.1".into()));
    assert!(exchange["phases"]["wait"]["duration_ms"].is_number() && exchange["tls"]["chain"][0]["not_after"].is_string());
    let brief = served.get(&format!("/api/v1/outcomes/{}", trace(59))).await.json();
    assert_eq!((&brief["detail"], &brief["check"], &brief["result"]), (&"brief".into(), &"shop".into(), &"success".into()));
}

#[tokio::test]
async fn failures_in_full_outlive_successes() {
    let (info, fate) = (sample::info(&FATES[0]), &FATES[0]);
    let board = Board::new("here", vec![info.clone()]);
    let failed = sample::record(&info, fate, 'f', 0, Duration::from_mins(1));
    board.record(&failed);
    for place in 0..500 {
        board.record(&sample::record(&info, fate, '.', place, Duration::from_secs(1)));
    }
    assert!(matches!(board.run(failed.outcome.trace_id), Some((0, super::board::Remembered::Full(_)))));
    let history = board.probes()[0].history();
    assert_eq!((history.briefs.len(), history.successes.len(), history.troubles.len()), (60, 5, 1));
    board.record(&sample::record(&sample::info(&FATES[1]), fate, 'f', 0, Duration::ZERO));
    assert_eq!(board.version(), 501, "a record of nobody's is left alone");
}

#[tokio::test]
async fn metrics_are_the_text_that_was_given() {
    let answer = served(Access::Open).await.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.body, "vedette_info 1\n");
}

#[tokio::test]
async fn a_scheduler_that_is_silent_is_unhealthy() {
    let served = served(Access::Open).await;
    assert_eq!(served.get("/healthz").await.status, 200, "it has just started");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let answer = served.get("/healthz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("the scheduler has been silent for 6."), "{}", answer.body);
    assert!(served.get("/").await.body.contains("scheduler silent for 6\u{a0}s"));
    served.service.vitals.beat();
    assert_eq!(served.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_agent_that_was_asked_to_stop_is_healthy_but_not_ready() {
    let served = served(Access::Open).await;
    assert_eq!(served.get("/readyz").await.status, 200);
    served.service.stopping.cancel();
    let ready = served.get("/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the agent is stopping\n"));
    // Its scheduler is silent from then on, and that is as it should be.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(served.get("/healthz").await.status, 200);
    assert_eq!(served.get("/").await.status, 200, "what was learnt can be read to the end");
}

/// A page that names none makes a browser ask for /favicon.ico.
#[tokio::test]
async fn every_page_names_an_icon_that_is_there() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    let known = "authorization: Bearer s3cret\r\n";
    for (path, headers) in [("/", known), ("/agent", known), ("/checks/shop/checkout", known), ("/no/such/page", known), ("/login", "")] {
        let page = served.ask("GET", path, headers, "").await.body;
        let icon = page.split("rel=\"icon\" href=\"").nth(1).unwrap_or_else(|| panic!("{path} names none: {page}"));
        let icon = served.get(icon.split('"').next().unwrap()).await;
        assert_eq!((icon.status, icon.header("content-type")), (200, Some("image/svg+xml")), "{path}");
    }
    let asked = served.get("/favicon.ico").await;
    assert_eq!((asked.status, asked.header("content-type")), (200, Some("image/svg+xml")), "of what is not a page");
}

#[tokio::test]
async fn health_only_tells_health_only() {
    let served = served(Access::HealthOnly).await;
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/", 403), ("/api/v1/checks", 403), ("/metrics", 403), ("/events", 403), ("/login", 403)]
    {
        assert_eq!(served.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_token_opens_the_rest() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    assert_eq!(served.get("/healthz").await.status, 200);
    for path in ["/", "/api/v1/checks", "/metrics", "/events", "/fragments/rows", "/no/such/page", "/checks/api/api"] {
        assert_eq!(served.get(path).await.status, 401, "{path}");
        assert_eq!(served.ask("GET", path, "authorization: Bearer s3cre\r\n", "").await.status, 401, "{path}");
    }
    assert_eq!(served.ask("POST", "/api/v1/checks", "", "").await.status, 401);
    assert_eq!(served.get("/").await.header("www-authenticate"), Some("Bearer realm=\"vedette\""));
    assert_eq!(served.ask("GET", "/api/v1/checks", "authorization: Bearer s3cret\r\n", "").await.status, 200);
}

#[tokio::test]
async fn a_form_takes_the_token_and_sets_a_strict_cookie() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    let form = served.ask("GET", "/checks/api/api?run=1", "accept: text/html\r\n", "").await;
    assert_eq!(form.status, 401);
    assert!(
        form.body.contains("action=\"/login\" method=\"post\"") && form.body.contains("value=\"/checks/api/api?run=1\""),
        "{}",
        form.body
    );
    let kind = "content-type: application/x-www-form-urlencoded\r\n";
    let wrong = served.ask("POST", "/login", kind, "token=nonsense&next=%2Fagent").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    let right = served.ask("POST", "/login", kind, "token=s3cret&next=%2Fagent").await;
    assert_eq!((right.status, right.header("location")), (303, Some("/agent")));
    let cookie = right.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("s3cret"), "{cookie}");
    let shown = format!("cookie: other=1; {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(served.ask("GET", "/", &shown, "").await.status, 200);
    assert_eq!(served.ask("GET", "/", "cookie: vedette=s3cret\r\n", "").await.status, 401);
    let elsewhere = served.ask("POST", "/login", kind, "token=s3cret&next=%2F%2Fevil.example").await;
    assert_eq!(elsewhere.header("location"), Some("/"));
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_on_loopback() {
    let open = served(Access::Open).await;
    for path in ["/", "/api/v1/checks", "/agent", "/events", "/fragments/rows", "/metrics"] {
        assert_eq!(open.ask("GET", path, "Host: rebound.evil.example\r\n", "").await.status, 421, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(open.ask("GET", path, "Host: vedette.monitoring.svc:9115\r\n", "").await.status, 200, "{path}");
    }
    assert_eq!(open.ask("GET", "/api/v1/checks", "Host: 127.0.0.1:9115\r\n", "").await.status, 200);
    let known = served(Access::Token("s3cret".to_owned())).await;
    let headers = "Host: status.example.com\r\nauthorization: Bearer s3cret\r\n";
    assert_eq!(known.ask("GET", "/", headers, "").await.status, 200, "behind a proxy, with a token");
}

#[tokio::test]
async fn assets_may_be_kept_for_ever() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    let form = served.get("/login").await.body;
    let style = form.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = served.get(style).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(answer.header("cache-control").unwrap().contains("immutable"));
}

/// Reads from a stream of events until a text occurs.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let (mut read, mut buffer) = (String::new(), vec![0; 65_536]);
    let reading = async {
        while !read.contains(text) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the stream ended: {read}");
            read.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), reading).await.is_ok(), "{text} did not come: {read}");
    read
}

fn events_since(since: &str) -> String {
    format!("GET /events?since={since} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

#[tokio::test]
async fn an_open_page_is_told_what_changed_and_no_more() {
    let served = served(Access::Open).await;
    let page = served.get("/").await.body;
    let since = page.split("data-since=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut stream = served.send(&events_since(since)).await;
    let head = until(&mut stream, "\"probes\":[").await;
    assert!(head.contains("text/event-stream") && head.contains("\"probes\":[]"), "{head}");
    let record = sample::record(&sample::info(&FATES[0]), &FATES[0], '.', 0, Duration::ZERO);
    served.service.board.record(&record);
    let update = until(&mut stream, "\"probes\":[0]").await;
    assert!(update.contains("event: update") && update.contains("● 3 down"), "{update}");
    assert!(!update.contains("\"troubles\""), "what is up is no trouble: {update}");
    let record = sample::record(&sample::info(&FATES[5]), &FATES[5], 't', 0, Duration::ZERO);
    served.service.board.record(&record);
    assert!(until(&mut stream, "\"probes\":[5]").await.contains("\"troubles\":\""));
}

#[tokio::test]
async fn a_page_that_was_away_is_told_what_it_missed() {
    let served = served(Access::Open).await;
    let since = super::page::since(&served.service.board);
    let record = sample::record(&sample::info(&FATES[3]), &FATES[3], 'w', 0, Duration::ZERO);
    served.service.board.record(&record);
    let mut stream = served.send(&events_since(&since)).await;
    until(&mut stream, "\"probes\":[3]").await;
    let mut stream = served.send(&events_since("00000000000000aa-7")).await;
    until(&mut stream, "event: reload").await;
}

#[tokio::test]
async fn an_open_page_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, stop) = (listener.local_addr().unwrap().port(), CancellationToken::new());
    let serving = tokio::spawn(serve(listener, sample::service(Access::Open), stop.clone()));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(events_since("").as_bytes()).await.unwrap();
    until(&mut stream, "\"probes\":[").await;
    stop.cancel();
    serving.await.unwrap();
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).await.is_ok(), "the stream ends in order");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}
