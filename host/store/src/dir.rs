//! The data directory: its layout, its lock, and making files durable.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::bodies::Bodies;
use crate::mark::Mark;
use crate::mend::Place;
use crate::opening::OpenError;

/// The version of the directory's layout that this build makes, and the newest that it opens.
pub const LAYOUT: u32 = 1;

/// What the `FORMAT` file says before its number.
const MARKER: &str = "fenix journal ";

/// More than any `FORMAT` or `lock` file has; a larger one is not ours.
const MAX_SMALL_FILE: u64 = 64;

/// A data directory that nobody else has open.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held by being open; the kernel frees it when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Takes the directory, and makes it if it is not there or empty.
    ///
    /// On return the directory, its marker and their names are durable.
    ///
    /// # Errors
    /// Another process has it; it is of a newer layout, or no data directory; the disk said no.
    pub(crate) fn take(path: &Path) -> Result<DataDir, OpenError> {
        create_dir(path).map_err(io_error("create the data directory", path))?;
        let is_ours = path.join("FORMAT").exists();
        if !is_ours && !is_bare(path).map_err(io_error("read the data directory", path))? {
            return Err(not_ours(path));
        }
        if is_ours {
            check_marker(path)?;
        }
        let lock = lock(path)?;
        let dir = DataDir { path: path.to_owned(), _lock: lock };
        if !is_ours {
            dir.write_marker()?;
        }
        dir.undo_swap().map_err(io_error("put back", &dir.sled()))?;
        check_database(path)?;
        Ok(dir)
    }

    /// Where the database and all that belongs to it are.
    pub(crate) fn place(&self, acknowledged: u64, cache_bytes: u64) -> Place {
        Place {
            sled: self.sled(),
            new_sled: self.new_sled(),
            old_sled: self.old_sled(),
            hurt_sled: self.path.join("sled.hurt"),
            bodies: Bodies::new(self.bodies()),
            mark: self.acknowledged(),
            acknowledged,
            cache_bytes,
        }
    }

    /// Where large bodies are.
    pub(crate) fn bodies(&self) -> PathBuf {
        self.path.join("bodies")
    }

    /// Where the database is.
    pub(crate) fn sled(&self) -> PathBuf {
        self.path.join("sled")
    }

    /// Where the database was while a compacted one takes its place.
    pub(crate) fn old_sled(&self) -> PathBuf {
        self.path.join("sled.old")
    }

    /// Where a compacted database is made.
    pub(crate) fn new_sled(&self) -> PathBuf {
        self.path.join("sled.new")
    }

    /// Where the sessions are that a compaction left out.
    pub(crate) fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// A compaction that was cut off between its two renames left no database in its place: the old one goes back.
    fn undo_swap(&self) -> io::Result<()> {
        if self.sled().exists() || !self.old_sled().exists() {
            return Ok(());
        }
        fs::rename(self.old_sled(), self.sled())?;
        sync_dir(&self.path)
    }

    /// Where the last acknowledged number is.
    pub(crate) fn acknowledged(&self) -> PathBuf {
        self.path.join("acknowledged")
    }

    /// Where the reserved space is.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    fn write_marker(&self) -> Result<(), OpenError> {
        let path = self.path.join("FORMAT");
        write_file(&path, format!("{MARKER}{LAYOUT}\n").as_bytes()).map_err(io_error("write", &path))
    }
}

/// How a data directory stands, without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// Nothing is in it.
    Empty,
    /// It can be opened.
    Free,
    /// Somebody has it open.
    InUse {
        /// Which process, if it left its number.
        holder: Option<u32>,
    },
}

/// Looks how a data directory stands, and changes nothing in it. It holds the lock for a moment.
///
/// # Errors
/// It is no data directory, of a newer layout, or cannot be read.
pub fn standing(path: &Path) -> Result<Standing, OpenError> {
    if !path.try_exists().map_err(io_error("look for the data directory", path))? {
        return Ok(Standing::Missing);
    }
    let bare = is_bare(path).map_err(io_error("read the data directory", path))?;
    if bare {
        return Ok(Standing::Empty);
    }
    match Held::take(path) {
        Ok(_) => Ok(Standing::Free),
        Err(OpenError::Locked { holder, .. }) => Ok(Standing::InUse { holder }),
        Err(error) => Err(error),
    }
}

/// A data directory that nobody else opens as long as this is kept, and in which nothing is changed.
pub(crate) struct Held {
    _lock: Option<File>,
}

impl Held {
    /// Holds a directory.
    ///
    /// # Errors
    /// It is in use, is no data directory, or cannot be read.
    pub(crate) fn take(path: &Path) -> Result<Held, OpenError> {
        if !path.join("FORMAT").exists() {
            return Err(not_ours(path));
        }
        check_marker(path)?;
        let lock = path.join("lock");
        if !lock.exists() {
            return Ok(Held { _lock: None });
        }
        let file = File::open(&lock).map_err(io_error("open", &lock))?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Held { _lock: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                let holder = read_small(&lock).unwrap_or_default().trim().parse().ok();
                Err(OpenError::Locked { path: path.to_owned(), holder })
            }
            Err(TryLockError::Error(source)) => Err(io_error("lock", &lock)(source)),
        }
    }
}

