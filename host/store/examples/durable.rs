//! How many records a second are stored for good, beside bare sled that appends, flushes and syncs the same bytes.
//!
//! ```text
//! cargo run --release -p fenix-store --example durable [DIRECTORY]
//! ```
//!
//! The directory should be on the disk that counts: many have the usual temporary directory in memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people, who see it fail")]

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use fenix_core::record::{Body, Record};
use fenix_core::time::Time;
use fenix_engine::ports::Journal;
use fenix_store::SledJournal;
use fenix_store::codec::encode;

/// Appends per measurement.
const ROUNDS: u64 = 300;

/// Measurements of each; the median counts.
const TIMES: usize = 5;

fn main() {
    let under = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    println!("{:>10} {:>14} {:>14} {:>8}", "records", "journal", "bare sled", "ratio");
    println!("{:>10} {:>14} {:>14} {:>8}", "per append", "records/s", "records/s", "");
    for group in [1, 4, 16, 64, 256] {
        // Taken in turn, so that both meet the same disk.
        let pairs: Vec<_> = (0..TIMES).map(|_| (journal(&under, group), bare_sled(&under, group))).collect();
        let ours = median(pairs.iter().map(|(ours, _)| *ours).collect());
        let bare = median(pairs.iter().map(|(_, bare)| *bare).collect());
        let rate = |took: Duration| (ROUNDS * group) as f64 / took.as_secs_f64();
        println!("{group:>10} {:>14.0} {:>14.0} {:>8.2}", rate(ours), rate(bare), rate(ours) / rate(bare));
    }
}

fn record(seq: u64) -> Record {
    let body = Body::Entered { phase: fenix_core::session::Phase::StartMaintenance, reason: "r".repeat(200) };
    Record { seq, at: Time(seq), session: Some("0c4fd6f2-9a5b-4c3e-8d27-5b1f0e6a7c11".into()), body }
}

fn batches(group: u64) -> Vec<Vec<Record>> {
    (0..ROUNDS).map(|round| (round * group + 1..=(round + 1) * group).map(record).collect()).collect()
}

fn journal(under: &Path, group: u64) -> Duration {
    let scratch = tempfile::tempdir_in(under).unwrap();
    let (mut journal, _) = SledJournal::open(scratch.path()).unwrap();
    let batches = batches(group);
    let started = Instant::now();
    for batch in &batches {
        journal.append(batch).unwrap();
    }
    started.elapsed()
}

fn bare_sled(under: &Path, group: u64) -> Duration {
    let scratch = tempfile::tempdir_in(under).unwrap();
    let db = sled::Config::new().path(scratch.path()).flush_every_ms(None).open().unwrap();
    let file = OpenOptions::new().write(true).open(scratch.path().join("db")).unwrap();
    let frames: Vec<Vec<_>> = batches(group)
        .iter()
        .map(|batch| batch.iter().map(|r| (r.seq, encode(r).unwrap())).collect())
        .collect();
    let started = Instant::now();
    for batch in frames {
        let mut writes = sled::Batch::default();
        for (seq, frame) in batch {
            writes.insert(&seq.to_be_bytes(), frame);
        }
        db.apply_batch(writes).unwrap();
        db.flush().unwrap();
        file.sync_all().unwrap();
    }
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
