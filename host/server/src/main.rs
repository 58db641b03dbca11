//! The `fenix` binary: everything is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    fenix_server::cli::run(fenix_server::cli::Cli::parse())
}
