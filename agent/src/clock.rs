//! The one place that wall-clock time comes from.
//!
//! Everything that measures uses [`Instant`] (tokio's, so that paused time rules the tests); everything that
//! is shown or exported uses [`Timestamp`]. An [`Anchor`] ties the two together for the length of one run, so
//! that a step of the wall clock within a run cannot bend its phases.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// Nanoseconds since 1970-01-01T00:00:00Z, as in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The wall clock's time of now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Seconds since the epoch, as Prometheus likes them.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This moment, `length` later.
    #[must_use]
    pub fn after(self, length: Duration) -> Self {
        Self(self.0.saturating_add(nanos(length)))
    }

    /// How long ago `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0 / 1_000_000).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{millis} ms"),
        }
    }
}

/// A moment of which both the monotonic and the wall-clock reading are known.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    wall: Timestamp,
}

impl Anchor {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }

    /// The same anchor, so long ago: a past that tests make up.
    #[cfg(test)]
    #[must_use]
    pub fn back(self, length: Duration) -> Self {
        let instant = self.instant.checked_sub(length).unwrap_or(self.instant);
        Self { instant, wall: Timestamp(self.wall.0.saturating_sub(nanos(length))) }
    }

    /// The wall-clock reading of the anchor itself.
    pub fn wall(&self) -> Timestamp {
        self.wall
    }

    /// The monotonic reading of the anchor itself.
    pub fn instant(&self) -> Instant {
        self.instant
    }

    /// Where a monotonic moment stands on the wall clock, as seen from the anchor.
    pub fn timestamp(&self, instant: Instant) -> Timestamp {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.wall.after(later),
            None => Timestamp(self.wall.0.saturating_sub(nanos(self.instant - instant))),
        }
    }
}

/// A length of time in whole nanoseconds, saturating after 584 years.
pub fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_in_utc_with_milliseconds() {
        assert_eq!(Timestamp(1_767_323_045_678_900_000).to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!(Timestamp(1_767_323_045_000_000_000).to_string(), "2026-01-02T03:04:05.000Z");
    }

    #[test]
    fn an_anchor_places_moments_before_and_after_it() {
        let anchor = Anchor::now();
        let second = Duration::from_secs(1);
        assert_eq!(anchor.timestamp(anchor.instant() + second), anchor.wall().after(second));
        assert_eq!(anchor.wall().since(anchor.timestamp(anchor.instant() - second)), second);
    }
}
