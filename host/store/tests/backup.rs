//! Backups: made while the journal is written, restored whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;
use fenix_store::archive::{ArchiveError, Entry, Sum, back_up, read};
use fenix_store::{RestoreError, Settings, SledJournal, restore};

const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 0 };

/// Records of two sessions and the installation; some bodies are so large that they lie in files.
fn record(seq: u64) -> Record {
    let session = ["a", "b"].get((seq % 3) as usize).map(|id| (*id).into());
    let length = if seq.is_multiple_of(50) { 20_000 } else { seq as usize % 50 };
    Record { seq, at: Time(seq), session, body: Body::Undecided { why: "v".repeat(length) } }
}

fn filled(path: &Path, last: u64) -> SledJournal {
    let (mut journal, _) = SledJournal::open_with(path, &SMALL).unwrap();
    let all: Vec<Record> = (1..=last).map(record).collect();
    all.chunks(40).for_each(|batch| journal.append(batch).unwrap());
    journal
}

fn files() -> Vec<io::Result<(String, Vec<u8>)>> {
    vec![Ok(("plugins/one.wasm".into(), b"a component".to_vec()))]
}

fn backed_up(journal: &SledJournal) -> (Vec<u8>, Sum) {
    let mut archive = Vec::new();
    let sum = back_up(&journal.reader(), files(), Time(7), "0.1.0", &mut archive).unwrap();
    (archive, sum)
}

/// Appends to the journal whenever something is written.
struct Meanwhile<'a> {
    journal: &'a mut SledJournal,
    next: u64,
    archive: Vec<u8>,
}

impl Write for Meanwhile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.archive.len().is_multiple_of(7) {
            self.journal.append(&[record(self.next)]).map_err(io::Error::other)?;
            self.next += 1;
        }
        self.archive.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_backup_is_of_one_moment_while_the_journal_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let mut journal = filled(scratch.path(), 1500);
    let reader = journal.reader();
    let mut out = Meanwhile { journal: &mut journal, next: 1501, archive: Vec::new() };
    let sum = back_up(&reader, files(), Time(7), "0.1.0", &mut out).unwrap();
    let (archive, next) = (out.archive, out.next);
    assert!(next > 1502, "nothing was appended meanwhile");
    assert_eq!((sum.last_seq, sum.records, sum.files, sum.made_at), (1500, 1500, 1, Time(7)));
    let mut found = Vec::new();
    let again = read(&archive[..], |entry| {
        if let Entry::Record(record) = entry {
            found.push(*record);
        }
        Ok::<(), ArchiveError>(())
    });
    assert_eq!(again.unwrap(), sum);
    assert_eq!(found, (1..=1500).map(record).collect::<Vec<_>>());
}

#[test]
fn what_is_restored_is_what_was_there_and_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let (archive, sum) = backed_up(&filled(&scratch.path().join("old"), 1234));
    let new = scratch.path().join("new");
    assert_eq!(restore(&archive[..], &new).unwrap(), sum);
    let (mut journal, opened) = SledJournal::open_with(&new, &SMALL).unwrap();
    assert_eq!(opened.records, (1..=1234).map(record).collect::<Vec<_>>());
    assert_eq!(fs::read(new.join("plugins/one.wasm")).unwrap(), b"a component");
    assert_eq!(journal.reader().records_of(&"a".into(), 0, 1000).unwrap().len(), 411);
    journal.append(&[record(1235)]).unwrap();
    let refused = restore(&archive[..], &new).unwrap_err();
    assert!(matches!(refused, RestoreError::NotEmpty { .. }), "{refused}");
    assert!(!scratch.path().join("new.restoring").exists());
}

#[test]
fn an_empty_journal_can_be_backed_up_too() {
    let scratch = tempfile::tempdir().unwrap();
    let (archive, _) = backed_up(&filled(&scratch.path().join("old"), 0));
    let sum = restore(&archive[..], &scratch.path().join("new")).unwrap();
    assert_eq!((sum.records, sum.last_seq), (0, 0));
}

#[test]
fn an_archive_that_was_cut_or_altered_is_refused_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let (archive, _) = backed_up(&filled(&scratch.path().join("old"), 120));
    let new = scratch.path().join("new");
    let check = |archive: &[u8], expected: &str| {
        let refused = restore(archive, &new).expect_err(expected);
        let whole = format!("{refused}: {:?}", std::error::Error::source(&refused));
        assert!(whole.contains(expected), "{expected:?} is not in {whole}");
        assert!(!new.exists() && !scratch.path().join("new.restoring").exists());
    };
    check(b"dear diary", "no backup that Fenix made");
    check(b"", "no backup that Fenix made");
    check(&archive[..archive.len() - 1], "it was cut off after record 120");
    check(&archive[..archive.len() / 2], "it was cut off after record");
    check(&[&archive[..], b"x"].concat(), "something stands behind its end");
    for at in (15..archive.len()).step_by(101) {
        let mut altered = archive.clone();
        altered[at] ^= 1;
        restore(&altered[..], &new).expect_err("one bit was altered");
        assert!(!new.exists());
    }
}
