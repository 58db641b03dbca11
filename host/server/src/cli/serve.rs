//! `fenix serve`: the server, from start to signal.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Failure, Kind};
use super::print;
use crate::config::{ConfigError, Settings, read_file};
use crate::server::{Server, StartError};
use crate::stop;
use crate::{log, notify};

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
    let unusable = |error: ConfigError| Failure { kind: Kind::Usage, ..Failure::of(&error) };
    let file = read_file(args.config.as_deref()).map_err(unusable)?;
    let config = args.settings.or(file).resolve().map_err(unusable)?;
    if !log::to_stderr(config.log) {
        print::note("the log was set up before");
    }
    let mut stop = stop::stop(args.stop).map_err(|error| Failure::of(&error))?;
    // Before anybody can know of us: else it would end us.
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| Failure::of(&error))?;
    let server = Server::start(config).await.map_err(|error| match &error {
        StartError::Listen(_)
        | StartError::Base(_)
        | StartError::Tokens(_)
        | StartError::Tls(_)
        | StartError::Infrastructure(_)
        | StartError::Bus(_)
        | StartError::Traces(_) => Failure { kind: Kind::Usage, ..Failure::of(&error) },
        StartError::Open(_)
        | StartError::Recovery(_)
        | StartError::Sandbox(_)
        | StartError::Packages(_)
        | StartError::Courier(_)
        | StartError::System(_) => Failure::of(&error),
    })?;
    if server.door.is_open() {
        tracing::warn!("no tokens are configured: everybody on this machine may do everything");
    }
    print::line(format!("ready: {}", server.url()));
    notify::say(notify::READY);
    loop {
        tokio::select! {
            () = stop::stopped(&mut stop) => break,
            _ = hangup.recv() => server.reload(),
        }
    }
    notify::say(notify::STOPPING);
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}
