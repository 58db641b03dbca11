//! Machines going down and coming up, and what that does to the instances on them.

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Group, Host, InstanceState, Service};
use fenix_engine::ports::CloudError;

use super::calls::{Taken, no_host, refused};
use super::claims::Power;
use super::spec::HostSpec;
use super::trace::{DIED, Happening, LOST_POWER, MoveEnd, MoveKind, STAYS_DOWN};
use super::world::{Due, FlightKind, World};

impl World {
    /// Restarts a machine, also one that is down, if its boot is the one meant. Instances on it are out of service until
    /// it is back.
    pub(super) fn reboot(&mut self, host: &HostId, boot: Option<&str>) -> Result<Taken, CloudError> {
        let machine = self.claims.machine(host).ok_or_else(|| no_host(host))?;
        let runs = &machine.host.boot;
        if let Some(meant) = boot.filter(|meant| meant != runs) {
            return Err(refused(format!(
                "conflict: host {host} runs boot {runs}, and {meant:.80} was to end"
            )));
        }
        match machine.power {
            Power::Rebooting => {
                return Err(refused(format!("conflict: host {host} is being rebooted already")));
            }
            Power::Dead => return Err(refused(format!("host {host} does not answer"))),
            Power::On | Power::Off => {}
        }
        let back = self.after(self.rules.times.reboot_ms);
        let f = &self.rules.failures;
        let odds = [(f.reboot_stays_down, Power::Off), (f.reboot_kills, Power::Dead)];
        let power = self.dice.fates.pick(&odds).unwrap_or(Power::Rebooting);
        self.tell(Happening::HostRebooting { host: host.clone() });
        self.go_down(host, power);
        match power {
            Power::On | Power::Rebooting => {
                self.plan(back, Due::HostBack(host.clone()));
            }
            Power::Off => self.tell(Happening::HostDown { host: host.clone(), why: STAYS_DOWN.to_owned() }),
            Power::Dead => self.tell(Happening::HostDown { host: host.clone(), why: DIED.to_owned() }),
        }
        Ok(Taken::Yes)
    }

    pub(super) fn crash(&mut self, host: &HostId) -> Result<(), CloudError> {
        match self.claims.machine(host).ok_or_else(|| no_host(host))?.power {
            Power::On => {}
            Power::Rebooting | Power::Off | Power::Dead => {
                return Err(refused(format!("host {host} is down already")));
            }
        }
        let dies = self.dice.fates.chance(self.rules.failures.crash_kills);
        let (power, why) = if dies { (Power::Dead, DIED) } else { (Power::Off, LOST_POWER) };
        self.tell(Happening::HostDown { host: host.clone(), why: why.to_owned() });
        self.go_down(host, power);
        Ok(())
    }

    pub(super) fn power_on(&mut self, host: &HostId) -> Result<(), CloudError> {
        match self.claims.machine(host).ok_or_else(|| no_host(host))?.power {
            Power::Off => {}
            Power::On | Power::Rebooting => return Err(refused(format!("host {host} is not down"))),
            Power::Dead => return Err(refused(format!("host {host} does not answer"))),
        }
        self.come_up(host);
        Ok(())
    }

    /// A rebooting machine is back.
    pub(super) fn come_back(&mut self, host: &HostId) {
        if self.claims.machine(host).is_some_and(|machine| machine.power == Power::Rebooting) {
            self.come_up(host);
        }
    }

    fn come_up(&mut self, host: &HostId) {
        self.claims.change(host, |machine| {
            machine.turn(Power::On);
            machine.boots += 1;
            machine.host.boot = boot_name(&machine.host.id, machine.boots);
        });
        if let Some(machine) = self.claims.machine(host) {
            let boot = machine.host.boot.clone();
            self.tell(Happening::HostUp { host: host.clone(), boot });
        }
        for instance in self.on(host) {
            if !self.rules.failures.guests_resume {
                self.leave_stopped(&instance);
            }
            self.settle(&instance);
        }
    }

