//! A journal damaged in hundreds of ways: every time it is whole, or it is told which sessions lost something, or it
//! is refused with a next step. Never does it panic, and never is something missing about which nobody says anything.
//!
//! `cargo nextest run -p fenix-store -E 'binary(damage)' --no-capture` prints how often each happened; with
//! `FENIX_DAMAGES=10` ten times as many are tried.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the table is for whoever runs it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fenix_core::id::SessionId;
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Condition, Pin, Plan};
use fenix_core::time::Time;
use fenix_engine::Engine;
use fenix_engine::ports::Journal;
use fenix_store::{Opened, Settings, SledJournal, check};

const SMALL: Settings = Settings { cache_bytes: 1 << 20, reserve_bytes: 4096 };

const SESSIONS: [&str; 5] = ["one", "two", "three", "four", "five"];

/// Records: about 200 of each session and 200 of the installation.
const LAST: u64 = 1200;

/// A block of the disk.
const BLOCK: usize = 4096;

/// So many times `few`, if more are wanted.
fn times(few: usize) -> usize {
    let factor = std::env::var("FENIX_DAMAGES").map_or(1, |text| text.parse().unwrap());
    few * factor
}

fn record(seq: u64) -> Record {
    let turn = seq * seq * 7 % 31 % (SESSIONS.len() as u64 + 1);
    let session = SESSIONS.get(turn as usize).map(SessionId::from);
    // Every 60th is so large that its body lies in a file.
    let len = if seq.is_multiple_of(60) { 9000 } else { seq as usize * 37 % 700 };
    let body = match session {
        Some(_) => {
            Body::Noted { key: format!("k{}", seq % 20), value: Some(format!("{seq} {}", "v".repeat(len))) }
        }
        None => Body::TemplateRemoved { name: "n".repeat(seq as usize % 300) },
    };
    Record { seq, at: Time(seq), session, body }
}

/// All records: the sessions are opened first.
fn records() -> Vec<Record> {
    let pin = Pin { name: "default".into(), version: "1".into(), digest: "ab".into(), undoes: false };
    let plan = Plan {
        maintenance_at: Time(1),
        window_end: None,
        metadata: "{}".into(),
        workflow: pin,
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    };
    let opened = |seq: u64, id: &str| Record {
        session: Some(id.into()),
        body: Body::Opened { plan: plan.clone(), rules: 1 },
        ..record(seq)
    };
    let opened = (1..).zip(SESSIONS).map(|(seq, id)| opened(seq, id));
    opened.chain((SESSIONS.len() as u64 + 1..=LAST).map(record)).collect()
}

/// The journal, written by a server that was started three times.
static SOURCE: LazyLock<(tempfile::TempDir, Vec<Record>)> = LazyLock::new(|| {
    let scratch = tempfile::tempdir().unwrap();
    let records = records();
    let mut batches = Vec::new();
    let mut rest = records.as_slice();
    for size in [1, 2, 5, 3, 1, 8].into_iter().cycle() {
        let (batch, more) = rest.split_at(rest.len().min(size));
        batches.push(batch);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    for batches in batches.chunks(batches.len().div_ceil(3)) {
        let (mut journal, _) = SledJournal::open_with(scratch.path(), &SMALL).unwrap();
        batches.iter().for_each(|batch| journal.append(batch).unwrap());
    }
    (scratch, records)
});

/// The folded state of everything, or of what was found.
fn folded(records: Vec<Record>, last_seq: u64, damage: &[(SessionId, String)]) -> Engine {
    Engine::recover(fenix_engine::Settings::default(), &records, last_seq, damage.to_vec(), Time(LAST))
        .unwrap()
}

static WHOLE: LazyLock<Engine> = LazyLock::new(|| folded(SOURCE.1.clone(), LAST, &[]));

/// What became of a damaged journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing is lost, and nothing had to be done.
    Whole,
    /// Nothing is lost: the database was made again.
    Mended,
    /// Sessions are parked, the others go on.
    Parked,
    /// The server does not start, and says what to do.
    Refused,
}

