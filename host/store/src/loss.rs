//! Whose the records are that cannot be had.
//!
//! A record that is missing or unreadable cannot be asked whose it is. The index tells, under other keys and so in
//! other places of the file. Where the index has lost it too, the streams are counted: each entry of the index tells
//! how many records its stream had before. If the streams together miss as many as there are, it is certain which
//! sessions they are of, and that no other lost any. What is not certain is not guessed.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::SessionId;
use fenix_core::record::Record;

use crate::database::{Database, Fault};
use crate::index;

/// More missing numbers than that are looked at by nobody: they are no damage of single records.
pub(crate) const MAX_LOST: u64 = 1_000_000;

/// Records that cannot be had, and why, by their numbers.
pub(crate) type Lost = BTreeMap<u64, String>;

/// Whose the lost records are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Owners {
    /// By the index.
    pub(crate) known: BTreeMap<u64, SessionId>,
    /// Sessions that lost further ones, with the smallest number that they may have lost.
    pub(crate) counted: BTreeMap<SessionId, u64>,
}

/// What the index tells of one append to one stream.
struct Entry {
    first: u64,
    before: Option<u64>,
}

/// One stream as far as it is known.
#[derive(Default)]
struct Stream {
    /// Its numbers, in order.
    numbers: BTreeSet<u64>,
    entries: Vec<Entry>,
}

/// Finds whose lost records are.
///
/// # Errors
/// The first of them that is the installation's, or of which that is not certain.
pub(crate) fn owners(
    database: &Database,
    records: &[Record],
    lost: &Lost,
) -> Result<Result<Owners, u64>, Fault> {
    let mut streams: BTreeMap<Option<SessionId>, Stream> = BTreeMap::new();
    for record in records {
        streams.entry(record.session.clone()).or_default().numbers.insert(record.seq);
    }
    let mut found = Owners::default();
    let mut of_installation = None;
    database.index(|session, value| {
        let stream = streams.entry(session.cloned()).or_default();
        for run in index::runs(value) {
            let mine: Vec<u64> = lost.range(run.from(0)).map(|(seq, _)| *seq).collect();
            match session {
                Some(session) => found.known.extend(mine.iter().map(|seq| (*seq, session.clone()))),
                None => of_installation = of_installation.or(mine.first().copied()),
            }
            stream.numbers.extend(mine);
        }
        if let Some(run) = index::runs(value).next() {
            stream.entries.push(Entry { first: run.first, before: index::before(value) });
        }
    })?;
    if let Some(seq) = of_installation {
        return Ok(Err(seq));
    }
    let unknown: BTreeSet<u64> = lost.keys().filter(|seq| !found.known.contains_key(seq)).copied().collect();
    let Some(first_unknown) = unknown.first().copied() else { return Ok(Ok(found)) };
    let mut counted = 0;
    for (session, stream) in &streams {
        match (session, stream.miss(&unknown)) {
            (_, Ok(None)) => {}
            (Some(session), Ok(Some((first, count)))) => {
                counted += count;
                found.counted.insert(session.clone(), first);
            }
            (None, Ok(Some((first, _)))) => return Ok(Err(first)),
            (_, Err(())) => return Ok(Err(first_unknown)),
        }
    }
    Ok(if counted == unknown.len() as u64 { Ok(found) } else { Err(first_unknown) })
}

impl Stream {
    /// How many of the unknown numbers are of this stream, and the smallest that may be; `None` if none is known to
    /// be. An error if it contradicts itself.
    fn miss(&self, unknown: &BTreeSet<u64>) -> Result<Option<(u64, u64)>, ()> {
        let mut missed = None;
        for entry in &self.entries {
            let Some(told) = entry.before else { continue };
            let here = self.numbers.range(..entry.first);
            let (count, previous) = here.fold((0, 0), |(count, _), seq| (count + 1, *seq));
            match told.checked_sub(count) {
                None => return Err(()),
                Some(0) if missed.is_none() => {}
                Some(0) => return Err(()),
                Some(more) => {
                    let first = match missed {
                        Some((first, _)) => first,
                        None => *unknown.range(previous + 1..entry.first).next().ok_or(())?,
                    };
                    missed = Some((first, more));
                }
            }
        }
        Ok(missed)
    }
}
