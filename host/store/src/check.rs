//! What is hurt in a data directory: `fenix store check`.
//!
//! The database is copied and the copy is read, since opening one mends it: what is hurt stays as it is for whoever
//! looks after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bodies::Bodies;
use crate::database::{Fault, SyncFile};
use crate::dir::{Held, check_database, io_error};
use crate::keep::fold;
use crate::log::{self, Hole};
use crate::mark::Mark;
use crate::mend::Place;
use crate::opening::{Damaged, OpenError};
use crate::sled_journal::Settings;

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Why it cannot be opened, if it cannot; what else is said is then what could be seen all the same.
    pub refused: Option<OpenError>,
    /// Records that count.
    pub records: u64,
    /// The number of the last record.
    pub last_seq: u64,
    /// Runs of numbers of which there is no record any more, and that is known.
    pub gaps: u64,
    /// Sessions that lost records and will be parked.
    pub damage: Vec<Damaged>,
    /// Sessions that lost records before; a server parked them.
    pub earlier: Vec<Damaged>,
    /// True if the next start makes the database again of what can be read in its file.
    pub mended: bool,
    /// What cannot be read in the file of the database, if it must be mended or cannot be opened.
    pub holes: Vec<Hole>,
    /// Why the records do not follow from each other, if they do not.
    pub misfit: Option<String>,
    /// Sessions that are not removed.
    pub sessions: u64,
    /// What a compaction that was cut off left behind; the next one removes it.
    pub leftovers: Vec<PathBuf>,
    /// Damaged databases that were made again; they may be removed.
    pub kept: Vec<PathBuf>,
}

impl Checked {
    /// True if nothing is hurt.
    pub fn is_whole(&self) -> bool {
        self.refused.is_none() && !self.mended && self.damage.is_empty() && self.misfit.is_none()
    }
}

/// Reads and checks everything in a data directory that nobody has open, and changes nothing in it. The copy is made
/// in `scratch`, which must not be there, and removed again.
///
/// # Errors
/// It is in use or no data directory, or the disk said no; each says what to do.
pub fn check(path: &Path, scratch: &Path) -> Result<Checked, OpenError> {
    let _held = Held::take(path)?;
    let copied = fs::create_dir(scratch).and_then(|()| copy(&path.join("sled"), &scratch.join("sled")));
    let checked =
        copied.map_err(io_error("copy the database to", scratch)).and_then(|()| look(path, scratch));
    // It is a copy: one that stays does no harm.
    drop(fs::remove_dir_all(scratch));
    let mut checked = checked?;
    let leftovers = ["sled.old", "sled.new"].map(|name| path.join(name));
    checked.leftovers = leftovers.into_iter().filter(|path| path.exists()).collect();
    let names = fs::read_dir(path).map_err(io_error("read the data directory", path))?.flatten();
    let is_kept = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("sled.hurt");
    checked.kept = names.filter(is_kept).map(|entry| entry.path()).collect();
    checked.kept.sort();
    Ok(checked)
}

fn look(path: &Path, scratch: &Path) -> Result<Checked, OpenError> {
    let mark = path.join("acknowledged");
    let acknowledged = if mark.exists() { Mark::look(&mark).map_err(io_error("read", &mark))? } else { 0 };
    let place = Place {
        sled: scratch.join("sled"),
        new_sled: scratch.join("sled.new"),
        old_sled: scratch.join("sled.old"),
        hurt_sled: scratch.join("sled.hurt"),
        bodies: Bodies::new(path.join("bodies")),
        mark,
        acknowledged,
        cache_bytes: Settings::default().cache_bytes,
    };
    let holes = log::survey(&place.sled).map(|survey| survey.holes).unwrap_or_default();
    let sync: SyncFile = Arc::new(|_| Ok(()));
    let found = match check_database(path).and_then(|()| place.open(&sync)) {
        Ok(found) => found,
        Err(refused) => return Ok(Checked { refused: Some(refused), holes, ..Checked::default() }),
    };
    let unreadable = |fault: Fault| OpenError::Database { path: path.join("sled"), why: fault.to_string() };
    let told =
        |void: crate::database::Void| Damaged { session: void.session, seq: void.first, why: void.why };
    let contents = found.contents;
    let folded = fold(&contents.records);
    Ok(Checked {
        records: contents.records.len() as u64,
        last_seq: contents.last_seq,
        gaps: found.database.gaps().map_err(unreadable)?.len() as u64,
        damage: contents.damage,
        earlier: found.database.voids().map_err(unreadable)?.into_iter().map(told).collect(),
        mended: found.mended.is_some(),
        holes: found.mended.map_or_else(Vec::new, |mended| mended.holes),
        sessions: folded.as_ref().map_or(0, |state| state.sessions.len() as u64),
        misfit: folded.err().map(|error| error.to_string()),
        ..Checked::default()
    })
}

/// Copies a directory with the files and directories in it, if it is there.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    if !from.exists() {
        return Ok(());
    }
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
