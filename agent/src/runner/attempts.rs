//! One run: its attempts, the pauses between them, and the outcome they add up to.
//!
//! What an attempt *is* (a call of the plugin in a fresh instance) the caller says; here stands how many there are
//! and when. A panic in an attempt is that run's `agent_internal`: nothing else notices.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::{Anchor, Instant, Timestamp};
use crate::config::{budget, longest_pause};
use crate::outcome::{Attempt, ErrorType, Identity, Outcome, Report, RetryAdvice, RunResult, SpanId, Stretch, TraceId, Trigger};

/// What is known of a run before it starts.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// Which probe.
    pub probe: Arc<Identity>,
    /// Number of the run.
    pub sequence: u64,
    /// Why it takes place.
    pub trigger: Trigger,
    /// When it was meant to start.
    pub scheduled_at: Timestamp,
    /// The run's id.
    pub trace_id: TraceId,
    /// Whether a success would be exported as a trace.
    pub sampled: bool,
    /// Of one attempt.
    pub timeout: Duration,
    /// Further attempts after a transient failure.
    pub retries: u32,
}

/// What one attempt is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// 1 for the first.
    pub number: u32,
    /// The span that exchanges and steps stand below.
    pub span_id: SpanId,
    /// What `traceparent` says: after a failed attempt the trace is kept in any case.
    pub sampled: bool,
    /// When the run began, on both clocks.
    pub anchor: Anchor,
}

/// Runs a probe once: attempts until one is not transient or none is left.
pub(super) async fn run<F, A>(start: Start, mut attempt: F) -> Outcome
where
    F: FnMut(Try) -> A,
    A: Future<Output = Attempt>,
{
    let (anchor, root) = (Anchor::now(), SpanId::random());
    let ends_by = anchor.instant() + budget(start.timeout, start.retries);
    let mut attempts: Vec<Attempt> = Vec::new();
    for number in 1..=start.retries.saturating_add(1) {
        // The only attempt of a run has no span of its own: its exchanges stand below the root.
        let span_id = if start.retries == 0 { root } else { SpanId::random() };
        let this = Try { number, span_id, sampled: start.sampled || number > 1, anchor };
        attempts.push(guarded(this, &mut attempt).await);
        let transient = attempts.last().and_then(|last| last.report.retry.filter(|_| last.report.error_type.is_some()));
        let Some(advice) = transient.filter(|_| number <= start.retries) else { break };
        let pause = pause(number, advice, ends_by.saturating_duration_since(Instant::now()).saturating_sub(start.timeout));
        tokio::time::sleep(pause).await;
    }
    fold_single(&mut attempts, root);
    outcome(start, anchor, root, attempts)
}

/// The outcome of a run that did not take place.
pub(super) fn skipped(start: Start, why: ErrorType, message: impl Into<String>) -> Outcome {
    let anchor = Anchor::now();
    Outcome {
        result: RunResult::Skipped,
        error_type: Some(why),
        message: message.into(),
        ..outcome(start, anchor, SpanId::random(), Vec::new())
    }
}

/// The outcome of a run whose plugin is not asked, because it broke too often before.
pub(super) fn barred(start: Start, why: ErrorType, message: impl Into<String>) -> Outcome {
    let anchor = Anchor::now();
    Outcome {
        result: RunResult::Error,
        error_type: Some(why),
        message: message.into(),
        quarantined: true,
        ..outcome(start, anchor, SpanId::random(), Vec::new())
    }
}

/// The attempt, or what a panic in it makes of the run.
async fn guarded<F, A>(this: Try, attempt: &mut F) -> Attempt
where
    F: FnMut(Try) -> A,
    A: Future<Output = Attempt>,
{
    let began = Instant::now();
    let attempted = async { attempt(this).await };
    AssertUnwindSafe(attempted).catch_unwind().await.unwrap_or_else(|_| Attempt {
        span_id: this.span_id,
        stretch: Stretch { start: began, end: Instant::now() },
        report: Report::fault(ErrorType::AgentInternal, "a defect of the agent ended this attempt; its log has the details"),
        steps: Vec::new(),
        exchanges: Vec::new(),
    })
}

/// A run that could have had several attempts and needed one: what stood below that attempt stands below the root.
fn fold_single(attempts: &mut [Attempt], root: SpanId) {
    let [only] = attempts else { return };
    let was = std::mem::replace(&mut only.span_id, root);
    let parents = only.steps.iter_mut().map(|step| &mut step.parent).chain(only.exchanges.iter_mut().map(|exchange| &mut exchange.parent));
    for parent in parents.filter(|parent| **parent == was) {
        *parent = root;
    }
}

