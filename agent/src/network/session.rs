//! One request and its answer over a connection that is ready, in HTTP/1 or HTTP/2.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, Response, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::body::{self, Wanted};
use super::decoding;
use super::hop::Hop;
use super::tap::{MAX_INTERIM, SharedMarks, Tap, Wire};
use super::{Answer, NetError, wording};
use crate::outcome::HttpVersion;

/// Fields of an answer, at most.
const MAX_FIELDS: usize = 256;
/// Bytes of an answer's head, at most.
const MAX_HEAD: usize = 128 << 10;

/// What a hop wants of its answer's body.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_body: u64,
    pub(super) keep_body: u64,
    /// Whether content codings are undone.
    pub(super) decode: bool,
}

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// Sends the request and reads the whole answer. What is known on the way is noted in the hop.
pub(super) async fn speak(
    wire: Box<dyn Wire>,
    mut request: http::Request<Full<Bytes>>,
    limits: Limits,
    hop: &mut Hop,
) -> Result<Answer, NetError> {
    let marks = SharedMarks::default();
    hop.course.connected(Arc::clone(&marks));
    let interim = Arc::clone(&marks);
    hyper::ext::on_informational(&mut request, move |_| interim.lock().interim += 1);
    let http2 = request.version() == Version::HTTP_2;
    let io = TokioIo::new(Tap::new(wire, Arc::clone(&marks), http2));
    let mut line = if http2 { Line::http2(io, request).await } else { Line::http1(io, request).await }
        .map_err(|error| wording::http(&error, *marks.lock()))?;
    let response = line.response().await;
    if marks.lock().interim > MAX_INTERIM {
        return Err(NetError::Protocol(format!("more than {MAX_INTERIM} interim answers (1xx) before the answer")));
    }
    let response = response.map_err(|error| wording::http(&error, *marks.lock()))?;
    marks.lock().head = true;
    let (head, incoming) = response.into_parts();
    let version = spoken(head.version);
    hop.version = Some(version);
    hop.status = Some(head.status.as_u16());
    let size = hop.body_size.insert(0);
    if !hyper::body::Body::is_end_stream(&incoming) && !http2 {
        check_framing(&head.headers)?;
    }
    let codings = if limits.decode { decoding::codings(&head.headers)? } else { Vec::new() };
    let wanted = Wanted { codings, max: limits.max_body, keep: limits.keep_body };
    let read = line.alongside(body::read(incoming, &wanted, &marks, size)).await?;
    line.part().await;
    Ok(Answer {
        status: head.status.as_u16(),
        version,
        fields: texts(&head.headers),
        body: read.kept,
        body_truncated: read.truncated,
        body_size: read.wire_size,
        trailers: texts(&read.trailers),
        url: String::new(),
        locations: Vec::new(),
    })
}

fn spoken(version: Version) -> HttpVersion {
    match version {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_2 => HttpVersion::Http2,
        _ => HttpVersion::Http11,
    }
}

/// What RFC 9112 forbids and the library lets pass, as it could be read in two ways: a length beside a transfer
/// coding, and transfer codings that nobody asked for.
fn check_framing(fields: &HeaderMap) -> Result<(), NetError> {
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter().peekable();
    if codings.peek().is_none() {
        return Ok(());
    }
    if fields.contains_key(header::CONTENT_LENGTH) {
        return Err(NetError::Protocol("both content-length and transfer-encoding".to_owned()));
    }
    let chunked = |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(chunked) && codings.next().is_none() {
        return Ok(());
    }
    Err(NetError::Protocol("a transfer-encoding other than chunked".to_owned()))
}

/// Names are in lower case already; bytes that are not UTF-8 are read as ISO-8859-1.
fn texts(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned);
    fields.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// A connection with its one request under way. Everything that it consists of is polled by the exchange itself
/// and dropped with it: nothing is spawned, so nothing is left behind.
struct Line {
    answer: Option<Future<hyper::Result<Response<Incoming>>>>,
    driver: Option<Future<hyper::Result<()>>>,
    crew: Crew,
    tasks: FuturesUnordered<Future<()>>,
    /// Kept until the end: HTTP/2 would otherwise begin to say goodbye.
    sender: Option<Box<dyn Send>>,
}

impl Line {
    async fn http1(io: TokioIo<Tap>, request: http::Request<Full<Bytes>>) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_FIELDS).max_buf_size(MAX_HEAD).allow_obsolete_multiline_headers_in_responses(true);
        let (mut sender, connection) = builder.handshake(io).await?;
        let answer = Box::pin(sender.send_request(request));
        Ok(Self::new(answer, Box::pin(connection), Crew::default(), Box::new(sender)))
    }

    async fn http2(io: TokioIo<Tap>, request: http::Request<Full<Bytes>>) -> hyper::Result<Self> {
        let crew = Crew::default();
        let mut builder = http2::Builder::new(crew.clone());
        builder.max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
        let (mut sender, connection) = builder.handshake(io).await?;
        let answer = Box::pin(sender.send_request(request));
        Ok(Self::new(answer, Box::pin(connection), crew, Box::new(sender)))
    }

    fn new(
        answer: Future<hyper::Result<Response<Incoming>>>,
        driver: Future<hyper::Result<()>>,
        crew: Crew,
        sender: Box<dyn Send>,
    ) -> Self {
        Self { answer: Some(answer), driver: Some(driver), crew, tasks: FuturesUnordered::new(), sender: Some(sender) }
    }

    async fn response(&mut self) -> hyper::Result<Response<Incoming>> {
        match self.answer.take() {
            Some(answer) => self.alongside(answer).await,
            // There is one answer only, and it has been taken.
            None => std::future::pending().await,
        }
    }

    /// Does some work while the connection goes on.
    async fn alongside<T>(&mut self, work: impl std::future::Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.drive(cx);
            Poll::Pending
        })
        .await
    }

    /// Takes leave as far as that needs no waiting: `close_notify`, GOAWAY.
    async fn part(mut self) {
        drop(self.sender.take());
        std::future::poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        loop {
            // What it comes to reaches the answer or the body, which say more.
            if self.driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
                self.driver = None;
            }
            self.tasks.extend(self.crew.hired());
            while let Poll::Ready(Some(())) = self.tasks.poll_next_unpin(cx) {}
            if self.crew.0.lock().is_empty() {
                return;
            }
        }
    }
}

/// Takes the tasks of an HTTP/2 connection, for its exchange to poll.
#[derive(Clone, Default)]
struct Crew(Arc<Mutex<Vec<Future<()>>>>);

impl Crew {
    fn hired(&self) -> Vec<Future<()>> {
        std::mem::take(&mut self.0.lock())
    }
}

impl<F: std::future::Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Crew {
    fn execute(&self, task: F) {
        self.0.lock().push(Box::pin(task));
    }
}
