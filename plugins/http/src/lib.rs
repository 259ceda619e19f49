//! The built-in check `http`. A first version: it asks, and expects a 2xx.

use vedette_sdk::{Answer, Checker, Manifest, Report, Run, http::Request, text};

struct Http;

impl Checker for Http {
    type Settings = serde_json::Value;

    fn manifest() -> Manifest {
        Manifest::new("vedette:http", env!("CARGO_PKG_VERSION"), "Asks over HTTP and judges the answer").target_schemes(&["http", "https"])
    }

    fn run(run: &Run, _settings: Self::Settings) -> Answer {
        let response = Request::get(&run.target.address).keep_body(0).send()?;
        let status = response.status;
        let took = u64::try_from(response.length().as_nanos()).unwrap_or(u64::MAX);
        Ok(Report::success(format!("{status} in {}", text::latency(took))).expect(
            "status",
            (200..300).contains(&status),
            format!("{status}, expected 2xx"),
        ))
    }
}

vedette_sdk::checker!(Http);
