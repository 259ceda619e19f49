//! When each probe runs: a grid per probe that is planned once and kept.
//!
//! A probe's place in its interval is a stable hash of its name, so that starts are spread and survive a restart.
//! The grid stands on the wall clock's epoch; between two readings it is kept on the monotonic clock, so that a
//! step of the wall clock makes no burst. A moment that has passed by more than [`GRACE`] is skipped and counted
//! as `late`: runs that were missed are never made good.
//!
//! One heap and one sleep serve all probes: as good as a task per probe, at a hundredth of the memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::{Anchor, Instant, Timestamp, nanos};

/// A start that is later than this is skipped, unless its interval is shorter.
pub const GRACE: Duration = Duration::from_millis(500);

/// The first run comes at hash × min(interval, this) after the start.
pub const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// A run whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Index of the probe, in the order given to [`Grid::new`].
    pub probe: usize,
    /// When it was meant to start, on both clocks.
    pub at: Instant,
    /// The same on the wall clock.
    pub scheduled_at: Timestamp,
    /// How many planned runs of this probe before it have passed unseen: they are `late`.
    pub missed: u64,
}

/// A probe's place on the time line.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// A point of its grid, and the first planned run that lies on it.
    origin: Instant,
    every: Duration,
}

impl Place {
    /// The newest moment up to `now`, and how many have passed unseen before it, given the next one planned.
    fn newest(self, planned: Instant, now: Instant) -> (Instant, u64) {
        if planned < self.origin {
            // A first run off the grid: if the grid has begun meanwhile, it is one more that has passed.
            if now < self.origin {
                return (planned, 0);
            }
            let (newest, passed) = self.newest(self.origin, now);
            return (newest, passed.saturating_add(1));
        }
        let passed = u64::try_from((now - planned).as_nanos() / self.every.as_nanos()).unwrap_or(u64::MAX);
        (planned + Duration::from_nanos(nanos(self.every).saturating_mul(passed)), passed)
    }

    /// The moment after `at`.
    fn after(self, at: Instant) -> Instant {
        if at < self.origin { self.origin } else { at + self.every }
    }
}

/// The grids of all probes.
#[derive(Debug)]
pub struct Grid {
    anchor: Anchor,
    probes: Vec<Place>,
    next: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Grid {
    /// Plans the probes, given as stable name and interval. An interval of zero is taken as one nanosecond.
    pub fn new<'a>(anchor: Anchor, probes: impl IntoIterator<Item = (&'a str, Duration)>) -> Self {
        let mut grid = Self { anchor, probes: Vec::new(), next: BinaryHeap::new() };
        for (probe, (name, every)) in probes.into_iter().enumerate() {
            let every = every.max(Duration::from_nanos(1));
            let (first, origin) = starts(&anchor, name, every);
            grid.probes.push(Place { origin, every });
            grid.next.push(Reverse((first, probe)));
        }
        grid
    }

    /// When the next run is due; none if there are no probes.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.next.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next run that is due at `now`, and plans the one after it. Of several moments of one probe that
    /// have passed only the newest is returned, and only if it is within its grace; `missed` counts the others.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        let &Reverse((at, probe)) = self.next.peek()?;
        if at > now {
            return None;
        }
        self.next.pop();
        let place = self.probes[probe];
        let (newest, passed) = place.newest(at, now);
        self.next.push(Reverse((place.after(newest), probe)));
        Some(Due { probe, at: newest, scheduled_at: self.anchor.timestamp(newest), missed: passed })
    }
}

/// Whether a run that was meant for `due` may still start at `now`.
pub fn in_time(due: &Due, now: Instant, every: Duration) -> bool {
    now.saturating_duration_since(due.at) <= GRACE.min(every / 2)
}

/// A probe's first run and the first point of its grid that is planned. The grid stands on the epoch, at the
/// probe's place in the interval. A probe whose interval is long does not wait for it: its first run lies off the
/// grid, unless the grid comes soon after it anyway.
fn starts(anchor: &Anchor, name: &str, every: Duration) -> (Instant, Instant) {
    let interval = nanos(every);
    let wait = (spread(name, interval) + interval - anchor.wall().0 % interval) % interval;
    let origin = anchor.instant() + Duration::from_nanos(wait);
    let early = anchor.instant() + Duration::from_nanos(spread(name, interval.min(nanos(FIRST_WITHIN))));
    if every <= FIRST_WITHIN || early >= origin {
        (origin, origin)
    } else if origin - early < every / 2 {
        (early, origin + every)
    } else {
        (early, origin)
    }
}

