//! A process that appends until it is ended: every record that it reported as stored is there afterwards.
//!
//! Each test runs itself again as the child, told by an environment variable where to write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;
use fenix_store::{Settings, SledJournal};

const DIRECTORY: &str = "FENIX_STORE_TEST_DIRECTORY";
const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 0 };

/// Of all sizes: every hundredth is too large for the database.
fn record(seq: u64) -> Record {
    let len = if seq.is_multiple_of(100) { 6000 } else { seq as usize * 37 % 900 };
    let session = [None, Some("a".into()), Some("b".into())][(seq % 3) as usize].clone();
    Record { seq, at: Time(seq), session, body: Body::Undecided { why: "w".repeat(len) } }
}

/// Appends batches of one to eight records until that fails, and reports each batch when it is stored.
fn append_for_ever(path: &Path) {
    let (mut journal, opened) = SledJournal::open_with(path, &SMALL).unwrap();
    let mut last = opened.last_seq;
    loop {
        let batch: Vec<_> = (last + 1..=last + 1 + last % 8).map(record).collect();
        if let Err(error) = journal.append(&batch) {
            let again = journal.append(&batch).unwrap_err();
            report(&format!("failed {error:?}, then {again:?}"));
            return;
        }
        last += batch.len() as u64;
        report(&format!("stored {last}"));
    }
}

fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The command that runs one test of this file alone, as the child.
fn child(test: &str, through: Option<&str>, path: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut command = match through {
        None => Command::new(this),
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(this);
            shell
        }
    };
    command.args(["--exact", test, "--nocapture"]).env(DIRECTORY, path);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The records in the directory are all that were ever appended, in order, and at least the acknowledged ones.
fn check_stored(path: &Path, acknowledged: u64) {
    let (_, opened) = SledJournal::open_with(path, &SMALL).unwrap();
    assert!(opened.last_seq >= acknowledged, "{} of {acknowledged} records are there", opened.last_seq);
    assert_eq!(opened.damage, []);
    let expected: Vec<_> = (1..=opened.last_seq).map(record).collect();
    assert!(opened.records == expected, "the records are not those that were appended");
}

#[test]
fn every_acknowledged_record_survives_kill_nine() {
    if let Some(path) = std::env::var_os(DIRECTORY) {
        return append_for_ever(Path::new(&path));
    }
    let scratch = tempfile::tempdir().unwrap();
    for reports_until_killed in [1, 3, 10, 40, 120, 7, 300] {
        let mut child = child("every_acknowledged_record_survives_kill_nine", None, scratch.path());
        let reports = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut acknowledged = 0;
        let mut count = 0;
        for line in reports {
            if let Some(last) = line.strip_prefix("stored ") {
                acknowledged = last.parse().unwrap();
                count += 1;
            }
            // What it reports between this and its end counts too: go on reading.
            if count == reports_until_killed {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "it ended by itself");
        check_stored(scratch.path(), acknowledged);
    }
}

#[test]
fn a_write_that_the_disk_refuses_ends_the_journal_and_loses_nothing() {
    if let Some(path) = std::env::var_os(DIRECTORY) {
        return append_for_ever(Path::new(&path));
    }
    let scratch = tempfile::tempdir().unwrap();
    // No file may grow beyond 1 MiB; the signal that says so is ignored, so that the write fails.
    let limited = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let test = "a_write_that_the_disk_refuses_ends_the_journal_and_loses_nothing";
    let mut child = child(test, Some(limited), scratch.path());
    let mut acknowledged = 0;
    let mut failed = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        match line.split_once(' ') {
            Some(("stored", last)) => acknowledged = last.parse().unwrap(),
            Some(("failed", how)) => failed = Some(how.to_owned()),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success(), "it panicked or was ended by a signal");
    let failed = failed.unwrap();
    assert!(failed.contains("FileTooLarge") && failed.contains("it failed before"), "{failed}");
    assert!(acknowledged > 100);
    check_stored(scratch.path(), acknowledged);
}
