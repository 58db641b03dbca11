//! The closings, row by row of the design's table: what brings everything in flight to a safe end.

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::decision::Decision;
use fenix_core::effect::Outcome;
use fenix_core::id::AskId;
use fenix_core::inventory::Service;
use fenix_core::session::{Condition, HostStage, Phase};
use fenix_engine::event::DeliveryError;
use fenix_engine::ports::{ActionError, CloudCall, CloudError, CloudReply, Progress};

use crate::harness::{World, ask, secs};

/// How a session comes to be closed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Fails,
    Deleted,
}

/// Closes the session with its world as it is, and checks it on the way and when it is safe.
#[track_caller]
fn check(make: fn() -> World, on_the_way: fn(&mut World), end: fn(&World)) {
    for how in [How::Fails, How::Deleted] {
        let mut world = make();
        match how {
            How::Fails => world.decide([Decision::Fail]),
            How::Deleted => {
                world.delete().unwrap();
            }
        }
        on_the_way(&mut world);
        for _ in 0..10 {
            while !world.cloud.is_empty() {
                world.cloud_does();
            }
            world.deliver_all();
            world.pass(secs(1));
        }
        match how {
            How::Fails => {
                assert_eq!(world.session().condition, Condition::Ended, "{how:?}");
                assert_eq!(world.session().phase, Phase::MaintenanceFailed);
                assert!(world.session().failure.is_some());
            }
            How::Deleted => assert!(world.is_removed(), "{:?}", world.session().condition),
        }
        end(&world);
    }
}

fn nothing(_: &mut World) {}

fn enabled(world: &World) {
    assert_eq!(world.service("a"), Service::Enabled);
}

fn never_enabled(world: &World) {
    assert!(matches!(world.service("a"), Service::Disabled { .. }));
    assert!(!world.changes.contains(&CloudCall::Enable { host: "a".into() }));
}

#[test]
fn a_migration_under_way_is_finished_and_confirmed_then_its_host_is_given_back() {
    let make = || {
        let mut world = World::moving(MoveHow::Migrate);
        world.cloud_says(Ok(CloudReply::Accepted));
        world.truth.set_moving("i1", "x");
        world.pass(secs(1));
        world
    };
    let arrives = |world: &mut World| {
        world.pass(secs(30));
        assert!(world.cloud.is_empty(), "nothing is given back while it is under way");
        world.truth.apply(&CloudCall::Migrate { instance: "i1".into(), to: "x".into() });
        world.truth.change(&"i1".into(), |seen| seen.other_end = Some("a".into()));
        world.pass(secs(1));
        assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    };
    check(make, arrives, |world| {
        assert_eq!(world.outcomes("move"), [&Outcome::Done]);
        enabled(world);
    });
}

#[test]
fn a_fence_that_was_not_dispatched_is_withdrawn() {
    let make = || {
        let mut world = World::opened();
        world.say("s", Ok(crate::harness::verdict([Decision::Fence { host: "a".into() }], None)));
        world.holds_reads = true;
        world.pass(secs(1));
        world
    };
    let read = |world: &mut World| {
        world.holds_reads = false;
        while let Some((_, call)) = world.cloud.front().cloned() {
            let reply = world.truth.read(&call).unwrap();
            world.cloud_says(Ok(reply));
        }
    };
    // A session that waits for its fence takes no other verdict, so only the administrator closes it here.
    let mut world = make();
    world.delete().unwrap();
    read(&mut world);
    world.pass(secs(1));
    assert!(world.is_removed());
    assert!(matches!(world.outcomes("fence")[..], [Outcome::Withdrawn { .. }]));
    assert!(world.changes.is_empty());
}

#[test]
fn a_host_that_was_only_fenced_is_given_back_as_found() {
    let make = || {
        let mut world = World::opened();
        world.fence("a");
        world
    };
    check(make, nothing, enabled);
}

#[test]
fn a_host_whose_work_was_begun_and_not_finished_is_quarantined_and_never_enabled() {
    let finish_call = |world: &mut World| {
        world.pass(secs(5));
        assert!(matches!(world.session().condition, Condition::Closing { .. }), "the call is waited for");
        let more = Progress::Again { after: secs(1), checkpoint: "half".into(), percent: 50 };
        world.action_says(Ok(more));
        world.pass(secs(2));
        assert!(world.actions.is_empty(), "no further call");
    };
    let fails = |world: &mut World| {
        world.action_says(Err(ActionError::Trapped("unreachable".into())));
    };
    check(World::working, finish_call, never_enabled);
    check(World::working, fails, never_enabled);
}

#[test]
fn a_host_whose_last_action_finishes_meanwhile_is_given_back_and_everybody_hears_it() {
    let make = || {
        let mut world = World::working();
        world.action_says(Ok(Progress::Done { report: "fine".into() }));
        world
    };
    let finish = |world: &mut World| {
        world.action_says(Ok(Progress::Done { report: "fine".into() }));
    };
    check(make, finish, |world| {
        enabled(world);
        let told: Vec<_> = world.queued().into_iter().filter(|said| said.starts_with("l ")).collect();
        assert_eq!(told, ["l IN_MAINTENANCE a", "l COMPLETE a"]);
    });
}

