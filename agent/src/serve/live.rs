//! Tells open pages what changed: one small event a second at most, the same for all of them.
//!
//! An event carries the line on top, the cards if a probe in trouble changed, and the numbers of the probes that
//! changed. Rows are asked for by the page, and only those that somebody looks at.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use super::connections::Endless;
use super::page::{self, Pulse};
use super::routes::{Shared, words};
use super::{Site, assets};
use crate::clock::Timestamp;
use crate::outcome::State as ProbeState;

/// Pages that are told at once: half of the connections, so that the others are left for questions.
pub(super) const LISTENERS: usize = super::connections::CONNECTIONS / 2;

/// Seconds after which a page that found no room may ask again.
const AGAIN: HeaderValue = HeaderValue::from_static("10");

/// Events that a page may be behind before it is told what it missed in one.
const BEHIND: usize = 16;

/// Between two events.
const PACE: Duration = Duration::from_secs(1);

/// What changed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Update {
    /// The board's version that it leads to.
    #[serde(skip)]
    version: u64,
    /// Milliseconds since the epoch.
    now: u64,
    title: String,
    icon: String,
    headline: String,
    /// None if nothing in trouble changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    troubles: Option<String>,
    /// Numbers of the probes that changed.
    probes: Vec<usize>,
}

/// Where updates are told. Clones share it.
#[derive(Clone)]
pub(super) struct Live {
    updates: Sender<Arc<Update>>,
    /// Room for listeners.
    room: Arc<Semaphore>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { updates: channel(BEHIND).0, room: Arc::new(Semaphore::new(LISTENERS)) }
    }

    /// Tells of changes until the agent stops; without listeners it does nothing.
    pub(super) async fn tell(self, site: Site) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told { version: site.service.board.version(), sick: false, troubled: troubled(&site) };
        loop {
            tokio::select! {
                () = site.stop.cancelled() => return,
                _ = pace.tick() => {}
            }
            if self.updates.receiver_count() > 0
                && let Some(update) = told.next(&site)
            {
                // An error says that the last listener left meanwhile.
                let _ = self.updates.send(Arc::new(update));
            }
        }
    }
}

/// What the listeners know.
struct Told {
    version: u64,
    sick: bool,
    troubled: Vec<usize>,
}

impl Told {
    /// What they do not know yet; none if that is nothing.
    fn next(&mut self, site: &Site) -> Option<Update> {
        let board = &site.service.board;
        let (version, pulse) = (board.version(), Pulse::read(&site.service.vitals, Timestamp::now()));
        if version == self.version && pulse.is_sick() == self.sick {
            return None;
        }
        let troubled = troubled(site);
        let mut update = update(site, self.version, &pulse);
        update.version = version;
        // A probe that left trouble is not in trouble any more, so the list as a whole is compared.
        let touched = troubled != self.troubled || update.probes.iter().any(|probe| troubled.binary_search(probe).is_ok());
        update.troubles = touched.then(|| page::troubles(board).to_string());
        *self = Self { version, sick: pulse.is_sick(), troubled };
        Some(update)
    }
}

/// Numbers of the probes in trouble, sorted.
fn troubled(site: &Site) -> Vec<usize> {
    let probes = site.service.board.probes().iter().enumerate();
    probes.filter(|(_, probe)| probe.glance(super::history::History::in_trouble)).map(|(index, _)| index).collect()
}

fn update(site: &Site, since: u64, pulse: &Pulse) -> Update {
    let board = &site.service.board;
    let (version, counts) = (board.version(), board.counts());
    Update {
        version,
        now: Timestamp::now().0 / 1_000_000,
        title: page::title(counts),
        icon: assets::icon(counts.worst().unwrap_or(ProbeState::Up)),
        headline: page::headline(counts, pulse).to_string(),
        troubles: None,
        probes: board.changed_since(since),
    }
}

/// All that changed since a version: for a page that was not listening.
fn missed(site: &Site, since: u64) -> Update {
    let pulse = Pulse::read(&site.service.vitals, Timestamp::now());
    let mut update = update(site, since, &pulse);
    update.troubles = Some(page::troubles(&site.service.board).to_string());
    update
}

/// One page that listens.
struct Listener {
    site: Arc<Site>,
    updates: Receiver<Arc<Update>>,
    /// The version that the page knows; none until it was told of what it missed before.
    known: Option<u64>,
    since: Since,
    _room: OwnedSemaphorePermit,
}

/// What a page says that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// This version of this life's board.
    Version(u64),
    /// A board of another life.
    Elsewhere,
    /// Nothing.
    Nothing,
}

impl Since {
    fn parse(text: &str, life: u64) -> Self {
        let parts = text.split_once('-').and_then(|(life, version)| Some((u64::from_str_radix(life, 16).ok()?, version.parse().ok()?)));
        match parts {
            Some((told, version)) if told == life => Self::Version(version),
            Some(_) => Self::Elsewhere,
            None => Self::Nothing,
        }
    }
}

impl Listener {
    fn event(&mut self, update: &Update) -> Event {
        self.known = Some(update.version);
        let id = format!("{:016x}-{}", self.site.service.board.life(), update.version);
        let event = Event::default().event("update").id(id);
        event.json_data(update).unwrap_or_else(|_| Event::default().comment("not to be told"))
    }

    /// The next event; none when the agent stops, or when the page has to be loaded anew.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let Some(known) = self.known else {
            // Probes have other numbers in another life: nothing that the page shows can be trusted.
            if self.since == Since::Elsewhere {
                self.since = Since::Nothing;
                self.known = Some(0);
                return Some((Ok(Event::default().event("reload").data("")), self));
            }
            let since = if let Since::Version(version) = self.since { version } else { 0 };
            let update = missed(&self.site, since);
            return Some((Ok(self.event(&update)), self));
        };
        let site = self.site.clone();
        let received = tokio::select! {
            () = site.stop.cancelled() => return None,
            received = self.updates.recv() => received,
        };
        let event = match received {
            Ok(update) => self.event(&update),
            Err(RecvError::Lagged(_)) => self.event(&missed(&site, known)),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), self))
    }
}

/// The stream of events. A page says what it knows as `?since=`, a browser that reconnects by `Last-Event-ID`.
pub(super) async fn events(State(site): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Ok(room) = Arc::clone(&site.live.room).try_acquire_owned() else { return crowded() };
    let query = query.unwrap_or_default();
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "since").map(|(_, value)| value.into_owned());
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let since = Since::parse(&last.or(asked).unwrap_or_default(), site.service.board.life());
    let listener = Listener { updates: site.live.updates.subscribe(), site, known: None, since, _room: room };
    let keep = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(stream::unfold(listener, Listener::next)).keep_alive(keep).into_response();
    response.extensions_mut().insert(Endless);
    // Proxies that gather answers would hold the events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Nobody can be told any more; the connection is not kept either.
fn crowded() -> Response {
    let mut response = words(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open: this one is kept true again when another closes");
    response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_knows_belongs_to_one_life_of_the_agent() {
        assert_eq!(Since::parse("00000000000000ff-12", 255), Since::Version(12));
        assert_eq!(Since::parse("00000000000000fe-12", 255), Since::Elsewhere);
        assert_eq!(Since::parse("", 255), Since::Nothing);
        assert_eq!(Since::parse("rubbish-1", 255), Since::Nothing);
    }
}
