//! Whole sessions on small clouds, on days on which nothing goes wrong by itself: what there is to crash in.

use std::collections::BTreeMap;

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{Failures, GroupSpec, HostSpec, InstanceSpec, ProjectSpec, Span, Times};
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::{GroupId, HostId, InstanceId, ProjectId};
use fenix_core::inventory::{HostKind, Movable, Resources};
use fenix_core::policy::{Policies, Policy, Terms};
use fenix_core::session::Stage;
use fenix_core::time::Millis;
use fenix_sim::managers::{Answer, Answers, Conduct, How, ManagerSpec};
use fenix_sim::scenario::{Action, Command, Operator, Order, Scenario, SessionSpec};
use fenix_sim::verdict::Measure;

/// A session to crash in.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) scenario: Scenario,
    /// How near it has to come to itself without a crash.
    pub(crate) measure: Measure,
    /// What it is there for: what managers are asked in it.
    pub(crate) asks: &'static [AskKind],
}

/// All of them.
pub(crate) fn all() -> Vec<Scene> {
    vec![full(), live(), own_action(), left_out(), failing(), held(), deleted()]
}

/// Half a host.
const HALF: Resources = Resources::of(4, 8192, 80);

/// When the session is asked for: long after its managers have subscribed, also with a server that is down meanwhile.
const BEGIN: Millis = Millis::from_secs(120);

/// How long after that work begins where administrators do something then: long after the session is there.
const LATER: Millis = Millis::from_secs(100);

