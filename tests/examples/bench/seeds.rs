//! Whole simulated sessions with faults, from seeds: the real engine, rules, components and stored forms, and the
//! checkers. On all processors; counted in processor time too, since others use them.

use std::time::Instant;

use fenix_sim::generate::{self, Profile};
use fenix_sim::many::{self, Share};
use fenix_sim::plugins::Components;
use fenix_wasm::Plugins;

use crate::Any;
use crate::table::{Row, process_cpu, time};

/// Hosts of the cloud, two controllers among them, and how many sessions are simulated.
const SIZES: [(usize, u64); 3] = [(12, 400), (24, 200), (40, 100)];

const CONTROLLERS: usize = 2;

/// Processors for which the aim is meant.
const PROCESSORS: f64 = 2.0;

/// As whom this program is called to simulate a part of the sessions and tell what that took.
pub(crate) const CHILD: &str = "simulate";

struct Pace {
    wall: f64,
    /// Nanoseconds of processor time per session.
    cpu: u64,
}

/// Simulates a part of the sessions on a cloud of so many hosts, and prints the processor time that it took.
#[expect(clippy::print_stdout, reason = "it tells its parent")]
pub(crate) fn child(mut args: impl Iterator<Item = String>) -> Result<(), Any> {
    let mut next = || args.next().ok_or("hosts, sessions and a share are wanted");
    let (hosts, seeds, share): (usize, u64, Share) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    let components = Components::shipped()?;
    let profile = Profile::faulty("default", &["noop", "reboot"]);
    let make = |seed| generate::session_on(seed, &profile, hosts - CONTROLLERS, CONTROLLERS);
    let mut broken = None;
    let cpu = process_cpu();
    many::run_each(share.of(1..=seeds), make, &components, |_, report| {
        broken = report.violations.first().map(|violation| format!("seed {}: {violation}", report.seed));
        broken.is_none()
    })?;
    println!("{}", process_cpu() - cpu);
    broken.map_or(Ok(()), |broken| Err(broken.into()))
}

fn run(hosts: usize, seeds: u64) -> Result<Pace, Any> {
    let begun = Instant::now();
    let mut cpu = 0;
    for told in many::share(&[CHILD, &hosts.to_string(), &seeds.to_string()])? {
        cpu += String::from_utf8(told)?.trim().parse::<u64>()?;
    }
    Ok(Pace { wall: begun.elapsed().as_secs_f64() / seeds as f64, cpu: cpu / seeds })
}

pub(crate) fn measure(_: &Plugins) -> Result<Vec<Row>, Any> {
    let mut rows = Vec::new();
    let mut first = None;
    for (hosts, seeds) in SIZES {
        let pace = run(hosts, seeds)?;
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
