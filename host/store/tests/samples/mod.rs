//! Records of every kind, and of every case inside a kind that has a serialized form of its own.

use std::collections::BTreeMap;

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow, Reply};
use fenix_core::caller::{Caller, Deed, Role};
use fenix_core::constraint::{Constrained, Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::decision::{Decision, Planned, Waiting};
use fenix_core::effect::{Effect, EffectKind, Outcome};
use fenix_core::grant::{Grant, Right};
use fenix_core::id::{AskId, EffectId, MessageId};
use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Movable, Resources, Service,
};
use fenix_core::message::{Content, Delivery, Format, Message, Secret, Subscription};
use fenix_core::package::{KeptPackage, Package, PackageSpec};
use fenix_core::policy::{Policies, Policy, SlowLive, Terms};
use fenix_core::record::{Body, Record};
use fenix_core::rules::{Refusal, Rule};
use fenix_core::session::{
    ActionRun, ActionSpec, Close, Condition, HostStage, HostWork, Phase, Pin, Plan, Stage, Target,
};
use fenix_core::standing::{Attached, PluginKind, Template};
use fenix_core::time::{Millis, Time};

const SESSION: &str = "0c4fd6f2-9a5b-4c3e-8d27-5b1f0e6a7c11";
const T0: u64 = 1_760_000_000_000;

/// The records, numbered from 1.
pub(crate) fn records() -> Vec<Record> {
    let installation = observed().into_iter().chain(subscriptions()).map(|body| (None, body));
    let session = [opening(), deciding(), asking(), doing(), telling()].concat();
    let session = session.into_iter().map(|body| (Some(SESSION.into()), body));
    // What came later stands at the end, so that the numbers before it stay.
    let later = standing().into_iter().map(|body| (None, body));
    let latest = one_by_one().into_iter().map(|body| (Some(SESSION.into()), body));
    let last = signed().into_iter().chain(commanded()).chain(special()).map(|body| (None, body));
    let brought = bringing().into_iter().map(|body| (Some(SESSION.into()), body));
    let granted = granting().into_iter().map(|body| (None, body));
    let kept = keeping().into_iter().map(|body| (Some(SESSION.into()), body));
    let wider = granting_more().into_iter().map(|body| (None, body));
    let all = installation.chain(session).chain(later).chain(latest).chain(last);
    let judged = judging().into_iter().map(|body| (Some(SESSION.into()), body));
    let all = all.chain(brought).chain(granted).chain(kept).chain(wider).chain(judged);
    let numbered = all.zip(1..);
    numbered.map(|((session, body), seq)| Record { seq, at: Time(T0 + seq * 250), session, body }).collect()
}

fn observed() -> Vec<Body> {
    let resources = Resources::of(4, 8192, 40);
    let host = |kind, service| Host {
        id: "compute-1".into(),
        kind,
        zone: "rack-b".into(),
        capacity: resources.plus(&resources),
        service,
        up: true,
        boot: "boot-17".into(),
        dead: false,
    };
    let instance = |state, movable, other_end: Option<&str>| Instance {
        id: "0d6e".into(),
        name: "ha-app \u{1F525} \"1\"".into(),
        project: "demo".into(),
        group: other_end.map(|_| "ha".into()),
        host: "compute-1".into(),
        resources: resources.clone(),
        state,
        other_end: other_end.map(Into::into),
        movable,
        progress: None,
    };
    let disabled = || Service::Disabled { reason: "disk is \\ slow".into() };
    let pinned = || Movable::No { reason: "pass-through disk".into() };
    let group = Group {
        id: "ha".into(),
        project: "demo".into(),
        name: "pair".into(),
        anti_affinity: true,
        max_instances_per_host: 1,
        max_impacted_members: 1,
        recovery_time: Millis::from_secs(4),
    };
    let changes = vec![
        Change::Host(host(HostKind::Compute, Service::Enabled)),
        Change::Host(host(HostKind::Controller, Service::Absent)),
        Change::Host(host(HostKind::Other, disabled())),
        Change::HostGone("compute-2".into()),
        Change::Instance(instance(InstanceState::Active, Movable::Any, None)),
        Change::Instance(instance(InstanceState::Building, Movable::ColdOnly, None)),
        Change::Instance(instance(InstanceState::Moving, Movable::Any, Some("compute-3"))),
        Change::Instance(instance(InstanceState::Moved, Movable::Any, Some("compute-3"))),
        Change::Instance(instance(InstanceState::Stopped, pinned(), None)),
        Change::Instance(instance(InstanceState::Error, Movable::Any, None)),
        Change::InstanceGone("0d6e".into()),
        Change::Group(group),
        Change::GroupGone("ha".into()),
    ];
    changes.into_iter().map(|change| Body::Observed { change }).collect()
}

