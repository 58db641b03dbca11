//! A data directory out of an archive.
//!
//! It is made beside its place and gets its name when all of it is durable and was read again: whoever looks finds no
//! data directory, or a whole one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fenix_core::record::Record;

use crate::archive::{self, ArchiveError, Entry, Sum};
use crate::bodies::Bodies;
use crate::database::{Batch, Database};
use crate::dir::{DataDir, create_dir, is_bare, sync_dir, write_file};
use crate::index::Counts;
use crate::mark::Mark;
use crate::opening::OpenError;
use crate::sled_journal::{Settings, SledJournal, store_records};

/// Records that are written together: few enough to be held in memory, enough that a sync each is no matter.
pub(crate) const BATCH: usize = 1000;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is something already.
    #[error("{path} is not empty; name a directory that is empty or not there")]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The disk said no.
    #[error("cannot write {path}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A file in the archive would be written elsewhere.
    #[error("the archive holds a file {name:?}, which belongs to no data directory")]
    Name {
        /// The name.
        name: String,
    },
    /// What was written cannot be opened.
    #[error("what was restored cannot be opened")]
    Open(#[from] OpenError),
    /// What was written is not what the archive holds.
    #[error("what was restored is not what the archive holds ({why}); check the disk")]
    Different {
        /// In what.
        why: String,
    },
}

/// Makes the data directory `path`, which is empty or not there, out of an archive.
///
/// On return it is durable, was opened, and holds every record of the archive.
///
/// # Errors
/// See [`RestoreError`]; `path` is then as before.
pub fn restore(input: impl Read, path: &Path) -> Result<Sum, RestoreError> {
    if path.exists() && !is_bare(path).map_err(io_error(path))? {
        return Err(RestoreError::NotEmpty { path: path.to_owned() });
    }
    let beside = beside(path);
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(io_error(&beside))?;
    }
    let made = write(input, &beside).and_then(|sum| check(&beside, sum));
    let named = made.and_then(|sum| {
        put_in_place(&beside, path).map_err(io_error(path))?;
        Ok(sum)
    });
    if named.is_err() {
        // The failure itself is told; what is left lies under a name that nobody opens.
        drop(fs::remove_dir_all(&beside));
    }
    named
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |source| RestoreError::Io { path, source }
}

/// The name under which it is made.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(|| OsString::from("data"), OsString::from);
    name.push(".restoring");
    path.with_file_name(name)
}

fn put_in_place(beside: &Path, path: &Path) -> io::Result<()> {
    if path.exists() {
        // Nothing but what an interrupted start leaves is in it.
        fs::remove_dir_all(path)?;
    }
    fs::rename(beside, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Writes everything, synced.
fn write(input: impl Read, path: &Path) -> Result<Sum, RestoreError> {
    let dir = DataDir::take(path)?;
    let database = Database::open(&dir.sled(), Settings::default().cache_bytes, Arc::new(File::sync_all))
        .map_err(|fault| io_error(path)(fault.into()))?;
    create_dir(&dir.bodies()).map_err(io_error(&dir.bodies()))?;
    let bodies = Bodies::new(dir.bodies());
    let mut counts = Counts::default();
    let mut waiting = Vec::new();
    let sum = archive::read(input, |entry| match entry {
        Entry::Record(record) => {
            waiting.push(*record);
            if waiting.len() < BATCH {
                Ok(())
            } else {
                store(&database, &bodies, &mut waiting, &mut counts, path)
            }
        }
        Entry::Gap(first, last) => {
            let mut batch = Batch::default();
            batch.gap(first, last);
            database.write(batch).map_err(|fault| io_error(path)(fault.into()))
        }
        Entry::File(name, bytes) => file(path, &name, &bytes),
    })?;
    store(&database, &bodies, &mut waiting, &mut counts, path)?;
    let mark = dir.acknowledged();
    let noted = Mark::open(&mark).and_then(|mut noted| noted.set(sum.last_seq));
    noted.and_then(|()| File::open(&mark)?.sync_all()).map_err(io_error(&mark))?;
    Ok(sum)
}

/// Writes records in one batch, and forgets them.
fn store(
    database: &Database,
    bodies: &Bodies,
    records: &mut Vec<Record>,
    counts: &mut Counts,
    path: &Path,
) -> Result<(), RestoreError> {
    store_records(database, bodies, records, counts).map_err(io_error(path))?;
    records.clear();
    Ok(())
}

/// Writes a file in a folder of the directory.
fn file(path: &Path, name: &str, bytes: &[u8]) -> Result<(), RestoreError> {
    let parts: Vec<Component<'_>> = Path::new(name).components().collect();
    let [Component::Normal(folder), Component::Normal(_)] = parts.as_slice() else {
        return Err(RestoreError::Name { name: name.to_owned() });
    };
    let folder = path.join(folder);
    create_dir(&folder).map_err(io_error(&folder))?;
    let whole = path.join(name);
    write_file(&whole, bytes).map_err(io_error(&whole))
}

/// Opens what was written as a server would.
fn check(path: &Path, sum: Sum) -> Result<Sum, RestoreError> {
    let (_journal, opened) = SledJournal::open(path)?;
    let different = |why: String| Err(RestoreError::Different { why });
    if let Some(hurt) = opened.damage.first() {
        return different(format!("record {} is bad: {}", hurt.seq, hurt.why));
    }
    let found = (opened.last_seq, opened.records.len() as u64);
    if found != (sum.last_seq, sum.records) {
        return different(format!(
            "{} records up to {} instead of {} up to {}",
            found.1, found.0, sum.records, sum.last_seq
        ));
    }
    Ok(sum)
}
