//! Fencing hosts and giving them back.

use fenix_core::decision::Decision;
use fenix_core::effect::Outcome;
use fenix_core::inventory::Service;
use fenix_core::rules::Rule;
use fenix_core::session::HostStage;
use fenix_engine::command::Answer;
use fenix_engine::event::Event;
use fenix_engine::ports::{ActionError, CloudCall, CloudError, CloudReply};

use crate::harness::{World, plan, secs};

fn fence() -> Decision {
    Decision::Fence { host: "a".into() }
}

fn release() -> Decision {
    Decision::Release { host: "a".into() }
}

fn disabled() -> Service {
    Service::Disabled { reason: "an administrator".into() }
}

#[test]
fn a_fence_is_sent_again_until_it_is_seen_and_then_ends() {
    let mut world = World::opened();
    world.decide([fence()]);
    world.cloud_says(Ok(CloudReply::Accepted));
    world.pass(secs(14));
    assert_eq!(world.changes.len(), 1, "it may not show yet");
    world.pass(secs(2));
    assert_eq!(world.changes.len(), 2);
    world.cloud_does();
    world.pass(secs(1));
    assert_eq!(world.outcomes("fence"), [&Outcome::Done]);
}

#[test]
fn a_fence_whose_call_was_unclear_does_not_end_before_it_has_settled() {
    let mut world = World::opened();
    world.decide([fence()]);
    let call = world.cloud.front().unwrap().1.clone();
    world.truth.apply(&call);
    world.cloud_is_silent();
    world.pass(secs(59));
    assert!(world.outcomes("fence").is_empty());
    world.pass(secs(2));
    assert_eq!(world.outcomes("fence"), [&Outcome::Done]);
}

#[test]
fn giving_back_does_not_fail_before_an_unclear_call_has_settled() {
    let mut world = World::opened();
    world.fence("a");
    world.decide([release()]);
    let begun = world.now;
    while world.outcomes("release").is_empty() {
        world.pass(secs(1));
        while !world.cloud.is_empty() {
            match world.now.since(begun) < secs(150) {
                true => world.cloud_is_silent(),
                false => world.cloud_says(Err(CloudError::Refused("no".into()))),
            }
        }
    }
    assert!(world.now.since(begun) >= secs(150 + 58), "{}", world.now.since(begun));
    assert!(matches!(world.outcomes("release")[..], [Outcome::Failed { .. }]));
}

#[test]
fn a_refused_fence_fails() {
    let mut world = World::opened();
    world.decide([fence()]);
    world.cloud_says(Err(CloudError::Refused("no".into())));
    assert!(matches!(world.outcomes("fence")[..], [Outcome::Failed { .. }]));
    assert_eq!(world.stage("a"), HostStage::Waiting);
}

#[test]
fn a_fence_of_a_host_that_vanished_meanwhile_is_withdrawn() {
    let mut world = World::opened();
    world.truth.hosts.remove(&"a".into());
    world.decide([fence()]);
    assert!(matches!(world.outcomes("fence")[..], [Outcome::Withdrawn { rule: Rule::R11, .. }]));
}

#[test]
fn a_host_that_was_out_of_service_before_stays_so() {
    let mut world = World::new();
    world.truth.hosts.get_mut(&"a".into()).unwrap().service = disabled();
    world.pass(secs(60));
    assert_eq!(world.open("s", plan(), &["a", "b"]), Ok(Answer::Done));
    world.decide([fence()]);
    assert_eq!(world.stage("a"), HostStage::Fenced);
    world.decide([release()]);
    assert_eq!(world.outcomes("release"), [&Outcome::Done]);
    assert_eq!((world.service("a"), world.changes.len()), (disabled(), 0), "nothing was sent");
}

#[test]
fn a_host_that_is_down_is_not_given_back_before_it_answers() {
    let mut world = World::opened();
    world.fence("a");
    world.truth.hosts.get_mut(&"a".into()).unwrap().up = false;
    world.decide([release()]);
    world.pass(secs(60));
    assert!(world.cloud.is_empty());
    world.truth.hosts.get_mut(&"a".into()).unwrap().up = true;
    world.pass(secs(2));
    assert_eq!(world.cloud_does(), CloudCall::Enable { host: "a".into() });
    world.pass(secs(1));
    assert_eq!(world.stage("a"), HostStage::Waiting);
}

