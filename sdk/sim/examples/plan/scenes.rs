//! The scenes that are planned for: clouds, applications, and how long everything takes in them.

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{GroupSpec, HostSpec, InstanceSpec, ProjectSpec, Span, Times};
use fenix_core::ask::{AskKind, MoveHow};
use fenix_core::constraint::{Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::id::{GroupId, HostId, InstanceId, ProjectId};
use fenix_core::inventory::{HostKind, Movable, Resources};
use fenix_core::session::Stage;
use fenix_core::time::Millis;
use fenix_sim::dice::{Dice, Purpose};
use fenix_sim::managers::{Answer, Answers, Conduct, How, ManagerSpec, ScaleIn};
use fenix_sim::scenario::{Scenario, SessionSpec, Stated, Statement};

use crate::planner::{Group, Host, Instance, Problem};
use crate::reference::WORK;

/// What one move takes, in milliseconds.
const MOVING: u64 = 30_000;

/// What the work on a host takes on average, in milliseconds.
const WORK_MEAN: f64 = 900_000.0;

/// How long managers want to hear ahead.
const LEAD: Millis = Millis::from_secs(60);

/// How long a member of a group recovers.
const RECOVERY: Millis = Millis::from_secs(60);

/// How full the cloud is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All capacity is in use: managers have to give some back.
    Full,
    /// So many of a hundred hosts' worth are free, here and there.
    Spare(u32),
    /// So many hosts are empty, all others full.
    Empty(u32),
}

/// What applications bear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bears {
    /// Anything.
    All,
    /// Groups of so many, on a host each, of which one may be out.
    One(u32),
    /// The same, of which half may be out.
    Half(u32),
}

/// How managers answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Within seconds.
    Quick,
    /// Shortly before the end of their time.
    Slow,
    /// A fifth of them not at all when they are asked first.
    Silent,
}

/// One scene.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) hosts: u32,
    pub(crate) at_once: u32,
    pub(crate) fill: Fill,
    pub(crate) bears: Bears,
    /// How much the work on hosts differs: standard deviation by mean, in percent.
    pub(crate) cv: u32,
    pub(crate) manners: Manners,
    /// True if hosts and instances are of several sizes.
    pub(crate) mixed: bool,
    /// Instances on a full host of the usual size.
    pub(crate) dense: u32,
}

const PLAIN: Scene = Scene {
    hosts: 12,
    at_once: 2,
    fill: Fill::Spare(20),
    bears: Bears::All,
    cv: 50,
    manners: Manners::Quick,
    mixed: false,
    dense: 10,
};

/// The scenes of the table, in its order.
pub(crate) fn all() -> Vec<Scene> {
    let sizes = [(12, 2), (32, 4), (100, 10)];
    let mut all = Vec::new();
    for (hosts, at_once) in sizes {
        for cv in [0, 50, 100] {
            let scene = Scene { hosts, at_once, cv, ..PLAIN };
            all.push(Scene { fill: Fill::Full, ..scene });
            all.push(scene);
            all.push(Scene { fill: Fill::Empty(at_once), ..scene });
            all.push(Scene { bears: Bears::One(4), ..scene });
            all.push(Scene { bears: Bears::Half(4), ..scene });
        }
        let scene = Scene { hosts, at_once, ..PLAIN };
        all.push(Scene { mixed: true, ..scene });
        all.push(Scene { mixed: true, cv: 100, ..scene });
        all.push(Scene { manners: Manners::Slow, ..scene });
        all.push(Scene { manners: Manners::Silent, ..scene });
    }
    all
}

/// Those that take too long to play: run by name alone.
pub(crate) fn large() -> Vec<Scene> {
    let large = Scene { hosts: 1000, at_once: 20, dense: 50, ..PLAIN };
    let mut all = Vec::new();
    for cv in [50, 100] {
        all.push(Scene { cv, ..large });
        all.push(Scene { cv, bears: Bears::Half(4), ..large });
    }
    // What a host costs among a thousand is held against what it costs among a hundred like these.
    all.push(Scene { hosts: 100, ..large });
    all
}

impl Scene {
    /// The scene in a few words.
    pub(crate) fn name(&self) -> String {
        let fill = match self.fill {
            Fill::Full => "full".to_owned(),
            Fill::Spare(percent) => format!("{percent} % free"),
            Fill::Empty(hosts) => format!("{hosts} empty"),
        };
        let mut name = format!("{} hosts, {} at once, {fill}", self.hosts, self.at_once);
        match self.bears {
            Bears::All => {}
            Bears::One(size) => name += &format!(", groups of {size} bear 1"),
            Bears::Half(size) => name += &format!(", groups of {size} bear {}", size / 2),
        }
        match self.manners {
            Manners::Quick => {}
            Manners::Slow => name += ", slow managers",
            Manners::Silent => name += ", silent managers",
        }
        if self.mixed {
            name += ", mixed sizes";
        }
        if self.dense != PLAIN.dense {
            name += &format!(", {} a host", self.dense);
        }
        name
    }

