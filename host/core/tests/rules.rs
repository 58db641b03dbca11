//! Every rule, as a table: a scene, a decision, and the rule that says no.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod scene;

use std::sync::Arc;

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::constraint::{Constrained, Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::decision::Decision;
use fenix_core::effect::EffectKind;
use fenix_core::id::{AskId, EffectId};
use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Movable, Resources, Service,
};
use fenix_core::policy::Policy;
use fenix_core::record::Body;
use fenix_core::rules::{self, Admission, Rule};
use fenix_core::session::{Condition, HostStage, Phase, Target};
use fenix_core::time::{Millis, Time};
use scene::*;

#[test]
fn a_live_move_has_no_longer_than_its_instance_bears() {
    let check = |how: MoveHow, stated: Option<u64>, expected: u64| {
        let mut scene = Scene::new();
        let max_interruption_time = stated.map(Millis::from_secs);
        let stated = InstanceConstraint { max_interruption_time, ..about_instance("i1") };
        state(&mut scene, Constraint::Instance(stated));
        let session = scene.state.session(&"s".into()).unwrap();
        let kind =
            EffectKind::Move { instance: "i1".into(), from: "a".into(), to: "b".into(), how, ask: None };
        let span = rules::deadline(&scene.state, session, &kind, NOW).since(NOW);
        assert_eq!(span, Millis::from_secs(expected), "{how:?} {max_interruption_time:?}");
    };
    check(MoveHow::LiveMigrate, Some(120), 120);
    check(MoveHow::LiveMigrate, Some(1200), 600);
    check(MoveHow::LiveMigrate, Some(0), 600);
    check(MoveHow::LiveMigrate, None, 600);
    check(MoveHow::Migrate, Some(120), 600);
}

fn moving(instance: &str, to: &str, how: MoveHow, ask: Option<u32>) -> Decision {
    Decision::Move { instance: instance.into(), to: to.into(), how, ask: ask.map(AskId) }
}

fn move_i1() -> Decision {
    moving("i1", "x", MoveHow::Migrate, Some(1))
}

fn move_kind(instance: &str, from: &str, to: &str) -> EffectKind {
    EffectKind::Move {
        instance: instance.into(),
        from: from.into(),
        to: to.into(),
        how: MoveHow::Migrate,
        ask: Some(AskId(1)),
    }
}

fn work(host: &str) -> Decision {
    Decision::Work { target: Target::Host(host.into()) }
}

fn fence_of(host: &str) -> Decision {
    Decision::Fence { host: host.into() }
}

#[track_caller]
fn admit(change: impl FnOnce(&mut Scene), decision: &Decision, expected: Option<Rule>) -> Scene {
    let mut scene = Scene::new();
    change(&mut scene);
    match (rules::admit(&scene.state, &"s".into(), decision, NOW), expected) {
        (Ok(_), None) => {}
        (Err(refusal), Some(rule)) => {
            assert_eq!(refusal.rule, rule, "{}: {}", decision.summary(), refusal.why);
            assert!(!refusal.why.is_empty());
        }
        (Ok(admission), Some(rule)) => panic!("{rule:?} let {} pass: {admission:?}", decision.summary()),
        (Err(refusal), None) => panic!("{:?} refused {}: {}", refusal.rule, decision.summary(), refusal.why),
    }
    scene
}

/// A decision and the rule that refuses it; with just that rule switched off, it no longer speaks.
#[track_caller]
fn check(change: impl FnOnce(&mut Scene), decision: Decision, expected: Option<Rule>) {
    let mut scene = admit(change, &decision, expected);
    scene.state.switched_off = expected;
    if let Err(other) = rules::admit(&scene.state, &"s".into(), &decision, NOW) {
        assert_ne!(Some(other.rule), expected, "it speaks though switched off: {}", other.why);
    }
}

/// A decision that makes no sense, whatever the rules are.
#[track_caller]
fn check_senseless(decision: Decision, expected: Rule) {
    admit(nothing, &decision, Some(expected));
}

fn nothing(_: &mut Scene) {}

/// There is room for what has yet to leave `a`, and for more.
fn roomy(scene: &mut Scene) {
    let larger = Resources::of(8, 8192, 80);
    scene.see(Change::Host(Host { capacity: larger, ..host("x", HostKind::Compute) }));
}

#[test]
fn what_is_agreed_and_fits_is_admitted() {
    check(nothing, move_i1(), None);
    check(nothing, moving("i2", "x", MoveHow::LiveMigrate, Some(1)), None);
    check(roomy, fence_of("b"), None);
    check(nothing, fence_of("c1"), None);
}

