//! Tests from outside: real sockets, a real agent process. What they share.
//!
//! A test opens targets, starts the program in a home of its own, and looks at what the targets saw, what the program
//! said, and what arrived at a collector.

#![expect(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot go on says why and fails")]

pub mod agent;
pub mod answer;
pub mod browser;
pub mod certificates;
pub mod collector;
pub mod exposition;
pub mod home;
pub mod message;
pub mod patience;
pub mod received;
pub mod receiver;
pub mod sandbox;
pub mod target;

/// A checker whose settings, `{"do": "spin"}` and the like, say how it misbehaves.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-hostile.wasm"));

/// A summariser whose settings, `{"do": "spin"}` and the like, say how it misbehaves.
pub const HOSTILE_SUMMARISER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-summariser.wasm"));
