//! A smaller database in the place of a large one: `fenix store compact`.
//!
//! Nobody else may have the data directory open. In this order:
//!
//! 1. what is to be kept is chosen ([`crate::keep`]), and its fold is compared with the fold of everything;
//! 2. the sessions that lose records are archived whole, a file each;
//! 3. the new database is made beside the old one, closed, opened, read, and its fold compared again;
//! 4. the old one is set aside, and the new one takes its place;
//! 5. the new one is opened and compared once more; only then the old one goes.
//!
//! Records keep their numbers. Those that are missing are noted, so that opening still refuses others. Whoever is cut
//! off anywhere finds the old database or the new one, both whole; what else lies there goes with the next compaction.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fenix_core::id::SessionId;
use fenix_core::record::Record;
use fenix_core::state::{FoldError, State};
use fenix_core::time::{Millis, Time};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::bodies::Bodies;
use crate::codec::{EncodeError, encode_within};
use crate::database::{Batch, Database, SyncFile};
use crate::dir::{DataDir, create_dir, sync_dir, write_file};
use crate::index::Counts;
use crate::keep::{Kept, fold, kept};
use crate::mark::Mark;
use crate::opening::{Contents, OpenError, ReadingError, read_all};
use crate::restore::BATCH;
use crate::sled_journal::{MAX_VALUE, Settings, store_records};

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Records before.
    pub before: u64,
    /// Records after.
    pub after: u64,
    /// The sessions that lost records.
    pub sessions: Vec<SessionId>,
    /// Bytes of the database before.
    pub bytes_before: u64,
    /// Bytes of the database after; as before if nothing was done.
    pub bytes_after: u64,
}

/// Why a compaction did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A session is hurt.
    #[error(
        "session {session} is hurt from record {seq} on ({why}); a server that is started parks it, and then this works"
    )]
    Hurt {
        /// Which.
        session: SessionId,
        /// Its first bad record.
        seq: u64,
        /// What is bad about it.
        why: String,
    },
    /// The records contradict each other.
    #[error("the records cannot be folded, so nothing is left out")]
    Fold(#[from] FoldError),
    /// A record cannot be written again.
    #[error("a record cannot be written again")]
    Encode(#[from] EncodeError),
    /// What would be kept means something else.
    #[error(
        "what would be kept does not mean the same as all records{at}, so the old database stays; this is a fault of Fenix"
    )]
    Different {
        /// Where that was found.
        at: &'static str,
    },
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
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CompactError + use<> {
    let path = path.to_owned();
    move |source| CompactError::Io { doing, path, source }
}

/// Where a compaction can be cut off, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// It is known what is kept.
    Planned,
    /// The sessions are archived.
    Archived,
    /// Half of the new database is written.
    HalfWritten,
    /// The new database is whole.
    Written,
    /// The old one is set aside.
    SetAside,
    /// The new one is in its place.
    Swapped,
    /// All is done.
    Done,
}

/// Leaves out sessions that were removed at least `retention` ago, and looks that later ones supersede; with `dry`
/// only says what it would do.
///
/// # Errors
/// See [`CompactError`]; all records are then still there.
pub fn compact(path: &Path, retention: Millis, now: Time, dry: bool) -> Result<Compacted, CompactError> {
    compact_until(path, retention, now, if dry { Step::Planned } else { Step::Done })
}

/// Compacts, and stops dead after that step.
pub(crate) fn compact_until(
    path: &Path,
    retention: Millis,
    now: Time,
    last: Step,
) -> Result<Compacted, CompactError> {
    let dir = DataDir::take(path)?;
    let bodies = Bodies::new(dir.bodies());
    let records = all(&dir)?;
    let state = fold(&records)?;
    let Kept { records: kept, sessions } = kept(&records, &state, retention, now);
    if fold(&kept)? != state {
        return Err(CompactError::Different { at: "" });
    }
    let bytes_before = size(&dir.sled());
    let mut done = Compacted {
        before: records.len() as u64,
        after: kept.len() as u64,
        sessions: sessions.iter().cloned().collect(),
        bytes_before,
        bytes_after: bytes_before,
    };
    if last == Step::Planned || kept.len() == records.len() {
        return Ok(done);
    }
    for session in &sessions {
        archive(&dir, session, &records)?;
    }
    if last == Step::Archived {
        return Ok(done);
    }
    for leftover in [dir.new_sled(), dir.old_sled()] {
        // The database was just read to its end, so nobody needs another one.
        if leftover.exists() {
            fs::remove_dir_all(&leftover).map_err(failed("remove", &leftover))?;
        }
    }
    if !write(&dir, &bodies, &kept, last)? {
        return Ok(done);
    }
    if fold(&whole(&dir, &dir.new_sled(), &bodies)?)? != state {
        return Err(CompactError::Different { at: " when it is read from the disk" });
    }
    if last == Step::Written || !swap(&dir, last).map_err(failed("swap the databases in", path))? {
        return Ok(done);
    }
    settle(&dir, &bodies, &kept, &state)?;
    done.bytes_after = size(&dir.sled());
    Ok(done)
}

