//! What a workflow can ask beyond rows: facts about a session, its projects, hosts and instances, by name.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod scene;

use std::sync::Arc;

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::constraint::{Constraint, Daily, GroupConstraint, InstanceConstraint};
use fenix_core::effect::{EffectKind, Outcome, Subject};
use fenix_core::id::EffectId;
use fenix_core::inventory::{Change, Host, HostKind, Instance, InstanceState, Resources};
use fenix_core::record::Body;
use fenix_core::time::Millis;
use fenix_core::view::View;
use scene::*;

fn view(change: impl FnOnce(&mut Scene)) -> View {
    let mut scene = Scene::new();
    change(&mut scene);
    View { state: Arc::new(scene.state), session: "s".into(), now: NOW }
}

/// What is known of instance `i1` under a name.
#[track_caller]
fn check(change: impl FnOnce(&mut Scene), key: &str, expected: Option<u64>) {
    let known = view(change).attr(&Subject::Instance("i1".into()), key);
    assert_eq!(known, expected.map(|number| number.to_string()), "{key}");
}

fn nothing(_: &mut Scene) {}

/// The other member of its group stands still, or has come back just now.
fn mate(states: &'static [InstanceState]) -> impl Fn(&mut Scene) {
    move |scene| {
        for state in states {
            scene.see(Change::Instance(Instance { state: *state, ..instance("i2", "a", Some("g")) }));
        }
    }
}

#[test]
fn how_many_more_members_may_be_out_and_when_there_may_be_more() {
    check(nothing, "impact-left", Some(1));
    check(nothing, "recovered-at", None);
    check(mate(&[InstanceState::Stopped]), "impact-left", Some(0));
    check(mate(&[InstanceState::Stopped]), "recovered-at", None);
    // It came back at the scene's beginning, and recovers for longer than since then.
    let back = mate(&[InstanceState::Stopped, InstanceState::Active]);
    let long = |scene: &mut Scene| {
        back(scene);
        let recovery_time = Some(Millis::from_secs(3000));
        state(scene, Constraint::Group(GroupConstraint { recovery_time, ..about_group("g") }));
    };
    check(long, "impact-left", Some(0));
    check(long, "recovered-at", Some((START + Millis::from_secs(3000)).as_secs_ceil()));
    // What backs nobody up has nothing to wait for.
    let alone = view(nothing).attr(&Subject::Instance("i3".into()), "impact-left");
    assert_eq!(alone, None);
}

#[test]
fn where_the_last_move_failed_and_when() {
    let failed = |scene: &mut Scene| {
        let to = "x".into();
        scene.in_flight(
            "s",
            7,
            EffectKind::Move {
                instance: "i1".into(),
                from: "a".into(),
                to,
                how: MoveHow::Migrate,
                ask: None,
            },
        );
        let outcome = Outcome::Failed { why: "no".into() };
        scene.record(NOW, Some("s"), Body::EffectEnded { effect: EffectId(7), outcome });
    };
    check(nothing, "declined-at", None);
    check(failed, "declined-at", Some(NOW.as_secs_ceil()));
    let by = view(failed).attr(&Subject::Instance("i1".into()), "declined-by");
    assert_eq!(by.as_deref(), Some("x"));
}

#[test]
fn a_host_that_declined_an_instance_is_taken_again_if_others_are_worse_until_the_last_try() {
    let check = |tries: u32, change: fn(&mut Scene), expected: &str| {
        let placed = view(|scene| {
            scene.session("s", |session| {
                session.declined.insert("i1".into(), ("x".into(), NOW));
                session.tries.insert("move i1".into(), tries);
            });
            change(scene);
        });
        let placed = placed.place(&"a".into()).unwrap();
        let to = placed.iter().find(|(instance, _)| instance.as_str() == "i1").map(|(_, to)| to.as_str());
        assert_eq!(to, Some(expected));
    };
    // `b` is to be emptied itself.
    check(1, nothing, "x");
    check(2, nothing, "b");
    let other = |scene: &mut Scene| scene.see(Change::Host(host("y", HostKind::Compute)));
    check(1, other, "y");
    let full = |scene: &mut Scene| scene.see(Change::Instance(instance("i9", "b", None)));
    check(2, full, "x");
}

#[test]
fn until_when_a_manager_has_its_lead_time() {
    let lead = |scene: &mut Scene| {
        let lead_time = Some(Millis::from_secs(90));
        state(scene, Constraint::Instance(InstanceConstraint { lead_time, ..about_instance("i1") }));
    };
    check(nothing, "notice-until", Some(START.as_secs_ceil()));
    check(lead, "notice-until", Some((START + Millis::from_secs(90)).as_secs_ceil()));
    // Nobody was asked about the host where another one is.
    assert_eq!(view(lead).attr(&Subject::Instance("i3".into()), "notice-until"), None);
}

