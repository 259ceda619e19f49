//! The page: views of the board as HTML, rendered here, alive by fragments that are rendered here as well.

mod agent;
mod drawing;
mod filter;
mod overview;
mod probe;
mod pulse;
mod say;
mod waterfall;

use askama::Template;

use super::assets;
use super::board::{Board, Counts};
use crate::clock::Timestamp;
use crate::outcome::State;

pub(super) use agent::agent;
pub(super) use filter::Filter;
pub(super) use overview::{headline, overview, rows_of, rows_page, strip_told, troubles};
pub(super) use probe::{href, probe};
pub(super) use pulse::{Pulse, STALE};
pub(super) use say::Markup;

/// What every view has around it.
struct Frame {
    title: String,
    icon: String,
    style: &'static str,
    script: &'static str,
    symbols: Markup,
    location: String,
    /// `overview`, `probe`, `agent`.
    view: &'static str,
    /// Index of the probe, in its view.
    probe: String,
    /// Where the same is as JSON.
    json: String,
    /// Milliseconds since the epoch, by which the script corrects the browser's clock.
    now: u64,
    /// What the view shows: later changes arrive as events.
    since: String,
    build: &'static str,
    at: String,
    utc: String,
}

impl Frame {
    fn new(board: &Board, view: &'static str, title: String, json: &str) -> Self {
        let now = Timestamp::now();
        Self {
            title,
            icon: assets::icon(board.counts().worst().unwrap_or(State::Up)),
            style: assets::style(),
            script: assets::script(),
            symbols: Markup(include_str!("symbols.html").to_owned()),
            location: board.location().to_owned(),
            view,
            probe: String::new(),
            json: json.to_owned(),
            now: now.0 / 1_000_000,
            since: since(board),
            build: env!("CARGO_PKG_VERSION"),
            at: now.to_string(),
            utc: say::utc(now),
        }
    }
}

/// The board's life and version, as the event stream takes them.
pub(super) fn since(board: &Board) -> String {
    format!("{:016x}-{}", board.life(), board.version())
}

/// The window's title tells the worst state: `● 3 down · Vedette`.
pub(super) fn title(counts: Counts) -> String {
    match counts.worst() {
        Some(worst) => format!("{} {} {worst} · Vedette", say::glyph(worst), counts.get(worst)),
        None => "Vedette".to_owned(),
    }
}

/// Shape, word and colour of a state.
fn badge(state: State) -> Markup {
    let (class, word) = (state.word(), say::state(state));
    Markup(format!("<span class=\"state {class}\"><svg class=\"i\" aria-hidden=\"true\"><use href=\"#i-{class}\"/></svg>{word}</span>"))
}

/// Renders a template. Writing to memory does not fail; what a template could not finish is left out.
fn render<T: Template>(template: &T) -> Markup {
    let mut text = String::with_capacity(T::SIZE_HINT * 2);
    if let Err(error) = template.render_into(&mut text) {
        tracing::error!(%error, "a view could not be rendered");
    }
    Markup(text)
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    heading: &'static str,
    text: String,
    style: &'static str,
    icon: &'static str,
    /// Where the form leads afterwards; none = no form.
    next: Option<String>,
    wrong: bool,
}

/// The form that takes the token; `next` is where it leads.
pub(super) fn login(next: &str, wrong: bool) -> Markup {
    let text = "This agent shows its page to whoever has its token.".to_owned();
    render(&Notice { heading: "Vedette", text, style: assets::style(), icon: assets::brand(), next: Some(next.to_owned()), wrong })
}

/// A page with nothing but a sentence on it.
pub(super) fn notice(heading: &'static str, text: &str) -> Markup {
    render(&Notice { heading, text: text.to_owned(), style: assets::style(), icon: assets::brand(), next: None, wrong: false })
}
