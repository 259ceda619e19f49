//! Generated from `wit/`. What of it is meant for authors is re-exported at the crate's root.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the generator's code, and the interface's own documentation"
)]

/// The world of a check.
pub mod check {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "check",
        pub_export_macro: true,
        default_bindings_module: "vedette_sdk::bindings::check",
        additional_derives: [PartialEq],
    });
}

/// The world of a summariser; it shares the types of the other.
pub mod summary {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "summary",
        pub_export_macro: true,
        default_bindings_module: "vedette_sdk::bindings::summary",
        additional_derives: [PartialEq],
        with: {
            "vedette:plugin/types@0.1.0": crate::bindings::check::vedette::plugin::types,
            "vedette:plugin/log@0.1.0": crate::bindings::check::vedette::plugin::log,
        },
    });
}
