//! From opening the journal until the server is ready: everything is read and checked, folded, the plug-ins are attached,
//! the cloud was read once, and every session was decided again. A process of its own each; the cloud answers at once.

use std::path::Path;
use std::time::Instant;

use fenix_wasm::Plugins;

use crate::Any;
use crate::journals::{Original, has};
use crate::memory::{RECORDS, Recovered, SMALL};
use crate::stage::Size;
use crate::table::{Row, median, time};

const SESSIONS: u32 = 1000;

/// Runs of each; the middle one counts.
const RUNS: usize = 3;

/// A thousand hosts with fifty instances each.
const LARGE: Size = Size { sessions: 1, hosts: 1000, instances_per_host: 50 };

/// Hosts of them that are done.
const DONE: usize = 300;

fn rows(what: &str, dir: &Path, records: u64) -> Result<Vec<Row>, Any> {
    let mut runs = Vec::new();
    let mut read = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let bytes = read_files(dir)?;
        read.push(begun.elapsed().as_nanos() as u64);
        let run = Recovered::from(dir)?;
        if run.get("ready") != 1 || run.get("records") < records {
            return Err(format!("{what}: not ready, or {} of {records} records", run.get("records")).into());
        }
        runs.push((run, bytes));
    }
    let part =
        |name: &str| [0, 1].map(|kind| median(runs.iter().map(|(run, _)| run.took(name)[kind]).collect()));
    let text = |[took, cpu]: [u64; 2]| format!("{}; {} of processor time", time(took), time(cpu));
    let [whole, _] = part("whole");
    let bytes = runs[0].1;
    let against = format!("reading its {} MiB: {}", bytes >> 20, time(median(read.clone())));
    let row = Row::new(format!("restart until ready, {what}, {records} records"), text(part("whole")));
    let mut rows = vec![row.against(against, whole as f64 / median(read) as f64).aim("< 1 s")];
    for (name, part_of) in [
        ("open", "read and checked"),
        ("fold", "folded, resumed"),
        ("attach", "plug-ins attached"),
        ("first", "first batch"),
        ("read", "cloud read, sessions decided"),
    ] {
        rows.push(Row::new(format!("... of that: {part_of}"), text(part(name))));
    }
    Ok(rows)
}

/// Reads all files of the database once; returns their size.
fn read_files(dir: &Path) -> Result<u64, Any> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => read_files(&entry.path())?,
            false => std::fs::read(entry.path())?.len() as u64,
        };
    }
    Ok(bytes)
}

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let dir = tempfile::tempdir()?;
    let many = Original::play(plugins, SMALL, has(RECORDS, usize::MAX))?;
    let records = many.write(dir.path(), SESSIONS)?;
    let mut all =
        rows(&format!("{SESSIONS} open sessions of 11 hosts / 200 instances"), dir.path(), records)?;
    drop(many);
    let dir = tempfile::tempdir()?;
    let large = Original::play(plugins, LARGE, has(u64::MAX, DONE))?;
    let records = large.write(dir.path(), 1)?;
    let what = format!("one session of 1 000 hosts / 50 000 instances with {DONE} hosts done");
    all.extend(rows(&what, dir.path(), records)?);
    Ok(all)
}
