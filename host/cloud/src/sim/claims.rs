//! Who holds how much capacity where: the one place in which the simulated cloud books it.
//!
//! A claim is taken only where [`Claims::room_for`] found room, so no host is ever over-committed. Claims know the
//! groups as well: a member counts on every host on which it holds capacity, because it may end up on either.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::{GroupId, HostId, InstanceId};
use fenix_core::inventory::{Group, Host, Resources, Service};

/// What a host's machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Power {
    /// Runs.
    On,
    /// Goes down and comes back.
    Rebooting,
    /// Stays down until somebody does something.
    Off,
    /// Stays down whatever anybody does.
    Dead,
}

/// A machine and what is held on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) host: Host,
    pub(super) power: Power,
    /// How often it has been started.
    pub(super) boots: u32,
    used: Resources,
    held: BTreeMap<InstanceId, Resources>,
}

impl Machine {
    /// What is held in all.
    pub(super) fn used(&self) -> &Resources {
        &self.used
    }

    /// Who holds something.
    pub(super) fn holders(&self) -> impl Iterator<Item = &InstanceId> {
        self.held.keys()
    }

    /// What is free.
    pub(super) fn free(&self) -> Resources {
        self.host.capacity.minus(&self.used)
    }

    /// Switches it on or off. Whoever runs these machines knows which of those that do not answer are off.
    pub(super) fn turn(&mut self, power: Power) {
        self.power = power;
        self.host.up = power == Power::On;
        self.host.dead = matches!(power, Power::Off | Power::Dead);
    }

    /// True if the scheduler may choose it.
    fn is_open(&self) -> bool {
        self.power == Power::On && self.host.service == Service::Enabled
    }

    fn place(&self) -> Place {
        let free = self.free();
        Place(Reverse(free.vcpus), Reverse(free.memory_mb), Reverse(free.disk_gb), self.host.id.clone())
    }
}

/// An open host in the scheduler's order: most room first, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Reverse<u32>, Reverse<u32>, Reverse<u32>, HostId);

/// A group and where its members hold capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ring {
    group: Group,
    on: BTreeMap<HostId, BTreeSet<InstanceId>>,
}

/// All machines and groups, with everything that instances hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    machines: BTreeMap<HostId, Machine>,
    groups: BTreeMap<GroupId, Ring>,
    open: BTreeSet<Place>,
}

/// An instance that wants capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) instance: &'a InstanceId,
    pub(super) group: Option<&'a GroupId>,
    pub(super) resources: &'a Resources,
}

/// What is free of each further class that is wanted.
fn classes(free: &Resources, wanted: &Resources) -> String {
    wanted.other.iter().map(|(class, _)| format!(", {} {class}", free.other.get(class))).collect()
}

impl Claims {
    pub(super) fn machine(&self, host: &HostId) -> Option<&Machine> {
        self.machines.get(host)
    }

