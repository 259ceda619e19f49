//! Requests that wait to be sent, in order; and the ledger of what became of every item.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::encode::Plain;
use super::otlp::Signal;
use crate::clock::Timestamp;
use crate::config::Compression;
use crate::vitals::Vitals;

/// Bytes that the requests of one signal may take.
pub(super) const LIMIT: u64 = 32 << 20;

/// How long a request is worth keeping.
const AGE: Duration = Duration::from_hours(6);

/// An encoded request, compressed as it travels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) signal: Signal,
    pub(super) items: u64,
    pub(super) compression: Compression,
    pub(super) body: Bytes,
    /// When it was made.
    pub(super) at: Timestamp,
}

impl Request {
    pub(super) fn pack(plain: &Plain, compression: Compression, at: Timestamp) -> Self {
        let (compression, body) = match compressed(compression, &plain.body) {
            Some(body) => (compression, body),
            None => (Compression::None, plain.body.clone()),
        };
        Self { signal: plain.signal, items: plain.items as u64, compression, body: body.into(), at }
    }

    /// In two; none if it cannot be cut.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let items = usize::try_from(self.items).ok()?;
        let plain = Plain { signal: self.signal, items, body: self.plain()? };
        Some(plain.halves()?.map(|half| Self::pack(&half, self.compression, self.at)))
    }

    /// As it was before compression.
    fn plain(&self) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        match self.compression {
            Compression::None => plain = self.body.to_vec(),
            Compression::Gzip => {
                flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut plain).ok()?;
            }
            Compression::Zstd => plain = zstd::decode_all(&*self.body).ok()?,
        }
        Some(plain)
    }
}

/// None if nothing has to be done, or if it cannot be done.
fn compressed(compression: Compression, plain: &[u8]) -> Option<Vec<u8>> {
    match compression {
        Compression::None => None,
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 4), flate2::Compression::fast());
            encoder.write_all(plain).ok()?;
            encoder.finish().ok()
        }
        Compression::Zstd => zstd::encode_all(plain, 1).ok(),
    }
}

/// Keeps requests in order. The first may be held by whoever sends it, and is not thrown away meanwhile.
pub(super) trait Queue: Send + Debug {
    /// Takes a request; what had to go for it comes back, the oldest first.
    fn push(&mut self, request: Request) -> Vec<Request>;

    /// The oldest, which is held from now on.
    fn hold(&mut self) -> Option<Request>;

    /// The one that is held may be thrown away again.
    fn release(&mut self);

    /// The one that is held is done with; these take its place.
    fn settle(&mut self, instead: Vec<Request>);

    /// Bytes of all.
    fn bytes(&self) -> u64;

    /// When the oldest was made.
    fn oldest(&self) -> Option<Timestamp>;
}

/// A queue that a restart empties.
#[derive(Debug)]
pub(super) struct MemoryQueue {
    requests: VecDeque<Request>,
    held: bool,
    bytes: u64,
    limit: u64,
}

impl MemoryQueue {
    pub(super) fn new(limit: u64) -> Self {
        Self { requests: VecDeque::new(), held: false, bytes: 0, limit }
    }

    fn remove(&mut self, place: usize) -> Option<Request> {
        let request = self.requests.remove(place)?;
        self.bytes -= request.body.len() as u64;
        Some(request)
    }
}

impl Queue for MemoryQueue {
    fn push(&mut self, request: Request) -> Vec<Request> {
        let (mut gone, now, first) = (Vec::new(), request.at, usize::from(self.held));
        self.bytes += request.body.len() as u64;
        self.requests.push_back(request);
        while let Some(oldest) = self.requests.get(first) {
            // The newest alone stays, however large it is.
            let crowded = self.bytes > self.limit && self.requests.len() > first + 1;
            if !crowded && now.since(oldest.at) <= AGE {
                break;
            }
            gone.extend(self.remove(first));
        }
        gone
    }

    fn hold(&mut self) -> Option<Request> {
        let first = self.requests.front().cloned();
        self.held = first.is_some();
        first
    }

    fn release(&mut self) {
        self.held = false;
    }

