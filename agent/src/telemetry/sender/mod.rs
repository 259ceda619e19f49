//! Takes the requests of one signal to the collector: one at a time, in order, until it says what becomes of each.

mod answer;
mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::TelemetryError;
use super::queue::{Lane, Request};
use super::settings::Route;
use crate::bounded;
use crate::clock::Instant;
use crate::config::OtlpProtocol;

use grpc::Grpc;
use http::Http;

const FIRST_PAUSE: Duration = Duration::from_millis(500);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a collector may ask for at most, so that a typing error there does not silence us for a week.
const LONGEST_WISH: Duration = Duration::from_mins(15);

/// Tries of a request that the collector stumbles over, before it is given up for the sake of those behind it.
const TRIES: u32 = 5;

/// How often it is said that data is refused.
const REMINDER: Duration = Duration::from_mins(1);

/// Certificates and keys in one file, in bytes.
const LONGEST_PEM: u64 = 4 << 20;

/// What a collector says of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Taken, but for so many items, and why not those.
    Accepted { rejected: u64, message: String },
    /// Not now: again later, not before so long if it said.
    Later { after: Option<Duration>, why: String },
    /// Too long.
    TooLong(String),
    /// Never.
    Refused(String),
    /// It stumbled, and may do so again.
    Stumbled(String),
}

/// The way to a collector.
#[derive(Debug)]
pub(super) enum Transport {
    Http(Http),
    Grpc(Grpc),
}

impl Transport {
    /// Files that do not exist and URLs that make no sense are said here; nothing is sent.
    pub(super) fn new(route: &Route) -> Result<Self, TelemetryError> {
        match route.protocol {
            OtlpProtocol::Http => Http::new(route).map(Self::Http),
            OtlpProtocol::Grpc => Grpc::new(route).map(Self::Grpc),
        }
    }

    /// One request, to its end or its timeout.
    pub(super) async fn send(&self, request: &Request) -> Verdict {
        match self {
            Self::Http(http) => http.send(request).await,
            Self::Grpc(grpc) => grpc.send(request).await,
        }
    }
}

/// A PEM file that the operator named.
fn read(path: &std::path::Path) -> Result<Vec<u8>, TelemetryError> {
    bounded::read(path, LONGEST_PEM)
        .map_err(|error| TelemetryError(format!("cannot read {}, which the export of telemetry needs: {error}", path.display())))
}

/// Sends what is in a lane, and what comes. Once `finishing` holds a deadline it ends when the lane is empty, or when
/// there is no use in waiting until then.
pub(super) async fn deliver(lane: Arc<Lane>, transport: Transport, finishing: watch::Receiver<Option<Instant>>) {
    Delivery::new(lane, transport, finishing).run().await;
}

struct Delivery {
    lane: Arc<Lane>,
    transport: Transport,
    finishing: watch::Receiver<Option<Instant>>,
    /// Before the second try; doubled for each further one.
    pause: Duration,
    /// In a row: they make the pauses longer.
    failures: u32,
    /// Of the request in hand.
    stumbles: u32,
    reminded: Option<Instant>,
}

impl Delivery {
    fn new(lane: Arc<Lane>, transport: Transport, finishing: watch::Receiver<Option<Instant>>) -> Self {
        Self { lane, transport, finishing, pause: FIRST_PAUSE, failures: 0, stumbles: 0, reminded: None }
    }

    async fn run(mut self) {
        loop {
            let Some(request) = self.lane.hold() else {
                let finishing = self.is_finishing();
                if finishing && self.lane.is_empty() {
                    return;
                }
                tokio::select! {
                    () = self.lane.arrival() => {}
                    _ = self.finishing.wait_for(Option::is_some), if !finishing => {}
                }
                continue;
            };
            let verdict = self.transport.send(&request).await;
            if !self.settle(&request, verdict).await {
                return;
            }
        }
    }

    /// A sender that nobody can tell to finish any more is finishing too.
    fn is_finishing(&self) -> bool {
        self.finishing.has_changed().is_err() || self.finishing.borrow().is_some()
    }

    /// Whether to go on.
    async fn settle(&mut self, request: &Request, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Accepted { rejected, message } => {
                self.lane.accepted(request, rejected);
                if rejected > 0 || !message.is_empty() {
                    self.complain(&format!("{} of {} items refused: {message}", rejected.min(request.items), request.items));
                }
            }
            Verdict::Later { after, why } => return self.later(after, &why).await,
            Verdict::Stumbled(why) if self.stumbles + 1 < TRIES => {
                self.stumbles += 1;
                return self.later(None, &why).await;
            }
            Verdict::TooLong(why) => match request.halves() {
                Some(halves) => self.lane.split(halves),
                None => self.refuse(request, &why),
            },
            Verdict::Refused(why) | Verdict::Stumbled(why) => self.refuse(request, &why),
        }
        (self.failures, self.stumbles) = (0, 0);
        true
    }

    fn refuse(&mut self, request: &Request, why: &str) {
        self.lane.refused(request.clone());
        self.complain(&format!("{} items refused for good: {why}", request.items));
    }

    fn complain(&mut self, what: &str) {
        if self.reminded.is_none_or(|last| last.elapsed() >= REMINDER) {
            self.reminded = Some(Instant::now());
            tracing::error!(signal = self.lane.signal().word(), "the collector does not take everything: {what}");
        }
    }

    /// Waits before the next try; false if that would be in vain.
    async fn later(&mut self, after: Option<Duration>, why: &str) -> bool {
        self.lane.retried();
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::warn!(signal = self.lane.signal().word(), "telemetry waits, it is tried again: {why}");
        }
        let doubled = self.pause.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_PAUSE);
        let wish = after.map(|wish| wish.min(LONGEST_WISH));
        // A wish makes a pause longer and never shorter: one for no pause at all would have us ask without end.
        let pause = doubled.mul_f64(rand::random_range(0.5..=1.0)).max(wish.unwrap_or_default());
        let until = Instant::now() + pause;
        let deadline = *self.finishing.borrow();
        if let Some(deadline) = deadline {
            // With the end in sight already, a pause that reaches beyond it would be in vain.
            if until >= deadline {
                return false;
            }
            tokio::time::sleep_until(until).await;
            return true;
        }
        let deadline = tokio::select! {
            () = tokio::time::sleep_until(until) => return true,
            finishing = self.finishing.wait_for(Option::is_some) => finishing.ok().and_then(|deadline| *deadline),
        };
        match (deadline, wish) {
            (None, _) => false,
            // One last look: the collector may be back.
            (Some(_), None) => true,
            // A collector that asked to be left alone is.
            (Some(deadline), Some(_)) if until >= deadline => false,
            (Some(_), Some(_)) => {
                tokio::time::sleep_until(until).await;
                true
            }
        }
    }
}
