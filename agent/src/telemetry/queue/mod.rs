//! Requests that wait to be sent, in order and on disk where there is one; and the ledger of what became of every item.
//!
//! ```text
//! gather -> lane: waiting -> sender
//!                  |   ^
//!                 keeper (a thread) -> spool: segments, position; what was refused, what is damaged
//! ```
//! [`Lane`] is the door for both sides and never waits for a file: it keeps the order of the requests, and the bodies of
//! those that are not on disk yet or are to leave next. A thread per signal, the keeper, does all that has to do with
//! files: it writes what has come, syncs at most every 200 ms, reads ahead what is next, and deletes what has left.
//! Without a disk, or while it takes nothing, the same lane is a queue in memory with a smaller bound.
//!
//! What is promised: a request that was written survives the process, one that was synced a power cut; it is then sent at
//! least once, byte for byte the same each time, before everything that came after it.

mod aside;
mod home;
mod keeper;
mod lane;
mod ledger;
mod position;
#[cfg(test)]
mod scratch;
mod segment;
mod spool;
#[cfg(test)]
mod tests;
mod waiting;

use std::time::Duration;

use bytes::Bytes;

use super::encode::Plain;
use super::otlp::Signal;
use crate::clock::Timestamp;

pub(super) use home::Home;
pub(super) use lane::{Lane, Rest};

/// An encoded request, before compression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) signal: Signal,
    pub(super) items: u64,
    pub(super) body: Bytes,
    /// When it was made.
    pub(super) at: Timestamp,
}

impl Request {
    pub(super) fn new(plain: Plain, at: Timestamp) -> Self {
        Self { signal: plain.signal, items: plain.items as u64, body: plain.body.into(), at }
    }

    /// In two; none if it cannot be cut.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let plain = Plain { signal: self.signal, items: usize::try_from(self.items).ok()?, body: self.body.to_vec() };
        Some(plain.halves()?.map(|half| Self::new(half, self.at)))
    }

    /// Bytes that it takes.
    fn length(&self) -> u64 {
        (segment::RECORD_HEAD + self.body.len()) as u64
    }
}

/// How much one signal may keep. Of the 256 MiB that it may take on disk, 240 are for what waits; the rest is for what was
/// refused (8), for what is damaged (4), and for what has left but shares a segment with what has not (4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes that wait, where there is a disk.
    disk: u64,
    /// Bytes that wait and are not on disk.
    memory: u64,
    /// Requests that wait: each takes a little memory wherever its body is.
    requests: usize,
    /// How long a request is worth keeping.
    age: Duration,
}

impl Bounds {
    pub(super) const DEFAULT: Self = Self { disk: 240 << 20, memory: 32 << 20, requests: 1 << 16, age: Duration::from_hours(6) };
}

/// Bytes of refused requests that are kept for a look.
const REJECTED: u64 = 8 << 20;

/// Bytes of damaged segments that are kept for a look.
const DAMAGED: u64 = 4 << 20;

/// A segment is ended when it has grown to so many bytes.
const SEGMENT: u64 = 4 << 20;
