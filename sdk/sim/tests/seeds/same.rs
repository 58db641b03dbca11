//! One seed and one version is one run: what happened and every byte of the journal.

use fenix_sim::generate;
use fenix_sim::scenario::Scenario;

use crate::{components, faulty, run, wild};

fn check(make: impl Fn(u64) -> Scenario) {
    // Each run in components of its own: nothing may be left over in those that other seeds ran in.
    let (used, fresh) = (components(), components());
    for seed in 1..=30 {
        let scenario = make(seed);
        let (first, again) = (run(&scenario, &used), run(&scenario, &fresh));
        assert!(first.truth == again.truth, "seed {seed}: something else happened");
        assert!(first.journal == again.journal, "seed {seed}: the journal has other bytes");
        assert!(!first.journal.is_empty());
    }
}

#[test]
fn a_seed_is_a_run() {
    check(|seed| generate::session(seed, &faulty()));
}

#[test]
fn a_seed_is_a_run_of_two_sessions() {
    check(|seed| generate::two_sessions(seed, &faulty()));
}

#[test]
fn a_seed_is_a_run_of_a_reckless_workflow() {
    check(|seed| generate::reckless(seed, &wild()));
}

#[test]
fn a_seed_is_a_run_of_a_bad_day() {
    check(generate::wide);
}
