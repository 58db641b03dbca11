//! Every rule, as a table: a scene, a decision, and the rule that says no.
//!
//! The scene is one session over `a` and `b` (computes of 4 vcpus) and `c1`; `x` is a compute of nobody, `c2` a
//! second controller. `i1` and `i2` (2 vcpus each, group `g`, at most one out) are on `a`, `i3` is on `b`. The
//! project is managed, was told MAINTENANCE, and agreed to have `a` emptied (question 1); `a` is fenced.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::sync::Arc;

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow};
use fenix_core::constraint::{Constraint, InstanceConstraint};
use fenix_core::decision::Decision;
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{AskId, EffectId, HostId};
use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Movable, Resources, Service,
};
use fenix_core::policy::{Policy, Terms};
use fenix_core::record::{Body, Record};
use fenix_core::rules::{self, Rule};
use fenix_core::session::{Condition, HostStage, HostWork, Phase, Pin, Plan, Session, Target};
use fenix_core::state::State;
use fenix_core::time::{Millis, Time};

const START: Time = Time(1_000_000);
const NOW: Time = Time(2_000_000);

fn host(id: &str, kind: HostKind) -> Host {
    Host {
        id: id.into(),
        kind,
        zone: "z".into(),
        capacity: Resources::of(4, 4096, 40),
        service: if kind == HostKind::Compute { Service::Enabled } else { Service::Absent },
        up: true,
        boot: "1".into(),
        dead: false,
    }
}

fn instance(id: &str, on: &str, group: Option<&str>) -> Instance {
    Instance {
        id: id.into(),
        name: id.into(),
        project: "p".into(),
        group: group.map(Into::into),
        host: on.into(),
        resources: Resources::of(2, 1024, 10),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    }
}

fn plan() -> Plan {
    let pin = Pin { name: "default".into(), version: "0.1.0".into(), digest: "d".into() };
    Plan {
        maintenance_at: START,
        window_end: None,
        metadata: "{}".into(),
        workflow: pin,
        actions: Vec::new(),
        terms: Terms { hosts_at_once: 2, hosts_at_once_per_zone: 2, ..Terms::default() },
    }
}

fn ask(id: u32, kind: AskKind, host: Option<&str>, status: AskStatus) -> Ask {
    Ask {
        id: AskId(id),
        project: "p".into(),
        kind,
        round: 1,
        instances: vec!["i1".into(), "i2".into()],
        host: host.map(Into::into),
        opened_at: START,
        window: Millis::from_secs(40),
        delivered_at: Some(START),
        reply_by: START + Millis::from_secs(40),
        chosen: std::collections::BTreeMap::new(),
        status,
        ended_at: Some(START),
    }
}

fn agreed() -> AskStatus {
    AskStatus::Acked {
        actions: [("i1".into(), MoveHow::Migrate), ("i2".into(), MoveHow::LiveMigrate)].into(),
    }
}

