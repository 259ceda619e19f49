//! The status page, the API, /metrics, /healthz, /readyz.
//!
//! The [`Board`] is fed with records and remembers a little of each probe; everything served is read from it.
//! `connections` holds the doors, `guard` and `access` stand before all routes; `page` renders HTML, `api` JSON, `live` tells
//! open pages what changed.

mod access;
mod api;
mod assets;
mod board;
mod connections;
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

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::vitals::Vitals;

use connections::Connections;

pub use board::{Board, ProbeInfo};

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
    /// Cancelled when the agent has been asked to stop: it is served until the runs in flight have ended.
    pub stopping: CancellationToken,
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
    /// What this machine is called, in lower case.
    machine: String,
}

/// Serves until `stop` ends; open connections get a moment to finish.
pub async fn serve(listener: TcpListener, service: Service, stop: CancellationToken) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let machine = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let live = live::Live::new();
    let site = Site { service, live: live.clone(), stop: stop.clone(), loopback, machine };
    let tasks = TaskTracker::new();
    tasks.spawn(live.tell(site.clone()));
    let (router, connections) = (routes::router(Arc::new(site)), Connections::new());
    for number in 0.. {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let admission = tokio::select! {
            () = stop.cancelled() => break,
            admission = connections.admit(number) => admission,
        };
        if let Some(admission) = admission {
            tasks.spawn(admission.converse(stream, router.clone(), stop.clone()));
        }
    }
    drop(listener);
    tasks.close();
    // What is still open after that is dropped with the runtime.
    let _ = tokio::time::timeout(GRACE, tasks.wait()).await;
}

/// The next connection. One that failed says nothing of the next one.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only burn CPU.
                tracing::warn!(%error, "a connection to the status page could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