fn subscriptions() -> Vec<Body> {
    let subscription = Subscription {
        id: "sub-1".into(),
        project: "demo".into(),
        event_type: "maintenance.*".into(),
        url: "http://127.0.0.1:12348/maintenance".into(),
        format: Format::Aodh,
    };
    vec![Body::Subscribed { subscription }, Body::Unsubscribed { id: "sub-1".into() }]
}

fn signed() -> Vec<Body> {
    let subscription = Subscription {
        id: "sub-2".into(),
        project: "demo".into(),
        event_type: "maintenance.*".into(),
        url: "http://127.0.0.1:12348/maintenance".into(),
        format: Format::CloudEvents { secret: Secret::new("0123456789abcdef") },
    };
    vec![Body::Subscribed { subscription }]
}

fn standing() -> Vec<Body> {
    let bare = InstanceConstraint {
        instance: "0d6e".into(),
        project: "demo".into(),
        group: None,
        name: String::new(),
        max_interruption_time: None,
        migration_type: None,
        resource_mitigation: None,
        lead_time: None,
    };
    let whole = InstanceConstraint {
        group: Some("ha".into()),
        name: "ha-app-1".into(),
        max_interruption_time: Some(Millis::from_secs(120)),
        migration_type: Some(MoveHow::OwnAction),
        resource_mitigation: Some(true),
        lead_time: Some(Millis::from_secs(40)),
        ..bare.clone()
    };
    let group = |said: bool| GroupConstraint {
        group: "ha".into(),
        project: "demo".into(),
        name: "pair".into(),
        anti_affinity: said.then_some(true),
        max_instances_per_host: said.then_some(1),
        max_impacted_members: said.then_some(2),
        recovery_time: said.then_some(Millis::from_secs(4)),
        resource_mitigation: said.then_some(false),
        busy: Vec::new(),
    };
    let constraints = [
        Constraint::Instance(bare),
        Constraint::Instance(whole),
        Constraint::Group(group(true)),
        Constraint::Group(group(false)),
    ];
    let about = [Constrained::Instance("0d6e".into()), Constrained::Group("ha".into())];
    let pin =
        Pin { name: "hello".into(), version: "0.1.0".into(), digest: "cd".repeat(32).into(), undoes: false };
    let attached = [PluginKind::Workflow, PluginKind::Action].map(|kind| Attached { pin: pin.clone(), kind });
    let template = Template {
        name: "nightly".into(),
        description: "every compute host".into(),
        body: "{\"workflow\":\"default\"}".into(),
    };
    let mut bodies: Vec<Body> =
        constraints.into_iter().map(|constraint| Body::Constrained { constraint }).collect();
    bodies.extend(about.map(|about| Body::Unconstrained { about }));
    bodies.extend(attached.map(|plugin| Body::PluginAttached { plugin }));
    bodies.push(Body::PluginDetached { name: "hello".into() });
    bodies.push(Body::TemplateSaved { template });
    bodies.push(Body::TemplateRemoved { name: "nightly".into() });
    bodies.push(Body::QuarantineCleared { host: "compute-1".into() });
    bodies
}

