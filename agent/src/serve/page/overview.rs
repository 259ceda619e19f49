//! The overview: one line, the troubles as cards, all probes as rows.

use std::collections::BTreeSet;
use std::time::Duration;

use askama::Template;
use serde::Serialize;

use super::drawing::{self, PhaseTold};
use super::filter::Filter;
use super::probe::{href, run_href};
use super::pulse::Pulse;
use super::say::{self, Markup};
use super::{Frame, badge, render};
use crate::clock::Timestamp;
use crate::outcome::{RunResult, Sli, State};
use crate::serve::board::{Board, Counts, Probe};
use crate::serve::history::{Brief, History};
use crate::vitals::Vitals;

/// Rows that are sent at once.
const ROWS: usize = 100;

/// Cards that are shown; with more than these in trouble, each single one explains little.
const CARDS: usize = 24;

/// The order in which states are told: what is wrong, what is well, what says nothing.
const ORDER: [State; 6] = [State::Down, State::Flapping, State::Degraded, State::Up, State::Unknown, State::Maintenance];

/// A certificate that ends within this is told.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Values of labels that are offered as filters.
const LABELS: usize = 200;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    headline: Markup,
    troubles: Markup,
    form: Form,
    listing: Listing,
    rows: Markup,
}

struct Form {
    text: String,
    states: Vec<StateChoice>,
    labels: Vec<LabelChoice>,
}

struct StateChoice {
    word: &'static str,
    badge: Markup,
    chosen: bool,
}

struct LabelChoice {
    text: String,
    chosen: bool,
}

/// The whole view.
pub(crate) fn overview(board: &Board, vitals: &Vitals, filter: &Filter) -> Markup {
    let counts = board.counts();
    let (listing, rows) = list(board, filter);
    render(&Overview {
        frame: Frame::new(board, "overview", super::title(counts), "/api/v1/checks"),
        headline: headline(counts, &Pulse::read(vitals, Timestamp::now())),
        troubles: troubles(board),
        form: form(board, counts, filter),
        listing,
        rows,
    })
}

fn form(board: &Board, counts: Counts, filter: &Filter) -> Form {
    let offered = ORDER.iter().filter(|state| counts.get(**state) > 0 || filter.states.contains(state));
    let states = offered.map(|state| StateChoice { word: state.word(), badge: badge(*state), chosen: filter.states.contains(state) });
    let mut labels = BTreeSet::new();
    for label in board.probes().iter().flat_map(|probe| &probe.identity().labels) {
        if labels.len() < LABELS {
            labels.insert((label.name.clone(), label.value.clone()));
        }
    }
    labels.extend(filter.label.clone());
    let label =
        |label: (String, String)| LabelChoice { text: format!("{}={}", label.0, label.1), chosen: filter.label.as_ref() == Some(&label) };
    Form { text: filter.text.clone(), states: states.collect(), labels: labels.into_iter().map(label).collect() }
}

#[derive(Template)]
#[template(path = "headline.html")]
struct Headline<'a> {
    counts: Vec<Tally>,
    pulse: &'a Pulse,
}

struct Tally {
    number: String,
    word: &'static str,
}

/// The line on top.
pub(crate) fn headline(counts: Counts, pulse: &Pulse) -> Markup {
    let present = ORDER.into_iter().filter(|state| counts.get(*state) > 0);
    let counts = present.map(|state| Tally { number: say::count(counts.get(state) as u64), word: state.word() });
    render(&Headline { counts: counts.collect(), pulse })
}

#[derive(Template)]
#[template(path = "troubles.html")]
struct Troubles {
    cards: Vec<Card>,
    more: usize,
}

struct Card {
    index: usize,
    version: u64,
    state: &'static str,
    badge: Markup,
    since: Option<Markup>,
    name: String,
    href: String,
    reason: String,
    bar: Option<Markup>,
    legend: Vec<PhaseTold>,
    run: Option<String>,
    at: Option<Markup>,
    attempts: Option<String>,
    last_success: Option<Markup>,
    runbook: Option<String>,
}

