//! Compiles the embedded plugins to machine code, so that the first start of an agent compiles nothing, and compresses both.

#[path = "src/plugin/tuning.rs"]
mod tuning;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use wasmtime::Engine;

/// Higher ones take long and gain little.
const LEVEL: i32 = 19;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/plugin/tuning.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let target = env::var("TARGET")?;
    for plugin in bundled::PLUGINS {
        // A target that this compiler does not know gets no code; the agent compiles the plugin when it first starts.
        let code = compile(&target, plugin.component).unwrap_or_else(|error| {
            println!("cargo::warning=`{}` is not compiled ahead of time for {target}: {error}", plugin.name);
            Vec::new()
        });
        for (kind, bytes) in [("component", plugin.component), ("code", &code)] {
            fs::write(out.join(format!("{}.{kind}", plugin.name)), zstd::encode_all(bytes, LEVEL)?)?;
        }
    }
    Ok(())
}

/// For any processor of the target, not for the one that builds.
fn compile(target: &str, component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut config = tuning::config(tuning::MEMORY_LIMIT);
    Engine::new(config.target(target)?)?.precompile_component(component)
}
