//! The journal on disk: what was stored is found again, and what is damaged is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Pin, Plan};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;
use fenix_store::{MAX_PAGE, OpenError, Opened, Settings, SledJournal};

const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 0 };

fn open(path: &Path) -> (SledJournal, Opened) {
    SledJournal::open_with(path, &SMALL).unwrap()
}

fn refusal(path: &Path) -> OpenError {
    match SledJournal::open_with(path, &SMALL) {
        Ok((_, opened)) => panic!("it was opened: {opened:?}"),
        Err(error) => error,
    }
}

/// Every third record is the installation's, the others are of two sessions in turn.
fn record(seq: u64) -> Record {
    let session = ["a", "b"].get((seq % 3) as usize).map(|id| (*id).into());
    let body = Body::Noted { key: format!("k{seq}"), value: Some("v".repeat(seq as usize % 50)) };
    Record { seq, at: Time(seq), session, body }
}

fn records(seqs: impl IntoIterator<Item = u64>) -> Vec<Record> {
    seqs.into_iter().map(record).collect()
}

/// A directory with records 1 to `last`, closed.
fn filled(last: u64) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(scratch.path());
    let all = records(1..=last);
    for batch in all.chunks(7) {
        journal.append(batch).unwrap();
    }
    scratch
}

/// The database itself, to be damaged. Its threads may need a moment to let go of it.
fn raw(path: &Path) -> sled::Db {
    let config = sled::Config::new().path(path.join("sled")).flush_every_ms(None);
    let begun = Instant::now();
    loop {
        match config.open() {
            Ok(db) => return db,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::yield_now();
    }
}

/// Makes the database again with other entries. What is only taken out of it can still be found in its file.
fn rewrite(path: &Path, change: impl FnOnce(&mut Entries)) {
    let old = raw(path);
    let mut entries: Entries =
        old.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect();
    drop(old);
    fs::remove_dir_all(path.join("sled")).unwrap();
    change(&mut entries);
    let new = raw(path);
    entries.into_iter().for_each(|(key, value)| drop(new.insert(key, value).unwrap()));
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn remove(entries: &mut Entries, seqs: impl IntoIterator<Item = u64>) {
    seqs.into_iter().for_each(|seq| assert!(entries.remove(&record_key(seq)).is_some()));
}

fn record_key(seq: u64) -> Vec<u8> {
    [b"r".as_slice(), &seq.to_be_bytes()].concat()
}

#[test]
fn a_new_journal_is_empty() {
    let scratch = tempfile::tempdir().unwrap();
    let (journal, opened) = open(scratch.path());
    assert_eq!((opened.records, opened.last_seq, opened.damage), (vec![], 0, vec![]));
    assert_eq!(journal.reader().last_seq(), 0);
}

#[test]
fn what_was_appended_is_there_after_every_reopening() {
    let scratch = tempfile::tempdir().unwrap();
    let mut last = 0;
    for batch in [1, 7, 1, 40, 300, 2] {
        let (mut journal, opened) = open(scratch.path());
        assert_eq!(opened.records, records(1..=last));
        assert_eq!(opened.last_seq, last);
        journal.append(&records(last + 1..=last + batch)).unwrap();
        last += batch;
    }
    assert_eq!(open(scratch.path()).1.records, records(1..=last));
}

#[test]
fn a_batch_as_large_as_the_first_sight_of_a_cloud_is_stored_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(scratch.path());
    journal.append(&records(1..=20_000)).unwrap();
    drop(journal);
    assert_eq!(open(scratch.path()).1.records.len(), 20_000);
}

#[test]
fn a_batch_that_does_not_follow_the_last_record_is_refused() {
    for seqs in [vec![5], vec![4, 6], vec![3], vec![0]] {
        let scratch = filled(3);
        let (mut journal, _) = open(scratch.path());
        journal.append(&records(seqs)).unwrap_err();
        drop(journal);
        assert_eq!(open(scratch.path()).1.last_seq, 3);
    }
}

#[test]
fn a_large_body_is_kept_in_a_file_and_a_small_one_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let wide = |seq, len| Record { body: Body::Undecided { why: "w".repeat(len) }, ..record(seq) };
    // Just below and just above what fits into the database, with several to a page.
    let all: Vec<_> = (1..=100).map(|seq| wide(seq, if seq == 50 { 5000 } else { 4000 })).collect();
    let (mut journal, _) = open(scratch.path());
    for batch in all.chunks(10) {
        journal.append(batch).unwrap();
    }
    let count = |dir: &str| fs::read_dir(scratch.path().join(dir)).unwrap().count();
    assert_eq!((count("bodies"), count("sled/blobs")), (1, 0));
    assert_eq!(journal.reader().records(50, 1).unwrap(), all[49..50]);
    drop(journal);
    assert_eq!(open(scratch.path()).1.records, all);
}

