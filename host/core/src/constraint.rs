//! What managers want respected, as ETSI FEAT03 has it: standing statements about instances and groups that outlive
//! sessions (contract 1.3).
//!
//! They come in any order: an instance may name a group that nobody has stated yet, and a group may go before its
//! members do. What was not said is `None`, and nothing is made up for it here.

use serde::{Deserialize, Serialize};

use crate::ask::MoveHow;
use crate::id::{GroupId, InstanceId, ProjectId};
use crate::shared::{SharedMap, SharedSet};
use crate::time::Millis;

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