#[test]
fn a_live_move_that_failed_may_fall_back_to_a_cold_one_and_not_the_other_way_round() {
    let failed = |scene: &mut Scene| {
        scene.session("s", |session| {
            session.tries.insert("move i2".into(), 1);
        });
    };
    let cold_only = |scene: &mut Scene| {
        scene
            .see(Change::Instance(Instance { movable: Movable::ColdOnly, ..instance("i2", "a", Some("g")) }));
    };
    check(nothing, moving("i2", "x", MoveHow::Migrate, Some(1)), Some(Rule::R1));
    check(failed, moving("i2", "x", MoveHow::Migrate, Some(1)), None);
    check(cold_only, moving("i2", "x", MoveHow::Migrate, Some(1)), None);
    check(nothing, moving("i1", "x", MoveHow::LiveMigrate, Some(1)), Some(Rule::R1));
}

#[test]
fn a_managed_instance_moves_only_on_the_answer_to_the_latest_question_about_its_host() {
    check(nothing, moving("i1", "x", MoveHow::Migrate, None), Some(Rule::R1));
    check(nothing, moving("i1", "x", MoveHow::Migrate, Some(0)), Some(Rule::R1));
    check(nothing, moving("i1", "x", MoveHow::Migrate, Some(9)), Some(Rule::R1));
    check(nothing, moving("i1", "x", MoveHow::OwnAction, Some(1)), Some(Rule::R1));
    let again = |status: AskStatus| {
        move |scene: &mut Scene| scene.asked("s", ask(2, AskKind::PlannedMaintenance, Some("a"), status))
    };
    check(again(agreed()), move_i1(), Some(Rule::R1));
    for status in [AskStatus::Nacked, AskStatus::Expired, AskStatus::Undelivered, AskStatus::Void] {
        check(again(status), moving("i1", "x", MoveHow::Migrate, Some(2)), Some(Rule::R1));
    }
    let continued = |scene: &mut Scene| {
        scene.record(NOW, Some("s"), Body::Continued { phase: Phase::PlannedMaintenance });
    };
    check(continued, move_i1(), Some(Rule::R1));
}

#[test]
fn silence_and_nack_are_passed_over_only_where_the_terms_say_force() {
    let answered = |status: AskStatus, silence: Policy, nack: Policy| {
        move |scene: &mut Scene| {
            scene.asked("s", ask(2, AskKind::PlannedMaintenance, Some("a"), status));
            scene.session("s", |session| {
                plan_of(session).terms.policies.silence = silence;
                plan_of(session).terms.policies.nack = nack;
            });
        }
    };
    let decision = || moving("i1", "x", MoveHow::Migrate, Some(2));
    check(answered(AskStatus::Expired, Policy::Force, Policy::Stop), decision(), None);
    check(answered(AskStatus::Nacked, Policy::Stop, Policy::Force), decision(), None);
    check(answered(AskStatus::Nacked, Policy::Force, Policy::Stop), decision(), Some(Rule::R1));
    check(answered(AskStatus::Void, Policy::Force, Policy::Force), decision(), Some(Rule::R1));
}

#[test]
fn an_unmanaged_instance_moves_only_where_the_terms_say_force() {
    let unmanaged = |policy: Policy| {
        move |scene: &mut Scene| {
            scene.session("s", |session| {
                session.projects.get_mut(&"p".into()).unwrap().managed = false;
                plan_of(session).terms.policies.unmanaged = policy;
            });
        }
    };
    let decision = || moving("i1", "x", MoveHow::Migrate, None);
    check(unmanaged(Policy::Stop), decision(), Some(Rule::R1));
    check(unmanaged(Policy::Force), decision(), None);
}

