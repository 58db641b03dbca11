//! What a host of a large session costs against one of a small one: all processor time of the engine, divided by the
//! full hosts. Without disk.

use fenix_wasm::Plugins;

use crate::Any;
use crate::stage::{NoDisk, Size, Stage, is_over};
use crate::table::{Row, cpu, median, time};

const INSTANCES_PER_HOST: u32 = 20;

/// Runs of each size: a small session is over before a busy machine has had its say, so the middle of many counts.
const RUNS: [(u32, usize); 3] = [(10, 31), (100, 5), (1000, 1)];

/// Processor time of the engine for one session, per full host; with a reader that holds the state shown after each
/// event, as the server's readers do.
fn run(plugins: &Plugins, hosts: u32, reader: bool) -> Result<u64, Any> {
    let workflow = plugins.named("default").ok_or("the workflow default is not shipped")?.pin();
    let mut stage = Stage::set(Size::one(hosts, INSTANCES_PER_HOST), &workflow, &mut NoDisk)?;
    let mut spent = 0;
    let mut shown = None;
    while !is_over(stage.engine.state())? {
        let event = stage.next().ok_or("nothing is left to do")?;
        let begun = cpu();
        stage.engine.handle(stage.now, event, plugins);
        let orders = stage.engine.commit(&mut NoDisk)?;
        spent += cpu() - begun;
        if reader {
            shown = Some(stage.engine.state().clone());
        }
        for order in orders.into_inner() {
            stage.carry_out(order);
        }
    }
    drop(shown);
    // The empty host costs next to nothing: what counts are those that have to be emptied.
    Ok(spent / u64::from(hosts))
}

pub(crate) fn measure(plugins: &Plugins) -> Result<Vec<Row>, Any> {
    run(plugins, 10, false)?; // Warms up.
    let mut rows = Vec::new();
    let mut small = None;
    for (hosts, runs) in RUNS {
        let middle = |reader: bool| -> Result<u64, Any> {
            let spent: Result<Vec<u64>, Any> = (0..runs).map(|_| run(plugins, hosts, reader)).collect();
            Ok(median(spent?))
        };
        let (spent, read) = (middle(false)?, middle(true)?);
        let row = Row::new(format!("a host with 20 instances in a session of {hosts}"), time(spent));
        rows.push(match small {
            None => row,
            Some(small) => row
                .against(format!("one in a session of 10: {}", time(small)), spent as f64 / small as f64)
                .aim(if hosts == 1000 { "<= 1.3" } else { "" }),
        });
        small.get_or_insert(spent);
        let row = Row::new(format!("... with a reader after each event, {hosts} hosts"), time(read));
        rows.push(row.against(format!("without: {}", time(spent)), read as f64 / spent as f64));
    }
    Ok(rows)
}
