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

use std::sync::Arc;

use super::bindings::{net, types};
use super::engine::Ceiling;
use super::masks::Masks;
use super::meter::Meter;
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
            exchanges: Vec::new(),
            denied: None,
            call,
        }
    }

    /// Notes that something was not granted, and says so.
    fn deny(&mut self, rule: String) -> net::NetError {
        self.denied.get_or_insert_with(|| rule.clone());
        net::NetError::Denied(rule)
    }
}

/// What a guest has that is not lent anything but its log: a summariser, or one that is asked what it is.
pub(super) struct Confined {
    pub(super) ceiling: Ceiling,
    pub(super) journal: Journal,
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
