//! sled, used only in the ways that are known to be safe.
//!
//! * `flush()` of sled 0.34 is no fsync on Linux: it writes the log and asks the kernel to write those pages back,
//!   but not the file's metadata nor the device's cache. So a write ends with `sync_all` on our own handle to the
//!   database file. sled's background thread is off: it would only sync late and log its errors.
//! * sled panics on some kinds of damage and on some failures. Every call is contained: a panic becomes a
//!   [`Fault`], and after one no further call is made, since sled's locks may be left as they were.
//! * It may forget who waits for a write that failed: writes go through a [`Scribe`], which sees to it.
//! * All that belongs together goes into one `Batch`, which sled recovers as a whole or not at all.
//! * Values stay below 4 KiB, so that no page of sled's grows to the size from which on it goes to a file that is
//!   never synced. Compression is off, the cache fixed.
//!
//! Records lie under their number; other ranges of keys hold the index by session ([`crate::index`]), the numbers
//! that are known to be missing, records that do not count ([`Void`]), and a second copy of what each session began
//! with.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};

use crate::codec::{is_newer_frame, seq_of_frame};
use crate::dir::{create_dir, sync_dir};
use crate::index::{self, Counts};
use crate::scribe::Scribe;

/// How long to wait until sled's threads have let an earlier handle of this process go. Another process cannot have
/// the database: we hold the directory's lock.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);

/// How often to look meanwhile.
const LET_GO_LOOK: Duration = Duration::from_millis(10);

/// How much is read of the database file at once, before sled reads it.
const READ_BYTES: usize = 1 << 20;

const RECORD: u8 = b'r';

/// Numbers that are known to be missing: the first of them, and as its value the last.
const GAP: u8 = b'g';

/// Records that do not count: session and first number; and as its value the last, and why.
const VOID: u8 = b'd';

/// The first record of a session once more, under its id.
const OPENING: u8 = b'o';

/// What could not be read, out of the way, by the number that it had.
const ASIDE: u8 = b'x';

/// Longest reason that is kept with records that do not count, so that no value outgrows its page.
const MAX_WHY: usize = 1000;

/// What syncs the database file: `File::sync_all`, unless a test wants it to fail.
pub(crate) type SyncFile = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// Records of a session that do not count, since one of them was lost; its end counts wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Void {
    pub(crate) session: SessionId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) why: String,
}

impl Void {
    /// True if that record does not count.
    pub(crate) fn covers(&self, session: &SessionId, seq: u64) -> bool {
        (self.first..=self.last).contains(&seq) && self.session == *session
    }
}

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The disk said no.
    #[error("{0}")]
    Io(io::Error),
    /// The database is not as it was written, or sled is at fault.
    #[error("{0}")]
    Damaged(String),
    /// sled gave up in the middle of something.
    #[error("the database gave up: {0}")]
    Panicked(String),
    /// A write neither ended nor failed.
    #[error("the database did not end a write in a minute")]
    Stuck,
    /// It gave up earlier.
    #[error("the database gave up earlier; restart Fenix")]
    Broken,
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Fault::Io(error),
            sled::Error::Corruption { at: Some(at), .. } => Fault::Damaged(format!("damage at {at}")),
            sled::Error::Corruption { at: None, .. } => Fault::Damaged("damage".to_owned()),
            other => Fault::Damaged(other.to_string()),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => error,
            other => io::Error::other(other),
        }
    }
}

/// The open database.
pub(crate) struct Database {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Likewise.
    scribe: Option<Scribe>,
    file: File,
    sync: SyncFile,
    broken: AtomicBool,
}

/// What goes into the database together.
#[derive(Default)]
pub(crate) struct Batch(sled::Batch);

impl Batch {
    /// Adds a record with its frame.
    pub(crate) fn record(&mut self, record: &Record, frame: Vec<u8>) {
        if let (Some(session), Body::Opened { .. }) = (&record.session, &record.body) {
            self.0.insert(opening_key(session), frame.clone());
        }
        self.0.insert(record_key(record.seq), frame);
    }