/// The cards of all probes in trouble, the worst first, those that have been there longest first among equals.
pub(crate) fn troubles(board: &Board) -> Markup {
    let mut places = Vec::new();
    for (index, probe) in board.probes().iter().enumerate() {
        let place = |history: &History| (super::filter::weight(history), history.summary.as_ref().map(|summary| summary.since), index);
        places.extend(probe.glance(|history| history.in_trouble().then(|| place(history))));
    }
    places.sort_unstable();
    let now = Timestamp::now();
    let cards = places.iter().take(CARDS).map(|(.., index)| card(*index, &board.probes()[*index], now));
    render(&Troubles { cards: cards.collect(), more: places.len().saturating_sub(CARDS) })
}

fn card(index: usize, probe: &Probe, now: Timestamp) -> Card {
    let (history, identity) = (probe.history(), probe.identity());
    let (state, own) = (history.state(), href(identity));
    let telling =
        history.briefs.iter().rev().find(|brief| brief.reason.is_some() && brief.result != RunResult::Skipped).or(history.briefs.back());
    let full = telling.and_then(|brief| history.full(brief.trace_id));
    let drawn = full.and_then(|record| drawing::phases(&record.outcome));
    let (bar, legend) = drawn.map_or((None, Vec::new()), |(bar, legend)| (Some(bar), legend));
    let last_success = history.last_success.filter(|_| state != State::Degraded);
    let link = |text: &String| (text.starts_with("https://") || text.starts_with("http://")).then(|| text.clone());
    Card {
        index,
        version: history.version,
        state: state.word(),
        badge: badge(state),
        since: history.summary.as_ref().map(|summary| say::lasting(summary.since, now)),
        name: identity.service.clone(),
        reason: reason(&history),
        bar,
        legend,
        run: telling.map(|brief| run_href(&own, brief.trace_id)),
        at: telling.map(|brief| say::moment(brief.at, now)),
        attempts: telling.filter(|brief| brief.attempts > 1).map(|brief| format!("after {} attempts", brief.attempts)),
        last_success: last_success.map(|at| say::moment(at, now)),
        runbook: identity.labels.iter().find(|label| label.name == "runbook").and_then(|label| link(&label.value)),
        href: own,
    }
}

/// Why it is in trouble, in one line: what the last run that had something to tell said, or what the summariser says.
fn reason(history: &History) -> String {
    let summary = history.summary.as_ref().map(|summary| summary.message.as_str()).unwrap_or_default();
    let told = history.briefs.iter().rev().filter(|brief| brief.result != RunResult::Skipped).find_map(|brief| brief.reason.as_deref());
    match (history.state(), told) {
        // It comes and goes: a single run's reason is half of the truth.
        (State::Flapping, Some(told)) if !summary.is_empty() => format!("{summary} · {told}"),
        (_, Some(told)) => told.to_owned(),
        (_, None) => summary.to_owned(),
    }
}

/// What is said of the list as a whole.
struct Listing {
    shown: String,
}

#[derive(Template)]
#[template(path = "rows.html")]
struct Rows {
    groups: Vec<Group>,
    empty: &'static str,
    next: Option<String>,
    more: String,
}

struct Group {
    head: Option<GroupHead>,
    rows: Vec<Markup>,
}

struct GroupHead {
    check: String,
    told: String,
}

/// A page of rows, as a fragment.
pub(crate) fn rows_page(board: &Board, filter: &Filter) -> Markup {
    let (listing, Markup(rows)) = list(board, filter);
    Markup(format!("<p id=\"shown\">{}</p>{rows}", listing.shown))
}

