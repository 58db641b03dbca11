//! What `default` wants in each situation: a scene, a change to it, and the decisions that follow.
//!
//! The scene: hosts `a` (instances `i1` of project `p`, `i2` of `q`) and `b`, both waiting; both projects managed and
//! agreed to MAINTENANCE; the agreed start has come.

use fenix_default::decide;
use fenix_sdk::testing::{self, FakePlan, FakeView, asking, candidate, host, instance, project};
use fenix_sdk::types::{
    AskKind, AskStatus, Decision, HostKind, HostStage, MoveDecision, MoveHow, Phase, Policy, Refusal,
    Subject, Target,
};
use fenix_sdk::workflow::{AskInfo, HostInfo, Placement, Readiness, Trigger, Waiting, Wakeup, WorkState};

const NOW: u32 = 1000;

fn ask(id: u32, project: &str, kind: AskKind, host: Option<&str>, status: AskStatus) -> AskInfo {
    let asked = testing::ask(id, project, kind, host, status);
    AskInfo { opened_at: NOW - 100, ended_at: Some(NOW - 10), ..asked }
}

fn scene() -> FakeView {
    let mut view = FakeView {
        hosts: vec![host("a", HostStage::Waiting, 2), host("b", HostStage::Waiting, 0)],
        instances: vec![instance("i1", "p", "a"), instance("i2", "q", "a")],
        projects: vec![project("p"), project("q")],
        asks: vec![
            ask(0, "p", AskKind::Maintenance, None, AskStatus::Acked),
            ask(1, "q", AskKind::Maintenance, None, AskStatus::Acked),
        ],
        work: vec![(Target::Pre, WorkState::Done)],
        ..FakeView::default()
    };
    view.session.maintenance_at = NOW;
    view.session.hosts = 2;
    view.session.waiting = 2;
    view
}

/// The scene with `a` fenced and to be emptied; both owners agreed, `p` to a cold and `q` to a live move.
fn emptying() -> FakeView {
    let mut view = scene();
    view.session.phase = Phase::PrepareMaintenance;
    view.session.fenced = 1;
    view.hosts[0].stage = HostStage::Fenced;
    view.hosts[0].in_service = false;
    for (id, project) in [(2, "p"), (3, "q")] {
        view.asks.push(ask(id, project, AskKind::PrepareMaintenance, Some("a"), AskStatus::Acked));
    }
    view.consents.insert((2, "i1".to_owned()), MoveHow::Migrate);
    view.consents.insert((3, "i2".to_owned()), MoveHow::LiveMigrate);
    let places = [("i1", "b"), ("i2", "b")];
    let place = |(instance, to): (&str, &str)| Placement { instance: instance.to_owned(), to: to.to_owned() };
    view.places.insert("a".to_owned(), Ok(places.into_iter().map(place).collect()));
    view
}

fn moving(instance: &str, how: MoveHow, ask: Option<u32>) -> Decision {
    Decision::Move(MoveDecision { instance: instance.to_owned(), to: "b".to_owned(), how, ask })
}

/// Decides, and compares what is wanted, notes left out: they are memory, not deeds.
#[track_caller]
fn check(view: &FakeView, expected: &[Decision]) -> Waiting {
    check_at(view, NOW, expected)
}

#[track_caller]
fn check_at(view: &FakeView, now: u32, expected: &[Decision]) -> Waiting {
    let (deeds, waiting) = testing::deeds(decide, view, now);
    assert_eq!(deeds, expected);
    waiting
}

#[test]
fn managers_are_asked_first_and_all_at_once() {
    let mut view = scene();
    view.asks.clear();
    check(&view, &[asking("p", AskKind::Maintenance, None), asking("q", AskKind::Maintenance, None)]);
}

#[test]
fn the_actions_before_the_first_host_run_before_anybody_is_asked() {
    let mut view = scene();
    view.asks.clear();
    view.work.clear();
    check(&view, &[Decision::Work(Target::Pre)]);
}

#[test]
fn a_silent_manager_is_asked_again_until_its_rounds_are_spent() {
    let mut view = scene();
    view.asks[0].status = AskStatus::Expired;
    check(&view, &[asking("p", AskKind::Maintenance, None)]);
    view.asks[0].round = 3;
    check(&view, &[Decision::Fail]);
    view.terms.silence = Policy::Stop;
    view.asks[0].round = 1;
    check(&view, &[Decision::Fail]);
}

