//! Whole simulated sessions with faults, from seeds: the real engine, rules, components and stored forms, and the
//! checkers. On all processors; counted in processor time too, since others use them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fenix_sim::generate::{self, Profile};
use fenix_sim::plugins::Components;
use fenix_wasm::Plugins;

use crate::Any;
use crate::table::{Row, process_cpu, time};

/// Sessions of each kind.
const SEEDS: u64 = 400;

struct Pace {
    wall: f64,
    /// Nanoseconds of processor time per session.
    cpu: u64,
}

fn run(components: &Components, profile: &Profile) -> Result<Pace, Any> {
    let next = AtomicU64::new(1);
    let (begun, cpu) = (Instant::now(), process_cpu());
    let work = || -> Result<(), Any> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > SEEDS {
                return Ok(());
            }
            let report = fenix_sim::run(&generate::session(seed, profile), components)?;
            if let Some(violation) = report.violations.first() {
                return Err(format!("seed {seed}: {violation}").into());
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a simulation broke")?)
    })?;
    Ok(Pace { wall: begun.elapsed().as_secs_f64() / SEEDS as f64, cpu: (process_cpu() - cpu) / SEEDS })
}

pub(crate) fn measure(_: &Plugins) -> Result<Vec<Row>, Any> {
    let components = Components::shipped()?;
    let faulty = Profile::faulty("default", &["noop", "reboot"]);
    let pace = run(&components, &faulty)?;
    let cores = 2.0;
    let by_cpu = 60e9 / pace.cpu as f64 * cores;
    let row = Row::new(
        "simulated sessions a minute, 4 to 12 hosts, faults",
        format!("{:.0}; {by_cpu:.0} by processor time on two processors", 60.0 / pace.wall),
    );
    Ok(vec![
        row.against(format!("{} of processor time each", time(pace.cpu)), by_cpu / 2000.0).aim(">= 2 000"),
    ])
}
