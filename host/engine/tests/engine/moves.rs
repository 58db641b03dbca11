//! Moves on their way: looked at first, sent once, believed only when seen.

use fenix_core::ask::MoveHow;
use fenix_core::effect::Outcome;
use fenix_core::inventory::InstanceState;
use fenix_core::policy::SlowLive;
use fenix_core::rules::Rule;
use fenix_core::session::{Condition, Plan};
use fenix_engine::event::Event;
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

use crate::harness::{World, secs};

const COLD: MoveHow = MoveHow::Migrate;
const LIVE: MoveHow = MoveHow::LiveMigrate;

/// How the one move of a world ended.
fn outcome(world: &World) -> Option<&Outcome> {
    world.outcomes("move").last().copied()
}

fn moves_sent(world: &World) -> usize {
    let moves = |call: &&CloudCall| matches!(call, CloudCall::Migrate { .. } | CloudCall::LiveMigrate { .. });
    world.changes.iter().filter(moves).count()
}

#[track_caller]
fn check_failed(world: &World, why: &str) {
    match outcome(world) {
        Some(Outcome::Failed { why: found }) => assert!(found.contains(why), "{found}"),
        other => panic!("{other:?} instead of a failure: {why}"),
    }
    assert_eq!(moves_sent(world), 1);
}

#[track_caller]
fn check_withdrawn(world: &World, by: Rule, sent: usize) {
    assert!(
        matches!(outcome(world), Some(Outcome::Withdrawn { rule, .. }) if *rule == by),
        "{:?}",
        outcome(world)
    );
    assert_eq!(moves_sent(world), sent);
}

#[test]
fn a_cold_move_is_confirmed_and_its_manager_told() {
    let mut world = World::moving(COLD);
    world.cloud_does();
    world.pass(secs(1));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(1));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
    assert!(world.queued().contains(&"m INSTANCE_ACTION_DONE".into()));
}

#[test]
fn the_next_place_after_a_failed_move_is_chosen_from_what_is_there_now() {
    let mut world = World::moving(COLD);
    world.truth.instances.insert("i9".into(), crate::cloud::instance("i9", "q", "x"));
    world.holds_reads = true;
    world.cloud_says(Err(CloudError::Refused("no room on x".into())));
    world.pass(secs(1));
    let (look, _) = world.cloud.pop_front().unwrap();
    let seen = world.truth.read(&CloudCall::ReadInstance { instance: "i1".into() }).unwrap();
    world.event(Event::CloudReturned(look, Ok(seen)));
    check_failed(&world, "no room on x");
    world.script.woken.borrow_mut().clear();
    world.pass(secs(20));
    assert!(world.script.woken.borrow().is_empty(), "nothing is decided on what was known before");
    while let Some((_, call)) = world.cloud.front().cloned() {
        let seen = world.truth.read(&call).unwrap();
        world.cloud_says(Ok(seen));
    }
    assert!(!world.script.woken.borrow().is_empty());
    assert!(world.state().inventory.instance(&"i9".into()).is_some());
}

#[test]
fn a_live_move_needs_no_confirmation() {
    let mut world = World::moving(LIVE);
    assert!(matches!(world.cloud_does(), CloudCall::LiveMigrate { .. }));
    world.pass(secs(1));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
    assert_eq!(world.changes.len(), 2, "one fence, one move");
}

#[test]
fn a_move_whose_instance_went_between_admission_and_dispatch_is_withdrawn() {
    let gone = |world: &mut World| {
        world.truth.instances.remove(&"i1".into());
    };
    let elsewhere = |world: &mut World| world.truth.change(&"i1".into(), |seen| seen.host = "b".into());
    let busy =
        |world: &mut World| world.truth.change(&"i1".into(), |seen| seen.state = InstanceState::Building);
    let changes: [fn(&mut World); 3] = [gone, elsewhere, busy];
    for change in changes {
        let mut world = World::opened();
        let wanted = world.ready_to_move(COLD);
        change(&mut world);
        world.decide([wanted]);
        check_withdrawn(&world, Rule::R11, 0);
    }
}

#[test]
fn a_lost_call_is_waited_for_and_not_sent_again() {
    let mut world = World::moving(COLD);
    world.cloud_is_silent();
    world.pass(secs(59));
    assert_eq!(outcome(&world), None);
    world.pass(secs(3));
    check_failed(&world, "lost");
}

