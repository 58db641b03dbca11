//! `fenix audit`: who had what done.

use std::collections::VecDeque;

use clap::Args;
use serde_json::{Value, json};

use super::client::{At, Fenix, segment};
use super::exit::Failure;
use super::session::{items, table, text};
use super::{Output, print};

/// `fenix audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    at: At,
    /// Only what is about this session
    #[arg(long)]
    session: Option<String>,
    /// The last entries only, so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    last: usize,
    /// All entries
    #[arg(long, conflicts_with = "last")]
    all: bool,
}

/// Shows the audit, oldest first.
///
/// # Errors
/// The server cannot be reached, or refused.
pub async fn run(args: AuditArgs, output: Output) -> Result<(), Failure> {
    let fenix = args.at.connect()?;
    let most = if args.all { usize::MAX } else { args.last };
    let entries = read(&fenix, args.session.as_deref(), most).await?;
    match output {
        Output::Json => print::json(&json!({ "entries": entries })),
        Output::Text => table(
            &["WHEN", "WHO", "ROLE", "FROM", "WHAT", "SESSION", "ABOUT"],
            entries.iter().map(|entry| {
                let session: String = text(&entry["session_id"]).chars().take(8).collect();
                let cell = |key: &str| text(&entry[key]);
                vec![
                    cell("at"),
                    cell("name"),
                    cell("role"),
                    cell("from"),
                    cell("command"),
                    session,
                    cell("about"),
                ]
            }),
        ),
    }
    Ok(())
}

async fn read(fenix: &Fenix, session: Option<&str>, most: usize) -> Result<VecDeque<Value>, Failure> {
    let only = session.map(|id| format!("&session={}", segment(id))).unwrap_or_default();
    let mut entries = VecDeque::new();
    let mut from = Some(0);
    while let Some(after) = from {
        let page = fenix.get(&format!("/v1/audit?from={after}{only}")).await?;
        entries.extend(items(&page, "entries").cloned());
        let excess = entries.len().saturating_sub(most);
        entries.drain(..excess);
        from = page["next"].as_u64();
    }
    Ok(entries)
}
