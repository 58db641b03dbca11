//! Scenarios of all kinds, from a seed.

use std::collections::BTreeMap;

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{
    Failures, GroupSpec, HostSpec, InstanceSpec, Others, ProjectSpec, Span, Times, Wire,
};
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::id::{HostId, InstanceId, ProjectId};
use fenix_core::inventory::{HostKind, Movable, Resources};
use fenix_core::policy::{Policies, Policy, Terms};
use fenix_core::session::Stage;
use fenix_core::time::Millis;
use fenix_store::Failure;

use crate::dice::{Dice, Purpose};
use crate::managers::{Answer, Answers, Conduct, How, ManagerSpec, ScaleIn};
use crate::scenario::{
    Action, Command, Faults, Freeze, Kill, Operator, Order, Point, Scenario, SessionSpec, When,
};

/// What kind of scenario.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The workflow's name.
    pub workflow: String,
    /// The names of actions that run on hosts; each session has some of them.
    pub actions: Vec<String>,
    /// How much goes wrong, of a thousand that could: 0 is a good day.
    pub trouble: u32,
    /// True if others boot, delete, resize, move and disable.
    pub others: bool,
    /// True if administrators pause, continue and delete at random.
    pub meddling: bool,
}

impl Profile {
    /// Everything that can go wrong does, now and then.
    pub fn faulty(workflow: &str, actions: &[&str]) -> Profile {
        Profile {
            workflow: workflow.into(),
            actions: actions.iter().map(|&name| name.into()).collect(),
            trouble: 1000,
            others: true,
            meddling: true,
        }
    }
}

/// What one host offers: room for four small instances, or two large ones.
const HOST: Resources = Resources { vcpus: 8, memory_mb: 16_384, disk_gb: 160 };

/// A quarter of a host.
const SMALL: Resources = Resources { vcpus: 2, memory_mb: 4096, disk_gb: 40 };

/// Half a host.
const LARGE: Resources = Resources { vcpus: 4, memory_mb: 8192, disk_gb: 80 };

/// One session on a cloud of four to twelve hosts: full or with room to spare, several applications with all kinds of
/// managers, and whatever the profile says that goes wrong.
pub fn session(seed: u64, profile: &Profile) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Scenario);
    let mut cloud = Spec { times: times(), ..Spec::default() };
    let computes = dice.between(3, 9) as usize;
    let controllers = dice.between(2, 3) as usize;
    let zones = dice.between(1, 3);
    hosts(&mut cloud, computes, controllers, zones, &mut dice);
    let projects = projects(&mut cloud, &mut dice);
    let spare = match dice.below(4) {
        0 => 0,
        1 => dice.between(1, 4),
        _ => dice.between(4, 4 * computes as u64 / 2 + 4),
    };
    fill(&mut cloud, &projects, computes as u64 * 4 - spare.min(computes as u64 * 4 - 2), &mut dice);
    let mut scenario = Scenario::new(seed, cloud);
    let unmanaged = dice.chance(250);
    for (number, project) in projects.iter().enumerate() {
        if number > 0 || !unmanaged {
            let conduct = conduct(profile, &mut dice);
            scenario.managers.push(manager(project, conduct, profile, &mut dice));
        }
    }
    if dice.chance(300) {
        let listener = ProjectId::from("inspector");
        let spec = ManagerSpec { event_type: "*".into(), ..plain_manager(&listener) };
        scenario.managers.push(spec);
    }
    scenario.sessions.push(session_spec(profile, unmanaged, &mut dice));
    trouble(&mut scenario, profile, &mut dice);
    scenario
}

