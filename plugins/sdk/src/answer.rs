//! What a check answers, and the ways out of it before its end.

use crate::http::FailedExchange;
use crate::trace::Step;
use crate::{ConfigIssue, Failure, Fault, Report, Verdict, net};

/// What a check answers.
pub type Answer = Result<Report, Stop>;

/// Why a check ends before its end. The question mark makes one of a failed exchange, of a [`Report`] and of a [`Failure`].
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The target did not behave, and there is nothing more to look at.
    Report(Box<Report>),
    /// The plugin cannot come to a verdict.
    Failure(Failure),
}

impl Stop {
    /// The settings have passed the schema, and are unusable all the same. `pointer` is a JSON Pointer into them.
    pub fn invalid_config(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failure(Failure::InvalidConfig(vec![ConfigIssue { pointer: pointer.into(), message: message.into() }]))
    }

    /// The target is wrong in a way that makes going on senseless.
    pub fn failure(fault: Fault, message: impl Into<String>) -> Self {
        Report::failure(fault, message).into()
    }

    /// One line for people.
    pub fn message(&self) -> &str {
        match self {
            Self::Report(report) => &report.message,
            Self::Failure(Failure::Unavailable(message) | Failure::Internal(message)) => message,
            Self::Failure(Failure::InvalidConfig(issues)) => issues.first().map_or("invalid settings", |issue| &issue.message),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Report(report) => report.verdict,
            Self::Failure(_) => Verdict::Failure,
        }
    }
}

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Self::Report(Box::new(report))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Box<FailedExchange>> for Stop {
    fn from(failed: Box<FailedExchange>) -> Self {
        match net::judge(&failed) {
            Ok(finding) => Report::from(finding).into(),
            Err(failure) => failure.into(),
        }
    }
}

/// Does `work` within a step of the journey, a span of its own: closed as succeeded, or as failed with the reason why it stopped.
pub fn step<T>(name: &str, work: impl FnOnce(&Step) -> Result<T, Stop>) -> Result<T, Stop> {
    let step = Step::begin(name);
    let done = work(&step);
    match &done {
        Ok(_) => step.finish(Verdict::Success, None),
        Err(reason) => step.finish(reason.verdict(), Some(reason.message())),
    }
    done
}
