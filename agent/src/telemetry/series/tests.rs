#![expect(clippy::float_cmp, reason = "values come out as they went in")]

use std::sync::Arc;
use std::time::Duration;

use super::super::sample;
use super::*;
use crate::config::SloConfig;
use crate::outcome::{ErrorType, Instrument, Outcome, Phase, Phases, Record, RunResult, Sli, State, Stretch, Summary};
use crate::telemetry::ProbeSeries;
use crate::vitals::Vitals;

const SECOND: u64 = 1_000_000_000;

struct Lab {
    table: Table,
    vitals: Vitals,
    slo: Option<SloConfig>,
    now: Timestamp,
}

/// A point in short: metric, its extra keys, value (a histogram's count), time, whether it says that there is no value.
#[derive(Clone, Debug, PartialEq)]
struct Short {
    name: String,
    keys: String,
    value: f64,
    time: u64,
    none: bool,
    exemplars: usize,
}

impl Lab {
    fn new() -> Self {
        Self::with(false, None)
    }

    fn with(exponential: bool, slo: Option<SloConfig>) -> Self {
        let start = Timestamp::now();
        let mut table = Table::new(start, Duration::from_secs(15), exponential);
        let probe = ProbeSeries { identity: Arc::new(sample::identity()), windows: Arc::new([]), slo };
        table.load(&probe, start);
        Self { table, vitals: Vitals::default(), slo, now: start }
    }

    fn record(&mut self, outcome: Outcome) {
        self.take(&sample::record(outcome));
    }

    fn take(&mut self, record: &Record) {
        self.table.record(record, self.slo, &self.vitals);
    }

    /// One pass, so many seconds later.
    fn pass(&mut self, pass: Pass, seconds: u64) -> Vec<Short> {
        self.now = self.now.after(Duration::from_secs(seconds));
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(group) = from {
            let (points, next) = self.table.collect(pass, self.now, group);
            all.extend(points.iter().map(short));
            from = next;
        }
        all
    }

    fn values(&mut self, seconds: u64) -> Vec<Short> {
        self.pass(Pass::Values, seconds)
    }

    /// Both passes, the values only.
    fn tick(&mut self, seconds: u64) -> Vec<Short> {
        self.pass(Pass::Zeros, seconds);
        self.values(0)
    }
}

fn short(point: &Point) -> Short {
    let (attributes, value, time, flags, exemplars) = match &point.data {
        Data::Number(point) => {
            let value = match point.value {
                Some(Number::AsInt(value)) => value as f64,
                Some(Number::AsDouble(value)) => value,
                None => 0.0,
            };
            (&point.attributes, value, point.time_unix_nano, point.flags, 0)
        }
        Data::Explicit(point) => (&point.attributes, point.count as f64, point.time_unix_nano, point.flags, point.exemplars.len()),
        Data::Exponential(point) => (&point.attributes, point.count as f64, point.time_unix_nano, point.flags, point.exemplars.len()),
    };
    let own = ["synthetic.check.name", "synthetic.target.name", "synthetic.location", "team"];
    assert!(own.iter().all(|key| attributes.iter().any(|pair| pair.key == *key)), "{attributes:?}");
    let extra = attributes.iter().filter(|pair| !own.contains(&pair.key.as_str()));
    let keys = extra.map(|pair| format!("{}={}", pair.key, sample::shown(pair))).collect::<Vec<_>>().join(" ");
    Short { name: point.metric.name.to_string(), keys, value, time, none: flags == 1, exemplars }
}

fn of<'a>(points: &'a [Short], name: &str) -> Vec<&'a Short> {
    points.iter().filter(|point| point.name == name).collect()
}

/// The one point of a metric with such keys.
fn one<'a>(points: &'a [Short], name: &str, keys: &str) -> &'a Short {
    let found: Vec<_> = of(points, name).into_iter().filter(|point| point.keys == keys).collect();
    assert_eq!(found.len(), 1, "{name} {keys}: {points:#?}");
    found[0]
}

fn error() -> Outcome {
    let mut outcome = sample::success();
    (outcome.result, outcome.error_type) = (RunResult::Error, Some(ErrorType::PluginTrap));
    outcome.attempts = vec![sample::attempt(&outcome, outcome.error_type)];
    outcome
}