#[test]
fn a_manager_that_says_no_is_treated_as_the_terms_say() {
    let mut view = scene();
    view.asks[0].status = AskStatus::Nacked;
    check(&view, &[Decision::Fail]);
    view.terms.nack = Policy::Force;
    view.candidates = vec![candidate("b", Readiness::Ready)];
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("b".to_owned())]);
    view.terms.nack = Policy::Wait;
    let waiting = check(&view, &[]);
    assert_eq!(waiting.until, Some(NOW + 50));
}

#[test]
fn a_project_without_a_manager_stops_the_session_unless_the_terms_say_otherwise() {
    let mut view = scene();
    view.projects[0].managed = false;
    check(&view, &[Decision::Fail]);
    view.terms.unmanaged = Policy::Wait;
    check(&view, &[]);
    view.terms.unmanaged = Policy::Force;
    view.candidates = vec![candidate("b", Readiness::Ready)];
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("b".to_owned())]);
}

#[test]
fn nothing_begins_before_the_agreed_start() {
    let mut view = scene();
    view.session.maintenance_at = NOW + 30;
    let waiting = check(&view, &[]);
    assert_eq!(waiting.until, Some(NOW + 30));
}

#[test]
fn an_empty_host_is_worked_on_and_a_full_one_is_emptied() {
    let mut view = scene();
    view.candidates = vec![candidate("b", Readiness::Ready)];
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("b".to_owned())]);
    view.candidates = vec![candidate("a", Readiness::CanEmpty)];
    check(&view, &[Decision::Enter(Phase::PrepareMaintenance), Decision::Fence("a".to_owned())]);
    view.session.phase = Phase::StartMaintenance;
    check(&view, &[Decision::Enter(Phase::PlannedMaintenance), Decision::Fence("a".to_owned())]);
}

#[test]
fn a_compute_comes_first_until_the_start_and_controllers_after_it() {
    let mut view = scene();
    let controller = HostInfo { kind: HostKind::Controller, ..host("c", HostStage::Waiting, 0) };
    view.hosts.push(controller);
    view.candidates = vec![candidate("c", Readiness::Ready), candidate("a", Readiness::CanEmpty)];
    check(&view, &[Decision::Enter(Phase::PrepareMaintenance), Decision::Fence("a".to_owned())]);
    view.session.phase = Phase::StartMaintenance;
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("c".to_owned())]);
}

#[test]
fn without_room_managers_are_asked_to_scale_in_round_after_round() {
    let mut view = scene();
    view.candidates = vec![candidate("a", Readiness::Blocked)];
    let round = [
        Decision::Enter(Phase::ScaleIn),
        asking("p", AskKind::ScaleIn, None),
        asking("q", AskKind::ScaleIn, None),
    ];
    check(&view, &round);
    view.session.phase = Phase::ScaleIn;
    view.notes.insert("scale-in".to_owned(), "1:2".to_owned());
    for (id, project) in [(2, "p"), (3, "q")] {
        view.asks.push(ask(id, project, AskKind::ScaleIn, None, AskStatus::Open));
    }
    check(&view, &[]);
    view.asks[2].status = AskStatus::Acked;
    view.asks[3].status = AskStatus::Acked;
    check(&view, &round);
    // An answer of the round before is none to this one.
    view.notes.insert("scale-in".to_owned(), "2:3".to_owned());
    check(&view, &[asking("p", AskKind::ScaleIn, None)]);
    view.notes.insert("scale-in".to_owned(), "10:2".to_owned());
    check(&view, &[Decision::Fail]);
}

#[test]
fn a_host_that_is_down_waits_behind_the_others_and_is_left_out_at_last() {
    let mut view = scene();
    view.candidates = vec![candidate("b", Readiness::Ready), candidate("a", Readiness::Blocked)];
    view.hosts[0].up = false;
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("b".to_owned())]);
    view.candidates.remove(0);
    check(&view, &[]);
    view.notes.insert("down:a".to_owned(), "50".to_owned());
    check(&view, &[Decision::Quarantine("a".to_owned())]);
}

#[test]
fn the_owners_of_a_host_are_asked_and_nothing_moves_before_all_agreed() {
    let mut view = emptying();
    view.asks.truncate(2);
    let both = [
        asking("p", AskKind::PrepareMaintenance, Some("a")),
        asking("q", AskKind::PrepareMaintenance, Some("a")),
    ];
    check(&view, &both);
    let mut view = emptying();
    view.asks[3].status = AskStatus::Open;
    check(&view, &[]);
}