/// Every host is full: room is asked for, and made; instances are moved cold; computes and controllers restarted.
fn full() -> Scene {
    let mut scenario =
        base(2, 2, &[("app-1", 1), ("app-2", 2), ("app-1", 2), ("app-2", 1)], MoveHow::Migrate);
    scenario.sessions[0].actions = vec![
        action("noop", Stage::Host, r#"{"percent_calls": 1}"#),
        action("reboot", Stage::Compute, ""),
        action("reboot", Stage::Controller, ""),
    ];
    use AskKind::{Maintenance, MaintenanceComplete, PlannedMaintenance, PrepareMaintenance, ScaleIn};
    let asks = &[Maintenance, ScaleIn, PrepareMaintenance, PlannedMaintenance, MaintenanceComplete];
    Scene { name: "full", scenario, measure: Measure::Same, asks }
}

/// There is room: instances, two of them in a group that bears one out, are moved live; hosts are restarted two at once.
fn live() -> Scene {
    let mut scenario =
        base(4, 0, &[("app-1", 1), ("app-1", 2), ("app-2", 2), ("app-2", 3)], MoveHow::LiveMigrate);
    scenario.cloud.group = vec![group("ha", "app-1")];
    for instance in scenario.cloud.instance.iter_mut().filter(|instance| instance.project.as_str() == "app-1")
    {
        instance.group = Some(GroupId::from("ha"));
    }
    let spec = &mut scenario.sessions[0];
    spec.terms = Terms { hosts_at_once: 2, hosts_at_once_per_zone: 2, ..spec.terms.clone() };
    spec.actions = vec![action("reboot", Stage::Host, "")];
    Scene { name: "live", scenario, measure: Measure::Same, asks: PLANNED }
}

/// The manager moves its instances by itself: it replaces each by a new one.
fn own_action() -> Scene {
    let mut scenario = base(3, 0, &[("app-1", 1), ("app-1", 2)], MoveHow::OwnAction);
    scenario.sessions[0].actions = vec![
        action("noop", Stage::Pre, ""),
        action("reboot", Stage::Compute, ""),
        action("noop", Stage::Post, ""),
    ];
    Scene { name: "own-action", scenario, measure: Measure::Same, asks: PLANNED }
}

/// An instance never arrives, moved live nor cold, and the action on controllers fails: these hosts are left out, and
/// since the last healthy controller stays, somebody has to end the session.
fn left_out() -> Scene {
    let mut scenario = base(3, 2, &[("app-1", 1)], MoveHow::LiveMigrate);
    scenario.cloud.failures = Failures { live_stays: 1.0, cold_stays: 1.0, ..Failures::default() };
    scenario.orders = vec![order(600, Command::Delete)];
    let spec = &mut scenario.sessions[0];
    spec.terms.policies =
        Policies { failed_move: Policy::Skip, failed_action: Policy::Skip, ..Policies::default() };
    spec.actions = vec![
        action("reboot", Stage::Compute, ""),
        action("noop", Stage::Controller, r#"{"fail": "as it was told"}"#),
    ];
    Scene { name: "left-out", scenario, measure: Measure::Same, asks: PLANNED }
}

/// A manager says no to the second host, which ends the session; then it is removed.
fn failing() -> Scene {
    let mut scenario = base(3, 0, &[("app-1", 1), ("app-1", 2)], MoveHow::Migrate);
    let answers = Answers { first: vec![Answer::Ack], then: Answer::Nack };
    scenario.managers[0].conduct.answers = BTreeMap::from([(AskKind::PlannedMaintenance, answers)]);
    scenario.sessions[0].actions = vec![action("reboot", Stage::Host, "")];
    scenario.operator = Operator { continues: 0, deletes: true };
    Scene { name: "failing", scenario, measure: Measure::Same, asks: PLANNED }
}

/// An administrator holds the session in its middle, lets it go on, and removes it when all is over.
fn held() -> Scene {
    let mut scenario = base(3, 0, &[("app-1", 1), ("app-2", 2)], MoveHow::Migrate);
    scenario.sessions[0].begins_in = LATER;
    scenario.sessions[0].actions = vec![action("reboot", Stage::Host, "")];
    scenario.orders = vec![
        order(250, Command::Pause),
        order(305, Command::Continue),
        order(335, Command::Pause),
        order(365, Command::Continue),
        order(2400, Command::Delete),
    ];
    Scene { name: "held", scenario, measure: Measure::Same, asks: PLANNED }
}

/// An administrator removes the session in its middle.
fn deleted() -> Scene {
    let mut scenario = base(3, 0, &[("app-1", 1), ("app-2", 2)], MoveHow::Migrate);
    scenario.sessions[0].begins_in = LATER;
    scenario.sessions[0].actions = vec![action("reboot", Stage::Host, "")];
    scenario.orders = vec![order(275, Command::Delete)];
    Scene { name: "deleted", scenario, measure: Measure::NoMore, asks: PLANNED }
}

/// What managers are asked where there is room.
const PLANNED: &[AskKind] =
    &[AskKind::Maintenance, AskKind::PlannedMaintenance, AskKind::MaintenanceComplete];

/// A cloud of so many computes, which take two instances each, and controllers; instances by project and compute; a
/// manager of each project, and somebody who hears everything; one session on all hosts.
fn base(computes: usize, controllers: usize, instances: &[(&str, usize)], how: MoveHow) -> Scenario {
    let mut cloud = Spec { times: times(), ..Spec::default() };
    cloud.host.extend((1..=computes).map(|number| host("compute", number, HostKind::Compute)));
    cloud.host.extend((1..=controllers).map(|number| host("controller", number, HostKind::Controller)));
    let projects = ["app-1", "app-2"].map(ProjectId::from);
    cloud.project = projects.iter().map(|id| ProjectSpec { id: id.clone() }).collect();
    for (number, (project, on)) in (1..).zip(instances) {
        cloud.instance.push(InstanceSpec {
            id: InstanceId::from(format!("vm-{number}")),
            name: String::new(),
            project: ProjectId::from(*project),
            group: None,
            host: Some(HostId::from(format!("compute-{on}"))),
            resources: HALF,
            movable: Movable::Any,
            stopped: false,
        });
    }
    let mut scenario = Scenario::new(1, cloud);
    let conduct = Conduct { how: How::All(how), careful: true, ..Conduct::default() };
    scenario.managers =
        projects.iter().map(|project| manager(project, "maintenance.scheduled", &conduct)).collect();
    scenario.managers.push(manager(&ProjectId::from("inspector"), "*", &conduct));
    scenario.sessions.push(SessionSpec {
        at: BEGIN,
        begins_in: Millis::from_secs(15),
        ..SessionSpec::new("default")
    });
    // Long after the last session that a crash held up: what mends at this moment may mend nothing here.
    scenario.calm_at = Millis::from_secs(3600);
    scenario
}

fn times() -> Times {
    Times {
        cold_ms: Span::Fixed(4000),
        live_ms: Span::Fixed(3000),
        boot_ms: Span::Fixed(2000),
        reboot_ms: Span::Fixed(6000),
        ..Times::default()
    }
}

fn host(name: &str, number: usize, kind: HostKind) -> HostSpec {
    let capacity = match kind {
        HostKind::Compute => HALF.plus(&HALF),
        HostKind::Controller | HostKind::Other => Resources::default(),
    };
    HostSpec {
        id: HostId::from(format!("{name}-{number}")),
        kind,
        zone: "nova".into(),
        capacity,
        disabled: None,
        down: false,
    }
}

fn group(id: &str, project: &str) -> GroupSpec {
    GroupSpec {
        id: GroupId::from(id),
        project: ProjectId::from(project),
        name: String::new(),
        anti_affinity: false,
        max_instances_per_host: 0,
        max_impacted_members: 1,
        recovery_ms: 2000,
    }
}

fn manager(project: &ProjectId, event_type: &str, conduct: &Conduct) -> ManagerSpec {
    ManagerSpec {
        project: project.clone(),
        event_type: event_type.into(),
        from: Millis::from_secs(1),
        away: Vec::new(),
        conduct: conduct.clone(),
    }
}

fn action(plugin: &str, stage: Stage, metadata: &str) -> Action {
    Action { plugin: plugin.into(), stage, metadata: metadata.into() }
}

fn order(secs: u64, what: Command) -> Order {
    Order { at: Millis::from_secs(secs), session: 0, what }
}
