//! What a guest's call came to -> `outcome::Report`. The target is bad, the plugin is bad, or the agent is bad: never
//! one in place of another.
//!
//! Of several faults the first of this order is told: a limit that was hit (also if a trap followed from it), what was
//! not granted (also if the plugin then says failure), a trap, an answer against the contract, no verdict.

use std::time::Duration;

use wasmtime::{Error, PoolConcurrencyLimitError, Trap};

use super::bindings::{checker, types};
use super::convert;
use super::limit::{Limit, Tally};
use super::masks::Masks;
use super::tidy::{self, Tidy};
use crate::config::quantity;
use crate::outcome::{Attribute, ErrorType, Exchange, Report, RetryAdvice, Value};

/// Bytes of everything that a report says.
pub(super) const OUTPUT: usize = 256 << 10;

/// What may be copied out of a guest in one call: the largest body that can be sent, and what belongs to it.
pub(super) const HOSTCALL: usize = 4 << 20;

/// Handles that a guest may hold at the same time.
pub(super) const HANDLES: usize = 1000;

/// How a call ended.
pub(super) enum Ended<T> {
    /// The guest returned.
    Returned(Result<T, types::Failure>),
    /// It trapped, or was stopped.
    Broke(Error),
    /// It did not come back.
    TimeIsUp,
}

/// What the host saw besides.
pub(super) struct Seen {
    /// The limit of memory or of a table that it wanted to pass, and what to say of it.
    pub(super) memory: Option<(Limit, String)>,
    /// The limit of CPU time that it passed.
    pub(super) cpu: Option<Duration>,
    /// How long it had.
    pub(super) time: Duration,
    /// What it wanted and was not granted.
    pub(super) denied: Option<String>,
}

/// What leaves a guest.
pub(super) trait Said {
    /// Roughly its bytes.
    fn weight(&self) -> usize;

    /// Whether it says anything but that the target behaved.
    fn accuses(&self) -> bool;
}

/// The fault of plugin or agent, or what the guest said.
#[expect(clippy::result_large_err, reason = "made once in a run and handed on, never kept")]
pub(super) fn sift<T: Said>(ended: Ended<T>, seen: Seen, masks: &Masks, tally: &mut Tally) -> Result<T, Report> {
    let limit = |tally: &mut Tally, limit, error_type, message| {
        tally.note(limit, 1);
        Err(Report::fault(error_type, message))
    };
    if let Some((reached, message)) = seen.memory {
        return limit(tally, reached, ErrorType::PluginLimitMemory, message);
    }
    if let Some(cpu) = seen.cpu {
        let message = format!("the plugin used more than its {} of CPU time", quantity::show_duration(cpu));
        return limit(tally, Limit::Cpu, ErrorType::PluginLimitCpu, message);
    }
    match &ended {
        Ended::TimeIsUp => {
            let message = format!("the plugin did not come back within {}", quantity::show_duration(seen.time));
            return limit(tally, Limit::Time, ErrorType::PluginLimitTime, message);
        }
        Ended::Broke(error) if is(error, TOO_MUCH_DATA) => {
            let message = format!("the plugin handed over more than {} in one call", quantity::show_size(HOSTCALL as u64));
            return limit(tally, Limit::Data, ErrorType::PluginLimitOutput, message);
        }
        Ended::Broke(error) if is(error, TOO_MANY_HANDLES) => {
            let message = format!("the plugin wanted to hold more than {HANDLES} handles");
            return limit(tally, Limit::Handles, ErrorType::PluginLimitMemory, message);
        }
        Ended::Returned(Ok(said)) if said.weight() > OUTPUT => {
            let message = format!("the plugin said more than {}", quantity::show_size(OUTPUT as u64));
            return limit(tally, Limit::Report, ErrorType::PluginLimitOutput, message);
        }
        _ => {}
    }
    if let (Some(rule), true) = (seen.denied, accuses(&ended)) {
        return Err(Report::fault(ErrorType::Denied, Tidy(masks).message(format!("denied: {rule}"), "denied")));
    }
    match ended {
        Ended::Returned(Ok(said)) => Ok(said),
        Ended::Returned(Err(failure)) => Err(failed(failure, masks)),
        Ended::Broke(error) => Err(broken(&error, masks)),
        Ended::TimeIsUp => Err(Report::fault(ErrorType::PluginLimitTime, "the plugin did not come back")),
    }
}

fn accuses<T: Said>(ended: &Ended<T>) -> bool {
    match ended {
        Ended::Returned(Ok(said)) => said.accuses(),
        _ => true,
    }
}

/// Errors of the engine that have no type that could be asked for.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls";
const TOO_MANY_HANDLES: &str = "handle limit exceeded";

fn is(error: &Error, words: &str) -> bool {
    !error.is::<Trap>() && error.root_cause().to_string().contains(words)
}

