//! What `vnf` wants in each situation: a scene, a change to it, and the decisions that follow.
//!
//! The scene: hosts `a` (instances `i1` of project `p`, `i2` of `q`) and `b` (`i3` of `p`), both waiting, and `c`, which is
//! worked on; both projects managed and agreed to MAINTENANCE; three hosts may be out at once.

use fenix_sdk::testing::{FakeView, ask, asking, candidate, deeds, host, instance, project};
use fenix_sdk::types::{
    AskKind, AskStatus, Decision, HostStage, MoveDecision, MoveHow, Phase, Refusal, Subject, Target,
};
use fenix_sdk::workflow::{EffectInfo, Placement, Readiness, Waiting, WorkState};
use fenix_vnf::decide;

const NOW: u32 = 1000;

fn scene() -> FakeView {
    let mut view = FakeView {
        hosts: vec![
            host("a", HostStage::Waiting, 2),
            host("b", HostStage::Waiting, 1),
            host("c", HostStage::Working, 0),
        ],
        instances: vec![instance("i1", "p", "a"), instance("i2", "q", "a"), instance("i3", "p", "b")],
        projects: vec![project("p"), project("q")],
        asks: vec![
            ask(0, "p", AskKind::Maintenance, None, AskStatus::Acked),
            ask(1, "q", AskKind::Maintenance, None, AskStatus::Acked),
        ],
        work: vec![(Target::Pre, WorkState::Done), (Target::Host("c".to_owned()), WorkState::Running)],
        candidates: vec![candidate("a", Readiness::CanEmpty), candidate("b", Readiness::CanEmpty)],
        ..FakeView::default()
    };
    view.session.phase = Phase::PlannedMaintenance;
    view.session.waiting = 2;
    view.session.working = 1;
    view.terms.hosts_at_once = 3;
    view
}

/// Nothing but the hosts that wait.
fn alone() -> FakeView {
    let mut view = scene();
    view.hosts.pop();
    view.session.working = 0;
    view
}

fn state(view: &mut FakeView, instance: &str, key: &str, value: &str) {
    view.attrs.push((Subject::Instance(instance.to_owned()), key.to_owned(), value.to_owned()));
}

/// Puts a host in hand that is to be emptied onto `z`; its owners agreed to cold moves.
fn fence(view: &mut FakeView, id: &str) {
    let at = view.hosts.iter().position(|host| host.id == id).unwrap_or_default();
    view.hosts[at].stage = HostStage::Fenced;
    view.hosts[at].in_service = false;
    view.candidates.retain(|candidate| candidate.host != id);
    view.session.fenced += 1;
    let there: Vec<_> = view.instances.iter().filter(|instance| instance.host == id).cloned().collect();
    let mut places = Vec::new();
    for instance in there {
        let number = view.asks.len() as u32;
        let planned = AskKind::PlannedMaintenance;
        view.asks.push(ask(number, &instance.project, planned, Some(id), AskStatus::Acked));
        view.consents.insert((number, instance.id.clone()), MoveHow::Migrate);
        places.push(Placement { instance: instance.id, to: "z".to_owned() });
    }
    view.places.insert(id.to_owned(), Ok(places));
}

fn moving(instance: &str, ask: u32) -> Decision {
    let how = MoveHow::Migrate;
    Decision::Move(MoveDecision { instance: instance.to_owned(), to: "z".to_owned(), how, ask: Some(ask) })
}

fn fencing(host: &str) -> Decision {
    Decision::Fence(host.to_owned())
}

/// Decides, and compares what is wanted.
#[track_caller]
fn check(view: &FakeView, expected: &[Decision]) -> Waiting {
    let (deeds, waiting) = deeds(decide, view, NOW);
    assert_eq!(deeds, expected);
    waiting
}

/// The hosts of the scene about which nobody has to be asked ahead.
fn heard(view: &mut FakeView) {
    for host in ["a", "b"] {
        view.notes.insert(format!("heard:{host}"), "0".to_owned());
    }
}

#[test]
fn the_next_host_is_taken_while_others_are_under_way_as_long_as_there_is_a_slot() {
    let mut view = scene();
    heard(&mut view);
    let waiting = check(&view, &[fencing("a")]);
    assert_eq!(waiting.until, Some(NOW + 1), "there is one more slot");
    view.terms.hosts_at_once = 1;
    check(&view, &[]);
}

#[test]
fn one_host_is_fenced_after_the_other() {
    let mut view = scene();
    heard(&mut view);
    view.notes.insert("fencing".to_owned(), "a".to_owned());
    let effect = EffectInfo { kind: "fence".to_owned(), unknown: false };
    view.in_flight.push((Subject::Host("a".to_owned()), effect));
    check(&view, &[]);
}

