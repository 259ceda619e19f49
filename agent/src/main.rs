//! Arguments, run, exit code: all of it in the library, so that it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    vedette::cli::main()
}
