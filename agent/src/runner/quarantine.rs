//! A plugin that breaks again and again is left alone for a while: there is nothing to be learned from it, and every
//! run of it costs all that it may use.
//!
//! After [`FAULTS`] faults in a row its runs are errors without it being asked. When the time is over, the next run
//! that is due is a trial: a fault in it doubles the time, anything else ends the quarantine.

use std::time::Duration;

use crate::clock::Instant;
use crate::outcome::{ErrorType, Outcome};

/// So many in a row.
const FAULTS: u32 = 5;

/// No quarantine is longer, so that a plugin's recovery is seen within this.
const LONGEST: Duration = Duration::from_mins(10);

/// How a probe's plugin has behaved of late.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    faults: u32,
    /// How often it was put into quarantine without an honest run in between.
    terms: u32,
    /// When the present term ends, and what it is for.
    term: Option<(Instant, ErrorType)>,
}

/// What a run changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is in quarantine from now on.
    Entered,
    /// No more.
    Left,
}

impl Conduct {
    /// Until when it is not asked at `now`, and for which fault.
    pub(super) fn barred(&self, now: Instant) -> Option<(Instant, ErrorType)> {
        self.term.filter(|(until, _)| now < *until)
    }

    /// Whether it is in quarantine, a trial included.
    pub(super) fn quarantined(&self) -> bool {
        self.term.is_some()
    }

    /// How many faults in a row there were.
    pub(super) fn faults(&self) -> u32 {
        self.faults
    }

    /// Takes what a run came to that ended at `now`; the next is due an interval later.
    pub(super) fn take(&mut self, outcome: &Outcome, now: Instant, every: Duration) -> Option<Change> {
        match outcome.error_type {
            Some(fault) if is_fault(fault) => self.broke(fault, now, every),
            // The agent's own: says nothing of the plugin.
            Some(ErrorType::AgentInternal | ErrorType::Capacity) => None,
            _ => {
                let before = std::mem::take(self);
                before.quarantined().then_some(Change::Left)
            }
        }
    }

    fn broke(&mut self, fault: ErrorType, now: Instant, every: Duration) -> Option<Change> {
        self.faults = self.faults.saturating_add(1);
        if self.faults < FAULTS {
            return None;
        }
        let term = every.saturating_mul(2_u32.saturating_pow(self.terms)).min(LONGEST);
        self.terms = self.terms.saturating_add(1);
        let before = self.term.replace((now + term, fault));
        before.is_none().then_some(Change::Entered)
    }
}

/// What the plugin did against the contract. That it came to no verdict, or was not granted something, it may say as
/// often as it likes: it kept within its limits.
fn is_fault(error_type: ErrorType) -> bool {
    (ErrorType::PluginTrap..=ErrorType::PluginAnswer).contains(&error_type)
}

#[cfg(test)]
mod tests {
    use super::super::attempts::{Start, barred};
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn outcome(error_type: Option<ErrorType>) -> Outcome {
        Outcome { error_type, ..barred(Start::sample(0), ErrorType::PluginTrap, "") }
    }

    fn take(conduct: &mut Conduct, now: Instant, error_type: ErrorType) -> Option<Change> {
        conduct.take(&outcome(Some(error_type)), now, EVERY)
    }

    #[tokio::test]
    async fn after_five_faults_in_a_row_it_is_left_alone_and_told_once() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        for fault in [ErrorType::PluginTrap, ErrorType::PluginLimitCpu, ErrorType::PluginAnswer, ErrorType::PluginLimitOutput] {
            assert_eq!(take(&mut conduct, now, fault), None);
        }
        assert_eq!(conduct.barred(now), None);
        assert_eq!(take(&mut conduct, now, ErrorType::PluginLimitTime), Some(Change::Entered));
        assert_eq!(conduct.barred(now), Some((now + EVERY, ErrorType::PluginLimitTime)));
        assert_eq!(conduct.barred(now + EVERY), None, "a trial is due");
        assert_eq!(take(&mut conduct, now + EVERY, ErrorType::PluginTrap), None, "told already");
    }

    #[tokio::test]
    async fn each_fault_in_a_trial_doubles_the_time_up_to_ten_minutes() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        (1..FAULTS).for_each(|_| assert_eq!(take(&mut conduct, now, ErrorType::PluginTrap), None));
        let mut terms = Vec::new();
        for _ in 0..40 {
            take(&mut conduct, now, ErrorType::PluginTrap);
            terms.push(conduct.barred(now).unwrap().0 - now);
        }
        assert_eq!(terms[..5], [EVERY, EVERY * 2, EVERY * 4, EVERY * 8, EVERY * 16]);
        assert!(terms[5..].iter().all(|term| *term == LONGEST));
    }

    #[tokio::test]
    async fn one_honest_run_lifts_it_and_the_count_begins_anew() {
        for honest in [None, Some(ErrorType::Status), Some(ErrorType::Timeout), Some(ErrorType::PluginFailure), Some(ErrorType::Denied)] {
            let (mut conduct, now) = (Conduct::default(), Instant::now());
            (0..FAULTS + 3).for_each(|_| _ = take(&mut conduct, now, ErrorType::PluginTrap));
            assert_eq!(conduct.take(&outcome(honest), now, EVERY), Some(Change::Left));
            assert_eq!(conduct.take(&outcome(honest), now, EVERY), None);
            (1..FAULTS).for_each(|_| assert_eq!(take(&mut conduct, now, ErrorType::PluginTrap), None));
            assert_eq!(take(&mut conduct, now, ErrorType::PluginTrap), Some(Change::Entered));
            assert_eq!(conduct.barred(now).unwrap().0, now + EVERY);
        }
    }

    #[tokio::test]
    async fn the_agents_own_faults_say_nothing_of_the_plugin() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        for _ in 0..FAULTS - 1 {
            take(&mut conduct, now, ErrorType::PluginTrap);
            assert_eq!(take(&mut conduct, now, ErrorType::AgentInternal), None);
        }
        assert_eq!(take(&mut conduct, now, ErrorType::PluginTrap), Some(Change::Entered));
    }
}