/// Damages a copy, opens it, and holds what is found against what was written.
fn outcome(name: &str, damage: impl FnOnce(&Path)) -> Outcome {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("data");
    copy_dir(SOURCE.0.path(), &path);
    damage(&path);
    let checked = check(&path, &scratch.path().join("check"));
    let opened = SledJournal::open_with(&path, &SMALL);
    match opened {
        Err(refused) => {
            let told = refused.to_string();
            let next = ["restore", "put it back", "newer version", "choose another", "delete", "cannot "];
            assert!(next.iter().any(|next| told.contains(next)), "{name}: {told}");
            let whole = checked.as_ref().is_ok_and(|checked| checked.is_whole());
            assert!(!whole, "{name}: it is refused, and `check` finds nothing: {told}");
            Outcome::Refused
        }
        Ok((mut journal, opened)) => {
            let checked = checked.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(checked.damage, opened.damage, "{name}");
            let outcome = judge(name, &opened);
            // It takes records again, and they are there afterwards.
            let next = Record { session: Some("six".into()), ..record(opened.last_seq + 1) };
            journal.append(std::slice::from_ref(&next)).unwrap();
            drop(journal);
            let (_, again) = SledJournal::open_with(&path, &SMALL).unwrap();
            assert_eq!(again.records.last(), Some(&next), "{name}");
            assert_eq!((again.damage, again.mended), (opened.damage, None), "{name}");
            outcome
        }
    }
}

fn judge(name: &str, opened: &Opened) -> Outcome {
    let all = &SOURCE.1;
    assert_eq!(opened.last_seq, LAST, "{name}");
    let firsts: BTreeMap<_, _> = opened.damage.iter().map(|hurt| (&hurt.session, hurt.seq)).collect();
    let counts = |record: &&Record| {
        record.session.as_ref().and_then(|id| firsts.get(id)).is_none_or(|first| record.seq < *first)
    };
    let wanted: Vec<&Record> = all.iter().filter(counts).collect();
    assert!(
        opened.records.iter().eq(wanted),
        "{name}: not the records that were written: {:?}",
        opened.damage
    );

    let told: Vec<_> = opened.damage.iter().map(|hurt| (hurt.session.clone(), hurt.why.clone())).collect();
    let engine = folded(opened.records.clone(), opened.last_seq, &told);
    for (id, session) in WHOLE.state().sessions.iter() {
        let found = engine.state().session(id).unwrap();
        if let Some(hurt) = opened.damage.iter().find(|hurt| hurt.session == *id) {
            let parked = matches!(&found.condition, Condition::Parked { why } if why.contains(&hurt.why));
            assert!(parked, "{name}: {:?}", found.condition);
        } else {
            assert!(found == &**session, "{name}: session {id} is not as it was");
        }
    }
    match (opened.damage.is_empty(), &opened.mended) {
        (true, None) => Outcome::Whole,
        (true, Some(_)) => Outcome::Mended,
        (false, _) => Outcome::Parked,
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A small generator of repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Changes bytes of a file in place.
fn overwrite(path: &Path, at: usize, len: usize, change: impl FnOnce(&mut [u8])) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at as u64).unwrap();
    change(&mut bytes);
    file.write_all_at(&bytes, at as u64).unwrap();
}

/// The part of the database's file in which something is written.
fn used() -> usize {
    let bytes = fs::read(SOURCE.0.path().join("sled/db")).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap()
}

