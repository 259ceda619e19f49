//! Exchanges over real sockets on loopback: servers that behave, byte by byte, as a test says.

mod bodies;
mod certificates;
mod floods;
mod misbehaviour;
mod names;
mod plain;
mod redirects;
mod secure;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::outcome::Phase;

/// A listener that remembers the requests that came, head and body. It ends with the test's runtime.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    fn only(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests[0].clone()
    }
}

/// Does with each connection what the test says.
async fn raw<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads one request and answers with the bytes that the test makes of it, then closes.
async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (answer, kept) = (Arc::new(answer), Arc::clone(&requests));
    let address = raw(move |mut stream| {
        let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
        async move {
            let request = read_request(&mut stream).await;
            kept.lock().push(request.clone());
            let _ = stream.write_all(&answer(&request)).await;
        }
    })
    .await;
    Server { address, requests }
}

/// Always the same answer.
async fn saying(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    server(move |_| answer.clone()).await
}

/// A whole answer with this body.
fn ok(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n", body.len()).as_bytes(), body].concat()
}

fn found(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 2\r\n\r\nno").into_bytes()
}

/// A request's head, and its body as long as it says.
async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            _ => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// Reads what comes and never answers.
async fn silence(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

fn get(url: &str) -> Request {
    Request {
        method: http::Method::GET,
        url: url.parse().unwrap(),
        fields: Vec::new(),
        body: bytes::Bytes::new(),
        redirects: 10,
        max_body: 10 << 20,
        keep_body: 10 << 20,
        version: None,
        tls: TlsOptions::default(),
        deadline: Instant::now() + Duration::from_secs(20),
        parent: SpanId::random(),
        trace: None,
        masks: Vec::new(),
    }
}

fn within(milliseconds: u64, request: Request) -> Request {
    Request { deadline: Instant::now() + Duration::from_millis(milliseconds), ..request }
}

fn field(name: &str, value: &str, secret: bool) -> Field {
    Field { name: name.to_owned(), value: value.as_bytes().to_vec(), secret }
}

fn operator() -> Policy {
    Policy { reach: Reach::Operator, insecure_tls: true }
}

async fn ask(request: Request) -> Exchanged {
    asked(&Network::new(), request).await
}

/// Every exchange is looked at: its phases add up, whatever became of it.
async fn asked(network: &Network, request: Request) -> Exchanged {
    let exchanged = network.exchange(request, &operator()).await;
    for exchange in &exchanged.exchanges {
        assert_phases(exchange);
    }
    let errors = exchanged.exchanges.iter().filter(|exchange| exchange.error.is_some()).count();
    assert!(errors <= 1, "only the exchange that failed says so");
    if let (Err(error), Some(last)) = (&exchanged.answer, exchanged.exchanges.last()) {
        assert_eq!(last.error, Some((error.error_type(), error.to_string())));
        assert!(!error.to_string().contains(['\r', '\n']), "{error}");
    }
    exchanged
}

async fn fetch(url: &str) -> Answer {
    ask(get(url)).await.answer.unwrap()
}

async fn failure(url: &str) -> NetError {
    ask(get(url)).await.answer.unwrap_err()
}

/// Phases begin with the exchange, follow each other without gap or overlap, and end with it.
fn assert_phases(exchange: &Exchange) {
    let mut at = exchange.stretch.start;
    for (phase, stretch) in exchange.phases.iter() {
        assert_eq!(stretch.start, at, "{phase} begins where the one before ends");
        assert!(stretch.end >= stretch.start);
        at = stretch.end;
    }
    assert_eq!(at, exchange.stretch.end, "the last phase ends with the exchange: {exchange:?}");
}

fn phases(exchange: &Exchange) -> Vec<Phase> {
    exchange.phases.iter().map(|(phase, _)| phase).collect()
}

fn length(exchange: &Exchange, phase: Phase) -> Duration {
    exchange.phases.get(phase).unwrap().length()
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_future_of_an_exchange_can_move_between_threads() {
    fn movable<T: Send>(_: T) {}
    let network = Network::new();
    movable(network.exchange(get("http://127.0.0.1/"), &operator()));
}
