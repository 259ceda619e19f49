//! The built-in check `http`: one exchange with its redirects, and everything that is expected of the answer judged.

mod answer;
mod date;
mod reason;
mod rule;
mod same;
mod settings;

use vedette_sdk::{Answer, Checker, Manifest, Run, clock};

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
        let started = clock::monotonic();
        let rules = rule::all(&settings.expect, &settings.warn)?;
        let request = settings.request(&run.target.address, rules.iter().any(rule::Expected::looks_at_body));
        let prepared = clock::monotonic().saturating_sub(started);
        match request.send() {
            Ok(response) => Ok(answer::judge(&response, prepared, &rules, settings.redirects)),
            Err(failed) => answer::failed(&failed, &rules),
        }
    }
}

vedette_sdk::checker!(Http);