/// Counts what became of each damage of a family, and prints it.
#[derive(Default)]
struct Table(BTreeMap<&'static str, BTreeMap<Outcome, u32>>);

impl Table {
    fn add(&mut self, family: &'static str, name: &str, damage: impl FnOnce(&Path)) -> Outcome {
        let outcome = outcome(&format!("{family}, {name}"), damage);
        *self.0.entry(family).or_default().entry(outcome).or_default() += 1;
        outcome
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for (family, counts) in &self.0 {
            println!("{family}: {counts:?}");
        }
    }
}

#[test]
fn flipped_bits_in_the_database() {
    let (mut table, mut chance, used) = (Table::default(), Chance(1), used());
    let times = times(60);
    for part in 0..times {
        let at = used * part / times + chance.below(used / times);
        let bit = 1u8 << chance.below(8);
        table.add("a bit of the database flipped", &format!("{bit} at {at}"), |path| {
            overwrite(&path.join("sled/db"), at, 1, |bytes| bytes[0] ^= bit);
        });
    }
}

#[test]
fn blocks_of_the_database() {
    let (mut table, mut chance, used) = (Table::default(), Chance(2), used());
    let blocks = used / BLOCK;
    let times = times(20);
    for part in 0..times {
        let at = (blocks * part / times) * BLOCK;
        table.add("a block of the database zeroed", &at.to_string(), |path| {
            overwrite(&path.join("sled/db"), at, BLOCK, |bytes| bytes.fill(0));
        });
        let other = chance.below(blocks) * BLOCK;
        table.add("two blocks of the database swapped", &format!("{at} {other}"), |path| {
            let file = path.join("sled/db");
            let mut one = Vec::new();
            overwrite(&file, at, BLOCK, |bytes| one = bytes.to_vec());
            overwrite(&file, other, BLOCK, |bytes| one.swap_with_slice(bytes));
            overwrite(&file, at, BLOCK, |bytes| bytes.copy_from_slice(&one));
        });
        let (at, len) = (chance.below(used - 600), 1 + chance.below(512));
        table.add("garbage over the database", &format!("{at} {len}"), |path| {
            overwrite(&path.join("sled/db"), at, len, |bytes| bytes.iter_mut().for_each(|b| *b ^= 0x5A));
        });
    }
}

#[test]
fn large_parts_of_the_database() {
    let (mut table, mut chance, used) = (Table::default(), Chance(5), used());
    for part in 0..times(30) {
        let len = (4 << (part % 6)) * BLOCK;
        let at = chance.below(used - len);
        table.add("16 to 512 KiB of the database zeroed", &format!("{len} at {at}"), |path| {
            overwrite(&path.join("sled/db"), at, len, |bytes| bytes.fill(0));
        });
    }
}

#[test]
fn lengths_of_the_database() {
    let (mut table, mut chance, used) = (Table::default(), Chance(3), used());
    let times = times(25);
    for part in 0..times {
        let len = used * part / times + chance.below(used / times);
        table.add("the database cut off", &len.to_string(), |path| {
            let file = fs::OpenOptions::new().write(true).open(path.join("sled/db")).unwrap();
            file.set_len(len as u64).unwrap();
        });
    }
    for len in [1, 100, BLOCK, 600_000] {
        let outcome = table.add("garbage behind the database", &len.to_string(), |path| {
            let file = fs::OpenOptions::new().write(true).open(path.join("sled/db")).unwrap();
            let end = file.metadata().unwrap().len();
            file.write_all_at(&vec![0xA5; len], end).unwrap();
        });
        assert_ne!(outcome, Outcome::Parked);
    }
}

/// All files but the database's own, by their paths in the data directory.
fn small_files(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            small_files(root, &path, found);
        } else if !path.ends_with("sled/db") {
            found.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
}

#[test]
fn every_other_file() {
    let (mut table, mut chance) = (Table::default(), Chance(4));
    let mut files = Vec::new();
    small_files(SOURCE.0.path(), SOURCE.0.path(), &mut files);
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let name = file.display().to_string();
        let len = fs::metadata(SOURCE.0.path().join(&file)).unwrap().len() as usize;
        let times = if name.starts_with("bodies") { 1 } else { times(4) };
        for _ in 0..times.min(len) {
            let at = chance.below(len);
            table.add("a bit of another file flipped", &format!("{name} {at}"), |path| {
                overwrite(&path.join(&file), at, 1, |bytes| bytes[0] ^= 1 << (at % 8));
            });
            let cut = chance.below(len);
            table.add("another file cut off", &format!("{name} {cut}"), |path| {
                fs::OpenOptions::new()
                    .write(true)
                    .open(path.join(&file))
                    .unwrap()
                    .set_len(cut as u64)
                    .unwrap();
            });
        }
        table.add("another file deleted", &name, |path| fs::remove_file(path.join(&file)).unwrap());
    }
    let deleted =
        table.add("the database deleted", "", |path| fs::remove_file(path.join("sled/db")).unwrap());
    assert_eq!(deleted, Outcome::Refused);
    for folder in ["sled", "sled/blobs", "bodies"] {
        table.add("a folder deleted", folder, |path| fs::remove_dir_all(path.join(folder)).unwrap());
    }
}
