//! What ends a long-running command: a signal, or the end of its standard input.

use std::io::Read;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// When a command ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct StopArgs {
    /// Also end when standard input ends: so that a program that started this one can never leave it behind
    #[arg(long, hide = true)]
    pub with_stdin: bool,
}

/// Turns true on SIGTERM or SIGINT, and with `with_stdin` when standard input ends. A second signal ends the
/// process at once.
///
/// # Errors
/// Signals cannot be received.
pub fn stop(args: StopArgs) -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut input_ended = if args.with_stdin { Some(watch_input()?) } else { None };
    tokio::spawn(async move {
        let mut asked_before = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = ended(&mut input_ended), if input_ended.is_some() => input_ended = None,
            }
            if asked_before {
                tracing::warn!("asked to stop a second time: ending at once");
                std::process::exit(130);
            }
            asked_before = true;
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}

/// Waits until `stop` turns true, or nobody is left who could turn it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

/// Reads standard input to its end, on a thread of its own: nothing else can wait for a read that never ends.
fn watch_input() -> std::io::Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    let read = move || {
        let mut buffer = [0; 64];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        drop(sender);
    };
    std::thread::Builder::new().name("input".into()).spawn(read)?;
    Ok(receiver)
}

async fn ended(input: &mut Option<oneshot::Receiver<()>>) {
    if let Some(input) = input {
        // It never sends: it ends.
        drop(input.await);
    }
}