fn broken(error: &Error, masks: &Masks) -> Report {
    if error.is::<PoolConcurrencyLimitError>() {
        return Report::fault(ErrorType::Capacity, "no free slot for the plugin");
    }
    let cause = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    Report::fault(ErrorType::PluginTrap, Tidy(masks).message(format!("the plugin trapped: {cause}"), "the plugin trapped"))
}

fn failed(failure: types::Failure, masks: &Masks) -> Report {
    let tidy = Tidy(masks);
    let (message, retry) = match failure {
        types::Failure::InvalidConfig(issues) => {
            let issues: Vec<String> = issues
                .into_iter()
                .take(8)
                .map(|issue| {
                    let (pointer, message) = (tidy.text(issue.pointer, 128), tidy.text(issue.message, tidy::MESSAGE));
                    if pointer.is_empty() { message } else { format!("{pointer}: {message}") }
                })
                .collect();
            (format!("the plugin cannot use its settings: {}", issues.join("; ")), None)
        }
        types::Failure::Unavailable(message) => (message, Some(RetryAdvice { after: None })),
        types::Failure::Internal(message) => (message, None),
    };
    Report { retry, ..Report::fault(ErrorType::PluginFailure, tidy.message(message, "the plugin came to no verdict and did not say why")) }
}

/// What a report says, within the limits of the contract, or why it contradicts itself.
pub(super) fn report(said: checker::Report, masks: &Masks, tally: &mut Tally) -> Report {
    let error_type = match (said.verdict, said.fault) {
        (types::Verdict::Success, None) => None,
        (types::Verdict::Success, Some(_)) => return contradiction("success, and a fault"),
        (types::Verdict::Failure | types::Verdict::Timeout, None) => return contradiction("no success, and no fault"),
        (types::Verdict::Failure | types::Verdict::Timeout, Some(fault)) => Some(convert::error_type(fault)),
    };
    if error_type.is_none() && said.expectations.iter().any(|expectation| !expectation.met && !expectation.soft) {
        return contradiction("success, and an expectation that is not met");
    }
    let tidy = Tidy(masks);
    let retry = said.retry.filter(|_| error_type.is_some());
    let items = said.expectations.len() + said.measurements.len() + said.events.len() + said.attributes.len();
    let report = Report {
        error_type,
        message: tidy.message(said.message, error_type.map_or("success", ErrorType::word)),
        expectations: tidy.expectations(said.expectations),
        measurements: tidy.measurements(said.measurements),
        events: tidy.events(said.events),
        attributes: tidy.attributes(said.attributes, tidy::ATTRIBUTES),
        retry: retry.map(|advice| RetryAdvice { after: advice.after.map(Duration::from_nanos) }),
    };
    let kept = report.expectations.len() + report.measurements.len() + report.events.len() + report.attributes.len();
    tally.note(Limit::Report, items.saturating_sub(kept));
    report
}

fn contradiction(what: &str) -> Report {
    Report::fault(ErrorType::PluginAnswer, format!("the plugin's report contradicts itself: {what}"))
}

/// Masks what an exchange recorded before the guest named more to mask.
pub(super) fn mask_exchange(exchange: &mut Exchange, masks: &Masks) {
    masks.apply(&mut exchange.url);
    if let Some((_, message)) = &mut exchange.error {
        masks.apply(message);
    }
}

pub(super) fn mask(attribute: &mut Attribute, masks: &Masks) {
    match &mut attribute.value {
        Value::Text(text) => masks.apply(text),
        Value::Texts(texts) => texts.iter_mut().for_each(|text| masks.apply(text)),
        Value::Flag(_) | Value::Integer(_) | Value::Real(_) => {}
    }
}

/// What a record weighs besides its texts.
const FIXED: usize = 16;

fn weigh<T>(list: &[T], weight: impl Fn(&T) -> usize) -> usize {
    list.iter().map(|item| FIXED + weight(item)).sum()
}

pub(super) fn weigh_attributes(list: &[types::Attribute]) -> usize {
    weigh(list, |attribute| {
        attribute.name.len()
            + match &attribute.value {
                types::AttributeValue::Text(text) => text.len(),
                types::AttributeValue::Texts(texts) => weigh(texts, String::len),
                _ => 0,
            }
    })
}

pub(super) fn weigh_measurements(list: &[types::Measurement]) -> usize {
    weigh(list, |measurement| measurement.name.len() + measurement.unit.len() + weigh_attributes(&measurement.attributes))
}

pub(super) fn weigh_events(list: &[types::Event]) -> usize {
    weigh(list, |event| event.name.len() + event.message.len() + weigh_attributes(&event.attributes))
}

impl Said for checker::Report {
    fn weight(&self) -> usize {
        self.message.len()
            + weigh(&self.expectations, |expectation| expectation.name.len() + expectation.detail.len())
            + weigh_measurements(&self.measurements)
            + weigh_events(&self.events)
            + weigh_attributes(&self.attributes)
    }

