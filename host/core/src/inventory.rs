//! What was last seen in the infrastructure: hosts, the instances on them, the groups they form.
//!
//! It is a copy of the truth, never the truth: tenants, autoscalers and other tools change the cloud behind our
//! back all the time. It changes only by [`Change`]s that were journaled as observed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{GroupId, HostId, InstanceId, ProjectId, Zone};
pub use crate::resources::{Amounts, Resources};
use crate::shared::SharedMap;
use crate::time::Millis;

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// Runs instances.
    Compute,
    /// Runs the control plane.
    Controller,
    /// Neither.
    Other,
}

/// Whether the scheduler may put instances on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// New instances may come.
    Enabled,
    /// No new instances; whoever disabled it said why.
    Disabled {
        /// The text that stands beside the service in the infrastructure.
        reason: String,
    },
    /// The machine runs no compute service.
    Absent,
}

/// A machine, as seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub id: HostId,
    /// What it is for.
    pub kind: HostKind,
    /// Its failure domain.
    pub zone: Zone,
    /// What it offers to instances, in all.
    pub capacity: Resources,
    /// Whether new instances may come.
    pub service: Service,
    /// True while its services answer.
    pub up: bool,
    /// Names the running boot: another value means that it was restarted in between.
    pub boot: String,
    /// True once somebody who knows has said so: nothing runs on it any more, so that what was on it may be begun anew
    /// elsewhere. A host that merely does not answer may still run everything.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dead: bool,
}

impl Host {
    /// True if instances may come to it as far as its own state goes.
    pub fn takes_instances(&self) -> bool {
        self.up && self.service == Service::Enabled
    }
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Runs.
    Active,
    /// Is being created.
    Building,
    /// A move or resize is under way; `other_end` is claimed too.
    Moving,
    /// A cold move arrived at `host` and waits for its confirmation; `other_end` is the source.
    Moved,
    /// Switched off by its owner.
    Stopped,
    /// Broken.
    Error,
}

/// How an instance can be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movable {
    /// Cold and live.
    Any,
    /// Cold only.
    ColdOnly,
    /// Not at all.
    No {
        /// Why not.
        reason: String,
    },
}

/// A VM, container or pod, as seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name, for people.
    pub name: String,
    /// Its owner.
    pub project: ProjectId,
    /// The group that it backs up, if any.
    pub group: Option<GroupId>,
    /// Where it is.
    pub host: HostId,
    /// What it needs.
    pub resources: Resources,
    /// Where it is in its life.
    pub state: InstanceState,
    /// The second host on which it holds capacity while a move is under way or unconfirmed.
    pub other_end: Option<HostId>,
    /// How it can be moved.
    pub movable: Movable,
    /// How much of a live move is done, in percent and tens of it, while the infrastructure says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
}

impl Instance {
    /// The hosts on which it holds capacity: one, or two during a move.
    pub fn ends(&self) -> impl Iterator<Item = &HostId> {
        let other = self.other_end.iter().filter(|other| **other != self.host);
        std::iter::once(&self.host).chain(other)
    }

    /// True if an instance came back into service between two looks; `old` is the one before.
    pub(crate) fn came_back(&self, old: Option<&Instance>) -> bool {
        // A move may begin and end between two looks: another host means that it was out.
        let was_out = old.is_none_or(|old| !old.is_settled() || old.host != self.host);
        was_out && self.is_settled()
    }

    /// The host to which it was on its way at the look before, if it is neither there now nor on its way to it.
    pub(crate) fn did_not_come_to<'a>(&self, old: Option<&'a Instance>) -> Option<&'a HostId> {
        // The other end of one that has arrived and is to be confirmed is where it came from.
        let old = old.filter(|old| old.state != InstanceState::Moved)?;
        let meant = old.other_end.as_ref()?;
        self.ends().all(|end| end != meant).then_some(meant)
    }

    /// True if it serves its application and nothing is being done to it.
    pub fn is_settled(&self) -> bool {
        self.state == InstanceState::Active && self.other_end.is_none()
    }
}

/// Instances that back each other up, and what they bear. ETSI GS NFV-IFA 011, 7.1.8.17 names the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its owner.
    pub project: ProjectId,
    /// Its name, for people.
    pub name: String,
    /// True if no two members may be on one host.
    pub anti_affinity: bool,
    /// Most members on one host; 0 = no limit.
    pub max_instances_per_host: u32,
    /// Most members out of service at a time; 0 = none may be touched.
    pub max_impacted_members: u32,
    /// How long a member counts as out after it came back.
    pub recovery_time: Millis,
}

