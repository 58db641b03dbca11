//! The journal as the server keeps it: the writer appends to it, readers read it, and after a failure it is opened again
//! in its place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fenix_core::record::Record;
use fenix_engine::ports::{Journal, JournalError};
use fenix_store::{OpenError, Opened, Reader, Reserve, SledJournal};

/// A journal that can be opened again after it failed.
pub trait Reopen: Send {
    /// Closes what is left of it and opens it again: from then on its writer appends to what was found.
    ///
    /// # Errors
    /// It cannot be opened; it takes nothing until this succeeds.
    fn reopen(&mut self) -> Result<Opened, OpenError>;

    /// Holds space for closings back again, if the disk has room.
    ///
    /// # Errors
    /// The disk said no for another reason than being full.
    fn hold_reserve(&mut self) -> io::Result<Reserve>;
}

/// The journal in a data directory.
pub struct Store {
    path: PathBuf,
    open: Arc<Open>,
}

/// What is open; nothing while it is opened again.
struct Open {
    journal: Mutex<Option<SledJournal>>,
    /// Apart, so that nobody who reads waits for the writer.
    reader: Mutex<Option<Reader>>,
}

impl Store {
    /// Opens a data directory, and makes it if it is not there.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(path: &Path) -> Result<(Store, Opened), OpenError> {
        let (journal, opened) = SledJournal::open(path)?;
        let reader = Mutex::new(Some(journal.reader()));
        let open = Arc::new(Open { journal: Mutex::new(Some(journal)), reader });
        Ok((Store { path: path.to_owned(), open }, opened))
    }

    /// What appends to the journal that is open.
    pub fn writer(&self) -> Box<dyn Journal + Send> {
        Box::new(Appending(self.open.clone()))
    }

    /// What reads the journal that is open.
    pub fn readers(&self) -> Readers {
        Readers(self.open.clone())
    }
}

impl Reopen for Store {
    fn reopen(&mut self) -> Result<Opened, OpenError> {
        let mut journal = held(&self.open.journal);
        // Whoever still reads keeps the directory in use: then opening fails, and is tried again later.
        drop(held(&self.open.reader).take());
        drop(journal.take());
        let (again, opened) = SledJournal::open(&self.path)?;
        *held(&self.open.reader) = Some(again.reader());
        *journal = Some(again);
        Ok(opened)
    }

    fn hold_reserve(&mut self) -> io::Result<Reserve> {
        held(&self.open.journal).as_ref().map_or(Ok(Reserve::Spent), SledJournal::hold_reserve)
    }
}

struct Appending(Arc<Open>);

impl Journal for Appending {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        match &mut *held(&self.0.journal) {
            Some(journal) => journal.append(records),
            None => Err(JournalError::Write(io::Error::other("it is not open"))),
        }
    }
}

/// Where readers of the journal come from.
#[derive(Clone)]
pub struct Readers(Arc<Open>);

impl Readers {
    /// A reader of the journal that is open; `None` while it is opened again.
    pub fn get(&self) -> Option<Reader> {
        held(&self.0.reader).clone()
    }
}

/// What is behind a mutex, also after a thread that held it broke: each change to it is one assignment.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
