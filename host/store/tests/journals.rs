//! Whole journals, as builds of Fenix wrote them, fold to what they folded to then.
//!
//! `fixtures/journals/NAME.jsonl` holds a line for each record: the record for people, and its frame as it stood in the
//! journal. `NAME.state.json` is what the fold says after each quarter of them. Neither is ever changed. A new one, of a real session, is made
//! out of a backup by
//!
//! ```text
//! FENIX_RECORD=NAME=file.backup cargo test -p fenix-store --test journals
//! ```
//!
//! which never changes a file that is there. Do it with the build of each release, before it is left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fenix_core::record::Record;
use fenix_core::session::Session;
use fenix_core::state::State;
use fenix_store::archive::{ArchiveError, Entry, read};
use fenix_store::codec::{decode, encode};
use fenix_store::kind::{form_of, kinds};
use serde_json::{Value, json};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals")
}

fn folded(records: &[Record]) -> State {
    let mut state = State::default();
    records.iter().for_each(|record| state.apply(record).unwrap());
    state
}

/// What a session came to, in names that are written down elsewhere too.
fn session(session: &Session) -> Value {
    let hosts = session.hosts.iter().map(|(id, work)| {
        json!({ "host": id, "stage": work.stage.name(), "fenced": work.fenced, "since": work.since })
    });
    let asks = session.asks.values().map(|ask| {
        json!({ "id": ask.id, "project": ask.project, "kind": format!("{:?}", ask.kind), "host": ask.host, "status": ask.status })
    });
    json!({
        "phase": session.phase.wire(),
        "condition": session.condition,
        "phases": session.phases.iter().map(|(phase, at)| json!([phase.wire(), at])).collect::<Vec<_>>(),
        "hosts": hosts.collect::<Vec<_>>(),
        "asks": asks.collect::<Vec<_>>(),
        "moves": session.moves.iter().collect::<BTreeMap<_, _>>(),
        "effects_in_flight": session.effects.len(),
        "failures": session.failures,
        "notes": session.notes,
    })
}

/// What a state says, for people and for comparison: what it knows, not how.
fn told(state: &State) -> Value {
    let hosts = state.inventory.hosts().map(|host| json!([host.id, host.service, host.up, host.boot]));
    let instances =
        state.inventory.instances().map(|instance| json!([instance.id, instance.host, instance.state]));
    let sessions = state.sessions.iter().map(|(id, known)| (id.to_string(), session(known)));
    json!({
        "records": state.seq,
        "at": state.at,
        "hosts": hosts.collect::<Vec<_>>(),
        "instances": instances.collect::<Vec<_>>(),
        "subscriptions": state.subscriptions.keys().collect::<Vec<_>>(),
        "sessions": sessions.collect::<serde_json::Map<_, _>>(),
    })
}

/// What is said on the way: after each quarter of the records.
fn told_along(records: &[Record]) -> Value {
    (1..=4).map(|quarter| told(&folded(&records[..records.len() * quarter / 4]))).collect()
}

/// Makes a fixture of a backup, if that is wanted.
fn record_one() {
    let Ok(wanted) = std::env::var("FENIX_RECORD") else { return };
    let (name, backup) = wanted.split_once('=').unwrap();
    let lines = dir().join(format!("{name}.jsonl"));
    if lines.exists() {
        return;
    }
    let mut records = Vec::new();
    read(fs::File::open(backup).unwrap(), |entry| {
        if let Entry::Record(record) = entry {
            records.push(*record);
        }
        Ok::<(), ArchiveError>(())
    })
    .unwrap();
    fs::create_dir_all(dir()).unwrap();
    let line = |record: &Record| {
        json!({ "record": record, "frame": hex::encode(encode(record).unwrap()) }).to_string() + "\n"
    };
    fs::write(lines, records.iter().map(line).collect::<String>()).unwrap();
    let state = serde_json::to_string_pretty(&told_along(&records)).unwrap() + "\n";
    fs::write(dir().join(format!("{name}.state.json")), state).unwrap();
}

/// The journals that there are: name and records, each read from its frame.
fn journals() -> Vec<(String, Vec<Record>)> {
    record_one();
    let names = fs::read_dir(dir()).unwrap().map(|entry| entry.unwrap().path());
    let lines = names.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let record = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            decode(&hex::decode(line["frame"].as_str().unwrap()).unwrap()).unwrap()
        };
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), text.lines().map(record).collect())
    };
    lines.map(read).collect()
}

#[test]
fn every_journal_folds_to_the_recorded_state() {
    let journals = journals();
    assert!(!journals.is_empty());
    for (name, records) in journals {
        let wanted = fs::read_to_string(dir().join(format!("{name}.state.json"))).unwrap();
        let wanted: Value = serde_json::from_str(&wanted).unwrap();
        assert_eq!(told_along(&records), wanted, "{name}");
    }
}

#[test]
fn every_kind_of_record_stands_in_a_journal_or_a_sample() {
    let mut seen: BTreeSet<_> = samples::records().iter().map(|record| form_of(&record.body).kind).collect();
    assert_eq!(seen, kinds().collect());
    seen.clear();
    for (_, records) in journals() {
        seen.extend(records.iter().map(|record| form_of(&record.body).kind));
    }
    // What a session without troubles has; the others are in the fixtures of each kind.
    assert!(seen.len() >= 15, "{seen:?}");
}