    /// Adds an entry as it was found elsewhere.
    pub(crate) fn entry(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    /// Puts what stands under a record's number out of the way, for whoever looks into it.
    pub(crate) fn set_aside(&mut self, seq: u64, frame: &[u8]) {
        self.0.remove(record_key(seq));
        self.0.insert([&[ASIDE][..], &seq.to_be_bytes()].concat(), frame);
    }

    /// Notes that those records do not count.
    pub(crate) fn void(&mut self, void: &Void) {
        let mut why = void.why.clone();
        why.truncate(why.floor_char_boundary(MAX_WHY));
        let key = [&[VOID][..], &index::key(Some(&void.session), void.first)].concat();
        self.0.insert(key, [&void.last.to_be_bytes()[..], why.as_bytes()].concat());
    }

    /// Notes that the numbers from `first` to `last` are missing, which then is right.
    pub(crate) fn gap(&mut self, first: u64, last: u64) {
        self.0.insert([&[GAP][..], &first.to_be_bytes()].concat(), last.to_be_bytes().to_vec());
    }

    /// Adds numbers of records, in their order, to the streams of their sessions, which have as many as `counts` says.
    pub(crate) fn index<'a>(
        &mut self,
        records: impl IntoIterator<Item = (u64, Option<&'a SessionId>)>,
        counts: &mut Counts,
    ) {
        for (key, value) in index::entries(records, counts) {
            self.0.insert(key, value);
        }
    }
}

impl Database {
    /// Opens the database in that directory; makes both if the directory is not there.
    ///
    /// On return what was recovered, and the names of its files, are durable.
    pub(crate) fn open(dir: &Path, cache_bytes: u64, sync: SyncFile) -> Result<Database, Fault> {
        if !dir.exists() {
            make(dir).map_err(Fault::Io)?;
        }
        prepare(dir).map_err(Fault::Io)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .use_compression(false);
        let db = open_patiently(&config)?;
        let file = OpenOptions::new().read(true).write(true).open(dir.join("db"));
        let (file, scribe) = match file.and_then(|file| Ok((file, Scribe::start(&db)?))) {
            Ok(both) => both,
            Err(error) => {
                let_go(db);
                return Err(Fault::Io(error));
            }
        };
        let broken = AtomicBool::new(false);
        let database = Database { db: Some(db), scribe: Some(scribe), file, sync, broken };
        database.settle(dir)?;
        Ok(database)
    }

    /// sled writes its configuration and names its files without syncing them.
    fn settle(&self, dir: &Path) -> Result<(), Fault> {
        self.flush(None)?;
        let synced = File::open(dir.join("conf"))
            .and_then(|conf| conf.sync_all())
            .and_then(|()| (self.sync)(&self.file))
            .and_then(|()| sync_dir(&dir.join("blobs")))
            .and_then(|()| sync_dir(dir));
        synced.map_err(Fault::Io)
    }

    /// Writes all of the batch or nothing. On return it survives the loss of power.
    pub(crate) fn write(&self, batch: Batch) -> Result<(), Fault> {
        self.flush(Some(batch.0))?;
        (self.sync)(&self.file).map_err(Fault::Io)
    }

    /// Has the kernel forget what it holds of the database file and what is not waiting to be written.
    ///
    /// After a failed sync Linux holds pages that never reached the disk and counts them as written: a later sync says
    /// yes and writes nothing, and whoever opens the file again reads what the next loss of power takes away. Only
    /// advice: what cannot be dropped stays.
    pub(crate) fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    fn flush(&self, batch: Option<sled::Batch>) -> Result<(), Fault> {
        match &self.scribe {
            Some(scribe) if !self.is_broken() => self.noted(scribe.write(batch)),
            Some(_) | None => Err(Fault::Broken),
        }
    }

    /// The frame of that number.
    pub(crate) fn frame(&self, seq: u64) -> Result<Option<sled::IVec>, Fault> {
        self.contain(|db| db.get(record_key(seq)))
    }

