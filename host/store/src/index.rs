//! Which records are of which session: the numbers of each stream, kept in the database beside the records.
//!
//! An entry holds the numbers that one append gave to one stream, as runs of consecutive numbers, under the stream
//! and the first of them, and behind them how many records the stream had before. So an append costs one entry for
//! each session that it concerns, however many records it has. The index follows from the records; it is also the
//! second witness of whose a record is, should the record itself be damaged, and each entry is a witness of how many
//! records of its stream stand before it, should their entries be lost too.

use std::collections::{BTreeMap, HashMap};

use fenix_core::id::SessionId;

use crate::codec::MAX_SESSION_ID;

/// Most runs in one entry, so that its value stays below 4 KiB; streams that take turns in one append make many.
const MAX_RUNS: usize = 256;

/// Bytes of a run: its first number and its length.
const RUN: usize = 12;

const OF_SESSION: u8 = b's';
const OF_INSTALLATION: u8 = b'i';

/// The prefixes of all keys of the index.
pub(crate) const PREFIXES: [u8; 2] = [OF_INSTALLATION, OF_SESSION];

/// Consecutive numbers of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) len: u32,
}

impl Run {
    /// Its numbers from `from` on.
    pub(crate) fn from(self, from: u64) -> std::ops::Range<u64> {
        self.first.max(from)..self.first.saturating_add(self.len.into())
    }
}

/// How many records each stream has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(HashMap<Option<SessionId>, u64>);

impl Counts {
    /// Counts a record; returns how many its stream had before.
    pub(crate) fn add(&mut self, session: Option<&SessionId>, records: u64) -> u64 {
        let count = self.0.entry(session.cloned()).or_default();
        std::mem::replace(count, *count + records)
    }
}

/// The entries, key and value, for records in the order of their numbers, which follow those that are counted.
pub(crate) fn entries<'a>(
    records: impl IntoIterator<Item = (u64, Option<&'a SessionId>)>,
    counts: &mut Counts,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut streams: BTreeMap<Option<&SessionId>, Vec<Run>> = BTreeMap::new();
    for (seq, session) in records {
        let runs = streams.entry(session).or_default();
        match runs.last_mut() {
            Some(run) if run.first + u64::from(run.len) == seq && run.len < u32::MAX => run.len += 1,
            Some(_) | None => runs.push(Run { first: seq, len: 1 }),
        }
    }
    let mut entries = Vec::new();
    for (session, runs) in streams {
        for runs in runs.chunks(MAX_RUNS) {
            let before = counts.add(session, runs.iter().map(|run| u64::from(run.len)).sum());
            entries.push((key(session, runs[0].first), value(runs, before)));
        }
    }
    entries
}

/// The key of an entry that begins with that number. The session's id stands behind its length, so that no id's
/// keys are among another's.
pub(crate) fn key(session: Option<&SessionId>, seq: u64) -> Vec<u8> {
    match session {
        None => [&[OF_INSTALLATION][..], &seq.to_be_bytes()].concat(),
        Some(id) => {
            let id = id.as_str().as_bytes();
            // The codec refuses longer ids, so no record has one.
            let id = &id[..id.len().min(MAX_SESSION_ID)];
            [&[OF_SESSION, id.len() as u8][..], id, &seq.to_be_bytes()].concat()
        }
    }
}

/// Whose an entry is, by its key; `None` for the installation's.
pub(crate) fn session_of(key: &[u8]) -> Option<SessionId> {
    let id = key.get(2..key.len().checked_sub(8)?)?;
    (key[0] == OF_SESSION).then(|| std::str::from_utf8(id).ok().map(SessionId::from))?
}

/// The first number in an entry, by its key; `None` if that is no key of an entry.
pub(crate) fn first_of(key: &[u8]) -> Option<u64> {
    let (head, first) = key.split_last_chunk()?;
    let is_key = match head {
        [OF_INSTALLATION] => true,
        [OF_SESSION, len, id @ ..] => id.len() == usize::from(*len),
        _ => false,
    };
    is_key.then_some(u64::from_be_bytes(*first))
}

/// True if a key and a value are an entry.
pub(crate) fn is_entry(key: &[u8], value: &[u8]) -> bool {
    first_of(key).is_some_and(|first| runs(value).next().is_some_and(|run| run.first == first))
}

