//! While the journal cannot be relied on nothing new is begun, what was begun is finished, and closings run.

use fenix_core::ask::MoveHow;
use fenix_core::blocker::{What, blockers};
use fenix_core::decision::Decision;
use fenix_core::effect::Outcome;
use fenix_core::inventory::Service;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, HostStage};
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::Event;
use fenix_engine::ports::{CloudCall, CloudReply, Progress};

use crate::harness::{World, plan, secs, subscription, work_on_a};

const WHY: &str = "the disk is full";

/// Starts again held, from a world as it is, and lets a while pass.
fn held(mut world: World) -> World {
    world.restart_held(Some(WHY));
    world.pass(secs(1));
    world
}

fn woken(world: &World) -> usize {
    world.script.woken.borrow().len()
}

#[test]
fn nothing_is_decided_and_the_cloud_is_not_read_as_a_whole() {
    let mut world = World::opened();
    world.holds_reads = true;
    let mut world = held(world);
    let (before, records) = (woken(&world), world.journal.records.len());
    world.pass(secs(600));
    assert_eq!((woken(&world), world.journal.records.len()), (before, records));
    assert!(world.cloud.is_empty(), "{:?}", world.cloud);
    let shown = blockers(world.state(), &"s".into(), world.now);
    assert!(shown.iter().any(|blocker| blocker.what == What::Held && blocker.detail == WHY), "{shown:?}");
}

#[test]
fn a_move_that_was_not_begun_is_withdrawn() {
    let mut world = World::opened();
    let wanted = world.ready_to_move(MoveHow::Migrate);
    world.holds_reads = true;
    world.decide([wanted]);
    world.holds_reads = false;
    let mut world = held(world);
    // What the process before may have sent is waited for: it may still come.
    world.pass(secs(600));
    let [Outcome::Withdrawn { rule: Rule::R8, seen }] = world.outcomes("move")[..] else {
        panic!("{:?}", world.outcomes("move"));
    };
    assert!(seen.contains(WHY), "{seen}");
    assert!(!world.changes.iter().any(|call| matches!(call, CloudCall::Migrate { .. })));
    assert_eq!(world.session().condition, Condition::Running);
}

#[test]
fn a_move_under_way_is_finished_and_confirmed() {
    let mut world = World::moving(MoveHow::Migrate);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    let mut world = held(world);
    world.truth.apply(&CloudCall::Migrate { instance: "i1".into(), to: "x".into() });
    world.truth.change(&"i1".into(), |seen| seen.other_end = Some("a".into()));
    world.pass(secs(2));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(600));
    assert_eq!(world.outcomes("move"), [&Outcome::Done]);
}

#[test]
fn work_on_a_host_stands_still_and_goes_on_where_it_was() {
    let mut world = World::working();
    let more = Progress::Again { after: secs(1), checkpoint: "half".into(), percent: 50 };
    world.action_says(Ok(more));
    let mut world = held(world);
    world.pass(secs(3600));
    assert!(world.actions.is_empty(), "no call while held");
    assert_eq!(world.stage("a"), HostStage::Working);

    world.engine.hold(None);
    world.event(Event::Tick);
    world.pass(secs(2));
    assert_eq!(world.actions.front().unwrap().1.checkpoint.as_deref(), Some("half"));
}

#[test]
fn a_session_can_be_deleted_and_its_host_is_given_back() {
    let mut world = World::opened();
    world.fence("a");
    let mut world = held(world);
    assert_eq!(world.delete(), Ok(Answer::Done));
    for _ in 0..5 {
        while !world.cloud.is_empty() {
            world.cloud_does();
        }
        world.deliver_all();
        world.pass(secs(1));
    }
    assert!(world.is_removed());
    assert_eq!(world.service("a"), Service::Enabled);
}

#[test]
fn a_host_whose_work_had_begun_stays_out_when_its_session_is_deleted() {
    let mut world = held(World::working());
    assert_eq!(world.delete(), Ok(Answer::Done));
    world.pass(secs(5));
    world.deliver_all();
    world.pass(secs(5));
    assert!(world.is_removed());
    assert!(matches!(world.service("a"), Service::Disabled { .. }));
}

#[test]
fn only_what_brings_to_an_end_is_taken() {
    let check = |command: Command, taken: bool| {
        let mut world = World::opened();
        world.fence("a");
        let mut world = held(world);
        let answer = world.command(command);
        match taken {
            true => assert_eq!(answer, Ok(Answer::Done)),
            false => assert_eq!(answer, Err(CommandError::Held(WHY.into()))),
        }
    };
    check(Command::Pause { session: "s".into() }, true);
    check(Command::Delete { session: "s".into() }, true);
    check(Command::Unsubscribe { id: "m".into() }, true);
    check(Command::Continue { session: "s".into() }, false);
    check(
        Command::Open { id: "t".into(), plan: Box::new(plan()), hosts: vec!["x".into()], packages: vec![] },
        false,
    );
    check(Command::Subscribe { subscription: subscription("n", "p", "*") }, false);
    check(Command::ClearQuarantine { host: "a".into() }, false);
}

#[test]
fn when_it_is_over_the_cloud_is_read_and_every_session_goes_on() {
    let mut world = World::opened();
    world.fence("a");
    let mut world = held(world);
    world.truth.instances.remove(&"i1".into());
    world.pass(secs(600));
    world.engine.hold(None);
    world.event(Event::Tick);
    assert!(!world.state().inventory.instances().any(|seen| seen.id == "i1".into()), "it was read again");
    world.decide([work_on_a()]);
    assert_eq!(world.stage("a"), HostStage::Working);
    assert!(blockers(world.state(), &"s".into(), world.now).iter().all(|shown| shown.what != What::Held));
}

#[test]
fn a_decision_is_refused_by_name() {
    let mut world = World::opened();
    world.engine.hold(Some(WHY));
    let fence = Decision::Fence { host: "a".into() };
    let refused = fenix_core::rules::admit(world.state(), &"s".into(), &fence, world.now).unwrap_err();
    assert_eq!((refused.rule, refused.why), (Rule::R8, format!("nothing new is begun: {WHY}")));
}
