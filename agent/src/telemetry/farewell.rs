//! The last lines of a life: what was meant for the collector and did not get there.

use super::otlp::Signal;
use super::settings::Route;
use crate::vitals::Vitals;

/// Where a signal goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    signal: Signal,
    /// Without what may be a secret: user information and query.
    url: String,
}

impl Destination {
    pub(super) fn of(route: &Route) -> Self {
        let mut url = route.url.clone();
        url.set_query(None);
        // Neither fails where there is a host, and without one there is no user information.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Self { signal: route.signal, url: url.into() }
    }
}

/// What the items of a signal are called.
fn plural(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "points",
        Signal::Logs => "events",
    }
}

/// A line for each signal that was not delivered in full, and one for runs that never became telemetry.
pub(super) fn farewell(vitals: &Vitals, destinations: &[Destination]) -> Vec<String> {
    let items = vitals.export_items.snapshot();
    let mut lines: Vec<String> = destinations.iter().filter_map(|to| undelivered(&items, to)).collect();
    let records = vitals.records_dropped.get();
    if records > 0 && !destinations.is_empty() {
        lines.push(format!("{records} runs left no telemetry: it was behind, or had ended"));
    }
    lines
}

/// By the ledger: produced = sent + queued + rejected + dropped.
fn undelivered(items: &[(Vec<String>, u64)], to: &Destination) -> Option<String> {
    let of = |outcome: &str| {
        let found = items.iter().find(|(values, _)| values[..] == [to.signal.word(), outcome]);
        found.map_or(0, |(_, count)| *count)
    };
    let (produced, sent, rejected, dropped) = (of("produced"), of("sent"), of("rejected"), of("dropped"));
    let missing = produced.saturating_sub(sent);
    let waiting = missing.saturating_sub(rejected + dropped);
    let what = plural(to.signal);
    (missing > 0).then(|| {
        let fates = format!("{waiting} still waited, {rejected} were refused, {dropped} had to go for newer ones");
        format!("{missing} of {produced} {what} were not delivered to {}: {fates}", to.url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(signal: Signal) -> Destination {
        Destination { signal, url: format!("http://collector:4318/v1/{}", signal.word()) }
    }

    #[test]
    fn what_was_not_delivered_is_told_by_signal_and_what_was_is_not() {
        let vitals = Vitals::default();
        for (signal, outcome, count) in [
            ("traces", "produced", 100),
            ("traces", "sent", 60),
            ("traces", "rejected", 7),
            ("traces", "dropped", 3),
            ("metrics", "produced", 5),
            ("metrics", "sent", 5),
            ("logs", "produced", 2),
        ] {
            vitals.export_items.add(&[signal, outcome], count);
        }
        vitals.records_dropped.add(4);
        let told = [
            "40 of 100 spans were not delivered to http://collector:4318/v1/traces: 30 still waited, 7 were refused, 3 had to go for newer ones",
            "2 of 2 events were not delivered to http://collector:4318/v1/logs: 2 still waited, 0 were refused, 0 had to go for newer ones",
            "4 runs left no telemetry: it was behind, or had ended",
        ];
        assert_eq!(farewell(&vitals, &Signal::ALL.map(to)), told);
        assert!(farewell(&vitals, &[]).is_empty(), "nothing was to leave");
    }
}
