//! `fenix-plugin-build WORKSPACE OUT`: builds the plug-ins of a workspace and writes one component each.

use std::path::PathBuf;
use std::process::ExitCode;

use fenix_plugin_build::{Build, build};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to people")]
fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(workspace), Some(out), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: fenix-plugin-build WORKSPACE OUT");
        return ExitCode::from(2);
    };
    match build(&Build { workspace, watched: Vec::new(), out, remap: Vec::new() }) {
        Ok(components) => {
            for component in components {
                println!("{}", component.path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                eprintln!("{error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
