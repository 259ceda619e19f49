//! Vedette, a synthetic monitoring agent.
//!
//! The modules stand in the order in which data flows, and each imports only what stands above it:
//!
//! ```text
//! text -> Document -> Config -> Plan{Probe} -> Due -> Outcome -> (Span, Summary) -> OTLP request -> queue -> collector
//!         config                plan          schedule  runner    summary           telemetry
//! ```

pub mod clock;
pub mod outcome;
pub mod vitals;
pub mod bounded;
pub mod config;
pub mod network;
pub mod store;
pub mod plugin;
pub mod plan;
pub mod schedule;
pub mod runner;
pub mod summary;
pub mod telemetry;
pub mod serve;
pub mod agent;
pub mod cli;
