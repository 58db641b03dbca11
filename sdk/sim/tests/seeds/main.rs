//! Many seeds of whole sessions, judged from what really happened.
//!
//! A test that fails names the seed; `FENIX_SEED=n` runs that one alone and prints its timeline.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rules;
mod runs;
mod same;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fenix_sim::generate::Profile;
use fenix_sim::plugins::Components;
use fenix_sim::reckless::{self, Reckless};
use fenix_sim::report::{Fate, Report};
use fenix_sim::scenario::Scenario;

/// The plug-ins that come with Fenix, in their sandbox.
fn components() -> Components {
    Components::shipped().unwrap()
}

/// Everything that can go wrong, with the workflow that comes with Fenix.
fn faulty() -> Profile {
    Profile::faulty("default", &["noop", "reboot"])
}

/// The same for the workflow that wants anything.
fn wild() -> Profile {
    Profile { workflow: reckless::NAME.to_owned(), ..faulty() }
}

fn run(scenario: &Scenario, components: &Components) -> Report {
    fenix_sim::run(scenario, &Reckless::new(scenario.seed, components)).unwrap()
}

/// Runs the scenario of each seed, or of the one that `FENIX_SEED` names; nothing may be broken. Returns how many
/// sessions came to which kind of end.
fn check(seeds: RangeInclusive<u64>, make: impl Fn(u64) -> Scenario + Sync) -> BTreeMap<&'static str, u32> {
    let components = components();
    let one: Option<u64> = std::env::var("FENIX_SEED").ok().map(|seed| seed.parse().unwrap());
    let (first, last) = one.map_or((*seeds.start(), *seeds.end()), |seed| (seed, seed));
    let next = AtomicU64::new(first);
    let (fates, broken) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > last || !broken.lock().unwrap().is_empty() {
            return;
        }
        let scenario = make(seed);
        let report = run(&scenario, &components);
        for session in 0..scenario.sessions.len() {
            *fates.lock().unwrap().entry(kind(&report.fate(session))).or_default() += 1;
        }
        if one.is_some() || !report.violations.is_empty() {
            broken.lock().unwrap().push(report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some(report) = broken.into_inner().unwrap().first() {
        let told = if one.is_some() { report.timeline() } else { report.to_string() };
        assert!(report.violations.is_empty(), "{told}\nagain: FENIX_SEED={}", report.seed);
    }
    fates.into_inner().unwrap()
}

fn kind(fate: &Fate) -> &'static str {
    match fate {
        Fate::Done => "done",
        Fate::Failed(_) => "failed",
        Fate::Parked(_) => "parked",
        Fate::Paused => "paused",
        Fate::Closing => "closing",
        Fate::Running => "running",
        Fate::Absent => "absent",
    }
}
