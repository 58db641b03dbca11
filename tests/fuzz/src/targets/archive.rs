//! A backup: any bytes are refused, or are an archive in which nothing is missing, twice or out of order; and such a
//! one is restored whole, or not at all.

use std::collections::BTreeSet;

use fenix_core::record::Record;
use fenix_store::archive::{ArchiveError, Entry, Sum, read};
use fenix_store::codec::{decode, encode};
use fenix_store::{SledJournal, restore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::frame;
use crate::input::Known;

const MAGIC: &[u8] = b"fenix backup 1\n";

/// Of so many archives one is restored too: that takes a thousand times as long as to read it.
const RESTORED: usize = 32;

/// An archive of a record of each kind, with a gap and files.
pub fn seeds() -> Vec<Known> {
    let records: Vec<Record> =
        frame::seeds().iter().filter_map(|known| decode(&known.bytes).ok()).take(12).collect();
    let mut text = format!("h {}\ng 1 40\n", json!({"made_at_ms": 1, "fenix": "0.1.0", "last_seq": 0}));
    for (record, seq) in records.into_iter().zip(41..) {
        text.push_str(&format!("r {}\n", json!(Record { seq, ..record })));
    }
    text.push_str("f plugins/noop.wasm no component\nf plugins/empty.wasm \ne\n");
    vec![Known { name: "an archive".to_owned(), bytes: written(&text) }]
}

/// The archive of which each line names an entry: `h JSON`, `r JSON` (a record), `g FIRST LAST`, `f NAME TEXT` and
/// `e`, which stands for an end that fits everything before it.
///
/// # Panics
/// A line is none of these.
pub fn written(text: &str) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "h" => entry(&mut out, b'h', rest.as_bytes()),
            "r" => {
                let record: Record = serde_json::from_str(rest).expect("a record");
                entry(&mut out, b'r', &encode(&record).expect("a record that can be written"));
            }
            "g" => {
                let ends =
                    rest.split(' ').map(|number| number.parse::<u64>().expect("a number").to_be_bytes());
                entry(&mut out, b'g', &ends.flatten().collect::<Vec<u8>>());
            }
            "f" => {
                let (name, content) = rest.split_once(' ').unwrap_or((rest, ""));
                entry(&mut out, b'f', &[&[name.len() as u8], name.as_bytes(), content.as_bytes()].concat());
            }
            "e" => out = sealed(&out),
            _ => panic!("{line:?} is no entry"),
        }
    }
    out
}

fn entry(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// The entries of something like an archive, as far as there are any, without an end.
fn entries(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = bytes.strip_prefix(MAGIC).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<5>() {
        let [kind, length @ ..] = *head;
        let Some((entry, behind)) = behind.split_at_checked(u32::from_be_bytes(length) as usize) else {
            break;
        };
        if kind != b'e' {
            found.push((kind, entry));
        }
        rest = behind;
    }
    found
}

/// The same entries with a head that tells the number of the last record, right checksums, and an end that fits: so
/// that what stands behind those is read too.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let entries = entries(bytes);
    let frames: Vec<Vec<u8>> =
        entries.iter().filter(|(kind, _)| *kind == b'r').map(|(_, bytes)| frame::summed(bytes)).collect();
    let last = frames.last().and_then(|frame| decode(frame).ok()).map_or(0, |record| record.seq);
    let mut frames = frames.into_iter();
    let mut out = MAGIC.to_vec();
    let mut files = 0;
    for (kind, bytes) in &entries {
        match kind {
            b'h' => {
                let mut head: Value = serde_json::from_slice(bytes).unwrap_or_default();
                if head.is_object() {
                    head["last_seq"] = json!(last);
                }
                entry(&mut out, *kind, head.to_string().as_bytes());
            }
            b'r' => entry(&mut out, *kind, &frames.next().unwrap_or_default()),
            _ => {
                files += u64::from(*kind == b'f');
                entry(&mut out, *kind, bytes);
            }
        }
    }
    let records = entries.iter().filter(|(kind, _)| *kind == b'r').count();
    let end = json!({"records": records, "files": files, "sha256": hex::encode(Sha256::digest(&out))});
    entry(&mut out, b'e', end.to_string().as_bytes());
    out
}

/// As it is, and sealed.
pub fn run(input: &[u8]) {
    check(input);
    check(&sealed(input));
}

/// What was shown and what it came to.
fn whole(bytes: &[u8]) -> Result<(Vec<Entry>, Sum), ArchiveError> {
    let mut shown = Vec::new();
    let sum = read(bytes, |entry| {
        shown.push(entry);
        Ok::<(), ArchiveError>(())
    })?;
    Ok((shown, sum))
}

fn check(bytes: &[u8]) {
    let (shown, sum) = match whole(bytes) {
        Ok(read) => read,
        Err(error) => return super::is_told(&error.to_string(), bytes.len()),
    };
    is_complete(&shown, &sum);
    let place =
        bytes.iter().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let cut = place % bytes.len();
    assert!(whole(&bytes[..cut]).is_err(), "what is cut off at {cut} of {} is taken", bytes.len());
    if place.is_multiple_of(RESTORED) {
        restores(bytes, &shown, &sum);
    }
}

/// Every number up to the last has its record, or was left out on purpose; none has both, and they stand in order.
fn is_complete(shown: &[Entry], sum: &Sum) {
    let (mut last, mut records, mut files) = (0, 0, 0);
    let mut gaps = BTreeSet::new();
    for entry in shown {
        match entry {
            Entry::Record(record) => {
                let left_out =
                    gaps.iter().find(|(first, _)| *first == last + 1).map_or(last, |(_, end)| *end);
                assert_eq!(record.seq, left_out + 1, "after {last} and gaps {gaps:?}");
                (last, records) = (record.seq, records + 1);
            }
            Entry::Gap(first, end) => {
                assert!(first <= end && *end < u64::MAX, "a gap from {first} to {end}");
                gaps.insert((*first, *end));
            }
            Entry::File(..) => files += 1,
        }
    }
    assert_eq!((last, records, files), (sum.last_seq, sum.records, sum.files));
}

fn restores(bytes: &[u8], shown: &[Entry], sum: &Sum) {
    let scratch = super::scratch();
    let place = scratch.path().join("data");
    match restore(bytes, &place) {
        Ok(restored) => {
            assert_eq!(restored, *sum);
            let (_journal, opened) = SledJournal::open(&place).expect("what was restored can be opened");
            let kept = shown.iter().filter_map(|entry| match entry {
                Entry::Record(record) => Some(&**record),
                Entry::Gap(..) | Entry::File(..) => None,
            });
            assert!(opened.records.iter().eq(kept), "other records came back");
        }
        Err(error) => {
            super::is_told(&error.to_string(), bytes.len());
            let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("a folder").collect();
            assert!(left.is_empty(), "{error}, and yet something is left: {left:?}");
        }
    }
}
