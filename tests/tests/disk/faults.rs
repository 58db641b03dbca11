//! Each call of a short life goes wrong once: the journal stores what it acknowledges, or says no and takes no more.

use fenix_tests::disk::{Caching, Call, Chance, Errno, Fault, Kind, Which};

use crate::journal::{Life, Mounted, SMALL, live, record, records};
use fenix_engine::ports::Journal;
use fenix_store::SledJournal;

/// Appends of the life that goes wrong.
const APPENDS: u64 = 12;

/// Calls of some kinds that go wrong: the kernel reads a page at a time, and not each needs a life.
const MOST: usize = 40;

/// A disk on which a journal lived before, and how that went. Nothing of it is in the kernel's cache.
fn lived(caching: Caching) -> (Mounted, Life) {
    let mut mounted = Mounted::new(caching);
    let life = live(&mounted.data(), 0, 0, &mut Chance::new(1), 3);
    assert!(life.opened.is_ok());
    mounted.disk.restart(0).unwrap();
    (mounted, life)
}

/// The life that goes wrong.
fn next(mounted: &Mounted, before: &Life) -> Life {
    live(&mounted.data(), before.acknowledged, before.given, &mut Chance::new(2), APPENDS)
}

/// Lets one call go wrong; then the power is lost, or the journal is opened again on the same disk.
fn check(caching: Caching, at: usize, call: &Call, fault: Fault, is_cut: bool) {
    let place = format!("{fault:?} at call {at}, {call:?}");
    let (mut mounted, before) = lived(caching);
    mounted.disk.fail(Which::At(at), fault);
    let life = next(&mounted, &before);
    if let Err(error) = &life.opened {
        let told = error.to_string();
        assert!(told.contains("data") && !told.contains("panick"), "{place}: {told}");
    }
    if fault == Fault::Short {
        assert!(life.opened.is_ok() && life.acknowledged == life.given, "{place}: {life:?}");
    }
    if is_cut {
        mounted.disk.restart(at as u64).unwrap();
    } else {
        mounted.disk.mend();
    }
    let again = live(&mounted.data(), life.acknowledged, life.given, &mut Chance::new(3), 2);
    if let Err(error) = again.opened {
        panic!("{place}, then {}: {error}", if is_cut { "a cut" } else { "opened again" });
    }
}

/// Lets every call of these kinds go wrong, each in a life of its own; of very many, as many as [`MOST`].
fn check_all(caching: Caching, kinds: &[Kind], fault: Fault) {
    let calls = {
        let (mounted, before) = lived(caching);
        next(&mounted, &before).opened.unwrap();
        mounted.disk.calls()
    };
    let concerned: Vec<_> = (0..).zip(&calls).filter(|(_, call)| kinds.contains(&call.kind)).collect();
    assert!(!concerned.is_empty());
    for (at, call) in concerned.iter().step_by(concerned.len().div_ceil(MOST)) {
        check(caching, *at, call, fault, false);
        check(caching, *at, call, fault, true);
    }
}

const FAILED: Fault = Fault::Error(Errno::IO);

#[test]
fn a_sync_that_fails_ends_the_journal_and_loses_nothing() {
    check_all(Caching::None, &[Kind::Sync, Kind::SyncDir], FAILED);
}

#[test]
fn a_write_that_fails_ends_the_journal_and_loses_nothing() {
    check_all(Caching::None, &[Kind::Write, Kind::Resize], FAILED);
}

#[test]
fn a_disk_that_is_full_ends_the_journal_and_loses_nothing() {
    check_all(Caching::None, &[Kind::Write, Kind::Create, Kind::MakeDir], Fault::Error(Errno::FULL));
}

#[test]
fn a_write_that_takes_only_a_part_is_gone_on_with() {
    check_all(Caching::None, &[Kind::Write], Fault::Short);
}

#[test]
fn what_cannot_be_opened_made_or_renamed_is_told_and_loses_nothing() {
    check_all(Caching::None, &[Kind::Open, Kind::Create, Kind::Rename, Kind::Remove], FAILED);
}

/// With the kernel's cache, since the journal reads all before sled does, which would take what it cannot read for the
/// end of its log.
#[test]
fn what_cannot_be_read_is_told_and_loses_nothing() {
    check_all(Caching::Kernel, &[Kind::Read], FAILED);
}

/// The disk fills up in the middle of whatever is written, also where sled forgets who waits.
#[test]
fn a_disk_that_fills_up_is_told_in_time() {
    for room in (40_000..1_240_000).step_by(100_000) {
        let (mut mounted, before) = lived(Caching::None);
        mounted.disk.limit(Some(mounted.disk.used() + room));
        let life = live(&mounted.data(), before.acknowledged, before.given, &mut Chance::new(room), 400);
        assert!(life.given > life.acknowledged, "{room}: the disk never was full: {life:?}");
        mounted.disk.restart(room).unwrap();
        mounted.disk.limit(None);
        let again = live(&mounted.data(), life.acknowledged, life.given, &mut Chance::new(3), 2);
        again.opened.unwrap_or_else(|error| panic!("{room}: {error}"));
    }
}

/// With the kernel's cache between, a failed sync leaves pages there that the disk does not hold, and that the next sync
/// does not write. Whoever opens the journal again without a cut must not take them for stored.
#[test]
fn what_only_the_kernels_cache_holds_after_a_failed_sync_is_not_taken_for_stored() {
    for seed in 0..10 {
        let (mut mounted, before) = lived(Caching::Kernel);
        let (mut journal, _) = SledJournal::open_with(&mounted.data(), &SMALL).unwrap();
        mounted.disk.fail(Which::every(Kind::Sync, "sled/db"), FAILED);
        let next = before.acknowledged + 1;
        journal.append(&records(next..next + 20)).unwrap_err();
        drop(journal);
        mounted.disk.mend();
        let (mut journal, opened) = SledJournal::open_with(&mounted.data(), &SMALL).unwrap();
        assert!(opened.last_seq >= before.acknowledged);
        let last = opened.last_seq + 1;
        journal.append(&[record(last)]).unwrap();
        drop(journal);
        mounted.disk.restart(seed).unwrap();
        let again = live(&mounted.data(), last, last, &mut Chance::new(seed), 1);
        again.opened.unwrap_or_else(|error| panic!("{seed}: {error}"));
    }
}
