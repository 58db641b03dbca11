//! The disk does through the kernel what it says.

use std::fs::{self, File};
use std::io::Write;

use fenix_tests::disk::{Caching, Errno, Fault, Kind, Which};

use crate::journal::Mounted;

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
    mounted.disk.fail(Which::Every(Kind::Sync, "a"), Fault::Error(Errno::IO));
    file.write_all(&[1; 4096]).unwrap();
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(5));
    mounted.disk.mend();
    // The next sync succeeds, as on Linux; only a cut shows that it wrote nothing.
    file.sync_all().unwrap();
    assert_eq!(fs::read(&path).unwrap(), [1; 4096]);
    mounted.disk.restart(1).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0; 4096]);
}