fn commanded() -> [Body; 3] {
    [Role::Administrator, Role::Project("blue".into()), Role::Reader].map(|role| {
        let by = Caller { name: "alice".into(), role, from: Some("192.0.2.7".into()) };
        let about = "ACK_MAINTENANCE for project blue".into();
        Body::Commanded { by, did: Deed { command: "reply".into(), session: Some(SESSION.into()), about } }
    })
}

/// Hosts and instances with what few clouds have.
fn special() -> [Body; 2] {
    let cards = [("CUSTOM_FPGA".to_owned(), 2), ("PCPU".to_owned(), 4)].into_iter().collect();
    let resources = Resources { other: cards, ..Resources::of(4, 8192, 40) };
    let host = Host {
        id: "compute-9".into(),
        kind: HostKind::Compute,
        zone: "rack-b".into(),
        capacity: resources.clone(),
        service: Service::Enabled,
        up: false,
        boot: String::new(),
        dead: true,
    };
    let instance = Instance {
        id: "0d6f".into(),
        name: "gpu".into(),
        project: "demo".into(),
        group: None,
        host: "compute-9".into(),
        resources,
        state: InstanceState::Moving,
        other_end: Some("compute-8".into()),
        movable: Movable::Any,
        progress: Some(40),
    };
    [Change::Host(host), Change::Instance(instance)].map(|change| Body::Observed { change })
}

fn one_by_one() -> Vec<Body> {
    let message = Message {
        id: MessageId(9),
        to: "sub-1".into(),
        content: Content::AskInstance(AskId(3), "0d6e".into()),
        queued_at: Time(T0),
        not_before: Time(T0),
        valid_until: Time(T0 + 86_400_000),
    };
    let (ask, instance) = (AskId(3), "0d6e".into());
    vec![Body::Queued { message }, Body::PartlyReplied { ask, instance, how: MoveHow::LiveMigrate }]
}

fn opening() -> Vec<Body> {
    let pin = |name: &str| Pin {
        name: name.into(),
        version: "0.1.0".into(),
        digest: "ab".repeat(32).into(),
        undoes: false,
    };
    let stages = [Stage::Pre, Stage::Host, Stage::Compute, Stage::Controller, Stage::Post];
    let action = |stage| ActionSpec { plugin: pin("reboot"), stage, metadata: "{\"soft\":true}".into() };
    let plan = |window_end, terms| Plan {
        maintenance_at: Time(T0 + 120_000),
        window_end,
        metadata: "{\"openstack_version\":\"Train\"}".into(),
        workflow: pin("default"),
        actions: stages.map(action).to_vec(),
        terms,
        own_host: None,
    };
    let other_policies = Policies {
        silence: Policy::Skip,
        nack: Policy::Wait,
        unmanaged: Policy::Force,
        failed_move: Policy::Stop,
        failed_action: Policy::Retry,
        slow_live: SlowLive::default(),
    };
    let other_terms =
        Terms { policies: other_policies, hosts_at_once: 3, ask_per_instance: true, ..Terms::default() };
    let joined = |found, stage| Body::HostJoined {
        host: "compute-1".into(),
        work: HostWork { kind: HostKind::Compute, found, stage, since: Time(T0), fenced: false },
    };
    let quarantined = HostStage::Quarantined { why: "two hands are needed".into(), begun: false };
    vec![
        Body::Opened { plan: plan(None, Terms::default()), rules: 1 },
        Body::Opened { plan: plan(Some(Time(T0 + 9_000_000)), other_terms), rules: 2 },
        joined(Service::Enabled, HostStage::Waiting),
        joined(Service::Disabled { reason: "spare".into() }, quarantined),
        Body::ProjectJoined { project: "demo".into(), managed: true },
    ]
}

