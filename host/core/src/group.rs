//! What a group bears, from all that is known of it: as the infrastructure has it, and as its owner states it.

use std::collections::BTreeSet;

use crate::constraint::{Daily, GroupConstraint, InstanceConstraint};
use crate::id::{GroupId, InstanceId, ProjectId};
use crate::inventory::{Group, Instance};
use crate::policy::Ceilings;
use crate::state::State;
use crate::time::{Millis, Time};

/// Most members out of a group of which its owner has not said how many it bears.
const UNSAID_IMPACTED: u32 = 1;

/// What a group bears. Where the infrastructure and the owner both say something, the owner's word counts for how many may
/// be out and for how long they recover, and the stricter of both for where they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits<'a> {
    /// Its name, for people; its id if it has none.
    pub name: &'a str,
    /// Most members on one host.
    pub most_per_host: u32,
    /// Most members out of service at a time; 0 = none may be touched.
    pub max_impacted_members: u32,
    /// How long a member counts as out after it came back, as far as the ceilings let it.
    pub recovery_time: Millis,
}

impl State {
    /// What its owner states about an instance; what others state about it counts for nothing.
    pub fn stated(&self, instance: &Instance) -> Option<&InstanceConstraint> {
        self.constraints.instance(&instance.id).filter(|stated| stated.project == instance.project)
    }

    /// The groups that an instance backs up: the one in which it is seen, and the one that its owner states.
    pub fn groups_of<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a GroupId> {
        let seen = instance.group.as_ref();
        let stated = self.stated(instance).and_then(|stated| stated.group.as_ref());
        seen.into_iter().chain(stated.filter(|stated| Some(*stated) != seen))
    }

    /// The members of a group, each once.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &Instance> {
        let seen = self.inventory.members(group);
        let stated = self.constraints.members(group).filter_map(|id| self.inventory.instance(id));
        let only_stated = stated.filter(move |instance| {
            instance.group.as_ref() != Some(group) && self.stated(instance).is_some()
        });
        seen.chain(only_stated)
    }

    /// What a group bears, for the owner of one of its members.
    pub fn limits<'a>(&'a self, group: &'a GroupId, member: &Instance, ceilings: &Ceilings) -> Limits<'a> {
        let seen = self.inventory.group(group);
        let stated = self.constraints.group(group).filter(|stated| stated.project == member.project);
        let is_apart = seen.is_some_and(|seen| seen.anti_affinity)
            || stated.and_then(|stated| stated.anti_affinity).unwrap_or(false);
        let per_host = [seen.map(Group::most_per_host), stated.and_then(most_per_host)];
        let recovery = stated.and_then(|stated| stated.recovery_time);
        let recovery = recovery.or(seen.map(|seen| seen.recovery_time)).unwrap_or_default();
        let impacted = stated.and_then(|stated| stated.max_impacted_members);
        let impacted = impacted.or(seen.map(|seen| seen.max_impacted_members));
        let names = [stated.map(|stated| &stated.name), seen.map(|seen| &seen.name)];
        let name = names.into_iter().flatten().find(|name| !name.is_empty());
        Limits {
            name: name.map_or(group.as_str(), String::as_str),
            most_per_host: if is_apart {
                1
            } else {
                per_host.into_iter().flatten().min().unwrap_or(u32::MAX)
            },
            max_impacted_members: impacted.unwrap_or(UNSAID_IMPACTED).max(ceilings.least_impacted),
            recovery_time: recovery.min(ceilings.recovery_time),
        }
    }

    /// How long before an instance is touched its manager has to hear, as far as the ceilings let it.
    pub fn lead_time(&self, instance: &Instance, ceilings: &Ceilings) -> Millis {
        let stated = self.stated(instance).and_then(|stated| stated.lead_time);
        stated.unwrap_or_default().min(ceilings.lead_time)
    }

    /// When the busy hours are over that a project has declared for groups in which it has instances, if it is in them.
    pub fn busy_until(&self, project: &ProjectId, now: Time) -> Option<Time> {
        let groups = self.inventory.of_project(project).flat_map(|instance| self.groups_of(instance));
        let groups: BTreeSet<&GroupId> = groups.collect();
        let stated = groups.into_iter().filter_map(|group| self.constraints.group(group));
        let stated = stated.filter(|group| group.project == *project);
        let hours: Vec<Daily> = stated.flat_map(|group| group.busy.iter().copied()).collect();
        let mut until = None;
        // One may begin as another one ends; together they may be endless.
        for _ in 0..Daily::MOST {
            let at = until.unwrap_or(now);
            match hours.iter().filter_map(|hours| hours.over_at(at)).max() {
                Some(over) => until = Some(over),
                None => break,
            }
        }
        until
    }

    /// How long a live move may interrupt an instance, if that is stated; no time at all cannot be meant.
    pub fn interruption(&self, instance: &InstanceId) -> Option<Millis> {
        let stated = self.stated(self.inventory.instance(instance)?)?;
        stated.max_interruption_time.filter(|span| *span > Millis::ZERO)
    }
}

/// Most members on one host, if its owner limits it.
fn most_per_host(stated: &GroupConstraint) -> Option<u32> {
    stated.max_instances_per_host.filter(|most| *most > 0)
}
