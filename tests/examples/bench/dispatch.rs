//! From an event to what it orders, with the journal on disk: one session alone, one event after the other.
//!
//! After each, the same bytes are written to a plain file that is synced: what the disk asks for a batch, whoever writes
//! it. The two take turns, so that a slow moment of the disk meets both.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use fenix_core::record::Record;
use fenix_engine::ports::{Journal, JournalError};
use fenix_store::SledJournal;
use fenix_store::codec::encode;
use fenix_wasm::Plugins;

use crate::Any;
use crate::stage::{Size, Stage, is_over};
use crate::table::{Row, percentile, time};

const SIZE: Size = Size { sessions: 1, hosts: 10, instances_per_host: 10 };

/// Events that are measured.
const EVENTS: usize = 1500;

/// Notes how many bytes the last batch had.
struct Weighed {
    journal: SledJournal,
    bytes: usize,
}

impl Journal for Weighed {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.bytes = records.iter().filter_map(|record| encode(record).ok()).map(|frame| frame.len()).sum();
        self.journal.append(records)
    }
}

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
    let scratch = tempfile::tempdir()?;
    let (journal, _) = SledJournal::open(&scratch.path().join("data"))?;
    let mut journal = Weighed { journal, bytes: 0 };
    let mut plain = File::create(scratch.path().join("plain"))?;
    let mut stage = Stage::set(SIZE, &workflow, &mut journal)?;
    let (mut whole, mut bare) = (Vec::new(), Vec::new());
    while whole.len() < EVENTS && !is_over(stage.engine.state())? {
        let event = stage.next().ok_or("nothing is left to do")?;
        journal.bytes = 0;
        let begun = Instant::now();
        stage.engine.handle(stage.now, event, plugins);
        let orders = stage.engine.commit(&mut journal)?;
        let took = begun.elapsed();
        if journal.bytes > 0 {
            whole.push(took.as_nanos() as u64);
            let begun = Instant::now();
            plain.write_all(&vec![b'x'; journal.bytes])?;
            plain.sync_all()?;
            bare.push(begun.elapsed().as_nanos() as u64);
        }
        for order in orders.into_inner() {
            stage.carry_out(order);
        }
    }
    whole.sort_unstable();
    bare.sort_unstable();
    let rows = [50, 99].map(|percent| {
        let (whole, bare) = (percentile(&whole, percent), percentile(&bare, percent));
        let row = Row::new(format!("event to dispatched, one session alone, p{percent}"), time(whole));
        let row = row
            .against(format!("the same bytes to a file, synced: {}", time(bare)), whole as f64 / bare as f64);
        if percent == 99 { row.aim(format!("one sync + 2 ms: {}", time(bare + 2_000_000))) } else { row }
    });
    Ok(rows.into())
}
