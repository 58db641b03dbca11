//! A world as stored: everything that cannot be worked out from the rest.

use std::collections::BTreeMap;

use fenix_core::inventory::{Group, Host};
use fenix_core::time::Time;
use serde::{Deserialize, Serialize};

use super::audit::holds;
use super::claims::{Claims, Power, Wish};
use super::spec::Spec;
use super::trace::Actor;
use super::world::{DiceSet, Due, Guest, Rules, World};

/// A stored world. Its rules are not in it: they come from the specification, which does not change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    now: Time,
    machines: Vec<(Host, Power, u32)>,
    groups: Vec<Group>,
    guests: Vec<Guest>,
    due: Vec<(Time, u64, Actor, Due)>,
    planned: u64,
    foreign: u64,
    dice: DiceSet,
}

impl World {
    /// The world to be stored; what was not taken of its trace is not in it.
    pub(super) fn image(&self) -> Image {
        let machines = self.claims.machines();
        Image {
            now: self.now,
            machines: machines.map(|machine| (machine.host.clone(), machine.power, machine.boots)).collect(),
            groups: self.claims.groups().cloned().collect(),
            guests: self.guests.values().cloned().collect(),
            due: self.due.iter().map(|((at, number), (by, due))| (*at, *number, *by, due.clone())).collect(),
            planned: self.planned,
            foreign: self.foreign,
            dice: self.dice.clone(),
        }
    }

    /// The world that was stored, under the specification that it was made from.
    pub(super) fn restore(spec: &Spec, image: Image) -> World {
        let mut claims = Claims::default();
        for (host, power, boots) in image.machines {
            claims.add_machine(host, power, boots);
        }
        for group in image.groups {
            claims.set_group(group);
        }
        let mut guests = BTreeMap::new();
        for guest in image.guests {
            for (host, resources) in holds(&guest) {
                let wish = Wish { instance: &guest.seen.id, group: guest.seen.group.as_ref(), resources };
                claims.take(wish, host);
            }
            guests.insert(guest.seen.id.clone(), guest);
        }
        World {
            rules: Rules::of(spec),
            now: image.now,
            claims,
            guests,
            due: image.due.into_iter().map(|(at, number, by, due)| ((at, number), (by, due))).collect(),
            planned: image.planned,
            foreign: image.foreign,
            dice: image.dice,
            by: Actor::Client,
            trace: Vec::new(),
        }
    }
}
