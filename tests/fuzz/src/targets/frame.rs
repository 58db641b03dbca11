//! One record: any bytes are refused, or are a record that is written as it was read.

use fenix_core::record::Record;
use fenix_store::codec::{decode, decode_with, encode, encode_within};

use crate::input::Known;

/// Where a frame's checksum stands.
const SUM: std::ops::Range<usize> = 4..8;

/// Shorter than any frame: the body has to go apart.
const TOO_SHORT: usize = 16;

/// A frame for every case of every kind.
pub fn seeds() -> Vec<Known> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/store/fixtures/format-1");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the fixtures are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let frames = |path: &std::path::PathBuf| -> Vec<Known> {
        let text = std::fs::read(path).expect("a fixture can be read");
        let entries: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("a fixture is a list");
        let frame = |entry: &serde_json::Value| {
            let frame = entry["frame"].as_str().and_then(|frame| hex::decode(frame).ok());
            Known { name: path.display().to_string(), bytes: frame.expect("a fixture has a frame") }
        };
        entries.iter().map(frame).collect()
    };
    paths.iter().flat_map(frames).collect()
}

/// As it is, and with the checksum put right, so that what stands behind it is read too.
pub fn run(input: &[u8]) {
    check(input);
    check(&summed(input));
}

fn check(bytes: &[u8]) {
    let record = match decode(bytes) {
        Ok(record) => record,
        Err(error) => return super::is_told(&error.to_string(), bytes.len()),
    };
    let again = encode(&record).expect("what was read can be written");
    assert_eq!(decode(&again).expect("what was written can be read"), record);
    comes_back_in_parts(&record);
}

fn comes_back_in_parts(record: &Record) {
    let parts = encode_within(record, TOO_SHORT).expect("what was read can be written in parts");
    let (digest, body) = parts.apart.expect("no frame is that short");
    let read = decode_with(&parts.frame, |asked, len| {
        assert_eq!((asked, len), (digest, body.len()));
        Ok(body.clone())
    });
    assert_eq!(read.expect("both parts are there"), *record);
}

/// The same bytes with the checksum that they should have.
pub fn summed(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if frame.len() >= SUM.end {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&frame[SUM.start - 1..SUM.start]);
        hasher.update(&frame[SUM.end..]);
        frame[SUM].copy_from_slice(&hasher.finalize().to_be_bytes());
    }
    frame
}
