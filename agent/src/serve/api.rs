//! JSON below `/api/v1`: the shapes are the structs of this file. Keys may be added, never renamed or retyped.
//! Moments are RFC 3339 in UTC, lengths are milliseconds and say so in their names.

mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::board::{Board, Probe, rank};
use super::history::{Brief, Change};
use super::routes::{Shared, missing};
use crate::clock::Timestamp;
use crate::outcome::{ErrorType, State as ProbeState, TraceId};

/// `GET /api/v1/checks`
#[derive(Serialize)]
struct AllChecks {
    version: u32,
    now: String,
    location: String,
    /// How many probes are in each state.
    summary: BTreeMap<&'static str, usize>,
    checks: Vec<Check>,
}

/// A check and its probes, in the order of the configuration.
#[derive(Serialize)]
struct Check {
    name: String,
    /// The worst of its probes.
    state: &'static str,
    plugin: String,
    every_ms: f64,
    probes: Vec<ProbeTold>,
}

#[derive(Serialize)]
struct ProbeTold {
    check: String,
    target: String,
    service: String,
    address: String,
    labels: BTreeMap<String, String>,
    state: &'static str,
    /// Since when; null before the first run.
    since: Option<String>,
    message: Option<String>,
    last_success: Option<String>,
    last_run: Option<RunTold>,
    next_run: Option<String>,
    /// The earliest end in the chain that the server last sent.
    certificate_not_after: Option<String>,
    slis: Vec<SliTold>,
    measurements: Vec<run::MeasurementTold>,
}

