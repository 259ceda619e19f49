//! Compiles the hostile guests as the built-in plugins are compiled.

#[path = "../plugins/bundled/guest.rs"]
mod guest;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-changed={}", root.join("tests/guests").display());
    match guest::compile(&root, &["guest-hostile", "guest-summariser"]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}