/// The numbers in an entry's value.
pub(crate) fn runs(value: &[u8]) -> impl Iterator<Item = Run> {
    let parse = |bytes: &[u8]| {
        let (first, len) = bytes.split_first_chunk::<8>()?;
        Some(Run { first: u64::from_be_bytes(*first), len: u32::from_be_bytes(len.try_into().ok()?) })
    };
    value.chunks(RUN).map_while(parse)
}

/// How many records the stream has before an entry, by the entry's value; `None` if an older Fenix wrote it.
pub(crate) fn before(value: &[u8]) -> Option<u64> {
    value.chunks(RUN).next_back()?.try_into().ok().map(u64::from_be_bytes)
}

/// What stands behind the runs is passed over by an older Fenix.
fn value(runs: &[Run], before: u64) -> Vec<u8> {
    let runs = runs.iter().flat_map(|run| [&run.first.to_be_bytes()[..], &run.len.to_be_bytes()].concat());
    runs.chain(before.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of each entry that records of these sessions, numbered from 1, get.
    fn numbers(sessions: &[&str]) -> Vec<(String, Vec<u64>)> {
        let ids: Vec<_> = sessions.iter().map(|id| (!id.is_empty()).then(|| SessionId::from(id))).collect();
        let records = (1..).zip(&ids).map(|(seq, id)| (seq, id.as_ref()));
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let owner = session_of(&key).map(|id| id.to_string()).unwrap_or_default();
            (owner, runs(&value).flat_map(|run| run.from(0)).collect())
        };
        entries(records, &mut Counts::default()).into_iter().map(read).collect()
    }

    #[test]
    fn each_stream_of_an_append_gets_one_entry() {
        let check = |sessions: &[&str], wanted: &[(&str, &[u64])]| {
            let wanted: Vec<_> = wanted.iter().map(|(id, seqs)| ((*id).to_owned(), seqs.to_vec())).collect();
            assert_eq!(numbers(sessions), wanted);
        };
        check(&[], &[]);
        check(&["a"], &[("a", &[1])]);
        check(&["a", "a", "a"], &[("a", &[1, 2, 3])]);
        check(&["a", "b", "", "a", "a"], &[("", &[3]), ("a", &[1, 4, 5]), ("b", &[2])]);
    }

    #[test]
    fn an_entry_of_many_runs_is_split() {
        let turns = ["a", "b"].repeat(MAX_RUNS + 1);
        let all = numbers(&turns);
        assert_eq!(all.iter().map(|(_, seqs)| seqs.len()).collect::<Vec<_>>(), [MAX_RUNS, 1, MAX_RUNS, 1]);
        assert_eq!(all[1], ("a".to_owned(), vec![2 * MAX_RUNS as u64 + 1]));
    }

    #[test]
    fn an_entry_tells_how_many_records_its_stream_had_before() {
        let (a, b) = (SessionId::from("a"), SessionId::from("b"));
        let mut counts = Counts::default();
        let mut check = |records: &[(u64, Option<&SessionId>)], wanted: &[u64]| {
            let told = entries(records.iter().copied(), &mut counts);
            let told: Vec<_> = told.iter().map(|(_, value)| before(value).unwrap()).collect();
            assert_eq!(told, wanted);
        };
        check(&[(1, Some(&a)), (2, Some(&b)), (3, Some(&a)), (4, None)], &[0, 0, 0]);
        check(&[(5, Some(&a)), (6, None), (7, None)], &[1, 2]);
        check(&[(8, None)], &[3]);
        assert_eq!(before(&[0; RUN]), None, "an older Fenix did not write it");
    }

    #[test]
    fn keys_of_one_session_are_together_and_in_order() {
        let ids = [None, Some("a".into()), Some("ab".into()), Some("b".into())];
        let mut keys = Vec::new();
        for id in &ids {
            keys.extend([0, 1, 255, 256, u64::MAX].map(|seq| key(id.as_ref(), seq)));
        }
        let owners = |keys: &[Vec<u8>]| keys.iter().map(|key| session_of(key)).collect::<Vec<_>>();
        let mut sorted = keys.clone();
        sorted.sort();
        // "ab" has another length than "b", and comes after it.
        keys[10..].rotate_left(5);
        assert_eq!(owners(&sorted), owners(&keys));
        assert_eq!(sorted, keys);
    }

    #[test]
    fn a_run_is_shown_from_a_number_on() {
        let run = Run { first: 5, len: 3 };
        assert_eq!([0, 6, 8, 99].map(|from| run.from(from).count()), [3, 2, 0, 0]);
    }
}
