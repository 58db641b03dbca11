//! What is found when the journal is opened, and what of it can be used.
//!
//! Everything is read and checked. A record that is missing or cannot be read damages its session ([`crate::loss`]
//! tells whose it is): that session's records from there on do not count, so that what is handed out is a state in
//! which the session once was, and the engine parks it. That is noted in the database, so that what the session does
//! from then on counts again. Whatever would falsify more than one session is an error instead: a record of the
//! installation, one of which it is not certain whose it is, an end before what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};

use crate::bodies::Bodies;
use crate::codec::{DecodeError, FORMAT, decode_with};
use crate::database::{Batch, Database, Fault, Void};
use crate::decoding::decoded;
use crate::dir::LAYOUT;
use crate::index::{self, Counts};
use crate::log::Hole;
use crate::loss::{Lost, MAX_LOST, owners};
use crate::reserve::Reserve;

/// What the journal holds.
#[derive(Debug)]
pub struct Opened {
    /// All usable records, in the order of their numbers; without gaps unless `damage` names some, or they were left
    /// out on purpose.
    pub records: Vec<Record>,
    /// The number of the last record, usable or not: the next one follows it.
    pub last_seq: u64,
    /// The sessions that lost records and were not parked since, one entry each, by id.
    pub damage: Vec<Damaged>,
    /// What was mended in the database before it could be opened.
    pub mended: Option<Mended>,
    /// Whether there is space for more than closings.
    pub reserve: Reserve,
}

/// A session that lost records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Which.
    pub session: SessionId,
    /// The number of its first bad record. Its records from there on are withheld.
    pub seq: u64,
    /// What is bad about it.
    pub why: String,
}

/// A database that was damaged, and made again from what could be read in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// What could not be read; none if it was sled that could not.
    pub holes: Vec<Hole>,
    /// Where the damaged one is kept.
    pub kept: PathBuf,
}

/// Why a data directory cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk said no.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use{}; stop that process, or choose another directory",
        holder.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, if it left its number.
        holder: Option<u32>,
    },
    /// It holds something else.
    #[error("{path} is no Fenix data directory and is not empty; choose another directory")]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// Its marker is missing or damaged.
    #[error(
        "{marker} is missing or damaged, and a journal is there; restore the data directory from a backup, or write \
         the line `fenix journal {LAYOUT}` into that file if it was made by this version of Fenix or an earlier one"
    )]
    Marker {
        /// The file.
        marker: PathBuf,
    },
    /// There was a journal, and its database is gone.
    #[error(
        "the database {path} is missing, and the data directory was in use before ({trace} is there); put it back, or \
         restore the data directory from a backup"
    )]
    NoDatabase {
        /// The file that is missing.
        path: PathBuf,
        /// What tells that it was there.
        trace: PathBuf,
    },
    /// The directory of large bodies is gone.
    #[error(
        "record {seq} has its body in {path}, which is missing as a whole; put it back, or restore the data directory \
         from a backup"
    )]
    NoBodies {
        /// The directory.
        path: PathBuf,
        /// A record that needs it.
        seq: u64,
    },
    /// A newer Fenix made it.
    #[error(
        "the data directory {path} has layout {found}, newer than {LAYOUT}, the newest that this version of Fenix opens; use the newer version"
    )]
    NewerLayout {
        /// The directory.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// A newer Fenix wrote a record.
    #[error(
        "record {seq} was written by a newer Fenix (this one reads format {FORMAT}); use the newer version"
    )]
    NewerRecord {
        /// The record's number.
        seq: u64,
        /// What is newer.
        #[source]
        source: DecodeError,
    },
    /// The database cannot be read at all.
    #[error(
        "the database in {path} cannot be opened: {why}; check the disk, then restore the data directory from a backup"
    )]
    Database {
        /// Its directory.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// A record on which every session stands is bad.
    #[error(
        "record {seq}, which concerns every session, cannot be used: {why}; check the disk, then restore the data directory from a backup"
    )]
    Record {
        /// Its number.
        seq: u64,
        /// What is bad about it.
        why: String,
    },
    /// What a session began with is bad, so that it can be neither shown nor closed.
    #[error(
        "record {seq}, with which session {session} began, cannot be used: {why}; check the disk, then restore the data \
         directory from a backup"
    )]
    Beginning {
        /// Which session.
        session: SessionId,
        /// The record's number.
        seq: u64,
        /// What is bad about it.
        why: String,
    },
    /// Records are missing in the middle, and it is not certain whose they are.
    #[error(
        "the records from {first} to {last} are missing, and they concern more than one session or it is not certain \
         whose they are; check the disk, then restore the data directory from a backup"
    )]
    Gap {
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// Records are missing at the end.
    #[error(
        "the journal ends with record {found}, but record {acknowledged} had been stored: the disk lost what it had \
         confirmed; restore the data directory from a backup, or delete {mark} to go on without those records"
    )]
    TailLost {
        /// The last record that is there.
        found: u64,
        /// The last record that a caller was told is stored.
        acknowledged: u64,
        /// The file that says so.
        mark: PathBuf,
    },
}