#[test]
fn no_more_members_of_a_group_are_out_than_it_bears() {
    let elsewhere = |scene: &mut Scene| {
        scene.see(Change::Host(host("y", HostKind::Compute)));
        scene.open("t", &["y"]);
        scene.see(Change::Instance(instance("i4", "y", Some("g"))));
    };
    let out = |scene: &mut Scene| {
        elsewhere(scene);
        scene.in_flight("t", 0, move_kind("i4", "y", "x"));
    };
    check(out, move_i1(), Some(Rule::R2));
    check(|scene| scene.in_flight("s", 5, move_kind("i2", "a", "x")), move_i1(), Some(Rule::R2));
    let broken = |scene: &mut Scene| {
        let seen = Instance { state: InstanceState::Error, ..instance("i2", "a", Some("g")) };
        scene.see(Change::Instance(seen));
    };
    check(broken, move_i1(), Some(Rule::R2));
    let back = |at: Time| {
        move |scene: &mut Scene| {
            let out = Instance { state: InstanceState::Stopped, ..instance("i2", "a", Some("g")) };
            scene.record(at, None, Body::Observed { change: Change::Instance(out) });
            let change = Change::Instance(instance("i2", "a", Some("g")));
            scene.record(at, None, Body::Observed { change });
        }
    };
    check(back(NOW - Millis::from_secs(9)), move_i1(), Some(Rule::R2));
    check(back(NOW - Millis::from_secs(10)), move_i1(), None);
}

#[test]
fn members_of_a_group_do_not_crowd_a_host() {
    let anti = |scene: &mut Scene| {
        let group = scene.state.inventory.group(&"g".into()).unwrap().clone();
        scene.see(Change::Group(Group { anti_affinity: true, max_impacted_members: 2, ..group }));
    };
    check(anti, move_i1(), None);
    let there = |scene: &mut Scene| {
        anti(scene);
        scene.see(Change::Instance(instance("i4", "x", Some("g"))));
        scene.record(START, None, Body::Observed { change: Change::Instance(instance("i5", "b", None)) });
    };
    check(there, move_i1(), Some(Rule::R2));
    let coming = |scene: &mut Scene| {
        anti(scene);
        scene.in_flight("s", 5, move_kind("i2", "a", "x"));
    };
    check(coming, move_i1(), Some(Rule::R2));
}

#[test]
fn an_owner_says_what_a_group_bears() {
    let out = |scene: &mut Scene| scene.in_flight("s", 5, move_kind("i2", "a", "x"));
    let bears = |most: u32, project: &'static str| {
        move |scene: &mut Scene| {
            let project = project.into();
            let stated = GroupConstraint { max_impacted_members: Some(most), project, ..about_group("g") };
            state(scene, Constraint::Group(stated));
        }
    };
    check(bears(0, "p"), move_i1(), Some(Rule::R2));
    let two = |scene: &mut Scene| {
        out(scene);
        bears(2, "p")(scene);
    };
    check(two, move_i1(), None);
    // What a stranger states counts for nothing.
    let foreign = |scene: &mut Scene| {
        out(scene);
        bears(2, "q")(scene);
    };
    check(foreign, move_i1(), Some(Rule::R2));
    let floor = |scene: &mut Scene| {
        bears(0, "p")(scene);
        scene.session("s", |session| plan_of(session).terms.ceilings.least_impacted = 1);
    };
    check(floor, move_i1(), None);
    let recovers = |secs: u64| {
        move |scene: &mut Scene| {
            let recovery_time = Some(Millis::from_secs(secs));
            state(scene, Constraint::Group(GroupConstraint { recovery_time, ..about_group("g") }));
            let back = Change::Instance(instance("i2", "a", Some("g")));
            scene.see(Change::InstanceGone("i2".into()));
            scene.record(NOW - Millis::from_secs(100), None, Body::Observed { change: back });
        }
    };
    check(recovers(100), move_i1(), None);
    check(recovers(101), move_i1(), Some(Rule::R2));
    let ceiling = |scene: &mut Scene| {
        recovers(31_536_000)(scene);
        scene.session("s", |session| plan_of(session).terms.ceilings.recovery_time = Millis::from_secs(100));
    };
    check(ceiling, move_i1(), None);
}

#[test]
fn members_that_are_only_stated_are_members() {
    // `i3` on `b` is in no group of the cloud's.
    let stated = |scene: &mut Scene| {
        for id in ["i1", "i3"] {
            let of = InstanceConstraint { group: Some("h".into()), ..about_instance(id) };
            state(scene, Constraint::Instance(of));
        }
    };
    let out = |scene: &mut Scene| {
        scene.see(Change::Instance(Instance { state: InstanceState::Error, ..instance("i3", "b", None) }));
    };
    check(stated, move_i1(), None);
    // Nobody has said yet how many the group bears: one.
    let broken = |scene: &mut Scene| {
        stated(scene);
        out(scene);
    };
    check(broken, move_i1(), Some(Rule::R2));
    let bears_two = |scene: &mut Scene| {
        broken(scene);
        state(
            scene,
            Constraint::Group(GroupConstraint { max_impacted_members: Some(2), ..about_group("h") }),
        );
    };
    check(bears_two, move_i1(), None);
    let apart = |scene: &mut Scene| {
        stated(scene);
        state(scene, Constraint::Group(GroupConstraint { anti_affinity: Some(true), ..about_group("h") }));
        scene.see(Change::Instance(instance("i3", "x", None)));
    };
    check(apart, move_i1(), Some(Rule::R2));
    let taken_back = |scene: &mut Scene| {
        broken(scene);
        let about = Constrained::Instance("i3".into());
        scene.record(START, None, Body::Unconstrained { about });
    };
    check(taken_back, move_i1(), None);
}

