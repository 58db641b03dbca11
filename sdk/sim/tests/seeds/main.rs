//! Many seeds of whole sessions, judged from what really happened.
//!
//! A test that fails names the seed; `FENIX_SEED=n` runs that one alone and prints its timeline.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod named;
mod rules;
mod runs;
mod same;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use fenix_sim::coverage::Coverage;
use fenix_sim::generate::Profile;
use fenix_sim::many;
use fenix_sim::plugins::Components;
use fenix_sim::reckless::{self, Reckless};
use fenix_sim::report::Report;
use fenix_sim::scenario::Scenario;

/// How many sessions came to which kind of end.
type Fates = BTreeMap<&'static str, u32>;

/// The plug-ins that come with Fenix, in their sandbox.
fn components() -> Components {
    Components::shipped().unwrap()
}

/// Everything that can go wrong, with the workflow that comes with Fenix.
fn faulty() -> Profile {
    Profile::faulty("default", &["noop", "reboot"])
}

/// The same for the workflow for applications that state their limits.
fn limited() -> Profile {
    Profile { workflow: "vnf".to_owned(), ..faulty() }
}

/// The same for the workflow that wants anything.
fn wild() -> Profile {
    Profile { workflow: reckless::NAME.to_owned(), ..faulty() }
}

fn run(scenario: &Scenario, components: &Components) -> Report {
    fenix_sim::run(scenario, &Reckless::new(scenario.seed, components)).unwrap()
}

/// Runs the scenario of each seed, or of the one that `FENIX_SEED` names; nothing may be broken. Returns what was met,
/// and how many sessions came to which kind of end.
fn check(seeds: RangeInclusive<u64>, make: impl Fn(u64) -> Scenario) -> (Coverage, Fates) {
    check_each(seeds, make, |_| {})
}

/// The same; each run is looked at besides.
fn check_each(
    seeds: RangeInclusive<u64>,
    make: impl Fn(u64) -> Scenario,
    mut look: impl FnMut(&Report),
) -> (Coverage, Fates) {
    let components = components();
    let one: Option<u64> = std::env::var("FENIX_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(seeds, |seed| seed..=seed);
    let (mut coverage, mut fates, mut shown) = (Coverage::default(), Fates::new(), None);
    let take = |scenario: &Scenario, report: Report| {
        coverage.add(&report.tally);
        look(&report);
        for session in 0..scenario.sessions.len() {
            *fates.entry(report.fate(session).name()).or_default() += 1;
        }
        if one.is_some() || !report.violations.is_empty() {
            shown = Some(report);
        }
        shown.is_none()
    };
    many::run_each(seeds, make, &components, take).unwrap();
    if let Some(report) = shown {
        let told = if one.is_some() { report.timeline() } else { report.to_string() };
        assert!(report.violations.is_empty(), "{told}\nagain: FENIX_SEED={}", report.seed);
    }
    (coverage, fates)
}
