//! Redirects: where they lead, what goes along, and what never does.

use http::Method;

use super::*;

/// `/start` answers with this; everything else is fine.
async fn redirecting(status: u16, location: impl Into<String>) -> Server {
    let location = location.into();
    server(move |request| if request.contains(" /start") { found(status, &location) } else { ok("", "arrived") }).await
}

fn told(exchanged: &Exchanged) -> Vec<(Option<u16>, u32)> {
    exchanged.exchanges.iter().map(|exchange| (exchange.status, exchange.resend_count)).collect()
}

#[tokio::test]
async fn each_hop_is_an_exchange_on_a_connection_of_its_own() {
    let server = redirecting(302, "next?x=1#part").await;
    let exchanged = ask(get(&server.url("/start"))).await;
    assert_eq!(told(&exchanged), [(Some(302), 0), (Some(200), 1)]);
    assert_eq!(exchanged.exchanges[1].url, server.url("/next?x=1"));
    assert!(exchanged.exchanges.iter().all(|exchange| exchange.phases.get(Phase::Connect).is_some()));
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.url, answer.locations), (server.url("/next?x=1"), vec!["next?x=1#part".to_owned()]));
    assert!(server.requests()[1].starts_with("GET /next?x=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn methods_and_bodies_follow_the_table() {
    for (status, method, then) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (302, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "GET", "GET"),
    ] {
        let server = redirecting(status, "/there").await;
        let fields = vec![field("content-type", "text/x", false), field("x-kept", "1", false)];
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let body = if method == Method::HEAD { "" } else { "data" };
        let exchanged = ask(Request { method: method.clone(), fields, body: body.into(), ..get(&server.url("/start")) }).await;
        exchanged.answer.unwrap();
        let request = &server.requests()[1];
        assert!(request.starts_with(&format!("{then} /there ")), "{status} after {method}: {request}");
        let kept = then == method.as_str() && status != 303;
        assert_eq!(request.ends_with("data"), kept && !body.is_empty(), "{status} after {method}: {request}");
        assert_eq!(request.contains("content-type"), kept, "{status} after {method}: {request}");
        assert!(request.contains("x-kept: 1"));
        assert_eq!(exchanged.exchanges[1].method, then);
    }
}

