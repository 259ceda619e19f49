//! The agent itself: schedule, plugins, export, build.

use std::collections::BTreeMap;

use askama::Template;

use super::drawing::{self, Piece};
use super::pulse::Pulse;
use super::say::{self, Markup};
use super::{Frame, render};
use crate::clock::Timestamp;
use crate::serve::board::Board;
use crate::vitals::{BOUNDS, Family, Vitals};

#[derive(Template)]
#[template(path = "agent.html")]
struct View {
    frame: Frame,
    pulse: Pulse,
    uptime: String,
    planned: String,
    run: String,
    missed: Vec<(String, String)>,
    lateness: Vec<Bucket>,
    plugins: Vec<PluginRow>,
    traps: Vec<(String, String)>,
    memory: String,
    queue: Option<(Markup, String)>,
    ledger: Vec<LedgerRow>,
    requests: Vec<(String, String)>,
    series: Vec<(&'static str, String)>,
}

struct Bucket {
    bound: String,
    count: String,
    bar: Markup,
}

struct PluginRow {
    name: String,
    version: String,
    digest: String,
    runs: String,
    cpu: String,
}

struct LedgerRow {
    signal: String,
    counts: Vec<(String, String)>,
}

/// The whole view.
pub(crate) fn agent(board: &Board, vitals: &Vitals) -> Markup {
    let positive = |value: i64| u64::try_from(value).unwrap_or_default();
    let (size, limit) = (positive(vitals.export_queue_size.get()), positive(vitals.export_queue_limit.get()));
    let filled =
        |()| (drawing::bar(&[Piece { class: "whole".to_owned(), start: 0.0, length: size as f64 / limit as f64 }]), queue(size, limit));
    render(&View {
        frame: Frame::new(board, "agent", "Agent · Vedette".to_owned(), "/api/v1/agent"),
        pulse: Pulse::read(vitals, Timestamp::now()),
        uptime: say::rough(vitals.uptime()),
        planned: say::count(vitals.planned.get()),
        run: say::count(vitals.run.get()),
        missed: pairs(&vitals.missed),
        lateness: lateness(vitals),
        plugins: plugins(board, vitals),
        traps: pairs(&vitals.plugin_traps),
        memory: say::bytes(positive(vitals.plugin_memory_peak.get())),
        queue: (limit > 0).then_some(()).map(filled),
        ledger: ledger(vitals),
        requests: pairs(&vitals.export_requests),
        series: vec![
            ("series", say::count(positive(vitals.series_active.get()))),
            ("points refused, too many series", say::count(vitals.series_limited.get())),
            ("records dropped", say::count(vitals.records_dropped.get())),
        ],
    })
}

fn queue(size: u64, limit: u64) -> String {
    format!("{} of {}", say::bytes(size), say::bytes(limit))
}

fn pairs(family: &Family) -> Vec<(String, String)> {
    family.snapshot().into_iter().map(|(values, count)| (values.join(" "), say::count(count))).collect()
}

fn lateness(vitals: &Vitals) -> Vec<Bucket> {
    let (buckets, _) = vitals.lateness.snapshot();
    let most = buckets.iter().copied().max().unwrap_or_default().max(1) as f64;
    let bounds = BOUNDS.iter().map(|bound| format!("≤ {}", say::seconds(*bound))).chain(["more".to_owned()]);
    let bucket = |(bound, count): (String, u64)| {
        let piece = Piece { class: "whole".to_owned(), start: 0.0, length: count as f64 / most };
        Bucket { bound, count: say::count(count), bar: drawing::bar(if count > 0 { std::slice::from_ref(&piece) } else { &[] }) }
    };
    bounds.zip(buckets).map(bucket).collect()
}

fn plugins(board: &Board, vitals: &Vitals) -> Vec<PluginRow> {
    let mut rows = BTreeMap::new();
    for identity in board.probes().iter().map(super::super::board::Probe::identity) {
        rows.entry(identity.plugin.clone()).or_insert_with(|| (identity.plugin_version.clone(), identity.plugin_digest.clone()));
    }
    let (runs, cpu) = (vitals.plugin_runs.snapshot(), vitals.plugin_cpu.snapshot());
    for (values, _) in runs.iter().chain(&cpu) {
        rows.entry(values.first().cloned().unwrap_or_default()).or_default();
    }
    let row = |(name, (version, digest)): (String, (String, String))| {
        let of = |values: &[String]| values.first() == Some(&name);
        let results = runs.iter().filter(|(values, _)| of(values));
        let results: Vec<String> = results.map(|(values, count)| format!("{} {}", say::count(*count), values[1..].join(" "))).collect();
        let nanos: u64 = cpu.iter().filter(|(values, _)| of(values)).map(|(_, nanos)| nanos).sum();
        PluginRow { version, digest, runs: results.join(" · "), cpu: say::seconds(nanos as f64 / 1e9), name }
    };
    rows.into_iter().map(row).collect()
}

/// Produced = sent + queued + rejected + dropped, per signal.
fn ledger(vitals: &Vitals) -> Vec<LedgerRow> {
    let mut rows = BTreeMap::<String, Vec<(String, String)>>::new();
    for (values, count) in vitals.export_items.snapshot() {
        if let [signal, outcome] = values.as_slice() {
            rows.entry(signal.clone()).or_default().push((outcome.clone(), say::count(count)));
        }
    }
    rows.into_iter().map(|(signal, counts)| LedgerRow { signal, counts }).collect()
}