fn outcome(start: Start, anchor: Anchor, root: SpanId, attempts: Vec<Attempt>) -> Outcome {
    let report = attempts.last().map(|attempt| &attempt.report);
    Outcome {
        result: report.map_or(RunResult::Skipped, Report::result),
        error_type: report.and_then(|report| report.error_type),
        message: report.map(|report| report.message.clone()).unwrap_or_default(),
        probe: start.probe,
        sequence: start.sequence,
        runs: 1,
        trace_id: start.trace_id,
        root,
        sampled: start.sampled || attempts.len() > 1,
        trigger: start.trigger,
        scheduled_at: start.scheduled_at,
        anchor,
        ended: attempts.last().map_or(anchor.instant(), |attempt| attempt.stretch.end),
        attempts,
        quarantined: false,
    }
}

/// The pause after attempt `number`. What the target asked for takes the backoff's place if it is longer and there
/// is `room` for it before the last moment at which another attempt may start; otherwise it is ignored.
fn pause(number: u32, advice: RetryAdvice, room: Duration) -> Duration {
    let backoff = longest_pause(number).mul_f64(rand::random_range(0.5..=1.0));
    match advice.after {
        Some(after) if after > backoff && after <= room => after,
        _ => backoff,
    }
}

#[cfg(test)]
impl Start {
    /// Of a probe that nobody watches.
    pub(super) fn sample(retries: u32) -> Self {
        let text = String::new;
        let probe = Identity {
            check: "api".into(),
            target: "api".into(),
            service: "api".into(),
            address: text(),
            location: text(),
            labels: Vec::new(),
            plugin: text(),
            plugin_version: text(),
            plugin_digest: text(),
            peer_service: None,
            every: Duration::from_secs(30),
        };
        Self {
            probe: Arc::new(probe),
            sequence: 1,
            trigger: Trigger::Schedule,
            scheduled_at: Timestamp::now(),
            trace_id: TraceId::random(),
            sampled: false,
            timeout: Duration::from_secs(1),
            retries,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn transient(after: Option<Duration>) -> Report {
        Report { retry: Some(RetryAdvice { after }), ..Report::fault(ErrorType::Status, "503, expected 2xx") }
    }

    /// Runs with the given reports, one per attempt; returns the outcome and what each attempt was told and when.
    async fn run_with(start: Start, reports: Vec<Report>) -> (Outcome, Vec<(Try, Instant)>) {
        let told = RefCell::new(Vec::new());
        let outcome = run(start, |this| {
            told.borrow_mut().push((this, Instant::now()));
            let report = reports[this.number as usize - 1].clone();
            async move {
                let now = Instant::now();
                let stretch = Stretch { start: now, end: now };
                Attempt { span_id: this.span_id, stretch, report, steps: Vec::new(), exchanges: Vec::new() }
            }
        })
        .await;
        (outcome, told.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_is_one_attempt_below_the_root() {
        let (outcome, told) = run_with(Start::sample(1), vec![Report::default()]).await;
        assert_eq!((outcome.result, outcome.error_type, told.len()), (RunResult::Success, None, 1));
        assert_eq!(outcome.attempts[0].span_id, outcome.root);
        assert!(!outcome.sampled && !told[0].0.sampled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_and_then_kept() {
        let (outcome, told) = run_with(Start::sample(1), vec![transient(None), Report::default()]).await;
        assert_eq!((outcome.result, outcome.attempts.len()), (RunResult::Success, 2));
        assert_ne!(outcome.attempts[0].span_id, outcome.root);
        assert!(told[1].0.sampled && outcome.sampled, "after a failed attempt the trace is kept");
        let pause = told[1].1 - told[0].1;
        assert!(pause >= longest_pause(1) / 2 && pause <= longest_pause(1) + Duration::from_millis(1), "{pause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_with_the_retries() {
        let (outcome, told) = run_with(Start::sample(2), vec![transient(None); 3]).await;
        assert_eq!((outcome.error_type, told.len()), (Some(ErrorType::Status), 3));
        assert!(outcome.length() <= budget(SECOND, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_is_not_transient_is_final() {
        let (_, told) = run_with(Start::sample(3), vec![Report::fault(ErrorType::Status, "404, expected 2xx")]).await;
        assert_eq!(told.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_kept_where_it_fits_and_ignored_where_not() {
        let fits = Duration::from_millis(900);
        let (_, told) = run_with(Start::sample(1), vec![transient(Some(fits)), Report::default()]).await;
        assert!(told[1].1 - told[0].1 >= fits);
        let (_, told) = run_with(Start::sample(1), vec![transient(Some(SECOND * 60)), Report::default()]).await;
        assert!(told[1].1 - told[0].1 <= longest_pause(1) + Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_that_runs_error() {
        let outcome = run(Start::sample(0), |_| async { panic!("a defect") }).await;
        assert_eq!((outcome.result, outcome.error_type), (RunResult::Error, Some(ErrorType::AgentInternal)));
    }

    #[tokio::test]
    async fn a_skipped_run_has_no_attempts() {
        let outcome = skipped(Start::sample(1), ErrorType::Late, "the run before still runs");
        assert_eq!((outcome.result, outcome.attempts.len(), outcome.latency()), (RunResult::Skipped, 0, None));
    }
}
