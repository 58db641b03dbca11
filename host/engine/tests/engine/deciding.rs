//! Verdicts: what is taken of them, and when a session is halted.

use fenix_core::ask::AskKind;
use fenix_core::decision::{Decision, Waiting};
use fenix_core::record::Body;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, Phase, Target};
use fenix_core::view::Verdict;
use fenix_engine::event::Event;
use fenix_engine::ports::WorkflowError;

use crate::harness::{World, ask, plan, planned, secs, verdict, work_on_a};

#[track_caller]
fn check_parked(world: &World, by: &str) {
    match &world.session().condition {
        Condition::Parked { why } => assert!(why.contains(by), "{why}"),
        other => panic!("{other:?} instead of parked: {by}"),
    }
}

fn note(key: &str) -> Decision {
    Decision::Note { key: key.into(), value: Some("v".into()) }
}

#[test]
fn three_identical_refusals_park_the_session() {
    let mut world = World::opened();
    for _ in 0..2 {
        world.decide([work_on_a()]);
        assert!(world.session().is_running());
    }
    world.decide([work_on_a()]);
    check_parked(&world, "was refused 3 times: R4");
}

#[test]
fn refusals_with_another_reason_or_with_a_pause_between_do_not_add_up() {
    let mut world = World::opened();
    for _ in 0..6 {
        world.decide([work_on_a()]);
        world.decide([]);
    }
    assert!(world.session().is_running());
}

#[test]
fn a_refusal_wakes_nobody() {
    let mut world = World::opened();
    world.pass(secs(1));
    let before = world.script.woken.borrow().len();
    world.say("s", Ok(verdict([work_on_a()], Some(world.now + secs(3600)))));
    world.pass(secs(30));
    assert_eq!(world.script.woken.borrow().len(), before + 1);
    assert_eq!(world.session().refused.len(), 1);
}

#[test]
fn a_verdict_that_waits_for_nothing_parks_the_session() {
    let mut world = World::opened();
    world.say("s", Ok(verdict([], None)));
    world.pass(secs(1));
    check_parked(&world, "can happen by itself");
}

#[test]
fn a_verdict_that_leaves_something_pending_does_not() {
    for wanted in [Decision::Fence { host: "a".into() }, ask(AskKind::Maintenance, None)] {
        let mut world = World::opened();
        world.say("s", Ok(verdict([wanted], None)));
        world.pass(secs(1));
        assert!(world.session().is_running());
    }
}

#[test]
fn a_workflow_that_gives_no_verdict_parks_its_session_and_no_other() {
    for error in [
        WorkflowError::Trapped("unreachable".into()),
        WorkflowError::GaveUp("no idea".into()),
        WorkflowError::Unusable("no such plug-in".into()),
    ] {
        let mut world = World::opened();
        world.open("o", plan(), &["x"]).unwrap();
        world.say("s", Err(error.clone()));
        world.pass(secs(2));
        check_parked(&world, &error.to_string());
        assert!(world.state().session(&"o".into()).unwrap().is_running());
    }
}

#[test]
fn a_workflow_that_enters_phases_without_end_is_parked() {
    let mut world = World::opened();
    for _ in 0..20 {
        for phase in [Phase::PrepareMaintenance, Phase::ScaleIn] {
            world.say("s", Ok(verdict([Decision::Enter { phase }], None)));
        }
    }
    world.pass(secs(1));
    check_parked(&world, "does not come to rest");
}

#[test]
fn a_timer_in_the_past_does_not_spin() {
    let mut world = World::opened();
    for _ in 0..3 {
        world.say("s", Ok(verdict([], Some(crate::harness::START))));
    }
    let before = world.script.woken.borrow().len();
    world.pass(secs(3));
    assert_eq!(world.script.woken.borrow().len(), before + 3);
}

#[test]
fn a_refused_group_leaves_no_trace() {
    let mut world = World::opened();
    let group = vec![
        planned(note("in"), 1),
        planned(Decision::Enter { phase: Phase::ScaleIn }, 1),
        planned(ask(AskKind::Maintenance, None), 1),
        planned(Decision::Fence { host: "a".into() }, 1),
        planned(work_on_a(), 1),
        planned(note("alone"), 0),
    ];
    let waiting = Waiting { on: "the test".into(), until: Some(world.now + secs(3600)) };
    world.say("s", Ok(Verdict { planned: group, waiting, log: Vec::new() }));
    let (woken, records) = (world.script.woken.borrow().len(), world.journal.records.len());
    world.pass(secs(1));
    let bodies: Vec<&str> =
        world.journal.records[records..].iter().map(|record| record.body.name()).collect();
    assert_eq!(bodies, ["noted", "decided"], "the note that stood alone");
    assert_eq!(world.session().notes.keys().collect::<Vec<_>>(), ["alone"]);
    assert_eq!(world.script.woken.borrow().len(), woken + 1, "nobody was woken by what never was");
    assert_eq!(world.session().refused.len(), 5, "each is told why");
    assert!(world.session().refused.iter().all(|standing| standing.refusal.rule == Rule::R10));
    assert!(world.mail.is_empty() && world.changes.is_empty());
    world.decide([Decision::Fence { host: "a".into() }]);
    world.pass(secs(3600));
    assert_eq!(world.changes.len(), 1, "numbers that were given back are used again");
}

#[test]
fn a_group_that_is_admitted_is_taken_whole() {
    let mut world = World::opened();
    let group = vec![planned(note("one"), 7), planned(note("two"), 7)];
    let waiting = Waiting { on: "the test".into(), until: Some(world.now + secs(9)) };
    world.say("s", Ok(Verdict { planned: group, waiting, log: Vec::new() }));
    world.pass(secs(1));
    assert_eq!(world.session().notes.len(), 2);
}

#[test]
fn decisions_after_a_failure_are_refused() {
    let mut world = World::opened();
    world.decide([Decision::Fail, Decision::Work { target: Target::Pre }]);
    assert!(world.session().effects.is_empty());
    assert_eq!(world.session().refused[0].refusal.rule, Rule::R8);
}

#[test]
fn what_an_ended_session_gives_free_wakes_the_others() {
    let mut world = World::opened();
    world.open("o", plan(), &["x"]).unwrap();
    world.pass(secs(1));
    world.say("o", Ok(verdict([], Some(world.now + secs(3600)))));
    world.pass(secs(2));
    let before = world.script.woken.borrow().iter().filter(|(session, _)| session.as_str() == "o").count();
    world.delete().unwrap();
    assert!(world.is_removed());
    let after = world.script.woken.borrow().iter().filter(|(session, _)| session.as_str() == "o").count();
    assert!(after > before);
}

#[test]
fn nothing_leaves_once_the_journal_refused_a_batch() {
    let mut world = World::opened();
    world.fence("a");
    world.journal.refuses = true;
    world.say("s", Ok(verdict([note("lost"), Decision::Fence { host: "b".into() }], None)));
    world.engine.handle(world.now + secs(2), Event::Tick, &world.script);
    assert!(world.engine.commit(&mut world.journal).is_err());
    assert!(world.engine.is_broken());
    world.journal.refuses = false;
    for _ in 0..3 {
        world.engine.handle(world.now + secs(100), Event::Tick, &world.script);
        assert!(world.engine.commit(&mut world.journal).is_err(), "not even when the disk is well again");
    }
    let stored = |body: &Body| matches!(body, Body::Noted { .. });
    assert!(!world.journal.records.iter().any(|record| stored(&record.body)));
}
