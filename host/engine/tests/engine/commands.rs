//! What administrators ask for, and what they are answered.

use fenix_core::ask::AskKind;
use fenix_core::caller::{Caller, Deed, Role};
use fenix_core::decision::Decision;
use fenix_core::id::SessionId;
use fenix_core::record::Body;
use fenix_core::session::{Condition, HostStage, Phase};
use fenix_core::view::Trigger;
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::{Event, Ticket};
use fenix_engine::ports::{ActionError, WorkflowError};

use crate::harness::{World, ack, ask, nack, plan, secs, subscription, verdict};

/// Makes the session of a fresh world fail, and waits until it has ended.
fn failed() -> World {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([Decision::Fail]);
    settle(&mut world);
    assert_eq!(world.session().condition, Condition::Ended);
    world
}

/// Lets the closings end: everything is delivered, the cloud does what it is asked.
fn settle(world: &mut World) {
    for _ in 0..10 {
        while !world.cloud.is_empty() {
            world.cloud_does();
        }
        world.deliver_all();
        world.pass(secs(1));
    }
}

#[track_caller]
fn check_open(change: impl FnOnce(&mut World), hosts: &[&str], expected: Result<Answer, CommandError>) {
    let mut world = World::new();
    change(&mut world);
    let before = world.journal.records.len();
    assert_eq!(world.open("s", plan(), hosts), expected);
    if expected.is_err() {
        assert_eq!(world.journal.records.len(), before, "nothing was recorded");
    }
}

#[test]
fn a_session_is_opened_over_known_free_hosts_once() {
    let by = || SessionId::from("o");
    let taken = |world: &mut World| {
        world.open("o", plan(), &["a"]).unwrap();
    };
    let all_taken = |world: &mut World| {
        world.open("o", plan(), &[]).unwrap();
    };
    let exists = |world: &mut World| {
        world.open("s", plan(), &["x"]).unwrap();
    };
    let full = |world: &mut World| {
        world.truth.hosts.clear();
        for n in 0..128 {
            let id = format!("h{n:03}");
            world.truth.hosts.insert(id.as_str().into(), crate::cloud::host(&id));
        }
        world.pass(secs(120));
        for n in 0..128 {
            let id = format!("h{n:03}");
            world.open(&format!("s{n:03}"), plan(), &[&id]).unwrap();
        }
    };
    check_open(|_| {}, &["a", "b", "a"], Ok(Answer::Done));
    check_open(taken, &[], Ok(Answer::Done));
    check_open(|_| {}, &["nowhere"], Err(CommandError::NoHost("nowhere".into())));
    check_open(taken, &["b", "a"], Err(CommandError::Leased { host: "a".into(), by: by() }));
    check_open(all_taken, &[], Err(CommandError::NoHosts));
    check_open(exists, &["a"], Err(CommandError::Exists("s".into())));
    check_open(full, &["a"], Err(CommandError::TooMany(128)));
}

#[test]
fn no_session_is_opened_before_the_cloud_was_read() {
    let mut world = World::unread();
    world.holds_reads = true;
    assert_eq!(world.open("s", plan(), &["a"]), Err(CommandError::NotReady));
}

#[test]
fn a_new_workflow_is_told_that_it_has_just_started() {
    let world = World::opened();
    assert_eq!(world.script.woken.borrow()[0], ("s".into(), Trigger::Started));
}

#[test]
fn commands_about_an_unknown_session_name_it_and_deleting_it_is_idle() {
    let mut world = World::new();
    let unknown = || Err(CommandError::NoSession("s".into()));
    assert_eq!(world.pause(), unknown());
    assert_eq!(world.resume(), unknown());
    assert_eq!(world.reply(nack(AskKind::Maintenance)), unknown());
    assert_eq!(world.delete(), Ok(Answer::Idle));
    assert_eq!(world.command(Command::Unsubscribe { id: "nobody".into() }), Ok(Answer::Idle));
}

#[test]
fn a_repeated_command_is_idle() {
    let mut world = World::opened();
    assert_eq!(world.resume(), Ok(Answer::Idle));
    assert_eq!(world.pause(), Ok(Answer::Done));
    assert_eq!(world.pause(), Ok(Answer::Idle));
    assert_eq!(world.resume(), Ok(Answer::Done));
    assert_eq!(world.resume(), Ok(Answer::Idle));
    let same = Command::Subscribe { subscription: subscription("m", "p", "maintenance.scheduled") };
    assert_eq!(world.command(same), Ok(Answer::Idle));
    world.agree(AskKind::Maintenance, None);
    assert_eq!(world.delete(), Ok(Answer::Done));
    assert_eq!(world.delete(), Ok(Answer::Idle), "it waits for its manager to be told");
    settle(&mut world);
    assert!(world.is_removed());
    assert_eq!(world.delete(), Ok(Answer::Idle));
}

#[test]
fn what_makes_no_sense_now_is_refused_with_a_hint() {
    let wrong = |answer: Result<Answer, CommandError>| matches!(answer, Err(CommandError::WrongState { .. }));
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([Decision::Fail]);
    assert!(matches!(world.session().condition, Condition::Closing { .. }));
    assert!(wrong(world.pause()));
    assert!(wrong(world.resume()));
    settle(&mut world);
    assert!(wrong(world.pause()));
    let strange = Command::Reply {
        session: "s".into(),
        project: "stranger".into(),
        instance: None,
        reply: ack(AskKind::Maintenance, &[]),
    };
    let expected = CommandError::NoProject { session: "s".into(), project: "stranger".into() };
    assert_eq!(world.command(strange), Err(expected));
}

