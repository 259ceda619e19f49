//! Bodies: how they are encoded, how much of them is read, and how much is kept.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};

use super::*;

const TEXT: &[u8] = b"a needle in the hay, a needle in the hay, a needle in the hay";

macro_rules! encoded {
    ($encoder:ident, $bytes:expr) => {{
        let mut encoder = $encoder::new(Vec::new());
        encoder.write_all($bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }};
}

async fn encodings(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", encoded!(GzipEncoder, text)),
        ("deflate", encoded!(ZlibEncoder, text)),
        ("deflate", encoded!(DeflateEncoder, text)),
        ("br", encoded!(BrotliEncoder, text)),
        ("zstd", encoded!(ZstdEncoder, text)),
        ("br, gzip", encoded!(GzipEncoder, &encoded!(BrotliEncoder, text))),
    ]
}

fn encoded_as(name: &str, body: &[u8]) -> Vec<u8> {
    ok(&format!("content-encoding: {name}\r\n"), body)
}

#[tokio::test]
async fn every_encoding_that_was_asked_for_is_undone() {
    for (name, body) in encodings(TEXT).await {
        let exchanged = ask(get(&saying(encoded_as(name, &body)).await.url("/"))).await;
        let answer = exchanged.answer.unwrap();
        assert_eq!((&*answer.body, answer.body_size), (TEXT, body.len() as u64), "{name}");
        assert_eq!(exchanged.exchanges[0].body_size, Some(TEXT.len() as u64), "{name}");
    }
}

#[tokio::test]
async fn an_encoding_that_the_plugin_asked_for_itself_is_left_alone() {
    let body = encoded!(GzipEncoder, TEXT);
    let server = saying(encoded_as("gzip", &body)).await;
    let request = Request { fields: vec![field("Accept-Encoding", "gzip", false)], ..get(&server.url("/")) };
    assert_eq!(ask(request).await.answer.unwrap().body, body);
    assert_eq!(server.only().matches("ccept-").count(), 1);
}

#[tokio::test]
async fn an_unknown_encoding_and_an_empty_body_are_left_alone() {
    assert_eq!(fetch(&saying(encoded_as("rot13", b"uryyb")).await.url("/")).await.body, "uryyb");
    assert_eq!(fetch(&saying(encoded_as("gzip", b"")).await.url("/")).await.body, "");
}

#[tokio::test]
async fn a_body_that_is_not_encoded_as_it_says_is_protocol() {
    for (name, body) in encodings(TEXT).await {
        for body in [&body[..body.len() / 2], &b"\x07 not encoded at all \xff\xff"[..]] {
            let error = failure(&saying(encoded_as(name, body)).await.url("/")).await;
            assert_eq!(error.error_type(), ErrorType::Protocol, "{name}: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_encoded_body_that_breaks_off_is_connection_closed() {
    let body = encoded!(GzipEncoder, TEXT);
    let mut bytes = encoded_as("gzip", &body);
    bytes.truncate(bytes.len() - 6);
    assert_eq!(failure(&saying(bytes).await.url("/")).await.error_type(), ErrorType::ConnectionClosed);
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit_after_decoding() {
    let bomb = vec![0; 4 << 20];
    for (name, body) in encodings(&bomb).await {
        assert!(body.len() < 50_000, "{name} is small on the wire");
        let exchanged = ask(Request { max_body: 1 << 18, ..get(&saying(encoded_as(name, &body)).await.url("/")) }).await;
        assert!(matches!(exchanged.answer, Err(NetError::BodyLimit(limit)) if limit == 1 << 18), "{name}: {:?}", exchanged.answer);
        let read = exchanged.exchanges[0].body_size.unwrap();
        assert!((1 << 18..1 << 19).contains(&read), "{name}: {read} bytes were decoded");
    }
}

#[tokio::test]
async fn a_window_that_costs_more_memory_than_is_decent_is_refused() {
    // One byte of content, in a frame whose header asks for a window of 8 MiB, and then of 64.
    let frame = |window: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, b'x'];
    assert_eq!(fetch(&saying(encoded_as("zstd", &frame(13 << 3))).await.url("/")).await.body, "x");
    let frame = frame(16 << 3);
    let error = failure(&saying(encoded_as("zstd", &frame)).await.url("/")).await;
    assert_eq!(error.error_type(), ErrorType::Protocol, "{error:?}");
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_fine_and_one_byte_more_is_not() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    for bytes in [ok("", "abcde"), chunked.into(), "HTTP/1.1 200 OK\r\n\r\nabcde".into()] {
        let url = saying(bytes).await.url("/");
        assert!(ask(Request { max_body: 5, ..get(&url) }).await.answer.is_ok());
        let error = ask(Request { max_body: 4, ..get(&url) }).await.answer.unwrap_err();
        assert_eq!((error.error_type(), error.to_string().as_str()), (ErrorType::BodyLimit, "body longer than 4 bytes"));
    }
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_not_waited_for() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nx").await.unwrap();
        silence(stream).await;
    })
    .await;
    let request = within(2000, Request { max_body: 1000, ..get(&format!("http://{address}/")) });
    assert!(matches!(ask(request).await.answer, Err(NetError::BodyLimit(1000))));
}

#[tokio::test]
async fn no_more_is_kept_than_is_wanted_but_all_is_counted() {
    let server = saying(ok("", vec![b'x'; 300_000])).await;
    for (keep, kept, truncated) in [(0, 0, true), (1000, 1000, true), (300_000, 300_000, false)] {
        let exchanged = ask(Request { keep_body: keep, ..get(&server.url("/")) }).await;
        let answer = exchanged.answer.unwrap();
        assert_eq!((answer.body.len(), answer.body_truncated, answer.body_size), (kept, truncated, 300_000));
        assert_eq!(exchanged.exchanges[0].body_size, Some(300_000));
    }
}

#[tokio::test]
async fn a_length_that_no_body_can_have_is_protocol_and_named() {
    for length in ["18446744073709551614", "18446744073709551615", "18446744073709551616", "99999999999999999999999"] {
        let error = failure(&saying(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nx")).await.url("/")).await;
        assert_eq!(error.error_type(), ErrorType::Protocol, "{length}: {error:?}");
        assert!(error.to_string().contains("content-length"), "{error}");
    }
    let longest = failure(&saying("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551613\r\n\r\nx").await.url("/")).await;
    assert!(matches!(longest, NetError::BodyLimit(_)), "{longest:?}");
}

#[tokio::test]
async fn more_codings_than_are_undone_are_protocol() {
    let error = failure(&saying(encoded_as(&vec!["gzip"; 100].join(", "), TEXT)).await.url("/")).await;
    assert_eq!(error.to_string(), "protocol error: more than 4 content codings");
}
