//! Tests from outside: real sockets, a real agent process. What they share: guests that misbehave on purpose.

/// A checker whose settings, `{"do": "spin"}` and the like, say how it misbehaves.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-hostile.wasm"));

/// A summariser whose settings, `{"do": "spin"}` and the like, say how it misbehaves.
pub const HOSTILE_SUMMARISER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest-summariser.wasm"));