#[test]
fn at_load_every_result_has_its_zero_and_the_interval_is_told() {
    let mut lab = Lab::new();
    assert!(lab.pass(Pass::Zeros, 0).is_empty(), "zeros that are values need none before them");
    let points = lab.values(0);
    for name in ["synthetic.check.runs", "synthetic.check.attempts"] {
        let zeros = of(&points, name);
        assert_eq!(zeros.len(), RunResult::ALL.len());
        assert!(zeros.iter().all(|point| point.value == 0.0));
    }
    assert_eq!(one(&points, "synthetic.check.interval", "").value, 1.0);
    assert_eq!(points.len(), 13, "nothing else is known yet");
}

#[test]
fn a_counter_that_is_known_later_sends_a_zero_before_its_first_value() {
    let mut lab = Lab::new();
    lab.tick(0);
    lab.record(sample::failure());
    let zeros = lab.pass(Pass::Zeros, 1);
    let keys = "synthetic.check.result=failure error.type=status";
    let zero = one(&zeros, "synthetic.check.runs", keys);
    assert_eq!(zero.value, 0.0);
    assert_eq!(one(&zeros, "synthetic.check.duration", "synthetic.check.result=failure").value, 0.0);
    let values = lab.values(0);
    let value = one(&values, "synthetic.check.runs", keys);
    assert!(value.value == 1.0 && value.time > zero.time);
    lab.record(sample::failure());
    assert!(lab.pass(Pass::Zeros, 1).is_empty(), "it is announced once");
}

#[test]
fn a_value_has_the_time_of_its_run_and_then_that_of_sending_and_never_goes_back() {
    let mut lab = Lab::new();
    lab.tick(0);
    let outcome = sample::success();
    let ended = outcome.ended_at();
    lab.record(outcome.clone());
    let up = |points: &[Short]| one(points, "synthetic.check.up", "").time;
    assert_eq!(up(&lab.tick(1)), ended.0);
    assert!(of(&lab.tick(30), "synthetic.check.up").is_empty(), "an equal value is not sent again at once");
    let again = up(&lab.tick(20));
    assert_eq!(again, lab.now.0, "but before 60 s are over");
    let mut failure = sample::failure();
    failure.anchor = outcome.anchor;
    failure.ended = outcome.ended;
    lab.record(failure);
    assert_eq!(up(&lab.tick(1)), again + 1, "a run that ended before the last point is clamped behind it");
}

#[test]
fn a_clock_that_is_put_back_neither_silences_a_series_nor_turns_its_time() {
    let mut lab = Lab::new();
    lab.record(sample::success());
    let before = one(&lab.tick(3_600), "synthetic.check.up", "").time;
    lab.now = Timestamp(lab.now.0 - 7_200 * SECOND);
    let points = lab.values(0);
    assert!(one(&points, "synthetic.check.up", "").time > before);
}

#[test]
fn no_time_is_before_the_start() {
    let mut lab = Lab::new();
    let mut outcome = sample::success();
    outcome.ended = outcome.anchor.instant();
    lab.record(outcome);
    lab.now = Timestamp(1);
    let start = lab.table.start.0;
    let zeros = lab.pass(Pass::Zeros, 0);
    assert!(zeros.iter().chain(&lab.values(0)).all(|point| point.time >= start));
}

#[test]
fn up_keeps_its_value_over_runs_that_say_nothing_of_the_target() {
    let mut lab = Lab::new();
    lab.record(sample::success());
    for outcome in [error(), sample::skipped(1), Outcome { result: RunResult::Unknown, ..error() }] {
        lab.record(outcome);
    }
    assert_eq!(one(&lab.tick(1), "synthetic.check.up", "").value, 1.0);
    lab.record(sample::failure());
    assert_eq!(one(&lab.tick(1), "synthetic.check.up", "").value, 0.0);
    lab.record(error());
    assert!(of(&lab.tick(1), "synthetic.check.up").is_empty());
}

#[test]
fn skipped_runs_are_counted_as_many_as_they_stand_for_and_have_no_length() {
    let mut lab = Lab::new();
    lab.record(sample::success());
    lab.record(sample::skipped(41));
    let points = lab.tick(1);
    assert_eq!(one(&points, "synthetic.check.runs", "synthetic.check.result=skipped error.type=late").value, 41.0);
    assert_eq!(of(&points, "synthetic.check.duration").len(), 1);
    assert_eq!(one(&points, "synthetic.check.duration", "synthetic.check.result=success").value, 1.0);
}

#[test]
fn attempts_are_counted_by_their_own_result() {
    let mut lab = Lab::new();
    let mut outcome = sample::success();
    outcome.attempts.insert(0, sample::attempt(&outcome, Some(ErrorType::Timeout)));
    lab.record(outcome);
    let points = lab.tick(1);
    for result in ["timeout", "success"] {
        assert_eq!(one(&points, "synthetic.check.attempts", &format!("synthetic.check.result={result}")).value, 1.0);
    }
}

