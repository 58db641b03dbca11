//! What is hurt in a data directory: `fenix store check`.
//!
//! The database is copied and the copy is read, since opening one mends it: what is hurt stays as it is for whoever
//! looks after it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bodies::Bodies;
use crate::database::Database;
use crate::dir::{Held, io_error};
use crate::keep::fold;
use crate::mark::Mark;
use crate::opening::{Contents, Damaged, OpenError, ReadingError, read_all};
use crate::sled_journal::Settings;

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// Records that can be read.
    pub records: u64,
    /// The number of the last record.
    pub last_seq: u64,
    /// Runs of numbers that were left out on purpose.
    pub gaps: u64,
    /// Sessions that lost records.
    pub damage: Vec<Damaged>,
    /// Why the records do not follow from each other, if they do not.
    pub misfit: Option<String>,
    /// Sessions that are not removed.
    pub sessions: u64,
    /// What a compaction that was cut off left behind; the next one removes it.
    pub leftovers: Vec<PathBuf>,
}

impl Checked {
    /// True if nothing is hurt.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.misfit.is_none()
    }
}

/// Reads and checks everything in a data directory that nobody has open, and changes nothing in it. The copy is made
/// in `scratch`, which must not be there, and removed again.
///
/// # Errors
/// It is in use, or it would not be opened; each says what to do.
pub fn check(path: &Path, scratch: &Path) -> Result<Checked, OpenError> {
    let _held = Held::take(path)?;
    let checked = copy(&path.join("sled"), scratch)
        .map_err(io_error("copy the database to", scratch))
        .and_then(|()| look(path, scratch));
    // It is a copy: one that stays does no harm.
    drop(fs::remove_dir_all(scratch));
    checked
}

fn look(path: &Path, scratch: &Path) -> Result<Checked, OpenError> {
    let broken = |why: String| OpenError::Database { path: path.join("sled"), why };
    let sync = Box::new(|_: &fs::File| Ok(()));
    let database = Database::open(scratch, Settings::default().cache_bytes, sync)
        .map_err(|fault| broken(fault.to_string()))?;
    let read = read_all(&database, &Bodies::new(path.join("bodies")));
    let Contents { records, last_seq, damage } = read.map_err(|error| match error {
        ReadingError::Open(error) => error,
        ReadingError::Fault(fault) => broken(fault.to_string()),
    })?;
    let mark = path.join("acknowledged");
    if mark.exists() {
        let acknowledged = Mark::look(&mark).map_err(io_error("read", &mark))?;
        if last_seq < acknowledged {
            return Err(OpenError::TailLost { found: last_seq, acknowledged, mark });
        }
    }
    let folded = fold(&records);
    let leftovers = ["sled.old", "sled.new"].map(|name| path.join(name));
    Ok(Checked {
        records: records.len() as u64,
        last_seq,
        gaps: database.gaps().map_err(|fault| broken(fault.to_string()))?.len() as u64,
        damage,
        sessions: folded.as_ref().map_or(0, |state| state.sessions.len() as u64),
        misfit: folded.err().map(|error| error.to_string()),
        leftovers: leftovers.into_iter().filter(|path| path.exists()).collect(),
    })
}

/// Copies a directory with the files and directories in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