    /// The scene with everything in it.
    pub(crate) fn set(&self) -> Set {
        let mut dice = Dice::new(7, Purpose::Scenario);
        let mut set = Set { works: Vec::new(), scenario: Scenario::new(7, Spec::default()) };
        let cloud = &mut set.scenario.cloud;
        cloud.times =
            Times { cold_ms: Span::Fixed(MOVING), live_ms: Span::Fixed(MOVING), ..Times::default() };
        for number in 1..=self.hosts {
            let larger = if self.mixed && number % 3 == 0 { 2 } else { 1 };
            cloud.host.push(HostSpec {
                id: HostId::from(format!("host-{number:04}")),
                kind: HostKind::Compute,
                zone: "zone".into(),
                capacity: Resources::of(2 * self.dense * larger, 4096 * self.dense * larger, 4000),
                disabled: None,
                down: false,
            });
            set.works.push(work(self.cv, &mut dice));
        }
        self.fill(cloud, &mut dice);
        self.managers(&mut set.scenario);
        let mut session = SessionSpec::new("vnf").with_action(WORK, Stage::Host);
        session.terms.hosts_at_once = self.at_once;
        session.terms.hosts_at_once_per_zone = self.at_once;
        session.terms.action_within = Millis::from_secs(24 * 3600);
        // Managers give back a few instances at a time.
        session.terms.scale_in_rounds = 100;
        session.terms.scale_in_max = Some(u32::MAX);
        set.scenario.sessions.push(session);
        // Nothing is wrong from the beginning: nothing is mended in the middle.
        set.scenario.calm_at = Millis(1);
        set.scenario.end_at = Millis::from_secs(30 * 24 * 3600);
        set
    }

    /// Puts instances on the hosts, each of some application; members of a group on a host each.
    fn fill(&self, cloud: &mut Spec, dice: &mut Dice) {
        let projects = (self.hosts * self.dense / 40).clamp(4, 200);
        cloud.project = (0..projects).map(|number| ProjectSpec { id: project(number) }).collect();
        let grouped = match self.bears {
            Bears::All => None,
            Bears::One(size) => Some((size, 1)),
            Bears::Half(size) => Some((size, size / 2)),
        };
        let mut number = 0;
        let mut open: Vec<(GroupId, u32, u32)> = Vec::new();
        for (host, spec) in cloud.host.iter().enumerate() {
            let empty = match self.fill {
                Fill::Empty(hosts) => host < hosts as usize,
                Fill::Full | Fill::Spare(_) => false,
            };
            let share = if let Fill::Spare(percent) = self.fill { 100 - percent } else { 100 };
            let mut left = if empty { 0 } else { spec.capacity.vcpus * share / 100 };
            let mut here: Vec<GroupId> = Vec::new();
            while left >= 2 {
                let vcpus = if self.mixed { dice.weighted(&[(4, 2), (2, 4), (1, 8)]).min(left) } else { 2 };
                let vcpus = vcpus - vcpus % 2;
                left -= vcpus;
                let mut owner = number % projects;
                let mut group = None;
                if let Some((size, bears)) = grouped.filter(|_| number % 2 == 0) {
                    let at = open.iter().position(|(id, left, _)| *left > 0 && !here.contains(id));
                    let at = at.unwrap_or_else(|| {
                        let id = GroupId::from(format!("group-{:05}", cloud.group.len()));
                        cloud.group.push(GroupSpec {
                            id: id.clone(),
                            project: project(owner),
                            name: String::new(),
                            anti_affinity: true,
                            max_instances_per_host: 0,
                            max_impacted_members: bears,
                            recovery_ms: RECOVERY.0,
                        });
                        open.push((id, size, owner));
                        open.len() - 1
                    });
                    let (id, left, of) = &mut open[at];
                    *left -= 1;
                    owner = *of;
                    here.push(id.clone());
                    group = Some(id.clone());
                    open.retain(|(_, left, _)| *left > 0);
                }
                number += 1;
                cloud.instance.push(InstanceSpec {
                    id: InstanceId::from(format!("vm-{number:06}")),
                    name: String::new(),
                    project: project(owner),
                    group,
                    host: Some(spec.id.clone()),
                    resources: Resources::of(vcpus, vcpus * 1024, 10),
                    movable: Movable::Any,
                    stopped: false,
                });
            }
        }
    }

