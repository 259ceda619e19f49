//! The order of the requests of one signal, each with its body in memory, or with its place on disk, or with both.
//!
//! Pure: it is told what was written and what was read, and does neither.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Loss, Reason, Size};
use super::segment::{Kept, Place};
use super::{Bounds, REJECTED, Request};
use crate::clock::Timestamp;
use crate::telemetry::otlp::Signal;

/// Bytes of bodies that are on disk and are kept in memory nevertheless, since they are to leave soon.
const CACHE: u64 = 1 << 20;

/// A request that could not be written for so long is sent all the same: a disk that hangs holds up nothing.
const OVERDUE: Duration = Duration::from_secs(2);

/// Where bodies may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// There is none.
    Absent,
    /// What an earlier process left is being looked for; nothing may leave before it.
    Opening,
    Works,
    /// It takes nothing: what comes stays in memory until it does again.
    Fails,
}

#[derive(Debug)]
struct Entry {
    /// Tells it from others.
    ticket: u64,
    at: Timestamp,
    items: u64,
    length: u64,
    body: Option<Bytes>,
    place: Option<Place>,
    /// Of a request that had to be cut. It stands at the place of the whole, which is sent again should the process end.
    part: bool,
}

/// Requests that wait. The first may be held by whoever sends it, and is not thrown away meanwhile.
#[derive(Debug)]
pub(super) struct Waiting {
    signal: Signal,
    bounds: Bounds,
    pub(super) disk: Disk,
    entries: VecDeque<Entry>,
    held: bool,
    tickets: u64,
    size: Size,
    /// Bytes of entries without a place.
    unwritten: u64,
    /// Bytes of entries with a body.
    loaded: u64,
    /// Refused for good, to be put aside.
    pub(super) refused: Vec<Request>,
    /// Nothing comes any more.
    pub(super) closing: bool,
    /// There is something to be done with files.
    pub(super) stirred: bool,
}

impl Waiting {
    pub(super) fn new(signal: Signal, bounds: Bounds, disk: Disk) -> Self {
        Self {
            signal,
            bounds,
            disk,
            entries: VecDeque::new(),
            held: false,
            tickets: 0,
            size: Size::default(),
            unwritten: 0,
            loaded: 0,
            refused: Vec::new(),
            closing: false,
            stirred: false,
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Bytes that may wait.
    pub(super) fn limit(&self) -> u64 {
        if self.disk == Disk::Absent { self.bounds.memory } else { self.bounds.disk }
    }

    /// Whether nothing waits, and nothing will be found that does.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.disk != Disk::Opening
    }

    /// When the oldest was made.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.at)
    }

    /// Takes a request. What had to go for it comes back.
    pub(super) fn push(&mut self, request: Request) -> Vec<Loss> {
        let now = request.at;
        let entry = Entry { ticket: self.ticket(), part: false, place: None, ..Entry::of(request) };
        self.enter(&entry);
        self.entries.push_back(entry);
        self.stirred = true;
        self.shed(now)
    }

    /// Lets go of what is beyond the bounds, the oldest first. The newest alone stays, however large it is.
    pub(super) fn shed(&mut self, now: Timestamp) -> Vec<Loss> {
        let (mut losses, first) = (Vec::new(), usize::from(self.held));
        while let Some(oldest) = self.entries.get(first) {
            let crowded = self.size.bytes > self.limit() || self.entries.len() > self.bounds.requests;
            let reason = if now.since(oldest.at) > self.bounds.age {
                Reason::Age
            } else if crowded && self.entries.len() > first + 1 {
                Reason::Size
            } else {
                break;
            };
            losses.extend(self.lose(first, reason));
        }
        while self.disk != Disk::Absent && self.unwritten > self.bounds.memory {
            // What is on disk is safe there and takes no memory.
            let last = self.entries.len().saturating_sub(1);
            let Some(oldest) = (first..last).find(|index| self.entries[*index].place.is_none()) else { break };
            losses.extend(self.lose(oldest, Reason::Disk));
        }
        losses
    }

    /// The oldest, which is held from now on. None if there is none, or if it is not ready yet.
    pub(super) fn hold(&mut self, now: Timestamp) -> Option<Request> {
        let front = self.entries.front()?;
        let unsafe_yet = front.place.is_none() && !front.part && now.since(front.at) < OVERDUE;
        if self.disk == Disk::Opening || self.disk == Disk::Works && unsafe_yet {
            return None;
        }
        let Some(body) = front.body.clone() else {
            self.stirred = true;
            return None;
        };
        self.held = true;
        Some(Request { signal: self.signal, items: front.items, body, at: front.at })
    }

    /// The one that is held may be thrown away again.
    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// The one that is held is done with; its parts, if it was cut, take its place. Says how many items left that were
    /// never on disk.
    pub(super) fn settle(&mut self, parts: impl IntoIterator<Item = Request, IntoIter: DoubleEndedIterator>) -> u64 {
        if !std::mem::take(&mut self.held) {
            return 0;
        }
        let Some(whole) = self.remove(0) else { return 0 };
        let (mut left, unwritten) = (whole.items, whole.place.is_none());
        for part in parts.into_iter().rev() {
            let entry = Entry { ticket: whole.ticket, part: true, place: whole.place, ..Entry::of(part) };
            left -= entry.items.min(left);
            self.enter(&entry);
            self.entries.push_front(entry);
        }
        self.stirred = true;
        if unwritten { left } else { 0 }
    }

