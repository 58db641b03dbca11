//! Many simulations, counted: `cargo run --release -p fenix-sim --example seeds -- KIND FROM [TO]`.
//!
//! KIND is one of `faulty`, `good`, `two` (sessions that share a group and the last free slot), `two-good`, and
//! `reckless` (a workflow that wants anything), or `R1` to `R11`: reckless with that rule switched off. Prints what
//! became of the sessions and what was broken, each with the first seed; one seed alone prints its timeline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fenix_core::rules::Rule;
use fenix_sim::generate::{self, Profile};
use fenix_sim::plugins::Components;
use fenix_sim::reckless::{self, Reckless};
use fenix_sim::report::Report;
use fenix_sim::scenario::Scenario;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Most characters of a line, so that those which differ in details only are counted together.
const TOLD: usize = 110;

#[derive(Default)]
struct Counted {
    fates: BTreeMap<String, (u64, u32)>,
    violations: BTreeMap<String, (u64, u32)>,
    events: u64,
}

impl Counted {
    fn add(&mut self, sessions: usize, report: &Report) {
        self.events += report.stats.events;
        for session in 0..sessions {
            count(&mut self.fates, &format!("{:?}", report.fate(session)), report.seed);
        }
        let kinds: BTreeSet<String> =
            report.violations.iter().map(|broken| format!("{:?} {}", broken.check, broken.what)).collect();
        for kind in kinds {
            count(&mut self.violations, &kind, report.seed);
        }
    }
}

fn count(among: &mut BTreeMap<String, (u64, u32)>, what: &str, seed: u64) {
    let alike = what.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).take(TOLD).collect();
    let (first, times) = among.entry(alike).or_insert((seed, 0));
    *first = seed.min(*first);
    *times += 1;
}

fn scenario(kind: &str, seed: u64) -> Result<Scenario, Fault> {
    let faulty = Profile::faulty("default", &["noop", "reboot"]);
    let good = Profile { trouble: 0, others: false, meddling: false, ..faulty.clone() };
    let reckless = Profile { workflow: reckless::NAME.to_owned(), ..faulty.clone() };
    match kind {
        "faulty" => Ok(generate::session(seed, &faulty)),
        "good" => Ok(generate::session(seed, &good)),
        "two" => Ok(generate::two_sessions(seed, &Profile { others: false, meddling: false, ..faulty })),
        "two-good" => Ok(generate::two_sessions(seed, &good)),
        "reckless" => Ok(generate::reckless(seed, &reckless)),
        rule => {
            let rule = Rule::ALL.into_iter().find(|known| format!("{known:?}") == rule);
            let rule = rule.ok_or_else(|| format!("no kind {kind}; see the head of this example"))?;
            let mut scenario = generate::reckless(seed, &reckless);
            scenario.settings.switched_off = Some(rule);
            Ok(scenario)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the counts are what it is for")]
fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_else(|| "faulty".to_owned());
    let from: u64 = args.next().ok_or("which seed?")?.parse()?;
    let to: u64 = args.next().map_or(Ok(from), |to| to.parse())?;
    let components = Components::shipped()?;
    if from == to {
        println!(
            "{}",
            fenix_sim::run(&scenario(&kind, from)?, &Reckless::new(from, &components))?.timeline()
        );
        return Ok(());
    }
    let counted = Mutex::new(Counted::default());
    let next = AtomicU64::new(from);
    let begun = Instant::now();
    let work = || -> Result<(), Fault> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > to {
                return Ok(());
            }
            let scenario = scenario(&kind, seed)?;
            let report = fenix_sim::run(&scenario, &Reckless::new(seed, &components))?;
            let mut counted = counted.lock().map_err(|_| "another thread broke")?;
            counted.add(scenario.sessions.len(), &report);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a simulation broke")?)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let Counted { fates, violations, events } = counted.into_inner().map_err(|_| "a thread broke")?;
    let seeds = to - from + 1;
    println!("{seeds} seeds, {events} events, {seconds:.1} s: {:.0} a minute", seeds as f64 / seconds * 60.0);
    for (title, counts) in [("what became of the sessions", fates), ("what was broken", violations)] {
        println!("\n{title}:");
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, (_, times))| std::cmp::Reverse(*times));
        for (what, (first, times)) in counts {
            println!("{times:>6} (first {first}) {what}");
        }
    }
    Ok(())
}
