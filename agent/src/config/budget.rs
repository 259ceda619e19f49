//! How long a run may take: what the interval of a check has to have room for.

use std::time::Duration;

/// The pause after the first attempt; it doubles with every further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// No pause is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest that a run may take: all its attempts and the longest pauses between them,
/// `(retries + 1) × timeout + backoffs`.
pub fn budget(timeout: Duration, retries: u32) -> Duration {
    // The pauses have long stopped growing after eight attempts.
    let grown = retries.min(8);
    let pauses: Duration = (1..=grown).map(longest_pause).sum();
    let further = LONGEST_BACKOFF.saturating_mul(retries - grown);
    timeout.saturating_mul(retries.saturating_add(1)).saturating_add(pauses).saturating_add(further)
}

/// The longest pause after attempt `number` (from 1): 100 ms × 2^(number - 1), at most a second.
pub fn longest_pause(number: u32) -> Duration {
    BACKOFF.saturating_mul(1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_holds_every_attempt_and_the_longest_pauses() {
        let budget_in_millis = |retries| budget(Duration::from_secs(2), retries).as_millis();
        assert_eq!([0, 1, 2, 5, 10].map(budget_in_millis), [2_000, 4_100, 6_300, 14_500, 29_500]);
        assert!(budget(Duration::MAX, u32::MAX) == Duration::MAX && budget(Duration::ZERO, u32::MAX) > Duration::from_hours(1));
    }
}