/// A stable place within an interval: the name's SHA-256 as a fraction of it.
fn spread(name: &str, interval: u64) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    let place = (u128::from(u64::from_be_bytes(head)) * u128::from(interval)) >> 64;
    u64::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn grid(names: &[&str], every: Duration) -> Grid {
        Grid::new(Anchor::now(), names.iter().map(|name| (*name, every)))
    }

    #[test]
    fn every_probe_is_due_once_an_interval() {
        let mut grid = grid(&["a", "b", "c"], SECOND);
        let start = grid.anchor.instant();
        let mut runs = [0; 3];
        for tick in 0..10_000 {
            while let Some(due) = grid.take(start + Duration::from_millis(tick)) {
                assert_eq!(due.missed, 0);
                runs[due.probe] += 1;
            }
        }
        assert_eq!(runs, [10; 3]);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut grid = grid(&["a"], SECOND);
        let at = grid.wakes_at().unwrap();
        assert_eq!(grid.take(at - Duration::from_nanos(1)), None);
        assert_eq!(grid.take(at).map(|due| due.at), Some(at));
        assert_eq!(grid.wakes_at(), Some(at + SECOND));
    }

    #[test]
    fn what_was_slept_through_is_missed_and_not_made_good() {
        let mut grid = grid(&["a"], SECOND);
        let at = grid.wakes_at().unwrap();
        let now = at + SECOND * 5 + Duration::from_millis(700);
        let due = grid.take(now).unwrap();
        assert_eq!((due.at, due.missed), (at + SECOND * 5, 5));
        assert!(!in_time(&due, now, SECOND), "700 ms late is not in time");
        assert!(in_time(&due, due.at + Duration::from_millis(400), SECOND));
        assert_eq!(grid.take(now), None, "no burst");
        assert_eq!(grid.wakes_at(), Some(at + SECOND * 6), "the grid is kept");
    }

    #[test]
    fn planned_is_run_plus_missed_however_irregular_the_looks() {
        let mut grid = grid(&["a", "b"], SECOND);
        let start = grid.anchor.instant();
        let mut accounted = 0;
        for look in [0, 300, 2_100, 2_101, 7_950, 8_000, 20_000] {
            while let Some(due) = grid.take(start + Duration::from_millis(look)) {
                accounted += due.missed + 1;
            }
        }
        assert_eq!(accounted, 40);
    }

    #[test]
    fn a_place_on_the_grid_survives_a_restart() {
        for every in [SECOND * 2, SECOND * 30] {
            let place = |anchor: &Anchor| anchor.timestamp(starts(anchor, "shop/checkout", every).1).0 % nanos(every);
            let one = Anchor::now();
            std::thread::sleep(Duration::from_millis(3));
            assert_eq!(place(&one), place(&Anchor::now()));
        }
    }

    #[test]
    fn a_first_run_off_the_grid_is_followed_by_the_grid() {
        let names: Vec<String> = (0..100).map(|index| format!("check-{index}")).collect();
        let every = SECOND * 30;
        let mut grid = Grid::new(Anchor::now(), names.iter().map(|name| (name.as_str(), every)));
        let (start, mut runs) = (grid.anchor.instant(), vec![Vec::new(); 100]);
        for second in 0..120 {
            while let Some(due) = grid.take(start + SECOND * second) {
                assert_eq!(due.missed, 0);
                runs[due.probe].push(due.at);
            }
        }
        for (probe, runs) in runs.iter().enumerate() {
            let origin = grid.probes[probe].origin;
            assert!(runs[0] <= start + FIRST_WITHIN.max(origin - start));
            assert!(runs.windows(2).all(|pair| pair[1] - pair[0] >= every / 2));
            assert!(runs[1..].iter().all(|at| (*at - origin).as_nanos().is_multiple_of(every.as_nanos())));
        }
    }

    #[test]
    fn starts_are_spread_over_the_interval() {
        let places: Vec<u64> = (0..1_000).map(|index| spread(&format!("check-{index}"), 1_000)).collect();
        for tenth in 0..10 {
            let count = places.iter().filter(|place| **place / 100 == tenth).count();
            assert!((60..=140).contains(&count), "{count} of 1,000 in one tenth");
        }
    }

    #[test]
    fn the_first_run_of_a_long_interval_comes_soon() {
        let grid = grid(&["a", "b", "c", "d"], Duration::from_hours(1));
        let latest = grid.next.iter().map(|Reverse((at, _))| *at).max().unwrap();
        assert!(latest <= grid.anchor.instant() + FIRST_WITHIN);
    }
}
