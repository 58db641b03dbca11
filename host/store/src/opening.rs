//! What is found when the journal is opened, and what of it can be used.
//!
//! Everything is read and checked. A record that cannot be read damages its session: that session's records from
//! there on are withheld, so that what is handed out is a state in which the session once was, and the engine parks
//! it. Whatever would falsify more than one session is an error instead: a bad record of the installation, a missing
//! number, an end before what was acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use fenix_core::id::SessionId;
use fenix_core::record::Record;

use crate::bodies::Bodies;
use crate::codec::{DecodeError, FORMAT, decode_with};
use crate::database::{Database, Fault};
use crate::dir::LAYOUT;
use crate::reserve::Reserve;

/// What the journal holds.
#[derive(Debug)]
pub struct Opened {
    /// All usable records, in the order of their numbers; without gaps unless `damage` names some, or they were left
    /// out on purpose.
    pub records: Vec<Record>,
    /// The number of the last record, usable or not: the next one follows it.
    pub last_seq: u64,
    /// The sessions that lost records, one entry each, by id.
    pub damage: Vec<Damaged>,
    /// Whether there is space for more than closings.
    pub reserve: Reserve,
}

/// A session that cannot be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Which.
    pub session: SessionId,
    /// The number of its first bad record. Its records from there on are withheld.
    pub seq: u64,
    /// What is bad about it.
    pub why: String,
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
    /// Records are missing in the middle.
    #[error(
        "the records from {first} to {last} are missing; check the disk, then restore the data directory from a backup"
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
pub(crate) struct Contents {
    pub(crate) records: Vec<Record>,
    pub(crate) last_seq: u64,
    pub(crate) damage: Vec<Damaged>,
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

/// Reads and checks everything, and mends the index if that is all that is wrong.
pub(crate) fn read_all(database: &Database, bodies: &Bodies) -> Result<Contents, ReadingError> {
    let mut records = Vec::new();
    let mut bad = BTreeMap::new();
    let mut last_seq = 0;
    let mut stopped = None;
    let gaps = database.gaps()?;
    database.frames(0, |seq, frame| {
        // What was left out on purpose is as good as there.
        let before = gaps.get(&(last_seq + 1)).copied().unwrap_or(last_seq);
        match take_frame(bodies, before, seq, frame) {
            Ok(Ok(record)) => records.push(record),
            Ok(Err(why)) => {
                bad.insert(seq, why);
            }
            Err(error) => {
                stopped = Some(error);
                return ControlFlow::Break(());
            }
        }
        last_seq = seq;
        ControlFlow::Continue(())
    })?;
    if let Some(error) = stopped {
        return Err(error.into());
    }
    let damage = attribute(database, bad)?;
    if damage.is_empty() {
        mend_index(database, &records)?;
    }
    records.retain(|record| {
        let hurt = damage.iter().find(|damaged| record.session.as_ref() == Some(&damaged.session));
        hurt.is_none_or(|damaged| record.seq < damaged.seq)
    });
    Ok(Contents { records, last_seq, damage })
}

/// One record, or what is bad about it, or why reading cannot go on.
fn take_frame(
    bodies: &Bodies,
    last_seq: u64,
    seq: u64,
    frame: &[u8],
) -> Result<Result<Record, String>, OpenError> {
    if seq != last_seq + 1 {
        return Err(OpenError::Gap { first: last_seq + 1, last: seq.saturating_sub(1) });
    }
    match decode_with(frame, |digest, len| bodies.get(digest, len)) {
        Ok(record) if record.seq == seq => Ok(Ok(record)),
        Ok(record) => Ok(Err(format!("it says that it is record {}", record.seq))),
        Err(source) if source.is_newer() => Err(OpenError::NewerRecord { seq, source }),
        Err(error) => Ok(Err(whole_message(&error))),
    }
}

/// Finds the sessions of bad records by the index: the records themselves cannot be asked.
fn attribute(database: &Database, bad: BTreeMap<u64, String>) -> Result<Vec<Damaged>, ReadingError> {
    if bad.is_empty() {
        return Ok(Vec::new());
    }
    let mut owners = BTreeMap::new();
    database.index(|run, session| {
        if let Some(session) = session {
            owners.extend(bad.range(run.from(0)).map(|(seq, _)| (*seq, session.clone())));
        }
        ControlFlow::Continue(())
    })?;
    let mut damage: BTreeMap<SessionId, Damaged> = BTreeMap::new();
    for (seq, why) in bad {
        let Some(session) = owners.remove(&seq) else {
            return Err(OpenError::Record { seq, why }.into());
        };
        damage.entry(session.clone()).or_insert(Damaged { session, seq, why });
    }
    Ok(damage.into_values().collect())
}

/// The index follows from the records: if it says otherwise, it is made again.
fn mend_index(database: &Database, records: &[Record]) -> Result<(), Fault> {
    let mut indexed = 0;
    let mut right = true;
    database.index(|run, session| {
        for seq in run.from(0) {
            let record = records.binary_search_by_key(&seq, |record| record.seq).ok().map(|at| &records[at]);
            right &= record.is_some_and(|record| record.session.as_ref() == session);
            indexed += 1;
            if !right {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if right && indexed == records.len() { Ok(()) } else { database.reindex(records) }
}

/// An error with its causes, in one line.
pub(crate) fn whole_message(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
