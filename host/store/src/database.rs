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
//! Records lie under their number; other ranges of keys hold the index by session ([`crate::index`]), and the numbers
//! that were left out on purpose.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fenix_core::id::SessionId;
use fenix_core::record::Record;

use crate::dir::{create_dir, sync_dir};
use crate::index::{self, Run};
use crate::scribe::Scribe;

/// How long to wait until sled's threads have let an earlier handle of this process go. Another process cannot have
/// the database: we hold the directory's lock.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);

/// How often to look meanwhile.
const LET_GO_LOOK: Duration = Duration::from_millis(10);

/// How much is read of the database file at once, before sled reads it.
const READ_BYTES: usize = 1 << 20;

const RECORD: u8 = b'r';

/// Numbers that were left out on purpose: the first of them, and as its value the last.
const GAP: u8 = b'g';

/// What syncs the database file: `File::sync_all`, unless a test wants it to fail.
pub(crate) type SyncFile = Box<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

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
    /// Adds a record's frame under its number.
    pub(crate) fn record(&mut self, seq: u64, frame: Vec<u8>) {
        self.0.insert(record_key(seq), frame);
    }

    /// Notes that the numbers from `first` to `last` are left out on purpose.
    pub(crate) fn gap(&mut self, first: u64, last: u64) {
        self.0.insert([&[GAP][..], &first.to_be_bytes()].concat(), last.to_be_bytes().to_vec());
    }

    /// Adds records, in the order of their numbers, to the streams of their sessions.
    pub(crate) fn index<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) {
        for (key, value) in index::entries(records.into_iter().map(|r| (r.seq, r.session.as_ref()))) {
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

    /// The numbers that were left out on purpose: the last of each gap, by its first.
    pub(crate) fn gaps(&self) -> Result<BTreeMap<u64, u64>, Fault> {
        let mut gaps = BTreeMap::new();
        self.contain(|db| {
            for entry in db.scan_prefix([GAP]) {
                let (key, value) = entry?;
                let last = value.as_ref().try_into().map(u64::from_be_bytes);
                gaps.insert(seq_of(&key), last.unwrap_or(0));
            }
            Ok(())
        })?;
        Ok(gaps)
    }

    /// The first numbers of a stream from that one on; at most `limit`.
    pub(crate) fn stream(
        &self,
        session: Option<&SessionId>,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<u64>, Fault> {
        let [zero, from, end] = [0, from_seq, u64::MAX].map(|seq| index::key(session, seq));
        let mut numbers = Vec::new();
        self.contain(|db| {
            // The entry that holds `from_seq` may begin before it.
            let start = db.range(zero..=from.clone()).keys().next_back().transpose()?;
            for entry in db.range(start.map_or(from, |key| key.to_vec())..=end) {
                let (_, value) = entry?;
                let known = index::runs(&value).flat_map(|run| run.from(from_seq));
                numbers.extend(known.take(limit - numbers.len()));
                if numbers.len() == limit {
                    break;
                }
            }
            Ok(())
        })?;
        Ok(numbers)
    }

    /// Shows the whole index, the installation's stream first: runs of numbers, and the session whose they are,
    /// until told to stop.
    pub(crate) fn index(
        &self,
        mut show: impl FnMut(Run, Option<&SessionId>) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        self.contain(|db| {
            for prefix in index::PREFIXES {
                for entry in db.scan_prefix([prefix]) {
                    let (key, value) = entry?;
                    let session = index::session_of(&key);
                    if index::runs(&value).try_for_each(|run| show(run, session.as_ref())).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Makes the index again from all records.
    pub(crate) fn reindex(&self, records: &[Record]) -> Result<(), Fault> {
        let mut batch = Batch::default();
        self.contain(|db| {
            for prefix in index::PREFIXES {
                for key in db.scan_prefix([prefix]).keys() {
                    batch.0.remove(key?);
                }
            }
            Ok(())
        })?;
        batch.index(records);
        self.write(batch)
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
    drop(Database::open(&beside, 1 << 20, Box::new(File::sync_all))?);
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

fn record_key(seq: u64) -> Vec<u8> {
    [&[RECORD][..], &seq.to_be_bytes()].concat()
}

fn seq_of(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |seq| u64::from_be_bytes(*seq))
}
