//! Resident memory for each open session and each instance: of a process that has recovered a journal, many against few,
//! so that what every process has anyway falls out.

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use fenix_core::time::Time;
use fenix_engine::event::{Event, Order};
use fenix_engine::ports::{CloudCall, CloudReply};
use fenix_engine::{Engine, Settings};
use fenix_store::SledJournal;
use fenix_wasm::Plugins;
use serde_json::{Value, json};

use crate::Any;
use crate::journals::{Original, has};
use crate::stage::Size;
use crate::table::{Row, process_cpu};

/// As whom this program is called to recover a journal and tell what that took.
pub(crate) const CHILD: &str = "recover";

/// Ten hosts, one of them empty.
pub(crate) const SMALL: Size = Size { sessions: 1, hosts: 10, instances_per_host: 20 };

/// Records of each session.
pub(crate) const RECORDS: u64 = 500;

const FEW: u32 = 50;
const MANY: u32 = 400;

/// What a process that recovered a journal tells.
pub(crate) struct Recovered(Value);

impl Recovered {
    /// Has another process recover the journal in that directory.
    pub(crate) fn from(dir: &Path) -> Result<Recovered, Any> {
        let output = Command::new(std::env::current_exe()?).arg(CHILD).arg(dir).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(Recovered(serde_json::from_slice(&output.stdout)?))
    }

    /// One of its figures.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(0)
    }

    /// How long a part took, and its processor time on all processors.
    pub(crate) fn took(&self, part: &str) -> [u64; 2] {
        [0, 1].map(|kind| self.0[part][kind].as_u64().unwrap_or(0))
    }
}

/// Recovers a journal as the server does, up to the moment in which the cloud was read and every session is decided
/// again; the cloud is as it was, and answers at once.
#[expect(clippy::print_stdout, reason = "it tells its parent")]
pub(crate) fn child(dir: Option<&str>) -> Result<(), Any> {
    let dir = Path::new(dir.ok_or("which directory?")?);
    let begun = Instant::now();
    let mut last = (0, process_cpu());
    // Time, and processor time of all threads.
    let mut lap = || {
        let now = (begun.elapsed().as_nanos() as u64, process_cpu());
        let before = std::mem::replace(&mut last, now);
        [now.0 - before.0, now.1 - before.1]
    };
    let (mut journal, opened) = SledJournal::open(dir)?;
    let open = lap();
    let records = opened.records.len();
    let now = Time(SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let mut engine = Engine::recover(Settings::default(), &opened.records, opened.last_seq, Vec::new(), now)?;
    drop(opened.records);
    let fold = lap();
    let plugins = Plugins::new(Some(&dir.join("compiled")))?;
    for shipped in fenix_shipped::SHIPPED {
        plugins.attach(shipped.bytes)?;
    }
    let attach = lap();
    engine.handle(now, Event::Tick, &plugins);
    let orders = engine.commit(&mut journal)?.into_inner();
    let first = lap();
    let inventory = &engine.state().inventory;
    let all = CloudReply::All {
        hosts: inventory.hosts().cloned().collect(),
        instances: inventory.instances().cloned().collect(),
        groups: inventory.groups().cloned().collect(),
    };
    let read = orders.iter().find_map(|order| match order {
        Order::Call { id, call: CloudCall::ReadAll } => Some(*id),
        _ => None,
    });
    lap();
    let read = read.ok_or("the cloud is not read")?;
    engine.handle(now, Event::CloudReturned(read, Ok(all)), &plugins);
    drop(engine.commit(&mut journal)?);
    let read = lap();
    let ready = u64::from(engine.is_ready());
    let [resident, peak] = ["VmRSS:", "VmHWM:"].map(memory);
    let whole = [0, 1].map(|kind| [open, fold, attach, first, read].iter().map(|lap| lap[kind]).sum::<u64>());
    let told = json!({
        "records": records, "open": open, "fold": fold, "attach": attach, "first": first, "read": read,
        "whole": whole, "ready": ready, "resident": resident?, "peak": peak?,
    });
    println!("{told}");
    Ok(())
}

/// A figure of this process in bytes.
fn memory(name: &str) -> Result<u64, Any> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let original = Original::play(plugins, SMALL, has(RECORDS, usize::MAX))?;
    let cloud = original.without_session();
    let resident = |original: &Original, copies: u32| -> Result<f64, Any> {
        let dir = tempfile::tempdir()?;
        original.write(dir.path(), copies)?;
        Ok(Recovered::from(dir.path())?.get("resident") as f64)
    };
    let more = f64::from(MANY - FEW);
    let whole = (resident(&original, MANY)? - resident(&original, FEW)?) / more;
    let cloud = (resident(&cloud, MANY)? - resident(&cloud, FEW)?) / more;
    let instances = f64::from(SMALL.hosts * SMALL.instances_per_host);
    let kib = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
    let stored: usize = original
        .records()
        .filter(|record| record.session.is_some())
        .filter_map(|record| fenix_store::codec::encode(record).ok())
        .map(|frame| frame.len())
        .sum();
    let session = Row::new(
        format!("resident memory of an open session, 11 hosts, 200 instances, {RECORDS} records"),
        kib(whole - cloud),
    );
    let instance =
        Row::new("resident memory of an instance, with its share of a host", kib(cloud / instances));
    Ok(vec![
        session.against(
            format!("its records as stored: {}", kib(stored as f64)),
            (whole - cloud) / stored as f64,
        ),
        instance,
    ])
}
