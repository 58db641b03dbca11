//! Whether all ended well, judged by the cloud's own account of what happened, and by nothing that Fenix says.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening, MoveEnd, MoveKind, TraceEvent};
use fenix_core::id::{GroupId, HostId, InstanceId};
use fenix_core::inventory::{Host, HostKind, Instance, InstanceState, Service};
use fenix_core::time::Time;

/// What happened to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStory {
    /// What it is for.
    pub kind: HostKind,
    /// Its service at the beginning.
    pub found: Service,
    /// Its service now.
    pub service: Service,
    /// True if it is up.
    pub up: bool,
    /// When the last instance left it before its first restart.
    pub emptied_at: Option<Time>,
    /// When it was restarted.
    pub restarts: Vec<Time>,
    /// When it was last up again, and in service.
    pub back_at: Option<Time>,
    /// What holds capacity on it.
    holding: BTreeSet<InstanceId>,
}

/// What happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStory {
    /// Its name.
    pub name: String,
    /// Every host it was on, in order.
    pub path: Vec<HostId>,
    /// True while it serves its application.
    pub serves: bool,
    /// True if its owner removed it.
    pub removed: bool,
}

impl HostStory {
    fn of(host: &Host) -> HostStory {
        HostStory {
            kind: host.kind,
            found: host.service.clone(),
            service: host.service.clone(),
            up: host.up,
            emptied_at: None,
            restarts: Vec::new(),
            back_at: None,
            holding: BTreeSet::new(),
        }
    }
}

impl InstanceStory {
    fn of(instance: &Instance) -> InstanceStory {
        InstanceStory {
            name: instance.name.clone(),
            path: vec![instance.host.clone()],
            serves: instance.state == InstanceState::Active,
            removed: false,
        }
    }

    /// How often it moved.
    pub fn moves(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

/// The cloud's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Its hosts.
    pub hosts: BTreeMap<HostId, HostStory>,
    /// All instances that ever were.
    pub instances: BTreeMap<InstanceId, InstanceStory>,
    /// What was not as it should be, a sentence each.
    pub problems: Vec<String>,
    groups: BTreeMap<GroupId, u32>,
    out: BTreeMap<GroupId, BTreeSet<InstanceId>>,
    at_first: usize,
}

/// Goes through everything that happened in a cloud in which every host was to be restarted once.
pub fn judge(trace: &[TraceEvent]) -> Truth {
    let mut truth = Truth::default();
    for event in trace {
        truth.tell(event);
    }
    truth.finish();
    truth
}

impl Truth {
    fn tell(&mut self, event: &TraceEvent) {
        let at = event.at;
        match &event.what {
            Happening::HostAdded { host } => {
                self.hosts.insert(host.id.clone(), HostStory::of(host));
            }
            Happening::HostDisabled { host, reason } => {
                self.host(host, |story| story.service = Service::Disabled { reason: reason.clone() });
            }
            Happening::HostEnabled { host } => self.host(host, |story| {
                story.service = Service::Enabled;
                story.back_at = Some(at);
            }),
            Happening::HostRebooting { host } => self.restarting(host, at),
            Happening::HostDown { host, .. } => self.host(host, |story| story.up = false),
            Happening::HostUp { host, .. } => self.host(host, |story| {
                story.up = true;
                story.back_at = Some(at);
            }),
            Happening::GroupSet { group } => {
                self.groups.insert(group.id.clone(), group.max_impacted_members);
            }
            Happening::InstanceAdded { instance } => {
                self.at_first += usize::from(event.by == Actor::Setup);
                self.instances.insert(instance.id.clone(), InstanceStory::of(instance));
            }
            Happening::InstanceDeleted { instance } => {
                self.instance(instance, |story| story.removed = true);
                self.not_out(instance);
            }
            Happening::OutOfService { instance, group } => self.out_of_service(instance, group.as_ref()),
            Happening::InService { instance, .. } => {
                self.instance(instance, |story| story.serves = true);
                self.not_out(instance);
            }
            Happening::ClaimTaken { instance, host, .. } => {
                self.host(host, |story| {
                    story.holding.insert(instance.clone());
                });
            }
            Happening::ClaimFreed { instance, host } => self.host(host, |story| {
                story.holding.remove(instance);
                if story.holding.is_empty() && story.restarts.is_empty() {
                    story.emptied_at = Some(at);
                }
            }),
            Happening::MoveEnded { instance, host, kind, end: MoveEnd::Arrived }
                if *kind != MoveKind::Revert =>
            {
                self.instance(instance, |story| story.path.push(host.clone()));
            }
            Happening::InstanceBroke { instance, why } => {
                self.problems.push(format!("instance {instance} broke: {why}"));
            }
            Happening::MoveEnded { .. }
            | Happening::InstanceBooted { .. }
            | Happening::InstanceResized { .. }
            | Happening::InstanceStopped { .. }
            | Happening::InstanceStarted { .. }
            | Happening::MoveStarted { .. }
            | Happening::MoveShownOver { .. }
            | Happening::MoveConfirmed { .. }
            | Happening::Refused { .. } => {}
        }
    }

    fn host(&mut self, id: &HostId, change: impl FnOnce(&mut HostStory)) {
        if let Some(story) = self.hosts.get_mut(id) {
            change(story);
        }
    }

