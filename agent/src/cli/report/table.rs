//! `--format table`: a line per service, for people.

use std::fmt::Write;

use super::{Results, Service, millis};
use crate::config::visible;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// A head, a line per service, a line that sums up. Colour only if asked for.
pub fn table(results: &Results, colour: bool) -> String {
    let name = |service: &Service| visible::line(&service.outcome.probe.service).into_owned();
    let width = results.services.iter().map(|service| name(service).chars().count()).chain([7]).max().unwrap_or(7);
    let mut text = format!("{:<width$}  {:<6}  {:>10}  {}\n", "SERVICE", "STATUS", "LATENCY", "MESSAGE");
    // Writing to a `String` cannot fail.
    for service in &results.services {
        let latency = service.outcome.latency().map_or_else(|| "-".to_owned(), |length| format!("{:.1} ms", millis(length)));
        let status = status(service.ok(), colour);
        let _ = writeln!(text, "{:<width$}  {status}  {latency:>10}  {}", name(service), visible::line(&service.outcome.message));
        for warning in service.outcome.unmet(true) {
            let _ = writeln!(text, "{:<width$}  warning: {}: {}", "", visible::line(&warning.name), visible::line(&warning.detail));
        }
    }
    let (total, ok) = (results.services.len(), results.ok());
    let _ = writeln!(text, "\n{ok} of {total} ok in {:.1} ms", millis(results.length));
    text
}

/// The word, as wide as the column; escape sequences do not count for the width.
fn status(ok: bool, colour: bool) -> String {
    let (word, escape) = if ok { ("ok", GREEN) } else { ("fail", RED) };
    if colour { format!("{escape}{word:<6}{PLAIN}") } else { format!("{word:<6}") }
}
