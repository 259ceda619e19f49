//! Compiles the built-in plugins, so that they are part of the agent's binary and never committed.

#[path = "guest.rs"]
mod guest;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for plugin in ["http", "availability"] {
        println!("cargo::rerun-if-changed={}", root.join("plugins").join(plugin).display());
    }
    match guest::compile(&root, &["plugin-http", "plugin-availability"]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}
