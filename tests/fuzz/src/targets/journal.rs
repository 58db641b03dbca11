//! A journal of any records: they fold, or the one that does not fit is named; and the engine begins with whatever
//! was folded.
//!
//! An input is a record per line, as JSON: `{"session": null, "at": 0, "body": ...}`. Their numbers are those of
//! their lines, as the store guarantees it. A line that is no record is left out.

use fenix_core::blocker::blockers;
use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};
use fenix_core::session::{NextIds, Session};
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_engine::ports::{Journal, JournalError};
use fenix_engine::{Engine, Settings};
use fenix_sim::generate::{self, Profile};
use fenix_sim::plugins::Components;
use fenix_store::codec::{decode, encode};
use serde_json::{Map, Value, json};

use super::frame;
use crate::input::Known;

/// Most records of one input: those of a whole session over some hosts.
const MAX_RECORDS: usize = 300;

/// Simulated sessions to begin with, good days and bad ones.
const SESSIONS: std::ops::RangeInclusive<u64> = 1..=6;

/// All kinds of records, and whole sessions as they are played in virtual time.
pub fn seeds() -> Vec<Known> {
    let kinds = frame::seeds().into_iter().filter_map(|known| decode(&known.bytes).ok());
    let mut seeds = vec![Known { name: "every kind".to_owned(), bytes: written(kinds) }];
    let components = Components::shipped().expect("the shipped plug-ins run");
    for seed in SESSIONS {
        let profile = Profile { trouble: 500, ..Profile::faulty("default", &["noop", "reboot"]) };
        let report = fenix_sim::run(&generate::session(seed, &profile), &components);
        let journal = report.expect("a generated scenario can be played").journal;
        let records = journal.iter().filter_map(|frame| decode(frame).ok()).take(MAX_RECORDS);
        seeds.push(Known { name: format!("session of seed {seed}"), bytes: written(records) });
    }
    seeds
}

fn written(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let line =
        |record: Record| json!({"session": record.session, "at": record.at, "body": record.body}).to_string();
    records.map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

/// The records of an input.
fn read(input: &[u8]) -> Vec<Record> {
    let parts = input.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut line: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let mut take = |key| line.remove(key).unwrap_or_default();
        let session: Option<SessionId> = serde_json::from_value(take("session")).ok()?;
        let body: Body = serde_json::from_value(take("body")).ok()?;
        Some((session, Time(take("at").as_u64().unwrap_or(0)), body))
    });
    let record = |((session, at, body), seq)| Record { seq, at, session, body };
    parts.zip(1..).map(record).filter(|record| encode(record).is_ok()).take(MAX_RECORDS).collect()
}

/// All of them, and the beginnings that end with a half and a quarter.
pub fn run(input: &[u8]) {
    let records = read(input);
    for part in [1, 2, 4] {
        let beginning = &records[..records.len() / part];
        if let Some(folded) = folded(beginning)
            && folded.sessions.values().all(|session| has_numbers(session))
        {
            recovered(beginning, &folded);
        }
    }
}

/// What they fold to; `None` if one of the installation does not fit. What does not fit changes nothing.
fn folded(records: &[Record]) -> Option<State> {
    let mut state = State::default();
    let mut taken: Vec<&Record> = Vec::new();
    let mut parked: Vec<&SessionId> = Vec::new();
    for record in records {
        if record.session.as_ref().is_some_and(|id| parked.contains(&id)) {
            state.at = state.at.max(record.at);
            continue;
        }
        match state.apply(record) {
            Ok(()) => taken.push(record),
            Err(error) => {
                super::is_told(&error.to_string(), encode(record).map_or(0, |frame| frame.len()));
                let mut before = State::default();
                taken.iter().for_each(|record| before.apply(record).expect("it fitted before"));
                let before = State { seq: state.seq, at: state.at, ..before };
                assert!(state == before, "{error}, and yet it changed something");
                parked.push(record.session.as_ref()?);
            }
        }
    }
    Some(state)
}

/// A session that is near the end of its numbers cannot go on; none comes near.
fn has_numbers(session: &Session) -> bool {
    let NextIds { ask, effect, message } = session.next;
    ask.max(effect).max(message) < u32::MAX / 2
}

/// The engine begins where they end, and what it then writes leads where it is.
fn recovered(records: &[Record], folded: &State) {
    let last = records.len() as u64;
    let recover = |records: Vec<Record>, last| {
        Engine::recover(Settings::default(), &records, last, Vec::new(), folded.at)
            .expect("the installation's records fit")
    };
    let mut engine = recover(records.to_vec(), last);
    let mut journal = Kept { last, records: Vec::new() };
    let orders = engine.commit(&mut journal).expect("what the engine writes can be stored");
    assert!(orders.is_empty(), "recovery orders nothing: {orders:?}");
    let mut state = State { seq: last, ..folded.clone() };
    for record in &journal.records {
        state.apply(record).expect("what the engine writes fits");
    }
    assert!(state == **engine.state(), "the engine is not where its records lead");
    for id in state.sessions.keys() {
        blockers(&state, id, state.at);
    }
    engine.next_due();
}

/// A journal that takes what follows its last record and can be encoded.
struct Kept {
    last: u64,
    records: Vec<Record>,
}

impl Journal for Kept {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            assert_eq!(record.seq, self.last + 1, "numbers have no gap");
            self.last = record.seq;
            encode(record).map_err(|error| JournalError::Damaged(error.to_string()))?;
            self.records.push(record.clone());
        }
        Ok(())
    }
}
