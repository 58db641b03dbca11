//! What stands beside the work on a host: is it needed, may it go on, and taking it back.

use fenix_core::decision::Decision;
use fenix_core::session::{ActionSpec, Condition, HostStage, Pin, Plan, Stage};
use fenix_engine::ports::{ActionCall, ActionError, CloudCall, Progress};

use crate::harness::{World, secs, work_on_a};

type Said = Result<Progress, ActionError>;

fn done() -> Said {
    Ok(Progress::Done { report: "fine".into() })
}

fn not_needed() -> Said {
    Ok(Progress::NotNeeded { why: "it is new".into() })
}

fn stop() -> Said {
    Ok(Progress::Stop { why: "it burns".into() })
}

fn again(checkpoint: &str) -> Said {
    Ok(Progress::Again { after: secs(1), checkpoint: checkpoint.into(), percent: 50 })
}

fn failed() -> Said {
    Err(ActionError::Failed("broken".into()))
}

/// An action of the plan, whose work can be taken back.
fn action(name: &str, stage: Stage) -> ActionSpec {
    let plugin = Pin { name: name.into(), version: "1".into(), digest: name.into(), undoes: true };
    ActionSpec { plugin, stage, metadata: String::new() }
}

/// A session of `a` and `b` whose plan has these beside its work.
fn with(stage: Stage, names: &[&str]) -> World {
    let mut world = World::opened_with(|plan: &mut Plan| {
        plan.actions.extend(names.iter().map(|name| action(name, stage)));
    });
    settle(&mut world);
    world
}

/// Lets the cloud answer, and time pass in which nothing is due.
fn settle(world: &mut World) {
    for _ in 0..3 {
        while !world.cloud.is_empty() {
            world.cloud_does();
        }
        world.pass(secs(1));
    }
}

fn woken(world: &World) -> bool {
    !world.script.woken.borrow().is_empty()
}

#[test]
fn nothing_is_decided_before_all_hosts_are_assessed() {
    let mut world = with(Stage::Assess, &["one", "two"]);
    assert!(!woken(&world));
    let hosts: Vec<&str> =
        world.actions.iter().map(|(_, asked)| asked.host.as_ref().unwrap().as_str()).collect();
    assert_eq!(hosts, ["a", "b"], "both at once");
    for _ in 0..2 {
        let asked = world.action_says(done());
        assert_eq!((asked.call, asked.stage.as_str()), (ActionCall::Assess, "assess"));
        settle(&mut world);
    }
    assert!(!woken(&world), "each has a second one");
    world.action_says(again("looked"));
    settle(&mut world);
    world.action_says(done());
    settle(&mut world);
    let second = world.action_says(done());
    assert_eq!(second.checkpoint.as_deref(), Some("looked"));
    settle(&mut world);
    assert!(woken(&world) && world.actions.is_empty());
    assert_eq!((world.stage("a"), world.stage("b")), (HostStage::Waiting, HostStage::Waiting));
    assert!(world.changes.is_empty());
}

#[test]
fn a_host_that_needs_nothing_is_done_and_one_that_cannot_be_is_left_out() {
    let check = |said: Said, expected: HostStage| {
        let mut world = with(Stage::Assess, &["one", "two"]);
        world.action_says(said);
        world.action_says(done());
        settle(&mut world);
        let second = world.action_says(done());
        assert_eq!(second.host.as_ref().unwrap().as_str(), "b", "the first word that is no yes counts");
        settle(&mut world);
        assert!(world.actions.is_empty() && woken(&world));
        assert_eq!((world.stage("a"), world.stage("b")), (expected, HostStage::Waiting));
        assert!(!world.session().hosts.get(&"a".into()).unwrap().fenced && world.changes.is_empty());
        world.restart();
        settle(&mut world);
        assert!(world.actions.is_empty(), "nobody asks again");
    };
    let left_out = |why: &str| HostStage::Quarantined { why: why.into(), begun: false };
    check(not_needed(), HostStage::Maintained);
    check(stop(), left_out("action one: it burns"));
    check(failed(), left_out("action one: broken"));
}

