//! CPU time of guests, and what they wait for.
//!
//! A guest's CPU time is that of the thread while it polls the guest: a machine that is starved of CPU never blames a
//! plugin. What a guest waits for (an exchange, a pause) is an *errand*: it is polled beside the guest, on the worker's
//! own stack and off the meter, and the guest is resumed only when it is done.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use super::engine::{TICK, Ticker};
use crate::clock::nanos;

/// Something to wait for on behalf of a guest.
type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Nobody polls the guest.
const PAUSED: u64 = u64::MAX;

/// What is kept of one guest while it runs. Shared by its store and by the one who polls it.
pub(super) struct Meter {
    ticker: Arc<Ticker>,
    limit: u64,
    /// Nanoseconds of the stretches that are over.
    spent: AtomicU64,
    /// Of this thread's CPU time when the present stretch began.
    since: AtomicU64,
    errand: Mutex<Option<Errand>>,
}

impl Meter {
    pub(super) fn new(ticker: Arc<Ticker>, limit: Duration) -> Arc<Self> {
        let (spent, since) = (AtomicU64::new(0), AtomicU64::new(PAUSED));
        Arc::new(Self { ticker, limit: nanos(limit), spent, since, errand: Mutex::new(None) })
    }

    /// How much CPU the guest has used.
    pub(super) fn spent(&self) -> Duration {
        let present = match self.since.load(Relaxed) {
            PAUSED => 0,
            since => thread_cpu().saturating_sub(since),
        };
        Duration::from_nanos(self.spent.load(Relaxed) + present)
    }

    /// Whether it has used more than it may.
    pub(super) fn exceeded(&self) -> bool {
        nanos(self.spent()) > self.limit
    }

    /// Called within a guest at a tick: whether it has held its thread for long enough. A guest that has just come back from an errand has not, however
    /// many ticks there were meanwhile.
    pub(super) fn held_long(&self) -> bool {
        thread_cpu().saturating_sub(self.since.load(Relaxed)) >= nanos(TICK)
    }

    fn resume(&self) {
        self.ticker.enter();
        self.since.store(thread_cpu(), Relaxed);
    }

    fn pause(&self) {
        let since = self.since.swap(PAUSED, Relaxed);
        self.spent.fetch_add(thread_cpu().saturating_sub(since), Relaxed);
        self.ticker.leave();
    }

    /// Called within a guest: it waits while `future` is polled beside it.
    pub(super) async fn wait_for<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let done = Arc::new(Mutex::new(None));
        let door = done.clone();
        *self.errand.lock() = Some(Box::pin(async move {
            let value = future.await;
            *door.lock() = Some(value);
        }));
        poll_fn(move |_| done.lock().take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Polls a guest, and its errands beside it.
    pub(super) async fn attend<F: Future>(&self, guest: F) -> F::Output {
        let (mut guest, mut errand) = (pin!(guest), None::<Errand>);
        poll_fn(move |context| {
            loop {
                if let Some(waited_for) = &mut errand {
                    ready!(waited_for.as_mut().poll(context));
                    errand = None;
                }
                self.resume();
                let _paused = Paused(self);
                let polled = guest.as_mut().poll(context);
                if polled.is_ready() {
                    return polled;
                }
                errand = self.errand.lock().take();
                if errand.is_none() {
                    // It gave way to others, and has seen to it that it is polled again.
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// Stops the meter at the end of a stretch, also if that ends by a panic.
struct Paused<'a>(&'a Meter);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.pause();
    }
}

/// CPU time that this thread has used so far, in nanoseconds.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
