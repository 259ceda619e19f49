//! What became of every item of one signal.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::telemetry::otlp::Signal;
use crate::vitals::Vitals;

/// The account, kept in the vitals: `produced + replayed = sent + queued + rejected + dropped`.
#[derive(Debug)]
pub(super) struct Ledger {
    signal: Signal,
    vitals: Arc<Vitals>,
}

/// A request that is not kept any longer although it has not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) items: u64,
    pub(super) reason: Reason,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The queue is full.
    Size,
    /// It is too old to be of use.
    Age,
    /// The disk takes nothing, and what memory may hold meanwhile is full.
    Disk,
    /// What was written cannot be read.
    Damaged,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Age => "age",
            Self::Disk => "disk",
            Self::Damaged => "damaged",
        }
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) items: u64,
}

impl Ledger {
    pub(super) fn new(signal: Signal, vitals: Arc<Vitals>) -> Self {
        Self { signal, vitals }
    }

    /// By this process.
    pub(super) fn produced(&self, items: u64) {
        self.count("produced", items);
    }

    /// By an earlier process, and found in the queue.
    pub(super) fn replayed(&self, requests: u64, items: u64) {
        self.requests("replayed", requests);
        self.count("replayed", items);
    }

    /// Taken by the collector, but for so many.
    pub(super) fn accepted(&self, items: u64, rejected: u64) {
        self.requests("sent", 1);
        self.count("rejected", rejected);
        self.count("sent", items - rejected);
        self.vitals.export_last_success.raise(millis(Timestamp::now()));
    }

    /// Refused for good.
    pub(super) fn rejected(&self, items: u64) {
        self.requests("rejected", 1);
        self.count("rejected", items);
    }

    pub(super) fn dropped(&self, losses: &[Loss]) {
        for loss in losses {
            self.requests("dropped", 1);
            self.count("dropped", loss.items);
            self.vitals.export_dropped.add(&[self.signal.word(), loss.reason.word()], loss.items);
        }
    }

    /// Safe from a power cut, or gone before there was one.
    pub(super) fn synced(&self, items: u64) {
        if items == 0 {
            return;
        }
        self.vitals.export_synced.add(&[self.signal.word()], items);
    }

    /// What became of requests, other than by the above.
    pub(super) fn requests(&self, outcome: &str, requests: u64) {
        if requests > 0 {
            self.vitals.export_requests.add(&[self.signal.word(), outcome], requests);
        }
    }

    fn count(&self, outcome: &str, items: u64) {
        if items > 0 {
            self.vitals.export_items.add(&[self.signal.word(), outcome], items);
        }
    }

    /// The queue has grown or shrunk.
    pub(super) fn queued(&self, before: Size, after: Size) {
        self.vitals.export_queue_size.add(signed(after.bytes) - signed(before.bytes));
        self.vitals.export_queue_items[self.signal as usize].add(signed(after.items) - signed(before.items));
    }

    /// What it may hold has changed.
    pub(super) fn limited(&self, before: u64, after: u64) {
        self.vitals.export_queue_limit.add(signed(after) - signed(before));
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn millis(at: Timestamp) -> i64 {
    signed(at.0 / 1_000_000)
}