    pub(super) fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values()
    }

    pub(super) fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id).map(|ring| &ring.group)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values().map(|ring| &ring.group)
    }

    pub(super) fn add_machine(&mut self, host: Host, power: Power, boots: u32) {
        let id = host.id.clone();
        let machine = Machine { host, power, boots, used: Resources::default(), held: BTreeMap::new() };
        if machine.is_open() {
            self.open.insert(machine.place());
        }
        self.machines.insert(id, machine);
    }

    /// Sets the group's limits; its members stay where they are, also if the new limits would not have let them.
    pub(super) fn set_group(&mut self, group: Group) {
        match self.groups.get_mut(&group.id) {
            Some(ring) => ring.group = group,
            None => {
                self.groups.insert(group.id.clone(), Ring { group, on: BTreeMap::new() });
            }
        }
    }

    /// Changes a machine and keeps the scheduler's order. Nothing happens if there is no such host.
    pub(super) fn change(&mut self, host: &HostId, change: impl FnOnce(&mut Machine)) {
        let Some(machine) = self.machines.get_mut(host) else { return };
        self.open.remove(&machine.place());
        change(machine);
        if machine.is_open() {
            self.open.insert(machine.place());
        }
    }

    /// Why an instance cannot get what it wants on a host, if it cannot.
    ///
    /// What it already holds there is taken as given back.
    pub(super) fn obstacle(&self, wish: Wish<'_>, host: &HostId) -> Option<String> {
        let Some(machine) = self.machines.get(host) else { return Some(format!("there is no host {host}")) };
        match &machine.host.service {
            Service::Enabled => {}
            Service::Disabled { reason } => return Some(format!("host {host} is disabled: {reason}")),
            Service::Absent => return Some(format!("host {host} runs no compute service")),
        }
        if machine.power != Power::On {
            return Some(format!("host {host} is down"));
        }
        self.room_for(wish, host).err()
    }

    /// Looks only at room and group limits, not at whether the host is open.
    pub(super) fn room_for(&self, wish: Wish<'_>, host: &HostId) -> Result<(), String> {
        let Some(machine) = self.machines.get(host) else { return Err(format!("there is no host {host}")) };
        let own = machine.held.get(wish.instance).cloned().unwrap_or_default();
        if !machine.free().plus(&own).fits(wish.resources) {
            let free = machine.free();
            let capacity = &machine.host.capacity;
            return Err(format!(
                "host {host} has no room for {}: {} of {} vcpus, {} of {} MiB, {} of {} GB are free{}",
                wish.instance,
                free.vcpus,
                capacity.vcpus,
                free.memory_mb,
                capacity.memory_mb,
                free.disk_gb,
                capacity.disk_gb,
                classes(&free, wish.resources),
            ));
        }
        let Some(ring) = wish.group.and_then(|group| self.groups.get(group)) else { return Ok(()) };
        let others = ring.on.get(host).map_or(0, |ids| ids.iter().filter(|id| *id != wish.instance).count());
        if others >= ring.group.most_per_host() as usize {
            return Err(format!("host {host} has {others} of group {} already", ring.group.id));
        }
        Ok(())
    }

    /// The scheduler's choice: the open host with the most room that the instance may go to, except `not`.
    pub(super) fn choose(&self, wish: Wish<'_>, not: Option<&HostId>) -> Option<HostId> {
        // Once a host has too few vcpus, so have all that follow.
        self.open
            .iter()
            .take_while(|place| place.0.0 >= wish.resources.vcpus)
            .map(|place| &place.3)
            .find(|host| Some(*host) != not && self.room_for(wish, host).is_ok())
            .cloned()
    }

    /// Books what the instance holds on a host from now on, instead of what it held there before.
    pub(super) fn take(&mut self, wish: Wish<'_>, host: &HostId) {
        self.change(host, |machine| {
            let before =
                machine.held.insert(wish.instance.clone(), wish.resources.clone()).unwrap_or_default();
            machine.used = machine.used.minus(&before).plus(wish.resources);
        });
        if let Some(ring) = wish.group.and_then(|group| self.groups.get_mut(group)) {
            ring.on.entry(host.clone()).or_default().insert(wish.instance.clone());
        }
    }

    /// Gives back whatever the instance holds on a host.
    pub(super) fn free(&mut self, instance: &InstanceId, group: Option<&GroupId>, host: &HostId) {
        self.change(host, |machine| {
            let before = machine.held.remove(instance).unwrap_or_default();
            machine.used = machine.used.minus(&before);
        });
        let Some(ring) = group.and_then(|group| self.groups.get_mut(group)) else { return };
        if let Some(ids) = ring.on.get_mut(host) {
            ids.remove(instance);
            if ids.is_empty() {
                ring.on.remove(host);
            }
        }
    }

    /// What an instance holds on a host.
    pub(super) fn held(&self, instance: &InstanceId, host: &HostId) -> Option<&Resources> {
        self.machines.get(host)?.held.get(instance)
    }
}