fn deciding() -> Vec<Body> {
    let wanted = [
        Decision::Ask { project: "demo".into(), kind: AskKind::ScaleIn, host: None },
        Decision::Fence { host: "compute-1".into() },
        Decision::Release { host: "compute-1".into() },
        Decision::Move {
            instance: "0d6e".into(),
            to: "compute-3".into(),
            how: MoveHow::Migrate,
            ask: Some(AskId(3)),
        },
        Decision::Work { target: Target::Pre },
        Decision::Enter { phase: Phase::ScaleIn },
        Decision::Quarantine { host: "compute-1".into() },
        Decision::Fail,
        Decision::Note { key: "round".into(), value: Some("2".into()) },
    ];
    let rules = [Rule::R1, Rule::R2, Rule::R3, Rule::R4, Rule::R5, Rule::R6, Rule::R7, Rule::R8, Rule::R9]
        .into_iter()
        .chain([Rule::R10, Rule::R11]);
    let refused = wanted.into_iter().cycle().zip(rules).map(|(decision, rule)| {
        let planned = Planned { decision, reason: "the host is next".into(), group: 1 };
        (planned, Refusal { rule, why: "one member is out already".into() })
    });
    let waiting = Waiting { on: "the answer of demo".into(), until: Some(Time(T0 + 40_000)) };
    let phases = [
        Phase::Maintenance,
        Phase::ScaleIn,
        Phase::PrepareMaintenance,
        Phase::StartMaintenance,
        Phase::PlannedMaintenance,
        Phase::MaintenanceComplete,
        Phase::MaintenanceDone,
        Phase::MaintenanceFailed,
    ];
    let conditions = [
        Condition::Running,
        Condition::Paused,
        Condition::Parked { why: "three identical refusals".into() },
        Condition::Closing { why: Close::Done },
        Condition::Closing { why: Close::Failed },
        Condition::Closing { why: Close::Deleted },
        Condition::Ended,
    ];
    let reason = || "because".to_owned();
    let mut bodies = vec![
        Body::Decided { waiting, refused: refused.collect() },
        Body::Decided { waiting: Waiting::default(), refused: Vec::new() },
        Body::Undecided { why: "the workflow was ended: all fuel consumed".into() },
    ];
    bodies.extend(phases.map(|phase| Body::Entered { phase, reason: reason() }));
    bodies.extend(conditions.map(|condition| Body::ConditionSet { condition, reason: reason() }));
    bodies.push(Body::Failed { reason: "demo said no".into() });
    bodies.push(Body::Continued { phase: Phase::StartMaintenance });
    bodies
}

fn bringing() -> Vec<Body> {
    let pin = |name: &str| Pin {
        name: name.into(),
        version: "1.2.0".into(),
        digest: "ef".repeat(32).into(),
        undoes: false,
    };
    let spec = |sha256, signature: Option<&str>| PackageSpec {
        name: "upgrade".into(),
        url: "https://repo.example/upgrade.tar.gz".into(),
        sha256,
        signature: signature.map(str::to_owned),
    };
    let package = |plugins| Package {
        name: "upgrade".into(),
        digest: "ab".repeat(32).into(),
        bytes: 3_221_225_472,
        plugins,
    };
    let attached = vec![Attached { pin: pin("upgrade"), kind: PluginKind::Action }];
    vec![
        Body::PackageWanted { package: spec(None, None) },
        Body::PackageWanted { package: spec(Some("ab".repeat(32).into()), Some("untrusted comment: x")) },
        Body::PackageFetched { package: package(Vec::new()) },
        Body::PackageFetched { package: package(attached) },
        Body::PluginsPinned { workflow: pin("default"), actions: vec![pin("upgrade"), pin("noop")] },
    ]
}

fn granting() -> Vec<Body> {
    let http = Right::Http("POST https://hooks.example/v1/* with token".parse().expect("a rule"));
    let all = [Right::Cloud, Right::Packages, http];
    let grant = |rights: &[Right]| Grant { digest: "ab".repeat(32).into(), rights: rights.to_vec() };
    let package = KeptPackage { digest: "ab".repeat(32).into(), bytes: 3_221_225_472 };
    vec![
        Body::Granted { grant: grant(&[]) },
        Body::Granted { grant: grant(&all) },
        Body::Revoked { digest: "ab".repeat(32).into() },
        Body::PackageDropped { digest: package.digest.clone() },
        Body::PackageKept { package },
    ]
}