#[test]
fn lead_time_is_given_from_when_the_question_arrived() {
    let passed = NOW.since(START);
    let lead = |lead: Millis| {
        move |scene: &mut Scene| {
            let stated = InstanceConstraint { lead_time: Some(lead), ..about_instance("i1") };
            state(scene, Constraint::Instance(stated));
        }
    };
    check(lead(passed), move_i1(), None);
    check(lead(passed + Millis(1)), move_i1(), Some(Rule::R3));
    // The answer may come before Fenix knows that the question arrived.
    let unconfirmed = |answered: Time| {
        move |scene: &mut Scene| {
            lead(passed)(scene);
            scene.session("s", |session| {
                let ask = Arc::make_mut(session.asks.get_mut(&AskId(1)).unwrap());
                (ask.delivered_at, ask.ended_at) = (None, Some(answered));
            });
        }
    };
    check(unconfirmed(START), move_i1(), None);
    check(unconfirmed(START + Millis(1)), move_i1(), Some(Rule::R3));
    let ceiling = |scene: &mut Scene| {
        lead(Millis::from_secs(31_536_000))(scene);
        scene.session("s", |session| plan_of(session).terms.ceilings.lead_time = passed);
    };
    check(ceiling, move_i1(), None);
}

#[test]
fn work_follows_the_fence_and_an_empty_host_inside_the_window() {
    check(nothing, work("a"), Some(Rule::R4));
    check(nothing, work("b"), Some(Rule::R4));
    let emptied = |scene: &mut Scene| {
        scene.see(Change::InstanceGone("i1".into()));
        scene.see(Change::InstanceGone("i2".into()));
        let disabled = Service::Disabled { reason: "fenix".into() };
        scene.see(Change::Host(Host { service: disabled, ..host("a", HostKind::Compute) }));
    };
    check(emptied, work("a"), None);
    let silent = |scene: &mut Scene| {
        emptied(scene);
        goes_down("a", false)(scene);
    };
    check(silent, work("a"), Some(Rule::R4));
    // What was begun there may have restarted it.
    let restarting = |scene: &mut Scene| {
        silent(scene);
        scene.session("s", |session| stand(session, "a", HostStage::Working, true));
    };
    check(restarting, work("a"), None);
    let reenabled = |scene: &mut Scene| {
        emptied(scene);
        scene.see(Change::Host(host("a", HostKind::Compute)));
    };
    check(reenabled, work("a"), Some(Rule::R4));
    let coming = |scene: &mut Scene| {
        emptied(scene);
        let arriving = Instance { other_end: Some("a".into()), ..instance("i3", "b", None) };
        scene.see(Change::Instance(arriving));
    };
    check(coming, work("a"), Some(Rule::R4));
    // It is shown as being at rest where it was, and that may be told too early.
    let not_come = |before: Millis| {
        move |scene: &mut Scene| {
            coming(scene);
            let change = Change::Instance(instance("i3", "b", None));
            scene.record(NOW - before, None, Body::Observed { change });
        }
    };
    check(not_come(Millis(9_999)), work("a"), Some(Rule::R4));
    check(not_come(Millis(10_000)), work("a"), None);
    let left = |scene: &mut Scene| {
        let moved = Instance {
            state: InstanceState::Moved,
            other_end: Some("a".into()),
            ..instance("i1", "x", None)
        };
        scene.see(Change::Instance(moved));
        emptied(scene);
        scene.record(NOW, None, Body::Observed { change: Change::Instance(instance("i1", "x", None)) });
    };
    check(left, work("a"), None);
    let window = |start: Time, end: Option<Time>| {
        move |scene: &mut Scene| {
            roomy(scene);
            scene.session("s", |session| {
                plan_of(session).maintenance_at = start;
                plan_of(session).window_end = end;
            });
        }
    };
    check(window(NOW + Millis(1), None), fence_of("b"), Some(Rule::R4));
    check(window(NOW, Some(NOW)), fence_of("b"), Some(Rule::R4));
    check(window(NOW, Some(NOW + Millis(1))), fence_of("b"), None);
}