/// All records that count, from a database that is mended first if it must be.
fn all(dir: &DataDir) -> Result<Vec<Record>, CompactError> {
    let mark = dir.acknowledged();
    let acknowledged = Mark::open(&mark).map_err(failed("open", &mark))?.last();
    let sync: SyncFile = Arc::new(File::sync_all);
    let found = dir.place(acknowledged, Settings::default().cache_bytes).open(&sync)?;
    whole_records(found.contents)
}

fn whole_records(contents: Contents) -> Result<Vec<Record>, CompactError> {
    match contents.damage.into_iter().next() {
        None => Ok(contents.records),
        Some(hurt) => Err(CompactError::Hurt { session: hurt.session, seq: hurt.seq, why: hurt.why }),
    }
}

/// All records of a database that a compaction made; none may be bad or missing.
fn whole(dir: &DataDir, sled: &Path, bodies: &Bodies) -> Result<Vec<Record>, CompactError> {
    let broken = |why: String| OpenError::Database { path: sled.to_owned(), why };
    let mark = dir.acknowledged();
    let acknowledged = Mark::open(&mark).map_err(failed("open", &mark))?.last();
    let database = Database::open(sled, Settings::default().cache_bytes, Arc::new(File::sync_all))
        .map_err(|fault| broken(fault.to_string()))?;
    let read = read_all(&database, bodies, acknowledged, &mark);
    whole_records(read.map_err(|error| match error {
        ReadingError::Open(error) => error,
        ReadingError::Fault(fault) => broken(fault.to_string()),
    })?)
}

/// Writes all records of a session into a file, a line of JSON each, unless that was done before.
fn archive(dir: &DataDir, session: &SessionId, records: &[Record]) -> Result<(), CompactError> {
    let folder = dir.archive();
    create_dir(&folder).map_err(failed("create", &folder))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = session.as_str().chars().map(plain).collect();
    let path = folder.join(format!("{name}.jsonl"));
    if path.exists() {
        // It holds more than there is left now.
        return Ok(());
    }
    let mut text = String::new();
    let mut count = 0;
    for record in records.iter().filter(|record| record.session.as_ref() == Some(session)) {
        let line = serde_json::to_string(record).map_err(io::Error::from).map_err(failed("write", &path))?;
        text.push_str(&line);
        text.push('\n');
        count += 1;
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    text.push_str(&format!("{}\n", json!({ "records": count, "sha256_of_the_lines_before": digest })));
    write_file(&path, text.as_bytes()).map_err(failed("write", &path))
}

/// Makes the new database; false if it was cut off.
fn write(dir: &DataDir, bodies: &Bodies, kept: &[Record], last: Step) -> Result<bool, CompactError> {
    let path = dir.new_sled();
    create_dir(&path).map_err(failed("create", &path))?;
    let unwritable = |fault: crate::database::Fault| failed("write", &path)(fault.into());
    let database = Database::open(&path, Settings::default().cache_bytes, Arc::new(File::sync_all))
        .map_err(unwritable)?;
    let mut counts = Counts::default();
    for (at, records) in kept.chunks(BATCH).enumerate() {
        if last == Step::HalfWritten && (at + 1) * BATCH >= kept.len() / 2 {
            return Ok(false);
        }
        store_records(&database, bodies, records, &mut counts).map_err(failed("write", &path))?;
    }
    let mut batch = Batch::default();
    for (first, last) in gaps(kept) {
        batch.gap(first, last);
    }
    database.write(batch).map_err(unwritable)?;
    Ok(true)
}

/// The numbers up to the last record that are not kept, in runs: also those that were left out before.
fn gaps(kept: &[Record]) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for record in kept {
        if record.seq > next {
            gaps.push((next, record.seq - 1));
        }
        next = record.seq + 1;
    }
    gaps
}

/// Puts the new database into the place of the old one; false if it was cut off.
fn swap(dir: &DataDir, last: Step) -> io::Result<bool> {
    let parent = dir.sled();
    let parent = parent.parent().unwrap_or(Path::new("."));
    fs::rename(dir.sled(), dir.old_sled())?;
    sync_dir(parent)?;
    if last == Step::SetAside {
        return Ok(false);
    }
    fs::rename(dir.new_sled(), dir.sled())?;
    sync_dir(parent)?;
    Ok(last != Step::Swapped)
}

/// Opens what is there now, and removes what nobody needs any more.
fn settle(dir: &DataDir, bodies: &Bodies, kept: &[Record], state: &State) -> Result<(), CompactError> {
    if fold(&whole(dir, &dir.sled(), bodies)?)? != *state {
        return Err(CompactError::Different { at: " in its place" });
    }
    let old = dir.old_sled();
    fs::remove_dir_all(&old).map_err(failed("remove", &old))?;
    let mut needed = BTreeSet::new();
    for record in kept {
        needed.extend(encode_within(record, MAX_VALUE)?.apart.map(|(digest, _)| digest.to_string()));
    }
    let folder = dir.bodies();
    for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
        let entry = entry.map_err(failed("read", &folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_body = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_body && !needed.contains(&name) {
            fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
        }
    }
    sync_dir(&folder).map_err(failed("sync", &folder))
}

/// Bytes of the files in a directory and those in it; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests;
