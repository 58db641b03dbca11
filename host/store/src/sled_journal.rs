//! The journal in a data directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fenix_core::record::Record;
use fenix_engine::ports::{Journal, JournalError};

use crate::batch;
use crate::bodies::Bodies;
use crate::codec::encode_within;
use crate::database::{Batch, Database, SyncFile};
use crate::dir::{DataDir, create_dir, io_error};
use crate::index::Counts;
use crate::mark::Mark;
use crate::mend::Found;
use crate::opening::{Contents, OpenError, Opened, note};
use crate::reader::Reader;
use crate::reserve::{Reserve, ReserveFile, is_full};

/// Largest value in the database in bytes; a body that does not fit goes to a file. A page of the database holds up
/// to twenty values and must stay below 128 KiB, from where on sled puts it into a file that it never syncs.
pub const MAX_VALUE: usize = 4096;

/// What a journal may use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Memory for the database's pages in bytes. Only reading old sessions gains from more.
    pub cache_bytes: u64,
    /// Disk space in bytes that is held back for closings; 0 for none.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    /// A cache for the records of some hundred sessions. Reserved: the closings of 1,000 hosts are some 20,000
    /// records of 300 bytes, of which the database makes three times as much.
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, reserve_bytes: 20 << 20 }
    }
}

/// The one writer of a data directory.
pub struct SledJournal {
    shared: Arc<Shared>,
    counts: Counts,
    mark: Mark,
    reserve: ReserveFile,
}

/// What the writer and all readers hold together. The directory's lock is let go last.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) bodies: Bodies,
    /// Numbers of records that do not count.
    pub(crate) hidden: BTreeSet<u64>,
    acknowledged: AtomicU64,
    failure: OnceLock<String>,
    _dir: DataDir,
}

impl Shared {
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

impl SledJournal {
    /// Opens a data directory with the usual [`Settings`], and makes it if it is not there.
    ///
    /// On return nobody else can open it until the journal and all its readers are dropped, and everything in it
    /// was read and checked.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(path: &Path) -> Result<(SledJournal, Opened), OpenError> {
        Self::open_with(path, &Settings::default())
    }

    /// Opens a data directory, like [`SledJournal::open`].
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open_with(path: &Path, settings: &Settings) -> Result<(SledJournal, Opened), OpenError> {
        Self::open_syncing_by(path, settings, Arc::new(File::sync_all))
    }

    pub(crate) fn open_syncing_by(
        path: &Path,
        settings: &Settings,
        sync: SyncFile,
    ) -> Result<(SledJournal, Opened), OpenError> {
        let dir = DataDir::take(path)?;
        let mark = Mark::open(&dir.acknowledged()).map_err(io_error("open", &dir.acknowledged()))?;
        let place = dir.place(mark.last(), settings.cache_bytes);
        let Found { database, mut contents, mended } = place.open(&sync)?;
        create_dir(&dir.bodies()).map_err(io_error("create", &dir.bodies()))?;
        if let Some(news) = contents.news.take() {
            let unwritable = |fault: crate::database::Fault| io_error("write", &dir.sled())(fault.into());
            contents.counts = note(&database, &news).map_err(unwritable)?;
        }
        let reserve = ReserveFile::new(dir.reserve(), settings.reserve_bytes);
        let held = reserve.hold().map_err(io_error("hold back space in", &dir.reserve()))?;
        let Contents { records, last_seq, damage, hidden, counts, .. } = contents;
        let opened = Opened { records, last_seq, damage, mended, reserve: held };
        let shared = Shared {
            database,
            bodies: place.bodies,
            hidden,
            acknowledged: AtomicU64::new(last_seq),
            failure: OnceLock::new(),
            _dir: dir,
        };
        Ok((SledJournal { shared: Arc::new(shared), counts, mark, reserve }, opened))
    }

    /// A reader, to be cloned and sent to other threads.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Why the journal takes no records any more; `None` while it does.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure()
    }

    /// Holds space back again if the disk has room for it; some ten MiB are written and removed to find out.
    ///
    /// # Errors
    /// The disk said no for another reason than being full.
    pub fn hold_reserve(&self) -> io::Result<Reserve> {
        self.reserve.hold()
    }

    fn store(&mut self, records: &[Record]) -> Result<(), JournalError> {
        batch::check(self.shared.acknowledged(), records)?;
        let Some(last) = records.last() else { return Ok(()) };
        let Shared { database, bodies, .. } = &*self.shared;
        let stored = store_records(database, bodies, records, &mut self.counts);
        stored.and_then(|()| self.mark.set(last.seq)).map_err(JournalError::Write)?;
        self.shared.acknowledged.store(last.seq, Ordering::Release);
        Ok(())
    }

    /// Refuses everything from now on: what the disk holds is unknown until the journal is opened again.
    fn give_up(&self, error: &JournalError) {
        let full = matches!(error, JournalError::Write(error) if is_full(error));
        let mut why = crate::opening::whole_message(error);
        if full {
            why.push_str("; the space that was held back is given up so that sessions can be closed");
            if let Err(error) = self.reserve.release() {
                why.push_str(&format!(" (which failed: {error})"));
            }
        }
        if let Err(error) = self.shared.database.forget_cached() {
            why.push_str(&format!("; what the kernel holds of the database could not be dropped: {error}"));
        }
        // Only the first failure counts, and only the writer comes here, once.
        drop(self.shared.failure.set(why));
    }
}

