//! What the author of a Vedette plugin uses.
//!
//! A plugin is a WebAssembly component that holds logic only: it says which probes to make and what came of them. The host makes
//! every connection, holds every secret, owns every clock and keeps all state. This crate turns the interface (`wit/`) into two
//! traits, [`Checker`] and [`Summariser`], and the records of the interface into values that are built in one line.
//!
//! A whole check, with settings, a secret, expectations and a measurement:
//!
//! ```
//! use vedette_sdk::{Answer, Checker, Instrument, Manifest, Report, Run, http::Request, text};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     token: String,
//!     at_most: f64,
//! }
//!
//! struct Cart;
//!
//! impl Checker for Cart {
//!     type Settings = Settings;
//!
//!     fn manifest() -> Manifest {
//!         Manifest::new("acme:cart", env!("CARGO_PKG_VERSION"), "The cart answers and is not overfull")
//!             .target_schemes(&["https"])
//!             .config_schema(r#"{"type": "object", "required": ["token"], "additionalProperties": false, "properties": {
//!                 "token": {"type": "string", "format": "vedette-secret"}, "at_most": {"type": "number", "default": 100}}}"#)
//!             .measures("cart.items", "{item}", Instrument::Gauge, "Items in the cart of the probe")
//!     }
//!
//!     fn run(run: &Run, settings: Settings) -> Answer {
//!         let cart = Request::get(&run.target.address).secret_field("authorization", &settings.token).send()?;
//!         let items = cart.json::<Vec<serde_json::Value>>()?.len() as f64;
//!         Ok(Report::success(format!("{items} items in {}", text::latency(cart.timings.total)))
//!             .expect("status", cart.status == 200, format!("{}, expected 200", cart.status))
//!             .expect("items", items <= settings.at_most, format!("{items} items, expected at most {}", settings.at_most))
//!             .measure("cart.items", "{item}", items))
//!     }
//! }
//!
//! vedette_sdk::checker!(Cart);
//! # fn main() {}
//! ```
//!
//! Built as a `cdylib` for `wasm32-unknown-unknown`, it is a module that `wit-component` turns into a component. The question
//! mark after `send()` is all there is to say of an exchange that failed: [`Stop`] carries the verdict that [`net::judge`] comes
//! to. Everything that does not call the host compiles natively, so that logic is tested like that of any crate; functions of
//! the host panic there.

mod answer;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;
pub mod http;
mod manifest;
pub mod net;
mod report;
pub mod text;

pub use answer::{Answer, Stop, step};
pub use bindings::check::exports::vedette::plugin::checker::{Report, RetryAdvice, RunContext as Run};
pub use bindings::check::vedette::plugin::types::{
    Attribute, AttributeValue, ConfigIssue, Event, Expectation, Failure, Fault, Instrument, Label, Manifest, Measurement, MeasurementInfo,
    Severity, Target, Timestamp, Verdict,
};
pub use bindings::check::vedette::plugin::{clock, log, random, secrets, state, trace};

/// What a summariser is given and what it gives back.
pub mod summary {
    pub use crate::bindings::summary::exports::vedette::plugin::summariser::{
        Alert, Input, Outcome, Previous, RunResult, Sli, State, Summary,
    };
}

use serde::de::DeserializeOwned;

/// Allocates within the memory that a plugin starts with before it grows any, which costs system calls in every run.
/// A plugin that brings its own allocator leaves out the feature `allocator`.
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// A check: what the plugin is, and one run of it. Export it with [`checker!`].
pub trait Checker {
    /// The settings, as the schema of the manifest describes them; defaults are filled in.
    type Settings: DeserializeOwned;

    /// What the plugin is. Nothing of the host may be called here.
    fn manifest() -> Manifest;

    /// Runs the check once.
    fn run(run: &Run, settings: Self::Settings) -> Answer;
}

/// A summariser: what the plugin is, and the state that outcomes make. Export it with [`summariser!`].
pub trait Summariser {
    /// The settings, as the schema of the manifest describes them; defaults are filled in.
    type Settings: DeserializeOwned;

    /// What the plugin is. Nothing of the host may be called here.
    fn manifest() -> Manifest;

    /// A function of its arguments alone: the same input gives the same answer.
    fn summarise(input: summary::Input, settings: Self::Settings) -> Result<summary::Summary, Failure>;
}

/// Exports a [`Checker`] as the plugin that this crate is.
#[macro_export]
macro_rules! checker {
    ($plugin:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::check::exports::vedette::plugin::checker::Guest for Exported {
                fn describe() -> $crate::Manifest {
                    <$plugin as $crate::Checker>::manifest()
                }

                fn run(run: $crate::Run, config: $crate::export::Text) -> ::core::result::Result<$crate::Report, $crate::Failure> {
                    $crate::export::run::<$plugin>(&run, &config)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::check::export!(Exported with_types_in $crate::bindings::check);

            // Names with an `@` cannot be exported from a native library, and nobody would call them.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() -> &'static str = ::core::any::type_name::<Exported>;
        };
    };
}

/// Exports a [`Summariser`] as the plugin that this crate is.
#[macro_export]
macro_rules! summariser {
    ($plugin:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::summary::exports::vedette::plugin::summariser::Guest for Exported {
                fn describe() -> $crate::Manifest {
                    <$plugin as $crate::Summariser>::manifest()
                }

                fn summarise(
                    input: $crate::summary::Input,
                    config: $crate::export::Text,
                ) -> ::core::result::Result<$crate::summary::Summary, $crate::Failure> {
                    $crate::export::summarise::<$plugin>(input, &config)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::summary::export!(Exported with_types_in $crate::bindings::summary);

            // Names with an `@` cannot be exported from a native library, and nobody would call them.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() -> &'static str = ::core::any::type_name::<Exported>;
        };
    };
}