    /// The guest did not start again with its host.
    fn leave_stopped(&mut self, instance: &InstanceId) {
        let Some(guest) = self.guests.get_mut(instance) else { return };
        if guest.rests != InstanceState::Active || guest.flight.is_some() {
            return;
        }
        guest.rests = InstanceState::Stopped;
        if guest.seen.state == InstanceState::Active {
            guest.seen.state = InstanceState::Stopped;
        }
        let why = "its host was restarted".to_owned();
        self.tell(Happening::InstanceStopped { instance: instance.clone(), why });
    }

    fn go_down(&mut self, host: &HostId, power: Power) {
        self.claims.change(host, |machine| machine.turn(power));
        let holders: Vec<_> =
            self.claims.machine(host).into_iter().flat_map(|m| m.holders()).cloned().collect();
        for instance in holders {
            self.lose_end(&instance, host);
            self.settle(&instance);
        }
    }

    /// What is being done to an instance breaks off, because a host that takes part in it went down.
    fn lose_end(&mut self, instance: &InstanceId, host: &HostId) {
        let Some(guest) = self.guests.get(instance) else { return };
        let Some(flight) = &guest.flight else { return };
        let end = match &flight.kind {
            // The guest itself was never switched off: it stays where it is, and goes down only with that host.
            FlightKind::Move(MoveKind::Live) => MoveEnd::Stayed,
            // Its source was down from the beginning.
            FlightKind::Move(MoveKind::Evacuation) if flight.to != *host => return,
            FlightKind::Boot | FlightKind::Move(_) | FlightKind::Resize { .. } => MoveEnd::Broke,
        };
        self.end_flight(instance, end, &format!("host {host} went down"));
    }

    /// Instances whose place is a host; those with only their other end there are left out.
    fn on(&self, host: &HostId) -> Vec<InstanceId> {
        let holders = self.claims.machine(host).into_iter().flat_map(|machine| machine.holders());
        let here = |id: &&InstanceId| self.guests.get(*id).is_some_and(|guest| guest.seen.host == *host);
        holders.filter(here).cloned().collect()
    }

    pub(super) fn add_host(&mut self, spec: &HostSpec) -> Result<(), CloudError> {
        if spec.id.as_str().is_empty() || self.claims.machine(&spec.id).is_some() {
            return Err(refused(format!(
                "there is a host {:?} already, or it has no name",
                spec.id.as_str()
            )));
        }
        let (host, power) = machine(spec);
        self.tell(Happening::HostAdded { host: host.clone() });
        self.claims.add_machine(host, power, 1);
        Ok(())
    }

    pub(super) fn set_group(&mut self, group: &Group) -> Result<(), CloudError> {
        if self.claims.group(&group.id).is_some_and(|old| old.project != group.project) {
            return Err(refused(format!("group {} belongs to another project", group.id)));
        }
        self.tell(Happening::GroupSet { group: group.clone() });
        self.claims.set_group(group.clone());
        Ok(())
    }
}

/// A host as its specification says.
pub(super) fn machine(spec: &HostSpec) -> (Host, Power) {
    use fenix_core::inventory::HostKind;
    let service = match (&spec.disabled, spec.kind) {
        (_, HostKind::Controller | HostKind::Other) => Service::Absent,
        (Some(reason), HostKind::Compute) => Service::Disabled { reason: reason.clone() },
        (None, HostKind::Compute) => Service::Enabled,
    };
    let host = Host {
        id: spec.id.clone(),
        kind: spec.kind,
        zone: spec.zone.clone(),
        capacity: spec.capacity.clone(),
        service,
        up: !spec.down,
        boot: boot_name(&spec.id, 1),
        dead: spec.down,
    };
    (host, if spec.down { Power::Off } else { Power::On })
}

/// Names the `number`th boot of a host; unlike any other boot of any host.
fn boot_name(host: &HostId, number: u32) -> String {
    format!("{host}-boot-{number}")
}
