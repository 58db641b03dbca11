//! `fenix session verify`: reads a whole journal again, and says where a rule was broken.

use std::path::{Path, PathBuf};

use clap::Args;
use fenix_store::archive::Entry;
use fenix_verify::{Finding, Report, Tally, UNPROVEN, Verifier};
use serde_json::{Value, json};

use super::client::At;
use super::exit::Failure;
use super::store::{BackupArgs, fill, read_archive};
use super::text::plain;
use super::{Output, print};
use crate::wire::time::iso;

/// `fenix session verify`
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The session: its id, or the beginning of it; none = all
    session: Option<String>,
    /// Read this backup instead of asking a server
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    backup: Option<PathBuf>,
    /// Read this data directory, which no server has open, instead of asking a server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Verifies the journal, and tells what was found about the sessions that are meant.
///
/// # Errors
/// A rule was broken; or the journal cannot be read; or no session is meant.
pub(super) async fn run(args: VerifyArgs, at: At, output: Output) -> Result<(), Failure> {
    let report = match &args.backup {
        Some(backup) => verified(backup)?,
        None => {
            let copy = std::env::temp_dir().join(format!("fenix-verify-{}", uuid::Uuid::new_v4()));
            let filled = fill(&BackupArgs { dest: copy.clone(), data_dir: args.data_dir, at }, &copy).await;
            let report = filled.and_then(|()| verified(&copy));
            // It holds what the journal holds.
            drop(std::fs::remove_file(&copy));
            report?
        }
    };
    let report = only(report, args.session.as_deref().unwrap_or_default())?;
    match output {
        Output::Json => print::json(&as_json(&report)),
        Output::Text => tell(&report),
    }
    match report.findings.len() {
        0 => Ok(()),
        count => Err(Failure::failed(format!("rules were broken: {count}")).hint(
            "keep a `fenix backup` of this, and report it: a rule that Fenix breaks is a fault of Fenix",
        )),
    }
}

fn verified(archive: &Path) -> Result<Report, Failure> {
    let mut verifier = Verifier::default();
    let mut compacted = None;
    read_archive(archive, |entry| {
        match entry {
            Entry::Record(record) => verifier.read(&record),
            Entry::Gap(_, last) => compacted = compacted.max(Some(last)),
            Entry::File(..) => {}
        }
        Ok(())
    })?;
    if let Some(last) = compacted {
        print::note(format!(
            "records up to {last} were left out in places: what is said of sessions that are older may come of that"
        ));
    }
    Ok(verifier.report().clone())
}

/// What was found about sessions whose id begins so.
fn only(mut report: Report, beginning: &str) -> Result<Report, Failure> {
    report.sessions.retain(|id, _| id.as_str().starts_with(beginning));
    report.findings.retain(|found| found.session.as_str().starts_with(beginning));
    if report.sessions.is_empty() && !beginning.is_empty() {
        return Err(Failure::failed(format!("the journal has no session that begins with {beginning}"))
            .hint("those that were removed long ago may have been compacted"));
    }
    Ok(report)
}

fn as_json(report: &Report) -> Value {
    let session = |(id, tally): (&fenix_core::id::SessionId, &Tally)| {
        let Tally { admitted, moves, asked, ended } = tally;
        json!({ "session_id": id.as_str(), "effects": admitted, "moves": moves, "questions": asked, "ended": ended })
    };
    let broken = |found: &Finding| {
        let Finding { rule, session, seq, at, what } = found;
        json!({
            "rule": format!("{rule:?}"), "session_id": session.as_str(), "record": seq, "at": iso(*at), "what": what,
        })
    };
    json!({
        "records": report.records,
        "sessions": report.sessions.iter().map(session).collect::<Vec<Value>>(),
        "broken": report.findings.iter().map(broken).collect::<Vec<Value>>(),
        "unproven": UNPROVEN,
    })
}

fn tell(report: &Report) {
    print::line(format!("{} records, sessions: {}", report.records, report.sessions.len()));
    for (id, Tally { admitted, moves, asked, ended }) in &report.sessions {
        let broken = report.findings.iter().filter(|found| found.session == *id).count();
        let verdict = if broken == 0 { "no rule was broken".to_owned() } else { format!("broken: {broken}") };
        let open = if *ended { "" } else { ", and it has not ended" };
        print::line(format!(
            "session {id}: {verdict}{open}; {admitted} effects, of which {moves} moves; {asked} questions"
        ));
    }
    for Finding { rule, session, seq, at, what } in &report.findings {
        let at = iso(*at);
        print::line(format!("{rule:?} in session {session} at record {seq}, {at}: {}", plain(what)));
    }
    print::note("a journal alone does not prove:");
    for what in UNPROVEN {
        print::note(format!("- {what}"));
    }
}