#[test]
fn an_assessment_goes_on_after_a_restart_a_pause_and_a_failure() {
    let mut world = with(Stage::Assess, &["one"]);
    let before = world.actions.clone();
    world.restart();
    settle(&mut world);
    let keys = |actions: &std::collections::VecDeque<_>| -> Vec<String> {
        actions.iter().map(|(_, asked): &(_, fenix_engine::ports::Assignment)| asked.key.clone()).collect()
    };
    assert_eq!(keys(&world.actions), keys(&before));
    world.action_says(again("x"));
    world.pause().unwrap();
    settle(&mut world);
    assert_eq!(world.actions.len(), 1, "of b, which was called before");
    world.action_says(done());
    world.resume().unwrap();
    settle(&mut world);
    assert_eq!(world.action_says(done()).checkpoint.as_deref(), Some("x"));
    settle(&mut world);
    assert!(woken(&world));
}

/// Works on the empty `a` and gives it back.
fn work_through(world: &mut World) {
    world.begin_work();
    for _ in 0..2 {
        world.action_says(done());
    }
    world.decide([Decision::Release { host: "a".into() }]);
    settle(world);
    assert_eq!(world.stage("a"), HostStage::Maintained);
}

#[test]
fn nothing_is_decided_before_the_gate_after_a_host_opens() {
    let mut world = with(Stage::Gate, &["one", "two"]);
    work_through(&mut world);
    world.script.woken.borrow_mut().clear();
    let asked = world.action_says(again("looked"));
    assert_eq!((asked.call, asked.host), (ActionCall::Gate, Some("a".into())));
    settle(&mut world);
    assert!(!woken(&world));
    world.restart();
    settle(&mut world);
    assert!(!woken(&world));
    assert_eq!(world.action_says(done()).checkpoint.as_deref(), Some("looked"));
    settle(&mut world);
    world.action_says(done());
    settle(&mut world);
    assert!(woken(&world) && world.actions.is_empty());
}

#[test]
fn the_gate_after_a_host_that_was_given_back_while_nothing_went_on_is_asked_all_the_same() {
    let mut world = with(Stage::Gate, &["one"]);
    world.begin_work();
    for _ in 0..2 {
        world.action_says(done());
    }
    world.decide([Decision::Release { host: "a".into() }]);
    world.pause().unwrap();
    settle(&mut world);
    assert_eq!(world.stage("a"), HostStage::Maintained);
    assert!(world.actions.is_empty());
    world.script.woken.borrow_mut().clear();
    world.restart();
    world.resume().unwrap();
    settle(&mut world);
    assert!(!woken(&world));
    assert_eq!(world.action_says(done()).call, ActionCall::Gate);
    settle(&mut world);
    assert!(woken(&world) && world.actions.is_empty());
}

#[test]
fn a_gate_that_says_stop_parks_the_session_until_it_is_continued() {
    for (said, expected) in
        [(stop(), "after a: action one: it burns"), (failed(), "after a: action one: broken")]
    {
        let mut world = with(Stage::Gate, &["one", "two"]);
        work_through(&mut world);
        world.script.woken.borrow_mut().clear();
        world.action_says(said);
        settle(&mut world);
        let parked = Condition::Parked { why: expected.into() };
        assert_eq!((&world.session().condition, woken(&world)), (&parked, false));
        world.restart();
        world.resume().unwrap();
        settle(&mut world);
        assert!(!woken(&world), "somebody looked, and the other one is asked");
        let second = world.action_says(done());
        assert!(second.key.contains("/a/3/"), "{}", second.key);
        settle(&mut world);
        assert!(woken(&world) && world.actions.is_empty());
    }
}

/// A session whose actions on a host can be taken back, in the middle of the second one.
fn half_done() -> World {
    let mut world = World::opened_with(|plan| {
        plan.actions =
            vec![action("first", Stage::Host), action("second", Stage::Host), action("third", Stage::Host)];
        plan.actions[0].plugin.undoes = false;
        plan.actions.insert(0, action("zeroth", Stage::Host));
    });
    world.begin_work();
    world.action_says(done());
    world.action_says(done());
    world.action_says(again("half"));
    world
}