    fn accuses(&self) -> bool {
        self.verdict != types::Verdict::Success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(verdict: types::Verdict, fault: Option<types::Fault>) -> checker::Report {
        checker::Report {
            verdict,
            fault,
            retry: None,
            message: "fine".to_owned(),
            expectations: Vec::new(),
            measurements: Vec::new(),
            events: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn seen() -> Seen {
        Seen { memory: None, cpu: None, time: Duration::from_secs(2), denied: None }
    }

    fn judged(ended: Ended<checker::Report>, seen: Seen) -> Report {
        sift(ended, seen, &Masks::default(), &mut Tally::default()).map_or_else(|fault| fault, told)
    }

    fn told(said: checker::Report) -> Report {
        report(said, &Masks::default(), &mut Tally::default())
    }

    fn failure() -> Ended<checker::Report> {
        Ended::Returned(Ok(said(types::Verdict::Failure, Some(types::Fault::Status))))
    }

    #[test]
    fn of_several_faults_the_first_of_the_order_is_told() {
        let (memory, cpu, denied) =
            (|| Some((Limit::Memory, String::new())), || Some(Duration::from_millis(100)), || Some("rule".to_owned()));
        let trap = || Ended::Broke(Trap::UnreachableCodeReached.into());
        let word = |ended, seen| judged(ended, seen).error_type.map(ErrorType::word);
        assert_eq!(word(trap(), Seen { memory: memory(), cpu: cpu(), denied: denied(), ..seen() }), Some("plugin_limit_memory"));
        assert_eq!(word(trap(), Seen { cpu: cpu(), denied: denied(), ..seen() }), Some("plugin_limit_cpu"));
        assert_eq!(word(Ended::TimeIsUp, Seen { denied: denied(), ..seen() }), Some("plugin_limit_time"));
        assert_eq!(word(trap(), Seen { denied: denied(), ..seen() }), Some("denied"));
        assert_eq!(word(failure(), Seen { denied: denied(), ..seen() }), Some("denied"));
        assert_eq!(word(trap(), seen()), Some("plugin_trap"));
        assert_eq!(word(failure(), seen()), Some("status"));
        let own = Ended::Returned(Err(types::Failure::Internal(String::new())));
        assert_eq!(word(own, seen()), Some("plugin_failure"));
    }

    #[test]
    fn a_success_in_spite_of_what_was_denied_is_a_success() {
        let success = Ended::Returned(Ok(said(types::Verdict::Success, None)));
        assert_eq!(judged(success, Seen { denied: Some("rule".to_owned()), ..seen() }).error_type, None);
    }

    #[test]
    fn a_report_that_contradicts_itself_is_the_plugins_fault() {
        let unmet = types::Expectation { name: "status".to_owned(), met: false, soft: false, detail: String::new() };
        let soft = types::Expectation { soft: true, ..unmet.clone() };
        let with = |expectation| checker::Report { expectations: vec![expectation], ..said(types::Verdict::Success, None) };
        for wrong in [
            said(types::Verdict::Failure, None),
            said(types::Verdict::Timeout, None),
            said(types::Verdict::Success, Some(types::Fault::Other)),
            with(unmet),
        ] {
            assert_eq!(told(wrong).error_type, Some(ErrorType::PluginAnswer));
        }
        assert_eq!(told(with(soft)).error_type, None);
    }

    #[test]
    fn a_report_that_is_too_long_is_a_limit_that_was_hit() {
        let long = checker::Report { message: "x".repeat(OUTPUT + 1), ..said(types::Verdict::Success, None) };
        assert_eq!(judged(Ended::Returned(Ok(long)), seen()).error_type, Some(ErrorType::PluginLimitOutput));
        let empty = types::Expectation { name: String::new(), met: true, soft: false, detail: String::new() };
        let many = checker::Report { expectations: vec![empty; OUTPUT / FIXED + 1], ..said(types::Verdict::Success, None) };
        assert_eq!(judged(Ended::Returned(Ok(many)), seen()).error_type, Some(ErrorType::PluginLimitOutput));
    }

    #[test]
    fn advice_to_try_again_is_ignored_with_success_and_given_by_what_is_unavailable() {
        let advice = || Some(checker::RetryAdvice { after: Some(1_000_000_000) });
        let success = checker::Report { retry: advice(), ..said(types::Verdict::Success, None) };
        assert_eq!(told(success).retry, None);
        let failure = checker::Report { retry: advice(), ..said(types::Verdict::Failure, Some(types::Fault::Dns)) };
        assert_eq!(told(failure).retry, Some(RetryAdvice { after: Some(Duration::from_secs(1)) }));
        let unavailable = Ended::Returned(Err(types::Failure::Unavailable("later".to_owned())));
        assert_eq!(judged(unavailable, seen()).retry, Some(RetryAdvice { after: None }));
    }

    #[test]
    fn every_fault_of_a_target_has_its_word_and_no_other_has_one() {
        for &error_type in ErrorType::ALL {
            let of_target = error_type as u8 <= ErrorType::Other as u8;
            assert_eq!(convert::fault(error_type).map(convert::error_type), of_target.then_some(error_type));
        }
    }
}
