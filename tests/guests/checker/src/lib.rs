//! A checker that misbehaves as its settings say: what the sandbox has to survive, and what a plugin can do at all.

use std::hint::black_box;

use serde::Deserialize;
use vedette_sdk::http::Request;
use vedette_sdk::{
    Answer, Checker, Failure, Fault, Instrument, Manifest, Report, Run, Severity, Stop, Verdict, clock, log, state, step, trace::Step,
};

/// What to do, and what it takes.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// Which of the deeds.
    #[serde(rename = "do", default)]
    pub deed: Deed,
    /// Name of a secret, for `secret`.
    #[serde(default)]
    pub secret: Option<String>,
    /// How many times, for `many_exchanges`, `log_flood` and `series`.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What it can be told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Uses the CPU for ever.
    Spin,
    /// Executes `unreachable`.
    Trap,
    /// Wants more memory for ever, and writes to it.
    EatMemory,
    /// Calls itself for ever.
    Recurse,
    /// Reports a failure without a fault.
    Garbage,
    /// Reports a success with a fault.
    GarbageSuccess,
    /// Measures what is no number.
    Nan,
    /// Reports many MiB of text.
    HugeReport,
    /// Sleeps whenever it is woken.
    Sleep,
    /// Says that it is at fault itself.
    Fail,
    /// Says that something it needs is not there now.
    Unavailable,
    /// Says that its settings are unusable.
    InvalidConfig,
    /// Panics.
    Panic,
    /// Succeeds.
    #[default]
    Ok,
    /// Asks the target.
    Http,
    /// Asks the target, and traps over any other answer than 200, in the midst of a step.
    Brittle,
    /// Asks the target more often than it may.
    ManyExchanges,
    /// Sends a secret to the target.
    Secret,
    /// Logs more than anyone wants to read.
    LogFlood,
    /// Counts its runs in its state.
    State,
    /// Opens steps, and leaves one open.
    Steps,
    /// Asks the cloud's metadata service.
    Metadata,
    /// Yields a new series with every run.
    Series,
}

struct Hostile;

impl Checker for Hostile {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("vedette:guest-hostile", env!("CARGO_PKG_VERSION"), "Misbehaves as its settings say")
            .target_schemes(&["http", "https"])
            .config_schema(include_str!("schema.json"))
            .measures("count", "1", Instrument::Gauge, "Of whatever was counted")
    }

    fn run(run: &Run, settings: Settings) -> Answer {
        match settings.deed {
            Deed::Spin => spin(),
            Deed::Trap => trap(),
            Deed::EatMemory => eat_memory(),
            Deed::Recurse => Ok(Report::success(recurse(1).to_string())),
            Deed::Garbage => Ok(Report { verdict: Verdict::Failure, ..Report::success("a failure without a fault") }),
            Deed::GarbageSuccess => Ok(Report { fault: Some(Fault::Other), ..Report::success("a success with a fault") }),
            Deed::Nan => Ok(Report::success("no number").measure("nan", "1", f64::NAN).measure("infinite", "1", f64::INFINITY)),
            Deed::HugeReport => Ok(huge_report()),
            Deed::Sleep => loop {
                clock::sleep(3_600_000_000_000);
            },
            Deed::Fail => Err(Failure::Internal("at fault itself".to_owned()).into()),
            Deed::Unavailable => Err(Failure::Unavailable("not there now".to_owned()).into()),
            Deed::InvalidConfig => Err(Stop::invalid_config("/do", "unusable all the same")),
            Deed::Panic => panicking(),
            Deed::Ok => Ok(Report::success("ok")),
            Deed::Http => asked(&Request::get(&run.target.address)),
            Deed::Brittle => brittle(&run.target.address),
            Deed::ManyExchanges => many_exchanges(&run.target.address, settings.times.unwrap_or(1000)),
            Deed::Secret => {
                asked(&Request::get(&run.target.address).secret_field("x-secret", settings.secret.as_deref().unwrap_or_default()))
            }
            Deed::LogFlood => Ok(log_flood(settings.times.unwrap_or(10_000))),
            Deed::State => count_runs(),
            Deed::Steps => steps(),
            Deed::Metadata => asked(&Request::get("http://169.254.169.254/latest/meta-data/")),
            Deed::Series => Ok(series(run, settings.times.unwrap_or(1))),
        }
    }
}

vedette_sdk::checker!(Hostile);

fn spin() -> Answer {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() -> Answer {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> Answer {
    std::process::abort()
}

fn eat_memory() -> Answer {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth.wrapping_add(1)).wrapping_add(black_box(frame)[0])
}

#[expect(clippy::panic, reason = "it is what this deed is")]
fn panicking() -> Answer {
    panic!("on purpose")
}

fn huge_report() -> Report {
    (0..32).fold(Report::success("x".repeat(1 << 20)), |report, _| report.expect("huge", true, "y".repeat(1 << 20)))
}

/// What the target said: status and body.
fn asked(request: &Request) -> Answer {
    let response = request.send()?;
    Ok(Report::success(format!("{} {}", response.status, response.text())))
}

fn brittle(address: &str) -> Answer {
    let _open = Step::begin("asking");
    let response = Request::get(address).send()?;
    if response.status == 200 { Ok(Report::success("whole")) } else { trap() }
}

fn many_exchanges(address: &str, times: u32) -> Answer {
    for _ in 0..times {
        Request::get(address).keep_body(0).send()?;
    }
    Ok(Report::success(format!("{times} exchanges")).measure("count", "1", f64::from(times)))
}

fn log_flood(times: u32) -> Report {
    for number in 0..times {
        log::write(Severity::Error, &format!("line {number} {}", "z".repeat(200)), &[]);
    }
    Report::success("logged")
}

fn count_runs() -> Answer {
    let unavailable = |error| Failure::Internal(format!("{error:?}"));
    let seen = state::get("runs").map_err(unavailable)?;
    let runs = seen.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or(0) + 1;
    state::set("runs", &runs.to_le_bytes()).map_err(unavailable)?;
    Ok(Report::success(format!("run {runs}")))
}

fn steps() -> Answer {
    step("outer", |_| {
        step("inner", |inner| {
            inner.annotate(&vedette_sdk::Attribute::new("depth", 2_i64));
            Ok(())
        })
    })?;
    let _: Result<(), Stop> = step("failing", |_| Err(Stop::failure(Fault::Other, "went wrong")));
    let open = Step::begin("left open");
    std::mem::forget(open);
    Ok(Report::success("steps"))
}

fn series(run: &Run, times: u32) -> Report {
    (0..times).fold(Report::success("series"), |report, number| {
        let measurement = vedette_sdk::Measurement::new("count", "1", Instrument::Gauge, f64::from(number));
        report.measured(measurement.of("series", format!("{}-{number}", run.run_id)))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_json() {
        assert!(include_str!("schema.json").trim_start().starts_with('{'));
    }
}
