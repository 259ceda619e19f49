//! Servers that refuse, close, lie, or never come to an end: each has its word, and the deadline wins.

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

/// What becomes of an answer of these bytes, after which the server closes.
async fn of(bytes: impl Into<Vec<u8>>) -> NetError {
    failure(&saying(bytes).await.url("/")).await
}

#[tokio::test]
async fn a_refused_connection_is_connect_refused() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let exchanged = ask(get(&format!("http://{address}/"))).await;
    assert!(matches!(exchanged.answer, Err(NetError::ConnectionRefused)));
    assert_eq!((phases(&exchanged.exchanges[0]), exchanged.exchanges[0].remote), (vec![Phase::Connect], None));
}

#[tokio::test]
async fn localhost_is_whichever_of_its_addresses_answers_and_has_no_lookup() {
    let server = saying(ok("", "")).await;
    let exchanged = ask(get(&format!("http://localhost:{}/", server.address.port()))).await;
    assert_eq!(exchanged.exchanges[0].remote, Some(server.address));
    assert_eq!(exchanged.exchanges[0].phases.get(Phase::Dns), None);
    assert_eq!(exchanged.answer.unwrap().status, 200);
}

#[tokio::test]
async fn a_reset_is_connection_closed_before_and_after_the_request() {
    let at_once = raw(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    let after = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    for address in [at_once, after] {
        assert_eq!(failure(&format!("http://{address}/")).await.error_type(), ErrorType::ConnectionClosed);
    }
}

#[tokio::test]
async fn a_body_that_is_reset_is_connection_closed() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(format!("{HEAD}content-length: 9\r\n\r\nabc").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let exchanged = ask(get(&format!("http://{address}/"))).await;
    assert!(matches!(exchanged.answer, Err(NetError::ConnectionClosed("within the body"))), "{:?}", exchanged.answer);
    assert_eq!((exchanged.exchanges[0].status, exchanged.exchanges[0].body_size), (Some(200), Some(3)));
}

#[tokio::test]
async fn an_early_close_is_connection_closed_and_says_when() {
    for (bytes, when) in [
        ("", "before the answer"),
        ("HTTP/1.1 200 OK\r\nconten", "within the head of the answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this", "within the body"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "within the body"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "within the body"),
    ] {
        match of(bytes).await {
            NetError::ConnectionClosed(told) => assert_eq!(told, when, "{bytes:?}"),
            other => panic!("{bytes:?} is {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_rfc_9112_forbids_is_protocol() {
    let chunked = "transfer-encoding: chunked\r\n";
    for bytes in [
        "\x16\x03banana 200 fine\r\n\r\nhello".to_owned(),
        "hello".to_owned(),
        "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
        "HTTP/3.7 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n".to_owned(),
        format!("{HEAD}content-length: 3\r\n{chunked}\r\n3\r\nabc\r\n0\r\n\r\n"),
        format!("{HEAD}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        format!("{HEAD}content-length: 3, 4\r\n\r\nabcd"),
        format!("{HEAD}content-length: -3\r\n\r\nabcd"),
        format!("{HEAD}content-length: 99999999999999999999999\r\n\r\nabcd"),
        format!("{HEAD}transfer-encoding: gzip\r\n\r\nabc"),
        format!("{HEAD}transfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        format!("{HEAD}{chunked}{chunked}\r\n3\r\nabc\r\n0\r\n\r\n"),
        format!("HTTP/1.0 200 OK\r\n{chunked}\r\n3\r\nabc\r\n0\r\n\r\n"),
        format!("{HEAD}{chunked}\r\nxyz\r\nabc\r\n0\r\n\r\n"),
        format!("{HEAD}{chunked}\r\n-3\r\nabc\r\n0\r\n\r\n"),
        format!("{HEAD}{chunked}\r\n3\r\nabcdef\r\n0\r\n\r\n"),
        format!("{HEAD}{chunked}\r\nfffffffffffffffff\r\nabc"),
    ] {
        let error = of(bytes.clone()).await;
        assert_eq!(error.error_type(), ErrorType::Protocol, "{bytes:?} is {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_breaks_the_protocol() {
    let address = raw(|mut stream| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        silence(stream).await;
    })
    .await;
    assert_eq!(failure(&format!("http://{address}/")).await.error_type(), ErrorType::Protocol);
}

#[tokio::test]
async fn the_same_length_twice_and_folded_lines_are_understood() {
    let bytes = format!("{HEAD}content-length: 3\r\ncontent-length: 3\r\nx-long: one\r\n two\r\n\r\nabc");
    let answer = fetch(&saying(bytes).await.url("/")).await;
    assert_eq!((&*answer.body, value(&answer.fields, "x-long")), (&b"abc"[..], Some("one two")));
}

#[tokio::test]
async fn floods_of_fields_are_cut_off() {
    let many = format!("{HEAD}{}\r\n", "x: y\r\n".repeat(100_000));
    let long = format!("{HEAD}x: {}\r\n\r\n", "y".repeat(4 << 20));
    let trailers = format!("{HEAD}transfer-encoding: chunked\r\n\r\n0\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for bytes in [many, long, trailers] {
        let error = of(bytes).await;
        assert_eq!(error.error_type(), ErrorType::Protocol, "{error:?}");
    }
}

/// An exchange that never comes to its end: what it was waiting for, and the phases as far as they came.
async fn cut(milliseconds: u64, request: Request) -> (Waiting, Vec<Phase>) {
    let request = within(milliseconds, request);
    let deadline = request.deadline;
    let exchanged = ask(request).await;
    let Err(NetError::TimedOut(waiting)) = exchanged.answer else { panic!("{:?}", exchanged.answer) };
    assert!(exchanged.exchanges[0].stretch.end >= deadline);
    (waiting, phases(&exchanged.exchanges[0]))
}

#[tokio::test]
async fn a_full_queue_is_connect_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _fillers: Vec<_> = (0..3).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (waiting, phases) = cut(200, get(&format!("http://{address}/"))).await;
    assert_eq!((waiting, phases), (Waiting::Connect, vec![Phase::Connect]));
    assert_eq!(NetError::TimedOut(waiting).error_type(), ErrorType::ConnectTimeout);
}

#[tokio::test]
async fn the_deadline_cuts_whatever_phase_runs_then() {
    let deaf = raw(|stream| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(stream);
    })
    .await;
    let body = vec![b'x'; 32 << 20].into();
    let send = cut(200, Request { method: http::Method::POST, body, ..get(&format!("http://{deaf}/")) }).await;
    assert_eq!(send, (Waiting::Send, vec![Phase::Connect, Phase::Send]));

    let silent = raw(silence).await;
    let wait = cut(100, get(&format!("http://{silent}/"))).await;
    assert_eq!(wait, (Waiting::Wait, vec![Phase::Connect, Phase::Send, Phase::Wait]));

    let unverified = TlsOptions { verify: false, ..TlsOptions::default() };
    let tls = cut(100, Request { tls: unverified, ..get(&format!("https://{silent}/")) }).await;
    assert_eq!(tls, (Waiting::Tls, vec![Phase::Connect, Phase::Tls]));
}

#[tokio::test]
async fn a_dripping_answer_is_cut_by_the_deadline_in_head_and_body() {
    for (first, drop) in [(&b"HTTP/1.1 200 OK\r\nx: "[..], b'y'), (b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n", b'x')] {
        let address = raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(first).await;
            while stream.write_all(&[drop]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let (waiting, phases) = cut(200, get(&format!("http://{address}/"))).await;
        assert_eq!((waiting, phases.last()), (Waiting::Receive, Some(&Phase::Receive)));
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_lets_nothing_begin_that_takes_time() {
    let silent = raw(silence).await;
    let exchanged = ask(Request { deadline: Instant::now(), ..get(&format!("http://{silent}/")) }).await;
    assert!(matches!(exchanged.answer, Err(NetError::TimedOut(_))));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_counts() {
    let address = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        silence(stream).await;
    })
    .await;
    let body = vec![b'x'; 1 << 20].into();
    let exchanged = ask(Request { method: http::Method::POST, body, ..get(&format!("http://{address}/")) }).await;
    assert_eq!(exchanged.answer.unwrap().status, 413);
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http_2_is_told_apart_from_one_that_closes() {
    for (bytes, error) in [("", ErrorType::ConnectionClosed), ("HTTP/1.1 400 Bad Request\r\n\r\n", ErrorType::Protocol)] {
        let request = Request { version: Some(HttpVersion::Http2), ..get(&saying(bytes).await.url("/")) };
        let told = ask(request).await.answer.unwrap_err();
        assert_eq!(told.error_type(), error, "{told:?}");
    }
}
