//! What a person sees: the command line, one file per subcommand.

pub mod report;
