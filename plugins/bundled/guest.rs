// Compiles guests: a nested cargo for WebAssembly, then `wit-component`. Included by the build scripts of `bundled` and of `e2e`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// The outer build's wishes about compilers and folders are not for guests: its instrumentation does not exist for WebAssembly,
/// clippy would be asked to lint instead of to compile, and a shared target folder would wait for the lock that we hold.
const NOT_FOR_GUESTS: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_TARGET",
];

/// The stack stands first, so that running over its end is a trap and not an overwritten constant. It holds JSON as deep as
/// `serde_json` reads it: a target's answer must not be able to make a plugin trap. The memory that a plugin starts with holds
/// what a usual run allocates: growing it costs two system calls in each run.
const FLAGS: &[&str] = &["-Clink-arg=-zstack-size=131072", "-Clink-arg=--stack-first", "-Clink-arg=--initial-memory=1048576"];

/// Compiles `packages` of the workspace at `root` and writes each as `{package}.wasm` into `OUT_DIR`: validated components.
pub(crate) fn compile(root: &Path, packages: &[&str]) -> Result<(), Box<dyn Error>> {
    for source in ["Cargo.toml", "Cargo.lock", "wit", "plugins/sdk", "plugins/bundled/guest.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let folder = target_folder(&out)?;
    target_is_installed()?;
    build(root, &folder, packages)?;
    for package in packages {
        let module = folder.join(TARGET).join("guest").join(format!("{}.wasm", package.replace('-', "_")));
        let module = fs::read(&module).map_err(|error| format!("{}: {error}", module.display()))?;
        let component = componentise(&module).map_err(|error| format!("{package} is no component: {error:#}"))?;
        fs::write(out.join(format!("{package}.wasm")), component)?;
    }
    Ok(())
}

/// `guests` in the outer build's target folder: outside the folder of the profile, whose lock the outer build holds.
fn target_folder(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let build = out.ancestors().find(|folder| folder.ends_with("build"));
    let target = build.and_then(|build| build.ancestors().nth(2));
    Ok(target.ok_or_else(|| format!("no target folder above {}", out.display()))?.join("guests"))
}

fn target_is_installed() -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if Path::new(String::from_utf8(asked.stdout)?.trim()).is_dir() {
        return Ok(());
    }
    Err(format!("plugins are compiled for {TARGET}, which is not installed; type: rustup target add {TARGET}").into())
}

fn build(root: &Path, folder: &Path, packages: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--locked", "--lib", "--profile", "guest", "--target", TARGET, "--target-dir"]).arg(folder);
    for package in packages {
        cargo.args(["--package", package]);
    }
    for name in NOT_FOR_GUESTS {
        cargo.env_remove(name);
    }
    let built = cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")).output()?;
    if built.status.success() {
        return Ok(());
    }
    Err(format!("{} failed to compile for {TARGET}:\n{}", packages.join(" and "), String::from_utf8_lossy(&built.stderr)).into())
}

fn componentise(module: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()?)
}