fn check_marker(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join("FORMAT");
    let text = read_small(&path).map_err(io_error("read", &path))?;
    let layout = text.strip_prefix(MARKER).and_then(|rest| rest.trim_end().parse::<u32>().ok());
    match layout {
        Some(LAYOUT) => Ok(()),
        Some(found) if found > LAYOUT => Err(OpenError::NewerLayout { path: dir.to_owned(), found }),
        Some(_) | None => Err(not_ours(dir)),
    }
}

/// Refuses a directory in which a journal was and is no more: it must not look like a new one.
pub(crate) fn check_database(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join("sled/db");
    if path.exists() {
        return Ok(());
    }
    let inside = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mark = dir.join("acknowledged");
    let known = Mark::look(&mark).unwrap_or(0) > 0;
    // The reserve is made last: where there is one, there was a database.
    let reserve = Some(dir.join("reserve")).filter(|path| path.exists());
    let is_marked = mark.exists();
    let mut traces: Vec<PathBuf> = known.then_some(mark).into_iter().chain(reserve).collect();
    // A database that is being made lies there until it is whole.
    let is_new = |path: &PathBuf| path.ends_with("sled.new");
    for folder in inside(dir).filter(|path| path.is_dir() && !is_new(path)) {
        // sled writes its settings before it makes its file, and after the mark was made.
        let is_trace = |path: &PathBuf| path.is_file() && !(is_marked && path.ends_with("sled/conf"));
        traces.extend(inside(&folder).filter(is_trace));
    }
    match traces.into_iter().next() {
        None => Ok(()),
        Some(trace) => Err(OpenError::NoDatabase { path, trace }),
    }
}

/// What is told of a directory without a marker: a journal may be in it all the same.
fn not_ours(path: &Path) -> OpenError {
    if path.join("sled").is_dir() || path.join("acknowledged").is_file() {
        return OpenError::Marker { marker: path.join("FORMAT") };
    }
    OpenError::NotOurs { path: path.to_owned() }
}

/// Makes a closure that names what was being done to which path when the disk said no.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { doing, path, source }
}

/// Makes a directory and its missing parents, with durable names.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dir(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) | Ok(()) => {}
    }
    sync_dir(path)?;
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// True if nothing but what an interrupted [`DataDir::take`] leaves is in the directory.
pub(crate) fn is_bare(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != "lock" && name != "FORMAT.tmp" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read_small(&path).unwrap_or_default().trim().parse().ok();
            return Err(OpenError::Locked { path: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
    }
    // Only for the message to whoever finds it locked: neither its loss nor its absence matters.
    let told = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    told.map_err(io_error("write", &path))?;
    Ok(file)
}

fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_SMALL_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file under a temporary name, then gives it its own. On return the file and its name are durable; before
/// that, whoever looks finds the old file, the new one or none, never a part.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_directory_is_made_with_its_parents_and_taken_again() {
        let scratch = scratch();
        let path = scratch.path().join("a/b");
        drop(DataDir::take(&path).unwrap());
        assert_eq!(fs::read_to_string(path.join("FORMAT")).unwrap(), "fenix journal 1\n");
        drop(DataDir::take(&path).unwrap());
    }

    #[test]
    fn how_a_directory_stands_is_seen_without_touching_it() {
        let scratch = scratch();
        let path = scratch.path().join("data");
        assert_eq!(standing(&path).unwrap(), Standing::Missing);
        fs::create_dir(&path).unwrap();
        assert_eq!(standing(&path).unwrap(), Standing::Empty);
        let held = DataDir::take(&path).unwrap();
        assert_eq!(standing(&path).unwrap(), Standing::InUse { holder: Some(std::process::id()) });
        drop(held);
        assert_eq!(standing(&path).unwrap(), Standing::Free);
        let refused = standing(scratch.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotOurs { .. }), "{refused}");
    }

    #[test]
    fn an_interrupted_creation_is_taken_up() {
        let scratch = scratch();
        fs::write(scratch.path().join("lock"), "17\n").unwrap();
        fs::write(scratch.path().join("FORMAT.tmp"), "fenix jou").unwrap();
        drop(DataDir::take(scratch.path()).unwrap());
    }

    #[test]
    fn a_directory_in_use_is_refused_and_names_the_process() {
        let scratch = scratch();
        let _held = DataDir::take(scratch.path()).unwrap();
        let refused = DataDir::take(scratch.path()).unwrap_err();
        let holder = std::process::id();
        assert!(matches!(refused, OpenError::Locked { holder: Some(pid), .. } if pid == holder));
        assert!(refused.to_string().contains(&format!("process {holder}")), "{refused}");
    }

    #[test]
    fn what_is_no_data_directory_is_left_alone() {
        let check = |file: &str, text: &str, wanted: &str| {
            let scratch = scratch();
            fs::write(scratch.path().join(file), text).unwrap();
            let refused = DataDir::take(scratch.path()).unwrap_err().to_string();
            assert!(refused.contains(wanted), "{refused}");
            assert!(!scratch.path().join("sled").exists());
        };
        check("diary.txt", "dear diary", "no Fenix data directory");
        check("FORMAT", "something else", "no Fenix data directory");
        check("FORMAT", "fenix journal 0\n", "no Fenix data directory");
        check("FORMAT", "fenix journal 2\n", "layout 2");
    }
}