/// Writes records, in the order of their numbers, in one batch. On return they are durable. `counts` says how many
/// records each stream has, and is right only as long as nothing fails.
pub(crate) fn store_records(
    database: &Database,
    bodies: &Bodies,
    records: &[Record],
    counts: &mut Counts,
) -> io::Result<()> {
    let mut batch = Batch::default();
    for record in records {
        let parts = encode_within(record, MAX_VALUE).map_err(io::Error::other)?;
        if let Some((digest, body)) = parts.apart {
            bodies.put(digest, &body)?;
        }
        batch.record(record, parts.frame);
    }
    batch.index(records.iter().map(|record| (record.seq, record.session.as_ref())), counts);
    Ok(database.write(batch)?)
}

impl Journal for SledJournal {
    /// Appends in one batch of the database, and returns when that is synced. After an error every further append
    /// is refused.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if let Some(why) = self.failure() {
            return Err(JournalError::Write(io::Error::other(format!("it failed before: {why}"))));
        }
        self.store(records).inspect_err(|error| self.give_up(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use fenix_core::record::Body;
    use fenix_core::time::Time;

    use super::*;
    use crate::reserve::Reserve;

    const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 10_000 };

    fn noted(seq: u64) -> Record {
        let body = Body::Noted { key: format!("k{seq}"), value: None };
        Record { seq, at: Time(seq), session: Some("s".into()), body }
    }

    /// A journal whose syncs fail once `failure` holds an error.
    fn failing(path: &Path, failure: &Arc<Mutex<Option<io::ErrorKind>>>) -> SledJournal {
        let failure = Arc::clone(failure);
        let sync = move |file: &File| match *failure.lock().unwrap() {
            Some(kind) => Err(io::Error::from(kind)),
            None => file.sync_all(),
        };
        SledJournal::open_syncing_by(path, &SMALL, Arc::new(sync)).unwrap().0
    }

    #[test]
    fn after_a_failed_sync_nothing_is_taken_and_nothing_unsynced_is_shown() {
        let scratch = tempfile::tempdir().unwrap();
        let failure = Arc::new(Mutex::new(None));
        let mut journal = failing(scratch.path(), &failure);
        let reader = journal.reader();
        journal.append(&[noted(1)]).unwrap();

        *failure.lock().unwrap() = Some(io::ErrorKind::Other);
        journal.append(&[noted(2)]).unwrap_err();
        *failure.lock().unwrap() = None;
        let refused = journal.append(&[noted(2)]).unwrap_err();
        assert!(crate::opening::whole_message(&refused).contains("it failed before"), "{refused:?}");
        assert!(reader.failure().is_some());
        assert_eq!(reader.records(0, 10).unwrap(), [noted(1)]);
        assert_eq!(reader.records_of(&"s".into(), 0, 10).unwrap(), [noted(1)]);
        assert!(scratch.path().join("reserve").exists());
    }

    #[test]
    fn on_a_full_disk_the_reserve_is_given_up() {
        let scratch = tempfile::tempdir().unwrap();
        let failure = Arc::new(Mutex::new(None));
        let mut journal = failing(scratch.path(), &failure);
        assert!(scratch.path().join("reserve").exists());
        *failure.lock().unwrap() = Some(io::ErrorKind::StorageFull);
        journal.append(&[noted(1)]).unwrap_err();
        assert!(journal.failure().unwrap().contains("given up"));
        assert!(!scratch.path().join("reserve").exists());
        drop(journal);

        let (_, opened) = SledJournal::open_with(scratch.path(), &SMALL).unwrap();
        assert_eq!(opened.reserve, Reserve::Held, "the disk has room again");
    }

    #[test]
    fn a_record_that_cannot_be_encoded_is_refused_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut journal, _) = SledJournal::open_with(scratch.path(), &SMALL).unwrap();
        let huge = Body::Undecided { why: "y".repeat(crate::codec::MAX_BODY) };
        let refused = journal.append(&[noted(1), Record { body: huge, ..noted(2) }]).unwrap_err();
        assert!(crate::opening::whole_message(&refused).contains("undecided record 2"), "{refused:?}");
        drop(journal);
        assert_eq!(SledJournal::open_with(scratch.path(), &SMALL).unwrap().1.last_seq, 0);
    }
}