#[test]
fn how_much_of_what_is_on_a_host_has_no_place() {
    let missing = |change: fn(&mut Scene), host: &str| {
        view(change).attr(&Subject::Host(host.into()), "missing-vcpus").unwrap()
    };
    // What has yet to leave `a` takes all the room that there is.
    assert_eq!(missing(nothing, "a"), "0");
    assert_eq!(missing(nothing, "b"), "2");
    let roomy = |scene: &mut Scene| {
        let capacity = Resources::of(8, 8192, 80);
        scene.see(Change::Host(Host { capacity, ..host("x", HostKind::Compute) }));
    };
    assert_eq!(missing(roomy, "b"), "0");
    let keeps = |scene: &mut Scene| {
        scene.session("s", |session| plan_of(session).terms.headroom = Resources::of(3, 0, 0));
    };
    assert_eq!(missing(keeps, "b"), "5");
}

#[test]
fn how_many_instances_are_on_a_host_and_how_many_of_them_rest() {
    let check = |change: fn(&mut Scene), leaving: &str, resting: &str| {
        let view = view(change);
        let of = |key| view.attr(&Subject::Host("a".into()), key).unwrap();
        assert_eq!((of("leaving").as_str(), of("resting").as_str()), (leaving, resting));
    };
    check(nothing, "2", "2");
    let moving: fn(&mut Scene) = |scene| {
        let (instance, from, to) = ("i1".into(), "a".into(), "x".into());
        scene.in_flight("s", 7, EffectKind::Move { instance, from, to, how: MoveHow::Migrate, ask: None });
    };
    check(moving, "2", "1");
    // What only comes to it is not on it.
    let coming: fn(&mut Scene) = |scene| {
        let arriving = Instance { other_end: Some("a".into()), ..instance("i3", "b", None) };
        scene.see(Change::Instance(arriving));
    };
    check(coming, "2", "2");
}

#[test]
fn how_many_projects_have_not_agreed() {
    let unagreed = |change: fn(&mut Scene)| view(change).session_attr("unagreed").unwrap();
    assert_eq!(unagreed(nothing), "0");
    assert_eq!(
        unagreed(|scene| scene.asked("s", ask(2, AskKind::Maintenance, None, AskStatus::Nacked))),
        "1"
    );
}

#[test]
fn what_a_session_may_ask_back_and_what_its_projects_have() {
    assert_eq!(view(nothing).session_attr("scale-in-max").as_deref(), Some("4"));
    let limited = |scene: &mut Scene| {
        scene.session("s", |session| plan_of(session).terms.scale_in_max = Some(1));
    };
    assert_eq!(view(limited).session_attr("scale-in-max").as_deref(), Some("1"));
    let of = |project: &str, key: &str| view(nothing).project_attr(&project.into(), key);
    assert_eq!((of("p", "vcpus").as_deref(), of("p", "instances").as_deref()), (Some("6"), Some("3")));
    assert_eq!(of("stranger", "vcpus"), None);
    assert_eq!((of("p", "of-no-such-name"), view(nothing).session_attr("of-no-such-name")), (None, None));
}

#[test]
fn busy_hours_end_when_the_last_of_those_ends_that_follow_each_other() {
    let minute = (NOW.0 / 60_000 % 1440) as u16;
    let begun = NOW.0 / 60_000 * 60;
    let check = |busy: Vec<(u16, u16)>, project: &str, expected: Option<u64>| {
        let declared = |scene: &mut Scene| {
            let at = |minutes: u16| (minute + minutes) % 1440;
            let busy = busy.into_iter().map(|(from, to)| Daily { from: at(from), to: at(to) }).collect();
            let stated = GroupConstraint { busy, project: project.into(), ..about_group("g") };
            state(scene, Constraint::Group(stated));
        };
        let until = view(declared).project_attr(&"p".into(), "busy-until");
        assert_eq!(until, expected.map(|minutes| (begun + minutes * 60).to_string()));
    };
    check(vec![], "p", None);
    check(vec![(0, 5)], "p", Some(5));
    check(vec![(1, 5)], "p", None);
    check(vec![(1430, 5), (5, 9), (10, 20)], "p", Some(9));
    // What somebody else declares counts for nothing.
    check(vec![(0, 5)], "q", None);
}
