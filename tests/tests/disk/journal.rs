//! A journal on a disk, and what is expected of it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;
use fenix_store::{OpenError, Opened, Settings, SledJournal};
use fenix_tests::disk::{Caching, Chance, Disk};
use tempfile::TempDir;

/// The program that serves a disk.
pub(crate) const DISK: &str = env!("CARGO_BIN_EXE_fenix-test-disk");

/// A small cache, so that pages are read again, and a small reserve.
pub(crate) const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 30_000 };

/// sled has locks that all databases of a process share: one journal that hangs on its disk would hold up another, if
/// the tests run as threads of one process.
static ALONE: Mutex<()> = Mutex::new(());

/// A disk in a directory of its own; one at a time.
pub(crate) struct Mounted {
    // The order is that in which they go.
    pub(crate) disk: Disk,
    _dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Mounted {
    pub(crate) fn new(caching: Caching) -> Mounted {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = TempDir::new().unwrap();
        Mounted { disk: Disk::mount(DISK, dir.path(), caching).unwrap(), _dir: dir, _alone: alone }
    }

    /// Where the journal is on it.
    pub(crate) fn data(&self) -> PathBuf {
        self.disk.path().join("data")
    }
}

/// The record of a number. Most are small, some of some KiB, few so large that their bodies lie in files. Every third is
/// the installation's, the others are of two sessions in turn.
pub(crate) fn record(seq: u64) -> Record {
    let len = match seq % 50 {
        0 => 90_000,
        25 => 5_000,
        5 | 15 | 35 | 45 => 2_500,
        rest => rest as usize * 37 % 700,
    };
    let session = [None, Some("a".into()), Some("b".into())][(seq % 3) as usize].clone();
    Record {
        seq,
        at: Time(seq),
        session,
        body: Body::Undecided { why: format!("{seq} ").repeat(len / 4 + 1) },
    }
}

pub(crate) fn records(seqs: impl IntoIterator<Item = u64>) -> Vec<Record> {
    seqs.into_iter().map(record).collect()
}

/// How a life of a journal went.
#[derive(Debug)]
pub(crate) struct Life {
    /// The last record that it said is stored, when it was opened or later.
    pub(crate) acknowledged: u64,
    /// The last record that it was given.
    pub(crate) given: u64,
    /// How it was opened, if it was.
    pub(crate) opened: Result<(), OpenError>,
}

/// Opens the journal, checks what is in it, and appends batches of all sizes, at most `most`, until one fails.
///
/// At least the records up to `acknowledged` must be there, and nothing after `given`.
#[track_caller]
pub(crate) fn live(path: &Path, acknowledged: u64, given: u64, chance: &mut Chance, most: u64) -> Life {
    let (mut journal, opened) = match SledJournal::open_with(path, &SMALL) {
        Ok(open) => open,
        Err(error) => return Life { acknowledged, given, opened: Err(error) },
    };
    check(&opened, acknowledged, given);
    let mut life = Life { acknowledged: opened.last_seq, given: opened.last_seq, opened: Ok(()) };
    for _ in 0..most {
        let size = match chance.below(20) {
            0 => 40 + chance.below(120),
            1..=4 => 10 + chance.below(20),
            _ => 1 + chance.below(6),
        };
        life.given = life.acknowledged + size;
        if journal.append(&records(life.acknowledged + 1..=life.given)).is_err() {
            journal.append(&records([life.acknowledged + 1])).unwrap_err();
            let shown = journal.reader();
            assert_eq!(shown.last_seq(), life.acknowledged, "what is not stored is shown");
            break;
        }
        life.acknowledged = life.given;
    }
    life
}

/// What is in a journal must be a prefix of what it was given, no shorter than what it acknowledged.
#[track_caller]
pub(crate) fn check(opened: &Opened, acknowledged: u64, given: u64) {
    assert!(opened.last_seq >= acknowledged, "{} of {acknowledged} records are there", opened.last_seq);
    assert!(opened.last_seq <= given.max(acknowledged), "{} records of {given} are there", opened.last_seq);
    assert_eq!(opened.damage, []);
    assert!(opened.records == records(1..=opened.last_seq), "the records are not those that were appended");
}