#[test]
fn nothing_moves_and_nothing_is_fenced_without_room() {
    let full = |scene: &mut Scene| {
        scene.see(Change::Instance(instance("i6", "x", None)));
        scene.see(Change::Instance(instance("i7", "x", None)));
    };
    check(full, move_i1(), Some(Rule::R5));
    let claimed = |scene: &mut Scene| {
        scene.see(Change::Instance(instance("i6", "x", None)));
        scene.in_flight("s", 5, move_kind("i3", "b", "x"));
    };
    check(claimed, move_i1(), Some(Rule::R5));
    let b_full = |scene: &mut Scene| {
        full(scene);
        scene.see(Change::Instance(instance("i8", "b", None)));
    };
    check(b_full, fence_of("b"), Some(Rule::R5));
    // What is on `a` has yet to leave it, and takes all the room that there is; some of it is on its way to it already.
    check(nothing, fence_of("b"), Some(Rule::R5));
    let half_gone = |scene: &mut Scene| scene.in_flight("s", 5, move_kind("i1", "a", "x"));
    check(half_gone, fence_of("b"), Some(Rule::R5));
    let about_to_be = |scene: &mut Scene| {
        scene.session("s", |session| stand(session, "a", HostStage::Waiting, false));
        scene.in_flight("s", 5, EffectKind::Fence { host: "a".into() });
    };
    check(about_to_be, fence_of("b"), Some(Rule::R5));
    let headroom = |keep: u32| {
        move |scene: &mut Scene| {
            roomy(scene);
            scene.session("s", |session| {
                plan_of(session).terms.headroom = Resources::of(keep, 0, 0);
            });
        }
    };
    check(headroom(2), fence_of("b"), None);
    check(headroom(3), fence_of("b"), Some(Rule::R5));
}

#[test]
fn only_so_many_hosts_are_out_and_never_the_last_controller() {
    let one = |scene: &mut Scene| scene.session("s", |session| plan_of(session).terms.hosts_at_once = 1);
    check(one, fence_of("b"), Some(Rule::R6));
    let zone =
        |scene: &mut Scene| scene.session("s", |session| plan_of(session).terms.hosts_at_once_per_zone = 1);
    check(zone, fence_of("b"), Some(Rule::R6));
    // Its turn came, it was left out, somebody enabled it, and its session was continued.
    let taken_back = |scene: &mut Scene| {
        scene.see(Change::Host(host("a", HostKind::Compute)));
        scene.open("t", &["x"]);
        scene.session("t", |session| fence(session, "x"));
    };
    check(taken_back, fence_of("a"), None);
    let in_one_zone = |scene: &mut Scene| {
        taken_back(scene);
        zone(scene);
    };
    check(in_one_zone, fence_of("a"), Some(Rule::R6));
    let last = |scene: &mut Scene| {
        scene.see(Change::Host(Host { up: false, ..host("c2", HostKind::Controller) }));
    };
    check(last, fence_of("c1"), Some(Rule::R6));
    let other_out = |scene: &mut Scene| {
        scene.open("t", &["c2"]);
        scene.session("t", |session| fence(session, "c2"));
        scene.session("s", |session| plan_of(session).terms.hosts_at_once_per_zone = 9);
    };
    check(other_out, fence_of("c1"), Some(Rule::R6));
    let left_out = |scene: &mut Scene| {
        scene.open("t", &["c2"]);
        let stage = HostStage::Quarantined { why: "half done".into(), begun: true };
        scene.record(NOW, Some("t"), Body::HostMoved { host: "c2".into(), stage, fenced: true });
        scene.record(NOW, Some("t"), Body::Removed);
        scene.session("s", |session| Arc::make_mut(&mut session.plan).terms.hosts_at_once_per_zone = 9);
    };
    check(left_out, fence_of("c1"), Some(Rule::R6));
}

