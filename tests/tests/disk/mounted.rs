//! The disk does through the kernel what it says.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fenix_tests::disk::{Caching, Disk, Errno, Fault, Kind, Which, is_mounted};
use tempfile::TempDir;

use crate::journal::{DISK, Mounted};

#[test]
fn what_was_synced_is_there_after_a_cut_and_the_rest_may_be_gone() {
    for caching in [Caching::None, Caching::Kernel] {
        let (mut whole, mut some) = (0, 0);
        for seed in 0..20 {
            let mut mounted = Mounted::new(caching);
            let root = mounted.disk.path().to_owned();
            let synced = File::create(root.join("synced"));
            synced
                .and_then(|mut file| file.write_all(&[7; 300_000]).and_then(|()| file.sync_data()))
                .unwrap();
            File::open(&root).unwrap().sync_all().unwrap();
            let mut open = File::create(root.join("unsynced")).unwrap();
            open.write_all(&[8; 300_000]).unwrap();
            assert_eq!(fs::read(root.join("unsynced")).unwrap(), [8; 300_000]);

            mounted.disk.restart(seed).unwrap();
            assert_eq!(fs::read(root.join("synced")).unwrap(), [7; 300_000]);
            let left = fs::read(root.join("unsynced")).unwrap_or_default();
            whole += usize::from(left == [8; 300_000]);
            some += usize::from(!left.is_empty());
            open.write_all(b"the disk is another one").unwrap_err();
        }
        assert!(
            whole < some && (2..18).contains(&some),
            "{some} of 20 unsynced files survived, {whole} whole"
        );
    }
}

#[test]
fn after_a_failed_sync_the_kernel_shows_what_the_disk_does_not_hold() {
    let mut mounted = Mounted::new(Caching::Kernel);
    let path = mounted.disk.path().join("a");
    let mut file = File::create(&path).unwrap();
    File::open(mounted.disk.path()).unwrap().sync_all().unwrap();
    mounted.disk.fail(Which::every(Kind::Sync, "a"), Fault::Error(Errno::IO));
    file.write_all(&[1; 4096]).unwrap();
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(5));
    mounted.disk.mend();
    // The next sync succeeds, as on Linux; only a cut shows that it wrote nothing.
    file.sync_all().unwrap();
    assert_eq!(fs::read(&path).unwrap(), [1; 4096]);
    mounted.disk.restart(1).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0; 4096]);
}

/// Pause between two looks at what another process does.
const LOOK: Duration = Duration::from_millis(10);

/// Longest that a process may take to begin or end.
const PATIENCE: Duration = Duration::from_secs(30);

fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::park_timeout(LOOK);
    }
}

/// Writes to a file and syncs it, again and again, until that fails.
fn write_for_ever(path: &Path) -> io::Error {
    let write = || File::create(path).and_then(|mut file| file.write_all(&[1; 100_000]).and(file.sync_all()));
    loop {
        if let Err(error) = write() {
            return error;
        }
    }
}

/// Names where the user mounts its disk that [`a_user_that_is_killed_leaves_no_mount_behind`] kills.
const USER: &str = "FENIX_TEST_DISK_USER";

#[test]
fn a_user_that_is_killed_leaves_no_mount_behind() {
    if let Ok(place) = std::env::var(USER) {
        let disk = Disk::mount(DISK, Path::new(&place), Caching::None).unwrap();
        panic!("{}", write_for_ever(&disk.path().join("a")));
    }
    let dir = TempDir::new().unwrap();
    for _ in 0..5 {
        let itself = "mounted::a_user_that_is_killed_leaves_no_mount_behind";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", itself]).env(USER, dir.path()).stdout(Stdio::null());
        let mut user = command.spawn().unwrap();
        wait_until(|| dir.path().join("a").exists());
        // In the middle of a call: it does nothing else.
        user.kill().unwrap();
        user.wait().unwrap();
        wait_until(|| !is_mounted(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_disk_whose_server_is_killed_fails_all_calls() {
    let mut mounted = Mounted::new(Caching::None);
    let (root, path) = (mounted.disk.path().to_owned(), mounted.disk.path().join("a"));
    let user = {
        let path = path.clone();
        std::thread::spawn(move || write_for_ever(&path))
    };
    wait_until(|| path.exists());
    mounted.disk.kill().unwrap();
    // ENOTCONN, ECONNABORTED
    let is_gone = |error: &io::Error| matches!(error.raw_os_error(), Some(107 | 103));
    let error = user.join().unwrap();
    assert!(is_gone(&error), "{error}");
    let error = fs::read(&path).unwrap_err();
    assert!(is_gone(&error), "{error}");
    drop(mounted);
    assert!(!is_mounted(&root).unwrap());
}
