//! Who is connected, and who has to go when there is no room for another.
//!
//! To be connected and silent costs a client nothing: an idle connection, half a request, an answer that is not read.
//! So such a place is lent, not given. When all are taken, the one that has waited for its client longest makes room,
//! and whoever asks now is answered. Streams of events are limited on their own (`live`), and never have to go for that.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::Instant;

/// Connections at once.
pub(super) const CONNECTIONS: usize = 256;

/// A request's head has to arrive within this, the next one on the same connection as well.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// What a request's head may take.
const HEAD_SIZE: usize = 32 * 1024;

/// An answer has to be read within this: long enough for the whole page over a bad line.
pub(super) const READ_WITHIN: Duration = Duration::from_mins(1);

/// On a response whose body goes on for as long as the client likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless;

/// All that are open.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Arc<Place>>>,
    free: Arc<Semaphore>,
}

/// What one of them is about, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// It waits for its client.
    Waiting(Instant),
    /// It is being answered.
    Answering(Instant),
    /// It is told what happens.
    Streaming,
}

/// One connection.
#[derive(Debug)]
struct Place {
    doing: Mutex<Doing>,
    /// Cancelled when it has to make room.
    leave: CancellationToken,
}

/// Stands for a place that is taken; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Admission {
    number: u64,
    place: Arc<Place>,
    all: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), free: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Takes a place, if need be that of another; `number` tells connections apart. None once there are no places at all
    /// any more.
    pub(super) async fn admit(self: &Arc<Self>, number: u64) -> Option<Admission> {
        if self.free.available_permits() == 0 {
            self.make_room();
        }
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let place = Arc::new(Place { doing: Mutex::new(Doing::Waiting(Instant::now())), leave: CancellationToken::new() });
        self.open.lock().insert(number, Arc::clone(&place));
        Some(Admission { number, place, all: Arc::clone(self), _permit: permit })
    }

    /// Whoever has waited for its client longest goes; if nobody waits, whoever has been being answered longest.
    fn make_room(&self) {
        let open = self.open.lock();
        let places = open.values().map(|place| (*place.doing.lock(), place));
        let oldest = places.filter(|(doing, _)| *doing != Doing::Streaming).min_by_key(|(doing, _)| *doing);
        if let Some((_, place)) = oldest {
            place.leave.cancel();
        }
    }
}

impl Place {
    fn now(&self, doing: Doing) {
        *self.doing.lock() = doing;
    }

    /// Ends when the client has let an answer lie, or a request hang, for longer than anybody has to wait.
    async fn given_up(&self) {
        loop {
            let since = match *self.doing.lock() {
                Doing::Waiting(since) | Doing::Answering(since) => since,
                Doing::Streaming => Instant::now(),
            };
            if since.elapsed() >= READ_WITHIN {
                return;
            }
            tokio::time::sleep_until(since + READ_WITHIN).await;
        }
    }
}

impl Admission {
    /// Answers on one connection until it ends, has to go, or the agent stops.
    pub(super) async fn converse(self, stream: TcpStream, router: axum::Router, stop: CancellationToken) {
        let (place, answers) = (Arc::clone(&self.place), TowerToHyperService::new(router));
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            place.now(Doing::Answering(Instant::now()));
            let (answer, place) = (answers.call(request), Arc::clone(&place));
            async move { Ok::<_, Infallible>(followed(answer.await?, place)) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_SIZE);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.place.leave.cancelled() => return tracing::debug!("a silent connection to the status page made room for another"),
            () = self.place.given_up() => return tracing::debug!("a connection to the status page whose client reads nothing was closed"),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the status page broke off");
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.all.open.lock().remove(&self.number);
    }
}

/// A response whose end is noticed.
fn followed(response: Response<Body>, place: Arc<Place>) -> Response<Followed> {
    if response.extensions().get::<Endless>().is_some() {
        place.now(Doing::Streaming);
    }
    response.map(|body| Followed { body, place })
}

/// A body that, once it has been handed over, leaves its connection waiting.
#[derive(Debug)]
struct Followed {
    body: Body,
    place: Arc<Place>,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.place.now(Doing::Waiting(Instant::now()));
    }
}