/// Two sessions on disjoint hosts that share a group which bears one member out, and the last free slot of the cloud.
pub fn two_sessions(seed: u64, profile: &Profile) -> Scenario {
    let mut dice = Dice::new(seed, Purpose::Scenario);
    let mut cloud = Spec { times: times(), ..Spec::default() };
    let half = dice.between(2, 3) as usize;
    hosts(&mut cloud, half * 2, 2, 2, &mut dice);
    for host in &mut cloud.host {
        host.disabled = None;
    }
    // The last compute is in nobody's session; it has the one free slot, or two.
    cloud.host.push(compute(half * 2 + 1, "zone-3"));
    let (shared, other) = (ProjectId::from("shared"), ProjectId::from("other"));
    cloud.project = vec![ProjectSpec { id: shared.clone() }, ProjectSpec { id: other.clone() }];
    cloud.group = vec![group("ha", &shared, dice.chance(500), dice.between(0, 20_000))];
    let slots = (half * 2 + 1) * 4;
    let free = dice.between(1, 2) as usize;
    for slot in 0..slots - free {
        let host = HostId::from(format!("compute-{}", slot / 4 + 1));
        // One member on each host, of both halves.
        let member = slot % 4 == 0 && slot / 4 < half * 2;
        let owner = if member || dice.chance(400) { &shared } else { &other };
        cloud.instance.push(InstanceSpec {
            group: member.then(|| "ha".into()),
            host: Some(host),
            ..instance(&format!("vm-{:02}", slot + 1), owner, SMALL)
        });
    }
    let mut scenario = Scenario::new(seed, cloud);
    for project in [&shared, &other] {
        let how = if dice.chance(500) { How::All(MoveHow::Migrate) } else { How::All(MoveHow::LiveMigrate) };
        let conduct = Conduct { how, ..Conduct::default() };
        scenario.managers.push(ManagerSpec { conduct, ..plain_manager(project) });
    }
    let names = |from: usize, to: usize| (from..=to).map(|n| HostId::from(format!("compute-{n}"))).collect();
    let terms = Terms { hosts_at_once: 2, hosts_at_once_per_zone: 4, ..patient_terms() };
    for hosts in [names(1, half), names(half + 1, half * 2)] {
        let mut spec = session_spec(profile, false, &mut dice);
        spec = SessionSpec {
            hosts,
            terms: terms.clone(),
            window: None,
            begins_in: Millis::from_secs(30),
            ..spec
        };
        spec.at = Millis::from_secs(5) + dice.span(0, 20_000);
        scenario.sessions.push(spec);
    }
    trouble(&mut scenario, profile, &mut dice);
    scenario
}

/// Sessions of a workflow that keeps asking for more ([`crate::reckless`]), alone or in twos by the seed, on terms that
/// let it: what it wants is then bound by the rules alone.
pub fn reckless(seed: u64, profile: &Profile) -> Scenario {
    let mut scenario =
        if seed.is_multiple_of(2) { session(seed, profile) } else { two_sessions(seed, profile) };
    for spec in &mut scenario.sessions {
        spec.terms.rounds = 1000;
        spec.terms.failure_budget = 1000;
    }
    scenario
}

/// Seconds instead of minutes, so that less is polled for; whole sessions stay as entangled as they are.
fn times() -> Times {
    Times {
        cold_ms: Span::Between { min: 2_000, max: 10_000 },
        live_ms: Span::Between { min: 1_000, max: 8_000 },
        evacuate_ms: Span::Between { min: 2_000, max: 10_000 },
        resize_ms: Span::Between { min: 2_000, max: 8_000 },
        boot_ms: Span::Between { min: 1_000, max: 4_000 },
        reboot_ms: Span::Between { min: 8_000, max: 40_000 },
    }
}

fn compute(number: usize, zone: &str) -> HostSpec {
    HostSpec {
        id: HostId::from(format!("compute-{number}")),
        kind: HostKind::Compute,
        zone: zone.into(),
        capacity: HOST,
        disabled: None,
        down: false,
    }
}

fn hosts(cloud: &mut Spec, computes: usize, controllers: usize, zones: u64, dice: &mut Dice) {
    for number in 1..=computes {
        let mut host = compute(number, &format!("zone-{}", dice.between(1, zones)));
        if number > 2 && dice.chance(50) {
            host.disabled = Some("found so".into());
        }
        cloud.host.push(host);
    }
    for number in 1..=controllers {
        let host = compute(number, "internal");
        let id = HostId::from(format!("controller-{number}"));
        let capacity = Resources::default();
        cloud.host.push(HostSpec { id, kind: HostKind::Controller, capacity, ..host });
    }
}

