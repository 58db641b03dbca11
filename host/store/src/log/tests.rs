//! What is read of the log is what sled says.

use std::fs;

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;

use super::*;
use crate::{Settings, SledJournal};

const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 0 };

fn record(seq: u64) -> Record {
    let session = ["a", "b"].get((seq % 3) as usize).map(|id| (*id).into());
    let body = Body::Undecided { why: "w".repeat(seq as usize * 37 % 900) };
    Record { seq, at: Time(seq), session, body }
}

/// A directory with records 1 to `last`, appended in batches of this size, opened anew after every `reopen` batches.
fn filled(last: u64, batch: usize, reopen: usize) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let all: Vec<_> = (1..=last).map(record).collect();
    let batches: Vec<_> = all.chunks(batch).collect();
    for batches in batches.chunks(reopen) {
        let (mut journal, _) = SledJournal::open_with(scratch.path(), &SMALL).unwrap();
        batches.iter().for_each(|batch| journal.append(batch).unwrap());
    }
    scratch
}

fn as_sled_says(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = sled::Config::new().path(path.join("sled")).flush_every_ms(None).open().unwrap();
    db.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

fn as_read(path: &Path) -> (Survey, BTreeMap<Vec<u8>, Vec<u8>>) {
    let found = salvage(&path.join("sled")).unwrap();
    let entries = found.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    (found.survey, entries)
}

#[test]
fn everything_that_sled_says_is_read_and_nothing_else() {
    for (last, batch, reopen) in [(1, 1, 1), (50, 7, 3), (3000, 1, 500), (3000, 40, 10), (9000, 3000, 1)] {
        let scratch = filled(last, batch, reopen);
        let (survey, read) = as_read(scratch.path());
        assert_eq!(survey.holes, [], "{last} {batch} {reopen}");
        assert!(read == as_sled_says(scratch.path()), "{last} {batch} {reopen}");
    }
}

#[test]
fn what_is_damaged_is_found_and_what_stands_behind_it_is_read() {
    let scratch = filled(3000, 5, 100);
    let file = scratch.path().join("sled/db");
    let whole = fs::read(&file).unwrap();
    let (survey, read) = as_read(scratch.path());
    let mut found = 0;
    let mut check = |at: usize, len: usize, damage: fn(&mut [u8])| {
        let mut bytes = whole.clone();
        damage(&mut bytes[at..at + len]);
        fs::write(&file, &bytes).unwrap();
        let (hurt, left) = as_read(scratch.path());
        let near = |hole: &Hole| hole.offset < (at + len) as u64 && at as u64 <= hole.offset + hole.len;
        assert!(hurt.holes.iter().all(near), "{at} {len}: {:?}", hurt.holes);
        found += usize::from(!hurt.holes.is_empty());
        assert!(left.iter().all(|(key, value)| read.get(key) == Some(value)), "{at}: something was made up");
        assert!(left.len() + 4 * len / 100 + 40 > read.len(), "{at} {len}: {} of {}", left.len(), read.len());
    };
    assert_eq!(survey.holes, []);
    let end = whole.len() - 5000;
    for part in 0..20 {
        check(end * part / 20 + 3, 1, |bytes| bytes[0] ^= 0x20);
        check((end * part / 20) & !4095, 4096, |bytes| bytes.fill(0));
        check(end * part / 20, 700, |bytes| bytes.reverse());
    }
    // Behind the end of the log, and in space that is used no more, there is nothing to be found.
    assert!(found > 45, "{found} of 60");
}

#[test]
fn what_is_left_of_an_append_whose_begin_is_gone_does_not_count_as_whole() {
    let scratch = filled(9, 3, 9);
    let file = scratch.path().join("sled/db");
    let whole = fs::read(&file).unwrap();
    let found = salvage(&scratch.path().join("sled")).unwrap();
    // All is in the first segment, which begins where the file does.
    let begins: Vec<u64> = found.batches.iter().map(|(begin, _)| *begin).collect();
    let check = |hurt: &[u64], wanted: &[u64]| {
        let mut bytes = whole.clone();
        hurt.iter().for_each(|begin| bytes[*begin as usize] ^= 0x20);
        fs::write(&file, &bytes).unwrap();
        let found = salvage(&scratch.path().join("sled")).unwrap();
        let entries: Vec<u64> = (1..=9).filter(|seq| found.entries.contains_key(&record_key(*seq))).collect();
        assert_eq!(entries, Vec::from_iter(1..=9));
        let whole: Vec<u64> = (1..=9).filter(|seq| found.came_whole(&record_key(*seq))).collect();
        assert_eq!(whole, wanted, "{hurt:?}");
    };
    let [first, _, last] = begins[begins.len() - 3..] else { panic!("{begins:?}") };
    check(&[], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check(&[last], &[1, 2, 3, 4, 5, 6]);
    check(&[first, last], &[4, 5, 6]);
}

#[test]
fn a_file_that_is_no_log_gives_nothing() {
    for bytes in [vec![], vec![0; 100], vec![0; 2 * SEGMENT], vec![7; 100_000], (0..=255).collect()] {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("db"), &bytes).unwrap();
        let found = salvage(scratch.path()).unwrap();
        assert_eq!(found.entries().count(), 0);
        assert_eq!(found.survey.holes.is_empty(), bytes.iter().all(|byte| *byte == 0));
    }
}
