//! What is lent to a guest while it runs: a file per interface of `wit/`. The guest names what it wants; the host has
//! the sockets, the secrets, the clocks and the memory.

mod clock;
mod http;
mod log;
mod random;
mod redirect;
mod secrets;
mod state;
mod trace;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use wasmtime_wasi::{WasiCtxView, WasiView};

use super::bindings::{net, types};
use super::engine::Ceiling;
use super::limit::{Limit, Tally};
use super::masks::Masks;
use super::meter::Meter;
use super::wasi::Wasi;
use super::{Call, HostOptions};
use crate::clock::Instant;
use crate::network::Network;
use crate::outcome::Exchange;

pub(super) use log::Journal;
pub(super) use state::Kept;
pub(super) use trace::Steps;

/// Everything that one attempt may use, and what it did with it.
pub(super) struct Lent {
    pub(super) call: Call,
    /// When exchanges and pauses end.
    pub(super) deadline: Instant,
    pub(super) meter: Arc<Meter>,
    network: Network,
    pub(super) ceiling: Ceiling,
    pub(super) journal: Journal,
    pub(super) masks: Masks,
    pub(super) steps: Steps,
    pub(super) kept: Kept,
    /// Exchanges that were asked for.
    asked: u32,
    /// Bytes that they carried, both ways.
    carried: u64,
    pub(super) tally: Tally,
    /// None as long as it asked nothing of WASI.
    pub(super) wasi: Option<Box<Wasi>>,
    pub(super) exchanges: Vec<Exchange>,
    /// The first thing that it asked for and was not granted.
    pub(super) denied: Option<String>,
}

impl Lent {
    pub(super) fn new(mut call: Call, start: Instant, meter: Arc<Meter>, options: &HostOptions) -> Self {
        let kept = Kept::new(std::mem::take(&mut call.state));
        Self {
            deadline: start + call.timeout,
            meter,
            network: options.network.clone(),
            ceiling: Ceiling::new(call.limits.memory.min(options.max_memory)),
            journal: Journal::new(call.probe.clone()),
            masks: Masks::new(&call.grants),
            steps: Steps::new(call.parent),
            kept,
            asked: 0,
            carried: 0,
            tally: Tally::default(),
            wasi: None,
            exchanges: Vec::new(),
            denied: None,
            call,
        }
    }

    /// Notes that something was not granted.
    fn note_denial(&mut self, rule: &str) {
        self.denied.get_or_insert_with(|| rule.to_owned());
    }

    /// Notes that a budget of the run is used up. It was the operator who granted no more.
    fn exhaust(&mut self, limit: Limit, what: String) -> Refusal {
        self.tally.note(limit, 1);
        self.note_denial(&what);
        Refusal::Exhausted(what)
    }

    /// Notes that something was not granted, and refuses it.
    fn deny(&mut self, rule: String) -> Refusal {
        self.note_denial(&rule);
        Refusal::Denied(rule)
    }
}

/// Why nothing was sent.
#[derive(Debug)]
enum Refusal {
    /// It is not granted.
    Denied(String),
    /// It is not as it has to be.
    Invalid(String),
    /// There were too many before.
    Exhausted(String),
}

impl From<Refusal> for net::NetError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(rule) => Self::Denied(rule),
            Refusal::Invalid(what) => Self::InvalidRequest(what),
            Refusal::Exhausted(what) => Self::BudgetExhausted(what),
        }
    }
}

/// What a guest has that is not lent anything but its log: a summariser, or one that is asked what it is.
pub(super) struct Confined {
    pub(super) ceiling: Ceiling,
    pub(super) journal: Journal,
    wasi: Option<Box<Wasi>>,
}

impl Confined {
    pub(super) fn new(ceiling: Ceiling, journal: Journal) -> Self {
        Self { ceiling, journal, wasi: None }
    }
}

impl WasiView for Lent {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let anchor = self.call.anchor;
        self.wasi.get_or_insert_with(|| Wasi::new(Some(anchor))).view()
    }
}

/// Clocks stand still: what is asked again answers the same.
impl WasiView for Confined {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.get_or_insert_with(|| Wasi::new(None)).view()
    }
}

/// Stores are limited by what they hold.
pub(super) trait Limited: Send + 'static {
    fn ceiling(&mut self) -> &mut Ceiling;
}

impl Limited for Lent {
    fn ceiling(&mut self) -> &mut Ceiling {
        &mut self.ceiling
    }
}

impl Limited for Confined {
    fn ceiling(&mut self) -> &mut Ceiling {
        &mut self.ceiling
    }
}

impl types::Host for Lent {}
impl types::Host for Confined {}
impl net::Host for Lent {}