#[test]
fn a_session_ends_only_when_every_host_and_every_project_is_finished_with() {
    let enter = |phase| Decision::Enter { phase };
    check(nothing, enter(Phase::MaintenanceComplete), Some(Rule::R7));
    let release = Decision::Release { host: "a".into() };
    check(nothing, release.clone(), None);
    check(stage("a", HostStage::Working), release, Some(Rule::R7));
    let done = |scene: &mut Scene| {
        scene.session("s", |session| {
            for host in ["a", "b", "c1"] {
                stand(session, host, HostStage::Maintained, false);
            }
        });
    };
    check(done, enter(Phase::MaintenanceComplete), None);
    check(done, enter(Phase::MaintenanceDone), Some(Rule::R7));
    let told = |scene: &mut Scene| {
        done(scene);
        scene.session("s", |session| session.projects.get_mut(&"p".into()).unwrap().told = false);
    };
    check(told, enter(Phase::MaintenanceDone), None);
    check_senseless(enter(Phase::Maintenance), Rule::R7);
    check(nothing, enter(Phase::ScaleIn), None);
}

#[test]
fn stop_means_stop() {
    for condition in [Condition::Paused, Condition::Parked { why: "x".into() }, Condition::Ended] {
        let stopped = |scene: &mut Scene| scene.session("s", |session| session.condition = condition.clone());
        check(stopped, move_i1(), Some(Rule::R8));
        check(stopped, fence_of("b"), Some(Rule::R8));
    }
}

#[test]
fn one_thing_at_a_time_is_done_to_a_subject() {
    let other = |scene: &mut Scene| scene.in_flight("s", 5, move_kind("i1", "a", "b"));
    check(other, move_i1(), Some(Rule::R10));
    // The same decision again is no trouble.
    check(|scene| scene.in_flight("s", 5, move_kind("i1", "a", "x")), move_i1(), None);
    let foreign = |scene: &mut Scene| {
        scene.in_flight("s", 5, EffectKind::Release { host: "b".into() });
    };
    check(foreign, fence_of("b"), Some(Rule::R10));
}

/// Each session has work of its own before its hosts, and once.
#[test]
fn two_sessions_may_be_in_their_first_actions_at_once_and_each_does_them_once() {
    let pre = || EffectKind::Work { target: Target::Pre };
    let wanted = Decision::Work { target: Target::Pre };
    let admission = |busy: &[&str]| {
        let mut scene = Scene::new();
        scene.open("r", &["x"]);
        busy.iter().for_each(|session| scene.in_flight(session, 5, pre()));
        rules::admit(&scene.state, &"s".into(), &wanted, NOW).unwrap()
    };
    assert_eq!(admission(&[]), Admission::Effect(pre()));
    assert_eq!(admission(&["r"]), Admission::Effect(pre()));
    assert_eq!(admission(&["s"]), Admission::NoOp);
    assert_eq!(admission(&["r", "s"]), Admission::NoOp);
}

#[test]
fn only_subjects_of_the_session_are_touched() {
    check(nothing, fence_of("x"), Some(Rule::R11));
    check(nothing, moving("i3", "x", MoveHow::Migrate, Some(1)), Some(Rule::R11));
    check_senseless(moving("nobody", "x", MoveHow::Migrate, Some(1)), Rule::R11);
    check(nothing, moving("i1", "a", MoveHow::Migrate, Some(1)), Some(Rule::R11));
    check(nothing, moving("i1", "c2", MoveHow::Migrate, Some(1)), Some(Rule::R11));
    check(|scene| scene.open("t", &["x"]), move_i1(), Some(Rule::R11));
    let stuck = |scene: &mut Scene| {
        let fixed = Movable::No { reason: "pass-through disk".into() };
        scene.see(Change::Instance(Instance { movable: fixed, ..instance("i1", "a", None) }));
    };
    check(stuck, move_i1(), Some(Rule::R11));
    check(goes_down("a", false), move_i1(), Some(Rule::R11));
    check(goes_down("a", true), move_i1(), None);
    check(goes_down("x", true), move_i1(), Some(Rule::R11));
    check(
        |scene| scene.session("s", |session| fence(session, "b")),
        moving("i1", "b", MoveHow::Migrate, Some(1)),
        Some(Rule::R11),
    );
}

#[test]
fn an_effect_is_not_counted_against_itself_when_it_is_begun() {
    let mut scene = Scene::new();
    scene.in_flight("s", 5, move_kind("i1", "a", "x"));
    let effect = scene.state.session(&"s".into()).unwrap().effects[&EffectId(5)].clone();
    assert_eq!(rules::still_allowed(&scene.state, &"s".into(), &effect, NOW), Ok(()));
    scene.see(Change::Host(Host { up: false, ..host("x", HostKind::Compute) }));
    let refusal = rules::still_allowed(&scene.state, &"s".into(), &effect, NOW).unwrap_err();
    assert_eq!(refusal.rule, Rule::R11);
}
