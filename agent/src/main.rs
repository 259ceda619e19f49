//! Arguments, run, exit code.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Nothing is wired yet; saying so and failing is better than an answer that nobody computed.
    let _ = writeln!(std::io::stderr(), "vedette: no command is built yet");
    ExitCode::from(2)
}