#[test]
fn a_fence_under_way_is_adopted_after_a_restart() {
    let mut world = World::opened();
    world.decide([fence()]);
    let call = world.cloud.front().unwrap().1.clone();
    world.truth.apply(&call);
    world.restart();
    world.pass(secs(62));
    assert_eq!(world.outcomes("fence"), [&Outcome::Done]);
    assert_eq!(world.changes.len(), 1);
}

#[test]
fn a_host_that_is_left_out_before_work_is_given_back_while_the_session_goes_on() {
    let mut world = World::opened();
    world.fence("a");
    world.decide([Decision::Quarantine { host: "a".into() }]);
    assert_eq!(world.cloud_does(), CloudCall::Enable { host: "a".into() });
    world.pass(secs(1));
    assert_eq!(world.service("a"), Service::Enabled);
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: false, .. }));
    assert!(world.session().is_running());
}

#[test]
fn a_doubtful_fence_that_holds_after_all_does_not_bring_a_left_out_host_back() {
    let mut world = World::opened();
    world.decide([fence()]);
    world.cloud_is_silent();
    world.holds_reads = true;
    for _ in 0..140 {
        world.pass(secs(2));
        while !world.cloud.is_empty() {
            world.cloud_is_silent();
        }
    }
    assert!(matches!(world.outcomes("fence")[..], [Outcome::Unknown { .. }]));
    world.holds_reads = false;
    world
        .truth
        .apply(&CloudCall::Disable { host: "a".into(), reason: "fenix: maintenance session s".into() });
    world.decide([Decision::Quarantine { host: "a".into() }]);
    world.pass(secs(40));
    while !world.cloud.is_empty() {
        world.cloud_does();
        world.pass(secs(2));
    }
    assert!(matches!(world.stage("a"), HostStage::Quarantined { begun: false, .. }));
    assert_eq!(world.service("a"), Service::Enabled);
}

#[test]
fn what_somebody_else_disabled_since_the_fence_stays_disabled() {
    let mut world = World::opened();
    world.fence("a");
    world.truth.apply(&CloudCall::Disable { host: "a".into(), reason: "mine".into() });
    world.decide([release()]);
    world.pass(secs(2));
    assert_eq!(world.outcomes("release"), [&Outcome::Done]);
    assert_eq!(world.service("a"), Service::Disabled { reason: "mine".into() });
    assert_eq!(world.stage("a"), HostStage::Waiting);
}

#[test]
fn a_host_that_somebody_enabled_in_its_turn_is_fenced_once_more_and_keeps_its_stage() {
    let check = |mut world: World, stage: HostStage| {
        world.decide([fence()]);
        assert_eq!(world.changes.len(), 1, "it is fenced already");
        world.truth.apply(&CloudCall::Enable { host: "a".into() });
        world.pass(secs(61));
        world.decide([fence()]);
        assert!(matches!(world.cloud_does(), CloudCall::Disable { .. }));
        world.pass(secs(1));
        assert_eq!(world.stage("a"), stage);
        assert!(matches!(world.service("a"), Service::Disabled { .. }));
    };
    let fenced = || {
        let mut world = World::opened();
        world.fence("a");
        world
    };
    check(fenced(), HostStage::Fenced);
    let mut failed = World::working();
    failed.action_says(Err(ActionError::Failed("broken".into())));
    check(failed, HostStage::Working);
}

#[test]
fn a_look_whose_answer_lay_for_long_is_not_acted_on() {
    for (lay, acted) in [(9, true), (11, false)] {
        let mut world = World::opened();
        world.holds_reads = true;
        world.decide([fence()]);
        let look = world.cloud.pop_back().unwrap();
        world.cloud.clear();
        let seen = world.truth.read(&look.1).unwrap();
        // The machine sleeps: nothing is due in between.
        world.now = world.now + secs(lay);
        world.event(Event::CloudReturned(look.0, Ok(seen)));
        assert_eq!(world.changes.len(), usize::from(acted), "{lay} s");
        let again = |call: &CloudCall| matches!(call, CloudCall::ReadHost { .. });
        world.cloud.clear();
        world.pass(secs(3));
        assert_eq!(world.cloud.iter().any(|(_, call)| again(call)), !acted, "looks again after {lay} s");
    }
}