fn group(id: &str, project: &ProjectId, anti_affinity: bool, recovery_ms: u64) -> GroupSpec {
    GroupSpec {
        id: id.into(),
        project: project.clone(),
        name: String::new(),
        anti_affinity,
        max_instances_per_host: 0,
        max_impacted_members: 1,
        recovery_ms,
    }
}

fn projects(cloud: &mut Spec, dice: &mut Dice) -> Vec<ProjectId> {
    let count = dice.between(1, 4);
    let projects: Vec<ProjectId> = (1..=count).map(|n| ProjectId::from(format!("app-{n}"))).collect();
    for project in &projects {
        cloud.project.push(ProjectSpec { id: project.clone() });
        for number in 0..dice.below(3) {
            let mut spec =
                group(&format!("{project}-ha-{number}"), project, dice.chance(500), dice.between(0, 20_000));
            spec.max_impacted_members = dice.weighted(&[(8, 1), (2, 2)]);
            if dice.chance(200) {
                spec.max_instances_per_host = 2;
            }
            cloud.group.push(spec);
        }
    }
    projects
}

fn instance(id: &str, project: &ProjectId, resources: Resources) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::from(id),
        name: String::new(),
        project: project.clone(),
        group: None,
        host: None,
        resources,
        movable: Movable::Any,
        stopped: false,
    }
}

/// Puts instances on the computes until so many quarters of hosts are taken.
fn fill(cloud: &mut Spec, projects: &[ProjectId], quarters: u64, dice: &mut Dice) {
    let open: Vec<HostId> = cloud
        .host
        .iter()
        .filter(|host| host.kind == HostKind::Compute && host.disabled.is_none())
        .map(|host| host.id.clone())
        .collect();
    let mut free: BTreeMap<HostId, u64> = open.iter().map(|host| (host.clone(), 4)).collect();
    let mut members: BTreeMap<(String, HostId), u32> = BTreeMap::new();
    let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
    let quarters = quarters.min(open.len() as u64 * 4);
    let mut taken = 0;
    let mut number = 0;
    while taken < quarters {
        let need = if quarters - taken >= 2 && dice.chance(250) { 2 } else { 1 };
        let roomy: Vec<&HostId> =
            free.iter().filter(|(_, free)| **free >= need).map(|(host, _)| host).collect();
        let Some(host) = dice.pick(&roomy).map(|host| (*host).clone()) else {
            if need == 1 { break } else { continue }
        };
        let Some(project) = dice.pick(projects) else { break };
        let own: Vec<&GroupSpec> = cloud.group.iter().filter(|group| group.project == *project).collect();
        let group = if dice.chance(400) { dice.pick(&own).copied() } else { None };
        let group = group.filter(|group| {
            let most = match (group.anti_affinity, group.max_instances_per_host) {
                (true, _) => 1,
                (false, 0) => u32::MAX,
                (false, most) => most,
            };
            let here = members.get(&(group.id.to_string(), host.clone())).copied().unwrap_or_default();
            let size = sizes.get(group.id.as_str()).copied().unwrap_or_default();
            // An anti-affinity group as large as the cloud could never move.
            here < most && (!group.anti_affinity || (size as usize) + 1 < open.len())
        });
        number += 1;
        let mut spec = instance(&format!("vm-{number:02}"), project, if need == 2 { LARGE } else { SMALL });
        if let Some(group) = group {
            *members.entry((group.id.to_string(), host.clone())).or_default() += 1;
            *sizes.entry(group.id.to_string()).or_default() += 1;
            spec.group = Some(group.id.clone());
        }
        if dice.chance(60) {
            spec.movable = Movable::ColdOnly;
        }
        spec.stopped = dice.chance(30);
        if let Some(free) = free.get_mut(&host) {
            *free -= need;
        }
        spec.host = Some(host);
        taken += need;
        cloud.instance.push(spec);
    }
}