#[test]
fn all_six_states_are_told_and_one_holds() {
    let mut lab = Lab::new();
    lab.record(sample::failure());
    let points = lab.tick(1);
    let states = of(&points, "synthetic.check.state");
    assert_eq!(states.iter().map(|point| point.value).sum::<f64>(), 1.0);
    assert_eq!((states.len(), one(&points, "synthetic.check.state", "synthetic.state=down").value), (State::ALL.len(), 1.0));
}

#[test]
fn a_phase_that_no_longer_takes_place_is_ended_once() {
    let mut lab = Lab::new();
    let mut outcome = sample::success();
    let mut phases = Phases::default();
    phases.set(Phase::Wait, Stretch { start: sample::at(&outcome, 1), end: sample::at(&outcome, 3) });
    outcome.attempts[0].exchanges[0].phases = phases;
    lab.record(outcome);
    let wait = |points: &[Short]| of(points, "synthetic.check.phase.duration").into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(wait(&lab.tick(1))[0].value, 0.002);
    lab.record(error());
    assert!(wait(&lab.tick(1)).is_empty(), "an error says nothing of the target");
    lab.record(sample::failure());
    let ended = wait(&lab.tick(1));
    assert!(ended.len() == 1 && ended[0].none);
    assert!(wait(&lab.tick(70)).is_empty());
    assert!(!lab.table.lines().any(|line| line.metric.name == "synthetic.check.phase.duration"));
}

#[test]
fn expectations_are_counted_both_ways_from_the_first_on() {
    let mut lab = Lab::new();
    lab.tick(0);
    let mut outcome = sample::success();
    outcome.attempts[0].report.expectations = vec![sample::expectation("status", true, false)];
    lab.record(outcome);
    let keys = |met: &str| format!("synthetic.expectation=status synthetic.expectation.result={met} synthetic.expectation.soft=false");
    let zeros = lab.pass(Pass::Zeros, 1);
    assert_eq!(one(&zeros, "synthetic.check.expectations", &keys("met")).value, 0.0);
    let points = lab.values(0);
    assert_eq!(one(&points, "synthetic.check.expectations", &keys("met")).value, 1.0);
    assert_eq!(one(&points, "synthetic.check.expectations", &keys("unmet")).value, 0.0);
}

#[test]
fn last_success_is_absent_until_there_was_one_and_stands_still_after_a_failure() {
    let mut lab = Lab::new();
    lab.record(sample::failure());
    let points = lab.tick(1);
    assert!(of(&points, "synthetic.check.last_success.time").is_empty());
    assert_eq!(of(&points, "synthetic.check.last_run.time").len(), 1);
}

#[test]
fn the_earliest_end_of_the_chain_and_the_size_of_the_body_are_told() {
    let mut lab = Lab::new();
    let mut outcome = sample::failure();
    let mut tls = (*sample::tls("aa", 1_900_000_000)).clone();
    tls.chain.push(sample::tls("bb", 1_800_000_000).chain[0].clone());
    outcome.attempts[0].exchanges[0].tls = Some(Arc::new(tls));
    lab.record(outcome);
    let points = lab.tick(1);
    assert_eq!(one(&points, "synthetic.tls.certificate.not_after", "").value, 1_800_000_000.0);
    assert_eq!(one(&points, "synthetic.check.response.size", "").value, 12.0);
}

#[test]
fn availability_and_budget_come_from_the_summary() {
    let slo = SloConfig { objective: 0.99, window: Duration::from_hours(24) };
    let mut lab = Lab::with(false, Some(slo));
    let sli = |name: &str, window, good, valid| Sli { name: name.to_owned(), window, good, valid };
    let (short, long) = (Duration::from_mins(5), Duration::from_hours(24));
    let slis = vec![sli("availability", short, 9, 10), sli("availability", long, 995, 1_000), sli("latency", long, 1, 2)];
    let summary = Summary { slis, ..sample::summary(State::Up) };
    lab.take(&Record { summary: Arc::new(summary), ..sample::record(sample::success()) });
    let points = lab.tick(1);
    let close = |name: &str, keys: &str, wanted: f64| {
        let value = one(&points, name, keys).value;
        assert!((value - wanted).abs() < 1e-9, "{name}: {value}");
    };
    close("synthetic.availability", "synthetic.window=5m", 0.9);
    close("synthetic.availability", "synthetic.window=24h", 0.995);
    close("synthetic.slo.burn_rate", "synthetic.window=5m", 10.0);
    close("synthetic.slo.burn_rate", "synthetic.window=24h", 0.5);
    close("synthetic.slo.error_budget.remaining", "synthetic.window=24h", 0.5);
    close("synthetic.slo.target", "", 0.99);
    close("synthetic.slo.window", "", 86_400.0);
    assert_eq!(of(&points, "synthetic.slo.error_budget.remaining").len(), 1);
}

