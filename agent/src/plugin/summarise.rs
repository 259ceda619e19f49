//! Outcomes -> what a summariser makes of them, in a fresh instance that has its log and nothing else.

use std::time::Duration;

use super::attempt::{attend, store};
use super::bindings::{SummaryPre, summariser, types};
use super::engine::Ceiling;
use super::judge::{self, Said, Seen};
use super::lend::{Confined, Journal};
use super::limit::{Limit, Tally};
use super::load::{Guest, Loaded};
use super::masks::Masks;
use super::meter::Meter;
use super::tidy::{self, Tidy};
use super::{Limits, Previous, Summarised, SummaryInput, convert};
use crate::clock::{Instant, nanos};
use crate::outcome::{ErrorType, Outcome, Report, RunResult, Sli, State};

const CPU: Duration = Duration::from_millis(250);

/// A summariser waits for nothing, so this is for a machine that is starved of CPU.
const PATIENCE: Duration = Duration::from_secs(30);

const OUTCOMES: usize = 1000;
const MEMORY: usize = 64 << 10;
const SLIS: usize = 256;

impl Loaded {
    /// See [`super::Plugin::summarise`].
    pub(super) async fn summary(&self, input: SummaryInput, settings: &str) -> Result<Summarised, Report> {
        let summarised = match &self.guest {
            Guest::Summariser(pre) => self.summarise(pre, input, settings).await,
            Guest::Checker(_) => Err(Report::fault(ErrorType::AgentInternal, "a checker was asked to summarise")),
        };
        let success = Report::default();
        self.count(summarised.as_ref().err().unwrap_or(&success));
        summarised
    }

    async fn summarise(&self, pre: &SummaryPre<Confined>, input: SummaryInput, settings: &str) -> Result<Summarised, Report> {
        let host = &*self.host;
        let deadline = Instant::now() + PATIENCE;
        let Some(_slot) = host.quick_slot(deadline).await else {
            return Err(Report::fault(ErrorType::Capacity, "no free slot for the summariser"));
        };
        let meter = Meter::new(host.ticker.clone(), CPU);
        let ceiling = Ceiling::new(Limits::default().memory.min(host.options.max_memory));
        let confined = Confined::new(ceiling, Journal::new(input.probe.clone()));
        let mut store = store(&host.engine, confined, meter.clone());
        let asked = asked(&input);
        let ended = attend(&meter, deadline, async {
            let began = Instant::now();
            let summary = pre.instantiate_async(&mut store).await?;
            host.options.vitals.plugin_instantiate.record(began.elapsed());
            summary.vedette_plugin_summariser().call_summarise(&mut store, &asked, settings).await
        })
        .await;
        let Confined { ceiling, journal, .. } = store.into_data();
        let mut tally = Tally::default();
        tally.note(Limit::Log, journal.close());
        self.count_use(&host.options.vitals, &meter, ceiling.peak);
        let seen = Seen { memory: ceiling.refusal(), cpu: meter.exceeded().then_some(CPU), time: PATIENCE, denied: None };
        let said = judge::sift(ended, seen, &Masks::default(), &mut tally);
        let judged = match said {
            Ok(said) => judged(said, &input.windows, &mut tally),
            Err(fault) => Err(fault),
        };
        tally.count(&host.options.vitals);
        judged
    }
}

fn asked(input: &SummaryInput) -> summariser::Input {
    let newest = input.outcomes.len().saturating_sub(OUTCOMES);
    summariser::Input {
        check: input.probe.check.clone(),
        target: types::Target {
            name: input.probe.target.clone(),
            // A summariser has no use for user information, so it gets the address as it is shown.
            address: input.probe.address.clone(),
            labels: convert::labels(&input.target_labels),
        },
        labels: convert::labels(&input.probe.labels),
        now: input.now.0,
        interval: nanos(input.probe.every),
        windows: input.windows.iter().copied().map(nanos).collect(),
        outcomes: input.outcomes.iter().skip(newest).map(|outcome| told(outcome)).collect(),
        previous: input.previous.as_ref().map(previous),
    }
}

