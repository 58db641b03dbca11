//! A clock that is set forward: time that nobody had is not counted.

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::effect::Outcome;
use fenix_core::time::Millis;
use fenix_engine::event::Event;
use fenix_engine::ports::{CloudCall, CloudReply, Progress};

use crate::harness::{World, ask, secs};

const HOUR: Millis = Millis::from_secs(3600);

impl World {
    /// The clock is set forward, as its driver tells.
    fn jump(&mut self, by: Millis) {
        self.now = self.now + by;
        self.event(Event::ClockJumped(by));
    }
}

#[test]
fn managers_get_the_least_time_anew() {
    let mut world = World::opened();
    world.decide([ask(AskKind::Maintenance, None)]);
    world.deliver_all();
    world.pass(secs(1));
    world.jump(HOUR);
    let asked = |world: &World| world.session().asks.values().next().unwrap().clone();
    assert!(asked(&world).is_open());
    world.pass(secs(19));
    assert!(asked(&world).is_open());
    world.pass(secs(2));
    assert_eq!(asked(&world).status, AskStatus::Expired);
}

#[test]
fn a_move_gets_as_much_more() {
    let mut world = World::moving(MoveHow::LiveMigrate);
    let call = world.cloud.front().unwrap().1.clone();
    world.cloud_says(Ok(CloudReply::Accepted));
    world.truth.set_moving("i1", "x");
    world.pass(secs(100));
    world.jump(HOUR);
    world.pass(secs(400));
    assert_eq!(world.changes.iter().filter(|call| matches!(call, CloudCall::AbortLive { .. })).count(), 0);
    world.truth.apply(&CloudCall::AbortLive { instance: "i1".into() });
    world.truth.apply(&call);
    world.pass(secs(1));
    assert_eq!(world.outcomes("move"), [&Outcome::Done]);
}

#[test]
fn so_does_an_action() {
    let mut world = World::working();
    world.pass(secs(100));
    world.jump(HOUR + HOUR + HOUR);
    for _ in 0..2 {
        world.action_says(Ok(Progress::Done { report: String::new() }));
        world.pass(secs(1));
    }
    assert_eq!(world.outcomes("work"), [&Outcome::Done]);
}

#[test]
fn what_was_sent_without_an_answer_may_still_be_done() {
    let mut world = World::moving(MoveHow::Migrate);
    let call = world.cloud.front().unwrap().1.clone();
    world.cloud_is_silent();
    world.pass(secs(5));
    world.jump(HOUR);
    world.pass(secs(30));
    assert!(world.outcomes("move").is_empty(), "the call is not lost yet");
    world.truth.apply(&call);
    world.pass(secs(1));
    assert!(matches!(world.cloud_does(), CloudCall::Confirm { .. }));
    world.pass(secs(1));
    assert_eq!(world.outcomes("move"), [&Outcome::Done]);
}
