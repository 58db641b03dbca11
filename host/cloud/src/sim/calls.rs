//! What each call of the port does: reads, services, and the way to the rest.

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Instance, Service};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

use super::trace::Happening;
use super::world::{Guest, World};

/// Longest reason beside a disabled service, as in Nova.
pub const MAX_REASON: usize = 255;

/// What a change comes to.
pub(super) enum Taken {
    /// Begun, or done.
    Yes,
    /// Refused, but the caller is told `Accepted`.
    Quietly(CloudError),
}

impl World {
    pub(super) fn do_call(&mut self, call: &CloudCall) -> Result<CloudReply, CloudError> {
        if let Some(reply) = self.read(call) {
            return Ok(reply);
        }
        match self.change(call) {
            Ok(Taken::Yes) => Ok(CloudReply::Accepted),
            Ok(Taken::Quietly(error)) => {
                self.tell(Happening::Refused { call: call.clone(), error, quietly: true });
                Ok(CloudReply::Accepted)
            }
            Err(error) => {
                self.tell(Happening::Refused { call: call.clone(), error: error.clone(), quietly: false });
                Err(error)
            }
        }
    }

    /// The answer to a read; `None` if the call is a change.
    fn read(&self, call: &CloudCall) -> Option<CloudReply> {
        let shown = |guest: &Guest| guest.shown(self.now);
        match call {
            CloudCall::ReadAll => Some(CloudReply::All {
                hosts: self.claims.machines().map(|machine| machine.host.clone()).collect(),
                instances: self.guests.values().map(shown).collect(),
                groups: self.claims.groups().cloned().collect(),
            }),
            CloudCall::ReadHost { host } => {
                let machine = self.claims.machine(host);
                let holders = machine.into_iter().flat_map(|machine| machine.holders());
                Some(CloudReply::Host {
                    host: machine.map(|machine| machine.host.clone()),
                    instances: holders.filter_map(|id| self.guests.get(id)).map(shown).collect(),
                })
            }
            CloudCall::ReadInstance { instance } => {
                Some(CloudReply::Instance(self.guests.get(instance).map(shown)))
            }
            CloudCall::Disable { .. }
            | CloudCall::Enable { .. }
            | CloudCall::Migrate { .. }
            | CloudCall::LiveMigrate { .. }
            | CloudCall::Confirm { .. }
            | CloudCall::Revert { .. }
            | CloudCall::AbortLive { .. }
            | CloudCall::CompleteLive { .. }
            | CloudCall::Evacuate { .. }
            | CloudCall::Reboot { .. }
            | CloudCall::Boot { .. }
            | CloudCall::Delete { .. }
            | CloudCall::Resize { .. } => None,
        }
    }

    fn change(&mut self, call: &CloudCall) -> Result<Taken, CloudError> {
        match call {
            CloudCall::ReadAll | CloudCall::ReadHost { .. } | CloudCall::ReadInstance { .. } => {
                Ok(Taken::Yes)
            }
            CloudCall::Disable { host, reason } => self.disable(host, reason),
            CloudCall::Enable { host } => self.enable(host),
            CloudCall::Migrate { instance, to } => self.migrate(instance, to),
            CloudCall::LiveMigrate { instance, to } => self.live_migrate(instance, to),
            CloudCall::Confirm { instance } => self.confirm(instance),
            CloudCall::Revert { instance } => self.revert(instance),
            CloudCall::AbortLive { instance } => self.abort_live(instance),
            CloudCall::CompleteLive { instance } => self.complete_live(instance),
            CloudCall::Evacuate { instance, to } => self.evacuate(instance, to),
            CloudCall::Reboot { host, boot } => self.reboot(host, boot.as_deref()),
            CloudCall::Boot { instance } => self.boot(instance),
            CloudCall::Delete { instance } => self.delete(instance),
            CloudCall::Resize { instance, resources } => self.resize(instance, resources.clone()),
        }
    }

    fn disable(&mut self, host: &HostId, reason: &str) -> Result<Taken, CloudError> {
        if reason.len() > MAX_REASON {
            return Err(refused(format!(
                "the reason for disabling {host} is longer than {MAX_REASON} bytes"
            )));
        }
        self.set_service(host, Service::Disabled { reason: reason.to_owned() })
    }

    fn enable(&mut self, host: &HostId) -> Result<Taken, CloudError> {
        self.set_service(host, Service::Enabled)
    }

    fn set_service(&mut self, host: &HostId, service: Service) -> Result<Taken, CloudError> {
        let machine = self.claims.machine(host).ok_or_else(|| no_host(host))?;
        if machine.host.service == Service::Absent {
            return Err(refused(format!("host {host} runs no compute service")));
        }
        if machine.host.service == service {
            return Ok(Taken::Yes);
        }
        let host = host.clone();
        let what = match &service {
            Service::Disabled { reason } => {
                Happening::HostDisabled { host: host.clone(), reason: reason.clone() }
            }
            Service::Enabled | Service::Absent => Happening::HostEnabled { host: host.clone() },
        };
        self.claims.change(&host, |machine| machine.host.service = service);
        self.tell(what);
        Ok(Taken::Yes)
    }

    pub(super) fn guest(&self, instance: &InstanceId) -> Result<&Guest, CloudError> {
        self.guests.get(instance).ok_or_else(|| CloudError::NotFound(format!("instance {instance}")))
    }

    /// Changes an instance, then finds out whether it serves.
    pub(super) fn with_guest(&mut self, instance: &InstanceId, change: impl FnOnce(&mut Guest)) {
        if let Some(guest) = self.guests.get_mut(instance) {
            change(guest);
        }
        self.settle(instance);
    }

    /// The instance, if nothing is being done to it and no move of it waits to be confirmed.
    pub(super) fn idle(&self, instance: &InstanceId) -> Result<&Instance, CloudError> {
        use fenix_core::inventory::InstanceState::{Active, Building, Error, Moved, Moving, Stopped};
        let seen = &self.guest(instance)?.seen;
        match seen.state {
            Active | Stopped => Ok(seen),
            Building => Err(refused(format!("conflict: instance {instance} is still being created"))),
            Moving => Err(refused(format!("conflict: instance {instance} is being moved or resized"))),
            Moved => Err(refused(format!("conflict: a move of instance {instance} waits to be confirmed"))),
            Error => Err(refused(format!("conflict: instance {instance} is in error state"))),
        }
    }
}

pub(super) fn refused(why: String) -> CloudError {
    CloudError::Refused(why)
}

pub(super) fn no_host(host: &HostId) -> CloudError {
    CloudError::NotFound(format!("host {host}"))
}