fn told(outcome: &Outcome) -> summariser::Outcome {
    let report = outcome.last().map(|attempt| &attempt.report);
    let taken = if outcome.result == RunResult::Skipped { Duration::ZERO } else { outcome.length() };
    summariser::Outcome {
        sequence: outcome.sequence,
        scheduled_at: outcome.scheduled_at.0,
        length: nanos(taken),
        latency: outcome.latency().map(nanos),
        attempts: u32::try_from(outcome.attempts.len()).unwrap_or(u32::MAX),
        run_result: match outcome.result {
            RunResult::Success => summariser::RunResult::Success,
            RunResult::Failure => summariser::RunResult::Failure,
            RunResult::Timeout => summariser::RunResult::Timeout,
            RunResult::Error => summariser::RunResult::Error,
            RunResult::Skipped => summariser::RunResult::Skipped,
            RunResult::Unknown => summariser::RunResult::Unknown,
        },
        fault: outcome.error_type.and_then(convert::fault),
        warnings: u32::try_from(outcome.unmet(true).count()).unwrap_or(u32::MAX),
        location: outcome.probe.location.clone(),
        measurements: report.map(|report| report.measurements.iter().map(convert::measurement).collect()).unwrap_or_default(),
        attributes: report.map(|report| report.attributes.iter().map(convert::attribute).collect()).unwrap_or_default(),
    }
}

fn previous(previous: &Previous) -> summariser::Previous {
    summariser::Previous {
        at: previous.at.0,
        version: previous.version.clone(),
        state: match previous.state {
            State::Up => summariser::State::Up,
            State::Degraded => summariser::State::Degraded,
            State::Down => summariser::State::Down,
            State::Flapping => summariser::State::Flapping,
            // Maintenance is the host's to say.
            State::Unknown | State::Maintenance => summariser::State::Unknown,
        },
        since: previous.since.0,
        open_alerts: Vec::new(),
        memory: previous.memory.clone(),
    }
}

/// What it said, within the limits of the contract.
#[expect(clippy::result_large_err, reason = "made once in a run and handed on, never kept")]
fn judged(said: summariser::Summary, windows: &[Duration], tally: &mut Tally) -> Result<Summarised, Report> {
    if said.memory.len() > MEMORY {
        tally.note(Limit::State, 1);
        let message = format!("the summariser wants to keep {} bytes, at most {MEMORY} are", said.memory.len());
        return Err(Report::fault(ErrorType::PluginLimitOutput, message));
    }
    if said.slis.iter().any(|sli| sli.good > sli.valid) {
        return Err(Report::fault(ErrorType::PluginAnswer, "the summariser counts more good ones than valid ones"));
    }
    let tidy = Tidy(&Masks::default());
    let state = match said.state {
        summariser::State::Unknown => State::Unknown,
        summariser::State::Up => State::Up,
        summariser::State::Degraded => State::Degraded,
        summariser::State::Down => State::Down,
        summariser::State::Flapping => State::Flapping,
    };
    let slis = said.slis.into_iter().map(|sli| Sli {
        name: tidy.text(sli.name, 128),
        window: Duration::from_nanos(sli.window),
        good: sli.good,
        valid: sli.valid,
    });
    Ok(Summarised {
        state,
        message: tidy.message(said.message, state.word()),
        slis: slis.filter(|sli| tidy::is_name(&sli.name) && windows.contains(&sli.window)).take(SLIS).collect(),
        measurements: tidy.measurements(said.measurements),
        events: tidy.events(said.events),
        memory: said.memory,
    })
}

impl Said for summariser::Summary {
    fn weight(&self) -> usize {
        let slis: usize = self.slis.iter().map(|sli| sli.name.len() + 32).sum();
        let alerts = self.alerts.iter().map(|alert| alert.key.len() + alert.message.len() + judge::weigh_attributes(&alert.attributes));
        self.message.len()
            + slis
            + alerts.sum::<usize>()
            + judge::weigh_measurements(&self.measurements)
            + judge::weigh_events(&self.events)
    }

    fn accuses(&self) -> bool {
        false
    }
}
