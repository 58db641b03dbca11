//! The checkers notice: with any one rule switched off something goes wrong, and they say which rule it was.

use fenix_core::rules::Rule;
use fenix_sim::checkers::Check;
use fenix_sim::generate;

use crate::{components, run, wild};

/// Within so many seeds of a workflow that wants anything the lack of a rule has to show.
const MOST: u64 = 1000;

fn check(rule: Rule, as_what: Check) {
    let components = components();
    // To whoever follows the truth, and to whoever reads only the journal.
    let (mut in_truth, mut in_journal) = (false, false);
    let notices = |seed: u64| {
        let mut scenario = generate::reckless(seed, &wild());
        scenario.settings.switched_off = Some(rule);
        let report = run(&scenario, &components);
        in_truth |= report.violations.iter().any(|broken| broken.check == as_what);
        in_journal |= report.ending.verified.iter().any(|broken| broken.rule == rule);
        in_truth && in_journal
    };
    let is_noticed = (1..=MOST).any(notices);
    assert!(
        is_noticed,
        "{MOST} seeds without {rule:?}: noticed in truth {in_truth}, in the journal {in_journal}"
    );
}

#[test]
fn without_r1_instances_are_touched_without_leave() {
    check(Rule::R1, Check::R1);
}

#[test]
fn without_r2_too_many_members_of_a_group_are_out() {
    check(Rule::R2, Check::R2);
}

#[test]
fn without_r3_instances_are_touched_before_their_lead_time_has_passed() {
    check(Rule::R3, Check::R3);
}

#[test]
fn without_r4_work_is_done_on_hosts_that_are_not_empty() {
    check(Rule::R4, Check::R4);
}

#[test]
fn without_r5_room_is_taken_that_is_not_there() {
    check(Rule::R5, Check::R5);
}

#[test]
fn without_r6_too_many_hosts_are_out() {
    check(Rule::R6, Check::R6);
}

#[test]
fn without_r7_sessions_end_before_their_hosts_do() {
    check(Rule::R7, Check::R7);
}

#[test]
fn without_r8_work_begins_after_a_stop() {
    check(Rule::R8, Check::R8);
}

/// How many failures there were shows only in the journal.
#[test]
fn without_r9_a_session_goes_on_whose_budget_is_spent() {
    let components = components();
    let notices = |seed: u64| {
        let mut scenario = generate::reckless(seed, &wild());
        scenario.sessions.iter_mut().for_each(|session| session.terms.failure_budget = 1);
        scenario.settings.switched_off = Some(Rule::R9);
        run(&scenario, &components).ending.verified.iter().any(|broken| broken.rule == Rule::R9)
    };
    assert!((1..=MOST).any(notices), "{MOST} seeds without R9, and nothing was noticed");
}

#[test]
fn without_r10_two_things_are_done_to_one_instance() {
    check(Rule::R10, Check::R10);
}

#[test]
fn without_r11_others_hosts_are_touched() {
    check(Rule::R11, Check::R11);
}