#[test]
fn a_reader_pages_through_all_and_through_one_session() {
    let scratch = filled(30);
    let (journal, _) = open(scratch.path());
    let reader = journal.reader();
    let of = |session: &str, from, limit| reader.records_of(&session.into(), from, limit).unwrap();
    assert_eq!(reader.records(28, 10).unwrap(), records(28..=30));
    assert_eq!(reader.records(5, 2).unwrap(), records(5..=6));
    assert_eq!(of("a", 0, 3), records([3, 6, 9]));
    assert_eq!(of("b", 5, 2), records([7, 10]));
    assert_eq!(of("b", 30, 9), []);
    assert_eq!(of("never was", 0, 9), []);
    assert_eq!(reader.records(0, usize::MAX).unwrap().len(), 30);
}

#[test]
fn one_page_holds_no_more_than_its_limit() {
    let scratch = filled(3 * MAX_PAGE as u64 + 30);
    let (journal, _) = open(scratch.path());
    assert_eq!(journal.reader().records(0, usize::MAX).unwrap().len(), MAX_PAGE);
    assert_eq!(journal.reader().records_of(&"a".into(), 0, usize::MAX).unwrap().len(), MAX_PAGE);
}

#[test]
fn readers_in_other_threads_see_a_prefix_while_records_are_appended() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(scratch.path());
    let last = 600;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = journal.reader();
            scope.spawn(move || {
                let mut seen = 0;
                while seen < last {
                    let known = reader.last_seq();
                    let page = reader.records(seen + 1, 100).unwrap();
                    assert_eq!(page, records(seen + 1..seen + 1 + page.len() as u64));
                    seen += page.len() as u64;
                    assert!(page.len() == 100 || seen >= known, "{seen} of {known}");
                    assert!(reader.records_of(&"a".into(), 0, 10).unwrap().iter().all(|r| r.seq <= last));
                }
            });
        }
        for batch in records(1..=last).chunks(5) {
            journal.append(batch).unwrap();
        }
    });
}

#[test]
fn a_directory_in_use_is_refused_until_the_last_reader_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let (journal, _) = open(scratch.path());
    let reader = journal.reader();
    let check = || assert!(matches!(refusal(scratch.path()), OpenError::Locked { .. }));
    check();
    drop(journal);
    check();
    drop(reader);
    open(scratch.path());
}