#[test]
fn measurements_of_report_and_summary_are_aggregated_as_they_are_declared() {
    let mut lab = Lab::new();
    for value in [2.0, 3.0] {
        let mut outcome = sample::success();
        outcome.attempts[0].report.measurements = vec![
            sample::measurement("gauge", Instrument::Gauge, value),
            sample::measurement("sum", Instrument::Counter, value),
            sample::measurement("spread", Instrument::Histogram, value),
        ];
        let mut record = sample::record(outcome);
        let mut named = sample::measurement("quantile", Instrument::Gauge, value);
        named.attributes = vec![sample::noted("q", "0.5"), sample::noted("team", "lie")];
        record.summary = Arc::new(Summary { measurements: vec![named], ..sample::summary(State::Up) });
        lab.take(&record);
    }
    let points = lab.tick(1);
    for (name, keys, value) in [("gauge", "", 3.0), ("sum", "", 5.0), ("spread", "", 2.0), ("quantile", "q=0.5", 3.0)] {
        assert_eq!(one(&points, &format!("synthetic.plugin.{name}"), keys).value, value);
    }
}

#[test]
fn a_check_has_at_most_1000_series_of_measurements_and_the_rest_is_counted() {
    let mut lab = Lab::new();
    let mut outcome = sample::success();
    let series = (0..1_005).map(|number| sample::measurement(&format!("m{number}"), Instrument::Gauge, 1.0));
    outcome.attempts[0].report.measurements = series.collect();
    lab.record(outcome.clone());
    assert_eq!(lab.vitals.series_limited.get(), 5);
    lab.record(outcome);
    assert_eq!(lab.vitals.series_limited.get(), 10, "those that are known go on");
    let points = lab.tick(1);
    assert_eq!(points.iter().filter(|point| point.name.starts_with("synthetic.plugin.")).count(), 1_000);
}

#[test]
fn the_exemplar_of_a_duration_is_the_root_of_a_run_that_is_exported() {
    let mut lab = Lab::new();
    let exemplars = |points: &[Short]| one(points, "synthetic.check.duration", "synthetic.check.result=success").exemplars;
    lab.record(Outcome { sampled: false, ..sample::success() });
    assert_eq!(exemplars(&lab.tick(1)), 0);
    lab.record(sample::success());
    assert_eq!(exemplars(&lab.tick(1)), 1);
}

#[test]
fn exponential_histograms_are_an_option_for_durations_and_phases() {
    let mut lab = Lab::with(true, None);
    let mut outcome = sample::success();
    let mut phases = Phases::default();
    phases.set(Phase::Wait, Stretch { start: sample::at(&outcome, 1), end: sample::at(&outcome, 3) });
    outcome.attempts[0].exchanges[0].phases = phases;
    lab.record(outcome);
    let (points, _) = lab.table.collect(Pass::Values, lab.now, 0);
    for name in ["synthetic.check.duration", "synthetic.check.phase.duration"] {
        let found: Vec<_> = points.iter().filter(|point| point.metric.name == name).collect();
        assert!(matches!(found[..], [Point { data: Data::Exponential(_), .. }]), "{name}");
    }
}

#[test]
fn the_agent_s_own_counters_are_announced_by_a_zero_too() {
    let (start, vitals) = (Timestamp::now(), Vitals::default());
    let mut table = Table::new(start, Duration::from_secs(15), false);
    table.read(&vitals, start);
    table.collect(Pass::Zeros, start, 0);
    table.collect(Pass::Values, start, 0);
    vitals.missed.add(&["late"], 7);
    let now = start.after(Duration::from_secs(15));
    table.read(&vitals, now);
    let missed = |points: Vec<Point>| -> Vec<_> {
        let of = points.into_iter().filter(|point| point.metric.name == "vedette.scheduler.runs.missed");
        of.map(|point| if let Data::Number(point) = point.data { point.value } else { None }).collect()
    };
    assert_eq!(missed(table.collect(Pass::Zeros, now, 0).0), [Some(Number::AsInt(0))]);
    assert_eq!(missed(table.collect(Pass::Values, now, 0).0), [Some(Number::AsInt(7))]);
}