    /// Keeps what was refused for whoever puts it aside, as long as that is not too much.
    pub(super) fn put_aside(&mut self, request: Request) {
        let bytes: u64 = self.refused.iter().map(Request::length).sum();
        if self.disk != Disk::Absent && bytes + request.length() <= REJECTED {
            self.refused.push(request);
            self.stirred = true;
        }
    }

    /// What an earlier process left goes before everything that came since.
    pub(super) fn restore(&mut self, kept: &[Kept], now: Timestamp) -> Vec<Loss> {
        self.disk = Disk::Works;
        for kept in kept.iter().rev() {
            let (at, items, length, place) = (kept.at, kept.items, kept.length(), Some(kept.place));
            let entry = Entry { ticket: self.ticket(), at, items, length, body: None, place, part: false };
            self.enter(&entry);
            self.entries.push_front(entry);
        }
        self.stirred = true;
        self.shed(now)
    }

    /// The disk cannot be used at all.
    pub(super) fn without_disk(&mut self, now: Timestamp) -> Vec<Loss> {
        self.disk = Disk::Absent;
        self.shed(now)
    }

    /// What is to be written next, so many bytes of it at most but at least one, each with its ticket.
    pub(super) fn unwritten(&mut self, most: u64) -> Vec<(u64, Request)> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        if self.unwritten == 0 {
            return batch;
        }
        for entry in self.entries.iter().filter(|entry| entry.place.is_none() && !entry.part) {
            let Some(body) = entry.body.clone() else { continue };
            if bytes + entry.length > most && bytes > 0 {
                self.stirred = true;
                break;
            }
            bytes += entry.length;
            batch.push((entry.ticket, Request { signal: self.signal, items: entry.items, body, at: entry.at }));
        }
        batch
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.unwritten > 0
    }

    /// These were written, in the order in which they were asked for. Those that have left since are not missed.
    /// Says how many items are on disk now that were not.
    pub(super) fn written(&mut self, places: &[(u64, Place)]) -> u64 {
        let mut items = 0;
        let mut places = places.iter().peekable();
        for entry in self.entries.iter_mut().filter(|entry| entry.place.is_none()) {
            while places.next_if(|(ticket, _)| *ticket < entry.ticket).is_some() {}
            match places.peek() {
                Some((ticket, place)) if *ticket == entry.ticket => entry.place = Some(*place),
                Some(_) => continue,
                None => break,
            }
            items += entry.items;
            self.unwritten -= entry.length;
            if self.loaded > CACHE && !entry.part && entry.body.take().is_some() {
                self.loaded -= entry.length;
            }
        }
        items
    }

    /// What has to be read, since it is to leave soon.
    pub(super) fn missing(&self) -> Vec<(u64, Place)> {
        let (mut missing, mut ahead) = (Vec::new(), 0);
        for entry in &self.entries {
            if ahead >= CACHE {
                break;
            }
            ahead += entry.length;
            if let (None, Some(place)) = (&entry.body, entry.place) {
                missing.push((entry.ticket, place));
            }
        }
        missing
    }

    /// This was read; none if there was nothing to be read there.
    pub(super) fn found(&mut self, ticket: u64, body: Option<Bytes>) -> Option<Loss> {
        let index = self.entries.iter().position(|entry| entry.ticket == ticket && entry.body.is_none())?;
        match body {
            Some(body) => {
                self.loaded += self.entries[index].length;
                self.entries[index].body = Some(body);
                None
            }
            None => self.lose(index, Reason::Damaged),
        }
    }

    /// The sequence of the first record on disk that has not left; none if there is none.
    pub(super) fn position(&self) -> Option<u64> {
        self.entries.iter().find_map(|entry| Some(entry.place?.sequence))
    }

    /// Items that only memory holds.
    pub(super) fn unwritten_items(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.place.is_none()).map(|entry| entry.items).sum()
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn lose(&mut self, index: usize, reason: Reason) -> Option<Loss> {
        self.stirred = true;
        self.remove(index).map(|entry| Loss { items: entry.items, reason })
    }

    /// Counts what is about to stand in the queue.
    fn enter(&mut self, entry: &Entry) {
        self.size.bytes += entry.length;
        self.size.items += entry.items;
        self.unwritten += if entry.place.is_none() { entry.length } else { 0 };
        self.loaded += if entry.body.is_some() { entry.length } else { 0 };
    }

    fn remove(&mut self, index: usize) -> Option<Entry> {
        let entry = self.entries.remove(index)?;
        self.size.bytes -= entry.length;
        self.size.items -= entry.items;
        self.unwritten -= if entry.place.is_none() { entry.length } else { 0 };
        self.loaded -= if entry.body.is_some() { entry.length } else { 0 };
        Some(entry)
    }
}

impl Entry {
    fn of(request: Request) -> Self {
        let length = request.length();
        Self { ticket: 0, at: request.at, items: request.items, length, body: Some(request.body), place: None, part: false }
    }
}

#[cfg(test)]
mod tests;