/// The rows of some probes, as a fragment that replaces what stands there.
pub(crate) fn rows_of(board: &Board, indices: impl Iterator<Item = usize>) -> Markup {
    let now = Timestamp::now();
    let rows = indices.filter_map(|index| Some((index, board.probes().get(index)?))).take(ROWS * 2);
    let rows: String = rows.map(|(index, probe)| row(index, probe, in_group(board, probe), now).0).collect();
    Markup(format!("<table><tbody>{rows}</tbody></table>"))
}

fn in_group(board: &Board, probe: &Probe) -> bool {
    board.targets(&probe.identity().check) > 1
}

fn list(board: &Board, filter: &Filter) -> (Listing, Markup) {
    let (now, places) = (Timestamp::now(), filter.select(board));
    let end = places.len().min(filter.offset.saturating_add(ROWS));
    let page = places.get(filter.offset..end).unwrap_or_default();
    let mut groups = Vec::<(&str, Group)>::new();
    let before =
        filter.offset.checked_sub(1).and_then(|index| places.get(index)).map(|place| board.probes()[place.index].identity().check.as_str());
    for place in page {
        let probe = &board.probes()[place.index];
        let (check, grouped) = (probe.identity().check.as_str(), in_group(board, probe));
        if groups.last().is_none_or(|(last, _)| *last != check) {
            // A group that goes on from the page before has its head there.
            let head = (grouped && before != Some(check)).then(|| head(board, probe));
            groups.push((check, Group { head, rows: Vec::new() }));
        }
        if let Some((_, group)) = groups.last_mut() {
            group.rows.push(row(place.index, probe, grouped, now));
        }
    }
    let (all, left) = (board.probes().len(), places.len() - end.min(places.len()));
    let shown = if filter.is_open() { format!("{} probes", say::count(all as u64)) } else { format!("{} of {} probes", places.len(), all) };
    let rows = render(&Rows {
        groups: groups.into_iter().map(|(_, group)| group).collect(),
        empty: if all == 0 { "There are no checks in the configuration." } else { "No probe is like that." },
        next: (left > 0).then(|| filter.query(end)),
        more: format!("Show the next {} of {}", left.min(ROWS), say::count(left as u64)),
    });
    (Listing { shown }, rows)
}

fn head(board: &Board, probe: &Probe) -> GroupHead {
    let identity = probe.identity();
    let every = crate::config::quantity::show_duration(identity.every);
    GroupHead {
        check: identity.check.clone(),
        told: format!("{} targets · {} · every {every}", board.targets(&identity.check), identity.plugin),
    }
}