impl Group {
    /// Most members that one host may carry, from both limits.
    pub fn most_per_host(&self) -> u32 {
        match (self.anti_affinity, self.max_instances_per_host) {
            (true, _) => 1,
            (false, 0) => u32::MAX,
            (false, most) => most,
        }
    }
}

/// How much of something is done, as [`Instance::progress`] has it: whoever looks often shall not store every look.
pub fn progress(done: u64, all: u64) -> u8 {
    let tens = done.min(all).saturating_mul(10) / all.max(1);
    tens as u8 * 10
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One difference between what was known and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A host is there, or looks different.
    Host(Host),
    /// A host is no longer there.
    HostGone(HostId),
    /// An instance is there, or looks different.
    Instance(Instance),
    /// An instance is no longer there.
    InstanceGone(InstanceId),
    /// A group is there, or looks different.
    Group(Group),
    /// A group is no longer there.
    GroupGone(GroupId),
}

/// Everything last seen, with the indexes that rules and workflows ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    hosts: SharedMap<HostId, Arc<Host>>,
    instances: SharedMap<InstanceId, Arc<Instance>>,
    groups: SharedMap<GroupId, Arc<Group>>,
    /// Instances by each host on which they hold capacity.
    on_host: Index<HostId>,
    /// The sum of what they need.
    used: SharedMap<HostId, Resources>,
    /// Hosts that may take instances and have virtual CPUs left, with all that is left. In a full cloud they are few.
    roomy: SharedMap<HostId, Resources>,
    members: Index<GroupId>,
    of_project: Index<ProjectId>,
}

/// Instances by what they belong to; themselves, and not their ids alone: whoever asks for those on a host reads them all.
type Index<K> = SharedMap<K, SharedMap<InstanceId, Arc<Instance>>>;

impl Inventory {
    /// The host of that name.
    pub fn host(&self, id: &HostId) -> Option<&Host> {
        self.hosts.get(id).map(|host| &**host)
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values().map(|host| &**host)
    }

    /// How many hosts there are.
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// The instance of that id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id).map(|instance| &**instance)
    }

    /// All instances, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values().map(|instance| &**instance)
    }

    /// The group of that id.
    pub fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id).map(|group| &**group)
    }

    /// All groups, by id.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values().map(|group| &**group)
    }

    /// Instances that hold capacity on a host: those on it, and those with their other end there.
    pub fn holding(&self, host: &HostId) -> impl Iterator<Item = &Instance> {
        each(&self.on_host, host)
    }

    /// Members of a group that were seen.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &Instance> {
        each(&self.members, group)
    }

    /// How many instances hold capacity on a host.
    pub fn count_holding(&self, host: &HostId) -> usize {
        self.on_host.get(host).map_or(0, SharedMap::len)
    }

    /// Instances of a project that were seen.
    pub fn of_project(&self, project: &ProjectId) -> impl Iterator<Item = &Instance> {
        each(&self.of_project, project)
    }

    /// What instances hold on a host.
    pub fn used(&self, host: &HostId) -> Resources {
        self.used.get(host).cloned().unwrap_or_default()
    }

    /// What a host offers and no instance holds.
    pub fn unused(&self, host: &Host) -> Resources {
        match self.used.get(&host.id) {
            Some(used) => host.capacity.minus(used),
            None => host.capacity.clone(),
        }
    }

    /// Computes that may take instances, as far as their own state goes, and have virtual CPUs left, with what no instance
    /// holds there; by name.
    pub fn roomy(&self) -> impl Iterator<Item = (&HostId, &Resources)> {
        self.roomy.iter()
    }

    /// What is there when all of it is known at once: the same as after one change for each.
    pub(crate) fn of(
        hosts: impl IntoIterator<Item = Arc<Host>>,
        instances: impl IntoIterator<Item = Arc<Instance>>,
        groups: impl IntoIterator<Item = Arc<Group>>,
    ) -> Inventory {
        let mut inventory = Inventory {
            hosts: hosts.into_iter().map(|host| (host.id.clone(), host)).collect(),
            instances: instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect(),
            groups: groups.into_iter().map(|group| (group.id.clone(), group)).collect(),
            ..Inventory::default()
        };
        let mut on_host: BTreeMap<&HostId, Vec<&Arc<Instance>>> = BTreeMap::new();
        let mut used: BTreeMap<&HostId, Resources> = BTreeMap::new();
        let mut members: BTreeMap<&GroupId, Vec<&Arc<Instance>>> = BTreeMap::new();
        let mut of_project: BTreeMap<&ProjectId, Vec<&Arc<Instance>>> = BTreeMap::new();
        for instance in inventory.instances.values() {
            for host in instance.ends() {
                on_host.entry(host).or_default().push(instance);
                let used = used.entry(host).or_default();
                *used = used.plus(&instance.resources);
            }
            if let Some(group) = &instance.group {
                members.entry(group).or_default().push(instance);
            }
            of_project.entry(&instance.project).or_default().push(instance);
        }
        let (on_host, members, of_project) = (index(on_host), index(members), index(of_project));
        inventory.used = used.into_iter().map(|(host, used)| (host.clone(), used)).collect();
        inventory.on_host = on_host;
        inventory.members = members;
        inventory.of_project = of_project;
        let roomy = inventory.hosts.keys().filter_map(|id| Some((id.clone(), inventory.room(id)?))).collect();
        inventory.roomy = roomy;
        inventory
    }

    /// Takes over one observed difference.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Host(host) => {
                self.hosts.insert(host.id.clone(), Arc::new(host.clone()));
                self.look_for_room(&host.id);
            }
            Change::HostGone(id) => {
                self.hosts.remove(id);
                self.roomy.remove(id);
            }
            Change::Instance(instance) => {
                self.unlink(&instance.id);
                let instance = Arc::new(instance.clone());
                self.link(&instance);
                self.instances.insert(instance.id.clone(), instance);
            }
            Change::InstanceGone(id) => {
                self.unlink(id);
                self.instances.remove(id);
            }
            Change::Group(group) => {
                self.groups.insert(group.id.clone(), Arc::new(group.clone()));
            }
            Change::GroupGone(id) => {
                self.groups.remove(id);
            }
        }
    }

    fn link(&mut self, instance: &Arc<Instance>) {
        for host in instance.ends() {
            add_to(&mut self.on_host, host, instance);
            let used = self.used.get_or_insert_with(host.clone(), Resources::default);
            *used = used.plus(&instance.resources);
            self.look_for_room(host);
        }
        if let Some(group) = &instance.group {
            add_to(&mut self.members, group, instance);
        }
        add_to(&mut self.of_project, &instance.project, instance);
    }

    fn unlink(&mut self, id: &InstanceId) {
        let Some(old) = self.instances.get(id).cloned() else { return };
        for host in old.ends() {
            drop_from(&mut self.on_host, host, id);
            if !self.on_host.contains_key(host) {
                self.used.remove(host);
            } else if let Some(used) = self.used.get_mut(host) {
                *used = used.minus(&old.resources);
            }
            self.look_for_room(host);
        }
        if let Some(group) = &old.group {
            drop_from(&mut self.members, group, id);
        }
        drop_from(&mut self.of_project, &old.project, id);
    }
}

