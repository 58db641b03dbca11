//! Cuts while a journal is restored or compacted.

use fenix_core::inventory::{Change, Host, HostKind, Resources, Service};
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Pin, Plan};
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::Journal;
use fenix_store::archive::back_up;
use fenix_store::{Settings, SledJournal, compact, restore};
use fenix_tests::disk::{Caching, Chance, Disk, Fault, Which};
use tempfile::TempDir;

use crate::journal::{Mounted, SMALL, live, records};

/// Cuts of each of the two: evenly over their calls.
const CUTS: usize = 25;

/// Has something done as often as wanted on a disk that `prepare` made, and cuts it once at each of [`CUTS`] places.
fn cut_everywhere(prepare: impl Fn(&Disk), done: impl Fn(&Disk) -> bool, check: impl Fn(&Disk, bool, &str)) {
    let prepared = || {
        let mounted = Mounted::new(Caching::None);
        prepare(&mounted.disk);
        mounted
    };
    let (first, end) = {
        let mounted = prepared();
        let first = mounted.disk.calls().len();
        assert!(done(&mounted.disk));
        (first, mounted.disk.calls().len())
    };
    for cut in 0..CUTS {
        let at = first + (end - first) * cut / CUTS;
        let mut mounted = prepared();
        mounted.disk.fail(Which::At(at), Fault::Cut(at as u64));
        let is_done = done(&mounted.disk);
        let call = mounted.disk.calls().pop();
        mounted.disk.restart(at as u64).unwrap();
        check(&mounted.disk, is_done, &format!("cut at call {at} of {first}..{end}: {call:?}"));
    }
}

#[test]
fn a_cut_while_a_backup_is_restored_leaves_nothing_or_all_of_it() {
    const LAST: u64 = 1300;
    let mut archive = Vec::new();
    {
        let scratch = TempDir::new().unwrap();
        let (mut journal, _) = SledJournal::open_with(scratch.path(), &SMALL).unwrap();
        let all = records(1..=LAST);
        all.chunks(100).for_each(|batch| journal.append(batch).unwrap());
        let files = [Ok(("plugins/one.wasm".to_owned(), b"a component".to_vec()))];
        back_up(&journal.reader(), files, Time(7), "0.1.0", &mut archive).unwrap();
    }
    let restored = |disk: &Disk| restore(&archive[..], &disk.path().join("data")).is_ok();
    let check = |disk: &Disk, is_done: bool, place: &str| {
        let data = disk.path().join("data");
        assert!(data.exists() || !is_done, "{place}: it was restored and is gone");
        if !data.exists() {
            assert!(restored(disk), "{place}");
        }
        let life = live(&data, LAST, LAST, &mut Chance::new(0), 1);
        life.opened.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(std::fs::read(data.join("plugins/one.wasm")).unwrap(), b"a component", "{place}");
    };
    cut_everywhere(|_| (), restored, check);
}

/// Looks at a host, each superseding the one before, and a session that was removed.
fn history() -> Vec<Record> {
    let session = |body| (Some("s".into()), body);
    let plan = Plan {
        maintenance_at: Time(1),
        window_end: None,
        metadata: "{}".into(),
        workflow: Pin { name: "default".into(), version: "1".into(), digest: "ab".into(), undoes: false },
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    };
    let look = |look: u32| {
        let capacity = Resources::of(1, 1, 1);
        let host = Host {
            id: "h".into(),
            kind: HostKind::Compute,
            zone: "z".into(),
            capacity,
            service: Service::Enabled,
            up: true,
            boot: format!("boot-{look}"),
            dead: false,
        };
        (None, Body::Observed { change: Change::Host(host) })
    };
    let note = |length: usize| session(Body::Noted { key: "k".into(), value: Some("v".repeat(length)) });
    let mut all = vec![session(Body::Opened { plan, rules: 1 })];
    all.extend([10, 1000, 20_000].map(note));
    all.push(session(Body::Removed));
    all.extend((0..400).map(look));
    (1..).zip(all).map(|(seq, (session, body))| Record { seq, at: Time(seq), session, body }).collect()
}

#[test]
fn a_cut_while_a_journal_is_compacted_leaves_the_old_one_or_the_new_one() {
    let history = history();
    let (last, next) = (history[history.len() - 1].clone(), history.len() as u64 + 1);
    let prepare = |disk: &Disk| {
        let (mut journal, _) = SledJournal::open_with(&disk.path().join("data"), &SMALL).unwrap();
        history.chunks(100).for_each(|batch| journal.append(batch).unwrap());
    };
    let compacted = |disk: &Disk| {
        let done = compact(&disk.path().join("data"), Millis(0), Time(9_000_000), false);
        done.is_ok_and(|done| done.after < done.before)
    };
    let check = |disk: &Disk, is_done: bool, place: &str| {
        let (mut journal, opened) = SledJournal::open_with(&disk.path().join("data"), &Settings { ..SMALL })
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!((opened.records.last(), &opened.damage[..]), (Some(&last), &[][..]), "{place}");
        assert!(
            opened.records == history || opened.records.len() < 10,
            "{place}: {:?}",
            opened.records.len()
        );
        assert!(!is_done || opened.records != history, "{place}: it was done and is undone");
        journal.append(&[Record { seq: next, ..last.clone() }]).unwrap();
        drop(journal);
        // And the next one goes through, whatever lies there.
        compact(&disk.path().join("data"), Millis(0), Time(9_000_000), false)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
    };
    cut_everywhere(prepare, compacted, check);
}
