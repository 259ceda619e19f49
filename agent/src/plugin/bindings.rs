//! The plugin interface of `wit/` as Rust types, made by wasmtime's macro. Two worlds; what they share is one type.

/// The world of checkers.
#[allow(missing_docs, unreachable_pub, unused, clippy::pedantic, reason = "written by a macro")]
pub(super) mod check {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "check",
        imports: {
            "vedette:plugin/clock.sleep": async,
            "vedette:plugin/http.send": async,
            "vedette:plugin/random.bytes": trappable,
        },
        exports: { default: async },
        with: { "vedette:plugin/trace.step": super::OpenStep },
    });
}

/// The world of summarisers.
#[allow(missing_docs, unreachable_pub, unused, clippy::pedantic, reason = "written by a macro")]
pub(super) mod summary {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "summary",
        exports: { default: async },
        with: {
            "vedette:plugin/types": super::check::vedette::plugin::types,
            "vedette:plugin/log": super::check::vedette::plugin::log,
        },
    });
}

pub(super) use check::exports::vedette::plugin::checker;
pub(super) use check::vedette::plugin::{clock, http, log, net, random, secrets, state, trace, types};
pub(super) use check::{Check, CheckPre};
pub(super) use summary::exports::vedette::plugin::summariser;
pub(super) use summary::{Summary, SummaryPre};

/// What a handle of a step stands for. The number in the handle is the step's place in the list of steps.
#[expect(unreachable_pub, reason = "the macro re-exports it")]
pub struct OpenStep;
