//! How many events a second are journaled and dispatched, with the journal on disk, when each session always has one at
//! hand: one session, and a hundred. The bench does what the writer of the server does, which takes what has come in
//! while the disk synced as one batch: here the next event of each session. Virtual time follows the events.

use std::time::Instant;

use fenix_core::time::Millis;
use fenix_store::SledJournal;
use fenix_wasm::Plugins;

use crate::Any;
use crate::stage::{Size, Stage, is_over};
use crate::table::{Row, cpu, time};

const HOSTS: u32 = 3;
const INSTANCES_PER_HOST: u32 = 4;

/// How long an event waits at most, in virtual time, for others to share its sync: less than anybody's patience.
const WAITS: Millis = Millis::from_secs(1);

struct Rate {
    events: u64,
    records: u64,
    batches: u64,
    seconds: f64,
    /// Nanoseconds of this thread's processor time for each event.
    cpu: u64,
}

impl Rate {
    /// Most events of a session that is alone write nothing and cost no sync: records are what counts.
    fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    fn text(&self) -> String {
        let Rate { events, records, batches, cpu, .. } = self;
        format!(
            "{:.0} records/s, {:.0} events/s ({:.1} events and {:.1} records a sync; {} of processor time an event)",
            self.records_per_second(),
            *events as f64 / self.seconds,
            *events as f64 / *batches as f64,
            *records as f64 / *batches as f64,
            time(*cpu)
        )
    }
}

fn run(plugins: &Plugins, sessions: u32) -> Result<Rate, Any> {
    let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
    let scratch = tempfile::tempdir()?;
    let (mut journal, _) = SledJournal::open(scratch.path())?;
    let size = Size { sessions, hosts: HOSTS, instances_per_host: INSTANCES_PER_HOST };
    let mut stage = Stage::set(size, &workflow, &mut journal)?;
    let (mut events, mut batches, first) = (0, 0, stage.engine.state().seq);
    let (begun, cpu_before) = (Instant::now(), cpu());
    while !is_over(stage.engine.state())? {
        let before = stage.engine.state().seq;
        let mut next = stage.next();
        let end = stage.now + WAITS;
        for left in (0..sessions).rev() {
            // The last events of some sessions come when others have no more.
            let Some(event) = next.take() else { break };
            events += 1;
            stage.engine.handle(stage.now, event, plugins);
            next = if left == 0 { None } else { stage.next_until(end) };
        }
        stage.commit(&mut journal)?;
        batches += u64::from(stage.engine.state().seq > before);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (cpu() - cpu_before) / events;
    Ok(Rate { events, records: stage.engine.state().seq - first, batches, seconds, cpu })
}

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    let one = run(plugins, 1)?;
    let hundred = run(plugins, 100)?;
    let row = Row::new("100 busy sessions, journaled and dispatched", hundred.text());
    let ratio = hundred.records_per_second() / one.records_per_second();
    Ok(vec![row.against(format!("one session: {}", one.text()), ratio).aim(">= 20")])
}
