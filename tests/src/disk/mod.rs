//! A disk that can lose power and fail, mounted for real: whatever runs on it, runs as it is.
//!
//! What is written is seen at once and durable only after a sync: a file's bytes and size after `fsync` or `fdatasync`
//! of the file, names after `fsync` of their directory. `sync_file_range` makes nothing durable. At a cut everything
//! else is there or not, as a seed wants: pages in any order, some of them torn, names in any order (`file`,
//! `tree`). Calls are counted, and any of them can be made to fail (`calls`).
//!
//! It is a FUSE file system in a process of its own (`served`), and needs root and `/dev/fuse`. The kernel sends every
//! `write` at once, so that this knows of it as soon as the page cache of a kernel would.

mod calls;
mod chance;
mod drive;
mod file;
mod served;
mod tree;
mod wire;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

pub use calls::{Call, Fault, Kind, Which};
pub use chance::Chance;
use served::Order;
pub use served::{is_mounted, serve_orders};
pub use wire::{Caching, Errno};

/// A mounted disk. It is unmounted when this is dropped, or when the process that has it ends, however it ends.
///
/// Whatever is asked of it panics if the process that serves it is gone.
pub struct Disk {
    place: PathBuf,
    server: Child,
    line: Mutex<Line>,
}

/// The way to the process that serves a disk; an order at a time.
struct Line {
    /// Nothing once the process shall end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Disk {
    /// Mounts an empty disk over a directory. `server` is the program that calls [`serve_orders`].
    ///
    /// # Errors
    /// It cannot be mounted: there is no `/dev/fuse`, or we are not allowed to.
    pub fn mount(server: &str, place: &Path, caching: Caching) -> io::Result<Disk> {
        let mut command = Command::new(server);
        // In a group of its own: whoever kills a test with all that belongs to it leaves this to unmount the disk.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn()?;
        let (orders, answers) = (server.stdin.take(), server.stdout.take());
        let answers = BufReader::new(answers.ok_or(io::ErrorKind::BrokenPipe)?);
        let line = Mutex::new(Line { orders, answers });
        let disk = Disk { place: place.to_owned(), server, line };
        disk.ask::<()>(&Order::Mount(place.to_owned(), caching))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Every call since the mounting.
    pub fn calls(&self) -> Vec<Call> {
        self.tell(&Order::Calls)
    }

    /// Has calls go wrong from now on; of several faults for one call the first counts.
    pub fn fail(&self, which: Which, fault: Fault) {
        self.tell(&Order::Fail(which, fault))
    }

    /// Has no call go wrong any more.
    pub fn mend(&self) {
        self.tell(&Order::Mend)
    }

    /// Has room for so many bytes and no more; for everything, without a number.
    pub fn limit(&self, bytes: Option<u64>) {
        self.tell(&Order::Limit(bytes))
    }

    /// Bytes of all its files.
    pub fn used(&self) -> u64 {
        self.tell(&Order::Used)
    }

    /// True once the power was lost.
    pub fn is_cut(&self) -> bool {
        self.tell(&Order::IsCut)
    }

    /// The power is lost now, unless it was before. From here on every call of everybody fails; what is left is chosen
    /// by the seed.
    ///
    /// # Errors
    /// It cannot be unmounted.
    pub fn cut(&self, seed: u64) -> io::Result<()> {
        self.ask(&Order::Cut(seed))
    }

    /// Mounts what the loss of power left, at the same place, with nothing going wrong. Whoever has files of before
    /// open finds them gone.
    ///
    /// # Errors
    /// It cannot be unmounted or mounted.
    pub fn restart(&mut self, seed: u64) -> io::Result<()> {
        self.ask(&Order::Restart(seed))
    }

    /// Kills the process that serves it: from here on every call of everybody fails.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.server.kill()?;
        self.server.wait().map(drop)
    }

    fn tell<T: DeserializeOwned>(&self, order: &Order) -> T {
        self.ask(order).unwrap_or_else(|error| panic!("{order:?}: {error}"))
    }

    fn ask<T: DeserializeOwned>(&self, order: &Order) -> io::Result<T> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = line.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{}", serde_json::to_string(order)?)?;
        let mut answer = String::new();
        line.answers.read_line(&mut answer)?;
        serde_json::from_str::<Result<T, String>>(&answer)?.map_err(io::Error::other)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It unmounts the disk at the end of its orders. If it was killed, we do; a place that is free already is as good.
        drop(line.orders.take());
        drop(self.server.wait());
        drop(served::unmount(&self.place));
    }
}