#[test]
fn a_late_call_is_adopted() {
    let mut world = World::moving(COLD);
    let call = world.cloud.front().unwrap().1.clone();
    world.cloud_is_silent();
    world.pass(secs(40));
    world.truth.apply(&call);
    world.pass(secs(1));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(1));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
    assert_eq!(moves_sent(&world), 1);
}

#[test]
fn a_move_that_is_not_taken_or_does_not_last_fails_and_is_not_sent_again() {
    let mut refused = World::moving(COLD);
    refused.cloud_says(Err(CloudError::Refused("no valid host".into())));
    check_failed(&refused, "no valid host");

    let mut back = World::moving(COLD);
    back.cloud_says(Ok(CloudReply::Accepted));
    back.truth.set_moving("i1", "x");
    back.pass(secs(1));
    back.truth.apply(&CloudCall::AbortLive { instance: "i1".into() });
    back.pass(secs(12));
    check_failed(&back, "came back");

    let mut silent = World::moving(COLD);
    silent.cloud_says(Ok(CloudReply::Accepted));
    silent.pass(secs(14));
    assert_eq!(outcome(&silent), None);
    silent.pass(secs(2));
    check_failed(&silent, "stayed");

    let mut broken = World::moving(COLD);
    broken.cloud_says(Ok(CloudReply::Accepted));
    broken.truth.change(&"i1".into(), |seen| seen.state = InstanceState::Error);
    broken.pass(secs(1));
    check_failed(&broken, "in error");
}

#[test]
fn a_move_that_shows_as_over_before_it_is_has_not_come_back() {
    for how in [COLD, LIVE] {
        let mut world = World::moving(how);
        let call = world.cloud.front().unwrap().1.clone();
        world.cloud_says(Ok(CloudReply::Accepted));
        world.truth.set_moving("i1", "x");
        world.pass(secs(20));
        // Nova calls the migration completed, and its instance is still where it was.
        world.truth.apply(&CloudCall::AbortLive { instance: "i1".into() });
        world.pass(secs(9));
        assert_eq!(outcome(&world), None, "{how:?}");
        world.truth.apply(&call);
        world.pass(secs(1));
        if how == COLD {
            assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
            world.pass(secs(1));
        }
        assert_eq!(outcome(&world), Some(&Outcome::Done), "{how:?}");
        assert_eq!(moves_sent(&world), 1);
    }
}

#[test]
fn a_refusal_of_what_is_under_way_is_not_believed() {
    let mut world = World::moving(COLD);
    world.truth.set_moving("i1", "x");
    world.cloud_says(Err(CloudError::Refused("busy".into())));
    world.pass(secs(5));
    assert_eq!(outcome(&world), None);
}

#[test]
fn a_move_under_way_is_adopted_after_a_restart_and_not_sent_again() {
    let mut world = World::moving(COLD);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(2));
    world.restart();
    world.pass(secs(120));
    world.truth.apply(&CloudCall::Migrate { instance: "i1".into(), to: "x".into() });
    world.truth.change(&"i1".into(), |seen| seen.other_end = Some("a".into()));
    world.pass(secs(1));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(1));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
    assert_eq!(moves_sent(&world), 1);
}

#[test]
fn a_move_that_was_never_sent_is_sent_after_a_restart_once_nothing_can_be_under_way() {
    let mut world = World::moving(COLD);
    world.restart();
    world.pass(secs(59));
    assert_eq!(moves_sent(&world), 1, "the first may still be done");
    world.pass(secs(3));
    assert_eq!(moves_sent(&world), 2);
}

#[test]
fn a_live_move_that_takes_too_long_is_given_up() {
    let mut world = World::moving(LIVE);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(601));
    assert!(matches!(world.cloud_does(), CloudCall::AbortLive { .. }));
    world.pass(secs(12));
    check_failed(&world, "came back");
}

/// A live move that never ends, under terms by which it is to be completed.
fn slow_live() -> World {
    let complete = |plan: &mut Plan| plan.terms.policies.slow_live = SlowLive::Complete;
    let mut world = World::opened_with(complete);
    let wanted = world.ready_to_move(LIVE);
    world.decide([wanted]);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(601));
    world
}

