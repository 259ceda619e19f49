//! The built-in check `http`: one exchange with its redirects, and everything that is expected of the answer judged.

mod answer;
mod date;
mod reason;
mod rule;
mod same;
mod settings;

use vedette_sdk::{Answer, Checker, Manifest, Run, Timestamp, clock};

use crate::settings::Settings;

struct Http;

impl Checker for Http {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("vedette:http", env!("CARGO_PKG_VERSION"), "Asks over HTTP and judges the answer")
            .target_schemes(&["http", "https"])
            .config_schema(include_str!("schema.json"))
    }

    fn run(run: &Run, settings: Settings) -> Answer {
        let started = started(run);
        let rules = rule::all(&settings.expect, &settings.warn)?;
        let request = settings.request(&run.target.address, rules.iter().any(rule::Expected::looks_at_body));
        match request.send() {
            Ok(response) => Ok(answer::judge(&response, started, &rules, settings.redirects)),
            Err(failed) => answer::failed(&failed, &rules),
        }
    }
}

/// When the attempt began, on the clock that exchanges are told by: with its time left, not with the call of the guest.
fn started(run: &Run) -> Timestamp {
    let age = run.timeout.saturating_sub(clock::remaining());
    run.started_at.saturating_add(clock::monotonic()).saturating_sub(age)
}

vedette_sdk::checker!(Http);