#[test]
fn a_bad_record_of_a_session_damages_that_session_only() {
    let scratch = filled(30);
    // 9 is of session a, 16 and 22 are of session b.
    let db = raw(scratch.path());
    db.insert(record_key(9), b"FXR? no".as_slice()).unwrap();
    let swapped = db.get(record_key(22)).unwrap().unwrap();
    db.insert(record_key(16), swapped).unwrap();
    let mut flipped = db.get(record_key(22)).unwrap().unwrap().to_vec();
    flipped[30] ^= 4;
    db.insert(record_key(22), flipped).unwrap();
    drop(db);

    let (mut journal, opened) = open(scratch.path());
    let told: Vec<_> =
        opened.damage.iter().map(|bad| (bad.session.as_str(), bad.seq, bad.why.as_str())).collect();
    assert_eq!(told, [("a", 9, "these bytes are no record"), ("b", 16, "it says that it is record 22")]);
    let left = |seq: &u64| match seq % 3 {
        0 => *seq < 9,
        1 => *seq < 16,
        _ => true,
    };
    assert_eq!(opened.records, records((1..=30).filter(left)));
    assert_eq!(opened.last_seq, 30);
    assert_eq!(journal.reader().records_of(&"a".into(), 0, 10).unwrap(), records([3, 6]));
    journal.append(&records([31])).unwrap();
    drop(journal);

    // What b did since counts, so it is not told again; a did nothing, so nobody has parked it yet.
    let (_, opened) = open(scratch.path());
    let told: Vec<_> =
        opened.damage.iter().map(|bad| (bad.session.as_str(), bad.seq, bad.why.as_str())).collect();
    assert_eq!(told, [("a", 9, "these bytes are no record")]);
    assert_eq!(opened.records, records((1..=31).filter(|seq| left(seq) || *seq == 31)));
}

#[test]
fn missing_records_of_a_session_damage_that_session_only() {
    let check = |missing: &[u64], forgotten: &[&str], wanted: &[(&str, u64)]| {
        let scratch = filled(30);
        let db = raw(scratch.path());
        for seq in missing {
            assert!(db.remove(record_key(*seq)).unwrap().is_some());
        }
        // Each append has seven records, so each stream has an entry for each of them.
        for session in forgotten {
            let seq = missing.iter().find(|seq| record(**seq).session == Some((*session).into())).unwrap();
            let entries = db.scan_prefix([b"s\x01", session.as_bytes()].concat()).keys().map(Result::unwrap);
            let entry = entries.rev().find(|key| key[3..] <= seq.to_be_bytes()[..]).unwrap();
            assert!(db.remove(entry).unwrap().is_some());
        }
        drop(db);
        let (_, opened) = open(scratch.path());
        let told: Vec<_> = opened.damage.iter().map(|bad| (bad.session.as_str(), bad.seq)).collect();
        assert_eq!(told, wanted, "{missing:?}");
        let counts = |seq: &u64| {
            let session = record(*seq).session;
            wanted.iter().all(|(hurt, first)| session != Some((*hurt).into()) || seq < first)
        };
        assert_eq!(opened.records, records((1..=30).filter(counts)));
        assert_eq!((opened.last_seq, open(scratch.path()).1.last_seq), (30, 30));
    };
    // The index tells, or the next entry of the stream does.
    check(&[9], &[], &[("a", 9)]);
    check(&[9, 10, 13, 15], &[], &[("a", 9), ("b", 10)]);
    check(&[9, 12], &["a"], &[("a", 9)]);
    check(&[12, 13], &["a", "b"], &[("a", 12), ("b", 12)]);
    check(&[30], &[], &[("a", 30)]);
}

#[test]
fn what_a_session_began_with_is_kept_twice() {
    let scratch = tempfile::tempdir().unwrap();
    let opened = Record { session: Some("c".into()), body: opening(), ..record(1) };
    let noted = Record { session: Some("c".into()), ..record(2) };
    let (mut journal, _) = open(scratch.path());
    journal.append(&[opened.clone(), noted.clone()]).unwrap();
    drop(journal);
    raw(scratch.path()).remove(record_key(1)).unwrap();
    for _ in 0..2 {
        let (_, found) = open(scratch.path());
        assert_eq!((found.records, found.damage), (vec![opened.clone(), noted.clone()], vec![]));
    }
    rewrite(scratch.path(), |entries| {
        remove(entries, [1]);
        entries.remove(b"oc".as_slice()).unwrap();
    });
    assert!(matches!(refusal(scratch.path()), OpenError::Beginning { seq: 1, .. }));
}

#[test]
fn a_session_that_is_over_stays_over_whatever_it_lost() {
    let scratch = filled(30);
    let (mut journal, _) = open(scratch.path());
    journal.append(&[Record { session: Some("a".into()), body: Body::Removed, ..record(31) }]).unwrap();
    drop(journal);
    raw(scratch.path()).remove(record_key(3)).unwrap();
    let (_, opened) = open(scratch.path());
    assert_eq!(opened.records.last().unwrap().body, Body::Removed);
    assert_eq!(opened.damage[0].session.as_str(), "a");
    assert_eq!(open(scratch.path()).1.damage, []);
}

