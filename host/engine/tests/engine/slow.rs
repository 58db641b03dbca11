//! Workflows that take long decide beside: nobody waits for them, and what they want meets things as they are by then.

use fenix_core::ask::AskKind;
use fenix_core::decision::Decision;
use fenix_core::record::Body;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, Phase};
use fenix_core::view::Trigger;
use fenix_engine::command::Command;
use fenix_engine::event::Event;
use fenix_engine::ports::{CloudCall, WorkflowError};

use crate::harness::{World, ack, ask, plan, secs, verdict};

/// Session `s`, whose workflow thinks about its next decision, and what it will want.
fn thinking(wanted: impl IntoIterator<Item = Decision>) -> World {
    let mut world = World::opened();
    think(&mut world, wanted);
    world
}

/// Has the workflow of `s` begin to think about a decision.
fn think(world: &mut World, wanted: impl IntoIterator<Item = Decision>) {
    world.script.slow.insert("s".into());
    world.say("s", Ok(verdict(wanted, Some(world.now + secs(3600)))));
    world.pass(secs(1));
    assert_eq!(world.thoughts.len(), 1);
}

fn fence() -> Decision {
    Decision::Fence { host: "a".into() }
}

fn triggers(world: &World) -> Vec<Trigger> {
    let woken = world.script.woken.borrow();
    woken.iter().filter(|(session, _)| session.as_str() == "s").map(|(_, trigger)| *trigger).collect()
}

#[test]
fn others_go_on_while_a_workflow_thinks() {
    let mut world = thinking([fence()]);
    world.open("o", plan(), &["x"]).unwrap();
    world.pass(secs(30));
    assert!(world.script.woken.borrow().iter().filter(|(session, _)| session.as_str() == "o").count() > 20);
    assert_eq!(world.thoughts.len(), 1, "it is asked one thing at a time");
    assert!(world.changes.is_empty());
    world.decides();
    assert!(matches!(world.cloud_does(), CloudCall::Disable { .. }));
}

#[test]
fn what_it_decides_on_is_what_was_known_when_it_was_asked() {
    let mut world = thinking([]);
    let seen = world.state().seq;
    world.open("o", plan(), &["x"]).unwrap();
    let (_, basis) = &world.thoughts[0];
    assert_eq!((basis.view.state.seq, basis.view.now), (seen, basis.wakeup.now));
}

#[test]
fn what_happens_meanwhile_has_it_decide_once_more() {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    world.deliver_all();
    let before = triggers(&world).len();
    think(&mut world, [Decision::Note { key: "k".into(), value: Some("v".into()) }]);
    world.reply(ack(AskKind::Maintenance, &[])).unwrap();
    assert_eq!(world.thoughts.len(), 1);
    world.decides();
    assert_eq!(world.session().notes.len(), 1, "nothing spoke against what it wanted");
    assert_eq!(world.thoughts.len(), 1);
    world.decides();
    assert_eq!(triggers(&world)[before..], [Trigger::Timer, Trigger::Changed]);
    assert!(world.thoughts.is_empty());
}

#[test]
fn a_decision_that_things_have_overtaken_meets_the_rules() {
    let mut world = thinking([fence()]);
    // Its host has gone.
    world.truth.hosts.remove(&"a".into());
    world.truth.instances.remove(&"i1".into());
    world.pass(secs(600));
    world.decides();
    let refused: Vec<Rule> = world.session().refused.iter().map(|standing| standing.refusal.rule).collect();
    assert_eq!((refused.len(), world.changes.len()), (1, 0), "{refused:?}");
}

/// What is decided while the session may not go on does not count; afterwards it is decided anew.
#[track_caller]
fn check_dropped(stop: impl FnOnce(&mut World), go_on: impl FnOnce(&mut World)) {
    let mut world = thinking([fence()]);
    stop(&mut world);
    world.decides();
    world.pass(secs(60));
    assert!(world.changes.is_empty());
    assert!(world.thoughts.is_empty());
    go_on(&mut world);
    world.event(Event::Tick);
    assert_eq!(world.thoughts.len(), 1);
}

#[test]
fn a_session_that_was_paused_meanwhile_stays_where_it_is() {
    check_dropped(|world| drop(world.pause()), |world| drop(world.resume()));
}

#[test]
fn what_is_held_meanwhile_stays_where_it_is() {
    check_dropped(|world| world.engine.hold(Some("the disk is full")), |world| world.engine.hold(None));
}

#[test]
fn a_session_that_was_deleted_meanwhile_is_gone() {
    let mut world = thinking([fence()]);
    world.delete().unwrap();
    world.pass(secs(1));
    world.decides();
    world.pass(secs(60));
    assert!(world.is_removed());
    assert!(world.changes.is_empty());
}

#[test]
fn a_workflow_that_is_ended_over_it_parks_its_session() {
    let mut world = World::opened();
    world.script.slow.insert("s".into());
    world.say("s", Err(WorkflowError::Trapped("it used its fuel up".into())));
    world.pass(secs(1));
    world.decides();
    assert!(matches!(&world.session().condition, Condition::Parked { why } if why.contains("fuel")));
    assert!(world.journal.records.iter().any(|record| matches!(record.body, Body::Undecided { .. })));
}

#[test]
fn one_that_enters_phases_without_end_is_parked_though_it_takes_long() {
    let mut world = World::opened();
    world.script.slow.insert("s".into());
    for _ in 0..20 {
        for phase in [Phase::PrepareMaintenance, Phase::ScaleIn] {
            world.say("s", Ok(verdict([Decision::Enter { phase }], None)));
        }
    }
    world.pass(secs(1));
    while !world.thoughts.is_empty() {
        world.decides();
    }
    assert!(matches!(&world.session().condition, Condition::Parked { why } if why.contains("come to rest")));
}

#[test]
fn one_that_is_woken_by_others_again_and_again_goes_on() {
    let mut world = thinking([]);
    for _ in 0..40 {
        world.open("o", plan(), &["x"]).unwrap();
        world.command(Command::Delete { session: "o".into() }).unwrap();
        world.decides();
        assert_eq!(world.thoughts.len(), 1, "a session that is over may have been in its way");
    }
    assert!(world.session().is_running());
}

#[test]
fn after_a_restart_it_is_asked_anew_and_what_it_was_asked_before_does_not_count() {
    let mut world = thinking([fence()]);
    let (before, _) = world.thoughts.pop_front().unwrap();
    world.restart();
    assert_eq!(world.thoughts.len(), 1);
    // As the writer does, which numbers its orders on.
    assert_ne!(world.thoughts[0].0, before);
    world.event(Event::Decided(before, Ok(verdict([fence()], None))));
    assert!(world.changes.is_empty());
    world.decides();
    assert!(matches!(world.cloud_does(), CloudCall::Disable { .. }));
}
