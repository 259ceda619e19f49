//! The last lines of a life: what was meant for the collector and did not get there.

use super::otlp::Signal;
use super::queue::Rest;
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
pub(super) fn farewell<'a>(vitals: &Vitals, ends: impl IntoIterator<Item = (&'a Destination, Rest)>) -> Vec<String> {
    let items = vitals.export_items.snapshot();
    let (mut lines, mut exports) = (Vec::new(), false);
    for (to, rest) in ends {
        exports = true;
        lines.extend(undelivered(&items, to, rest));
    }
    let records = vitals.records_dropped.get();
    if records > 0 && exports {
        lines.push(format!("{records} runs left no telemetry: it was behind, or had ended"));
    }
    lines
}

/// By the ledger: produced + replayed = sent + queued + rejected + dropped.
fn undelivered(items: &[(Vec<String>, u64)], to: &Destination, rest: Rest) -> Option<String> {
    let of = |outcome: &str| {
        let found = items.iter().find(|(values, _)| values[..] == [to.signal.word(), outcome]);
        found.map_or(0, |(_, count)| *count)
    };
    let (all, rejected, dropped) = (of("produced") + of("replayed"), of("rejected"), of("dropped"));
    let missing = all.saturating_sub(of("sent"));
    let (kept, what) = (rest.items.saturating_sub(rest.lost), plural(to.signal));
    (missing > 0).then(|| {
        let fates = [
            (kept, "stay on disk for the next start"),
            (rest.lost, "waited in memory and are lost"),
            (rejected, "were refused"),
            (dropped, "had to go for newer ones"),
        ];
        let fates: Vec<_> = fates.iter().filter(|(count, _)| *count > 0).map(|(count, fate)| format!("{count} {fate}")).collect();
        format!("{missing} of {all} {what} were not delivered to {}: {}", to.url, fates.join(", "))
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
            ("traces", "produced", 90),
            ("traces", "replayed", 10),
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
            "40 of 100 spans were not delivered to http://collector:4318/v1/traces: 20 stay on disk for the next start, \
             10 waited in memory and are lost, 7 were refused, 3 had to go for newer ones",
            "2 of 2 events were not delivered to http://collector:4318/v1/logs: 2 stay on disk for the next start",
            "4 runs left no telemetry: it was behind, or had ended",
        ];
        let destinations = Signal::ALL.map(to);
        let rests = [(30, 10), (0, 0), (2, 0)].map(|(items, lost)| Rest { items, lost });
        assert_eq!(farewell(&vitals, destinations.iter().zip(rests)), told);
        assert!(farewell(&vitals, []).is_empty(), "nothing was to leave");
    }
}