#[test]
fn every_instance_goes_the_way_its_manager_chose() {
    let mut view = emptying();
    check(&view, &[moving("i1", MoveHow::Migrate, Some(2)), moving("i2", MoveHow::LiveMigrate, Some(3))]);
    view.instances[1].tries = 1;
    check(&view, &[moving("i1", MoveHow::Migrate, Some(2)), moving("i2", MoveHow::Migrate, Some(3))]);
    view.consents.insert((2, "i1".to_owned()), MoveHow::OwnAction);
    check(&view, &[moving("i2", MoveHow::Migrate, Some(3))]);
}

#[test]
fn a_host_that_declined_an_instance_is_not_asked_again_at_once() {
    let waits = |tries: u32, by: &str, cold: bool, at: u32, expected: bool| {
        let mut view = emptying();
        view.instances.truncate(1);
        view.instances[0].tries = tries;
        let how = if cold { MoveHow::Migrate } else { MoveHow::LiveMigrate };
        view.consents.insert((2, "i1".to_owned()), how);
        let about = Subject::Instance("i1".to_owned());
        view.attrs.push((about.clone(), "declined-by".to_owned(), by.to_owned()));
        view.attrs.push((about, "declined-at".to_owned(), at.to_string()));
        let moved = [moving("i1", MoveHow::Migrate, Some(2))];
        check(&view, if expected { &[] } else { &moved });
    };
    let to = "b";
    waits(1, to, true, NOW, true);
    waits(1, to, true, NOW - 44, true);
    waits(1, to, true, NOW - 45, false);
    waits(2, to, true, NOW - 45, true);
    waits(2, to, true, NOW - 90, false);
    waits(1, "elsewhere", true, NOW, false);
    // Live it failed; cold it was not tried yet.
    waits(1, to, false, NOW, false);
    waits(2, to, false, NOW, true);
}

#[test]
fn an_instance_that_cannot_be_moved_ends_as_the_terms_say() {
    let mut view = emptying();
    view.instances[0].tries = 3;
    // What may be moved is moved all the same until the session is told to fail.
    let mut plan = FakePlan::default();
    let wakeup = Wakeup { trigger: Trigger::Changed, now: NOW };
    assert!(decide(&view, &mut plan, wakeup).is_ok());
    assert_eq!(plan.decisions().last(), Some(&Decision::Fail));
    view.terms.failed_move = Policy::Skip;
    check(&view, &[Decision::Quarantine("a".to_owned())]);
}

#[test]
fn a_manager_is_asked_again_about_an_instance_that_came_since() {
    let mut view = emptying();
    view.instances.push(instance("i3", "p", "a"));
    check(&view, &[asking("p", AskKind::PrepareMaintenance, Some("a"))]);
}

#[test]
fn a_move_that_a_rule_forbids_now_is_waited_for() {
    let mut view = emptying();
    let no = Refusal { rule: "R2".to_owned(), why: "another member is out".to_owned() };
    view.refusals.push((moving("i1", MoveHow::Migrate, Some(2)), no));
    view.instances.truncate(1);
    let waiting = check(&view, &[]);
    assert!(waiting.on.contains("another member is out"), "{}", waiting.on);
    assert_eq!(waiting.until, Some(NOW + 15));
}

#[test]
fn what_a_rule_forbids_for_hours_ends_as_the_terms_say() {
    let no = |rule: &str| Refusal { rule: rule.to_owned(), why: "somebody is in the way".to_owned() };
    let since =
        |view: &mut FakeView, note: &str, at: u32| drop(view.notes.insert(note.to_owned(), at.to_string()));
    let mut view = emptying();
    view.refusals.push((moving("i1", MoveHow::Migrate, Some(2)), no("R2")));
    view.instances.truncate(1);
    view.session.maintenance_at = 0;
    since(&mut view, "restless:a", 1);
    check(&view, &[]);
    let late = |view: &FakeView| check_at(view, NOW + 4 * 3600, &[Decision::Fail]);
    late(&view);
    let mut view = scene();
    view.candidates = vec![candidate("a", Readiness::Ready)];
    view.refusals.push((Decision::Fence("a".to_owned()), no("R6")));
    assert!(check(&view, &[]).until.is_some());
    since(&mut view, "not-yet", 1);
    // Nothing that is waited for: the host halts the session.
    assert_eq!(check_at(&view, NOW + 4 * 3600, &[]).until, None);
}

