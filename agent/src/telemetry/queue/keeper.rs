//! The thread that does all that has to do with files for one lane, so that nothing else ever waits for a disk.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Request;
use super::lane::Lane;
use super::spool::Spool;
use crate::clock::Instant;

/// What was written is synced after so long, with everything that was written meanwhile.
const SYNC: Duration = Duration::from_millis(200);

/// A disk that takes nothing is tried again so often ...
const RETRY: Duration = Duration::from_secs(1);

/// ... and the same trouble is complained of so often.
const REMINDER: Duration = Duration::from_mins(1);

/// Bytes that are written before anything else gets its turn.
const BATCH: u64 = 4 << 20;

/// Starts it. The lock is held until it ends.
pub(super) fn start(lane: &Arc<Lane>, folder: PathBuf, lock: Arc<File>) {
    let (kept, place) = (Arc::clone(lane), folder.clone());
    let name = format!("queue-{}", lane.signal().word());
    let started = std::thread::Builder::new().name(name).spawn(move || {
        match Spool::open(folder.clone()) {
            Ok((spool, left)) => {
                kept.restore(&left.records, left.damaged);
                Keeper { lane: Arc::clone(&kept), spool, unsynced: None, fails: None, told: BTreeMap::new() }.run(&folder);
            }
            Err(error) => kept.without_disk(&folder, &error),
        }
        drop(lock);
        kept.ended();
    });
    if let Err(error) = started {
        lane.without_disk(&place, &error);
    }
}

struct Keeper {
    lane: Arc<Lane>,
    spool: Spool,
    /// What was written and not synced.
    unsynced: Option<Unsynced>,
    /// While the disk takes nothing: when it is tried again.
    fails: Option<Instant>,
    /// When a trouble was last complained of.
    told: BTreeMap<&'static str, Instant>,
}

struct Unsynced {
    due: Instant,
    items: u64,
}

impl Keeper {
    fn run(mut self, folder: &Path) {
        loop {
            let work = self.lane.work(self.due());
            self.write(work.closing);
            for request in &work.refused {
                if let Err(error) = self.spool.reject(request) {
                    self.complain("requests that the collector refused cannot be kept for a look", &error);
                }
            }
            // A position that cannot be written sends something twice after a restart, and is tried again with the next.
            let _ = self.spool.forget(self.position());
            self.read();
            if self.unsynced.as_ref().is_some_and(|unsynced| unsynced.due <= Instant::now()) {
                self.sync();
            }
            self.lane.look_again();
            if work.closing {
                self.sync();
                let position = self.position();
                if let Err(error) = self.spool.close(position) {
                    tracing::warn!(%error, folder = %folder.display(), "the queue could not be closed as it should be");
                }
                return;
            }
        }
    }

    /// Up to where everything has left.
    fn position(&self) -> u64 {
        self.lane.position().unwrap_or_else(|| self.spool.next())
    }

    /// When there is something to do though nobody says so.
    fn due(&self) -> Option<Instant> {
        let again = self.fails.filter(|_| self.lane.has_unwritten());
        [again, self.unsynced.as_ref().map(|unsynced| unsynced.due)].into_iter().flatten().min()
    }

    /// Writes what has come; all of it if nothing comes after it.
    fn write(&mut self, last: bool) {
        if !last && self.fails.is_some_and(|again| Instant::now() < again) {
            return;
        }
        loop {
            let batch = self.lane.unwritten(BATCH);
            if batch.is_empty() || !self.write_batch(&batch) || !last {
                return;
            }
        }
    }

    /// Whether all of it was written.
    fn write_batch(&mut self, batch: &[(u64, Request)]) -> bool {
        let (mut places, mut failed) = (Vec::new(), None);
        for (ticket, request) in batch {
            match self.spool.append(request) {
                Ok(place) => places.push((*ticket, place)),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let items = self.lane.written(&places);
        if !places.is_empty() {
            self.unsynced.get_or_insert_with(|| Unsynced { due: Instant::now() + SYNC, items: 0 }).items += items;
        }
        match &failed {
            None => self.works(),
            Some(error) => self.fails(error),
        }
        failed.is_none()
    }

    /// Reads ahead what is to leave next.
    fn read(&mut self) {
        for (ticket, place) in self.lane.missing() {
            let body = match self.spool.read(place) {
                Ok(Some(body)) => Some(body),
                Ok(None) => self.give_up(&"its checksum does not hold"),
                Err(error) => self.give_up(&error),
            };
            self.lane.found(ticket, body);
        }
    }

    fn give_up(&mut self, why: &dyn Display) -> Option<Bytes> {
        self.complain("requests in the queue cannot be read any more, and are given up", why);
        None
    }

    fn sync(&mut self) {
        let Some(unsynced) = self.unsynced.take() else { return };
        // What has left needs no disk.
        let synced = if self.lane.size().items == 0 { Ok(()) } else { self.spool.sync() };
        match synced {
            Ok(()) => self.lane.synced(unsynced.items),
            Err(error) => self.fails(&error),
        }
    }

    fn works(&mut self) {
        if self.fails.take().is_some() {
            self.lane.disk(true);
            tracing::info!(signal = self.lane.signal().word(), "telemetry that waits is kept on disk again");
        }
    }

    fn fails(&mut self, error: &io::Error) {
        self.fails = Some(Instant::now() + RETRY);
        self.lane.disk(false);
        self.complain("telemetry that waits cannot be kept on disk; what comes stays in memory, within bounds, until it can", error);
    }

    fn complain(&mut self, what: &'static str, why: &dyn Display) {
        if self.told.get(what).is_none_or(|last| last.elapsed() >= REMINDER) {
            self.told.insert(what, Instant::now());
            tracing::warn!(signal = self.lane.signal().word(), "{what}: {why}");
        }
    }
}
