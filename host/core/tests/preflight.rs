//! What a session cannot meet is found before it begins, with its owner and the arithmetic.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod scene;

use fenix_core::ask::MoveHow;
use fenix_core::constraint::{Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::inventory::{Change, Instance, Movable};
use fenix_core::preflight;
use fenix_core::time::Millis;
use scene::*;

/// What is found once `change` was made; each as `owner: why`.
fn found(change: impl FnOnce(&mut Scene)) -> Vec<String> {
    let mut scene = Scene::new();
    change(&mut scene);
    let session = scene.state.session(&"s".into()).unwrap();
    preflight::unmet(&scene.state, session).iter().map(|it| format!("{}: {}", it.project, it.why)).collect()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Scene), expected: &[&str]) {
    assert_eq!(found(change), expected);
}

fn group(scene: &mut Scene, change: impl FnOnce(&mut GroupConstraint)) {
    let mut stated = about_group("g");
    change(&mut stated);
    state(scene, Constraint::Group(stated));
}

fn window(scene: &mut Scene, secs: u64) {
    let end = Some(START + Millis::from_secs(secs));
    scene.session("s", |session| plan_of(session).window_end = end);
}

#[test]
fn nothing_is_found_where_all_can_be_met() {
    check(|_| {}, &[]);
    check(|scene| window(scene, 11), &[]);
}

#[test]
fn a_group_that_bears_nobody_out() {
    check(
        |scene| group(scene, |stated| stated.max_impacted_members = Some(0)),
        &["p: it bears no member out, and 2 are on hosts of the session"],
    );
}

#[test]
fn members_that_cannot_be_apart_while_a_host_is_out() {
    let apart = |scene: &mut Scene| group(scene, |stated| stated.anti_affinity = Some(true));
    check(apart, &[]);
    let one_more = |scene: &mut Scene| {
        apart(scene);
        scene.see(Change::Instance(instance("i4", "x", Some("g"))));
    };
    check(
        one_more,
        &[
            "p: it has 3 members, at most 1 on a host, and 2 places on the 2 hosts that are left while one is out",
        ],
    );
}

#[test]
fn members_that_recover_for_longer_than_the_window() {
    check(
        |scene| window(scene, 10),
        &[
            "p: 2 of its members leave their hosts, 1 at a time, and each recovers for 10 s: that is 10 s at least, and \
           the window is 10 s long",
        ],
    );
}

#[test]
fn more_lead_time_than_window() {
    let lead = |scene: &mut Scene| {
        let lead_time = Some(Millis::from_secs(120));
        state(scene, Constraint::Instance(InstanceConstraint { lead_time, ..about_instance("i3") }));
        window(scene, 100);
    };
    check(lead, &["p: it has 120 s of lead time, and the window is 100 s long"]);
    let follows_none = |scene: &mut Scene| {
        lead(scene);
        scene.session("s", |session| plan_of(session).terms.ceilings.lead_time = Millis::ZERO);
    };
    check(follows_none, &[]);
}

#[test]
fn live_where_it_cannot_be() {
    let live = |scene: &mut Scene| {
        let migration_type = Some(MoveHow::LiveMigrate);
        state(scene, Constraint::Instance(InstanceConstraint { migration_type, ..about_instance("i3") }));
    };
    check(live, &[]);
    let fixed = |scene: &mut Scene| {
        live(scene);
        scene.see(Change::Instance(Instance { movable: Movable::ColdOnly, ..instance("i3", "b", None) }));
    };
    check(fixed, &["p: it is to be moved live, and can be moved cold only"]);
}
