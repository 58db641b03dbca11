//! The stored forms of every version of every kind, as files: `fixtures/format-1/KIND.VERSION.json`.
//!
//! A change to a serialized form fails here. It needs a new version of its kind in `kind.rs` and an upcast; then the
//! fixture of the new version is written by
//!
//! ```text
//! FENIX_WRITE_FIXTURES=1 cargo test -p fenix-store --test fixtures
//! ```
//!
//! which never changes a file that is there. Forms that no release has written may be changed in place: delete
//! their files first.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod samples;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fenix_core::record::Record;
use fenix_store::codec::{FORMAT, decode, encode};
use fenix_store::kind::{Form, form_of, kinds};
use serde_json::{Value, json};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/format-{FORMAT}"))
}

fn file_name(form: Form) -> String {
    format!("{}.{}.json", form.kind, form.version)
}

/// What a record looks like in a fixture: to be read by people, and its frame.
fn readable(record: &Record) -> Value {
    json!({
        "seq": record.seq,
        "at": record.at,
        "session": record.session,
        "body": record.body,
        "frame": hex::encode(encode(record).unwrap()),
    })
}

fn samples_by_kind() -> BTreeMap<&'static str, Vec<Record>> {
    let mut by_kind: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in samples::records() {
        by_kind.entry(form_of(&record.body).kind).or_default().push(record);
    }
    by_kind
}

/// Writes the fixtures of forms that have none, if that is wanted.
fn write_missing() {
    if std::env::var_os("FENIX_WRITE_FIXTURES").is_none() {
        return;
    }
    std::fs::create_dir_all(dir()).unwrap();
    for records in samples_by_kind().values() {
        let path = dir().join(file_name(form_of(&records[0].body)));
        if !path.exists() {
            let fixture: Vec<_> = records.iter().map(readable).collect();
            std::fs::write(path, serde_json::to_string_pretty(&fixture).unwrap() + "\n").unwrap();
        }
    }
}

/// The fixtures that there are: kind, version, content.
fn fixtures() -> Vec<(String, u16, Vec<Value>)> {
    write_missing();
    let entries = std::fs::read_dir(dir()).unwrap().map(|entry| entry.unwrap().path());
    let parsed = entries.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (kind, version) = name.split_once('.').unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        (kind.to_owned(), version.parse().unwrap(), serde_json::from_str(&text).unwrap())
    });
    parsed.collect()
}

#[test]
fn every_kind_has_a_fixture_of_its_current_form() {
    write_missing();
    let written: Vec<_> = samples_by_kind().values().map(|records| form_of(&records[0].body)).collect();
    assert_eq!(written.len(), kinds().count());
    for form in written {
        assert!(
            dir().join(file_name(form)).is_file(),
            "{} is missing; see the head of this file",
            file_name(form)
        );
    }
}

#[test]
fn every_fixture_is_read_as_the_record_that_it_was_made_of() {
    let samples = samples_by_kind();
    for (kind, version, fixture) in fixtures() {
        let wanted = &samples[kind.as_str()];
        assert_eq!(fixture.len(), wanted.len(), "{kind}.{version}");
        for (entry, record) in fixture.iter().zip(wanted) {
            let frame = hex::decode(entry["frame"].as_str().unwrap()).unwrap();
            assert_eq!(decode(&frame).unwrap(), *record, "{kind}.{version}");
        }
    }
}

#[test]
fn every_record_is_still_written_as_in_its_fixture() {
    let samples = samples_by_kind();
    for (kind, version, fixture) in fixtures() {
        let records = &samples[kind.as_str()];
        if form_of(&records[0].body).version == version {
            let written: Vec<_> = records.iter().map(readable).collect();
            assert_eq!(written, fixture, "the form of {kind} has changed; see the head of this file");
        }
    }
}
