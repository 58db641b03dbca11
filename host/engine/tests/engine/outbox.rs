//! Messages on their way.

use fenix_core::ask::{AskKind, AskStatus};
use fenix_core::blocker::{What, blockers};
use fenix_core::decision::Decision;
use fenix_core::id::AskId;
use fenix_core::message::Delivery;
use fenix_core::record::Body;
use fenix_core::session::{Condition, Phase};
use fenix_core::time::Millis;
use fenix_engine::Settings;
use fenix_engine::command::Command;
use fenix_engine::event::{DeliveryError, Envelope, Event};

use crate::harness::{START, World, ack, ask, plan, secs};

fn unreachable() -> Result<(), DeliveryError> {
    Err(DeliveryError::Unreachable("refused".into()))
}

fn rejected() -> Result<(), DeliveryError> {
    Err(DeliveryError::Rejected("400".into()))
}

fn to(envelopes: &[Envelope]) -> Vec<&str> {
    envelopes.iter().map(|envelope| envelope.message.to.as_str()).collect()
}

fn waiting(world: &World) -> Vec<&str> {
    world.mail.iter().map(|(_, envelope)| envelope.message.to.as_str()).collect()
}

fn ended(world: &World) -> Vec<&Delivery> {
    let mut ended = Vec::new();
    for record in &world.journal.records {
        if let Body::MessageEnded { delivery, .. } = &record.body {
            ended.push(delivery);
        }
    }
    ended
}

fn status(world: &World) -> &AskStatus {
    &world.session().asks.get(&AskId(0)).unwrap().status
}

/// A session that has asked MAINTENANCE: the message waits for its receiver.
fn asked() -> World {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    assert_eq!(waiting(&world), ["m"]);
    world
}

#[test]
fn each_subscriber_gets_its_messages_in_order_and_delays_no_other() {
    let mut world = World::new();
    world.subscribe("slow", "admin", "maintenance.session");
    world.subscribe("quick", "admin", "maintenance.session");
    world.open("s", plan(), &["a"]).unwrap();
    world.decide([Decision::Enter { phase: Phase::ScaleIn }]);
    assert_eq!(waiting(&world), ["quick", "slow"], "one each, the next waits");
    world.mail_says(Ok(()));
    assert_eq!(waiting(&world), ["slow", "quick"]);
    let slow = world.mail.pop_front().unwrap();
    let quick = world.deliver_all();
    assert_eq!(to(&quick), ["quick"], "slow's second message waits for its first");
    world.event(Event::Delivered(slow.0, Ok(())));
    let second = world.deliver_all();
    assert_eq!(to(&second), ["slow"]);
    assert!(second[0].message.id > slow.1.message.id);
}

#[test]
fn what_is_not_delivered_is_tried_again_after_growing_pauses() {
    let mut world = asked();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        world.mail_says(unreachable());
        let since = world.now;
        while world.mail.is_empty() {
            world.pass(Millis(500));
        }
        pauses.push(world.now.since(since).0 / 1000);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(Settings::default().max_backoff, secs(30));
}

#[test]
fn a_refusal_is_final_and_lets_the_next_message_go() {
    let mut world = World::new();
    world.subscribe("ui", "admin", "maintenance.session");
    world.open("s", plan(), &["a"]).unwrap();
    world.decide([Decision::Enter { phase: Phase::ScaleIn }]);
    let first = world.mail_says(rejected());
    assert_eq!(ended(&world), [&Delivery::Rejected { why: "400".into() }]);
    assert!(world.deliver_all()[0].message.id > first.message.id);
}

#[test]
fn a_question_that_everybody_refuses_to_take_ends_at_once() {
    let mut world = asked();
    world.mail_says(rejected());
    assert_eq!(status(&world), &AskStatus::Undelivered);
}