impl Inventory {
    /// What no instance holds on a compute that may take instances and has virtual CPUs left.
    fn room(&self, id: &HostId) -> Option<Resources> {
        let takes = |host: &&Host| host.kind == HostKind::Compute && host.takes_instances();
        let unused = self.unused(self.host(id).filter(takes)?);
        (unused.vcpus > 0).then_some(unused)
    }

    /// Notes what room a host has, after it or what it carries has changed.
    fn look_for_room(&mut self, id: &HostId) {
        match self.room(id) {
            Some(room) => drop(self.roomy.insert(id.clone(), room)),
            None => drop(self.roomy.remove(id)),
        }
    }
}

/// The instances of one key, by id.
fn each<'a, K: Ord>(index: &'a Index<K>, key: &K) -> impl Iterator<Item = &'a Instance> + use<'a, K> {
    index.get(key).into_iter().flat_map(SharedMap::values).map(|instance| &**instance)
}

/// An index with all its instances.
fn index<K: Ord + Clone>(all: BTreeMap<&K, Vec<&Arc<Instance>>>) -> Index<K> {
    let own = |all: Vec<&Arc<Instance>>| {
        all.into_iter().map(|instance| (instance.id.clone(), Arc::clone(instance))).collect()
    };
    all.into_iter().map(|(key, all)| (key.clone(), own(all))).collect()
}

/// Puts one instance into an index.
fn add_to<K: Ord + Clone>(index: &mut Index<K>, key: &K, instance: &Arc<Instance>) {
    let all = index.get_or_insert_with(key.clone(), SharedMap::default);
    all.insert(instance.id.clone(), Arc::clone(instance));
}

/// Takes one out of an index, and the entry with its last one, so that equal inventories compare equal.
fn drop_from<K: Ord + Clone>(index: &mut Index<K>, key: &K, id: &InstanceId) {
    if let Some(all) = index.get_mut(key) {
        all.remove(id);
        if all.is_empty() {
            index.remove(key);
        }
    }
}
