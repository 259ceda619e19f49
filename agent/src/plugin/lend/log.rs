//! `log`: lines of the plugin itself, into the agent's own log.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::Level;

use super::super::bindings::{log, types};
use super::super::convert;
use super::super::masks::Masks;
use super::super::tidy::Tidy;
use super::{Confined, Lent};
use crate::config::visible;
use crate::outcome::{Identity, Severity, Value};

const LINES: u32 = 200;
const BYTES: usize = 64 << 10;
const LINE: usize = 8 << 10;
const ATTRIBUTES: usize = 32;

/// Whether lines of this level are kept. The level has to be known where the macro stands.
macro_rules! at_level {
    ($severity:expr, $level:ident => $then:expr) => {
        match $severity {
            Severity::Debug => {
                const $level: Level = Level::DEBUG;
                $then
            }
            Severity::Info => {
                const $level: Level = Level::INFO;
                $then
            }
            Severity::Warning => {
                const $level: Level = Level::WARN;
                $then
            }
            Severity::Error => {
                const $level: Level = Level::ERROR;
                $then
            }
        }
    };
}

/// The log of one run, within its limits.
#[derive(Debug)]
pub(in super::super) struct Journal {
    probe: Option<Arc<Identity>>,
    lines: u32,
    bytes: usize,
    dropped: usize,
}

impl Journal {
    pub(in super::super) fn new(probe: Arc<Identity>) -> Self {
        Self { probe: Some(probe), lines: 0, bytes: 0, dropped: 0 }
    }

    /// Of a guest that no probe runs: nothing is kept.
    pub(in super::super) fn closed() -> Self {
        Self { probe: None, lines: 0, bytes: 0, dropped: 0 }
    }

    fn enabled(severity: Severity) -> bool {
        at_level!(severity, LEVEL => tracing::enabled!(target: "vedette::guest", LEVEL))
    }

    /// A line that the guest wrote to stdout or stderr.
    pub(in super::super) fn hear(&mut self, severity: Severity, line: String, masks: &Masks) {
        self.write(severity, line, Vec::new(), masks);
    }

    fn write(&mut self, severity: Severity, message: String, attributes: Vec<types::Attribute>, masks: &Masks) {
        let Some(probe) = &self.probe else { return };
        if !Self::enabled(severity) {
            return;
        }
        let tidy = Tidy(masks);
        let mut line = visible::line(&masked(message, masks)).into_owned();
        for attribute in tidy.attributes(attributes, ATTRIBUTES) {
            let _ = write!(line, " {}={}", attribute.name, shown(&attribute.value));
        }
        line.truncate(line.floor_char_boundary(LINE));
        self.bytes = self.bytes.saturating_add(line.len());
        if self.lines >= LINES || self.bytes > BYTES {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        let (check, of_target, plugin) = (&probe.check, &probe.target, &probe.plugin);
        at_level!(severity, LEVEL => tracing::event!(target: "vedette::guest", LEVEL, %check, target = %of_target, %plugin, "{line}"));
    }

    /// Says once how many lines were dropped.
    pub(in super::super) fn close(&self) -> usize {
        if let (Some(probe), 1..) = (&self.probe, self.dropped) {
            let (check, plugin, dropped) = (&probe.check, &probe.plugin, self.dropped);
            tracing::warn!(target: "vedette::guest", %check, %plugin, dropped, "the plugin wrote more log lines than a run may; the rest was dropped");
        }
        self.dropped
    }
}

fn masked(mut text: String, masks: &Masks) -> String {
    masks.apply_within(&mut text, LINE);
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Texts(texts) => format!("{texts:?}"),
    }
}

impl log::Host for Lent {
    fn write(&mut self, severity: types::Severity, message: String, attributes: Vec<types::Attribute>) {
        self.journal.write(convert::severity(severity), message, attributes, &self.masks);
    }

    fn enabled(&mut self, severity: types::Severity) -> bool {
        Journal::enabled(convert::severity(severity))
    }
}

impl log::Host for Confined {
    fn write(&mut self, severity: types::Severity, message: String, attributes: Vec<types::Attribute>) {
        self.journal.write(convert::severity(severity), message, attributes, &Masks::default());
    }

    fn enabled(&mut self, severity: types::Severity) -> bool {
        Journal::enabled(convert::severity(severity))
    }
}