#[test]
fn every_host_in_hand_goes_on_by_itself() {
    let mut view = scene();
    view.terms.hosts_at_once = 1;
    fence(&mut view, "a");
    fence(&mut view, "b");
    view.hosts[2].stage = HostStage::Worked;
    let moves = [moving("i1", 2), moving("i2", 3), moving("i3", 4)];
    let all = [Decision::Release("c".to_owned())].into_iter().chain(moves).collect::<Vec<_>>();
    check(&view, &all);
    view.hosts[1].instances = 0;
    view.instances.pop();
    check(
        &view,
        &[all[0].clone(), all[1].clone(), all[2].clone(), Decision::Work(Target::Host("b".to_owned()))],
    );
}

#[test]
fn members_of_a_group_leave_together_as_far_as_it_bears() {
    let mut view = scene();
    view.terms.hosts_at_once = 1;
    for instance in &mut view.instances {
        instance.group = Some("g".to_owned());
    }
    fence(&mut view, "a");
    fence(&mut view, "b");
    for (left, moves) in [
        ("0", vec![]),
        ("1", vec![moving("i1", 2)]),
        ("2", vec![moving("i1", 2), moving("i2", 3)]),
        ("3", vec![moving("i1", 2), moving("i2", 3), moving("i3", 4)]),
    ] {
        view.attrs.clear();
        ["i1", "i2", "i3"].iter().for_each(|instance| state(&mut view, instance, "impact-left", left));
        check(&view, &moves);
    }
}

#[test]
fn managers_that_need_time_are_asked_ahead_and_the_host_is_taken_when_they_had_it() {
    let mut view = scene();
    state(&mut view, "i1", "lead-time", "60");
    state(&mut view, "i3", "migration-type", "MIGRATE");
    let planned = AskKind::PlannedMaintenance;
    // `q` states nothing: it is asked when the host is fenced.
    check(&view, &[asking("p", planned, Some("a")), asking("p", planned, Some("b"))]);
    // A host that cannot be emptied yet is asked about all the same.
    view.candidates[0].readiness = Readiness::Blocked;
    check(&view, &[asking("p", planned, Some("a")), asking("p", planned, Some("b"))]);
    view.candidates[0].readiness = Readiness::CanEmpty;
    view.asks.push(ask(2, "p", planned, Some("a"), AskStatus::Open));
    view.asks.push(ask(3, "p", planned, Some("b"), AskStatus::Open));
    check(&view, &[]);
    view.asks[3].status = AskStatus::Acked;
    check(&view, &[fencing("b")]);
    view.notes.insert("heard:a".to_owned(), (NOW + 30).to_string());
    view.notes.insert("heard:b".to_owned(), (NOW + 50).to_string());
    let waiting = check(&view, &[]);
    assert_eq!(waiting.until, Some(NOW + 30));
    view.notes.insert("heard:b".to_owned(), NOW.to_string());
    check(&view, &[fencing("b")]);
}

#[test]
fn a_host_is_looked_at_again_when_the_owner_that_is_waited_for_has_answered() {
    let mut view = scene();
    state(&mut view, "i1", "lead-time", "60");
    view.asks.push(ask(2, "p", AskKind::PlannedMaintenance, Some("a"), AskStatus::Open));
    view.asks.push(ask(3, "p", AskKind::PlannedMaintenance, Some("b"), AskStatus::Open));
    for host in ["a", "b"] {
        view.notes.insert(format!("heard:{host}"), "asked p".to_owned());
    }
    let waiting = check(&view, &[]);
    assert!(waiting.on.contains("and perhaps of others"), "{}", waiting.on);
    view.asks[2].status = AskStatus::Acked;
    check(&view, &[fencing("a")]);
}

#[test]
fn whoever_moves_its_instances_by_itself_is_asked_when_nothing_can_come_any_more() {
    let mut view = scene();
    view.terms.hosts_at_once = 2;
    state(&mut view, "i1", "lead-time", "60");
    state(&mut view, "i1", "migration-type", "OWN_ACTION");
    check(&view, &[fencing("a")]);
    fence(&mut view, "a");
    view.asks.pop();
    view.asks.pop();
    let planned = AskKind::PlannedMaintenance;
    check(&view, &[asking("p", planned, Some("a")), asking("q", planned, Some("a"))]);
}

#[test]
fn a_host_whose_instances_would_wait_for_each_other_or_for_others_has_its_turn_later() {
    let mut view = scene();
    heard(&mut view);
    view.instances[0].group = Some("g".to_owned());
    state(&mut view, "i1", "impact-left", "0");
    check(&view, &[fencing("b")]);
    // Its group bears one, and that one is on a host that is being emptied.
    view.attrs.clear();
    state(&mut view, "i1", "impact-left", "1");
    check(&view, &[fencing("a")]);
    let mut other = instance("i4", "p", "d");
    other.group = Some("g".to_owned());
    state(&mut view, "i4", "impact-left", "0");
    view.instances.push(other);
    view.hosts.push(host("d", HostStage::Fenced, 1));
    view.asks.push(ask(2, "p", AskKind::PlannedMaintenance, Some("d"), AskStatus::Open));
    check(&view, &[fencing("b")]);
}

