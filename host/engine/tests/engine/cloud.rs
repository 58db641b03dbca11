//! The cloud of a test: its truth, and what it does when it does at once what it is asked.

use std::collections::BTreeMap;

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Host, HostKind, Instance, InstanceState, Movable, Resources, Service};
use fenix_engine::ports::{CloudCall, CloudReply};

/// The cloud as it really is.
#[derive(Clone, Default)]
pub(crate) struct Truth {
    pub(crate) hosts: BTreeMap<HostId, Host>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
}

impl Truth {
    /// What a read returns now.
    pub(crate) fn read(&self, call: &CloudCall) -> Option<CloudReply> {
        Some(match call {
            CloudCall::ReadAll => CloudReply::All {
                hosts: self.hosts.values().cloned().collect(),
                instances: self.instances.values().cloned().collect(),
                groups: Vec::new(),
            },
            CloudCall::ReadHost { host } => {
                let holds = |instance: &&Instance| instance.ends().any(|end| end == host);
                CloudReply::Host {
                    host: self.hosts.get(host).cloned(),
                    instances: self.instances.values().filter(holds).cloned().collect(),
                }
            }
            CloudCall::ReadInstance { instance } => {
                CloudReply::Instance(self.instances.get(instance).cloned())
            }
            _ => return None,
        })
    }

    /// What a change does when the cloud does all of it at once.
    pub(crate) fn apply(&mut self, call: &CloudCall) {
        match call {
            CloudCall::Disable { host, reason } => {
                self.service(host, Service::Disabled { reason: reason.clone() });
            }
            CloudCall::Enable { host } => self.service(host, Service::Enabled),
            CloudCall::Migrate { instance, to } => self.change(instance, |seen| {
                seen.other_end = Some(std::mem::replace(&mut seen.host, to.clone()));
                seen.state = InstanceState::Moved;
            }),
            CloudCall::LiveMigrate { instance, to } => {
                self.change(instance, |seen| seen.host = to.clone());
            }
            CloudCall::Confirm { instance } => self.change(instance, |seen| {
                seen.other_end = None;
                seen.state = InstanceState::Active;
            }),
            CloudCall::CompleteLive { instance } => self.change(instance, |seen| {
                if let Some(to) = seen.other_end.take() {
                    seen.host = to;
                }
                seen.state = InstanceState::Active;
            }),
            CloudCall::Evacuate { instance, to } => self.change(instance, |seen| {
                seen.host = to.clone();
                seen.state = InstanceState::Stopped;
            }),
            CloudCall::AbortLive { instance } => self.change(instance, |seen| {
                seen.other_end = None;
                seen.state = InstanceState::Active;
            }),
            _ => {}
        }
    }

    fn service(&mut self, host: &HostId, service: Service) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.service = service;
        }
    }

    pub(crate) fn change(&mut self, instance: &InstanceId, change: impl FnOnce(&mut Instance)) {
        if let Some(known) = self.instances.get_mut(instance) {
            change(known);
        }
    }

    pub(crate) fn set_moving(&mut self, instance: &str, to: &str) {
        self.change(&instance.into(), |seen| {
            seen.state = InstanceState::Moving;
            seen.other_end = Some(to.into());
        });
    }
}

pub(crate) fn host(id: &str) -> Host {
    Host {
        id: id.into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: Resources::of(4, 4096, 40),
        service: Service::Enabled,
        up: true,
        boot: "1".into(),
        dead: false,
    }
}

pub(crate) fn instance(id: &str, project: &str, on: &str) -> Instance {
    Instance {
        id: id.into(),
        name: id.into(),
        project: project.into(),
        group: None,
        host: on.into(),
        resources: Resources::of(1, 512, 1),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    }
}
