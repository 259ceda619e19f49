//! One probe: its latency, its last runs, one of them in full, its settings, its objective, its changes of state.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::overview::{Latency, told};
use super::say::{self, Markup};
use super::{Frame, badge, drawing, render, waterfall};
use crate::clock::Timestamp;
use crate::config::quantity::show_duration;
use crate::outcome::{Identity, Record, TraceId};
use crate::serve::board::{Board, Probe};
use crate::serve::history::{Brief, History};

/// Where a probe's view is.
pub(crate) fn href(identity: &Identity) -> String {
    format!("/checks/{}/{}", say::segment(&identity.check), say::segment(&identity.target))
}

/// Where a run of it is shown.
pub(super) fn run_href(href: &str, id: TraceId) -> String {
    format!("{href}?run={id}#run")
}

#[derive(Template)]
#[template(path = "probe.html")]
struct View {
    frame: Frame,
    badge: Markup,
    state: &'static str,
    name: String,
    address: String,
    labels: Vec<(String, String)>,
    since: Option<Markup>,
    message: String,
    figures: Vec<Figure>,
    chart: Markup,
    runs: Vec<RunRow>,
    chosen: Chosen,
    changes: Vec<ChangeRow>,
    budget: Option<Budget>,
    settings: String,
    about: Vec<(&'static str, String)>,
}

struct Figure {
    name: String,
    text: Markup,
    title: String,
}

struct RunRow {
    href: String,
    class: &'static str,
    result: &'static str,
    at: Markup,
    latency: String,
    attempts: String,
    told: String,
    chosen: bool,
}

/// The run that is shown.
struct Chosen {
    heading: &'static str,
    body: Markup,
    /// Said instead, where there is none.
    none: String,
}

struct ChangeRow {
    at: Markup,
    from: Markup,
    to: Markup,
    lasted: Markup,
    reason: String,
    href: String,
}

struct Budget {
    objective: String,
    window: String,
    rows: Vec<BurnRow>,
}

struct BurnRow {
    window: String,
    share: String,
    good: String,
    burn: String,
    left: String,
    over: bool,
}

/// The whole view; `run` is the one to be shown, the newest otherwise.
pub(crate) fn probe(board: &Board, index: usize, run: Option<TraceId>) -> Option<Markup> {
    let probe = board.probes().get(index)?;
    let (history, identity, now) = (probe.history(), probe.identity(), Timestamp::now());
    let own = href(identity);
    let chosen = choose(&history, run);
    let title = format!("{} {} {} · Vedette", say::glyph(history.state()), identity.service, history.state());
    let mut frame = Frame::new(board, "probe", title, &format!("/api/v1/checks/{}", say::segment(&identity.check)));
    frame.probe = index.to_string();
    Some(render(&View {
        frame,
        badge: badge(history.state()),
        state: history.state().word(),
        name: identity.service.clone(),
        address: identity.address.clone(),
        labels: identity.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect(),
        since: history.summary.as_ref().map(|summary| say::lasting(summary.since, now)),
        message: history.summary.as_ref().map_or_else(|| "has not run yet".to_owned(), |summary| summary.message.clone()),
        figures: figures(probe, &history, now),
        chart: drawing::chart(&history.briefs),
        runs: history.briefs.iter().rev().map(|brief| run_row(&own, brief, chosen.as_deref(), now)).collect(),
        chosen: show(&history, chosen.as_deref(), run, now),
        changes: changes(&own, &history, now),
        budget: budget(probe, &history),
        settings: pretty(&probe.info.settings),
        about: about(probe),
    }))
}

/// The run that was asked for, if it is kept in full; the newest that is, if none was.
fn choose(history: &History, run: Option<TraceId>) -> Option<Arc<Record>> {
    match run {
        Some(id) => history.full(id).cloned(),
        None => history.newest().cloned(),
    }
}

fn show(history: &History, chosen: Option<&Record>, run: Option<TraceId>, now: Timestamp) -> Chosen {
    let heading = if run.is_some() { "The chosen run" } else { "The newest run" };
    let none = match run.and_then(|id| history.brief(id)) {
        Some(brief) => {
            format!("{}. Of this run only the line in the table is kept; runs that fail are kept in full for longer.", told(brief))
        }
        None if run.is_some() => "This run is not remembered any more.".to_owned(),
        None => "There is no run to show yet.".to_owned(),
    };
    Chosen { heading, body: chosen.map(|record| waterfall::run(&record.outcome, now)).unwrap_or_default(), none }
}

fn run_row(own: &str, brief: &Brief, chosen: Option<&Record>, now: Timestamp) -> RunRow {
    let runs = if brief.runs > 1 { format!("{} runs ", say::count(u64::from(brief.runs))) } else { String::new() };
    RunRow {
        href: run_href(own, brief.trace_id),
        class: say::class(brief.result, brief.warned),
        result: brief.result.word(),
        at: say::moment(brief.at, now),
        latency: brief.latency.map(|latency| say::seconds(f64::from(latency))).unwrap_or_default(),
        attempts: if brief.attempts > 1 { brief.attempts.to_string() } else { String::new() },
        told: format!("{runs}{}", brief.reason.as_deref().unwrap_or_default()),
        chosen: chosen.is_some_and(|record| record.outcome.trace_id == brief.trace_id),
    }
}

fn figures(probe: &Probe, history: &History, now: Timestamp) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(latency) = Latency::of(history) {
        for (name, value) in [("p50", latency.p50), ("p95", latency.p95)] {
            figures.push(Figure { name: name.to_owned(), text: Markup(say::seconds(value)), title: latency.window.clone() });
        }
    }
    for sli in history.summary.iter().flat_map(|summary| &summary.slis).filter(|sli| sli.name == "availability") {
        if let Some(share) = say::share(sli.good, sli.valid) {
            let title = format!("{} of {} runs were good", say::count(sli.good), say::count(sli.valid));
            figures.push(Figure { name: format!("good, {}", say::window(sli.window)), text: Markup(share), title });
        }
    }
    let mut moment =
        |name: &str, text: Option<Markup>| figures.extend(text.map(|text| Figure { name: name.to_owned(), text, title: String::new() }));
    moment("last success", history.last_success.map(|at| say::moment(at, now)));
    moment("certificate ends", history.certificate.map(|at| say::moment(at, now)));
    moment("next run", history.next(probe.identity().every).map(|at| say::due(at, now)));
    figures
}

