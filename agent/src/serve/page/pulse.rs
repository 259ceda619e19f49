//! How the agent itself is, in one line.

use std::time::Duration;

use super::say::{self, Markup};
use crate::clock::Timestamp;
use crate::vitals::Vitals;

/// A scheduler that has been silent for longer is stuck.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// The agent's own health.
pub(crate) struct Pulse {
    /// Something is wrong with the agent itself.
    pub(super) sick: bool,
    pub(super) scheduler: String,
    pub(super) in_flight: String,
    pub(super) queue: Option<String>,
    pub(super) export: Markup,
    pub(super) lost: Option<String>,
}

impl Pulse {
    /// Whether something is wrong with the agent itself.
    pub(crate) fn is_sick(&self) -> bool {
        self.sick
    }

    /// Reads it.
    pub(crate) fn read(vitals: &Vitals, now: Timestamp) -> Self {
        let silent = vitals.since_beat();
        let stuck = silent >= STALE;
        let positive = |value: i64| u64::try_from(value).unwrap_or_default();
        let (size, limit) = (positive(vitals.export_queue_size.get()), positive(vitals.export_queue_limit.get()));
        let last = positive(vitals.export_last_success.get());
        let export = match last {
            0 if limit == 0 => Markup("not exporting".to_owned()),
            0 => Markup("nothing exported yet".to_owned()),
            millis => Markup(format!("last export {}", say::moment(Timestamp(millis.saturating_mul(1_000_000)), now))),
        };
        let dropped = vitals.records_dropped.get();
        // A queue that is nearly full is about to lose what is oldest.
        let full = limit > 0 && size >= limit / 10 * 9;
        Self {
            sick: stuck || dropped > 0 || full,
            scheduler: if stuck { format!("scheduler silent for {}", say::rough(silent)) } else { "scheduler on time".to_owned() },
            in_flight: say::count(positive(vitals.in_flight.get())),
            queue: (limit > 0).then(|| say::bytes(size)),
            export,
            lost: (dropped > 0).then(|| format!("{} records dropped", say::count(dropped))),
        }
    }
}
