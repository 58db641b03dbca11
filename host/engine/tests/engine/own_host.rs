//! The host that Fenix itself runs on goes last, where that is allowed.

use std::sync::Arc;

use fenix_core::decision::Decision;
use fenix_core::id::HostId;
use fenix_core::rules::Rule;
use fenix_core::session::Plan;
use fenix_core::view::View;
use fenix_engine::command::{Answer, CommandError};
use fenix_engine::event::Event;
use fenix_engine::ports::CloudCall;
use fenix_engine::{Engine, Settings};

use crate::harness::{START, World, plan};

/// Fenix runs on `a`.
fn on_a() -> World {
    let mut world = World::unread();
    let settings = Settings { own_host: Some("a".into()), ..Settings::default() };
    world.engine = Engine::new(settings, START);
    world.event(Event::Tick);
    world
}

fn allowed() -> Plan {
    let mut plan = plan();
    plan.terms.own_host = true;
    plan
}

fn hosts(world: &World) -> Vec<&str> {
    world.session().hosts.iter().map(|(host, _)| host.as_str()).collect()
}

/// What a workflow sees of the session's hosts.
fn seen(world: &World) -> Vec<String> {
    let state = Arc::clone(world.engine.state());
    let view = View { session: "s".into(), now: world.now, state };
    let seen: Vec<String> = view.hosts(None, None, 10).into_iter().map(|host| host.id.to_string()).collect();
    let waiting =
        view.hosts(Some("waiting"), None, 10).len() + view.hosts(Some("quarantined"), None, 10).len();
    let info = view.session().unwrap();
    assert_eq!((info.hosts as usize, waiting), (seen.len(), seen.len()));
    assert_eq!(view.host(&"a".into()).is_some(), seen.contains(&"a".to_owned()));
    assert_eq!(
        view.candidates(10).iter().any(|one| one.host.as_str() == "a"),
        view.host(&"a".into()).is_some()
    );
    seen
}

#[test]
fn a_session_has_it_only_if_its_terms_say_so() {
    let refused = || Err(CommandError::OwnHost("a".into()));
    let mut world = on_a();
    assert_eq!(world.open("s", plan(), &["a", "b"]), refused());
    assert_eq!(world.open("s", plan(), &[]), Ok(Answer::Done));
    assert_eq!(hosts(&world), ["b", "x"]);
    assert_eq!(world.open("t", plan(), &[]), refused(), "there is no other one");
    for named in [&["a", "b"] as &[&str], &[]] {
        let mut world = on_a();
        assert_eq!(world.open("s", allowed(), named), Ok(Answer::Done));
        assert!(hosts(&world).contains(&"a"));
        assert_eq!(world.session().plan.own_host, Some(HostId::from("a")));
    }
}

#[test]
fn its_turn_comes_last_and_no_workflow_sees_it_before() {
    let mut world = on_a();
    world.open("s", allowed(), &["a", "b"]).unwrap();
    assert_eq!(seen(&world), ["b"]);
    let fence = || Decision::Fence { host: "a".into() };
    world.decide([fence()]);
    let refused = &world.session().refused[0].refusal;
    assert_eq!(
        (refused.rule, refused.why.as_str()),
        (Rule::R6, "Fenix itself runs on a, and other hosts are not done")
    );
    assert!(world.changes.is_empty());
    // What Fenix runs on was said when the session was made.
    world.engine =
        Engine::recover(Settings::default(), &world.journal.records, world.state().seq, vec![], world.now)
            .unwrap();
    world.event(Event::Tick);
    assert_eq!(seen(&world), ["b"]);
    world.decide([Decision::Quarantine { host: "b".into() }]);
    assert_eq!(seen(&world), ["a", "b"]);
    world.decide([fence()]);
    assert!(matches!(world.cloud_does(), CloudCall::Disable { host, .. } if host.as_str() == "a"));
}

#[test]
fn a_session_of_it_alone_begins_with_it() {
    let mut world = on_a();
    world.open("s", allowed(), &["a"]).unwrap();
    world.decide([Decision::Fence { host: "a".into() }]);
    assert_eq!(world.changes.len(), 1);
}