#[test]
fn a_question_that_one_of_two_managers_refuses_stays_open_for_the_other() {
    let mut world = World::opened();
    world.subscribe("m2", "p", "maintenance.*");
    world.deliver_all();
    world.decide([ask(AskKind::Maintenance, None)]);
    assert_eq!(waiting(&world), ["m", "m2"]);
    world.mail_says(rejected());
    assert_eq!(status(&world), &AskStatus::Open);
    world.mail_says(Ok(()));
    assert!(world.session().asks.get(&AskId(0)).unwrap().delivered_at.is_some());
}

#[test]
fn what_cannot_be_delivered_in_time_is_dropped_and_shown() {
    let mut world = World::new();
    world.subscribe("ui", "admin", "maintenance.session");
    world.open("s", plan(), &["a"]).unwrap();
    while ended(&world).is_empty() {
        world.pass(secs(600));
        while !world.mail.is_empty() {
            world.mail_says(unreachable());
        }
    }
    assert!(world.now.since(START) >= Settings::default().message_valid);
    assert!(matches!(ended(&world)[..], [Delivery::Expired { why }] if why == "refused"));
}

#[test]
fn messages_of_an_ended_question_are_dropped() {
    let mut world = World::opened();
    world.subscribe("m2", "p", "maintenance.scheduled");
    world.decide([ask(AskKind::Maintenance, None)]);
    world.mail_says(unreachable());
    world.reply(ack(AskKind::Maintenance, &[])).unwrap();
    assert!(world.session().outbox.is_empty());
    world.pass(secs(30));
    assert_eq!(waiting(&world), ["m2"], "nothing but what was on its way already");
}

#[test]
fn what_is_dropped_on_its_way_is_not_overtaken_by_the_next() {
    let mut world = asked();
    let (late, _) = world.mail.pop_front().unwrap();
    world.delete().unwrap();
    assert_eq!(ended(&world), [&Delivery::Dropped]);
    assert_eq!(waiting(&world), [""; 0], "the manager may get the question yet");
    world.event(Event::Delivered(late, Ok(())));
    let next = world.deliver_all();
    assert_eq!(to(&next), ["m"]);
    assert_eq!(next[0].ask.as_ref().map(|ask| ask.kind), Some(AskKind::MaintenanceComplete));
}

#[test]
fn the_window_to_answer_runs_from_confirmed_delivery() {
    let mut world = World::opened_with(|plan| plan.maintenance_at = plan.maintenance_at + secs(3600));
    world.decide([ask(AskKind::Maintenance, None)]);
    world.mail_says(unreachable());
    world.pass(secs(1));
    world.pass(secs(90));
    assert_eq!(status(&world), &AskStatus::Open, "undelivered, so no window runs");
    let sent = world.mail_says(Ok(()));
    let by = world.session().asks.get(&AskId(0)).unwrap().reply_by;
    assert_eq!(by, world.now + secs(40));
    assert!(sent.reply_at.unwrap() <= by);
    world.pass(secs(39));
    assert_eq!(status(&world), &AskStatus::Open);
    world.pass(secs(1));
    assert_eq!(status(&world), &AskStatus::Expired);
}

#[test]
fn a_question_that_reaches_nobody_in_time_counts_as_undelivered() {
    let mut world = asked();
    world.mail_says(unreachable());
    for _ in 0..60 {
        world.pass(secs(2));
        while !world.mail.is_empty() {
            world.mail_says(unreachable());
        }
    }
    assert_eq!(status(&world), &AskStatus::Undelivered);
}

#[test]
fn who_cannot_be_reached_is_shown_with_since_when_until_when_and_what_happens_then() {
    let mut world = asked();
    let since = world.now;
    let shown = |world: &World| blockers(world.state(), &"s".into(), world.now).remove(0);
    world.mail_says(unreachable());
    world.pass(secs(5));
    let blocker = shown(&world);
    assert_eq!((blocker.what, blocker.on.as_str()), (What::ManagerUnreachable, "p"));
    assert_eq!((blocker.since, blocker.until), (since, Some(since + plan().terms.deliver_within)));
    assert!(blocker.then.contains("asked again"), "{}", blocker.then);
    world.mail_says(Ok(()));
    assert_eq!(shown(&world).what, What::Reply);
}