    /// Shows frames with their numbers, in order, from that number on, until told to stop.
    pub(crate) fn frames(
        &self,
        from_seq: u64,
        mut show: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        self.contain(|db| {
            for entry in db.range(record_key(from_seq)..=record_key(u64::MAX)) {
                let (key, frame) = entry?;
                if show(seq_of(&key), &frame).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The numbers that are known to be missing, in runs: the last of each by its first. No two runs touch.
    pub(crate) fn gaps(&self) -> Result<BTreeMap<u64, u64>, Fault> {
        let mut gaps = Vec::new();
        self.contain(|db| {
            for entry in db.scan_prefix([GAP]) {
                let (key, value) = entry?;
                let last = value.as_ref().try_into().map(u64::from_be_bytes);
                gaps.push((seq_of(&key), last.unwrap_or(0)));
            }
            Ok(())
        })?;
        Ok(joined(gaps))
    }

    /// The records that do not count.
    pub(crate) fn voids(&self) -> Result<Vec<Void>, Fault> {
        let mut voids = Vec::new();
        self.contain(|db| {
            for entry in db.scan_prefix([VOID]) {
                let (key, value) = entry?;
                if let (Some(session), Some((last, why))) =
                    (index::session_of(&key[1..]), value.split_first_chunk())
                {
                    let (last, why) = (u64::from_be_bytes(*last), String::from_utf8_lossy(why).into_owned());
                    voids.push(Void { session, first: seq_of(&key), last, why });
                }
            }
            Ok(())
        })?;
        Ok(voids)
    }

    /// Shows the second copies of what sessions began with.
    pub(crate) fn openings(&self, mut show: impl FnMut(&[u8])) -> Result<(), Fault> {
        self.contain(|db| {
            for frame in db.scan_prefix([OPENING]).values() {
                show(&frame?);
            }
            Ok(())
        })
    }

    /// The first numbers of a stream from that one on which `counts` says that they count; at most `limit`.
    pub(crate) fn stream(
        &self,
        session: Option<&SessionId>,
        from_seq: u64,
        limit: usize,
        counts: impl Fn(u64) -> bool,
    ) -> Result<Vec<u64>, Fault> {
        let [zero, from, end] = [0, from_seq, u64::MAX].map(|seq| index::key(session, seq));
        let mut numbers = Vec::new();
        self.contain(|db| {
            // The entry that holds `from_seq` may begin before it.
            let start = db.range(zero..=from.clone()).keys().next_back().transpose()?;
            for entry in db.range(start.map_or(from, |key| key.to_vec())..=end) {
                let (_, value) = entry?;
                let known = index::runs(&value).flat_map(|run| run.from(from_seq)).filter(|seq| counts(*seq));
                numbers.extend(known.take(limit - numbers.len()));
                if numbers.len() == limit {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(numbers)
    }

    /// Shows the whole index, the installation's stream first: whose an entry is, and its value. The entries of a
    /// stream are in order.
    pub(crate) fn index(&self, mut show: impl FnMut(Option<&SessionId>, &[u8])) -> Result<(), Fault> {
        self.contain(|db| {
            for prefix in index::PREFIXES {
                for entry in db.scan_prefix([prefix]) {
                    let (key, value) = entry?;
                    show(index::session_of(&key).as_ref(), &value);
                }
            }
            Ok(())
        })
    }

    /// Makes the index again from the numbers of all records, and adds it to a batch. Returns how many records each
    /// stream has.
    pub(crate) fn reindex(
        &self,
        records: &[(u64, Option<&SessionId>)],
        batch: &mut Batch,
    ) -> Result<Counts, Fault> {
        self.contain(|db| {
            for prefix in index::PREFIXES {
                for key in db.scan_prefix([prefix]).keys() {
                    batch.0.remove(key?);
                }
            }
            Ok(())
        })?;
        let mut counts = Counts::default();
        batch.index(records.iter().copied(), &mut counts);
        Ok(counts)
    }

    fn contain<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Fault> {
        match &self.db {
            Some(db) if !self.is_broken() => self.noted(contained(|| call(db))),
            Some(_) | None => Err(Fault::Broken),
        }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Lets no further call be made after one that left sled as nobody knows.
    fn noted<T>(&self, done: Result<T, Fault>) -> Result<T, Fault> {
        if matches!(done, Err(Fault::Panicked(_) | Fault::Stuck)) {
            self.broken.store(true, Ordering::Release);
        }
        done
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (db, scribe) = (self.db.take(), self.scribe.take());
        if self.is_broken() {
            // Its locks may be held by nobody for ever: to drop it could take as long.
            std::mem::forget((db, scribe));
            return;
        }
        if let Some(scribe) = scribe {
            scribe.stop();
        }
        if let Some(db) = db {
            let_go(db);
        }
    }
}

/// Drops sled, which flushes then, and panics if that fails; nothing that was promised depends on it.
fn let_go(db: sled::Db) {
    drop(contained(|| {
        drop(db);
        Ok(())
    }));
}

/// Makes an empty database under another name, and gives it its own when it is whole: a loss of power while sled makes
/// its files leaves some that it does not open again.
fn make(dir: &Path) -> io::Result<()> {
    let beside = dir.with_extension("new");
    if beside.exists() {
        fs::remove_dir_all(&beside)?;
    }
    create_dir(&beside)?;
    drop(Database::open(&beside, 1 << 20, Arc::new(File::sync_all))?);
    fs::rename(&beside, dir)?;
    sync_dir(dir.parent().unwrap_or(Path::new(".")))
}

/// Makes the files such that sled opens them, whatever came before.
fn prepare(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        // A snapshot that was being written when the power was lost: sled would take it for the newest one, and find
        // it damaged. It needs none.
        if name.as_encoded_bytes().starts_with(b"snap.") && name.as_encoded_bytes().ends_with(b".generating")
        {
            fs::remove_file(entry.path())?;
        }
    }
    let file = match File::open(dir.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    // sled sums up what it reads in a new snapshot, and syncs that. What an earlier process wrote and did not sync must
    // not be in there before it is on the disk.
    file.sync_all()?;
    // What sled cannot read it takes for the torn end of the log, and overwrites. So all is read before; then the kernel
    // has it in its cache.
    io::copy(&mut BufReader::with_capacity(READ_BYTES, file), &mut io::sink()).map(drop)
}

/// Calls sled, and turns a panic into a fault.
pub(crate) fn contained<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    // Unwind-safe: after a panic nothing of what the call has touched is used again.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Fault::from),
        Err(panic) => Err(Fault::Panicked(panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

/// Opens sled; waits while an earlier handle of this process is still being let go by sled's threads.
fn open_patiently(config: &sled::Config) -> Result<sled::Db, Fault> {
    let started = Instant::now();
    loop {
        match contained(|| config.open()) {
            Err(Fault::Io(error)) if is_locked(&error) && started.elapsed() < LET_GO_WITHIN => {
                std::thread::sleep(LET_GO_LOOK);
            }
            other => return other,
        }
    }
}

/// sled says it only in words.
fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}

/// The key of a record.
pub(crate) fn record_key(seq: u64) -> Vec<u8> {
    [&[RECORD][..], &seq.to_be_bytes()].concat()
}

/// The number of the record that has this key.
pub(crate) fn record_of(key: &[u8]) -> Option<u64> {
    let (prefix, seq) = key.split_first()?;
    (*prefix == RECORD).then_some(u64::from_be_bytes(seq.try_into().ok()?))
}

/// True if a key and a value fit to each other, and are of something that is kept here.
pub(crate) fn is_entry(key: &[u8], value: &[u8]) -> bool {
    let Some((prefix, rest)) = key.split_first() else { return false };
    match *prefix {
        RECORD => match seq_of_frame(value) {
            Some(seq) => rest == seq.to_be_bytes(),
            None => rest.len() == 8 && is_newer_frame(value),
        },
        GAP => rest.len() == 8 && value.len() == 8,
        VOID => index::session_of(rest).is_some() && value.len() >= 8,
        OPENING => seq_of_frame(value).is_some() || is_newer_frame(value),
        ASIDE => rest.len() == 8,
        _ => index::is_entry(key, value),
    }
}

fn opening_key(session: &SessionId) -> Vec<u8> {
    [&[OPENING], session.as_str().as_bytes()].concat()
}

fn seq_of(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |seq| u64::from_be_bytes(*seq))
}

/// Runs of numbers, from and to, as few runs as possible.
pub(crate) fn joined(mut runs: Vec<(u64, u64)>) -> BTreeMap<u64, u64> {
    runs.sort();
    let mut few: BTreeMap<u64, u64> = BTreeMap::new();
    for (first, last) in runs {
        match few.last_entry() {
            Some(mut before) if before.get().saturating_add(1) >= first => {
                let longer = last.max(*before.get());
                before.insert(longer);
            }
            Some(_) | None => drop(few.insert(first, last)),
        }
    }
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_touch_are_one() {
        let check = |runs: &[(u64, u64)], wanted: &[(u64, u64)]| {
            assert_eq!(joined(runs.to_vec()).into_iter().collect::<Vec<_>>(), wanted);
        };
        check(&[], &[]);
        check(&[(8, 9), (3, 4)], &[(3, 4), (8, 9)]);
        check(&[(3, 4), (5, 5), (6, 9)], &[(3, 9)]);
        check(&[(3, 9), (4, 5), (9, 12)], &[(3, 12)]);
    }
}
