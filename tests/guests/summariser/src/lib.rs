//! A summariser that misbehaves as its settings say.

use std::hint::black_box;

use serde::Deserialize;
use vedette_sdk::summary::{Input, State, Summary};
use vedette_sdk::{Failure, Manifest, Summariser};

/// What to do.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// Which of the deeds.
    #[serde(rename = "do", default)]
    pub deed: Deed,
}

/// What it can be told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Uses the CPU for ever.
    Spin,
    /// Executes `unreachable`.
    Trap,
    /// Wants more memory for ever.
    EatMemory,
    /// Hands back more memory than it may.
    Garbage,
    /// Says that it is at fault itself.
    Fail,
    /// Says that everything is up, and how many calls there were.
    #[default]
    Ok,
}

struct Hostile;

impl Summariser for Hostile {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("vedette:guest-summariser", env!("CARGO_PKG_VERSION"), "Misbehaves as its settings say")
            .config_schema(include_str!("schema.json"))
    }

    fn summarise(input: Input, settings: Settings) -> Result<Summary, Failure> {
        match settings.deed {
            Deed::Spin => spin(),
            Deed::Trap => trap(),
            Deed::EatMemory => eat_memory(),
            Deed::Garbage => Ok(summary("more memory than allowed", vec![7; (64 << 10) + 1])),
            Deed::Fail => Err(Failure::Internal("at fault itself".to_owned())),
            Deed::Ok => {
                let calls = input.previous.and_then(|previous| previous.memory.first().copied()).unwrap_or(0).saturating_add(1);
                Ok(summary(&format!("call {calls}"), vec![calls]))
            }
        }
    }
}

vedette_sdk::summariser!(Hostile);

fn summary(message: &str, memory: Vec<u8>) -> Summary {
    Summary {
        state: State::Up,
        message: message.to_owned(),
        slis: Vec::new(),
        alerts: Vec::new(),
        events: Vec::new(),
        measurements: Vec::new(),
        memory,
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}