fn opening() -> Body {
    let digest = "0".repeat(64).into();
    let workflow = Pin { name: "default".into(), version: "1".into(), digest, undoes: false };
    let plan = Plan {
        maintenance_at: Time(1),
        window_end: None,
        metadata: "{}".into(),
        workflow,
        actions: vec![],
        terms: Terms::default(),
        own_host: None,
    };
    Body::Opened { plan, rules: 1 }
}

#[test]
fn a_body_file_that_is_gone_damages_its_session_only() {
    let scratch = filled(3);
    let wide = Record { body: Body::Undecided { why: "w".repeat(5000) }, ..record(4) };
    let (mut journal, _) = open(scratch.path());
    journal.append(&[wide]).unwrap();
    drop(journal);
    let bodies = scratch.path().join("bodies");
    fs::rename(&bodies, scratch.path().join("elsewhere")).unwrap();
    assert!(matches!(refusal(scratch.path()), OpenError::NoBodies { seq: 4, .. }));
    fs::create_dir(&bodies).unwrap();
    let (_, opened) = open(scratch.path());
    assert_eq!((opened.damage[0].session.as_str(), opened.damage[0].seq), ("b", 4));
    assert_eq!(opened.records, records(1..=3));
}

#[test]
fn damage_that_concerns_everybody_is_an_error_that_says_what_to_do() {
    let check = |damage: fn(&mut Entries), wanted: &str| {
        let scratch = filled(30);
        rewrite(scratch.path(), damage);
        let refused = refusal(scratch.path()).to_string();
        assert!(refused.contains(wanted), "{refused}");
    };
    check(
        |entries| drop(entries.insert(record_key(8), b"FXR".to_vec())),
        "record 8, which concerns every session, cannot be used: these bytes are no record; check the disk, then restore",
    );
    check(
        |entries| remove(entries, 12..=14),
        "the records from 12 to 14 are missing, and they concern more than one session or it is not certain",
    );
    check(
        |entries| remove(entries, [1]),
        "record 1, with which session b began, cannot be used: it is missing",
    );
    check(|entries| remove(entries, 29..=30), "ends with record 28, but record 30 had been stored");
    check(
        |entries| {
            remove(entries, 25..=25);
            // What it tells of the installation and of b is gone, and none of them did anything since.
            entries.retain(|key, _| key[0] == b'r' || key[key.len() - 1] < 22);
        },
        "the records from 25 to 25 are missing",
    );
    check(|entries| entries.clear(), "ends with record 0, but record 30 had been stored");
}

#[test]
fn a_journal_that_is_gone_does_not_look_like_a_new_one() {
    let check = |damage: fn(&Path), wanted: &str| {
        let scratch = filled(30);
        damage(scratch.path());
        for _ in 0..2 {
            let refused = refusal(scratch.path()).to_string();
            assert!(refused.contains(wanted), "{refused}");
        }
    };
    fn gone(path: &Path, file: &str) {
        fs::remove_file(path.join(file)).unwrap();
    }
    check(|path| fs::write(path.join("sled/db"), "").unwrap(), "restore the data directory from a backup");
    check(|path| gone(path, "sled/db"), "sled/db is missing, and the data directory was in use before");
    check(|path| fs::remove_dir_all(path.join("sled")).unwrap(), "sled/db is missing");
    check(
        |path| {
            gone(path, "sled/db");
            gone(path, "acknowledged");
        },
        "sled/db is missing",
    );
    check(|path| gone(path, "FORMAT"), "FORMAT is missing or damaged, and a journal is there; restore");
    check(|path| fs::write(path.join("FORMAT"), "fenix jo").unwrap(), "FORMAT is missing or damaged");
    check(|path| fs::write(path.join("FORMAT"), "fenix journal 2\n").unwrap(), "has layout 2, newer than 1");
}