fn keeping() -> Vec<Body> {
    let kept = |value: Option<&str>| Body::ValueKept {
        plugin: "masakari".into(),
        key: "was compute-1".into(),
        value: value.map(str::to_owned),
    };
    vec![kept(Some("false")), kept(None)]
}

fn judging() -> Vec<Body> {
    let targets = [
        Target::Assess("compute-1".into()),
        Target::Gate("compute-1".into()),
        Target::Undo("compute-1".into()),
    ];
    let admitted = |(number, target): (u32, &Target)| Body::Admitted {
        effect: Effect {
            id: EffectId(100 + number),
            kind: EffectKind::Work { target: target.clone() },
            reason: "is anything to be done on it?".into(),
            admitted_at: Time(T0),
            deadline: Time(T0 + 3_600_000),
            unclear_at: None,
            unknown: None,
        },
    };
    let called = |target: &Target| Body::ActionCalled {
        target: target.clone(),
        run: ActionRun { calls: 1, report: Some("not needed: it is new".into()), ..ActionRun::of(0) },
    };
    let pin = Pin {
        name: "ssh-upgrade".into(),
        version: "0.1.0".into(),
        digest: "ab".repeat(32).into(),
        undoes: true,
    };
    let pinned = Body::PluginsPinned { workflow: Pin { undoes: false, ..pin.clone() }, actions: vec![pin] };
    (0..).zip(&targets).map(admitted).chain(targets.iter().map(called)).chain([pinned]).collect()
}

fn granting_more() -> Vec<Body> {
    let remote = Right::Remote("apt-get install --yes ./* **".parse().expect("a rule"));
    vec![Body::Granted { grant: Grant { digest: "ab".repeat(32).into(), rights: vec![Right::Kv, remote] } }]
}

fn asking() -> Vec<Body> {
    let choice = BTreeMap::from([
        ("0d6e".into(), MoveHow::Migrate),
        ("11aa".into(), MoveHow::LiveMigrate),
        ("22bb".into(), MoveHow::OwnAction),
    ]);
    let ask = |kind, delivered: Option<u64>, status| Ask {
        id: AskId(3),
        project: "demo".into(),
        kind,
        round: 2,
        instances: vec!["0d6e".into(), "11aa".into()],
        host: delivered.map(|_| "compute-1".into()),
        opened_at: Time(T0),
        window: Millis::from_secs(40),
        delivered_at: delivered.map(Time),
        reply_by: Time(T0 + 120_000),
        ended_at: delivered.map(Time),
        chosen: delivered.map(|_| ("0d6e".into(), MoveHow::Migrate)).into_iter().collect(),
        status,
    };
    let statuses = [
        AskStatus::Acked { actions: choice.clone() },
        AskStatus::Nacked,
        AskStatus::Expired,
        AskStatus::Undelivered,
        AskStatus::Void,
        AskStatus::Open,
    ];
    let mut bodies: Vec<Body> = AskKind::ALL
        .into_iter()
        .map(|kind| Body::Asked { ask: ask(kind, None, AskStatus::Open), reason: "it is time".into() })
        .collect();
    let ended = ask(AskKind::Maintenance, Some(T0 + 5), AskStatus::Nacked);
    bodies.push(Body::Asked { ask: ended, reason: "again".into() });
    bodies.push(Body::AskDelivered { ask: AskId(3), reply_by: Time(T0 + 40_100) });
    bodies.push(Body::AskExtended { ask: AskId(3), reply_by: Time(T0 + 60_100) });
    let reply = |agrees, actions| Reply { kind: AskKind::PlannedMaintenance, agrees, actions };
    bodies.push(Body::Replied { project: "demo".into(), ask: Some(AskId(3)), reply: reply(true, choice) });
    bodies.push(Body::Replied { project: "demo".into(), ask: None, reply: reply(false, BTreeMap::new()) });
    bodies.extend(statuses.map(|status| Body::AskEnded { ask: AskId(3), status }));
    bodies
}