    fn managers(&self, scenario: &mut Scenario) {
        // A few at a time.
        let mut statements = Vec::new();
        let mut state = |constraint| {
            let at = Millis(1 + statements.len() as u64 / 20);
            statements.push(Statement { at, what: Stated::That(constraint) });
        };
        for instance in &scenario.cloud.instance {
            state(Constraint::Instance(InstanceConstraint {
                instance: instance.id.clone(),
                project: instance.project.clone(),
                group: instance.group.clone(),
                name: String::new(),
                max_interruption_time: None,
                migration_type: Some(MoveHow::Migrate),
                resource_mitigation: None,
                lead_time: Some(LEAD),
            }));
        }
        for group in &scenario.cloud.group {
            state(Constraint::Group(GroupConstraint {
                group: group.id.clone(),
                project: group.project.clone(),
                name: String::new(),
                anti_affinity: Some(true),
                max_instances_per_host: None,
                max_impacted_members: Some(group.max_impacted_members),
                recovery_time: Some(RECOVERY),
                resource_mitigation: None,
                busy: Vec::new(),
            }));
        }
        scenario.statements = statements;
        for (number, project) in scenario.cloud.project.iter().enumerate() {
            let mut conduct = Conduct {
                how: How::All(MoveHow::Migrate),
                scale_in: ScaleIn::Gives(1),
                careful: true,
                ..Conduct::default()
            };
            for kind in [AskKind::PrepareMaintenance, AskKind::PlannedMaintenance] {
                let answers = match self.manners {
                    Manners::Quick => continue,
                    Manners::Slow => Answers { first: Vec::new(), then: Answer::Slow },
                    Manners::Silent if number % 5 == 0 => {
                        Answers { first: vec![Answer::Silent], then: Answer::Ack }
                    }
                    Manners::Silent => continue,
                };
                conduct.answers.insert(kind, answers);
            }
            scenario.managers.push(ManagerSpec {
                project: project.id.clone(),
                event_type: "maintenance.*".into(),
                from: Millis(2),
                away: Vec::new(),
                conduct,
            });
        }
    }
}

fn project(number: u32) -> ProjectId {
    ProjectId::from(format!("app-{number:03}"))
}

/// How long the work on a host takes: log-normal, with that mean and spread.
fn work(cv: u32, dice: &mut Dice) -> u64 {
    let cv = f64::from(cv) / 100.0;
    let variance = (1.0 + cv * cv).ln();
    // Box and Muller.
    let even = |dice: &mut Dice| (dice.below(1_000_000) as f64 + 0.5) / 1_000_000.0;
    let (radius, angle) = ((-2.0 * even(dice).ln()).sqrt(), std::f64::consts::TAU * even(dice));
    let normal = radius * angle.cos();
    (WORK_MEAN * (normal * variance.sqrt() - variance / 2.0).exp()) as u64
}

/// A scene with everything in it.
pub(crate) struct Set {
    pub(crate) scenario: Scenario,
    /// What the work on each host takes, in their order.
    pub(crate) works: Vec<u64>,
}

impl Set {
    /// The same as a problem for a planner, without the instances that were given back: room for the first hosts is there
    /// from the beginning, and lead time runs from then on.
    pub(crate) fn problem(&self, given_back: impl Fn(&InstanceId) -> bool) -> Problem {
        let cloud = &self.scenario.cloud;
        let host = |id: &HostId| cloud.host.iter().position(|host| host.id == *id).unwrap_or_default();
        let at: std::collections::BTreeMap<&HostId, usize> =
            cloud.host.iter().map(|spec| (&spec.id, host(&spec.id))).collect();
        let groups: std::collections::BTreeMap<&GroupId, usize> =
            cloud.group.iter().enumerate().map(|(number, group)| (&group.id, number)).collect();
        let there = cloud.instance.iter().filter(|instance| !given_back(&instance.id));
        Problem {
            hosts: cloud
                .host
                .iter()
                .zip(&self.works)
                .map(|(host, work)| Host { size: host.capacity.vcpus, work: *work })
                .collect(),
            instances: there
                .filter_map(|instance| {
                    Some(Instance {
                        host: *at.get(instance.host.as_ref()?)?,
                        size: instance.resources.vcpus,
                        group: instance.group.as_ref().and_then(|group| groups.get(group).copied()),
                    })
                })
                .collect(),
            groups: cloud
                .group
                .iter()
                .map(|group| Group {
                    bears: group.max_impacted_members as usize,
                    recovery: group.recovery_ms,
                    apart: group.anti_affinity,
                })
                .collect(),
            at_once: self.scenario.sessions[0].terms.hosts_at_once as usize,
            moving: MOVING,
            from: LEAD.0,
        }
    }
}