fn changes(own: &str, history: &History, now: Timestamp) -> Vec<ChangeRow> {
    let ends = history.changes.iter().skip(1).map(|change| Some(change.at)).chain([None]);
    let row = |(change, end): (&crate::serve::history::Change, Option<Timestamp>)| ChangeRow {
        at: say::moment(change.at, now),
        from: badge(change.from),
        to: badge(change.to),
        lasted: end.map_or_else(|| say::lasting(change.at, now), |end| Markup(say::rough(end.since(change.at)))),
        reason: change.reason.to_string(),
        href: run_href(own, change.trace_id),
    };
    let mut rows: Vec<ChangeRow> = history.changes.iter().zip(ends).map(row).collect();
    rows.reverse();
    rows
}

/// What is left of the error budget, and how fast it burns: 1 = as fast as it may.
fn budget(probe: &Probe, history: &History) -> Option<Budget> {
    let slo = probe.info.slo?;
    let allowed = (1.0 - slo.objective).max(f64::EPSILON);
    let summary = history.summary.as_ref()?;
    let row = |window: Duration, good: u64, valid: u64| {
        let burn = valid.saturating_sub(good) as f64 / valid.max(1) as f64 / allowed;
        BurnRow {
            window: say::window(window),
            share: say::share(good, valid).unwrap_or_else(|| "–".to_owned()),
            good: format!("{} of {}", say::count(good), say::count(valid)),
            burn: say::digits(burn),
            left: format!("{}\u{a0}%", say::digits((1.0 - burn) * 100.0)),
            over: burn > 1.0,
        }
    };
    let slis = summary.slis.iter().filter(|sli| sli.name == "availability");
    Some(Budget {
        objective: format!("{}\u{a0}%", (slo.objective * 1e7).round() / 1e5),
        window: show_duration(slo.window),
        rows: slis.map(|sli| row(sli.window, sli.good, sli.valid)).collect(),
    })
}

/// JSON as people read it; what is none stays as it is.
fn pretty(settings: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(settings);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| settings.to_owned())
}

fn about(probe: &Probe) -> Vec<(&'static str, String)> {
    let identity = probe.identity();
    let windows: Vec<String> = probe.info.windows.iter().map(|window| say::window(*window)).collect();
    let mut about = vec![
        ("check", identity.check.clone()),
        ("target", identity.target.clone()),
        ("plugin", format!("{} {}", identity.plugin, identity.plugin_version)),
        ("digest", identity.plugin_digest.clone()),
        ("every", show_duration(identity.every)),
        ("timeout of an attempt", show_duration(probe.info.timeout)),
        ("retries", probe.info.retries.to_string()),
        ("windows", windows.join(", ")),
    ];
    about.extend(identity.peer_service.clone().map(|peer| ("peer service", peer)));
    about
}
