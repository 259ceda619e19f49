//! Servers that never stop talking: the deadline holds, and whoever runs beside does not notice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use super::*;

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
/// Bytes that are sent at a time.
const WAVE: usize = 256 << 10;

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// `:status: 200`, which the table of HPACK has.
const OK: &[u8] = &[0x88];
/// `x: y`, written out.
const FIELD: &[u8] = &[0, 1, b'x', 1, b'y'];
/// `:status: 103`, written out.
const EARLY_HINTS: &[u8] = &[0x08, 3, b'1', b'0', b'3'];

/// A server on threads of its own, so that only the client has the runtime: it answers each connection with `first` and
/// then with `again` for as long as that is taken.
fn flood(first: &[u8], again: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (first, wave) = (first.to_vec(), again.repeat(WAVE / again.len()));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reading = stream.try_clone().unwrap();
        let _ = reading.read(&mut [0; 4096]);
        // What the client says to it is read, or the client would have to wait.
        thread::spawn(move || while reading.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {});
        let _ = stream.write_all(&first);
        while stream.write_all(&wave).is_ok() {}
        let _ = stream.shutdown(Shutdown::Both);
    });
    address
}

/// What came of an exchange, and how often a neighbour on the same thread had its turn before and after the deadline.
struct Came {
    error: NetError,
    in_time: u32,
    late: u32,
}

async fn beside_a_neighbour(address: SocketAddr, version: HttpVersion) -> Came {
    let request = Request { version: Some(version), max_body: u64::MAX, keep_body: 0, ..get(&format!("http://{address}/")) };
    let request = within(300, request);
    let (deadline, in_time, late) = (request.deadline, AtomicU32::new(0), AtomicU32::new(0));
    let neighbour = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if Instant::now() < deadline { &in_time } else { &late }.fetch_add(1, Relaxed);
        }
    };
    let exchanged = tokio::select! { exchanged = ask(request) => exchanged, () = neighbour => unreachable!() };
    Came { error: exchanged.answer.unwrap_err(), in_time: in_time.into_inner(), late: late.into_inner() }
}

#[tokio::test]
async fn a_flood_without_end_neither_outlives_the_deadline_nor_starves_a_neighbour() {
    let settings = frame(4, 0, 0, &[]);
    let answer = [settings.clone(), frame(1, 4, 1, OK)].concat();
    let floods: [(&str, HttpVersion, &[u8], Vec<u8>); 7] = [
        ("bytes", HttpVersion::Http11, b"HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 1024]),
        ("chunks", HttpVersion::Http11, CHUNKED, b"1\r\nx\r\n".to_vec()),
        ("PING", HttpVersion::Http2, &settings, frame(6, 0, 0, &[7; 8])),
        ("answered PING", HttpVersion::Http2, &settings, frame(6, 1, 0, &[7; 8])),
        ("SETTINGS", HttpVersion::Http2, &settings, settings.clone()),
        ("PRIORITY", HttpVersion::Http2, &settings, frame(2, 0, 1, &[0, 0, 0, 3, 1])),
        ("unknown frames", HttpVersion::Http2, &answer, frame(99, 0, 1, &[])),
    ];
    let quiet = beside_a_neighbour(raw(silence).await, HttpVersion::Http11).await;
    for (name, version, first, again) in floods {
        let came = beside_a_neighbour(flood(first, &again), version).await;
        assert!(matches!(came.error, NetError::TimedOut(_)), "{name}: {:?}", came.error);
        assert!(came.in_time >= quiet.in_time / 20, "{name}: {} turns, {} beside silence", came.in_time, quiet.in_time);
        assert!(came.late < 10, "{name}: {} turns after the deadline", came.late);
    }
}

#[tokio::test]
async fn a_flood_of_what_has_its_bound_breaks_the_protocol() {
    let settings = frame(4, 0, 0, &[]);
    let unended = [settings.clone(), frame(1, 0, 1, OK)].concat();
    let answer = [settings.clone(), frame(1, 4, 1, OK)].concat();
    let floods: [(&str, HttpVersion, &[u8], Vec<u8>); 8] = [
        ("more than 32 interim answers", HttpVersion::Http11, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
        ("more than 32 interim answers", HttpVersion::Http2, &settings, frame(1, 4, 1, EARLY_HINTS)),
        ("more than 128 KiB", HttpVersion::Http11, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n".to_vec()),
        ("more than 128 KiB", HttpVersion::Http11, b"", b"\r\n".to_vec()),
        ("trailers", HttpVersion::Http11, &[CHUNKED, b"0\r\n"].concat(), b"x: y\r\n".to_vec()),
        ("chunk extensions", HttpVersion::Http11, &[CHUNKED, b"5"].concat(), b";x".to_vec()),
        ("too_many_continuations", HttpVersion::Http2, &unended, frame(9, 0, 1, FIELD)),
        ("too_many_data_frames", HttpVersion::Http2, &answer, frame(0, 0, 1, &[])),
    ];
    for (message, version, first, again) in floods {
        let error = beside_a_neighbour(flood(first, &again), version).await.error;
        assert_eq!(error.error_type(), ErrorType::Protocol, "{message}: {error:?}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn as_many_interim_answers_as_somebody_could_mean_are_skipped_and_one_more_is_not() {
    let answer = |interim: usize| ["HTTP/1.1 102 Processing\r\n\r\n".repeat(interim).into_bytes(), ok("", "done")].concat();
    assert_eq!(fetch(&saying(answer(32)).await.url("/")).await.body, "done");
    let error = failure(&saying(answer(33)).await.url("/")).await;
    assert_eq!(error.error_type(), ErrorType::Protocol, "{error:?}");
}
