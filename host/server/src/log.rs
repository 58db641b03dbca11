//! The log: lines on standard error, for people or for programs.
//!
//! What happens in a session is logged as it is told everywhere else, a line for each line of its history. Every line
//! that concerns a session has the field `session`. Nothing is logged that is secret: secrets are of a type that does
//! not print itself, and bodies of requests and messages are not logged at all.

use std::io::IsTerminal;

use fenix_core::state::State;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::shell::desk::Desk;

/// What is in the log if `RUST_LOG` says nothing.
const FILTER: &str = "info";

/// What is written about the log, in `fenix.toml` or as flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Form of the log: text for people, json for programs, one object in a line [default: text]
    #[arg(long = "log-format", id = "log-format", value_name = "FORMAT", env = "FENIX_LOG_FORMAT")]
    pub format: Option<Format>,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object in a line.
    Json,
}

impl LogSettings {
    /// These settings where they say something, else `other`'s.
    #[must_use]
    pub fn or(self, other: LogSettings) -> LogSettings {
        LogSettings { format: self.format.or(other.format) }
    }
}

/// Sends the log to standard error; `RUST_LOG` says what is in it. False if it was set up before.
pub fn to_stderr(format: Format) -> bool {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set_up = match format {
        Format::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        Format::Json => {
            let json = subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false);
            json.finish().try_init()
        }
    };
    set_up.is_ok()
}

/// Logs what happens in the sessions that `desk` shows, from now on until the writer has ended.
pub fn follow(desk: &Desk) {
    let mut changes = desk.changes();
    let mut seen = changes.borrow_and_update().seq;
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            let state = changes.borrow_and_update().clone();
            write_newer(&state, seen);
            seen = state.seq;
        }
    });
}

/// Logs every line of history after a record, in order.
fn write_newer(state: &State, seen: u64) {
    let newer = state.sessions.values().flat_map(|session| {
        let lines = session.history.iter().rev().take_while(|line| line.seq > seen);
        lines.map(|line| (session.id.as_str(), line))
    });
    let mut newer: Vec<_> = newer.collect();
    newer.sort_by_key(|(_, line)| line.seq);
    for (session, line) in newer {
        if line.why.is_empty() {
            tracing::info!(target: "fenix::session", session, record = line.seq, "{}", line.what);
        } else {
            tracing::info!(target: "fenix::session", session, record = line.seq, why = line.why, "{}", line.what);
        }
    }
}