/// What reading the whole database gave.
#[derive(Default)]
pub(crate) struct Contents {
    /// The records that count.
    pub(crate) records: Vec<Record>,
    /// The number of the last record, whether it counts or not.
    pub(crate) last_seq: u64,
    /// The sessions that lost records and were not parked since.
    pub(crate) damage: Vec<Damaged>,
    /// What is to be noted in the database before anything is added to it.
    pub(crate) news: Option<News>,
    /// The numbers in the database that are not to be shown.
    pub(crate) hidden: BTreeSet<u64>,
    /// How many records each stream has.
    pub(crate) counts: Counts,
}

/// What was found out about a database and does not stand in it.
pub(crate) struct News {
    voids: Vec<Void>,
    /// Numbers that are missing or bad.
    lost: Vec<u64>,
    /// Records that are put back from their second copy.
    restored: Vec<(Record, Vec<u8>)>,
    /// All numbers that are there, and whose they are.
    streams: Vec<(u64, Option<SessionId>)>,
}

/// Why reading ended.
pub(crate) enum ReadingError {
    Open(OpenError),
    Fault(Fault),
}

impl From<Fault> for ReadingError {
    fn from(fault: Fault) -> Self {
        ReadingError::Fault(fault)
    }
}

impl From<OpenError> for ReadingError {
    fn from(error: OpenError) -> Self {
        ReadingError::Open(error)
    }
}

/// Reads and checks everything, and mends the index if that is all that is wrong. `acknowledged` is the number up to
/// which all were known to be stored, as the file `mark` says.
pub(crate) fn read_all(
    database: &Database,
    bodies: &Bodies,
    acknowledged: u64,
    mark: &Path,
) -> Result<Contents, ReadingError> {
    let gaps = database.gaps()?;
    let Frames { mut records, bad, last_seq: found } = frames(database, bodies)?;
    let last_seq = gaps.values().copied().fold(found.max(acknowledged), u64::max);
    let mut lost = missing(&records, &bad, &gaps, last_seq)?;
    lost.extend(bad.clone());
    let restored = restored(database, bodies, &mut records, &mut lost)?;
    let voids = database.voids()?;
    let hurt = if lost.is_empty() {
        Vec::new()
    } else {
        let owners = owners(database, &records, &lost)?;
        let owners = owners.map_err(|seq| match bad.get(&seq) {
            Some(why) => OpenError::Record { seq, why: why.clone() },
            None if seq > found => OpenError::TailLost { found, acknowledged, mark: mark.to_owned() },
            None => gap(seq, &lost),
        })?;
        let mut hurt: BTreeMap<SessionId, (u64, String)> = BTreeMap::new();
        // What did not count before is no new loss.
        let covered = |seq: u64, session: &SessionId| voids.iter().any(|void| void.covers(session, seq));
        let known = owners.known.into_iter().filter(|(seq, session)| !covered(*seq, session));
        let counted = owners.counted.into_iter().map(|(session, seq)| (seq, session));
        for (seq, session) in known.chain(counted) {
            let first = hurt.entry(session).or_insert((u64::MAX, String::new()));
            if seq < first.0 {
                *first = (seq, lost[&seq].clone());
            }
        }
        let void = |(session, (first, why))| Void { session, first, last: last_seq, why };
        hurt.into_iter().map(void).collect()
    };
    let removed = removed(&records, voids.iter().chain(&hurt));
    for void in hurt.iter().filter(|void| !removed.contains(&void.session)) {
        // Its first record is what it began with.
        let begun = |record: &Record| record.session.as_ref() == Some(&void.session);
        if !records.iter().take_while(|record| record.seq < void.first).any(begun) {
            let Void { session, first: seq, why, .. } = void.clone();
            return Err(OpenError::Beginning { session, seq, why }.into());
        }
    }
    let mut contents = Contents { records, last_seq, ..Contents::default() };
    if lost.is_empty() && restored.is_empty() {
        contents.counts = mend_index(database, &contents.records)?;
    } else {
        let streams = contents.records.iter().map(|record| (record.seq, record.session.clone())).collect();
        let lost = lost.into_keys().collect();
        contents.news = Some(News { voids: hurt.clone(), lost, restored, streams });
    }
    contents.damage = damage(&contents.records, &voids, &hurt, &removed);
    withhold(&mut contents, &[voids, hurt].concat());
    Ok(contents)
}

