//! Instances coming, going, breaking and being switched off and on where they are.

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Instance, InstanceState};
use fenix_engine::ports::CloudError;

use super::calls::{Taken, no_host, refused};
use super::claims::Wish;
use super::spec::MAX_NAME;
use super::trace::{Happening, MoveEnd};
use super::world::{Fate, FlightKind, Guest, World};

impl World {
    /// Creates an instance under the id that the caller chose. Its `state` and `other_end` are not looked at.
    pub(super) fn boot(&mut self, wanted: &Instance) -> Result<Taken, CloudError> {
        let id = &wanted.id;
        for (what, text) in [("id", id.as_str()), ("project", wanted.project.as_str())] {
            if text.is_empty() || text.len() > MAX_NAME {
                return Err(refused(format!(
                    "the {what} of instance {id:.40} is not 1 to {MAX_NAME} bytes long"
                )));
            }
        }
        if wanted.name.len() > MAX_NAME {
            return Err(refused(format!("the name of instance {id} is longer than {MAX_NAME} bytes")));
        }
        if self.guests.contains_key(id) {
            return Err(refused(format!("conflict: there is an instance {id} already")));
        }
        self.in_its_group(wanted)?;
        let wish = Wish { instance: id, group: wanted.group.as_ref(), resources: &wanted.resources };
        let host = self.find_host(wish, &wanted.host)?;
        let fate = self.dice.fates.pick(&[(self.rules.failures.boot_breaks, Fate::Breaks)]);
        self.add_guest(wanted, &host, InstanceState::Building, InstanceState::Active);
        let fate = fate.unwrap_or(Fate::Arrives);
        self.launch(id, &host, FlightKind::Boot, fate, self.rules.times.boot_ms);
        Ok(Taken::Yes)
    }

    fn in_its_group(&self, wanted: &Instance) -> Result<(), CloudError> {
        let Some(id) = &wanted.group else { return Ok(()) };
        let group = self.claims.group(id).ok_or_else(|| CloudError::NotFound(format!("group {id}")))?;
        if group.project != wanted.project {
            return Err(refused(format!(
                "group {id} belongs to another project than instance {}",
                wanted.id
            )));
        }
        Ok(())
    }

    /// The wanted host, if it can take the instance; `""` lets the scheduler choose.
    fn find_host(&self, wish: Wish<'_>, wanted: &HostId) -> Result<HostId, CloudError> {
        if wanted.as_str().is_empty() {
            let none = || refused(format!("no host has room for instance {}", wish.instance));
            return self.claims.choose(wish, None).ok_or_else(none);
        }
        self.claims.machine(wanted).ok_or_else(|| no_host(wanted))?;
        match self.claims.obstacle(wish, wanted) {
            Some(why) => Err(refused(why)),
            None => Ok(wanted.clone()),
        }
    }

    /// Puts an instance there, and books what it holds.
    pub(super) fn add_guest(
        &mut self,
        wanted: &Instance,
        host: &HostId,
        state: InstanceState,
        rests: InstanceState,
    ) {
        let seen = Instance { host: host.clone(), other_end: None, state, ..wanted.clone() };
        self.tell(Happening::InstanceAdded { instance: seen.clone() });
        let (id, resources) = (seen.id.clone(), seen.resources.clone());
        self.guests.insert(id.clone(), Guest { seen, rests, serves: false, flight: None });
        self.claim(&id, host, &resources);
        self.settle(&id);
    }

    /// Removes an instance, whatever is being done to it, and frees all that it holds.
    pub(super) fn delete(&mut self, instance: &InstanceId) -> Result<Taken, CloudError> {
        self.guest(instance)?;
        self.end_flight(instance, MoveEnd::Deleted, "");
        let seen = self.guest(instance)?.seen.clone();
        for host in std::iter::once(&seen.host).chain(&seen.other_end) {
            self.unclaim(instance, host);
        }
        self.guests.remove(instance);
        self.tell(Happening::InstanceDeleted { instance: instance.clone() });
        Ok(Taken::Yes)
    }

    pub(super) fn stop(&mut self, instance: &InstanceId) -> Result<(), CloudError> {
        if self.idle(instance)?.state == InstanceState::Stopped {
            return Err(refused(format!("instance {instance} is stopped already")));
        }
        let why = "its owner switched it off".to_owned();
        self.tell(Happening::InstanceStopped { instance: instance.clone(), why });
        self.rest(instance, InstanceState::Stopped);
        Ok(())
    }

    pub(super) fn start(&mut self, instance: &InstanceId) -> Result<(), CloudError> {
        if self.idle(instance)?.state == InstanceState::Active {
            return Err(refused(format!("instance {instance} runs already")));
        }
        self.tell(Happening::InstanceStarted { instance: instance.clone() });
        self.rest(instance, InstanceState::Active);
        Ok(())
    }

    pub(super) fn break_down(&mut self, instance: &InstanceId) -> Result<(), CloudError> {
        self.idle(instance)?;
        let why = "by itself".to_owned();
        self.tell(Happening::InstanceBroke { instance: instance.clone(), why });
        self.with_guest(instance, |guest| guest.seen.state = InstanceState::Error);
        Ok(())
    }

    pub(super) fn reset(&mut self, instance: &InstanceId) -> Result<(), CloudError> {
        self.guest(instance)?;
        self.end_flight(instance, MoveEnd::Stayed, "");
        if let Some(other) = self.guest(instance)?.seen.other_end.clone() {
            self.unclaim(instance, &other);
        }
        self.tell(Happening::InstanceStarted { instance: instance.clone() });
        self.with_guest(instance, |guest| guest.seen.other_end = None);
        self.rest(instance, InstanceState::Active);
        Ok(())
    }

    fn rest(&mut self, instance: &InstanceId, state: InstanceState) {
        self.with_guest(instance, |guest| {
            guest.rests = state;
            guest.seen.state = state;
        });
    }
}
