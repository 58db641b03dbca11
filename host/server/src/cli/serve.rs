//! `fenix serve`: the server, from start to signal.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::exit::{Failure, Kind};
use super::print;
use crate::config::{ConfigError, Settings, read_file};
use crate::server::{Server, StartError};
use crate::stop;

/// `fenix serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file [default: fenix.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "FENIX_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    stop: stop::StopArgs,
}

/// Runs the server until a signal.
///
/// # Errors
/// The configuration cannot be used, or the server cannot start.
pub async fn run(args: ServeArgs) -> Result<(), Failure> {
    log_to_stderr();
    let unusable = |error: ConfigError| Failure { kind: Kind::Usage, ..Failure::of(&error) };
    let file = read_file(args.config.as_deref()).map_err(unusable)?;
    let config = args.settings.or(file).resolve().map_err(unusable)?;
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    let server = Server::start(config).await.map_err(|error| match &error {
        StartError::Listen(_) | StartError::Base(_) | StartError::Tokens(_) | StartError::Tls(_) => {
            Failure { kind: Kind::Usage, ..Failure::of(&error) }
        }
        StartError::Open(_)
        | StartError::Recovery(_)
        | StartError::Sandbox(_)
        | StartError::Courier(_)
        | StartError::System(_) => Failure::of(&error),
    })?;
    if server.door.is_open() {
        tracing::warn!("no tokens are configured: everybody on this machine may do everything");
    }
    print::line(format!("ready: {}", server.url()));
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| Failure::of(&error))?;
    loop {
        tokio::select! {
            () = stop::stopped(&mut stop) => break,
            _ = hangup.recv() => server.reload(),
        }
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// Sends the log to standard error; `RUST_LOG` says what is in it.
pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if subscriber.try_init().is_err() {
        print::note("the log was set up before");
    }
}
