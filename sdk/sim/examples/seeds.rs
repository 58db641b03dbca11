//! Many simulations, counted: `cargo run --release -p fenix-sim --example seeds -- KIND FROM [TO]`.
//!
//! KIND is one of `faulty`, `good`, `two` (sessions that share a group and the last free slot), `two-good`, `wide` (bad days
//! of all kinds, on 2 to 40 hosts), and `reckless` (a workflow that wants anything), or `R1` to `R11`: reckless with that
//! rule switched off, or a file of `tests/seeds/named`, whose seed counts then. Prints what became of the sessions and what was broken, each with the first seed. One seed alone
//! prints its timeline; `small` instead of TO makes its scenario smaller while it breaks the same rule, and prints it as a
//! file for `tests/seeds/named`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use fenix_core::rules::Rule;
use fenix_sim::generate::{self, Profile};
use fenix_sim::named::Named;
use fenix_sim::plugins::Components;
use fenix_sim::reckless::{self, Reckless};
use fenix_sim::report::Report;
use fenix_sim::scenario::Scenario;
use fenix_sim::{many, shrink};

type Fault = Box<dyn std::error::Error>;

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

/// What makes scenarios of a kind.
fn maker(kind: &str) -> Result<Box<dyn Fn(u64) -> Scenario>, Fault> {
    let faulty = Profile::faulty("default", &["noop", "reboot"]);
    let good = Profile { trouble: 0, others: false, meddling: false, ..faulty.clone() };
    let wild = Profile { workflow: reckless::NAME.to_owned(), ..faulty.clone() };
    let two = Profile { others: false, meddling: false, ..faulty.clone() };
    Ok(match kind {
        "faulty" => Box::new(move |seed| generate::session(seed, &faulty)),
        "good" => Box::new(move |seed| generate::session(seed, &good)),
        "two" => Box::new(move |seed| generate::two_sessions(seed, &two)),
        "two-good" => Box::new(move |seed| generate::two_sessions(seed, &good)),
        "wide" => Box::new(generate::wide),
        "reckless" => Box::new(move |seed| generate::reckless(seed, &wild)),
        file if file.ends_with(".json") => {
            let scenario = Named::parse(&std::fs::read_to_string(file)?)?.scenario;
            Box::new(move |seed| Scenario { seed, ..scenario.clone() })
        }
        rule => {
            let rule = Rule::ALL.into_iter().find(|known| format!("{known:?}") == rule);
            let rule = rule.ok_or_else(|| format!("no kind {kind}; see the head of this example"))?;
            Box::new(move |seed| {
                let mut scenario = generate::reckless(seed, &wild);
                scenario.settings.switched_off = Some(rule);
                scenario
            })
        }
    })
}

#[expect(clippy::print_stdout, reason = "the counts are what it is for")]
fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_else(|| "faulty".to_owned());
    let make = maker(&kind)?;
    let from: u64 = args.next().ok_or("which seed?")?.parse()?;
    let to = args.next();
    let components = Components::shipped()?;
    let run = |scenario: &Scenario| fenix_sim::run(scenario, &Reckless::new(scenario.seed, &components));
    match to.as_deref() {
        None => println!("{}", run(&make(from))?.timeline()),
        Some("small") => {
            let first = |report: &Report| report.violations.first().map(|broken| broken.check);
            let check = first(&run(&make(from))?).ok_or("this seed breaks nothing")?;
            let shows = |scenario: &Scenario| {
                // What cannot be run shows nothing.
                run(scenario).is_ok_and(|report| report.violations.iter().any(|broken| broken.check == check))
            };
            let scenario = shrink::smaller(&make(from), shows);
            let found = format!("{kind}, seed {from}");
            print!("{}", Named { what: format!("{check:?}"), found, scenario }.text()?);
        }
        Some(to) => counted(&components, from, to.parse()?, make)?,
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the counts are what it is for")]
fn counted(components: &Components, from: u64, to: u64, make: impl Fn(u64) -> Scenario) -> Result<(), Fault> {
    let mut counted = Counted::default();
    let begun = Instant::now();
    many::run_each(from..=to, make, components, |scenario, report| {
        counted.add(scenario.sessions.len(), &report);
        true
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let Counted { fates, violations, events } = counted;
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