#[test]
fn a_session_can_be_deleted_in_every_state() {
    let paused = |world: &mut World| {
        world.pause().unwrap();
    };
    let parked = |world: &mut World| {
        world.say("s", Err(WorkflowError::Trapped("unreachable".into())));
        world.pass(secs(2));
        assert!(matches!(world.session().condition, Condition::Parked { .. }));
    };
    let in_flight = |world: &mut World| {
        world.decide([Decision::Fence { host: "a".into() }]);
    };
    let fenced = |world: &mut World| world.fence("a");
    let working = |world: &mut World| world.begin_work();
    let states: [fn(&mut World); 6] = [|_| {}, paused, parked, in_flight, fenced, working];
    for (number, reach) in states.into_iter().enumerate() {
        let mut world = World::opened();
        reach(&mut world);
        assert_eq!(world.delete(), Ok(Answer::Done), "state {number}");
        if !world.actions.is_empty() {
            world.action_says(Err(ActionError::Failed("broken".into())));
        }
        settle(&mut world);
        assert!(world.is_removed(), "state {number}");
        assert_eq!(world.state().lease(&"a".into()), None);
    }
    let mut world = failed();
    assert_eq!(world.delete(), Ok(Answer::Done));
    settle(&mut world);
    assert!(world.is_removed());
}

#[test]
fn a_failed_session_goes_on_where_it_stopped_and_asks_again() {
    let mut world = World::working();
    world.agree(AskKind::Maintenance, None);
    world.decide([Decision::Enter { phase: Phase::StartMaintenance }]);
    world.decide([Decision::Quarantine { host: "b".into() }, Decision::Fail]);
    world.action_says(Err(ActionError::Failed("broken".into())));
    settle(&mut world);
    assert_eq!(world.session().phase, Phase::MaintenanceFailed);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
    assert!(matches!(world.stage("b"), HostStage::Quarantined { begun: false, .. }));
    assert_eq!(world.resume(), Ok(Answer::Done));
    assert_eq!(world.session().phase, Phase::StartMaintenance);
    assert_eq!(world.stage("a"), HostStage::Working, "work goes on");
    assert_eq!(world.stage("b"), HostStage::Waiting, "takes part again");
    assert_eq!(world.session().latest_ask(&"p".into(), AskKind::Maintenance, None), None);
    world.decide([ask(AskKind::Maintenance, None)]);
    assert_eq!(world.session().open_asks.len(), 1, "asked again");
}

#[test]
fn a_manager_that_came_after_the_failure_is_there_when_the_session_goes_on() {
    let mut world = failed();
    world.subscribe("late", "q", "maintenance.scheduled");
    assert!(!world.session().projects[&"q".into()].managed);
    assert_eq!(world.resume(), Ok(Answer::Done));
    assert!(world.session().projects[&"q".into()].managed);
}

#[test]
fn a_failed_session_cannot_go_on_with_hosts_that_another_has_taken() {
    let mut world = failed();
    world.open("o", plan(), &["b"]).unwrap();
    let expected = CommandError::Leased { host: "b".into(), by: "o".into() };
    assert_eq!(world.resume(), Err(expected));
}

#[test]
fn a_parked_session_that_is_continued_has_its_budget_back() {
    let mut world = World::opened_with(|plan| plan.terms.failure_budget = 1);
    world.decide([Decision::Fence { host: "a".into() }]);
    world.cloud_says(Err(fenix_engine::ports::CloudError::Refused("no".into())));
    assert!(matches!(world.session().condition, Condition::Parked { .. }));
    assert_eq!(world.resume(), Ok(Answer::Done));
    assert_eq!((world.session().failures, world.session().tries.len()), (0, 0));
}

#[test]
fn a_deleted_session_keeps_its_hosts_only_while_it_has_to() {
    let mut world = World::opened();
    world.fence("a");
    world.delete().unwrap();
    assert_eq!(world.state().lease(&"a".into()), Some(&"s".into()), "it is being given back");
    assert_eq!(world.state().lease(&"b".into()), None, "it was never touched");
    world.say("s", Ok(verdict([], None)));
    settle(&mut world);
    assert!(world.is_removed());
    assert_eq!(world.service("a"), fenix_core::inventory::Service::Enabled);
}

#[test]
fn who_had_what_done_is_noted_and_nothing_of_what_changed_nothing() {
    let mut world = World::opened();
    let alice = || Caller { name: "alice".into(), role: Role::Administrator, from: None };
    let mut check = |by: Option<Caller>, command: Command, noted: bool| {
        let before = world.journal.records.len();
        world.event(Event::Command(Ticket(before as u64), by, command));
        let new = &world.journal.records[before..];
        let deeds: Vec<&Deed> = new
            .iter()
            .filter_map(
                |record| if let Body::Commanded { did, .. } = &record.body { Some(did) } else { None },
            )
            .collect();
        assert_eq!(deeds.len(), usize::from(noted));
        deeds.first().map(|did| (did.command.clone(), did.session.clone()))
    };
    let pause = || Command::Pause { session: "s".into() };
    assert_eq!(check(Some(alice()), pause(), true), Some(("pause".into(), Some("s".into()))));
    check(Some(alice()), pause(), false);
    check(Some(alice()), Command::Pause { session: "none".into() }, false);
    check(None, Command::Continue { session: "s".into() }, false);
}