#[derive(Template)]
#[template(path = "row.html")]
struct Row {
    index: usize,
    state: &'static str,
    badge: Markup,
    since: Option<Markup>,
    name: String,
    address: String,
    href: String,
    grouped: bool,
    reason: Option<String>,
    p50: Option<(String, &'static str)>,
    p95: Option<(String, &'static str)>,
    window: String,
    spark: Markup,
    strip: Markup,
    share: String,
    share_title: String,
    low: bool,
    certificate: Option<CertificateTold>,
    next: Option<Markup>,
}

struct CertificateTold {
    text: String,
    title: String,
    expired: bool,
}

fn row(index: usize, probe: &Probe, grouped: bool, now: Timestamp) -> Markup {
    let (history, identity) = (probe.history(), probe.identity());
    let latency = Latency::of(&history);
    let day = availability(&history);
    let (good, valid) = day.map_or((0, 0), |sli| (sli.good, sli.valid));
    let objective = probe.info.slo.map(|slo| slo.objective);
    render(&Row {
        index,
        state: history.state().word(),
        badge: badge(history.state()),
        since: history.summary.as_ref().map(|summary| say::lasting(summary.since, now)),
        name: if grouped { identity.target.clone() } else { identity.service.clone() },
        address: identity.address.clone(),
        href: href(identity),
        grouped,
        reason: history.in_trouble().then(|| reason(&history)).filter(|reason| !reason.is_empty()),
        p50: latency.as_ref().map(|latency| say::seconds_parts(latency.p50)),
        p95: latency.as_ref().map(|latency| say::seconds_parts(latency.p95)),
        window: latency.map(|latency| latency.window).unwrap_or_default(),
        spark: drawing::spark(&history.briefs),
        strip: drawing::strip(&history.briefs),
        share: say::share(good, valid).unwrap_or_else(|| "–".to_owned()),
        share_title: day.map(|sli| share_title(sli, objective)).unwrap_or_default(),
        low: objective.is_some_and(|objective| valid > 0 && (good as f64) < objective * valid as f64),
        certificate: history.certificate.and_then(|end| certificate(end, now)),
        next: history.next(identity.every).map(|at| say::due(at, now)),
    })
}

fn share_title(sli: &Sli, objective: Option<f64>) -> String {
    let window = say::window(sli.window);
    let told = format!("{} of {} runs were good within {window}", say::count(sli.good), say::count(sli.valid));
    objective.map_or(told.clone(), |objective| format!("{told}, objective {} %", say::digits(objective * 100.0)))
}

/// Availability over a day, or over the window nearest to it.
fn availability(history: &History) -> Option<&Sli> {
    let slis = &history.summary.as_ref()?.slis;
    slis.iter().filter(|sli| sli.name == "availability").min_by_key(|sli| sli.window.abs_diff(Duration::from_hours(24)))
}

fn certificate(end: Timestamp, now: Timestamp) -> Option<CertificateTold> {
    let (left, gone) = (end.since(now), now.since(end));
    let expired = end <= now;
    let text = if expired { format!("certificate expired {} ago", say::rough(gone)) } else { format!("certificate {}", say::rough(left)) };
    (left < SOON).then(|| CertificateTold { text, title: format!("the first certificate of the chain ends at {}", say::utc(end)), expired })
}

/// Quantiles of latency in seconds, and what they are of.
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) window: String,
}

impl Latency {
    /// The summariser's, or those of the runs that are remembered; none without any.
    pub(super) fn of(history: &History) -> Option<Self> {
        if let (Some((p50, window)), Some((p95, _))) = (history.quantile("latency.p50"), history.quantile("latency.p95")) {
            return Some(Self { p50, p95, window: format!("over {window}") });
        }
        let mut latencies: Vec<f32> = history.briefs.iter().filter_map(|brief| brief.latency).collect();
        latencies.sort_unstable_by(f32::total_cmp);
        // Nearest rank: a quantile is a latency that was measured.
        let rank =
            |percent: usize| latencies.get((latencies.len() * percent).div_ceil(100).saturating_sub(1)).map(|latency| f64::from(*latency));
        Some(Self { p50: rank(50)?, p95: rank(95)?, window: format!("of the last {} runs that succeeded", latencies.len()) })
    }
}

/// A run of the strip, as its tooltip has it.
#[derive(Serialize)]
pub(crate) struct Told {
    /// Where it is shown.
    href: String,
    /// Milliseconds since the epoch.
    at: u64,
    /// Class of the result.
    class: &'static str,
    /// What it came to, and why.
    text: String,
}

/// Reasons and links of the strip's runs, oldest first.
pub(crate) fn strip_told(probe: &Probe) -> Vec<Told> {
    let own = href(probe.identity());
    let told = |brief: &Brief| Told {
        href: run_href(&own, brief.trace_id),
        at: brief.at.0 / 1_000_000,
        class: say::class(brief.result, brief.warned),
        text: told(brief),
    };
    probe.history().briefs.iter().map(told).collect()
}

/// A run in one line.
pub(super) fn told(brief: &Brief) -> String {
    let latency = brief.latency.map(|latency| say::seconds(f64::from(latency)));
    match (&brief.reason, latency) {
        (Some(reason), _) => reason.to_string(),
        (None, Some(latency)) => format!("{} in {latency}", brief.result),
        (None, None) => brief.result.to_string(),
    }
}
