//! What machine code is made for. The build script includes this file to compile the embedded plugins ahead of time:
//! what it makes is only taken by an engine that is tuned alike.

use wasmtime::Config;

/// The most linear memory that any guest may be given, whatever the configuration says, in bytes.
pub(super) const MEMORY_LIMIT: u64 = 1 << 30;

/// Everything that machine code depends on, for guests of at most so many bytes of linear memory.
pub(super) fn config(memory: u64) -> Config {
    let mut config = Config::new();
    config
        .memory_reservation(memory)
        .memory_may_move(false)
        .memory_init_cow(true)
        .epoch_interruption(true)
        // Nothing of a guest is concurrent within itself, and what is not there costs nothing per store.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .max_wasm_stack(512 << 10)
        // What guests wait for is polled on the worker's own stack; beyond the guest there are shallow calls only.
        .async_stack_size(1 << 20)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}