#[test]
fn what_listeners_were_not_told_yet_outlives_the_deletion() {
    let mut world = World::working();
    world.action_says(Ok(Progress::Done { report: "fine".into() }));
    world.delete().unwrap();
    world.action_says(Ok(Progress::Done { report: "fine".into() }));
    world.cloud_does();
    world.pass(secs(1));
    world.mail_says(Err(DeliveryError::Unreachable("refused".into())));
    assert!(!world.is_removed());
    world.pass(secs(1));
    world.deliver_all();
    assert!(world.is_removed());
}

#[test]
fn a_listener_that_is_dead_does_not_hold_a_deletion_up_for_ever() {
    let mut world = World::working();
    world.delete().unwrap();
    world.action_says(Err(ActionError::Failed("broken".into())));
    for _ in 0..130 {
        while !world.mail.is_empty() {
            world.mail_says(Err(DeliveryError::Unreachable("refused".into())));
        }
        world.pass(secs(1));
    }
    assert!(world.is_removed());
}

#[test]
fn an_open_question_is_void_and_its_manager_hears_that_all_is_over() {
    let make = || {
        let mut world = World::opened();
        world.decide([ask(AskKind::Maintenance, None)]);
        world.deliver_all();
        world
    };
    check(make, nothing, |world| {
        let void = |record: &fenix_core::record::Record| match &record.body {
            fenix_core::record::Body::AskEnded { ask: AskId(0), status } => Some(status.clone()),
            _ => None,
        };
        assert_eq!(world.journal.records.iter().find_map(void), Some(AskStatus::Void));
        assert_eq!(world.queued(), ["m MAINTENANCE", "m MAINTENANCE_COMPLETE"]);
    });
}

#[test]
fn everybody_who_was_told_maintenance_is_told_that_it_is_complete_and_nobody_else() {
    let told = || {
        let mut world = World::opened();
        world.subscribe("mq", "q", "maintenance.scheduled");
        world.agree(AskKind::Maintenance, None);
        world
    };
    check(told, nothing, |world| {
        assert_eq!(world.queued(), ["m MAINTENANCE", "m MAINTENANCE_COMPLETE"]);
    });
}

#[test]
fn a_manager_that_cannot_be_reached_holds_the_end_up_only_so_long() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.delete().unwrap();
    for _ in 0..125 {
        while !world.mail.is_empty() {
            world.mail_says(Err(DeliveryError::Unreachable("refused".into())));
        }
        world.pass(secs(1));
    }
    assert!(world.is_removed());
}

#[test]
fn who_was_to_be_told_while_we_were_down_is_told_though_it_is_late() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.delete().unwrap();
    world.now = world.now + secs(3600);
    world.restart();
    assert!(!world.is_removed());
    let told: Vec<_> = world.deliver_all().into_iter().filter_map(|said| said.ask).collect();
    assert_eq!(told.iter().map(|ask| ask.kind).collect::<Vec<_>>(), [AskKind::MaintenanceComplete]);
    world.pass(secs(1));
    assert!(world.is_removed());
}

#[test]
fn a_host_that_the_cloud_will_not_have_back_is_quarantined_after_some_tries() {
    let left_out = || {
        let mut world = World::opened();
        world.fence("a");
        world
    };
    let mut world = left_out();
    world.decide([Decision::Fail]);
    let mut tries = 0;
    for _ in 0..20 {
        while !world.cloud.is_empty() {
            world.cloud_says(Err(CloudError::Refused("no".into())));
            tries += 1;
        }
        world.pass(secs(1));
    }
    assert_eq!(tries, 3);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: true, .. }));
    assert_eq!(world.session().condition, Condition::Ended);
    assert_eq!(world.state().lease(&"a".into()), Some(&"s".into()), "it is still out of service");
    // Nothing was begun on it: if the session goes on, so does its turn, and the window counts for it.
    world.resume().unwrap();
    assert_eq!(world.stage("a"), HostStage::Fenced);
}

#[test]
fn closings_go_on_after_a_restart() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.fence("a");
    world.decide([Decision::Fail]);
    assert_eq!(world.cloud.len(), 1, "it is being given back");
    world.restart();
    for _ in 0..70 {
        while !world.cloud.is_empty() {
            world.cloud_does();
        }
        world.deliver_all();
        world.pass(secs(1));
    }
    assert_eq!(world.session().condition, Condition::Ended);
    enabled(&world);
    assert!(world.queued().contains(&"m MAINTENANCE_COMPLETE".into()));
}

#[test]
fn stop_leaves_a_fenced_host_fenced_and_an_open_question_open() {
    let mut world = World::opened();
    world.fence("a");
    world.decide([ask(AskKind::Maintenance, None)]);
    world.deliver_all();
    world.pause().unwrap();
    world.pass(secs(10));
    assert_eq!(world.stage("a"), HostStage::Fenced);
    assert_eq!(world.session().asks.get(&AskId(0)).unwrap().status, AskStatus::Open);
    assert_eq!(world.changes.len(), 1);
}

#[test]
fn a_host_that_does_not_answer_holds_no_end_up_however_often_the_terms_let_things_be_tried() {
    let mut world = World::opened_with(|plan| plan.terms.rounds = 1000);
    world.fence("a");
    world.truth.hosts.get_mut(&"a".into()).unwrap().up = false;
    world.delete().unwrap();
    world.pass(secs(1000));
    assert!(world.is_removed());
    assert!(world.state().past.host(&"a".into()).is_some_and(|past| past.quarantined.is_some()));
}
