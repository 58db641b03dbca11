//! The world looked at from outside: a summary for people, and whether its own books are right.

use std::collections::BTreeMap;

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Host, InstanceState, Resources};
use fenix_core::time::Time;
use serde::{Deserialize, Serialize};

use super::world::{FlightKind, Guest, World};

/// How a cloud stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The latest time that it was told.
    pub now: Time,
    /// Its hosts, by name.
    pub hosts: Vec<HostSummary>,
    /// How many instances there are.
    pub instances: usize,
    /// Instances that do not serve their application right now.
    pub out_of_service: Vec<InstanceId>,
    /// Instances to which something is being done, or whose move waits to be confirmed.
    pub under_way: Vec<InstanceId>,
    /// Instances in error state.
    pub broken: Vec<InstanceId>,
    /// What should never be: hosts over-committed, group limits broken, books that do not add up.
    pub problems: Vec<String>,
}

/// How a host stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSummary {
    /// As readers see it.
    pub host: Host,
    /// How often it has been started, the first time included.
    pub boots: u32,
    /// What is claimed on it.
    pub used: Resources,
    /// Instances whose place it is.
    pub instances: Vec<InstanceId>,
}

impl World {
    /// How the cloud stands right now.
    pub fn summary(&self) -> Summary {
        let mut on: BTreeMap<&HostId, Vec<InstanceId>> = BTreeMap::new();
        for instance in self.instances() {
            on.entry(&instance.host).or_default().push(instance.id.clone());
        }
        let hosts = self.claims.machines().map(|machine| HostSummary {
            host: machine.host.clone(),
            boots: machine.boots,
            used: machine.used().clone(),
            instances: on.remove(&machine.host.id).unwrap_or_default(),
        });
        Summary {
            now: self.now,
            hosts: hosts.collect(),
            instances: self.guests.len(),
            out_of_service: self.those(|guest| !guest.serves),
            under_way: self.those(|guest| guest.flight.is_some() || guest.seen.other_end.is_some()),
            broken: self.those(|guest| guest.seen.state == InstanceState::Error),
            problems: self.problems(),
        }
    }

    /// How many moves are under way that will never end by themselves.
    pub fn hung(&self) -> u64 {
        let hangs = |guest: &&Guest| guest.flight.as_ref().is_some_and(|flight| flight.due.is_none());
        self.guests.values().filter(hangs).count() as u64
    }

    fn those(&self, are: impl Fn(&Guest) -> bool) -> Vec<InstanceId> {
        self.guests.iter().filter(|(_, guest)| are(guest)).map(|(id, _)| id.clone()).collect()
    }

    /// Everything that should never be, worked out anew from the instances alone; empty if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut used: BTreeMap<&HostId, Resources> = BTreeMap::new();
        let mut members: BTreeMap<_, u32> = BTreeMap::new();
        for guest in self.guests.values() {
            for (host, resources) in holds(guest) {
                let sum = used.entry(host).or_default();
                *sum = sum.plus(resources);
                if let Some(group) = &guest.seen.group {
                    *members.entry((group, host)).or_default() += 1;
                }
                if self.claims.held(&guest.seen.id, host) != Some(resources) {
                    problems.push(format!("instance {} has a wrong claim on host {host}", guest.seen.id));
                }
            }
        }
        for machine in self.claims.machines() {
            let (id, sum) = (&machine.host.id, used.remove(&machine.host.id).unwrap_or_default());
            if sum != *machine.used() {
                problems.push(format!("host {id}: {:?} are booked, {sum:?} are held", machine.used()));
            }
            if !machine.host.capacity.fits(&sum) {
                problems.push(format!("host {id} is over-committed: {sum:?} of {:?}", machine.host.capacity));
            }
        }
        for host in used.keys() {
            problems.push(format!("instances are on host {host}, which is not there"));
        }
        for ((group, host), count) in members {
            let most = self.claims.group(group).map_or(u32::MAX, |group| group.most_per_host());
            if count > most {
                problems
                    .push(format!("group {group} has {count} members on host {host}, at most {most} may be"));
            }
        }
        problems
    }
}

/// What an instance holds, and where.
pub(super) fn holds(guest: &Guest) -> impl Iterator<Item = (&HostId, &Resources)> {
    let here = (&guest.seen.host, &guest.seen.resources);
    let there = match guest.flight.as_ref().map(|flight| &flight.kind) {
        Some(FlightKind::Resize { after, .. }) => after,
        _ => &guest.seen.resources,
    };
    std::iter::once(here).chain(guest.seen.other_end.iter().map(move |host| (host, there)))
}
