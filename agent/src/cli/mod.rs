//! What a person types and sees. One file per command; results go to stdout, everything else to stderr.

mod check;
mod config;
mod demo;
mod descriptors;
mod logging;
mod output;
mod plugin;
pub mod report;
mod run;
mod setup;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{Mistakes, quantity, visible};
use crate::plugin::{COMPILE_COMMAND, compile_for_parent};

/// A synthetic monitoring agent.
#[derive(Debug, Parser)]
#[command(name = "vedette", version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 every check succeeded, 1 a target failed or timed out, 2 usage or configuration error, 3 no verdict.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask every target once and print the results.
    Check(check::Arguments),
    /// The agent: schedule, probe, summarise, export, serve.
    Run(run::Arguments),
    /// Five local targets (healthy, slow, flaky, failing, expired certificate) with the agent watching them.
    Demo(demo::Arguments),
    /// Check, print or describe the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// List or inspect plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// What this program starts itself as, to compile a component apart from everything else.
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompilePlugin {
        /// Bytes of linear memory that guests have at most.
        memory: u64,
    },
}

/// What a command ends with.
const OK: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_VERDICT: u8 = 3;

/// Reads the arguments, does what they say, and returns the exit code of the contract.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(told(&error)),
    };
    if let Command::CompilePlugin { memory } = arguments.command {
        return compile_for_parent(memory);
    }
    report_panics();
    descriptors::raise();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::anyhow!("cannot start the runtime: {error}"), NO_VERDICT),
    };
    let result = runtime.block_on(dispatch(arguments.command));
    // What still blocks in the background (a lookup of a name, say) must not delay the answer.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error, USAGE),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Check(arguments) => check::check(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Demo(arguments) => demo::demo(arguments).await,
        Command::Config(command) => config::config(command).await,
        Command::Plugin(command) => plugin::plugin(command).await,
        // Done before there was a runtime.
        Command::CompilePlugin { .. } => Ok(OK),
    }
}

/// What the parser of the arguments says: help and version are results, mistakes are not.
fn told(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        // What nobody sees in an argument is written out before the parser quotes it.
        let shown = std::env::args_os().map(|argument| visible::line(&argument.to_string_lossy()).into_owned());
        let message = Arguments::try_parse_from(shown).err().map_or_else(|| error.render(), |error| error.render());
        output::say(message.to_string().trim_end());
        return USAGE;
    }
    let help = error.render();
    output::print(&if output::colour(&io::stdout()) { help.ansi().to_string() } else { help.to_string() }, OK)
}

/// One line that says what, where and what to do; of a configuration, all its mistakes.
fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    // Mistakes begin with their own place, which editors and CI systems look for at the start of a line.
    if error.is::<Mistakes>() {
        output::say(&error.to_string());
    } else {
        output::say(&format!("vedette: {}", visible::line(&format!("{error:#}"))));
    }
    ExitCode::from(code)
}

/// The worst of two exit codes, as the contract orders them: 2, 1, 3, 0.
fn worst(one: u8, other: u8) -> u8 {
    [USAGE, FAILED, NO_VERDICT].into_iter().find(|code| [one, other].contains(code)).unwrap_or(OK)
}

/// A panic is a defect of the agent that ends one run, not the process: it is logged like any other mishap.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "a defect of the agent ended a task; please report it");
    }));
}

/// A length of time of an option: with a unit, and not zero.
fn duration(text: &str) -> Result<Duration, String> {
    let length = quantity::duration(text).map_err(|error| error.to_string())?;
    if length.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_exit_code_wins_in_the_order_2_1_3_0() {
        assert_eq!([(0, 0), (0, 3), (3, 1), (1, 0), (3, 2), (2, 1)].map(|(one, other)| worst(one, other)), [0, 3, 1, 1, 2, 2]);
    }
}
