//! The door to one signal's queue, for those who put in and the one who sends.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::home::Home;
use super::keeper;
use super::ledger::{Ledger, Loss, Size};
use super::segment::{Kept, Place};
use super::waiting::{Disk, Waiting};
use super::{Bounds, Request};
use crate::clock::{Instant, Timestamp};
use crate::telemetry::otlp::Signal;
use crate::vitals::Vitals;

/// How many refused requests are put aside before anything else gets its turn.
const REFUSED_AT_ONCE: usize = 64;

/// The requests of one signal on their way, and the account of their items: at every instant
/// `produced + replayed = sent + queued + rejected + dropped`.
#[derive(Debug)]
pub(in crate::telemetry) struct Lane {
    signal: Signal,
    waiting: Mutex<Waiting>,
    ledger: Ledger,
    /// There may be something to send.
    arrived: Notify,
    /// There is something for the keeper.
    stirred: Condvar,
    /// The keeper has ended.
    ended: Notify,
}

/// What the keeper has to do, now that it was woken.
#[derive(Debug)]
pub(super) struct Work {
    /// Requests to be put aside.
    pub(super) refused: Vec<Request>,
    /// Nothing comes after this.
    pub(super) closing: bool,
}

/// What is left in a queue at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) struct Rest {
    pub(in crate::telemetry) items: u64,
    /// Those of them that are not on disk.
    pub(in crate::telemetry) lost: u64,
}

impl Lane {
    /// A queue in that home; in memory without one.
    pub(in crate::telemetry) fn open(signal: Signal, home: Option<&Home>, vitals: &Arc<Vitals>) -> Arc<Self> {
        Self::open_with(signal, home, vitals, Bounds::DEFAULT)
    }

    pub(super) fn open_with(signal: Signal, home: Option<&Home>, vitals: &Arc<Vitals>, bounds: Bounds) -> Arc<Self> {
        let disk = if home.is_some() { Disk::Opening } else { Disk::Absent };
        let waiting = Waiting::new(signal, bounds, disk);
        let ledger = Ledger::new(signal, Arc::clone(vitals));
        ledger.limited(0, waiting.limit());
        let (arrived, stirred, ended) = (Notify::new(), Condvar::new(), Notify::new());
        let lane = Arc::new(Self { signal, waiting: Mutex::new(waiting), ledger, arrived, stirred, ended });
        if let Some(home) = home {
            keeper::start(&lane, home.folder(signal), home.lock());
        }
        lane
    }

    pub(in crate::telemetry) fn signal(&self) -> Signal {
        self.signal
    }

    /// Takes a request. What had to go for it is counted.
    pub(in crate::telemetry) fn push(&self, request: Request) {
        self.with(|waiting| {
            self.ledger.produced(request.items);
            self.ledger.dropped(&waiting.push(request));
        });
        self.arrived.notify_one();
    }

    /// The oldest request, held until one of the following is said of it. None if none is ready.
    pub(in crate::telemetry) fn hold(&self) -> Option<Request> {
        let now = Timestamp::now();
        self.with(|waiting| {
            self.ledger.dropped(&waiting.shed(now));
            waiting.hold(now)
        })
    }

    /// Whether there is nothing that will be ready one day.
    pub(in crate::telemetry) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// Waits until there may be one that is ready.
    pub(in crate::telemetry) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// It has to wait.
    pub(in crate::telemetry) fn retried(&self) {
        self.with(Waiting::release);
        self.ledger.requests("retried", 1);
    }

    /// It was accepted, but for so many of its items.
    pub(in crate::telemetry) fn accepted(&self, request: &Request, rejected: u64) {
        self.with(|waiting| {
            self.ledger.synced(waiting.settle([]));
            self.ledger.accepted(request.items, rejected.min(request.items));
        });
    }

    /// It was refused for good.
    pub(in crate::telemetry) fn refused(&self, request: Request) {
        self.with(|waiting| {
            self.ledger.synced(waiting.settle([]));
            self.ledger.rejected(request.items);
            waiting.put_aside(request);
        });
    }

    /// It is sent in two.
    pub(in crate::telemetry) fn split(&self, halves: [Request; 2]) {
        self.with(|waiting| _ = waiting.settle(halves));
        self.ledger.requests("split", 1);
    }

