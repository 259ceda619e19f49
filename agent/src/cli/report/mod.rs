//! The results of `vedette check`: one rendering per `--format`, all of the same [`Results`].

mod json;
mod junit;
mod table;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::outcome::{Outcome, RunResult};

pub use json::json;
pub use junit::junit;
pub use table::table;

/// What one invocation of `check` found out.
#[derive(Debug)]
pub struct Results {
    /// When it started.
    pub started: Timestamp,
    /// How long it took.
    pub length: Duration,
    /// Where this agent stands.
    pub location: String,
    /// In the order of the configuration.
    pub services: Vec<Service>,
}

/// One probe's outcome, and when it last succeeded: now, earlier, or never that anyone saw.
#[derive(Clone, Debug)]
pub struct Service {
    /// What happened.
    pub outcome: Arc<Outcome>,
    /// The end of the last success, this one included.
    pub last_success: Option<Timestamp>,
}

impl Service {
    /// `ok` exactly if the result is success.
    fn ok(&self) -> bool {
        self.outcome.result == RunResult::Success
    }
}

impl Results {
    /// The worst of several wins: 1 = a target failed or timed out, 3 = no verdict, 0 = all succeeded. (2 is said
    /// before anything runs.)
    pub fn exit_code(&self) -> u8 {
        let any = |results: &[RunResult]| self.services.iter().any(|service| results.contains(&service.outcome.result));
        if any(&[RunResult::Failure, RunResult::Timeout]) {
            1
        } else if any(&[RunResult::Error, RunResult::Skipped, RunResult::Unknown]) {
            3
        } else {
            0
        }
    }

    /// How many are ok.
    fn ok(&self) -> usize {
        self.services.iter().filter(|service| service.ok()).count()
    }
}

/// Milliseconds with microseconds behind the point: what JSON and the table show.
fn millis(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
