//! Looking at the infrastructure.

use fenix_core::blocker::blockers;
use fenix_core::inventory::{Change, Instance, Service};
use fenix_core::record::Body;
use fenix_core::view::Trigger;
use fenix_engine::event::{CallId, Event};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

use crate::cloud::instance;
use crate::harness::{World, plan, secs};

/// The waiting reads that match, with what they would return now.
fn reads(world: &World, wanted: fn(&CloudCall) -> bool) -> Vec<(CallId, CloudReply)> {
    let answer = |(id, call): &(CallId, CloudCall)| Some((*id, world.truth.read(call)?));
    world.cloud.iter().filter(|(_, call)| wanted(call)).filter_map(answer).collect()
}

fn all(call: &CloudCall) -> bool {
    *call == CloudCall::ReadAll
}

fn host(call: &CloudCall) -> bool {
    matches!(call, CloudCall::ReadHost { .. })
}

fn seen(world: &World, id: &str) -> Option<Instance> {
    world.state().inventory.instance(&id.into()).cloned()
}

fn observed(world: &World) -> usize {
    world.journal.records.iter().filter(|record| matches!(record.body, Body::Observed { .. })).count()
}

#[test]
fn only_differences_are_recorded() {
    let mut world = World::new();
    let before = observed(&world);
    world.pass(secs(600));
    assert_eq!(observed(&world), before);
    world.truth.hosts.get_mut(&"x".into()).unwrap().boot = "2".into();
    world.pass(secs(61));
    assert_eq!(observed(&world), before + 1);
}

#[test]
fn the_first_decision_waits_until_the_cloud_was_read_since_the_session_was_made() {
    let mut world = World::new();
    world.pass(secs(10));
    world.truth.instances.insert("i7".into(), instance("i7", "p", "x"));
    world.holds_reads = true;
    world.open("s", plan(), &["x"]).unwrap();
    assert_eq!(*world.script.woken.borrow(), []);
    let blockers = blockers(world.state(), &"s".into(), world.now);
    let told: Vec<_> = blockers.iter().map(|blocker| blocker.detail.as_str()).collect();
    assert_eq!(told, ["the cloud to be read: nothing is decided before"]);

    let (id, reply) = reads(&world, all).remove(0);
    world.event(Event::CloudReturned(id, Ok(reply)));
    assert_eq!(*world.script.woken.borrow(), [("s".into(), Trigger::Started)]);
    assert_eq!(seen(&world, "i7").unwrap().host, "x".into());
}

#[test]
fn a_read_that_began_earlier_and_returns_later_does_not_overwrite_a_younger_one() {
    let mut world = World::opened();
    world.fence("a");
    world.holds_reads = true;
    world.pass(secs(61));
    let older = reads(&world, all).remove(0);
    world.truth.instances.insert("i7".into(), instance("i7", "p", "a"));
    world.truth.change(&"i1".into(), |seen| seen.name = "renamed".into());
    let younger = {
        let hosts = reads(&world, host);
        let younger = hosts.into_iter().find(|(id, _)| *id > older.0);
        match younger {
            Some(younger) => younger,
            None => {
                world.pass(secs(6));
                reads(&world, host).into_iter().find(|(id, _)| *id > older.0).unwrap()
            }
        }
    };
    world.event(Event::CloudReturned(younger.0, Ok(younger.1)));
    assert_eq!(seen(&world, "i1").unwrap().name, "renamed");
    world.event(Event::CloudReturned(older.0, Ok(older.1)));
    assert_eq!(seen(&world, "i1").unwrap().name, "renamed", "the older answer is stale");
    assert!(seen(&world, "i7").is_some(), "and what it did not see yet is not gone");
}

#[test]
fn an_instance_missing_from_its_host_is_looked_for_before_it_counts_as_gone() {
    for gone in [false, true] {
        let mut world = World::opened();
        world.fence("a");
        match gone {
            true => {
                world.truth.instances.remove(&"i1".into());
            }
            false => world.truth.change(&"i1".into(), |seen| seen.host = "x".into()),
        }
        world.pass(secs(6));
        assert_eq!(seen(&world, "i1").map(|seen| seen.host), (!gone).then(|| "x".into()));
        let dropped = |record: &fenix_core::record::Record| {
            matches!(&record.body, Body::Observed { change: Change::InstanceGone(_) })
        };
        assert_eq!(world.journal.records.iter().any(dropped), gone);
    }
}

#[test]
fn drift_on_its_hosts_wakes_a_session_and_drift_elsewhere_does_not() {
    for (on, wakes) in [("a", true), ("x", false)] {
        let mut world = World::opened();
        world.say("s", Ok(crate::harness::verdict([], Some(world.now + secs(3600)))));
        world.pass(secs(5));
        let before = world.script.woken.borrow().len();
        world.truth.instances.insert("i8".into(), instance("i8", "p", on));
        world.pass(secs(61));
        assert_eq!(
            world.script.woken.borrow()[before..].contains(&("s".into(), Trigger::Changed)),
            wakes,
            "{on}"
        );
    }
}

#[test]
fn a_project_that_appears_on_a_host_joins_even_while_the_session_is_held() {
    let mut world = World::opened();
    world.pause().unwrap();
    world.truth.instances.insert("i8".into(), instance("i8", "new", "a"));
    world.pass(secs(61));
    assert!(world.session().projects.contains_key(&"new".into()));
}

#[test]
fn a_failed_look_is_repeated_and_holds_up_only_who_needs_it() {
    let mut world = World::opened();
    world.pause().unwrap();
    world.holds_reads = true;
    world.resume().unwrap();
    let woken = world.script.woken.borrow().len();
    world.cloud_says(Err(CloudError::Unclear("timed out".into())));
    world.pass(secs(2));
    assert_eq!(world.script.woken.borrow().len(), woken, "nothing is decided on an old view");
    let (id, reply) = reads(&world, all).remove(0);
    world.event(Event::CloudReturned(id, Ok(reply)));
    assert_eq!(world.script.woken.borrow()[woken..], [("s".into(), Trigger::Continued)]);
}

#[test]
fn a_host_that_somebody_else_disables_is_seen_at_the_next_look() {
    let mut world = World::opened();
    let service = Service::Disabled { reason: "disk".into() };
    world.truth.hosts.get_mut(&"x".into()).unwrap().service = service.clone();
    world.pass(secs(61));
    assert_eq!(world.state().inventory.host(&"x".into()).unwrap().service, service);
}
