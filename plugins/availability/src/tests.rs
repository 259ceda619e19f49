use vedette_sdk::summary::{Outcome, Previous, RunResult, State};
use vedette_sdk::{AttributeValue, Fault, Target};

use super::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_704_067_200 * SECOND;
const WINDOWS: [u64; 3] = [300 * SECOND, 3600 * SECOND, 86_400 * SECOND];

fn outcome(number: u64, result: RunResult, millis: u64) -> Outcome {
    Outcome {
        sequence: number,
        scheduled_at: START + number * SECOND,
        length: millis * 1_000_000,
        latency: (result == RunResult::Success).then_some(millis * 1_000_000),
        attempts: 1,
        run_result: result,
        fault: matches!(result, RunResult::Failure).then_some(Fault::ConnectRefused),
        warnings: 0,
        location: "here".into(),
        measurements: Vec::new(),
        attributes: Vec::new(),
    }
}

fn input(outcomes: Vec<Outcome>, previous: Option<Previous>) -> Input {
    Input {
        check: "api".into(),
        target: Target { name: "api".into(), address: "http://x/".into(), labels: Vec::new() },
        labels: Vec::new(),
        now: outcomes.last().map_or(START, |outcome| outcome.scheduled_at + outcome.length),
        interval: SECOND,
        windows: WINDOWS.to_vec(),
        outcomes,
        previous,
    }
}

/// Feeds outcomes in parts, as a host does, and returns every summary.
fn replayed(outcomes: &[Outcome], part: usize) -> Vec<Summary> {
    let (mut previous, mut summaries) = (None, Vec::new());
    for outcomes in outcomes.chunks(part) {
        let input = input(outcomes.to_vec(), previous);
        let summary = summarise(&input, &Settings::default());
        previous = Some(Previous {
            at: input.now,
            version: "0.1.0".into(),
            state: summary.state,
            since: START,
            open_alerts: Vec::new(),
            memory: summary.memory.clone(),
        });
        summaries.push(summary);
    }
    summaries
}

/// Results and latencies as chance has them, the same every time.
fn history(seed: u64, length: u64) -> Vec<Outcome> {
    let mut chance = seed;
    let results = (0..length).map(|number| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let result = match chance >> 60 {
            0 => RunResult::Failure,
            1 => RunResult::Timeout,
            2 => RunResult::Error,
            3 => RunResult::Unknown,
            _ => RunResult::Success,
        };
        outcome(number, result, 1 + (chance >> 33) % 900)
    });
    results.collect()
}

fn available(summary: &Summary) -> Vec<(u64, u64)> {
    summary.slis.iter().map(|sli| (sli.good, sli.valid)).collect()
}

#[test]
fn the_same_outcomes_give_the_same_summary_however_they_come() {
    for seed in 0..8 {
        let outcomes = history(seed, 200);
        let one_by_one = replayed(&outcomes, 1);
        assert_eq!(one_by_one, replayed(&outcomes, 1));
        for part in [7, 200] {
            let (last, other) = (one_by_one.last().unwrap(), replayed(&outcomes, part).pop().unwrap());
            assert_eq!((last.state, &last.message, available(last)), (other.state, &other.message, available(&other)));
            assert_eq!((&last.measurements, &last.memory), (&other.measurements, &other.memory));
        }
    }
}

#[test]
fn availability_counts_what_says_something_of_the_target() {
    let words = [RunResult::Success, RunResult::Failure, RunResult::Timeout, RunResult::Error, RunResult::Skipped, RunResult::Unknown];
    let outcomes: Vec<_> = (0..).zip(words).map(|(number, result)| outcome(number, result, 5)).collect();
    let last = replayed(&outcomes, 1).pop().unwrap();
    assert_eq!(available(&last), [(1, 3); 3]);
    assert!(last.slis.iter().zip(WINDOWS).all(|(sli, window)| sli.name == "availability" && sli.window == window));
}

#[test]
fn a_window_forgets_and_a_longer_one_does_not() {
    let bad = (0..400).map(|number| outcome(number, RunResult::Failure, 5));
    let good = (400..1200).map(|number| outcome(number, RunResult::Success, 5));
    let last = replayed(&bad.chain(good).collect::<Vec<_>>(), 100).pop().unwrap();
    let told = available(&last);
    assert!(told[0].0 == told[0].1 && (300..=310).contains(&told[0].1), "{told:?}");
    assert_eq!(told[1], (800, 1200));
}

#[test]
fn results_that_say_nothing_change_nothing_until_it_is_long() {
    let mut outcomes = vec![outcome(0, RunResult::Success, 5)];
    outcomes.extend((1..20).map(|number| outcome(number, RunResult::Error, 5)));
    let states: Vec<_> = replayed(&outcomes, 1).iter().map(|summary| summary.state).collect();
    assert!(states[..10].iter().all(|state| *state == State::Up), "{states:?}");
    assert_eq!(states.last(), Some(&State::Unknown));
}

#[test]
fn quantiles_are_told_per_window_in_seconds() {
    let outcomes: Vec<_> = (0..200).map(|number| outcome(number, RunResult::Success, number + 1)).collect();
    let last = replayed(&outcomes, 10).pop().unwrap();
    assert_eq!(last.measurements.len(), 9);
    let first = &last.measurements[0];
    assert_eq!((first.name.as_str(), first.unit.as_str()), ("latency.p50", "s"));
    assert_eq!(first.attributes[0].value, AttributeValue::Text("5m".into()));
    assert!((first.value / 0.1 - 1.0).abs() < 1.0 / 16.0, "{first:?}");
    assert_eq!(replayed(&[outcome(0, RunResult::Failure, 5)], 1)[0].measurements, []);
}

#[test]
fn a_refused_target_is_told_as_that() {
    let outcomes: Vec<_> = (0..3).map(|number| outcome(number, RunResult::Failure, 5)).collect();
    assert_eq!(replayed(&outcomes, 1).pop().unwrap().message, "3 of the last 3 runs failed: connection refused");
}

#[test]
fn damaged_memory_keeps_the_state() {
    let previous =
        Previous { at: START, version: "0.0.1".into(), state: State::Down, since: 1, open_alerts: Vec::new(), memory: vec![9; 40] };
    let summary = summarise(&input(vec![outcome(1, RunResult::Success, 5)], Some(previous)), &Settings::default());
    assert_eq!((summary.state, available(&summary)), (State::Down, vec![(1, 1); 3]));
}

#[test]
fn the_schema_has_the_defaults_of_the_code() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("schema.json")).unwrap();
    let defaults = schema["properties"].as_object().unwrap().iter().map(|(name, property)| (name.clone(), property["default"].clone()));
    let filled: Settings = serde_json::from_value(serde_json::Value::Object(defaults.collect())).unwrap();
    assert_eq!(format!("{filled:?}"), format!("{:?}", Settings::default()));
}
