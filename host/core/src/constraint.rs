//! What managers want respected, as ETSI FEAT03 has it: standing statements about instances and groups that outlive
//! sessions (contract 1.3).
//!
//! They come in any order: an instance may name a group that nobody has stated yet, and a group may go before its
//! members do. What was not said is `None`, and nothing is made up for it here.

use serde::{Deserialize, Serialize};

use crate::ask::MoveHow;
use crate::id::{GroupId, InstanceId, ProjectId};
use crate::shared::{SharedMap, SharedSet};
use crate::time::{Millis, Time};

/// What is stated about one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceConstraint {
    /// Which.
    pub instance: InstanceId,
    /// Its owner.
    pub project: ProjectId,
    /// The group that it backs up.
    pub group: Option<GroupId>,
    /// Its name, for people.
    pub name: String,
    /// How long a live move may interrupt it.
    pub max_interruption_time: Option<Millis>,
    /// How it is to be moved if its manager's answer names no action.
    pub migration_type: Option<MoveHow>,
    /// Whether the manager wants the impact mitigated.
    pub resource_mitigation: Option<bool>,
    /// How long before it is touched its manager has to hear.
    pub lead_time: Option<Millis>,
}

/// What is stated about one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConstraint {
    /// Which.
    pub group: GroupId,
    /// Its owner.
    pub project: ProjectId,
    /// Its name, for people.
    pub name: String,
    /// True if no two members may be on one host.
    pub anti_affinity: Option<bool>,
    /// Most members on one host; 0 = no limit.
    pub max_instances_per_host: Option<u32>,
    /// Most members out of service at a time.
    pub max_impacted_members: Option<u32>,
    /// How long a member counts as out after it came back.
    pub recovery_time: Option<Millis>,
    /// Whether the manager wants the impact mitigated.
    pub resource_mitigation: Option<bool>,
    /// When its application needs all that it has: it is not asked for room then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<Daily>,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A time of every day, in UTC, by the minutes since midnight; over midnight if it ends before it begins, and no time at
/// all if it ends when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daily {
    /// The minute with which it begins, 0 to 1439.
    pub from: u16,
    /// The minute with which it is over, 0 to 1439.
    pub to: u16,
}

impl Daily {
    /// How many of them a group may have.
    pub const MOST: usize = 8;

    /// When it is over, if it is that time now.
    pub fn over_at(self, now: Time) -> Option<Time> {
        let minute = (now.0 / 60_000 % u64::from(DAY)) as u16;
        let after = |from: u16, to: u16| (to + DAY - from) % DAY;
        let lasts = after(self.from % DAY, self.to % DAY);
        let passed = after(self.from % DAY, minute);
        let begun = Time(now.0 - now.0 % 60_000) - Millis::from_secs(u64::from(passed) * 60);
        (passed < lasts).then(|| begun + Millis::from_secs(u64::from(lasts) * 60))
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// About an instance.
    Instance(InstanceConstraint),
    /// About a group.
    Group(GroupConstraint),
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constrained {
    /// An instance.
    Instance(InstanceId),
    /// A group.
    Group(GroupId),
}

impl Constraint {
    /// What it is about.
    pub fn about(&self) -> Constrained {
        match self {
            Constraint::Instance(constraint) => Constrained::Instance(constraint.instance.clone()),
            Constraint::Group(constraint) => Constrained::Group(constraint.group.clone()),
        }
    }

    /// Whose it is.
    pub fn project(&self) -> &ProjectId {
        match self {
            Constraint::Instance(constraint) => &constraint.project,
            Constraint::Group(constraint) => &constraint.project,
        }
    }
}

/// All statements that stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    all: SharedMap<Constrained, Constraint>,
    /// How many each project has.
    of_project: SharedMap<ProjectId, usize>,
    /// Instances by the group that they are stated to back up.
    members: SharedMap<GroupId, SharedSet<InstanceId>>,
}

impl Constraints {
    /// The statement about an instance.
    pub fn instance(&self, id: &InstanceId) -> Option<&InstanceConstraint> {
        match self.all.get(&Constrained::Instance(id.clone())) {
            Some(Constraint::Instance(constraint)) => Some(constraint),
            Some(Constraint::Group(_)) | None => None,
        }
    }

    /// The statement about a group.
    pub fn group(&self, id: &GroupId) -> Option<&GroupConstraint> {
        match self.all.get(&Constrained::Group(id.clone())) {
            Some(Constraint::Group(constraint)) => Some(constraint),
            Some(Constraint::Instance(_)) | None => None,
        }
    }

    /// The statement about something.
    pub fn get(&self, about: &Constrained) -> Option<&Constraint> {
        self.all.get(about)
    }

    /// Instances that are stated to back up a group.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &InstanceId> {
        self.members.get(group).into_iter().flat_map(SharedSet::iter)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// True if a project has stated anything: then it has a manager.
    pub fn has_any_of(&self, project: &ProjectId) -> bool {
        self.of_project.contains_key(project)
    }

    pub(crate) fn set(&mut self, constraint: Constraint) {
        let about = constraint.about();
        self.remove(&about);
        *self.of_project.get_or_insert_with(constraint.project().clone(), usize::default) += 1;
        if let Some((group, instance)) = membership(&constraint) {
            self.members.get_or_insert_with(group.clone(), SharedSet::default).insert(instance.clone());
        }
        self.all.insert(about, constraint);
    }

    pub(crate) fn remove(&mut self, about: &Constrained) {
        let Some(old) = self.all.remove(about) else { return };
        if let Some(count) = self.of_project.get_mut(old.project()) {
            *count -= 1;
            if *count == 0 {
                self.of_project.remove(old.project());
            }
        }
        if let Some((group, instance)) = membership(&old)
            && let Some(members) = self.members.get_mut(group)
        {
            members.remove(instance);
            if members.is_empty() {
                self.members.remove(group);
            }
        }
    }
}

/// The group that a statement says an instance backs up.
fn membership(constraint: &Constraint) -> Option<(&GroupId, &InstanceId)> {
    match constraint {
        Constraint::Instance(stated) => Some((stated.group.as_ref()?, &stated.instance)),
        Constraint::Group(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_ends_on_the_same_day_or_after_midnight() {
        let at = |day: u64, hour: u64, minute: u64| Time(((day * 24 + hour) * 60 + minute) * 60_000 + 59_999);
        let over = |day: u64, hour: u64, minute: u64| Some(Time(((day * 24 + hour) * 60 + minute) * 60_000));
        let check = |from: u16, to: u16, now: Time, expected: Option<Time>| {
            assert_eq!(Daily { from, to }.over_at(now), expected, "{from} to {to} at {}", now.0);
        };
        check(480, 1080, at(3, 7, 59), None);
        check(480, 1080, at(3, 8, 0), over(3, 18, 0));
        check(480, 1080, at(3, 17, 59), over(3, 18, 0));
        check(480, 1080, at(3, 18, 0), None);
        check(1320, 120, at(3, 21, 59), None);
        check(1320, 120, at(3, 23, 0), over(4, 2, 0));
        check(1320, 120, at(4, 1, 59), over(4, 2, 0));
        check(1320, 120, at(4, 2, 0), None);
        check(480, 480, at(3, 8, 0), None);
    }
}
