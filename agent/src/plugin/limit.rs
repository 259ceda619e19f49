//! The limits of a guest, and how often one was reached in a call.

use std::fmt;

use crate::vitals::Vitals;

/// A limit, as it is counted in `vedette.plugin.limits`: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    /// Bytes of linear memory.
    Memory,
    /// Elements of tables.
    Tables,
    /// Resources that it holds.
    Handles,
    /// CPU time.
    Cpu,
    /// Its timeout and 50 ms.
    Time,
    /// Bytes that it hands to the host in one call.
    Data,
    /// Bytes of a report, or items in it.
    Report,
    /// Exchanges of an attempt.
    Exchanges,
    /// Bytes that its exchanges carry.
    Bytes,
    /// Lines and bytes of log.
    Log,
    /// Steps, and how deep they stand.
    Steps,
    /// What it keeps.
    State,
}

impl Limit {
    const ALL: [Self; 12] = [
        Self::Memory,
        Self::Tables,
        Self::Handles,
        Self::Cpu,
        Self::Time,
        Self::Data,
        Self::Report,
        Self::Exchanges,
        Self::Bytes,
        Self::Log,
        Self::Steps,
        Self::State,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Handles => "handles",
            Self::Cpu => "cpu",
            Self::Time => "time",
            Self::Data => "data",
            Self::Report => "report",
            Self::Exchanges => "exchanges",
            Self::Bytes => "bytes",
            Self::Log => "log",
            Self::Steps => "steps",
            Self::State => "state",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How often each limit was reached in one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([u64; Limit::ALL.len()]);

impl Tally {
    /// So many more things were refused by a limit.
    pub(super) fn note(&mut self, limit: Limit, times: usize) {
        let count = &mut self.0[limit as usize];
        *count = count.saturating_add(times as u64);
    }

    /// The limits that were reached.
    pub(super) fn reached(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        Limit::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    pub(super) fn count(&self, vitals: &Vitals) {
        self.reached().for_each(|(limit, times)| vitals.plugin_limits.add(&[limit.word()], times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_counted_under_its_own_word() {
        let mut tally = Tally::default();
        for (times, limit) in (1..).zip(Limit::ALL) {
            tally.note(limit, times);
        }
        let vitals = Vitals::default();
        tally.count(&vitals);
        let counted = vitals.plugin_limits.snapshot();
        assert_eq!(counted.len(), Limit::ALL.len());
        for (times, limit) in (1..).zip(Limit::ALL) {
            assert!(counted.contains(&(vec![limit.to_string()], times)), "{limit}");
        }
    }
}
