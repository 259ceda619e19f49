//! The built-in summariser `availability`. A first version: the last result is the state.

use vedette_sdk::summary::{Input, RunResult, State, Summary};
use vedette_sdk::{Failure, Manifest, Summariser};

struct Availability;

impl Summariser for Availability {
    type Settings = serde_json::Value;

    fn manifest() -> Manifest {
        Manifest::new("vedette:availability", env!("CARGO_PKG_VERSION"), "Up, degraded, down or flapping, and how often it was good")
    }

    fn summarise(input: Input, _settings: Self::Settings) -> Result<Summary, Failure> {
        let state = match input.outcomes.last().map(|outcome| outcome.run_result) {
            Some(RunResult::Success) => State::Up,
            Some(RunResult::Failure | RunResult::Timeout) => State::Down,
            _ => input.previous.map_or(State::Unknown, |previous| previous.state),
        };
        Ok(Summary {
            state,
            message: String::new(),
            slis: Vec::new(),
            alerts: Vec::new(),
            events: Vec::new(),
            measurements: Vec::new(),
            memory: Vec::new(),
        })
    }
}

vedette_sdk::summariser!(Availability);