/// The scene, with a way to change it.
struct Scene {
    state: State,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Scene { state: State::default() };
        for (id, kind) in [
            ("a", HostKind::Compute),
            ("b", HostKind::Compute),
            ("x", HostKind::Compute),
            ("c1", HostKind::Controller),
            ("c2", HostKind::Controller),
        ] {
            scene.see(Change::Host(host(id, kind)));
        }
        scene.see(Change::Group(Group {
            id: "g".into(),
            project: "p".into(),
            name: "pair".into(),
            anti_affinity: false,
            max_instances_per_host: 0,
            max_impacted_members: 1,
            recovery_time: Millis::from_secs(10),
        }));
        for (id, on, group) in [("i1", "a", Some("g")), ("i2", "a", Some("g")), ("i3", "b", None)] {
            scene.see(Change::Instance(instance(id, on, group)));
        }
        scene.open("s", &["a", "b", "c1"]);
        scene.session("s", |session| {
            session.phase = Phase::PlannedMaintenance;
            if let Some(project) = session.projects.get_mut(&"p".into()) {
                project.told = true;
            }
            fence(session, "a");
        });
        scene.asked("s", ask(0, AskKind::Maintenance, None, agreed()));
        scene.asked("s", ask(1, AskKind::PlannedMaintenance, Some("a"), agreed()));
        scene
    }

    fn record(&mut self, at: Time, session: Option<&str>, body: Body) {
        let record = Record { seq: self.state.seq + 1, at, session: session.map(Into::into), body };
        self.state.apply(&record).unwrap();
    }

    fn see(&mut self, change: Change) {
        self.record(START, None, Body::Observed { change });
    }

    fn open(&mut self, id: &str, hosts: &[&str]) {
        self.record(START, Some(id), Body::Opened { plan: plan(), rules: rules::VERSION });
        for name in hosts {
            let seen = self.state.inventory.host(&HostId::from(name)).unwrap().clone();
            let work = HostWork {
                kind: seen.kind,
                found: seen.service,
                stage: HostStage::Waiting,
                since: START,
                fenced: false,
            };
            self.record(START, Some(id), Body::HostJoined { host: seen.id, work });
        }
        self.record(START, Some(id), Body::ProjectJoined { project: "p".into(), managed: true });
    }

    fn asked(&mut self, session: &str, ask: Ask) {
        let (id, status) = (ask.id, ask.status.clone());
        let open = Ask { status: AskStatus::Open, ..ask };
        self.record(START, Some(session), Body::Asked { ask: open, reason: "why".into() });
        self.record(START, Some(session), Body::AskEnded { ask: id, status });
    }

    fn session(&mut self, id: &str, change: impl FnOnce(&mut Session)) {
        change(Arc::make_mut(self.state.sessions.get_mut(&id.into()).unwrap()));
    }

    fn in_flight(&mut self, session: &str, id: u32, kind: EffectKind) {
        let effect = Effect {
            id: EffectId(id),
            kind,
            reason: "why".into(),
            admitted_at: NOW,
            deadline: NOW + Millis::from_secs(600),
            unclear_at: None,
            unknown: None,
        };
        self.record(START, Some(session), Body::Admitted { effect });
    }
}

#[test]
fn a_live_move_has_no_longer_than_its_instance_bears() {
    let check = |how: MoveHow, stated: Option<u64>, expected: u64| {
        let mut scene = Scene::new();
        let constraint = Constraint::Instance(InstanceConstraint {
            instance: "i1".into(),
            project: "p".into(),
            group: None,
            name: "i1".into(),
            max_interruption_time: stated.map(Millis::from_secs),
            migration_type: None,
            resource_mitigation: None,
            lead_time: None,
        });
        scene.record(START, None, Body::Constrained { constraint });
        let session = scene.state.session(&"s".into()).unwrap();
        let kind =
            EffectKind::Move { instance: "i1".into(), from: "a".into(), to: "b".into(), how, ask: None };
        let span = rules::deadline(&scene.state, session, &kind, NOW).since(NOW);
        assert_eq!(span, Millis::from_secs(expected), "{how:?} {stated:?}");
    };
    check(MoveHow::LiveMigrate, Some(120), 120);
    check(MoveHow::LiveMigrate, Some(1200), 600);
    check(MoveHow::LiveMigrate, Some(0), 600);
    check(MoveHow::LiveMigrate, None, 600);
    check(MoveHow::Migrate, Some(120), 600);
}

fn plan_of(session: &mut Session) -> &mut Plan {
    Arc::make_mut(&mut session.plan)
}

fn stand(session: &mut Session, host: &str, stage: HostStage, fenced: bool) {
    let known = session.hosts.get(&host.into()).unwrap().clone();
    session.hosts.set(host.into(), HostWork { stage, fenced, ..known });
}

fn fence(session: &mut Session, host: &str) {
    stand(session, host, HostStage::Fenced, true);
}

fn stage(host: &'static str, stage: HostStage) -> impl FnOnce(&mut Scene) {
    move |scene| scene.session("s", |session| stand(session, host, stage, true))
}

/// A host no longer answers, and perhaps somebody knows that it is dead.
fn goes_down(id: &'static str, dead: bool) -> impl Fn(&mut Scene) {
    move |scene| {
        let seen = scene.state.inventory.host(&id.into()).unwrap().clone();
        scene.see(Change::Host(Host { up: false, dead, ..seen }));
    }
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

#[test]
fn what_is_agreed_and_fits_is_admitted() {
    check(nothing, move_i1(), None);
    check(nothing, moving("i2", "x", MoveHow::LiveMigrate, Some(1)), None);
    check(nothing, fence_of("b"), None);
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
    let window = |start: Time, end: Option<Time>| {
        move |scene: &mut Scene| {
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
    let headroom = |scene: &mut Scene| {
        scene.session("s", |session| {
            plan_of(session).terms.headroom = Resources::of(3, 0, 0);
        });
    };
    check(headroom, fence_of("b"), Some(Rule::R5));
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
