//! Who gets in, when others stand in the way.

use std::io::ErrorKind;

use super::super::access::FORM_WITHIN;
use super::super::connections::{CONNECTIONS, HEAD_WITHIN, READ_WITHIN};
use super::super::live::LISTENERS;
use super::*;

/// Half of a request.
const HALF: &str = "GET / HTTP/1.1\r\nhost: loc";

/// Whether the other side has closed a connection, as far as can be said without waiting.
fn is_closed(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Waits for the end of a connection, and returns what came before it.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    // A reset is an end as well.
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read));
    let _ = reading.await.expect("the connection ends");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn whoever_is_silent_longest_makes_room_for_whoever_asks() {
    let served = served(Access::Open).await;
    let mut silent = Vec::new();
    for number in 0..CONNECTIONS {
        silent.push(served.send(if number % 2 == 0 { HALF } else { "" }).await);
    }
    assert_eq!(served.get("/healthz").await.status, 200);
    rest(&mut silent[0]).await;
    let left = silent.iter().filter(|stream| !is_closed(stream)).count();
    assert_eq!(left, CONNECTIONS - 1, "one had to go, the others may stay");
}

#[tokio::test]
async fn an_idle_connection_has_waited_since_its_last_answer() {
    let served = served(Access::Open).await;
    let question = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = served.send(question).await;
    until(&mut first, "ready").await;
    let mut silent = Vec::new();
    for _ in 1..CONNECTIONS {
        silent.push(served.send("").await);
    }
    first.write_all(question.as_bytes()).await.unwrap();
    until(&mut first, "ready").await;
    assert_eq!(served.get("/readyz").await.status, 200);
    rest(&mut silent[0]).await;
    let left = silent.iter().filter(|stream| !is_closed(stream)).count();
    assert_eq!(left, silent.len() - 1, "one had to go");
    assert!(!is_closed(&first), "and that is another: it asked later than they did");
}

#[tokio::test]
async fn open_pages_have_a_limit_of_their_own_and_keep_their_places() {
    let served = served(Access::Open).await;
    let mut pages = Vec::new();
    for _ in 0..LISTENERS {
        let mut page = served.send(&events_since("")).await;
        until(&mut page, "\"probes\":[").await;
        pages.push(page);
    }
    let refused = rest(&mut served.send(&events_since("")).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let refused = refused.to_ascii_lowercase();
    assert!(refused.contains("\r\nretry-after: ") && refused.contains("\r\nconnection: close\r\n"), "{refused}");
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(served.send(HALF).await);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(served.get(path).await.status, 200, "{path}");
    }
    assert!(!pages.iter().any(is_closed), "a page that is open is not idle");
    drop(pages.pop());
    // The agent notices when it has something to tell.
    let told = async {
        loop {
            let record = sample::record(&sample::info(&FATES[0]), &FATES[0], '.', 0, Duration::ZERO);
            served.service.board.record(&record);
            if served.ask("HEAD", "/events", "", "").await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), told).await.is_ok(), "a page that was closed leaves room");
}

#[tokio::test]
async fn half_requests_idle_connections_and_half_forms_come_to_an_end() {
    let served = served(Access::Token("s3cret".to_owned())).await;
    let form = "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\ntoken=";
    let mut half = served.send(HALF).await;
    let mut idle = served.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut unfinished = served.send(form).await;
    until(&mut idle, "ok").await;
    // One that came last, and has been read: so have the others.
    assert_eq!(served.get("/healthz").await.status, 200);
    tokio::time::pause();
    tokio::time::advance(HEAD_WITHIN + Duration::from_millis(10)).await;
    tokio::time::resume();
    assert_eq!((rest(&mut half).await, rest(&mut idle).await), (String::new(), String::new()));
    assert!(!is_closed(&unfinished));
    tokio::time::pause();
    tokio::time::advance(FORM_WITHIN).await;
    tokio::time::resume();
    assert!(rest(&mut unfinished).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn answers_that_nobody_reads_do_not_keep_a_connection() {
    let served = served(Access::Open).await;
    // More than the buffers of both sides take.
    let count = 1_000;
    let mut greedy = served.send(&"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(count)).await;
    greedy.readable().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(READ_WITHIN + Duration::from_millis(10)).await;
    tokio::time::resume();
    let answers = rest(&mut greedy).await.matches("HTTP/1.1 200 ").count();
    assert!(answers < count, "{answers} answers");
}

#[tokio::test]
async fn a_request_says_once_whom_it_means() {
    let served = served(Access::Open).await;
    for (version, headers, status) in [
        ("1.1", "", 400),
        ("1.0", "", 200),
        ("1.1", "host: localhost\r\nhost: localhost\r\n", 400),
        ("1.0", "host: localhost\r\nhost: evil.example\r\n", 400),
        ("1.1", "host: local host\r\n", 400),
        ("1.1", "host: somebody@localhost\r\n", 400),
        ("1.1", "host: \u{fc}\r\n", 400),
        ("1.1", "host: \r\n", 200),
        ("1.1", "host: localhost\r\n", 200),
        ("1.1", "host: [::1]:9115\r\n", 200),
    ] {
        for path in ["/", "/healthz"] {
            let mut stream = served.send(&format!("GET {path} HTTP/{version}\r\n{headers}connection: close\r\n\r\n")).await;
            let answer = rest(&mut stream).await;
            assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{path} {version} {headers:?}: {answer}");
        }
    }
    // What a request is sent to goes before its Host.
    let absolute = "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(rest(&mut served.send(absolute).await).await.starts_with("HTTP/1.1 421 "));
}
