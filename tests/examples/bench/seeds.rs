//! Whole simulated sessions with faults, from seeds: the real engine, rules, components and stored forms, and the
//! checkers. On all processors; counted in processor time too, since others use them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fenix_sim::generate::{self, Profile};
use fenix_sim::plugins::Components;
use fenix_wasm::Plugins;

use crate::Any;
use crate::table::{Row, process_cpu, time};

/// Hosts of the cloud, two controllers among them, and how many sessions are simulated.
const SIZES: [(usize, u64); 3] = [(12, 400), (24, 200), (40, 100)];

const CONTROLLERS: usize = 2;

/// Processors for which the aim is meant.
const PROCESSORS: f64 = 2.0;

struct Pace {
    wall: f64,
    /// Nanoseconds of processor time per session.
    cpu: u64,
}

fn run(components: &Components, profile: &Profile, hosts: usize, seeds: u64) -> Result<Pace, Any> {
    let next = AtomicU64::new(1);
    let (begun, cpu) = (Instant::now(), process_cpu());
    let work = || -> Result<(), Any> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return Ok(());
            }
            let scenario = generate::session_on(seed, profile, hosts - CONTROLLERS, CONTROLLERS);
            let report = fenix_sim::run(&scenario, components)?;
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
    Ok(Pace { wall: begun.elapsed().as_secs_f64() / seeds as f64, cpu: (process_cpu() - cpu) / seeds })
}

pub(crate) fn measure(_: &Plugins) -> Result<Vec<Row>, Any> {
    let components = Components::shipped()?;
    let faulty = Profile::faulty("default", &["noop", "reboot"]);
    let mut rows = Vec::new();
    let mut first = None;
    for (hosts, seeds) in SIZES {
        let pace = run(&components, &faulty, hosts, seeds)?;
        let by_cpu = 60e9 / pace.cpu as f64 * PROCESSORS;
        let row = Row::new(
            format!("simulated sessions a minute, {hosts} hosts, faults"),
            format!("{:.0}; {by_cpu:.0} by processor time on two processors", 60.0 / pace.wall),
        );
        let each = format!("{} of processor time each", time(pace.cpu));
        let host = pace.cpu as f64 / hosts as f64;
        rows.push(match first {
            None => row.against(each, by_cpu / 2000.0).aim(">= 2 000"),
            Some(small) => row.against(format!("{each}; for each host, with 12"), host / small),
        });
        first.get_or_insert(host);
    }
    Ok(rows)
}
