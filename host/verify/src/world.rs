//! The infrastructure and what managers state of it, as the records tell.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::constraint::{Constrained, Constraint, GroupConstraint, InstanceConstraint};
use fenix_core::id::{GroupId, HostId, InstanceId};
use fenix_core::inventory::{Change, Group, Host, Instance, InstanceState, Resources};
use fenix_core::policy::Ceilings;
use fenix_core::record::Body;
use fenix_core::time::{Millis, Time};

/// What was last seen and stated.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) hosts: BTreeMap<HostId, Host>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    groups: BTreeMap<GroupId, Group>,
    of_instances: BTreeMap<InstanceId, InstanceConstraint>,
    of_groups: BTreeMap<GroupId, GroupConstraint>,
    /// Instances by each host on which they hold something, and by each group in which they are seen or stated to be.
    on: BTreeMap<HostId, BTreeSet<InstanceId>>,
    of: BTreeMap<GroupId, BTreeSet<InstanceId>>,
    /// Since when each instance serves again.
    pub(crate) back: BTreeMap<InstanceId, Time>,
}

/// What a group bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bears {
    pub(crate) out: u32,
    pub(crate) on_a_host: u32,
    pub(crate) recovery: Millis,
}

/// True if it serves, and nothing is being done to it.
pub(crate) fn serves(instance: &Instance) -> bool {
    instance.state == InstanceState::Active && instance.other_end.is_none()
}

/// The hosts on which it holds something.
fn ends(instance: &Instance) -> impl Iterator<Item = &HostId> {
    std::iter::once(&instance.host).chain(&instance.other_end)
}

/// True if it holds something on that host.
pub(crate) fn is_at(instance: &Instance, host: &HostId) -> bool {
    ends(instance).any(|end| end == host)
}

impl World {
    pub(crate) fn follow(&mut self, body: &Body, at: Time) {
        match body {
            Body::Observed { change } => self.see(change, at),
            Body::Constrained { constraint: Constraint::Instance(stated) } => {
                if let Some(group) = &stated.group {
                    self.of.entry(group.clone()).or_default().insert(stated.instance.clone());
                }
                self.of_instances.insert(stated.instance.clone(), stated.clone());
            }
            Body::Constrained { constraint: Constraint::Group(stated) } => {
                self.of_groups.insert(stated.group.clone(), stated.clone());
            }
            Body::Unconstrained { about: Constrained::Instance(id) } => {
                self.of_instances.remove(id);
            }
            Body::Unconstrained { about: Constrained::Group(id) } => {
                self.of_groups.remove(id);
            }
            _ => {}
        }
    }

    fn see(&mut self, change: &Change, at: Time) {
        match change {
            Change::Host(host) => drop(self.hosts.insert(host.id.clone(), host.clone())),
            Change::HostGone(id) => drop(self.hosts.remove(id)),
            Change::Group(group) => drop(self.groups.insert(group.id.clone(), group.clone())),
            Change::GroupGone(id) => drop(self.groups.remove(id)),
            Change::Instance(instance) => {
                let before = self.instances.insert(instance.id.clone(), instance.clone());
                for end in before.iter().flat_map(ends) {
                    self.on.entry(end.clone()).or_default().remove(&instance.id);
                }
                for end in ends(instance) {
                    self.on.entry(end.clone()).or_default().insert(instance.id.clone());
                }
                if let Some(group) = &instance.group {
                    self.of.entry(group.clone()).or_default().insert(instance.id.clone());
                }
                // On another host than before it was away in between.
                let was_there = before.is_some_and(|old| serves(&old) && old.host == instance.host);
                if serves(instance) && !was_there {
                    self.back.insert(instance.id.clone(), at);
                }
            }
            Change::InstanceGone(id) => {
                let before = self.instances.remove(id);
                for end in before.iter().flat_map(ends) {
                    self.on.entry(end.clone()).or_default().remove(id);
                }
                self.back.remove(id);
            }
        }
    }

    /// Instances that hold something on a host.
    pub(crate) fn at<'a>(&'a self, host: &'a HostId) -> impl Iterator<Item = &'a Instance> {
        let ids = self.on.get(host).into_iter().flatten();
        ids.filter_map(|id| self.instances.get(id))
    }

    /// What is held on a host.
    pub(crate) fn held(&self, host: &HostId) -> Resources {
        self.at(host).fold(Resources::default(), |sum, instance| sum.plus(&instance.resources))
    }

    /// What its owner states about an instance.
    pub(crate) fn word(&self, instance: &Instance) -> Option<&InstanceConstraint> {
        self.of_instances.get(&instance.id).filter(|stated| stated.project == instance.project)
    }

    /// The groups of an instance.
    pub(crate) fn groups_of<'a>(&'a self, instance: &'a Instance) -> Vec<&'a GroupId> {
        let mut groups: Vec<&GroupId> = instance.group.iter().collect();
        groups.extend(self.word(instance).and_then(|stated| stated.group.as_ref()));
        groups.dedup();
        groups
    }

    /// The members of a group.
    pub(crate) fn members<'a>(&'a self, group: &'a GroupId) -> impl Iterator<Item = &'a Instance> {
        // Those that were in it once are among them.
        let ids = self.of.get(group).into_iter().flatten();
        let instances = ids.filter_map(|id| self.instances.get(id));
        instances.filter(move |instance| self.groups_of(instance).contains(&group))
    }

    /// What a group bears for a member of it.
    pub(crate) fn bears(&self, group: &GroupId, member: &Instance, ceilings: &Ceilings) -> Bears {
        let (mut out, mut on_a_host, mut recovery) = (1, u32::MAX, Millis::ZERO);
        if let Some(seen) = self.groups.get(group) {
            (out, recovery) = (seen.max_impacted_members, seen.recovery_time);
            match (seen.anti_affinity, seen.max_instances_per_host) {
                (true, _) => on_a_host = 1,
                (false, 0) => {}
                (false, most) => on_a_host = most,
            }
        }
        if let Some(stated) = self.of_groups.get(group).filter(|stated| stated.project == member.project) {
            out = stated.max_impacted_members.unwrap_or(out);
            recovery = stated.recovery_time.unwrap_or(recovery);
            if stated.anti_affinity == Some(true) {
                on_a_host = 1;
            }
            if let Some(most @ 1..) = stated.max_instances_per_host {
                on_a_host = on_a_host.min(most);
            }
        }
        Bears {
            out: out.max(ceilings.least_impacted),
            on_a_host,
            recovery: recovery.min(ceilings.recovery_time),
        }
    }
}
