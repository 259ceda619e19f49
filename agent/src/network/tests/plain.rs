//! What is sent, what comes back, and where the time goes, over plain HTTP.

use super::*;

#[tokio::test]
async fn an_answer_is_told_whole() {
    let server = saying(ok("X-Kind: caf\u{e9}\r\nx-old: caf\r\n", "all is well")).await;
    let exchanged = ask(get(&server.url("/health?a=1#part"))).await;
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.status, answer.version, &*answer.body), (200, HttpVersion::Http11, &b"all is well"[..]));
    assert_eq!((answer.body_size, answer.body_truncated, answer.url), (11, false, server.url("/health?a=1")));
    assert_eq!(value(&answer.fields, "x-kind"), Some("caf\u{e9}"));
    let [exchange] = &exchanged.exchanges[..] else { panic!("one hop") };
    assert_eq!(phases(exchange), [Phase::Connect, Phase::Send, Phase::Wait, Phase::Receive]);
    assert_eq!((exchange.remote, exchange.status, exchange.body_size), (Some(server.address), Some(200), Some(11)));
    assert_eq!((exchange.host.as_str(), exchange.port, exchange.resend_count), ("127.0.0.1", server.address.port(), 0));
    assert_eq!((exchange.method.as_str(), exchange.version), ("GET", Some(HttpVersion::Http11)));
    assert!(exchange.tls.is_none() && exchange.error.is_none());
    assert!(server.only().starts_with("GET /health?a=1 HTTP/1.1\r\n"), "no fragment is sent");
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_read_as_iso_8859_1() {
    let server = saying(&b"HTTP/1.1 200 OK\r\nx-old: caf\xe9\r\ncontent-length: 0\r\n\r\n"[..]).await;
    assert_eq!(value(&fetch(&server.url("/")).await.fields, "x-old"), Some("caf\u{e9}"));
}

#[tokio::test]
async fn the_host_says_who_asks_and_what_it_takes() {
    let server = saying(ok("", "")).await;
    fetch(&server.url("/")).await;
    let request = server.only().to_ascii_lowercase();
    let agent = format!("\r\nuser-agent: vedette/{} (synthetic)\r\n", env!("CARGO_PKG_VERSION"));
    for line in
        [&agent, "\r\naccept: */*\r\n", "\r\naccept-encoding: gzip, deflate, br, zstd\r\n", &format!("\r\nhost: {}\r\n", server.address)]
    {
        assert!(request.contains(line), "{line:?} is not in {request}");
    }
    assert!(!request.contains("traceparent") && !request.contains("tracestate"));
}

#[tokio::test]
async fn what_the_plugin_says_itself_is_not_said_twice() {
    let server = saying(ok("", "")).await;
    let fields = vec![field("User-Agent", "mine", false), field("x-b", "1", false), field("x-a", "2", false), field("X-B", "3", false)];
    ask(Request { fields, ..get(&server.url("/")) }).await.answer.unwrap();
    let request = server.only();
    assert_eq!(request.to_ascii_lowercase().matches("user-agent").count(), 1);
    assert!(request.contains("user-agent: mine\r\n") && request.contains("x-b: 1\r\n") && request.contains("x-b: 3\r\n"));
}

#[tokio::test]
async fn traceparent_names_the_run_and_the_span_of_the_very_exchange() {
    let server = server(|request| if request.contains("GET /a") { found(302, "/b") } else { ok("", "") }).await;
    let trace_id = TraceId::random();
    for (sampled, flags) in [(true, "01"), (false, "00")] {
        server.requests.lock().clear();
        let exchanged = ask(Request { trace: Some(TraceContext { trace_id, sampled }), ..get(&server.url("/a")) }).await;
        for (exchange, request) in exchanged.exchanges.iter().zip(server.requests()) {
            let line = format!("traceparent: 00-{trace_id}-{}-{flags}\r\n", exchange.span_id);
            assert!(request.contains(&line) && request.contains("tracestate: vedette=1\r\n"), "{request}");
        }
        assert_ne!(exchanged.exchanges[0].span_id, exchanged.exchanges[1].span_id);
    }
}

#[tokio::test]
async fn user_information_is_sent_as_basic_and_masked_where_it_is_shown() {
    let server = saying(ok("", "")).await;
    let url = server.url("/x?token=canary").replace("://", "://user:hunter2@");
    let exchanged = ask(Request { masks: vec!["canary".to_owned()], ..get(&url) }).await;
    let request = server.only();
    assert!(request.contains("authorization: Basic dXNlcjpodW50ZXIy\r\n") && request.starts_with("GET /x?token=canary "));
    let shown = format!("http://***@{}/x?token=***", server.address);
    assert_eq!((exchanged.answer.unwrap().url, &exchanged.exchanges[0].url), (shown.clone(), &shown));
}

