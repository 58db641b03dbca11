//! Actions on a host.

use fenix_core::effect::Outcome;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, HostStage};
use fenix_core::time::Millis;
use fenix_engine::ports::{ActionError, MAX_CHECKPOINT, Progress};

use crate::harness::{World, secs, work_on_a};

fn done() -> Result<Progress, ActionError> {
    Ok(Progress::Done { report: "fine".into() })
}

fn again(after: Millis, checkpoint: &str) -> Result<Progress, ActionError> {
    Ok(Progress::Again { after, checkpoint: checkpoint.into(), percent: 50 })
}

fn failed() -> Result<Progress, ActionError> {
    Err(ActionError::Failed("broken".into()))
}

#[test]
fn actions_run_one_after_the_other_and_the_host_is_worked() {
    let mut world = World::working();
    let first = world.action_says(done());
    let second = world.action_says(done());
    assert_eq!((first.key.as_str(), second.key.as_str()), ("s/a/0", "s/a/1"));
    assert_eq!(world.outcomes("work"), [&Outcome::Done]);
    assert_eq!(world.stage("a"), HostStage::Worked);
    assert!(world.queued().contains(&"l IN_MAINTENANCE a".into()));
}

#[test]
fn work_that_lost_its_ground_before_it_began_is_withdrawn() {
    let mut world = World::opened();
    world.truth.instances.remove(&"i1".into());
    world.fence("a");
    world.truth.instances.insert("i9".into(), crate::cloud::instance("i9", "q", "a"));
    world.decide([work_on_a()]);
    assert!(matches!(world.outcomes("work")[..], [Outcome::Withdrawn { rule: Rule::R4, .. }]));
    assert_eq!(world.stage("a"), HostStage::Fenced);
    assert!(world.actions.is_empty());
}

#[test]
fn an_action_that_wants_more_is_called_again_with_its_checkpoint_when_it_said() {
    let mut world = World::working();
    world.action_says(again(secs(5), "half"));
    world.pass(secs(4));
    assert!(world.actions.is_empty());
    world.pass(secs(1));
    let call = world.action_says(done());
    assert_eq!((call.key.as_str(), call.checkpoint.as_deref()), ("s/a/0", Some("half")));
}

#[test]
fn after_a_restart_an_action_is_repeated_with_the_same_key_and_its_checkpoint() {
    let mut world = World::working();
    world.action_says(again(secs(1), "half"));
    world.pass(secs(1));
    let before = world.actions.front().unwrap().1.clone();
    world.restart();
    assert_eq!(world.actions.pop_front().unwrap().1, before);
    assert_eq!(world.actions.len(), 0, "once");
}

#[test]
fn an_action_neither_spins_nor_sleeps_past_its_deadline() {
    let mut spins = World::working();
    let begun = spins.now;
    for _ in 0..10 {
        spins.action_says(again(Millis::ZERO, "x"));
        spins.pass(Millis(100));
    }
    assert!(spins.now.since(begun) >= secs(1));

    let mut sleeps = World::working();
    sleeps.action_says(again(Millis(u64::MAX), "x"));
    sleeps.pass(secs(2 * 3600 + 1));
    assert!(matches!(sleeps.outcomes("work")[..], [Outcome::Failed { .. }]));
}

#[test]
fn a_checkpoint_that_is_too_large_fails_the_work() {
    let mut world = World::working();
    world.action_says(again(secs(1), &"x".repeat(MAX_CHECKPOINT + 1)));
    assert!(matches!(world.outcomes("work")[..], [Outcome::Failed { .. }]));
}

#[test]
fn a_held_session_finishes_the_call_and_keeps_its_checkpoint() {
    let mut world = World::working();
    world.pause().unwrap();
    world.action_says(again(secs(1), "half"));
    world.pass(secs(3 * 3600));
    assert!(world.actions.is_empty(), "no further call");
    assert!(world.outcomes("work").is_empty(), "and no time is lost");
    world.resume().unwrap();
    let call = world.action_says(done());
    assert_eq!(call.checkpoint.as_deref(), Some("half"));
    world.action_says(done());
    assert_eq!(world.outcomes("work"), [&Outcome::Done]);
}

#[test]
fn a_failed_action_leaves_its_host_in_work_and_can_be_tried_again() {
    let mut world = World::working();
    world.action_says(done());
    world.action_says(failed());
    assert!(matches!(world.outcomes("work")[..], [Outcome::Failed { .. }]));
    assert_eq!(world.stage("a"), HostStage::Working);
    world.decide([work_on_a()]);
    assert_eq!(world.action_says(done()).key, "s/a/1", "the first is not repeated");
    assert_eq!(world.stage("a"), HostStage::Worked);
}

#[test]
fn spent_failures_park_the_session() {
    let mut world = World::opened_with(|plan| plan.terms.failure_budget = 2);
    world.begin_work();
    world.action_says(failed());
    assert!(world.session().is_running());
    world.decide([work_on_a()]);
    world.action_says(failed());
    assert!(matches!(&world.session().condition, Condition::Parked { why } if why.starts_with("R9")));
}

#[test]
fn a_budget_that_was_spent_while_the_session_was_held_parks_it_when_it_goes_on() {
    let mut world = World::opened_with(|plan| plan.terms.failure_budget = 1);
    world.begin_work();
    world.pause().unwrap();
    world.action_says(failed());
    assert_eq!(world.session().condition, Condition::Paused);
    world.resume().unwrap();
    assert!(matches!(&world.session().condition, Condition::Parked { why } if why.starts_with("R9")));
    world.resume().unwrap();
    assert!(world.session().is_running(), "somebody has looked at it now");
}

#[test]
fn the_same_work_wanted_again_is_under_way_already() {
    let mut world = World::working();
    world.decide([work_on_a()]);
    assert_eq!(world.actions.len(), 1);
    assert!(world.session().refused.is_empty());
}

#[test]
fn an_action_that_is_ended_again_and_again_parks_its_session_whatever_a_failure_leads_to() {
    let trapped = || Err(ActionError::Trapped("first: it computed for too long".into()));
    let park = |results: &[fn() -> Result<Progress, ActionError>]| {
        let mut world = World::working();
        for result in results {
            world.action_says(result());
            while world.actions.is_empty() && world.session().condition == Condition::Running {
                world.decide([work_on_a()]);
            }
        }
        world.session().condition.clone()
    };
    let why =
        "3 times in a row: action first: the action was ended: first: it computed for too long".to_owned();
    assert_eq!(park(&[trapped, trapped, trapped]), Condition::Parked { why });
    let half = || again(secs(1), "half");
    assert_eq!(park(&[trapped, trapped, half, trapped]), Condition::Running);
    assert_eq!(park(&[trapped, trapped, failed, trapped]), Condition::Running);
}