    fn instance(&mut self, id: &InstanceId, change: impl FnOnce(&mut InstanceStory)) {
        if let Some(story) = self.instances.get_mut(id) {
            change(story);
        }
    }

    fn not_out(&mut self, instance: &InstanceId) {
        for out in self.out.values_mut() {
            out.remove(instance);
        }
    }

    fn restarting(&mut self, host: &HostId, at: Time) {
        let Some(story) = self.hosts.get_mut(host) else { return };
        story.up = false;
        story.restarts.push(at);
        if !story.holding.is_empty() {
            let count = story.holding.len();
            self.problems.push(format!("host {host} was restarted with {count} instances on it"));
        }
    }

    fn out_of_service(&mut self, instance: &InstanceId, group: Option<&GroupId>) {
        self.instance(instance, |story| story.serves = false);
        let Some(group) = group else { return };
        let out = self.out.entry(group.clone()).or_default();
        out.insert(instance.clone());
        let most = self.groups.get(group).copied().unwrap_or(0) as usize;
        if out.len() > most {
            let count = out.len();
            self.problems
                .push(format!("group {group} had {count} members out of service; at most {most} may be"));
        }
    }

    fn finish(&mut self) {
        for (id, story) in &self.hosts {
            if story.restarts.len() != 1 {
                let times = story.restarts.len();
                self.problems.push(format!("host {id} was restarted {times} times instead of once"));
            }
            if !story.up {
                self.problems.push(format!("host {id} is down"));
            }
            if story.service != story.found {
                self.problems
                    .push(format!("host {id} was found {:?} and is {:?}", story.found, story.service));
            }
        }
        let there = || self.instances.iter().filter(|(_, story)| !story.removed);
        let idle: Vec<String> = there()
            .filter(|(_, story)| !story.serves)
            .map(|(id, _)| format!("instance {id} does not serve its application"))
            .collect();
        let now = there().count();
        if now != self.at_first {
            self.problems
                .push(format!("{} instances were there at first, now there are {now}", self.at_first));
        }
        self.problems.extend(idle);
    }
}

#[cfg(test)]
mod tests {
    use fenix_core::inventory::{Group, Movable, Resources};
    use fenix_core::time::Millis;

    use super::*;

    fn host(id: &str) -> Happening {
        Happening::HostAdded {
            host: Host {
                id: id.into(),
                kind: HostKind::Compute,
                zone: "z".into(),
                capacity: Resources::default(),
                service: Service::Enabled,
                up: true,
                boot: "1".into(),
                dead: false,
            },
        }
    }

    fn instance(id: &str) -> Happening {
        Happening::InstanceAdded {
            instance: Instance {
                id: id.into(),
                name: id.into(),
                project: "p".into(),
                group: Some("g".into()),
                host: "h1".into(),
                resources: Resources::default(),
                state: InstanceState::Active,
                other_end: None,
                movable: Movable::Any,
                progress: None,
            },
        }
    }

    fn group() -> Happening {
        Happening::GroupSet {
            group: Group {
                id: "g".into(),
                project: "p".into(),
                name: "g".into(),
                anti_affinity: true,
                max_instances_per_host: 1,
                max_impacted_members: 1,
                recovery_time: Millis::ZERO,
            },
        }
    }

    fn rebooting() -> Happening {
        Happening::HostRebooting { host: "h1".into() }
    }

    fn up() -> Happening {
        Happening::HostUp { host: "h1".into(), boot: "2".into() }
    }

    fn out(id: &str) -> Happening {
        Happening::OutOfService { instance: id.into(), group: Some("g".into()) }
    }

    fn back(id: &str) -> Happening {
        Happening::InService { instance: id.into(), group: Some("g".into()) }
    }

    fn problems(setup: Vec<Happening>, then: Vec<Happening>) -> Vec<String> {
        let by = |by| move |what| TraceEvent { at: Time(1), by, what };
        let trace: Vec<TraceEvent> =
            setup.into_iter().map(by(Actor::Setup)).chain(then.into_iter().map(by(Actor::Client))).collect();
        judge(&trace).problems
    }

    fn check(then: Vec<Happening>, expected: &str) {
        let found = problems(vec![group(), host("h1"), instance("a"), instance("b")], then);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{found:?}");
    }

    #[test]
    fn a_host_restarted_once_and_back_is_well() {
        let found = problems(
            vec![group(), host("h1"), instance("a"), instance("b")],
            vec![rebooting(), up(), out("a"), back("a"), out("b"), back("b")],
        );
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn whatever_is_not_well_is_named() {
        check(vec![], "restarted 0 times");
        check(vec![rebooting(), up(), rebooting(), up()], "restarted 2 times");
        check(vec![rebooting()], "h1 is down");
        check(vec![Happening::HostDisabled { host: "h1".into(), reason: "x".into() }], "was found Enabled");
        check(vec![out("a"), out("b"), back("a"), back("b")], "had 2 members out of service");
        check(vec![out("a")], "a does not serve");
        check(
            vec![Happening::InstanceDeleted { instance: "a".into() }],
            "2 instances were there at first, now there are 1",
        );
        let claim = Happening::ClaimTaken {
            instance: "a".into(),
            host: "h1".into(),
            resources: Resources::default(),
        };
        check(vec![claim, rebooting()], "restarted with 1 instances on it");
    }
}
