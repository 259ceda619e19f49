//! The agent's own log, on stderr and, if the configuration says so, over OTLP as well.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::LogConfig;
use crate::telemetry::diagnostics::Diagnostics;

/// For commands whose output is the result: only what went wrong.
pub(super) fn quiet() {
    start(&LogConfig { level: tracing::Level::WARN, json: false, otlp: false });
}

/// As the configuration says. Libraries are heard from `warn` on. What `agent.log.otlp` asks for is returned, to be started
/// once it is known where to send.
pub(super) fn start(log: &LogConfig) -> Option<Diagnostics> {
    let filter = Targets::new().with_default(log.level.min(tracing::Level::WARN)).with_target("vedette", log.level);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(super::output::colour(&io::stderr())).with_target(false);
    let lines = if log.json { lines.json().with_filter(filter).boxed() } else { lines.with_filter(filter).boxed() };
    let diagnostics = log.otlp.then(Diagnostics::default);
    let sent = diagnostics.as_ref().map(|diagnostics| diagnostics.layer(log.level));
    // A second start (in tests) leaves the first in place.
    let _ = tracing_subscriber::registry().with(lines).with(sent).try_init();
    diagnostics
}
