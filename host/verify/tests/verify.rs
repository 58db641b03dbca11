//! A journal in which everything is right, and the same with one thing wrong.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::collections::BTreeMap;

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow, Reply};
use fenix_core::constraint::{Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::effect::{Effect, EffectKind, Outcome};
use fenix_core::id::{AskId, EffectId};
use fenix_core::inventory::{Change, Host, HostKind, Instance, InstanceState, Movable, Resources, Service};
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::rules::Rule;
use fenix_core::session::{ActionRun, Close, Condition, HostStage, HostWork, Pin, Plan, Target};
use fenix_core::time::{Millis, Time};
use fenix_verify::verify;

/// A line of the journal: its name here, and what it says. Lines of the installation begin with `+`.
type Line = (&'static str, Body);

const SPAN: u64 = 1_000;

fn host(id: &str, service: Service) -> Body {
    let host = Host {
        id: id.into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: Resources::of(4, 4, 4),
        service,
        up: true,
        boot: String::new(),
        dead: false,
    };
    Body::Observed { change: Change::Host(host) }
}

fn instance(id: &str, on: &str) -> Instance {
    Instance {
        id: id.into(),
        name: id.into(),
        project: "p".into(),
        group: Some("g".into()),
        host: on.into(),
        resources: Resources::of(1, 1, 1),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    }
}

fn seen(instance: Instance) -> Body {
    Body::Observed { change: Change::Instance(instance) }
}

fn plan(change: impl FnOnce(&mut Plan)) -> Body {
    let pin = Pin { name: "default".into(), version: "0.1.0".into(), digest: "d".into(), undoes: false };
    let mut plan = Plan {
        maintenance_at: Time(0),
        window_end: None,
        metadata: "{}".into(),
        workflow: pin,
        actions: Vec::new(),
        terms: Terms::default(),
        own_host: None,
    };
    change(&mut plan);
    Body::Opened { plan, rules: 1 }
}

fn asked(id: u32, kind: AskKind, about: Option<&str>) -> Body {
    let ask = Ask {
        id: AskId(id),
        project: "p".into(),
        kind,
        round: 1,
        instances: about.map(|_| "i".into()).into_iter().collect(),
        host: about.map(Into::into),
        opened_at: Time(0),
        window: Millis::from_secs(40),
        delivered_at: None,
        reply_by: Time(40_000),
        chosen: BTreeMap::new(),
        status: AskStatus::Open,
        ended_at: None,
    };
    Body::Asked { ask, reason: "why".into() }
}

fn replied(id: u32, kind: AskKind, agrees: bool, actions: &[(&str, MoveHow)]) -> Body {
    let actions = actions.iter().map(|(id, how)| ((*id).into(), *how)).collect();
    Body::Replied { project: "p".into(), ask: Some(AskId(id)), reply: Reply { kind, agrees, actions } }
}

fn admitted(id: u32, kind: EffectKind) -> Body {
    let effect = Effect {
        id: EffectId(id),
        kind,
        reason: "why".into(),
        admitted_at: Time(0),
        deadline: Time(0),
        unclear_at: None,
        unknown: None,
    };
    Body::Admitted { effect }
}

fn done(id: u32) -> Body {
    Body::EffectEnded { effect: EffectId(id), outcome: Outcome::Done }
}

fn stands(stage: HostStage, fenced: bool) -> Body {
    Body::HostMoved { host: "a".into(), stage, fenced }
}

fn joined(id: &str) -> Body {
    let stage = HostStage::Waiting;
    let found = Service::Enabled;
    let work = HostWork { kind: HostKind::Compute, found, stage, since: Time(0), fenced: false };
    Body::HostJoined { host: id.into(), work }
}

fn moving(to: &str) -> EffectKind {
    EffectKind::Move {
        instance: "i".into(),
        from: "a".into(),
        to: to.into(),
        how: MoveHow::Migrate,
        ask: Some(AskId(1)),
    }
}

fn disabled() -> Service {
    Service::Disabled { reason: "fenix".into() }
}

/// One host is maintained; its instance moves to the other.
fn journal() -> Vec<Line> {
    let work = || EffectKind::Work { target: Target::Host("a".into()) };
    let ended = |condition| Body::ConditionSet { condition, reason: "why".into() };
    vec![
        ("+a", host("a", Service::Enabled)),
        ("+b", host("b", Service::Enabled)),
        ("+i", seen(instance("i", "a"))),
        ("opened", plan(|_| {})),
        ("joined", joined("a")),
        ("managed", Body::ProjectJoined { project: "p".into(), managed: true }),
        ("told", asked(0, AskKind::Maintenance, None)),
        ("fence", admitted(0, EffectKind::Fence { host: "a".into() })),
        ("+disabled", host("a", disabled())),
        ("fenced", done(0)),
        ("is fenced", stands(HostStage::Fenced, true)),
        ("asked", asked(1, AskKind::PlannedMaintenance, Some("a"))),
        ("delivered", Body::AskDelivered { ask: AskId(1), reply_by: Time(40_000) }),
        ("agreed", replied(1, AskKind::PlannedMaintenance, true, &[("i", MoveHow::Migrate)])),
        ("move", admitted(1, moving("b"))),
        ("+moved", seen(instance("i", "b"))),
        ("arrived", done(1)),
        ("work", admitted(2, work())),
        ("works", stands(HostStage::Working, true)),
        ("worked", done(2)),
        ("is worked", stands(HostStage::Worked, true)),
        ("release", admitted(3, EffectKind::Release { host: "a".into() })),
        ("+enabled", host("a", Service::Enabled)),
        ("released", done(3)),
        ("maintained", stands(HostStage::Maintained, false)),
        ("told the end", asked(2, AskKind::MaintenanceComplete, None)),
        ("closing", ended(Condition::Closing { why: Close::Done })),
        ("ended", ended(Condition::Ended)),
    ]
}

/// The rules that a changed journal breaks, each once.
fn broken(change: impl FnOnce(&mut Vec<Line>)) -> Vec<Rule> {
    let mut lines = journal();
    change(&mut lines);
    let record = |(seq, (name, body)): (u64, Line)| Record {
        seq,
        at: Time(seq * SPAN),
        session: (!name.starts_with('+')).then(|| "s".into()),
        body,
    };
    let records: Vec<Record> = (1..).zip(lines).map(record).collect();
    let mut rules: Vec<Rule> = verify(&records).findings.into_iter().map(|found| found.rule).collect();
    rules.sort_by_key(|rule| *rule as u8);
    rules.dedup();
    rules
}

fn at(lines: &[Line], name: &str) -> usize {
    lines.iter().position(|(other, _)| *other == name).unwrap()
}

/// Without the line of that name.
fn without(name: &'static str) -> impl FnOnce(&mut Vec<Line>) {
    move |lines| drop(lines.remove(at(lines, name)))
}

/// With another one in its place.
fn instead(name: &'static str, body: Body) -> impl FnOnce(&mut Vec<Line>) {
    move |lines| {
        let place = at(lines, name);
        lines[place].1 = body;
    }
}

/// With another one before it.
fn before(name: &'static str, line: Line) -> impl FnOnce(&mut Vec<Line>) {
    move |lines| lines.insert(at(lines, name), line)
}

/// The host is assessed, and maintained at once.
fn assessed(lines: &mut Vec<Line>) {
    let (first, last) = (at(lines, "told"), at(lines, "maintained"));
    lines.drain(first..last);
    let assess = EffectKind::Work { target: Target::Assess("a".into()) };
    let report = Some("not needed: it is new".to_owned());
    let run = ActionRun { action: 0, calls: 1, checkpoint: None, percent: 0, report };
    let said = Body::ActionCalled { target: Target::Assess("a".into()), run };
    let all = [("assess", admitted(0, assess)), ("said", said), ("assessed", done(0))];
    lines.splice(first..first, all);
}

#[test]
fn what_is_right_is_found_right() {
    assert_eq!(broken(|_| {}), []);
    assert_eq!(broken(assessed), []);
    // Given back once more, as nobody knew how the first time had ended.
    assert_eq!(
        broken(before("told the end", ("maintained again", stands(HostStage::Maintained, false)))),
        []
    );
    let report = verify(&[]);
    assert!(report.sessions.is_empty() && report.findings.is_empty());
}

#[track_caller]
fn check(change: impl FnOnce(&mut Vec<Line>), expected: &[Rule]) {
    assert_eq!(broken(change), expected);
}

#[test]
fn fenixs_own_host_goes_last_and_a_host_that_is_done_at_once_needed_nothing() {
    use Rule::*;
    let fenix_runs_there = |plan: &mut Plan| {
        plan.own_host = Some("a".into());
        plan.terms.own_host = true;
    };
    check(instead("opened", plan(fenix_runs_there)), &[]);
    check(instead("opened", plan(|plan| plan.own_host = Some("a".into()))), &[R6]);
    let before_b = |lines: &mut Vec<Line>| {
        instead("opened", plan(fenix_runs_there))(lines);
        before("fence", ("b joins", joined("b")))(lines);
    };
    check(before_b, &[R6, R7]);
    let never = |lines: &mut Vec<Line>| {
        assessed(lines);
        without("said")(lines);
    };
    check(never, &[R7]);
}

#[test]
fn what_is_wrong_is_found_and_named() {
    use Rule::*;
    let about = AskKind::PlannedMaintenance;
    check(without("agreed"), &[R1]);
    check(instead("agreed", replied(1, about, false, &[])), &[R1]);
    check(instead("agreed", replied(1, about, true, &[("i", MoveHow::LiveMigrate)])), &[R1]);
    check(before("move", ("asked again", asked(7, about, Some("a")))), &[R1]);
    let mate = |state| Instance { state, ..instance("j", "b") };
    let bears_one = Constraint::Group(GroupConstraint {
        group: "g".into(),
        project: "p".into(),
        name: String::new(),
        anti_affinity: None,
        max_instances_per_host: None,
        max_impacted_members: Some(1),
        recovery_time: Some(Millis::from_secs(60)),
        resource_mitigation: None,
        busy: Vec::new(),
    });
    check(before("+i", ("+j", seen(mate(InstanceState::Error)))), &[R2]);
    let recovers = |lines: &mut Vec<Line>| {
        lines.insert(0, ("+bears", Body::Constrained { constraint: bears_one }));
        before("+i", ("+j", seen(mate(InstanceState::Active))))(lines);
    };
    check(recovers, &[R2]);
    let lead = |secs: u64| {
        let stated = InstanceConstraint {
            instance: "i".into(),
            project: "p".into(),
            group: None,
            name: String::new(),
            max_interruption_time: None,
            migration_type: None,
            resource_mitigation: None,
            lead_time: Some(Millis::from_secs(secs)),
        };
        ("+lead", Body::Constrained { constraint: Constraint::Instance(stated) })
    };
    check(before("opened", lead(2)), &[]);
    check(before("opened", lead(3)), &[R3]);
    check(instead("opened", plan(|plan| plan.maintenance_at = Time(11 * SPAN))), &[R4]);
    check(instead("opened", plan(|plan| plan.window_end = Some(Time(16 * SPAN)))), &[R4]);
    check(without("+disabled"), &[R4]);
    check(without("+moved"), &[R4]);
    let small = Instance { resources: Resources::of(5, 1, 1), ..instance("i", "a") };
    check(instead("+i", seen(small)), &[R5]);
    check(instead("opened", plan(|plan| plan.terms.hosts_at_once = 0)), &[R6]);
    check(instead("released", done(9)), &[R7]);
    check(without("told the end"), &[R7]);
    check(without("is worked"), &[R7]);
    let parked = Condition::Parked { why: "w".into() };
    check(before("move", ("parked", Body::ConditionSet { condition: parked, reason: "w".into() })), &[R8]);
    check(instead("opened", plan(|plan| plan.terms.failure_budget = 0)), &[R9]);
    check(before("+moved", ("twice", admitted(8, moving("b")))), &[R7, R10]);
    check(without("joined"), &[R4, R7, R11]);
    check(instead("move", admitted(1, moving("nowhere"))), &[R5, R11]);
}