fn plain_manager(project: &ProjectId) -> ManagerSpec {
    ManagerSpec {
        project: project.clone(),
        event_type: "maintenance.scheduled".into(),
        from: Millis::from_secs(1),
        away: Vec::new(),
        conduct: Conduct::default(),
    }
}

fn manager(project: &ProjectId, conduct: Conduct, profile: &Profile, dice: &mut Dice) -> ManagerSpec {
    let mut spec = ManagerSpec { conduct, ..plain_manager(project) };
    if dice.chance(profile.trouble / 10) {
        spec.from = dice.span(1_000, 600_000);
    }
    for _ in 0..dice.below(1 + u64::from(profile.trouble / 400)) {
        let from = dice.span(10_000, 1_200_000);
        spec.away.push((from, from + dice.span(5_000, 200_000)));
    }
    spec
}

fn conduct(profile: &Profile, dice: &mut Dice) -> Conduct {
    let mut answers = BTreeMap::new();
    if dice.chance(profile.trouble / 2) {
        for kind in AskKind::ALL {
            if dice.chance(300) {
                answers.insert(kind, some_answers(dice));
            }
        }
    }
    let lies = dice.chance(profile.trouble / 8);
    let how = dice.weighted(&[
        (3, How::All(MoveHow::Migrate)),
        (3, How::All(MoveHow::LiveMigrate)),
        (1, How::All(MoveHow::OwnAction)),
        (3, How::Mixed),
    ]);
    Conduct {
        careful: false,
        answers,
        scale_in: if lies { ScaleIn::Lies } else { ScaleIn::Gives(dice.between(1, 4) as u32) },
        how,
        doubles: dice.chance(250),
        at_once: dice.chance(250),
    }
}

/// A fault for a while, mostly; for ever, sometimes.
fn some_answers(dice: &mut Dice) -> Answers {
    let fault =
        dice.weighted(&[(2, Answer::Nack), (3, Answer::Silent), (3, Answer::Slow), (2, Answer::Late)]);
    let times = dice.between(1, 2) as usize;
    let then = if dice.chance(150) { fault } else { Answer::Ack };
    Answers { first: vec![fault; times], then }
}

/// Terms under which two sessions wait for each other.
fn patient_terms() -> Terms {
    Terms { rounds: 5, failure_budget: 20, ..Terms::default() }
}

fn session_spec(profile: &Profile, unmanaged: bool, dice: &mut Dice) -> SessionSpec {
    let policy = |dice: &mut Dice| {
        dice.weighted(&[(4, Policy::Retry), (1, Policy::Skip), (1, Policy::Stop), (1, Policy::Wait)])
    };
    let mut policies = Policies::default();
    if dice.chance(500) {
        policies = Policies {
            silence: policy(dice),
            nack: policy(dice),
            failed_move: policy(dice),
            failed_action: policy(dice),
            ..policies
        };
    }
    if dice.chance(40) {
        policies.silence = Policy::Force;
    }
    if unmanaged {
        policies.unmanaged = dice.weighted(&[(6, Policy::Force), (1, Policy::Stop), (1, Policy::Skip)]);
    }
    let hosts_at_once = dice.between(1, 2) as u32;
    let mut terms =
        Terms { policies, hosts_at_once, hosts_at_once_per_zone: hosts_at_once, ..Terms::default() };
    if dice.chance(150) {
        terms.headroom = SMALL;
    }
    let mut spec = SessionSpec { at: dice.span(3_000, 30_000), ..SessionSpec::new(&profile.workflow) };
    spec.begins_in = dice.span(0, 120_000);
    spec.terms = terms;
    if dice.chance(80) {
        spec.window = Some(dice.span(120_000, 1_200_000));
    }
    for plugin in &profile.actions {
        let stage = if dice.chance(600) { Stage::Host } else { Stage::Compute };
        if dice.chance(700) {
            spec.actions.push(Action { plugin: plugin.clone(), stage, metadata: String::new() });
        }
    }
    spec
}

