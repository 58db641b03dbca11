//! Records a second that are durable, by how many share a batch, against bare sled and a plain file: the same bytes under
//! the same keys, flushed and synced as often. The three take turns.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use fenix_core::record::Record;
use fenix_engine::ports::Journal;
use fenix_store::SledJournal;
use fenix_store::bare::Bare;
use fenix_store::codec::encode;
use fenix_wasm::Plugins;

use crate::Any;
use crate::journals::{Original, has};
use crate::memory::{RECORDS, SMALL};
use crate::table::Row;

/// Records in a batch, and batches.
const GROUPINGS: [(usize, u64); 3] = [(1, 300), (10, 300), (256, 60)];

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let original = Original::play(plugins, SMALL, has(RECORDS, usize::MAX))?;
    let samples: Vec<&Record> = original.records().filter(|record| record.session.is_some()).collect();
    let mut rows = Vec::new();
    for (grouping, batches) in GROUPINGS {
        let scratch = tempfile::tempdir()?;
        let (mut journal, _) = SledJournal::open(&scratch.path().join("journal"))?;
        let bare = Bare::create(&scratch.path().join("bare"))?;
        let mut plain = File::create(scratch.path().join("plain"))?;
        let mut seq = 0;
        let mut took = [0.0; 3];
        for _ in 0..batches {
            let records: Vec<Record> = (1..=grouping as u64)
                .map(|number| Record {
                    seq: seq + number,
                    ..samples[(seq + number) as usize % samples.len()].clone()
                })
                .collect();
            seq += grouping as u64;
            let frames: Result<Vec<_>, _> =
                records.iter().map(|record| encode(record).map(|frame| (record.seq, frame))).collect();
            let frames = frames?;
            let begun = Instant::now();
            journal.append(&records)?;
            took[0] += begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            bare.append(frames.iter().map(|(seq, frame)| (*seq, &**frame)))?;
            took[1] += begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            for (_, frame) in &frames {
                plain.write_all(frame)?;
            }
            plain.sync_all()?;
            took[2] += begun.elapsed().as_secs_f64();
        }
        let [journal, bare, plain] = took.map(|seconds| seq as f64 / seconds);
        let row =
            Row::new(format!("durable records a second, {grouping} in a batch"), format!("{journal:.0}"));
        rows.push(row.against(format!("bare sled: {bare:.0}; a plain file: {plain:.0}"), journal / bare));
    }
    Ok(rows)
}
