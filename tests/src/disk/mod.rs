//! A disk that can lose power and fail, mounted for real: whatever runs on it, runs as it is.
//!
//! What is written is seen at once and durable only after a sync: a file's bytes and size after `fsync` or `fdatasync`
//! of the file, names after `fsync` of their directory. `sync_file_range` makes nothing durable. At a cut everything
//! else is there or not, as a seed wants: pages in any order, some of them torn, names in any order (`file`,
//! `tree`). Calls are counted, and any of them can be made to fail (`calls`).
//!
//! It is a FUSE file system in this process, and needs root and `/dev/fuse`. The kernel sends every `write` at once,
//! so that this knows of it as soon as the page cache of a kernel would.

mod calls;
mod chance;
mod drive;
mod file;
mod tree;
mod wire;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use calls::{Call, Fault, Kind, Which};
pub use chance::Chance;
use drive::Drive;
use tree::Tree;
pub use wire::{Caching, Errno};

/// A mounted disk. It is unmounted when this is dropped.
pub struct Disk {
    place: PathBuf,
    drive: Arc<Mutex<Drive>>,
}

impl Disk {
    /// Mounts an empty disk over a directory.
    ///
    /// # Errors
    /// It cannot be mounted: there is no `/dev/fuse`, or we are not allowed to.
    pub fn mount(place: &Path, caching: Caching) -> io::Result<Disk> {
        let drive = Arc::new(Mutex::new(Drive::new(Tree::new(), caching)));
        serve(place, &drive)?;
        Ok(Disk { place: place.to_owned(), drive })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Every call since the mounting.
    pub fn calls(&self) -> Vec<Call> {
        self.drive().calls.clone()
    }

    /// Has calls go wrong from now on; of several faults for one call the first counts.
    pub fn fail(&self, which: Which, fault: Fault) {
        self.drive().faults.push((which, fault));
    }

    /// Has no call go wrong any more.
    pub fn mend(&self) {
        self.drive().faults.clear();
    }

    /// Has room for so many bytes and no more; for everything, without a number.
    pub fn limit(&self, bytes: Option<u64>) {
        self.drive().limit = bytes;
    }

    /// Bytes of all its files.
    pub fn used(&self) -> u64 {
        self.drive().tree.used()
    }

    /// True once the power was lost.
    pub fn is_cut(&self) -> bool {
        self.drive().left.is_some()
    }

    /// The power is lost now, unless it was before. From here on every call of everybody fails; what is left is chosen
    /// by the seed.
    ///
    /// # Errors
    /// It cannot be unmounted.
    pub fn cut(&self, seed: u64) -> io::Result<()> {
        self.drive().cut(seed);
        // That ends the calls that wait, and wakes the thread that serves them.
        unmount(&self.place)
    }

    /// Mounts what the loss of power left, at the same place, with nothing going wrong. Whoever has files of before
    /// open finds them gone.
    ///
    /// # Errors
    /// It cannot be unmounted or mounted.
    pub fn restart(&mut self, seed: u64) -> io::Result<()> {
        if is_mounted(&self.place)? {
            self.cut(seed)?;
        }
        let drive = {
            let mut before = self.drive();
            let left = before.cut(seed).clone();
            Drive { limit: before.limit, ..Drive::new(left, before.caching) }
        };
        self.drive = Arc::new(Mutex::new(drive));
        serve(&self.place, &self.drive)
    }

    fn drive(&self) -> MutexGuard<'_, Drive> {
        lock(&self.drive)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A place that was unmounted already is as good.
        drop(unmount(&self.place));
    }
}

/// The drive, whole or not: a panic of a test must not hide behind another one.
fn lock(drive: &Mutex<Drive>) -> MutexGuard<'_, Drive> {
    drive.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Mounts the drive, and serves it in a thread of its own until the power is lost or it is unmounted.
fn serve(place: &Path, drive: &Arc<Mutex<Drive>>) -> io::Result<()> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    mount(place, &device)?;
    let drive = Arc::clone(drive);
    let work = move || answer_all(device, &drive);
    std::thread::Builder::new().name("disk".into()).spawn(work)?;
    Ok(())
}

/// Ends by closing the device, which ends all calls that still wait.
fn answer_all(mut device: File, drive: &Mutex<Drive>) {
    let mut buffer = vec![0; wire::MAX_REQUEST];
    loop {
        let len = match device.read(&mut buffer) {
            Ok(len) => len,
            // The caller was interrupted, and took its request back.
            Err(error) if matches!(error.raw_os_error(), Some(2 | 4)) => continue,
            // It was unmounted.
            Err(_) => return,
        };
        let Some(request) = wire::parse(&buffer[..len]) else { return };
        let (unique, answer, is_cut) = {
            let mut drive = lock(drive);
            (request.unique, drive.handle(&request), drive.left.is_some())
        };
        if is_cut {
            return;
        }
        if let Some(answer) = answer {
            // Fails if nobody waits for it any more.
            drop(device.write(&answer.bytes(unique)));
        }
    }
}

/// `mount` hands the device on by its number, so that no call of ours is unsafe.
fn mount(place: &Path, device: &File) -> io::Result<()> {
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
    let mut command = Command::new("mount");
    command.args(["-i", "-t", "fuse", "-o", options, "fenix-test-disk"]).arg(place);
    run(command.stdin(Stdio::from(device.try_clone()?)))
}

/// At once, whoever uses it: its calls fail from now on.
fn unmount(place: &Path) -> io::Result<()> {
    if !is_mounted(place)? {
        return Ok(());
    }
    run(Command::new("umount").args(["-i", "-f", "-l"]).arg(place))
}

fn is_mounted(place: &Path) -> io::Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let named = |line: &str| line.split(' ').nth(1).is_some_and(|path| Path::new(path) == place);
    Ok(mounts.lines().any(named))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{said}; the tests of power cuts need root and /dev/fuse")))
}