    /// When the oldest request was made.
    pub(in crate::telemetry) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.lock().oldest()
    }

    /// Nothing comes any more: what is not on disk is written, if there is a disk. Says what is left.
    pub(in crate::telemetry) async fn close(&self) -> Rest {
        let kept = self.with(|waiting| {
            (waiting.closing, waiting.stirred) = (true, true);
            waiting.disk != Disk::Absent
        });
        if kept {
            self.ended.notified().await;
        }
        self.rest()
    }

    /// What is left now.
    pub(in crate::telemetry) fn rest(&self) -> Rest {
        let waiting = self.waiting.lock();
        Rest { items: waiting.size().items, lost: waiting.unwritten_items() }
    }

    /// Looks while nothing changes.
    #[cfg(test)]
    pub(super) fn still<T>(&self, look: impl FnOnce() -> T) -> T {
        let _waiting = self.waiting.lock();
        look()
    }

    /// Changes the queue, tells the vitals of its size, and wakes the keeper if there is something for it.
    fn with<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut waiting = self.waiting.lock();
        let (before, limit) = (waiting.size(), waiting.limit());
        let changed = change(&mut waiting);
        self.ledger.queued(before, waiting.size());
        self.ledger.limited(limit, waiting.limit());
        if waiting.stirred {
            self.stirred.notify_one();
        }
        changed
    }
}

/// What the keeper asks and says.
impl Lane {
    /// What an earlier process left: it goes first.
    pub(super) fn restore(&self, kept: &[Kept], damaged: u64) {
        self.with(|waiting| {
            self.ledger.replayed(kept.len() as u64, kept.iter().map(|kept| kept.items).sum());
            self.ledger.requests("damaged", damaged);
            self.ledger.dropped(&waiting.restore(kept, Timestamp::now()));
        });
        self.arrived.notify_one();
    }

    /// The disk cannot be used at all.
    pub(super) fn without_disk(&self, folder: &Path, error: &std::io::Error) {
        tracing::warn!(folder = %folder.display(), %error, "telemetry cannot be kept on disk; what waits is in memory only, and a restart loses it");
        self.with(|waiting| self.ledger.dropped(&waiting.without_disk(Timestamp::now())));
        self.arrived.notify_one();
    }

    /// Waits until there is something to do, or until then.
    pub(super) fn work(&self, until: Option<Instant>) -> Work {
        let mut waiting = self.waiting.lock();
        while !waiting.stirred {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.stirred.wait(&mut waiting),
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    self.stirred.wait_for(&mut waiting, left);
                }
            }
        }
        // What is only kept for a look never holds up what is to be kept.
        let few = if waiting.closing { waiting.refused.len() } else { waiting.refused.len().min(REFUSED_AT_ONCE) };
        let refused: Vec<_> = waiting.refused.drain(..few).collect();
        waiting.stirred = !waiting.refused.is_empty();
        Work { refused, closing: waiting.closing }
    }

    pub(super) fn unwritten(&self, most: u64) -> Vec<(u64, Request)> {
        self.waiting.lock().unwritten(most)
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.waiting.lock().has_unwritten()
    }

    /// Says how many items are on disk now that were not.
    pub(super) fn written(&self, places: &[(u64, Place)]) -> u64 {
        self.with(|waiting| waiting.written(places))
    }

    /// Whether the disk takes what comes.
    pub(super) fn disk(&self, works: bool) {
        self.waiting.lock().disk = if works { Disk::Works } else { Disk::Fails };
    }

    pub(super) fn missing(&self) -> Vec<(u64, Place)> {
        self.waiting.lock().missing()
    }

    pub(super) fn found(&self, ticket: u64, body: Option<Bytes>) {
        self.with(|waiting| {
            let loss: Option<Loss> = waiting.found(ticket, body);
            self.ledger.requests("damaged", u64::from(loss.is_some()));
            self.ledger.dropped(loss.as_slice());
        });
    }

    pub(super) fn position(&self) -> Option<u64> {
        self.waiting.lock().position()
    }

    pub(super) fn synced(&self, items: u64) {
        self.ledger.synced(items);
    }

    pub(super) fn size(&self) -> Size {
        self.waiting.lock().size()
    }

    /// Something may be ready now that was not.
    pub(super) fn look_again(&self) {
        self.arrived.notify_one();
    }

    /// The keeper ends.
    pub(super) fn ended(&self) {
        self.ended.notify_one();
    }
}
