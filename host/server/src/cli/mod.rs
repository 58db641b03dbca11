//! The command line: one binary for the server, its administrators, and everything to try it out.
//!
//! Results go to standard output, everything about how it goes to standard error. For people there is text, for
//! programs `--output json`.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub mod audit;
pub mod client;
pub mod cloud;
pub mod config;
pub mod exit;
pub mod openstack;
pub mod package;
pub mod print;
pub mod serve;
pub mod session;
mod session_verify;
pub mod shell;
pub mod standing;
pub mod store;
mod store_check;
pub mod text;
pub mod token;
pub(crate) mod watch;

use exit::Failure;
pub(crate) use watch::history_line;

/// Rolling maintenance of an infrastructure, together with the applications that run on it.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    /// Form of the results
    #[arg(long, value_enum, global = true, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 it failed; 2 wrong usage; 3 the server or the cloud cannot be reached; \
                          4 the server refused; 130 interrupted";

/// Form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs: one JSON value, or one per line where results come one by one.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::ServeArgs>),
    /// Start maintenance sessions, look at them, and steer them
    Session(session::SessionArgs),
    /// Attach plug-ins, and look at them
    Plugin(standing::PluginArgs),
    /// Look at the packages that are here, and put some here
    Package(package::PackageArgs),
    /// Carry packages to a site without a network
    Bundle(package::BundleArgs),
    /// Look at hosts over all sessions, and clear a quarantine
    Hosts(standing::HostsArgs),
    /// Save sessions that can be started again, and start them
    Template(standing::TemplateArgs),
    /// Order messages for managers and other listeners
    Subscribe(standing::SubscribeArgs),
    /// Show who had what done
    Audit(audit::AuditArgs),
    /// Make tokens, with which callers say who they are
    Token(token::TokenArgs),
    /// Make a backup of everything, also while the server runs
    Backup(store::BackupArgs),
    /// Make a data directory out of a backup
    Restore(store::RestoreArgs),
    /// Check a data directory, or make it smaller
    Store(store::StoreArgs),
    /// Check the server's configuration
    Config(config::ConfigArgs),
    /// Register the server with OpenStack, or check that everything it needs there is in place
    Openstack(openstack::OpenStackArgs),
    /// Write a script that completes commands in a shell
    Completions(shell::CompletionsArgs),
    /// Write manual pages
    Man(shell::ManArgs),
    /// Run an application manager to try things out with
    Vnfm(crate::vnfm::VnfmArgs),
    /// Play a session against a manager or listener, and say which clauses of the contract it breaks
    Conformance(crate::conformance::ConformanceArgs),
    /// Run the simulated cloud, or look into it
    Cloud(cloud::CloudArgs),
    /// Watch a whole session roll through a full cloud
    Demo(crate::demo::DemoArgs),
}

/// The whole binary: reads the arguments, runs one command to its end, and says how it went.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == crate::compiling::ARGUMENT) {
        return crate::compiling::serve();
    }
    let given = Cli::command().get_matches();
    match Cli::from_arg_matches(&given) {
        Ok(cli) => run(cli, &given),
        Err(error) => error.exit(),
    }
}

/// What was given to the innermost command, and the arguments that it has.
fn innermost(mut given: &ArgMatches, mut known: clap::Command) -> (&ArgMatches, clap::Command) {
    while let Some((name, inner)) = given.subcommand() {
        let Some(command) = known.find_subcommand(name).cloned() else { break };
        (given, known) = (inner, command);
    }
    (given, known)
}

fn run(cli: Cli, given: &ArgMatches) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(&Failure::failed(format!("cannot start: {error}"))),
    };
    let output = cli.output;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(*args).await,
            Command::Session(args) => session::run(args, output).await,
            Command::Plugin(args) => standing::plugin(args, output).await,
            Command::Package(args) => package::package(args, output).await,
            Command::Bundle(args) => package::bundle(args, output).await,
            Command::Hosts(args) => standing::hosts(args, output).await,
            Command::Template(args) => standing::template(args, output).await,
            Command::Subscribe(args) => standing::subscribe(args, output).await,
            Command::Audit(args) => audit::run(args, output).await,
            Command::Token(args) => token::run(args, output),
            Command::Backup(args) => store::backup(args, output).await,
            Command::Restore(args) => store::restore_archive(&args, output),
            Command::Store(args) => store::store(args, output),
            Command::Config(args) => {
                let (given, known) = innermost(given, Cli::command());
                config::run(args, given, &known, output).await
            }
            Command::Openstack(args) => openstack::run(args, output).await,
            Command::Completions(args) => shell::completions(&args, Cli::command()),
            Command::Man(args) => shell::man(&args, Cli::command()),
            Command::Vnfm(args) => crate::vnfm::run(args).await,
            Command::Conformance(args) => crate::conformance::run(args, output).await,
            Command::Cloud(args) => cloud::run(args, output).await,
            Command::Demo(args) => crate::demo::run(args, output).await,
        }
    });
    // What still blocks a thread, like an action in the middle of a call, is no reason to wait.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => print::failure(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all commands, each behind those that it is part of.
    fn names(command: &clap::Command, prefix: &str) -> Vec<String> {
        let name = format!("{prefix}{}", command.get_name());
        let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
        let inner: Vec<String> = inner.flat_map(|inner| names(inner, &format!("{name}-"))).collect();
        std::iter::once(name).chain(inner).collect()
    }

    #[test]
    fn the_arguments_make_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let scratch = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Cli::command(), scratch.path()).unwrap();
        let names = names(&Cli::command(), "");
        assert!(names.contains(&"fenix-session-start".to_owned()));
        for name in names {
            let page = std::fs::read_to_string(scratch.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME"), "{name}");
        }
    }

    #[test]
    fn every_command_is_completed() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "fenix", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} {}", command.get_name());
            }
        }
    }
}