#[test]
fn what_was_begun_is_taken_back_the_last_first_when_its_session_is_closed_or_its_host_left_out() {
    let close: [fn(&mut World); 3] = [
        |world| world.decide([Decision::Fail]),
        |world| {
            world.delete().unwrap();
        },
        |world| {
            // The host is left out once its work has failed.
            world.pass(secs(1));
            world.action_says(failed());
            world.decide([Decision::Quarantine { host: "a".into() }]);
        },
    ];
    for close in close {
        let mut world = half_done();
        close(&mut world);
        // What is under way returns first.
        settle(&mut world);
        if world.actions.front().is_some_and(|(_, asked)| asked.call == ActionCall::Run) {
            world.action_says(again("more"));
        }
        settle(&mut world);
        let second = world.action_says(again("taking"));
        assert_eq!((second.key.as_str(), second.checkpoint), ("s/a/2", None));
        assert!(matches!(second.call, ActionCall::Undo { forward: Some(_) }), "{:?}", second.call);
        world.restart();
        settle(&mut world);
        let second = world.action_says(done());
        assert_eq!((second.key.as_str(), second.checkpoint.as_deref()), ("s/a/2", Some("taking")));
        settle(&mut world);
        let zeroth = world.action_says(done());
        assert_eq!((zeroth.key.as_str(), zeroth.call), ("s/a/0", ActionCall::Undo { forward: None }));
        settle(&mut world);
        assert!(world.actions.is_empty(), "what cannot be taken back is not, nor what never began");
        assert!(
            !world.changes.contains(&CloudCall::Enable { host: "a".into() }),
            "it stays out all the same"
        );
    }
}

#[test]
fn a_pause_does_not_hold_up_what_is_taken_back() {
    let mut world = half_done();
    world.pass(secs(1));
    world.action_says(failed());
    world.decide([Decision::Quarantine { host: "a".into() }]);
    world.pause().unwrap();
    settle(&mut world);
    for _ in 0..2 {
        assert!(matches!(world.action_says(done()).call, ActionCall::Undo { .. }));
        settle(&mut world);
    }
    assert!(world.actions.is_empty());
}

#[test]
fn nothing_is_taken_back_on_a_host_that_somebody_put_into_service() {
    let mut world = half_done();
    world.pass(secs(1));
    world.action_says(failed());
    world.truth.apply(&CloudCall::Enable { host: "a".into() });
    world.pass(secs(61));
    world.decide([Decision::Quarantine { host: "a".into() }]);
    world.pass(secs(50));
    assert!(!world.session().effects.is_empty(), "it is looked whether that lasts");
    world.pass(secs(20));
    assert!(world.session().effects.is_empty() && world.actions.is_empty());
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
}

#[test]
fn what_was_taken_back_is_done_from_its_beginning_if_the_session_is_continued() {
    let mut world = half_done();
    world.decide([Decision::Fail]);
    settle(&mut world);
    if world.actions.front().is_some_and(|(_, asked)| asked.call == ActionCall::Run) {
        world.action_says(again("more"));
    }
    settle(&mut world);
    world.action_says(done());
    settle(&mut world);
    world.action_says(failed());
    for _ in 0..5 {
        settle(&mut world);
        world.deliver_all();
    }
    assert_eq!(world.session().condition, Condition::Ended);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
    world.resume().unwrap();
    settle(&mut world);
    world.decide([work_on_a()]);
    settle(&mut world);
    // The first of them could not be taken back, and is not done twice.
    let next = world.action_says(done());
    assert_eq!((next.key.as_str(), next.checkpoint, next.call), ("s/a/2", None, ActionCall::Run));
}

#[test]
fn a_host_that_waits_again_is_looked_at_anew_under_a_name_of_its_own() {
    let mut world = with(Stage::Assess, &["one"]);
    let first = world.action_says(stop());
    world.action_says(done());
    settle(&mut world);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: false, .. }));
    let clear = fenix_engine::command::Command::ClearQuarantine { host: "a".into() };
    world.command(clear).unwrap();
    settle(&mut world);
    let second = world.action_says(done());
    assert_eq!((&second.host, &second.checkpoint), (&first.host, &None));
    assert_ne!(second.key, first.key);
    settle(&mut world);
    assert_eq!(world.stage("a"), HostStage::Waiting);
    assert!(woken(&world) && world.actions.is_empty());
}

#[test]
fn what_was_done_whole_is_not_taken_back() {
    let mut world = World::opened_with(|plan| plan.actions = vec![action("first", Stage::Host)]);
    world.begin_work();
    world.action_says(done());
    assert_eq!(world.stage("a"), HostStage::Worked);
    world.decide([Decision::Quarantine { host: "a".into() }]);
    settle(&mut world);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
    assert!(world.actions.is_empty());
}
