//! `fenix completions` and `fenix man`: what shells and readers of manuals want to know, out of the arguments
//! themselves.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::Failure;
use super::print;

/// `fenix completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// `fenix man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory for a page of each command; none = the first page, on standard output
    dir: Option<PathBuf>,
}

/// Writes a script that completes the arguments.
///
/// # Errors
/// Never so far.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "fenix", &mut script);
    print::raw(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Writes manual pages.
///
/// # Errors
/// The directory is not there, or cannot be written.
pub fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(|error| Failure::of(&error))?;
        print::raw(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    let unusable =
        |error: std::io::Error| Failure::failed(format!("cannot write pages to {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(unusable)?;
    clap_mangen::generate_to(command, dir).map_err(unusable)?;
    print::note(format!("`man -M` reads them if {} is named man1", dir.display()));
    Ok(())
}