#[test]
fn another_host_is_taken_where_a_rule_refuses_the_best() {
    let mut view = scene();
    heard(&mut view);
    let refusal = Refusal { rule: "R6".to_owned(), why: "its zone has one out".to_owned() };
    view.refusals.push((fencing("a"), refusal));
    check(&view, &[fencing("b")]);
}

#[test]
fn what_is_missing_is_asked_for_and_no_more() {
    let mut view = alone();
    view.candidates.iter_mut().for_each(|candidate| candidate.readiness = Readiness::Blocked);
    for (project, vcpus) in [("p", "4"), ("q", "6")] {
        let attr = |key: &str| (project.to_owned(), key.to_owned());
        view.project_attrs.insert(attr("vcpus"), vcpus.to_owned());
        view.project_attrs.insert(attr("instances"), "2".to_owned());
    }
    let missing = |view: &mut FakeView, vcpus: &str| {
        let host = Subject::Host("a".to_owned());
        view.attrs = vec![(host, "missing-vcpus".to_owned(), vcpus.to_owned())];
    };
    let scale_in = |project: &str| asking(project, AskKind::ScaleIn, None);
    let enter = Decision::Enter(Phase::ScaleIn);
    // The larger one first: an instance of it has 3.
    missing(&mut view, "3");
    check(&view, &[enter.clone(), scale_in("q")]);
    missing(&mut view, "4");
    check(&view, &[enter.clone(), scale_in("q"), scale_in("p")]);
    // Whoever was asked less often comes first in the next round; that is the one whose answer came.
    view.session.phase = Phase::ScaleIn;
    view.notes.insert("scale-in".to_owned(), "1:2:3:0".to_owned());
    view.asks.push(ask(2, "q", AskKind::ScaleIn, None, AskStatus::Open));
    check(&view, &[]);
    view.asks[2].status = AskStatus::Acked;
    missing(&mut view, "1");
    check(&view, &[scale_in("p")]);
    // Two came back of the three, and one is missing still: three, which is all that may be asked for.
    view.session_attrs.insert("scale-in-max".to_owned(), "3".to_owned());
    check(&view, &[scale_in("p")]);
    view.session_attrs.insert("scale-in-max".to_owned(), "2".to_owned());
    check(&view, &[Decision::Fail]);
    view.session_attrs.clear();
    view.terms.scale_in_rounds = 1;
    check(&view, &[Decision::Fail]);
}

#[test]
fn nobody_is_asked_for_room_in_its_busy_hours_or_while_a_host_will_give_some() {
    let mut view = alone();
    view.candidates.iter_mut().for_each(|candidate| candidate.readiness = Readiness::Blocked);
    let busy = |view: &mut FakeView, project: &str, until: u32| {
        view.project_attrs.insert((project.to_owned(), "busy-until".to_owned()), until.to_string());
    };
    busy(&mut view, "p", NOW + 600);
    check(&view, &[Decision::Enter(Phase::ScaleIn), asking("q", AskKind::ScaleIn, None)]);
    busy(&mut view, "q", NOW + 300);
    let waiting = check(&view, &[]);
    assert_eq!(waiting.until, Some(NOW + 300));
    view.project_attrs.clear();
    view.hosts.push(host("c", HostStage::Working, 0));
    check(&view, &[]);
}

#[test]
fn a_host_that_was_not_emptied_in_the_window_is_given_back() {
    let mut view = alone();
    view.session.window_end = Some(NOW);
    fence(&mut view, "a");
    check(&view, &[Decision::Release("a".to_owned())]);
    view.instances[0].busy = true;
    check(&view, &[]);
    let waiting = check(&FakeView { hosts: Vec::new(), ..view }, &[]);
    assert!(waiting.until.is_none() && waiting.on.contains("the window is over"), "{}", waiting.on);
}

#[test]
fn the_first_hosts_show_as_prepare_and_later_ones_as_planned() {
    let mut view = alone();
    view.session.phase = Phase::Maintenance;
    heard(&mut view);
    check(&view, &[Decision::Enter(Phase::PrepareMaintenance), fencing("a")]);
    fence(&mut view, "a");
    view.session.phase = Phase::PrepareMaintenance;
    view.terms.hosts_at_once = 1;
    view.hosts[0].instances = 0;
    view.instances.retain(|instance| instance.host != "a");
    check(&view, &[Decision::Enter(Phase::StartMaintenance), Decision::Work(Target::Host("a".to_owned()))]);
    view.session.phase = Phase::StartMaintenance;
    view.session.maintained = 1;
    view.hosts[0].stage = HostStage::Maintained;
    heard(&mut view);
    check(&view, &[Decision::Enter(Phase::PlannedMaintenance), fencing("b")]);
}