fn doing() -> Vec<Body> {
    let work = |target| EffectKind::Work { target };
    let moving = |how, ask| EffectKind::Move {
        instance: "0d6e".into(),
        from: "compute-1".into(),
        to: "compute-3".into(),
        how,
        ask,
    };
    let kinds = [
        EffectKind::Fence { host: "compute-1".into() },
        EffectKind::Release { host: "compute-1".into() },
        moving(MoveHow::LiveMigrate, Some(AskId(3))),
        moving(MoveHow::Migrate, None),
        work(Target::Pre),
        work(Target::Host("compute-1".into())),
        work(Target::Post),
    ];
    let admitted = kinds.into_iter().zip(1..).map(|(kind, id)| Body::Admitted {
        effect: Effect {
            id: EffectId(id),
            kind,
            reason: "compute-1 is next".into(),
            admitted_at: Time(T0),
            deadline: Time(T0 + 600_000),
            unclear_at: (id > 5).then_some(Time(T0 + 1000)),
            unknown: (id == 7).then(|| "no answer".into()),
        },
    });
    let outcomes = [
        Outcome::Done,
        Outcome::Failed { why: "the cloud refused: no room".into() },
        Outcome::Withdrawn { rule: Rule::R5, seen: "compute-3 is full".into() },
        Outcome::Unknown { why: "no answer for 60 s".into() },
    ];
    let stages = [
        HostStage::Waiting,
        HostStage::Fenced,
        HostStage::Working,
        HostStage::Worked,
        HostStage::Maintained,
        HostStage::Quarantined { why: "the upgrade failed".into(), begun: true },
    ];
    let run = |calls, checkpoint: Option<&str>, report: Option<&str>| ActionRun {
        action: 0,
        calls,
        checkpoint: checkpoint.map(Into::into),
        percent: if report.is_some() { 100 } else { 40 },
        report: report.map(Into::into),
    };
    let target = || Target::Host("compute-1".into());
    let mut bodies: Vec<Body> = admitted.collect();
    bodies.push(Body::EffectUnclear { effect: EffectId(1) });
    bodies.extend(outcomes.map(|outcome| Body::EffectEnded { effect: EffectId(1), outcome }));
    bodies.extend(stages.map(|stage| Body::HostMoved {
        host: "compute-1".into(),
        fenced: stage == HostStage::Fenced,
        stage,
    }));
    bodies.push(Body::ActionCalled { target: target(), run: run(1, Some("boot-17"), None) });
    bodies.push(Body::ActionCalled { target: target(), run: run(2, None, Some("rebooted in 40 s")) });
    bodies.push(Body::Noted { key: "round".into(), value: Some("2".into()) });
    bodies.push(Body::Noted { key: "round".into(), value: None });
    bodies
}

fn telling() -> Vec<Body> {
    let contents = [
        Content::Ask(AskId(3)),
        Content::ActionDone("0d6e".into()),
        Content::ActionFallback("0d6e".into()),
        Content::Host { host: "compute-1".into(), in_maintenance: true },
        Content::Session { state: Phase::StartMaintenance, percent: 40 },
    ];
    let queued = contents.into_iter().zip(1..).map(|(content, id)| Body::Queued {
        message: Message {
            id: MessageId(id),
            to: "sub-1".into(),
            content,
            queued_at: Time(T0),
            not_before: Time(T0 + 1000),
            valid_until: Time(T0 + 86_400_000),
        },
    });
    let deliveries = [
        Delivery::Delivered,
        Delivery::Rejected { why: "404 Not Found".into() },
        Delivery::Expired { why: "connection refused".into() },
        Delivery::Dropped,
    ];
    let mut bodies: Vec<Body> = queued.collect();
    bodies.extend(deliveries.map(|delivery| Body::MessageEnded { message: MessageId(1), delivery }));
    bodies.push(Body::Removed);
    bodies
}