#[tokio::test]
async fn a_body_is_sent_with_its_length_and_an_empty_one_says_so() {
    let server = saying(ok("", "")).await;
    let post = Request { method: http::Method::POST, ..get(&server.url("/")) };
    ask(Request { body: "a=1".into(), ..post.clone() }).await.answer.unwrap();
    ask(post).await.answer.unwrap();
    let [full, empty] = &server.requests()[..] else { panic!("two requests") };
    assert!(full.contains("content-length: 3\r\n") && full.ends_with("\r\n\r\na=1"), "{full}");
    assert!(empty.contains("content-length: 0\r\n"), "{empty}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let server = saying(ok("", "")).await;
    let connect = Request { method: http::Method::CONNECT, ..get(&server.url("/")) };
    let host = Request { fields: vec![field("host", "x", false)], ..get(&server.url("/")) };
    let ftp = get("ftp://127.0.0.1/");
    for request in [connect, host, ftp] {
        let exchanged = ask(request).await;
        assert!(matches!(exchanged.answer, Err(NetError::InvalidRequest(_))) && exchanged.exchanges.is_empty());
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_time_before_the_head_is_in_wait_and_that_before_the_body_in_receive() {
    let pause = Duration::from_millis(120);
    let address = raw(move |mut stream| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(pause).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await.unwrap();
        tokio::time::sleep(pause * 2).await;
        stream.write_all(b"ok").await.unwrap();
    })
    .await;
    let exchanged = ask(get(&format!("http://{address}/"))).await;
    let exchange = &exchanged.exchanges[0];
    assert!(length(exchange, Phase::Wait) >= pause && length(exchange, Phase::Receive) >= pause * 2, "{exchange:?}");
    assert!(length(exchange, Phase::Send) < pause);
}

#[tokio::test]
async fn a_server_that_reads_slowly_makes_send_long() {
    let pause = Duration::from_millis(150);
    let address = raw(move |mut stream| async move {
        tokio::time::sleep(pause).await;
        read_request(&mut stream).await;
        stream.write_all(&ok("", "")).await.unwrap();
    })
    .await;
    let body = vec![b'x'; 16 << 20].into();
    let exchanged = ask(Request { method: http::Method::POST, body, ..get(&format!("http://{address}/")) }).await;
    assert_eq!(exchanged.answer.unwrap().status, 200);
    assert!(length(&exchanged.exchanges[0], Phase::Send) >= pause, "{:?}", exchanged.exchanges[0]);
}

#[tokio::test]
async fn answers_without_a_body_have_none_whatever_they_say() {
    for status in ["204 No Content", "304 Not Modified"] {
        let server = saying(format!("HTTP/1.1 {status}\r\n\r\n")).await;
        let answer = fetch(&server.url("/")).await;
        assert_eq!((answer.body_size, answer.body.len()), (0, 0), "{status}");
    }
    let server = saying("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncontent-encoding: gzip\r\n\r\n").await;
    let exchanged = ask(Request { method: http::Method::HEAD, ..get(&server.url("/")) }).await;
    assert_eq!(value(&exchanged.answer.unwrap().fields, "content-length"), Some("1000"));
    assert_eq!(exchanged.exchanges[0].body_size, Some(0));
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let bytes = [&b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"[..], &ok("", "ok")].concat();
    assert_eq!(fetch(&saying(bytes).await.url("/")).await.status, 200);
}

#[tokio::test]
async fn chunks_are_put_together_and_trailers_told() {
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n";
    let answer = fetch(&saying(bytes).await.url("/")).await;
    assert_eq!((&*answer.body, answer.body_size), (&b"abcde"[..], 5));
    assert_eq!(value(&answer.trailers, "x-sum"), Some("5"));
}

#[tokio::test]
async fn an_old_server_ends_its_body_by_closing() {
    let server = saying("HTTP/1.0 200 OK\r\n\r\nto the end").await;
    let exchanged = ask(Request { version: Some(HttpVersion::Http10), ..get(&server.url("/")) }).await;
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.version, &*answer.body), (HttpVersion::Http10, &b"to the end"[..]));
    assert!(server.only().starts_with("GET / HTTP/1.0\r\n"));
}

#[tokio::test]
async fn http_2_over_plain_is_spoken_only_if_asked_for() {
    let address = raw(|stream| async move {
        let serve = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            tokio::time::sleep(Duration::from_millis(120)).await;
            let text = format!("{:?} {}", request.version(), request.uri());
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from(text))))
        });
        let io = hyper_util::rt::TokioIo::new(stream);
        let _ = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new()).serve_connection(io, serve).await;
    })
    .await;
    let url = format!("http://{address}/x?y");
    let request = Request { version: Some(HttpVersion::Http2), method: http::Method::POST, body: "abc".into(), ..get(&url) };
    let exchanged = ask(request).await;
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.version, answer.body), (HttpVersion::Http2, format!("HTTP/2.0 {url}").into()));
    let exchange = &exchanged.exchanges[0];
    assert_eq!(phases(exchange), [Phase::Connect, Phase::Send, Phase::Wait, Phase::Receive]);
    assert!(length(exchange, Phase::Wait) >= Duration::from_millis(120), "settings are no answer: {exchange:?}");
    assert!(failure(&url).await.error_type() == ErrorType::Protocol, "and HTTP/1.1 otherwise");
}

#[tokio::test]
async fn a_dropped_exchange_leaves_no_connection_behind() {
    let (closed, mut seen) = tokio::sync::mpsc::channel(1);
    let address = raw(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            let end = stream.read(&mut [0; 1]).await;
            closed.send(end.unwrap_or(0)).await.unwrap();
        }
    })
    .await;
    for version in [HttpVersion::Http11, HttpVersion::Http10] {
        let request = Request { version: Some(version), ..get(&format!("http://{address}/")) };
        let (network, policy) = (Network::new(), operator());
        assert!(tokio::time::timeout(Duration::from_millis(100), network.exchange(request, &policy)).await.is_err());
        assert_eq!(seen.recv().await, Some(0), "the server sees the connection closed");
    }
}