#[tokio::test]
async fn other_codes_and_answers_without_a_location_are_the_answer() {
    for status in [300, 304, 305, 306, 399] {
        let server = redirecting(status, "/there").await;
        assert_eq!(fetch(&server.url("/start")).await.status, status);
    }
    assert_eq!(fetch(&saying("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await.url("/")).await.status, 302);
}

fn with_credentials(url: &str) -> Request {
    let fields = vec![
        field("Authorization", "canary-1", false),
        field("cookie", "canary-2", false),
        field("Proxy-Authorization", "canary-3", false),
        field("x-token", "canary-4", true),
        field("x-plain", "kept", false),
    ];
    Request { fields, ..get(url) }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let server = redirecting(302, "/there").await;
    ask(with_credentials(&server.url("/start"))).await.answer.unwrap();
    assert_eq!(server.requests()[1].matches("canary").count(), 4, "the same origin gets them");

    let other = saying(ok("", "")).await;
    let port = redirecting(302, other.url("/")).await;
    ask(with_credentials(&port.url("/start"))).await.answer.unwrap();
    assert!(!other.only().contains("canary") && other.only().contains("x-plain: kept"), "{}", other.only());

    let host = redirecting(302, format!("http://localhost:{}/", other.address.port())).await;
    ask(with_credentials(&host.url("/start"))).await.answer.unwrap();
    assert!(!other.requests()[1].contains("canary"));

    let user = port.url("/start").replace("://", "://user:hunter2@");
    ask(get(&user)).await.answer.unwrap();
    assert!(!other.requests()[2].to_ascii_lowercase().contains("authorization"));
}

#[tokio::test]
async fn credentials_do_not_come_back_with_the_origin() {
    let home = Arc::new(Mutex::new(String::new()));
    let back = Arc::clone(&home);
    let other = server(move |_| found(302, &back.lock())).await;
    let there = other.url("/");
    let server = server(move |request| if request.contains(" /start") { found(307, &there) } else { ok("", "") }).await;
    *home.lock() = server.url("/back");
    ask(with_credentials(&server.url("/start"))).await.answer.unwrap();
    assert!(server.requests()[0].contains("canary") && !server.requests()[1].contains("canary"));
}

#[tokio::test]
async fn a_body_with_a_secret_is_not_sent_to_another_origin() {
    let other = saying(ok("", "")).await;
    let server = redirecting(307, other.url("/")).await;
    let request = Request { method: Method::POST, body: "password=hunter2".into(), ..get(&server.url("/start")) };
    ask(request.clone()).await.answer.unwrap();
    let error = ask(Request { masks: vec!["hunter2".to_owned()], ..request }).await.answer.unwrap_err();
    assert_eq!((error.error_type(), other.requests().len()), (ErrorType::Denied, 1));
}

#[tokio::test]
async fn a_user_in_a_location_is_neither_sent_nor_shown() {
    let server = saying(ok("", "")).await;
    let start = redirecting(302, format!("http://eve:canary@{}/x", server.address)).await;
    let exchanged = ask(get(&start.url("/start"))).await;
    assert!(!server.only().to_ascii_lowercase().contains("authorization"));
    assert_eq!(exchanged.exchanges[1].url, server.url("/x"));
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.url, answer.locations), (server.url("/x"), vec![format!("http://***@{}/x", server.address)]));
}

#[tokio::test]
async fn too_many_redirects_are_an_error_and_none_are_an_answer() {
    let server = saying(found(302, "/again")).await;
    let exchanged = ask(get(&server.url("/"))).await;
    assert!(matches!(exchanged.answer, Err(NetError::TooManyRedirects(10))));
    assert_eq!((exchanged.exchanges.len(), server.requests().len()), (11, 11));
    let exchanged = ask(Request { redirects: 0, ..get(&server.url("/")) }).await;
    assert_eq!((exchanged.answer.unwrap().status, exchanged.exchanges.len()), (302, 1));
    let exchanged = ask(Request { redirects: 1, ..get(&redirecting(302, "/there").await.url("/start")) }).await;
    assert_eq!(exchanged.answer.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_to_anything_but_http_is_protocol() {
    for location in ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:text/plain,x", "javascript:1", "http://", "http://[::1", "//:99999/"]
    {
        let exchanged = ask(get(&redirecting(302, location).await.url("/start"))).await;
        let error = exchanged.answer.unwrap_err();
        assert_eq!((error.error_type(), exchanged.exchanges.len()), (ErrorType::Protocol, 1), "{location}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_to_metadata_is_denied() {
    for location in ["http://169.254.169.254/latest", "http://2852039166/", "http://[::ffff:a9fe:a9fe]/", "http://[fd00:ec2::254]/"] {
        let exchanged = ask(get(&redirecting(302, location).await.url("/start"))).await;
        assert_eq!(exchanged.answer.unwrap_err().error_type(), ErrorType::Denied, "{location}");
        assert_eq!(exchanged.exchanges.len(), 1, "nothing was sent there");
    }
}

#[tokio::test]
async fn the_deadline_is_for_all_hops_together() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let _ = stream.write_all(&found(302, "/again")).await;
    })
    .await;
    let request = within(200, get(&format!("http://{address}/")));
    let deadline = request.deadline;
    let exchanged = ask(request).await;
    assert!(matches!(exchanged.answer, Err(NetError::TimedOut(_))), "{:?}", exchanged.answer);
    assert!(exchanged.exchanges.len() > 1 && exchanged.exchanges.last().unwrap().stretch.end >= deadline);
}

#[tokio::test]
async fn a_hop_that_fails_is_the_one_that_says_so() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = redirecting(302, format!("http://{address}/")).await;
    let exchanged = ask(get(&server.url("/start"))).await;
    assert!(matches!(exchanged.answer, Err(NetError::ConnectionRefused)));
    assert!(exchanged.exchanges[0].error.is_none() && exchanged.exchanges[1].error.is_some());
}