    fn settle(&mut self, instead: Vec<Request>) {
        if std::mem::take(&mut self.held) {
            self.remove(0);
        }
        for request in instead.into_iter().rev() {
            self.bytes += request.body.len() as u64;
            self.requests.push_front(request);
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.requests.front().map(|request| request.at)
    }
}

/// The requests of one signal on their way, and the account of their items: at every instant
/// `produced = sent + queued + rejected + dropped`, where what is queued is the rest.
#[derive(Debug)]
pub(super) struct Lane {
    signal: Signal,
    queue: Mutex<Box<dyn Queue>>,
    arrived: Notify,
    vitals: Arc<Vitals>,
}

impl Lane {
    pub(super) fn new(signal: Signal, queue: Box<dyn Queue>, vitals: Arc<Vitals>) -> Self {
        Self { signal, queue: Mutex::new(queue), arrived: Notify::new(), vitals }
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    /// Takes a request. What had to go for it is counted.
    pub(super) fn push(&self, request: Request) {
        self.count("produced", request.items);
        let gone = self.with(|queue| queue.push(request));
        for request in gone {
            self.close("dropped", request.items);
        }
        self.arrived.notify_one();
    }

    /// The oldest request, held until one of the following is said of it.
    pub(super) fn hold(&self) -> Option<Request> {
        self.queue.lock().hold()
    }

    /// Waits until there may be one.
    pub(super) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// It has to wait.
    pub(super) fn retried(&self) {
        self.queue.lock().release();
        self.vitals.export_requests.add(&[self.signal.word(), "retried"], 1);
    }

    /// It was accepted, but for so many of its items.
    pub(super) fn accepted(&self, request: &Request, rejected: u64) {
        let rejected = rejected.min(request.items);
        self.with(|queue| queue.settle(Vec::new()));
        self.count("rejected", rejected);
        self.close("sent", request.items - rejected);
        self.vitals.export_last_success.raise(i64::try_from(Timestamp::now().0 / 1_000_000).unwrap_or(i64::MAX));
    }

    /// It was refused for good.
    pub(super) fn refused(&self, request: &Request) {
        self.with(|queue| queue.settle(Vec::new()));
        self.close("rejected", request.items);
    }

    /// It is sent in two.
    pub(super) fn split(&self, halves: [Request; 2]) {
        self.with(|queue| queue.settle(halves.into()));
    }

    /// When the oldest request was made.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.queue.lock().oldest()
    }

    /// Changes the queue, and the size that vitals tell with it.
    fn with<T>(&self, change: impl FnOnce(&mut dyn Queue) -> T) -> T {
        let mut queue = self.queue.lock();
        let before = queue.bytes();
        let changed = change(&mut **queue);
        let after = queue.bytes();
        drop(queue);
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.vitals.export_queue_size.add(signed(after) - signed(before));
        changed
    }

    fn close(&self, outcome: &str, items: u64) {
        self.vitals.export_requests.add(&[self.signal.word(), outcome], 1);
        self.count(outcome, items);
    }

    fn count(&self, outcome: &str, items: u64) {
        if items > 0 {
            self.vitals.export_items.add(&[self.signal.word(), outcome], items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: u8, size: usize, at: u64) -> Request {
        let body = vec![name; size].into();
        Request { signal: Signal::Traces, items: 1, compression: Compression::None, body, at: Timestamp(at) }
    }

    fn first(requests: &[Request]) -> Vec<u8> {
        requests.iter().map(|request| request.body[0]).collect()
    }

    #[test]
    fn on_overflow_the_oldest_go_first_but_never_the_one_that_is_being_sent() {
        let mut queue = MemoryQueue::new(100);
        for name in 1..=3 {
            assert!(queue.push(request(name, 33, 1)).is_empty());
        }
        assert_eq!(queue.hold().map(|held| held.body[0]), Some(1));
        assert_eq!(first(&queue.push(request(4, 40, 1))), [2, 3]);
        assert_eq!((queue.bytes(), queue.requests.len()), (73, 2));
        queue.release();
        assert_eq!(first(&queue.push(request(5, 200, 1))), [1, 4]);
        assert_eq!(queue.bytes(), 200);
    }

    #[test]
    fn what_is_too_old_goes() {
        let mut queue = MemoryQueue::new(100);
        queue.push(request(1, 1, 1));
        assert_eq!(first(&queue.push(request(2, 1, 2 + crate::clock::nanos(AGE)))), [1]);
    }

    #[test]
    fn halves_take_the_place_of_what_was_split() {
        let mut queue = MemoryQueue::new(100);
        queue.push(request(1, 10, 1));
        queue.push(request(9, 10, 1));
        queue.hold();
        queue.settle(vec![request(2, 5, 1), request(3, 5, 1)]);
        let order: Vec<_> = queue.requests.iter().map(|request| request.body[0]).collect();
        assert_eq!((order, queue.bytes()), (vec![2, 3, 9], 20));
    }

    #[test]
    fn the_ledger_is_true_whatever_becomes_of_a_request() {
        let vitals = Arc::new(Vitals::default());
        let lane = Lane::new(Signal::Traces, Box::new(MemoryQueue::new(25)), Arc::clone(&vitals));
        let queued = || {
            let of = |outcome: &str| {
                let wanted = vec!["traces".to_owned(), outcome.to_owned()];
                vitals.export_items.snapshot().into_iter().find(|(values, _)| *values == wanted).map_or(0, |(_, count)| count)
            };
            (of("produced") - of("sent") - of("rejected") - of("dropped"), [of("sent"), of("rejected"), of("dropped")])
        };
        for name in 1..=3 {
            lane.push(Request { items: 5, ..request(name, 10, 1) });
        }
        assert_eq!(queued(), (10, [0, 0, 5]), "the first had to go");
        lane.accepted(&lane.hold().unwrap(), 2);
        assert_eq!(queued(), (5, [3, 2, 5]));
        lane.refused(&lane.hold().unwrap());
        assert_eq!(queued(), (0, [3, 7, 5]));
        assert_eq!(vitals.export_queue_size.get(), 0);
    }

    #[test]
    fn a_compressed_request_can_be_undone() {
        let plain = Plain { signal: Signal::Traces, items: 1, body: b"body".repeat(1_000) };
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let request = Request::pack(&plain, compression, Timestamp(1));
            assert_eq!(request.plain().unwrap(), plain.body);
            assert_eq!(request.body.len() < 1_000, compression != Compression::None);
        }
    }
}