fn trouble(scenario: &mut Scenario, profile: &Profile, dice: &mut Dice) {
    let calm_at = dice.span(300_000, 1_800_000);
    scenario.calm_at = calm_at;
    scenario.end_at = calm_at + Millis::from_secs(24 * 3600);
    scenario.operator = Operator { continues: dice.below(4) as u32, deletes: dice.chance(500) };
    let scale = |most: u64, dice: &mut Dice| dice.below(most + 1) as f64 * f64::from(profile.trouble) / 1e6;
    if dice.chance(700) {
        scenario.cloud.wire = Wire {
            lost: scale(40, dice),
            reply_lost: scale(40, dice),
            late: scale(30, dice),
            doubled: scale(30, dice),
            // A second copy of a call that was answered is not to be told from a new call: it has to be quick.
            late_ms: 2_000,
            answer_ms: Span::Between { min: 5, max: 200 },
            timeout_ms: dice.between(1_000, 10_000),
            ..Wire::default()
        };
    }
    if dice.chance(600) {
        scenario.cloud.failures = Failures {
            cold_breaks: scale(30, dice),
            cold_stays: scale(60, dice),
            cold_hangs: scale(10, dice),
            live_breaks: scale(30, dice),
            live_stays: scale(100, dice),
            live_hangs: scale(10, dice),
            confirm_refused: scale(200, dice),
            resize_breaks: scale(50, dice),
            boot_breaks: scale(50, dice),
            reboot_stays_down: scale(50, dice),
            guests_resume: dice.chance(500),
            ..Failures::default()
        };
    }
    if profile.others && dice.chance(700) {
        let per_hour = |most: u64, dice: &mut Dice| dice.below(most + 1) as u32;
        scenario.cloud.others = Others {
            boot_per_hour: per_hour(30, dice),
            delete_per_hour: per_hour(30, dice),
            resize_per_hour: per_hour(20, dice),
            move_per_hour: per_hour(30, dice),
            stop_per_hour: per_hour(20, dice),
            disable_per_hour: per_hour(6, dice),
            enable_per_hour: per_hour(10, dice),
            crash_per_hour: per_hour(3, dice),
            projects: Vec::new(),
        };
    }
    faults(scenario, profile, calm_at, dice);
    if profile.meddling && dice.chance(400) {
        for _ in 0..dice.between(1, 5) {
            let session = dice.below(scenario.sessions.len() as u64) as usize;
            let what = dice.weighted(&[(5, Command::Pause), (5, Command::Continue), (1, Command::Delete)]);
            scenario.orders.push(Order { at: dice.span(10_000, calm_at.0), session, what });
        }
    }
}

fn faults(scenario: &mut Scenario, profile: &Profile, calm_at: Millis, dice: &mut Dice) {
    let scale = |most: u64, dice: &mut Dice| (dice.below(most + 1) as u32) * profile.trouble / 1000;
    if dice.chance(500) {
        scenario.faults = Faults {
            message_lost: scale(150, dice),
            message_unclear: scale(100, dice),
            message_doubled: scale(150, dice),
            action_call_lost: scale(50, dice),
            action_call_unclear: scale(50, dice),
            ..Faults::default()
        };
    }
    if profile.trouble > 0 && dice.chance(500) {
        for _ in 0..dice.between(1, 5) {
            let point = match dice.below(5) {
                0 => Point::BeforeAppend,
                1 => Point::AppendFails(Failure::Lost),
                2 => Point::AppendFails(Failure::Stored),
                _ => Point::AfterOrders(dice.below(4) as u32),
            };
            let down = if dice.chance(700) { dice.span(100, 10_000) } else { dice.span(10_000, 300_000) };
            scenario.faults.kills.push(Kill { when: When::After(dice.span(1_000, calm_at.0)), point, down });
        }
    }
    if profile.trouble > 0 && dice.chance(150) {
        let (at, span) = (dice.span(10_000, calm_at.0), dice.span(1_000, 200_000));
        scenario.faults.freezes.push(Freeze { at, span });
    }
}
