//! The crash matrix: whole sessions of the workflow `default`, killed before and after every record and every order of
//! theirs, with every call to the cloud lost, done unheard or late; each ends as it does without a crash.
//!
//! Judged from what the cloud did and what receivers have in their inboxes (`fenix_sim::verdict`), never from the journal;
//! the checkers of the rules look on. `make test` runs a sample; `FENIX_MATRIX=all` runs every crash, and
//! `FENIX_MATRIX=SCENE:NUMBER` one of them, and prints what happened.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the figures of a run are part of what it is for")]

mod crashes;
mod noticed;
mod scenes;

use fenix_sim::plugins::Components;
use fenix_sim::report::Report;
use fenix_sim::scenario::Scenario;
use fenix_sim::verdict::Account;

use crashes::Crash;
use scenes::Scene;

/// Crashes of each scene that `make test` runs, evenly over the session: with all scenes less than a minute.
const SAMPLE: usize = 300;

/// What the seed decides: down times, second crashes, which ones are in the sample.
const SEED: u64 = 1;

/// Which crashes are run.
enum Which {
    Sample,
    All,
    One(String, usize),
}

fn which() -> Which {
    let Ok(named) = std::env::var("FENIX_MATRIX") else { return Which::Sample };
    match named.split_once(':') {
        None => Which::All,
        Some((scene, number)) => Which::One(scene.to_owned(), number.parse().unwrap()),
    }
}

fn run(scenario: &Scenario, components: &Components) -> Report {
    fenix_sim::run(scenario, components).unwrap()
}

fn account(report: &Report) -> Account {
    Account::of(&report.truth, report.ending.now)
}

/// What is wrong with a run, in words; empty if nothing is.
fn wrong(scene: &Scene, plain: &Account, report: &Report) -> Vec<String> {
    let mut wrong: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    if !report.ending.finished {
        wrong.push("it does not come to an end".to_owned());
    }
    wrong.extend(account(report).against(plain, scene.measure));
    wrong
}

/// Runs a scene without a crash, then with each that is wanted.
fn check(name: &str) {
    let scene = scenes::all().into_iter().find(|scene| scene.name == name).unwrap();
    let components = Components::shipped().unwrap();
    let first = run(&scene.scenario, &components);
    let plain = account(&first);
    assert_eq!(wrong(&scene, &plain, &first), Vec::<String>::new(), "{}", first.timeline());
    let asked: Vec<_> = plain.asked().into_iter().collect();
    assert_eq!(asked, scene.asks, "{}", first.timeline());
    let all = crashes::all(&first, SEED);
    let chosen: Vec<(usize, &Crash)> = match which() {
        Which::All => all.iter().enumerate().collect(),
        Which::Sample => sample(&all),
        Which::One(of, number) if of == name => vec![(number, &all[number])],
        Which::One(..) => return,
    };
    let (mut broken, mut kills) = (Vec::new(), 0);
    for (number, crash) in &chosen {
        let scenario = Scenario { faults: crash.faults(), ..scene.scenario.clone() };
        let report = run(&scenario, &components);
        kills += report.stats.kills;
        let wrong = wrong(&scene, &plain, &report);
        if chosen.len() == 1 {
            println!("{}\n{crash}\n{wrong:#?}", report.timeline());
        }
        if !wrong.is_empty() {
            broken.push(format!("FENIX_MATRIX={name}:{number} {crash}\n    {}", wrong.join("\n    ")));
        }
    }
    println!(
        "{name}: {} records in {} commits, {} orders, {} calls that change the cloud; {} of {} crashes tried, {} kills",
        first.journal.len(),
        first.commits.iter().filter(|commit| commit.records + commit.orders > 0).count(),
        first.commits.iter().map(|commit| commit.orders).sum::<u32>(),
        first.calls.len(),
        chosen.len(),
        all.len(),
        kills,
    );
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), chosen.len(), broken.join("\n"));
}

/// A part of them, each stretch of the session with as many.
fn sample(all: &[Crash]) -> Vec<(usize, &Crash)> {
    let mut dice = fenix_sim::dice::Dice::new(SEED, fenix_sim::dice::Purpose::Scenario);
    let stretch = all.len().div_ceil(SAMPLE).max(1);
    let numbered: Vec<(usize, &Crash)> = all.iter().enumerate().collect();
    numbered.chunks(stretch).filter_map(|stretch| dice.pick(stretch).copied()).collect()
}

#[test]
fn a_full_cloud_ends_as_without_a_crash() {
    check("full");
}

#[test]
fn live_moves_and_hosts_two_at_once_end_as_without_a_crash() {
    check("live");
}

#[test]
fn instances_that_their_manager_replaces_end_as_without_a_crash() {
    check("own-action");
}

#[test]
fn hosts_that_are_left_out_are_left_out_as_without_a_crash() {
    check("left-out");
}

#[test]
fn a_session_that_fails_fails_as_without_a_crash() {
    check("failing");
}

#[test]
fn a_session_that_was_held_ends_as_without_a_crash() {
    check("held");
}

#[test]
fn a_session_that_is_removed_does_nothing_twice() {
    check("deleted");
}