#[test]
fn another_host_goes_first_if_a_rule_lets_the_best_one_wait() {
    let mut view = scene();
    view.session.phase = Phase::StartMaintenance;
    view.candidates = vec![candidate("a", Readiness::Ready), candidate("b", Readiness::Ready)];
    let why = "it is the last healthy controller".to_owned();
    view.refusals.push((Decision::Fence("a".to_owned()), Refusal { rule: "R6".to_owned(), why }));
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Fence("b".to_owned())]);
}

#[test]
fn a_host_that_somebody_enabled_in_its_turn_is_fenced_once_more() {
    let mut view = emptying();
    view.hosts[0].in_service = true;
    check(&view, &[Decision::Fence("a".to_owned())]);
    view.session.fenced = 0;
    view.session.working = 1;
    view.hosts[0].stage = HostStage::Working;
    view.work.push((Target::Host("a".to_owned()), WorkState::Failed));
    check(&view, &[Decision::Fence("a".to_owned())]);
}

#[test]
fn a_host_that_was_emptied_too_late_is_given_back() {
    let mut view = emptying();
    view.instances.clear();
    view.hosts[0].instances = 0;
    view.session.window_end = Some(NOW);
    check(&view, &[Decision::Release("a".to_owned())]);
}

#[test]
fn phases_do_not_take_turns_while_a_fenced_host_waits_for_room() {
    let mut view = emptying();
    view.session.phase = Phase::ScaleIn;
    view.places.insert("a".to_owned(), Err("no host has room for instance i1".to_owned()));
    view.notes.insert("scale-in".to_owned(), "1:4".to_owned());
    for (id, project) in [(4, "p"), (5, "q")] {
        view.asks.push(ask(id, project, AskKind::ScaleIn, None, AskStatus::Open));
    }
    check(&view, &[]);
}

#[test]
fn members_of_one_group_are_not_wanted_out_together() {
    let mut view = emptying();
    for instance in &mut view.instances {
        instance.group = Some("g".to_owned());
    }
    check(&view, &[moving("i1", MoveHow::Migrate, Some(2))]);
}

#[test]
fn an_emptied_host_is_worked_on_and_given_back() {
    let mut view = emptying();
    view.instances.clear();
    view.hosts[0].instances = 0;
    let target = Target::Host("a".to_owned());
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Work(target.clone())]);
    view.hosts[0].stage = HostStage::Working;
    view.session.fenced = 0;
    view.session.working = 1;
    view.work.push((target.clone(), WorkState::Running));
    check(&view, &[]);
    view.hosts[0].stage = HostStage::Worked;
    view.session.working = 0;
    view.session.worked = 1;
    check(&view, &[Decision::Release("a".to_owned())]);
}

#[test]
fn a_failed_action_ends_as_the_terms_say() {
    let mut view = scene();
    let target = Target::Host("a".to_owned());
    view.session.phase = Phase::StartMaintenance;
    view.session.working = 1;
    view.hosts[0].stage = HostStage::Working;
    view.hosts[0].in_service = false;
    view.hosts[0].tries = 1;
    view.work.push((target.clone(), WorkState::Failed));
    for (policy, expected) in [
        (Policy::Stop, vec![Decision::Fail]),
        (Policy::Retry, vec![Decision::Work(target.clone())]),
        (Policy::Skip, vec![Decision::Quarantine("a".to_owned())]),
        (Policy::Wait, vec![]),
    ] {
        view.terms.failed_action = policy;
        check(&view, &expected);
    }
}

#[test]
fn at_the_end_every_manager_gets_its_capacity_back() {
    let mut view = scene();
    view.session.phase = Phase::StartMaintenance;
    check(&view, &[Decision::Enter(Phase::MaintenanceComplete)]);
    view.session.phase = Phase::MaintenanceComplete;
    check(&view, &[Decision::Work(Target::Post)]);
    view.work.push((Target::Post, WorkState::Done));
    let both =
        [asking("p", AskKind::MaintenanceComplete, None), asking("q", AskKind::MaintenanceComplete, None)];
    check(&view, &both);
    for (id, project) in [(8, "p"), (9, "q")] {
        view.asks.push(ask(id, project, AskKind::MaintenanceComplete, None, AskStatus::Expired));
    }
    check(&view, &[Decision::Enter(Phase::MaintenanceDone)]);
}
