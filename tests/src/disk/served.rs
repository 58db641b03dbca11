//! The process that serves a disk: it mounts the disk, does what it is told line by line, and unmounts it when nobody is
//! left to tell it anything.
//!
//! It has a process of its own since the kernel waits for it. A program that serves what it uses itself cannot be
//! killed: its end waits for calls that only it could answer. This one uses nothing of what it serves. If it is killed,
//! its device closes, and every call to the disk fails.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::calls::{Fault, Which};
use super::drive::Drive;
use super::tree::Tree;
use super::wire::{self, Caching};

/// What the process is told, a line of JSON each; [`super::Disk`] says what each means. Each is answered by a line with
/// a `Result<Value, String>`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first one, and only the first: mounts an empty disk.
    Mount(PathBuf, Caching),
    Calls,
    Fail(Which, Fault),
    Mend,
    Limit(Option<u64>),
    Used,
    IsCut,
    Cut(u64),
    Restart(u64),
}

/// Serves one disk until the standard input ends, which it does with the process at its other end, however that ends.
///
/// # Errors
/// The standard input or output cannot be used, or holds something else than orders.
pub fn serve_orders() -> io::Result<()> {
    let mut served: Option<Served> = None;
    for line in io::stdin().lock().lines() {
        let answer = match (serde_json::from_str(&line?)?, &mut served) {
            (Order::Mount(place, caching), None) => Served::mount(place, caching).map(|disk| {
                served = Some(disk);
                Value::Null
            }),
            (order, Some(disk)) => disk.follow(order),
            (order, None) => Err(io::Error::other(format!("{order:?} comes before the mounting"))),
        };
        let answer = answer.map_err(|error| error.to_string());
        println(&serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

fn println(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A mounted disk. It is unmounted when this is dropped.
struct Served {
    place: PathBuf,
    drive: Arc<Mutex<Drive>>,
}

impl Served {
    fn mount(place: PathBuf, caching: Caching) -> io::Result<Served> {
        let drive = Arc::new(Mutex::new(Drive::new(Tree::new(), caching)));
        serve(&place, &drive)?;
        Ok(Served { place, drive })
    }

    fn follow(&mut self, order: Order) -> io::Result<Value> {
        let mut drive = lock(&self.drive);
        Ok(match order {
            Order::Mount(..) => return Err(io::Error::other("it is mounted already")),
            Order::Calls => json!(drive.calls),
            Order::Fail(which, fault) => {
                drive.faults.push((which, fault));
                Value::Null
            }
            Order::Mend => {
                drive.faults.clear();
                Value::Null
            }
            Order::Limit(bytes) => {
                drive.limit = bytes;
                Value::Null
            }
            Order::Used => json!(drive.tree.used()),
            Order::IsCut => json!(drive.left.is_some()),
            Order::Cut(seed) => {
                drop(drive);
                self.cut(seed)?;
                Value::Null
            }
            Order::Restart(seed) => {
                drop(drive);
                self.restart(seed)?;
                Value::Null
            }
        })
    }

    fn cut(&self, seed: u64) -> io::Result<()> {
        lock(&self.drive).cut(seed);
        // That ends the calls that wait, and wakes the thread that serves them.
        unmount(&self.place)
    }

    fn restart(&mut self, seed: u64) -> io::Result<()> {
        self.cut(seed)?;
        let drive = {
            let mut before = lock(&self.drive);
            let left = before.cut(seed).clone();
            Drive { limit: before.limit, ..Drive::new(left, before.caching) }
        };
        self.drive = Arc::new(Mutex::new(drive));
        serve(&self.place, &self.drive)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A place that was unmounted already is as good.
        drop(unmount(&self.place));
    }
}

/// The drive, also after a thread that held it broke: whoever uses the disk then sees what it became.
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
pub(super) fn unmount(place: &Path) -> io::Result<()> {
    if !is_mounted(place)? {
        return Ok(());
    }
    run(Command::new("umount").args(["-i", "-f", "-l"]).arg(place))
}

/// True if anything is mounted there.
///
/// # Errors
/// The list of mounts cannot be read.
pub fn is_mounted(place: &Path) -> io::Result<bool> {
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