/// A run in brief; the whole is at `/api/v1/outcomes/{trace_id}`.
#[derive(Serialize)]
struct RunTold {
    trace_id: String,
    ended: String,
    result: &'static str,
    error_type: Option<&'static str>,
    /// Null if it succeeded and there is nothing to tell.
    reason: Option<String>,
    attempts: u8,
    /// How many planned runs it stands for: more than one if that many in a row were skipped.
    runs: u32,
    latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct SliTold {
    name: String,
    window_ms: f64,
    good: u64,
    valid: u64,
    /// Null without valid runs.
    ratio: Option<f64>,
}

/// `GET /api/v1/checks/{name}`
#[derive(Serialize)]
struct CheckInDetail {
    version: u32,
    now: String,
    location: String,
    name: String,
    state: &'static str,
    plugin: String,
    every_ms: f64,
    probes: Vec<ProbeInDetail>,
}

#[derive(Serialize)]
struct ProbeInDetail {
    #[serde(flatten)]
    probe: ProbeTold,
    plugin_version: String,
    plugin_digest: String,
    timeout_ms: f64,
    retries: u32,
    windows_ms: Vec<f64>,
    slo: Option<SloTold>,
    /// As the plugin gets them; secrets by name.
    settings: Option<serde_json::Value>,
    /// Newest first, at most 60.
    runs: Vec<RunTold>,
    /// Newest first, at most 20.
    state_changes: Vec<ChangeTold>,
}

#[derive(Serialize)]
struct SloTold {
    objective: f64,
    window_ms: f64,
}

#[derive(Serialize)]
struct ChangeTold {
    at: String,
    from: &'static str,
    to: &'static str,
    trace_id: String,
    reason: String,
}

/// `GET /api/v1/agent`
#[derive(Serialize)]
struct Agent {
    version: u32,
    now: String,
    location: String,
    build: &'static str,
    uptime_ms: f64,
    scheduler_silent_ms: f64,
    runs_planned: u64,
    runs: u64,
    runs_missed: BTreeMap<String, u64>,
    in_flight: i64,
    export_queue_bytes: i64,
    export_queue_limit_bytes: i64,
    export_last_success: Option<String>,
    records_dropped: u64,
}

/// A length in milliseconds.
fn millis(length: Duration) -> f64 {
    // Rounded to the nanosecond, so that 0.1 + 0.2 stays 0.3.
    (length.as_secs_f64() * 1e9).round() / 1e6
}

impl RunTold {
    fn new(brief: &Brief) -> Self {
        Self {
            trace_id: brief.trace_id.to_string(),
            ended: brief.at.to_string(),
            result: brief.result.word(),
            error_type: brief.error_type.map(ErrorType::word),
            reason: brief.reason.as_deref().map(str::to_owned),
            attempts: brief.attempts,
            runs: brief.runs,
            latency_ms: brief.latency.map(|latency| millis(Duration::from_secs_f32(latency))),
        }
    }
}

impl ChangeTold {
    fn new(change: &Change) -> Self {
        Self {
            at: change.at.to_string(),
            from: change.from.word(),
            to: change.to.word(),
            trace_id: change.trace_id.to_string(),
            reason: change.reason.to_string(),
        }
    }
}

impl ProbeTold {
    fn new(probe: &Probe) -> Self {
        let (history, identity) = (probe.history(), probe.identity());
        let summary = history.summary.as_deref();
        let slis = summary.into_iter().flat_map(|summary| &summary.slis).map(|sli| SliTold {
            name: sli.name.clone(),
            window_ms: millis(sli.window),
            good: sli.good,
            valid: sli.valid,
            ratio: (sli.valid > 0).then(|| sli.good as f64 / sli.valid as f64),
        });
        Self {
            check: identity.check.clone(),
            target: identity.target.clone(),
            service: identity.service.clone(),
            address: identity.address.clone(),
            labels: identity.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect(),
            state: history.state().word(),
            since: summary.map(|summary| summary.since.to_string()),
            message: summary.map(|summary| summary.message.clone()),
            last_success: history.last_success.map(|at| at.to_string()),
            last_run: history.briefs.back().map(RunTold::new),
            next_run: history.next(identity.every).map(|at| at.to_string()),
            certificate_not_after: history.certificate.map(|at| at.to_string()),
            slis: slis.collect(),
            measurements: summary.into_iter().flat_map(|summary| &summary.measurements).map(run::MeasurementTold::new).collect(),
        }
    }
}

impl ProbeInDetail {
    fn new(probe: &Probe) -> Self {
        let (history, identity) = (probe.history(), probe.identity());
        Self {
            probe: ProbeTold::new(probe),
            plugin_version: identity.plugin_version.clone(),
            plugin_digest: identity.plugin_digest.clone(),
            timeout_ms: millis(probe.info.timeout),
            retries: probe.info.retries,
            windows_ms: probe.info.windows.iter().map(|window| millis(*window)).collect(),
            slo: probe.info.slo.map(|slo| SloTold { objective: slo.objective, window_ms: millis(slo.window) }),
            settings: serde_json::from_str(&probe.info.settings).ok(),
            runs: history.briefs.iter().rev().map(RunTold::new).collect(),
            state_changes: history.changes.iter().rev().map(ChangeTold::new).collect(),
        }
    }
}

/// The worst state of some probes.
fn worst(board: &Board, probes: &[usize]) -> ProbeState {
    let states = probes.iter().map(|index| board.probes()[*index].glance(super::history::History::state));
    states.min_by_key(|state| rank(*state)).unwrap_or(ProbeState::Unknown)
}

/// All checks, with what is known of their probes now.
pub(super) async fn checks(State(site): Shared) -> Json<impl Serialize> {
    let board = &site.service.board;
    let mut names: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    names.extend(board.probes().iter().map(|probe| probe.identity().check.as_str()).filter(|name| seen.insert(*name)));
    let check = |name: &str| {
        let probes = board.check(name);
        let first = board.probes()[*probes.first()?].identity();
        Some(Check {
            name: name.to_owned(),
            state: worst(board, &probes).word(),
            plugin: first.plugin.clone(),
            every_ms: millis(first.every),
            probes: probes.iter().map(|index| ProbeTold::new(&board.probes()[*index])).collect(),
        })
    };
    let counts = board.counts();
    Json(AllChecks {
        version: 1,
        now: Timestamp::now().to_string(),
        location: board.location().to_owned(),
        summary: ProbeState::ALL.iter().map(|state| (state.word(), counts.get(*state))).collect(),
        checks: names.into_iter().filter_map(check).collect(),
    })
}

/// One check by its name, or the one probe that is called so (`check/target`).
pub(super) async fn check(State(site): Shared, Path(name): Path<String>, uri: Uri) -> Response {
    let board = &site.service.board;
    let mut probes = board.check(&name);
    if probes.is_empty() {
        probes.extend(board.probes().iter().position(|probe| probe.identity().service == name));
    }
    let Some(first) = probes.first().map(|index| board.probes()[*index].identity()) else {
        return missing(uri.path(), "there is no check of this name: /api/v1/checks lists them");
    };
    let check = CheckInDetail {
        version: 1,
        now: Timestamp::now().to_string(),
        location: board.location().to_owned(),
        name: first.check.clone(),
        state: worst(board, &probes).word(),
        plugin: first.plugin.clone(),
        every_ms: millis(first.every),
        probes: probes.iter().map(|index| ProbeInDetail::new(&board.probes()[*index])).collect(),
    };
    Json(check).into_response()
}

/// One run by its id: all of it, or what is left.
pub(super) async fn outcome(State(site): Shared, Path(id): Path<String>, uri: Uri) -> Response {
    let board = &site.service.board;
    match TraceId::parse(&id).and_then(|id| board.run(id)) {
        Some((index, remembered)) => Json(run::Run::new(board.probes()[index].identity(), &remembered)).into_response(),
        None => missing(uri.path(), "there is no run of this id, or it is not remembered any more"),
    }
}

/// The agent itself.
pub(super) async fn agent(State(site): Shared) -> Json<impl Serialize> {
    let (board, vitals) = (&site.service.board, &site.service.vitals);
    let exported = u64::try_from(vitals.export_last_success.get()).unwrap_or_default();
    Json(Agent {
        version: 1,
        now: Timestamp::now().to_string(),
        location: board.location().to_owned(),
        build: env!("CARGO_PKG_VERSION"),
        uptime_ms: millis(vitals.uptime()),
        scheduler_silent_ms: millis(vitals.since_beat()),
        runs_planned: vitals.planned.get(),
        runs: vitals.run.get(),
        runs_missed: vitals.missed.snapshot().into_iter().map(|(reason, count)| (reason.join(" "), count)).collect(),
        in_flight: vitals.in_flight.get(),
        export_queue_bytes: vitals.export_queue_size.get(),
        export_queue_limit_bytes: vitals.export_queue_limit.get(),
        export_last_success: (exported > 0).then(|| Timestamp(exported.saturating_mul(1_000_000)).to_string()),
        records_dropped: vitals.records_dropped.get(),
    })
}
