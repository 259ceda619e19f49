//! The built-in summariser `availability`: up, degraded, down or flapping; how often it was good; how fast it was.
//!
//! Success and failure (or timeout) count. An error, a skipped run and one while the agent's own network was sick say nothing of
//! the target: they change neither state nor indicators, and where nothing else comes for long the state is unknown.
//!
//! What windows need is kept in `memory`, in thirty buckets per window: a call costs the same however long the window.

mod bytes;
mod histogram;
mod memory;
mod track;
mod window;

use serde::Deserialize;
use vedette_sdk::summary::{Input, Sli, Summary};
use vedette_sdk::{Failure, Instrument, Manifest, Measurement, Summariser};

use crate::memory::Memory;
use crate::window::Window;

/// How fast the middle, the slow and the slowest are: names, and how many per mille of the runs are at most so slow.
const QUANTILES: [&str; 3] = ["latency.p50", "latency.p95", "latency.p99"];
const PER_MILLE: [u64; 3] = [500, 950, 990];

/// Settings: counts of runs in a row, but for `unknown_after`, which counts intervals.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    down_after: u32,
    up_after: u32,
    degraded_after: u32,
    unknown_after: u32,
    flapping: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { down_after: 2, up_after: 2, degraded_after: 1, unknown_after: 10, flapping: true }
    }
}

struct Availability;

impl Summariser for Availability {
    type Settings = Settings;

    fn manifest() -> Manifest {
        let manifest =
            Manifest::new("vedette:availability", env!("CARGO_PKG_VERSION"), "Up, degraded, down or flapping, and how often it was good");
        QUANTILES.iter().fold(manifest.config_schema(include_str!("schema.json")), |manifest, name| {
            manifest.measures(name, "s", Instrument::Gauge, "Quantile of the latency of successful runs in a window")
        })
    }

    fn summarise(input: Input, settings: Settings) -> Result<Summary, Failure> {
        Ok(summarise(&input, &settings))
    }
}

vedette_sdk::summariser!(Availability);

fn summarise(input: &Input, settings: &Settings) -> Summary {
    let mut memory = Memory::of(input.previous.as_ref(), &input.windows);
    for outcome in &input.outcomes {
        if let Some(result) = track::Counted::of(outcome) {
            memory.track.take(&result, settings);
            for window in &mut memory.windows {
                window.add(result.at.min(input.now), result.good, outcome.latency);
            }
        }
    }
    memory.track.settle(input.now, input.interval, settings);
    for window in &mut memory.windows {
        window.forget(input.now);
    }
    Summary {
        state: memory.track.state(),
        message: memory.track.message(input.now, settings),
        slis: memory.windows.iter().filter_map(availability).collect(),
        alerts: Vec::new(),
        events: Vec::new(),
        measurements: memory.windows.iter().flat_map(quantiles).collect(),
        memory: memory.into_bytes(),
    }
}

/// Nothing is said of a window that holds no run that counts: 0 of 0 is no ratio.
fn availability(window: &Window) -> Option<Sli> {
    let (good, valid) = window.good_and_valid();
    (valid > 0).then(|| Sli { name: "availability".to_owned(), window: window.length, good, valid, objective: None })
}

fn quantiles(window: &Window) -> Vec<Measurement> {
    let Some(told) = window.latencies().quantiles(PER_MILLE) else { return Vec::new() };
    let name = window.name();
    let measured = QUANTILES
        .iter()
        .zip(told)
        .map(|(quantile, nanoseconds)| Measurement::new(quantile, "s", Instrument::Gauge, nanoseconds / 1e9).of("window", name.as_str()));
    measured.collect()
}

#[cfg(test)]
mod tests;
