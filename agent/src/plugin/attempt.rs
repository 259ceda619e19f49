//! One attempt: a fresh instance in a slot of the pool, the guest's call, and what came of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;
use wasmtime::{Engine, Store, UpdateDeadline};

use super::bindings::CheckPre;
use super::judge::{self, Ended, Seen};
use super::lend::{Lent, Limited};
use super::limit::{Limit, Tally};
use super::load::{Guest, Loaded};
use super::meter::Meter;
use super::{Call, Called, convert};
use crate::clock::{Instant, nanos};
use crate::outcome::{Attribute, ErrorType, Report, Stretch, Value};
use crate::vitals::Vitals;

/// What a guest has beyond its timeout to say what came of it.
const GRACE: Duration = Duration::from_millis(50);

/// The fact of a run that says which limits its guest reached.
const LIMITS: &str = "vedette.plugin.limits";

/// The guest's CPU time is used up.
#[derive(Debug, thiserror::Error)]
#[error("the CPU time is used up")]
struct Exceeded;

/// A store for one guest, limited in all that the engine can limit.
pub(super) fn store<T: Limited>(engine: &Engine, data: T, meter: Arc<Meter>) -> Store<T> {
    let mut store = Store::new(engine, data);
    store.limiter(|data| data.ceiling());
    store.set_hostcall_fuel(judge::HOSTCALL);
    store.set_max_component_handles(judge::HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if meter.exceeded() {
            return Err(Exceeded.into());
        }
        if !meter.held_long() {
            return Ok(UpdateDeadline::Continue(1));
        }
        // tokio's own way of yielding lets timers and sockets be looked at before the guest goes on.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

/// Polls a guest until it returns, breaks, or its time is up.
pub(super) async fn attend<T>(
    meter: &Meter,
    deadline: Instant,
    guest: impl Future<Output = wasmtime::Result<Result<T, super::bindings::types::Failure>>>,
) -> Ended<T> {
    match timeout_at(deadline, meter.attend(guest)).await {
        Ok(Ok(returned)) => Ended::Returned(returned),
        Ok(Err(error)) => Ended::Broke(error),
        Err(_) => Ended::TimeIsUp,
    }
}

impl Loaded {
    /// See [`super::Plugin::run`].
    pub(super) async fn attempt(&self, call: Call) -> Called {
        let start = Instant::now();
        let called = match &self.guest {
            Guest::Checker(pre) => self.check(pre, call, start).await,
            Guest::Summariser(_) => faulty(start, ErrorType::AgentInternal, "a summariser was asked to check"),
        };
        self.count(&called.report);
        called
    }

    async fn check(&self, pre: &CheckPre<Lent>, call: Call, start: Instant) -> Called {
        let host = &*self.host;
        let (deadline, end) = (start + call.timeout, start + call.timeout + GRACE);
        let Ok(Ok(_slot)) = timeout_at(deadline, host.slots.acquire()).await else {
            return faulty(start, ErrorType::Capacity, "no free slot for the plugin");
        };
        let (limits, time) = (call.limits, call.timeout);
        let meter = Meter::new(host.ticker.clone(), limits.cpu);
        let (context, settings) = (convert::context(&call), call.settings.clone());
        let mut store = store(&host.engine, Lent::new(call, start, meter.clone(), &host.options), meter.clone());
        let ended = attend(&meter, end, async {
            let began = Instant::now();
            let check = pre.instantiate_async(&mut store).await?;
            host.options.vitals.plugin_instantiate.record(began.elapsed());
            check.vedette_plugin_checker().call_run(&mut store, &context, &settings).await
        })
        .await;
        let end = Instant::now();
        let lent = store.into_data();
        self.count_use(&host.options.vitals, &meter, lent.ceiling.peak);
        let seen = Seen {
            memory: lent.ceiling.refusal(),
            cpu: meter.exceeded().then_some(limits.cpu),
            time: time + GRACE,
            denied: lent.denied.clone(),
        };
        let (called, tally) = finish(lent, ended, seen, Stretch { start, end });
        tally.count(&host.options.vitals);
        called
    }

    pub(super) fn count_use(&self, vitals: &Vitals, meter: &Meter, peak: usize) {
        vitals.plugin_cpu.add(&[&self.name], nanos(meter.spent()));
        vitals.plugin_memory_peak.raise(i64::try_from(peak).unwrap_or(i64::MAX));
    }

    pub(super) fn count(&self, report: &Report) {
        let vitals = &self.host.options.vitals;
        vitals.plugin_runs.add(&[&self.name, report.result().word()], 1);
        if let Some(reason) = report.error_type.filter(|reason| is_plugins_end(*reason)) {
            vitals.plugin_traps.add(&[reason.word()], 1);
        }
    }
}

/// A trap, or a limit that was hit.
fn is_plugins_end(error_type: ErrorType) -> bool {
    (ErrorType::PluginTrap..=ErrorType::PluginLimitOutput).contains(&error_type)
}

/// Everything that leaves, judged, capped and masked.
fn finish(mut lent: Lent, ended: Ended<super::bindings::checker::Report>, seen: Seen, stretch: Stretch) -> (Called, Tally) {
    let (masks, mut tally) = (lent.masks, lent.tally);
    for (severity, line) in lent.wasi.iter().flat_map(|wasi| wasi.lines()) {
        lent.journal.hear(severity, line, &masks);
    }
    tally.note(Limit::Log, lent.journal.close());
    tally.note(Limit::Steps, lent.steps.refused());
    let mut report = match judge::sift(ended, seen, &masks, &mut tally) {
        Ok(said) => judge::report(said, &masks, &mut tally),
        Err(fault) => fault,
    };
    let reached: Vec<String> = tally.reached().map(|(limit, _)| limit.to_string()).collect();
    if !reached.is_empty() {
        // Also where the run succeeded all the same: what was left out is not left out silently.
        report.attributes.push(Attribute { name: LIMITS.to_owned(), value: Value::Texts(reached) });
    }
    let mut exchanges = lent.exchanges;
    if masks.grew() {
        for exchange in &mut exchanges {
            judge::mask_exchange(exchange, &masks);
        }
    }
    // Writes are kept together with a report that stands, never with a fault of the plugin.
    let stands = report.error_type.is_none_or(|error_type| convert::fault(error_type).is_some());
    let state = lent.kept.written().filter(|_| stands);
    (Called { report, steps: lent.steps.close(stretch.end, &masks), exchanges, stretch, state }, tally)
}

/// An attempt in which no guest took part.
fn faulty(start: Instant, error_type: ErrorType, message: &str) -> Called {
    let stretch = Stretch { start, end: Instant::now() };
    Called { report: Report::fault(error_type, message), steps: Vec::new(), exchanges: Vec::new(), stretch, state: None }
}
