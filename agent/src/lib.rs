//! Vedette, a synthetic monitoring agent.
//!
//! The modules stand in the order in which data flows, and each imports only what stands above it:
//!
//! ```text
//! text -> Document -> Config -> Plan{Probe} -> Due -> Outcome -> (Span, Summary) -> OTLP request -> queue -> collector
//!         config                plan          schedule  runner    summary           telemetry
//! ```

pub mod agent;
pub mod cli;
pub mod clock;
pub mod config;
pub mod network;
pub mod outcome;
pub mod plan;
pub mod plugin;
pub mod runner;
pub mod schedule;
pub mod serve;
pub mod store;
pub mod summary;
pub mod telemetry;
pub mod vitals;