#[test]
fn a_live_move_that_takes_too_long_is_completed_where_the_terms_say_so() {
    let mut world = slow_live();
    assert!(matches!(world.cloud_does(), CloudCall::CompleteLive { .. }));
    world.pass(secs(12));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
}

#[test]
fn a_live_move_that_cannot_be_completed_is_given_up() {
    let mut world = slow_live();
    let no = || Err(CloudError::Refused("not now".into()));
    let mut orders = 0;
    while matches!(world.cloud.front(), Some((_, CloudCall::CompleteLive { .. }))) {
        world.cloud_says(no());
        orders += 1;
        world.pass(secs(2));
    }
    assert!((10..=16).contains(&orders), "half of the 60 s that are left, not {orders} orders");
    assert!(matches!(world.cloud_does(), CloudCall::AbortLive { .. }));
    world.pass(secs(12));
    check_failed(&world, "came back");
}

#[test]
fn what_was_on_a_dead_host_is_rebuilt_whichever_way_it_was_to_be_moved() {
    for how in [COLD, LIVE] {
        let mut world = World::opened();
        let wanted = world.ready_to_move(how);
        let host = world.truth.hosts.get_mut(&"a".into()).unwrap();
        (host.up, host.dead) = (false, true);
        world.pass(secs(120));
        world.decide([wanted]);
        assert!(matches!(world.cloud_does(), CloudCall::Evacuate { .. }), "{how:?}");
        world.pass(secs(2));
        assert_eq!(outcome(&world), Some(&Outcome::Done), "{how:?}");
    }
}

#[test]
fn a_move_that_does_not_end_is_unknown_and_may_settle_later() {
    let mut world = World::moving(COLD);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(659));
    assert_eq!(outcome(&world), None);
    world.pass(secs(3));
    assert!(matches!(outcome(&world), Some(Outcome::Unknown { .. })));
    assert!(world.session().effects.values().any(|effect| effect.unknown.is_some()), "the subject is frozen");
    world.truth.change(&"i1".into(), |seen| {
        seen.host = "x".into();
        seen.other_end = None;
        seen.state = InstanceState::Active;
    });
    world.pass(secs(31));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
    assert!(world.session().effects.is_empty());
    assert_eq!(moves_sent(&world), 1);
}

#[test]
fn an_unknown_outcome_that_turns_out_a_failure_is_counted_once() {
    let mut world = World::moving(COLD);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(700));
    assert_eq!(world.session().failures, 1);
    world.truth.change(&"i1".into(), |seen| {
        seen.other_end = None;
        seen.state = InstanceState::Active;
    });
    world.pass(secs(61));
    check_failed(&world, "came back");
    assert_eq!(world.session().failures, 1);
}

#[test]
fn a_refused_confirmation_is_repeated_with_pauses_and_ends_unknown() {
    let mut world = World::moving(COLD);
    world.cloud_does();
    let mut confirmed = 0;
    for _ in 0..700 {
        world.pass(secs(1));
        while !world.cloud.is_empty() {
            world.cloud_says(Err(CloudError::Refused("not yet".into())));
            confirmed += 1;
        }
    }
    assert!((100..700).contains(&confirmed), "{confirmed}");
    assert!(matches!(outcome(&world), Some(Outcome::Unknown { .. })));
}

#[test]
fn a_move_that_was_not_dispatched_is_withdrawn_when_the_session_is_held() {
    let mut world = World::opened();
    let wanted = world.ready_to_move(COLD);
    world.holds_reads = true;
    world.decide([wanted]);
    world.pause().unwrap();
    let reply = |call: &CloudCall, world: &World| world.truth.read(call);
    while let Some((_, call)) = world.cloud.front().cloned() {
        let reply = reply(&call, &world).unwrap();
        world.cloud_says(Ok(reply));
    }
    check_withdrawn(&world, Rule::R8, 0);
    assert_eq!(world.session().condition, Condition::Paused);
}

#[test]
fn a_move_under_way_is_finished_though_the_session_is_held() {
    let mut world = World::moving(COLD);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.pause().unwrap();
    world.truth.apply(&CloudCall::Migrate { instance: "i1".into(), to: "x".into() });
    world.pass(secs(1));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(1));
    assert_eq!(outcome(&world), Some(&Outcome::Done));
}