#[test]
fn what_stands_behind_something_too_old_is_dropped_when_it_is_too_old_itself() {
    let mut world = World::new();
    world.subscribe("ui", "admin", "maintenance.session");
    world.open("s", plan(), &["a"]).unwrap();
    world.pass(secs(600));
    world.decide([Decision::Enter { phase: Phase::ScaleIn }]);
    let valid = Settings::default().message_valid;
    let count = |world: &World| ended(world).len();
    while count(&world) < 2 {
        world.pass(secs(600));
        while !world.mail.is_empty() {
            world.mail_says(unreachable());
        }
        let old = if world.now.since(START) >= valid { 1 } else { 0 };
        assert!(count(&world) >= old && count(&world) <= 2);
    }
    assert!(world.session().outbox.is_empty());
    assert!(ended(&world).iter().all(|end| matches!(end, Delivery::Expired { .. })));
}

#[test]
fn a_manager_that_subscribes_late_gets_the_open_question_once() {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    world.mail.clear();
    world.command(Command::Unsubscribe { id: "m".into() }).unwrap();
    world.pass(secs(5));
    assert!(world.mail.is_empty());
    world.subscribe("late", "p", "maintenance.scheduled");
    world.subscribe("late", "p", "maintenance.*");
    let sent = world.deliver_all();
    assert_eq!(world.session().asks.get(&AskId(0)).unwrap().delivered_at, Some(world.now));
    assert_eq!(world.reply(ack(AskKind::Maintenance, &[])), Ok(fenix_engine::command::Answer::Done));
    assert!(sent.iter().all(|envelope| envelope.message.to.as_str() == "late"));
    assert_eq!(
        world.queued().iter().filter(|said| **said == "late MAINTENANCE").count(),
        2,
        "one for each order"
    );
}

#[test]
fn an_order_that_becomes_somebody_elses_does_not_carry_old_messages() {
    let mut world = asked();
    world.subscribe("m", "stranger", "maintenance.scheduled");
    assert!(world.session().outbox.is_empty());
}

#[test]
fn after_a_restart_open_questions_are_sent_again_with_time_to_answer() {
    for (down, delivered) in [(secs(5), true), (secs(3600), true), (secs(5), false), (secs(3600), false)] {
        let mut world = asked();
        if delivered {
            world.mail_says(Ok(()));
        }
        world.now = world.now + down;
        world.restart();
        assert_eq!(waiting(&world), ["m"], "{down} {delivered}");
        assert!(world.session().asks.get(&AskId(0)).unwrap().reply_by >= world.now + plan().terms.min_reply);
        world.pass(secs(19));
        assert_eq!(status(&world), &AskStatus::Open, "{down} {delivered}");
        world.mail_says(Ok(()));
        assert_eq!(world.reply(ack(AskKind::Maintenance, &[])), Ok(fenix_engine::command::Answer::Done));
    }
}

#[test]
fn a_clock_that_jumps_takes_no_time_from_managers() {
    let mut world = asked();
    world.mail_says(Ok(()));
    world.now = world.now + secs(600);
    world.event(Event::Tick);
    assert_eq!(status(&world), &AskStatus::Open);
    world.pass(secs(20));
    assert_eq!(status(&world), &AskStatus::Expired);
}

#[test]
fn that_all_is_over_is_told_even_to_a_manager_that_was_away_when_the_session_ended() {
    let mut world = World::opened();
    world.agree(AskKind::Maintenance, None);
    world.decide([Decision::Fail]);
    let begun = world.now;
    while world.now.since(begun) < secs(200) {
        while !world.mail.is_empty() {
            world.mail_says(unreachable());
        }
        world.pass(secs(1));
    }
    assert_eq!(world.session().condition, Condition::Ended);
    world.pass(secs(60));
    let told = world.deliver_all();
    let kinds: Vec<_> =
        told.iter().filter_map(|envelope| envelope.ask.as_ref()).map(|ask| ask.kind).collect();
    assert_eq!(kinds, [AskKind::MaintenanceComplete]);
}
