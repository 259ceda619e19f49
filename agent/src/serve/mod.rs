//! The status page, the API, /metrics, /healthz, /readyz.
//!
//! The [`Board`] is fed with records and remembers a little of each probe; everything served is read from it.
//! `guard` and `access` stand before all routes; `page` renders HTML, `api` JSON, `live` tells open pages what changed.

mod access;
mod api;
mod assets;
mod board;
mod guard;
mod history;
mod live;
mod page;
mod routes;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::vitals::Vitals;

pub use board::{Board, ProbeInfo};

/// Connections at once; more wait until one ends.
const CONNECTIONS: usize = 256;

/// A request's head has to arrive within this.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// What a request's head may take.
const HEAD_SIZE: usize = 32 * 1024;

/// Open connections get so long to finish.
const GRACE: Duration = Duration::from_secs(2);

/// Who may see what.
#[derive(Clone)]
pub enum Access {
    /// Everything to everybody who can connect: loopback, or `auth: none`.
    Open,
    /// `/healthz` and `/readyz` only.
    HealthOnly,
    /// The rest to whoever shows the token.
    Token(String),
}

/// The token is nobody's business.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::HealthOnly => "HealthOnly",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// Text of `/metrics`.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub struct Service {
    /// The page's data.
    pub board: Board,
    /// Who may see it.
    pub access: Access,
    /// Text of `/metrics`.
    pub metrics: Metrics,
    /// The agent itself.
    pub vitals: Arc<Vitals>,
}

/// What every route can reach.
#[derive(Clone)]
struct Site {
    service: Service,
    live: live::Live,
    /// Ends when the agent stops.
    stop: CancellationToken,
    /// Only this machine can connect.
    loopback: bool,
}

/// Serves until `stop` ends; open connections get a moment to finish.
pub async fn serve(listener: TcpListener, service: Service, stop: CancellationToken) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let live = live::Live::new();
    let site = Site { service, live: live.clone(), stop: stop.clone(), loopback };
    let connections = TaskTracker::new();
    connections.spawn(live.tell(site.clone()));
    let (router, free) = (routes::router(Arc::new(site)), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &free) => accepted,
        };
        if let Some((stream, permit)) = accepted {
            let (router, stop) = (router.clone(), stop.clone());
            connections.spawn(async move {
                converse(stream, router, stop).await;
                drop(permit);
            });
        }
    }
    drop(listener);
    connections.close();
    // What is still open after that is dropped with the runtime.
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

/// The next connection, once there is room for it; none if it failed, which says nothing of the next one.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = free.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            // Out of file descriptors, most likely: trying again at once would only burn CPU.
            tracing::warn!(%error, "a connection to the status page could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Answers on one connection until it ends, or until the agent stops.
async fn converse(stream: TcpStream, router: axum::Router, stop: CancellationToken) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_SIZE);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the status page broke off");
    }
}