/// What stands in the database under the numbers of records.
struct Frames {
    records: Vec<Record>,
    bad: Lost,
    last_seq: u64,
}

fn frames(database: &Database, bodies: &Bodies) -> Result<Frames, ReadingError> {
    let mut found = Frames { records: Vec::new(), bad: Lost::new(), last_seq: 0 };
    let mut stopped = None;
    decoded(database, bodies, |seq, record| {
        found.last_seq = seq;
        match take_record(bodies, seq, record) {
            Ok(Ok(record)) => found.records.push(record),
            Ok(Err(why)) => drop(found.bad.insert(seq, why)),
            Err(error) => {
                stopped = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    match stopped {
        Some(error) => Err(error.into()),
        None => Ok(found),
    }
}

/// One record, or what is bad about it, or why reading cannot go on.
fn take_record(
    bodies: &Bodies,
    seq: u64,
    record: Result<Record, DecodeError>,
) -> Result<Result<Record, String>, OpenError> {
    match record {
        Ok(record) if record.seq == seq => Ok(Ok(record)),
        Ok(record) => Ok(Err(format!("it says that it is record {}", record.seq))),
        Err(source) if source.is_newer() => Err(OpenError::NewerRecord { seq, source }),
        Err(DecodeError::Apart { .. }) if !bodies.is_there() => {
            Err(OpenError::NoBodies { path: bodies.dir().to_owned(), seq })
        }
        Err(error) => Ok(Err(whole_message(&error))),
    }
}

/// The numbers up to the last one that are neither there nor known to be missing.
fn missing(
    records: &[Record],
    bad: &Lost,
    gaps: &BTreeMap<u64, u64>,
    last_seq: u64,
) -> Result<Lost, OpenError> {
    let mut missing = Lost::new();
    let mut next = 1;
    let end = std::iter::once(last_seq.saturating_add(1));
    for there in records.iter().map(|record| record.seq).chain(end) {
        while next < there {
            if let Some(last) = gaps.get(&next) {
                next = last.saturating_add(1);
            } else if missing.len() as u64 > MAX_LOST {
                return Err(gap(next, &missing));
            } else {
                if !bad.contains_key(&next) {
                    missing.insert(next, "it is missing".to_owned());
                }
                next += 1;
            }
        }
        next = there.saturating_add(1);
    }
    Ok(missing)
}

/// The run of lost records around that one.
fn gap(seq: u64, lost: &Lost) -> OpenError {
    let up = (seq..).take_while(|seq| lost.contains_key(seq)).last();
    let down = (0..=seq).rev().take_while(|seq| lost.contains_key(seq)).last();
    OpenError::Gap { first: down.unwrap_or(seq), last: up.unwrap_or(seq) }
}

/// Puts back what sessions began with, from its second copy, among the records.
fn restored(
    database: &Database,
    bodies: &Bodies,
    records: &mut Vec<Record>,
    lost: &mut Lost,
) -> Result<Vec<(Record, Vec<u8>)>, Fault> {
    let mut restored = Vec::new();
    if lost.is_empty() {
        return Ok(restored);
    }
    database.openings(|frame| {
        if let Ok(record) = decode_with(frame, |digest, len| bodies.get(digest, len))
            && lost.remove(&record.seq).is_some()
        {
            restored.push((record, frame.to_vec()));
        }
    })?;
    records.extend(restored.iter().map(|(record, _)| record.clone()));
    records.sort_by_key(|record| record.seq);
    Ok(restored)
}

/// The hurt sessions that are over, and need nothing any more.
fn removed<'a>(records: &[Record], voids: impl Iterator<Item = &'a Void>) -> BTreeSet<SessionId> {
    let hurt: BTreeSet<&SessionId> = voids.map(|void| &void.session).collect();
    if hurt.is_empty() {
        return BTreeSet::new();
    }
    let ends = records.iter().filter(|record| matches!(record.body, Body::Removed));
    ends.filter_map(|record| record.session.clone()).filter(|session| hurt.contains(session)).collect()
}

/// Those that lost records now, and those that lost some before and wrote none since: nobody has parked them yet.
fn damage(records: &[Record], known: &[Void], hurt: &[Void], removed: &BTreeSet<SessionId>) -> Vec<Damaged> {
    let mut damage: BTreeMap<SessionId, Damaged> = BTreeMap::new();
    let mut last: BTreeMap<&SessionId, u64> = BTreeMap::new();
    for void in known.iter().filter(|void| !removed.contains(&void.session)) {
        let end = last.entry(&void.session).or_default();
        *end = void.last.max(*end);
    }
    if !last.is_empty() {
        for record in records {
            if let Some(session) = &record.session
                && last.get(session).is_some_and(|last| record.seq > *last)
            {
                last.remove(session);
            }
        }
    }
    let waiting = known.iter().filter(|void| last.contains_key(&void.session));
    for Void { session, first, why, .. } in waiting.chain(hurt) {
        let told = Damaged { session: session.clone(), seq: *first, why: why.clone() };
        damage.entry(session.clone()).or_insert(told);
    }
    damage.into_values().collect()
}

/// Takes away what does not count. That a session is over counts in any case.
fn withhold(contents: &mut Contents, voids: &[Void]) {
    if voids.is_empty() {
        return;
    }
    let Contents { records, hidden, .. } = contents;
    records.retain(|record| {
        let void =
            record.session.as_ref().is_some_and(|id| voids.iter().any(|void| void.covers(id, record.seq)));
        let counts = !void || matches!(record.body, Body::Removed);
        if !counts {
            hidden.insert(record.seq);
        }
        counts
    });
}

/// Notes in the database what was found out about it. On return that is durable, and the next reading finds nothing
/// new. Returns how many records each stream has.
pub(crate) fn note(database: &Database, news: &News) -> Result<Counts, Fault> {
    let News { voids, lost, restored, streams } = news;
    let mut batch = Batch::default();
    for void in voids {
        batch.void(void);
    }
    let known = database.gaps()?.into_iter().chain(lost.iter().map(|seq| (*seq, *seq)));
    for (first, last) in crate::database::joined(known.collect()) {
        batch.gap(first, last);
    }
    for seq in lost {
        if let Some(frame) = database.frame(*seq)? {
            batch.set_aside(*seq, &frame);
        }
    }
    for (record, frame) in restored {
        batch.record(record, frame.clone());
    }
    let streams: Vec<_> = streams.iter().map(|(seq, session)| (*seq, session.as_ref())).collect();
    let counts = database.reindex(&streams, &mut batch)?;
    database.write(batch)?;
    Ok(counts)
}

/// The index follows from the records: if it says otherwise, it is made again. Returns how many records each stream
/// has.
fn mend_index(database: &Database, records: &[Record]) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    let mut indexed = 0;
    let mut right = true;
    database.index(|session, value| {
        let mut here = 0;
        for seq in index::runs(value).flat_map(|run| run.from(0)) {
            right &= numbered(records, seq).is_some_and(|record| record.session.as_ref() == session);
            here += 1;
            if !right {
                break;
            }
        }
        indexed += here;
        right &= index::before(value) == Some(counts.add(session, here));
    })?;
    if right && indexed == records.len() as u64 {
        return Ok(counts);
    }
    let mut batch = Batch::default();
    let streams: Vec<_> = records.iter().map(|record| (record.seq, record.session.as_ref())).collect();
    let counts = database.reindex(&streams, &mut batch)?;
    database.write(batch)?;
    Ok(counts)
}

/// The record of that number, among records in order. Where none before it is missing, its number tells its place.
fn numbered(records: &[Record], seq: u64) -> Option<&Record> {
    let place = usize::try_from(seq.checked_sub(records.first()?.seq)?).ok()?;
    match records.get(place).filter(|record| record.seq == seq) {
        Some(record) => Some(record),
        None => records.binary_search_by_key(&seq, |record| record.seq).ok().map(|at| &records[at]),
    }
}

/// An error with its causes, in one line.
pub(crate) fn whole_message(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