#[test]
fn an_end_that_was_lost_can_be_accepted() {
    let scratch = filled(30);
    rewrite(scratch.path(), |entries| {
        remove(entries, [30]);
        entries.remove([b"s\x01a".as_slice(), &30u64.to_be_bytes()].concat().as_slice()).unwrap();
    });
    let OpenError::TailLost { mark, .. } = refusal(scratch.path()) else { panic!("it was not noticed") };
    fs::remove_file(mark).unwrap();
    assert_eq!(open(scratch.path()).1.last_seq, 29);
}

#[test]
fn a_record_of_a_newer_fenix_is_refused_by_name() {
    // 4 is of session b. What a newer version means by it is known to nobody: the session may be over, or its hosts
    // given to others. So it is no damage of one session.
    let check = |change: fn(&mut Vec<u8>), wanted: &str| {
        let scratch = filled(10);
        let db = raw(scratch.path());
        let mut newer = db.get(record_key(4)).unwrap().unwrap().to_vec();
        change(&mut newer);
        let sum = crc32fast::hash(&[&newer[3..4], &newer[8..]].concat());
        newer[4..8].copy_from_slice(&sum.to_be_bytes());
        db.insert(record_key(4), newer).unwrap();
        drop(db);
        let refused = refusal(scratch.path());
        assert!(matches!(refused, OpenError::NewerRecord { seq: 4, .. }), "{refused}");
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(wanted) && cause.contains("use the newer version"), "{cause}");
    };
    check(|frame| frame[3] = 2, "record format 2 is newer than 1");
    check(|frame| frame[25] = 2, "record kind noted version 2 is newer");
    check(|frame| frame[34] = b'D', "record kind noteD version 1 is newer");
}

#[test]
fn a_wrong_index_is_made_again() {
    let check = |damage: fn(&sled::Db, &[u8])| {
        let scratch = filled(30);
        let db = raw(scratch.path());
        for key in db.scan_prefix(b"s").keys().chain(db.scan_prefix(b"i").keys()) {
            damage(&db, &key.unwrap());
        }
        drop(db);
        let (journal, _) = open(scratch.path());
        let of = |session: &str| journal.reader().records_of(&session.into(), 0, 99).unwrap();
        assert_eq!(of("a"), records((1..=30).filter(|seq| seq % 3 == 0)));
        assert_eq!(of("b"), records((1..=30).filter(|seq| seq % 3 == 1)));
    };
    check(|db, key| drop(db.remove(key).unwrap()));
    check(|db, key| drop(db.insert(key, b"short".as_slice()).unwrap()));
    check(|db, key| drop(db.insert(key, vec![0xFF; 12]).unwrap()));
    check(|db, key| {
        drop(
            db.insert([key, &key[key.len() - 8..]].concat(), vec![0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1])
                .unwrap(),
        )
    });
}

#[test]
fn a_damaged_database_file_is_an_error_or_told_and_never_a_panic() {
    let source = filled(2000);
    let whole = fs::read(source.path().join("sled/db")).unwrap();
    let check = |name: &str, bytes: &[u8]| {
        let scratch = tempfile::tempdir().unwrap();
        copy_dir(source.path(), scratch.path());
        fs::write(scratch.path().join("sled/db"), bytes).unwrap();
        match SledJournal::open_with(scratch.path(), &SMALL) {
            Err(refused) => assert!(!refused.to_string().is_empty()),
            Ok((_, opened)) => assert!(
                !opened.damage.is_empty() || opened.records == records(1..=2000),
                "{name}: records are missing and nobody said so"
            ),
        }
    };
    for part in 0..8 {
        let len = whole.len() * part / 8;
        check(&format!("cut off at {len}"), &whole[..len]);
        let mut flipped = whole.clone();
        flipped[len + 1000] ^= 0x10;
        check(&format!("a bit flipped at {}", len + 1000), &flipped);
        let mut zeroed = whole.clone();
        zeroed[len..len + 4096].fill(0);
        check(&format!("a page zeroed at {len}"), &zeroed);
    }
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
