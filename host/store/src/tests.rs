//! Loss of power, as a disk sees it.
//!
//! The sync of the journal is watched: what the database file holds when a sync returns is on the disk for good.
//! Of what is written until the next sync, any part may be there when the power is lost, in any order, sector by
//! sector. Such files are made, and opened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;

use crate::{Settings, SledJournal};

const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 0 };

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Appends that are cut; with the records below they fill more than one of the database's 512 KiB segments.
const APPENDS: u64 = 60;

/// How often each is cut.
const CUTS: u64 = 2;

fn record(seq: u64) -> Record {
    let body = Body::Undecided { why: "w".repeat(seq as usize * 377 % 3000) };
    let session = [None, Some("a".into()), Some("b".into())][(seq % 3) as usize].clone();
    Record { seq, at: Time(seq), session, body }
}

/// All files of the data directory as they are when a sync returns, by path.
type Image = BTreeMap<String, Vec<u8>>;

fn image(root: &Path, dir: &Path, found: &mut Image) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            image(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().into(), fs::read(&path).unwrap());
        }
    }
}

fn restore(image: &Image, dir: &Path) {
    for (path, bytes) in image {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir_all(dir.join("sled/blobs")).unwrap();
}

/// The earlier file with those sectors of the later one for which `kept` says so.
fn torn(before: &[u8], after: &[u8], mut kept: impl FnMut() -> bool) -> Vec<u8> {
    let mut file = before.to_vec();
    for (at, sector) in (0..).step_by(SECTOR).zip(after.chunks(SECTOR)) {
        let old = before.get(at..at + sector.len());
        if old != Some(sector) && kept() {
            file.resize(file.len().max(at + sector.len()), 0);
            file[at..at + sector.len()].copy_from_slice(sector);
        }
    }
    file
}

/// Runs appends of one to eight records; gives the images at the end of each, with the last number then stored.
fn images() -> Vec<(u64, Image)> {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    let images = Arc::new(Mutex::new(Vec::new()));
    let (watched, root) = (Arc::clone(&images), path.clone());
    let sync = move |file: &File| {
        let mut found = Image::new();
        image(&root, &root, &mut found);
        watched.lock().unwrap().push(found);
        file.sync_all()
    };
    let (mut journal, _) = SledJournal::open_syncing_by(&path, &SMALL, Arc::new(sync)).unwrap();
    let mut lasts = vec![0];
    for append in 0..APPENDS {
        let last = lasts[lasts.len() - 1];
        let batch: Vec<_> = (last + 1..=last + 1 + append % 8).map(record).collect();
        journal.append(&batch).unwrap();
        lasts.push(last + batch.len() as u64);
    }
    // One sync when it was opened, one for each append.
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert_eq!(images.len(), lasts.len());
    lasts.into_iter().zip(images).collect()
}

/// A small generator of repeatable disorder.
fn disorder(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn a_loss_of_power_leaves_what_was_acknowledged_and_no_part_of_an_append() {
    let mut random = disorder(7);
    let images = images();
    for (pair, _) in images.windows(2).flat_map(|pair| (0..CUTS).map(move |cut| (pair, cut))) {
        let (stored, before) = &pair[0];
        let (next, after) = &pair[1];
        let mut cut = before.clone();
        // Few of the sectors, some, or most of them: by turns.
        let odds = random() % 4 + 1;
        cut.insert("sled/db".into(), torn(&before["sled/db"], &after["sled/db"], || random() % 5 < odds));

        let scratch = tempfile::tempdir().unwrap();
        restore(&cut, scratch.path());
        let opened = SledJournal::open_with(scratch.path(), &SMALL);
        let (_, opened) = opened.unwrap_or_else(|error| panic!("after {stored}: {error}"));
        assert_eq!(opened.damage, []);
        assert!([*stored, *next].contains(&opened.last_seq), "{} after {stored}", opened.last_seq);
        let expected: Vec<_> = (1..=opened.last_seq).map(record).collect();
        assert!(opened.records == expected, "the records are not those that were appended");
    }
}
