//! The cloud as it really is, followed entry by entry; and which session has which hosts.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening, MoveKind};
use fenix_core::id::{GroupId, HostId, InstanceId, ProjectId, SessionId, SubscriptionId, Zone};
use fenix_core::inventory::{Group, Host, HostKind, Resources, Service};
use fenix_core::time::{Millis, Time};

use super::stated::Statements;
use crate::scenario::Scenario;
use crate::truth::{Truth, Want};

/// A host.
#[derive(Clone, Debug)]
pub(super) struct HostTruth {
    pub(super) kind: HostKind,
    pub(super) zone: Zone,
    pub(super) capacity: Resources,
    pub(super) service: Service,
    pub(super) up: bool,
    /// Who changed the service last, and when.
    pub(super) changed: (Actor, Time),
    /// What is held there, by whom.
    pub(super) claims: BTreeMap<InstanceId, Resources>,
    /// When somebody else than Fenix last took room there.
    pub(super) others_came: Option<Time>,
    /// When it was last disabled and empty, if it is not so now.
    pub(super) was_clear: Option<Time>,
}

/// An instance.
#[derive(Clone, Debug)]
pub(super) struct InstanceTruth {
    pub(super) project: ProjectId,
    pub(super) host: HostId,
    /// Where it was before, and until when.
    pub(super) before: Option<(HostId, Time)>,
    /// The move under way or unconfirmed.
    pub(super) moving: Option<Moving>,
    /// When somebody else than Fenix last gave it other resources.
    pub(super) others_resized: Option<Time>,
}

/// A move under way, or arrived and not confirmed.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    pub(super) by: Actor,
    pub(super) since: Time,
}

/// Everything that follows from the truth so far.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub(super) hosts: BTreeMap<HostId, HostTruth>,
    pub(super) instances: BTreeMap<InstanceId, InstanceTruth>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// What managers state.
    pub(super) stated: Statements,
    /// The hosts of each session that was made.
    pub(super) sessions: BTreeMap<SessionId, BTreeSet<HostId>>,
    /// When each standing order for messages was taken, and whose it is.
    pub(super) subscribed: BTreeMap<SubscriptionId, ProjectId>,
    /// By how many milliseconds the clock of Fenix's machine is off.
    clock_off: i64,
    /// By how many milliseconds it was set forward, in all: never set back, it would be off by so many.
    clock_gained: u64,
}

impl HostTruth {
    fn new(host: &Host, by: Actor, at: Time) -> HostTruth {
        HostTruth {
            kind: host.kind,
            zone: host.zone.clone(),
            capacity: host.capacity.clone(),
            service: host.service.clone(),
            up: host.up,
            changed: (by, at),
            claims: BTreeMap::new(),
            others_came: None,
            was_clear: None,
        }
    }

    /// True if no instance may come and none is there.
    pub(super) fn is_clear(&self) -> bool {
        self.service != Service::Enabled && self.claims.is_empty()
    }

    /// True if it was disabled and empty at some moment since then.
    pub(super) fn was_clear_since(&self, since: Time) -> bool {
        self.is_clear() || self.was_clear.is_some_and(|at| at >= since)
    }

    /// What is free.
    pub(super) fn free(&self) -> Resources {
        let used = self.claims.values().fold(Resources::default(), |sum, held| sum.plus(held));
        self.capacity.minus(&used)
    }
}

impl Ground {
    /// The session to which a host belongs.
    pub(super) fn owner(&self, host: &HostId) -> Option<&SessionId> {
        self.sessions.iter().find(|(_, hosts)| hosts.contains(host)).map(|(id, _)| id)
    }

    /// The hosts on which an instance is, or was a moment ago.
    pub(super) fn places(&self, instance: &InstanceId, since: Time) -> Vec<&HostId> {
        let Some(seen) = self.instances.get(instance) else { return Vec::new() };
        let before = seen.before.iter().filter(|(_, until)| *until >= since).map(|(host, _)| host);
        std::iter::once(&seen.host).chain(before).collect()
    }

    /// True if a project has a manager.
    pub(super) fn is_managed(&self, project: &ProjectId) -> bool {
        self.subscribed.values().any(|owner| owner == project) || self.stated.has_any_of(project)
    }

    /// What the clock of Fenix's machine shows. Fenix has no other one to tell dates by.
    pub(super) fn wall(&self, at: Time) -> Time {
        Time(at.0.saturating_add_signed(self.clock_off))
    }

    /// The latest that Fenix's time can be, which never goes back. How long something is ago Fenix tells by it: where a
    /// clock was set forward, that time counts as passed.
    pub(super) fn latest(&self, at: Time) -> Time {
        at + Millis(self.clock_gained)
    }

    pub(super) fn follow(&mut self, scenario: &Scenario, at: Time, what: &Truth) {
        match what {
            Truth::Cloud(what, by) => self.cloud(at, what, *by),
            Truth::ClockSet(by) => {
                self.clock_off += by;
                self.clock_gained += u64::try_from(*by).unwrap_or(0);
            }
            Truth::Commanded(Want::State(stated)) => self.stated.sent(at, stated),
            Truth::Told(Want::State(stated), Ok(_)) => self.stated.known(at, stated),
            // Its answer may be lost for a while.
            Truth::Commanded(Want::Open(session)) => self.opened(scenario, session),
            Truth::Told(Want::Subscribe(subscription), Ok(_))
                if subscription.wants("maintenance.scheduled") =>
            {
                self.subscribed.insert(subscription.id.clone(), subscription.project.clone());
            }
            _ => {}
        }
    }

    fn opened(&mut self, scenario: &Scenario, session: &SessionId) {
        let Some(spec) = scenario.session(session) else { return };
        let named: BTreeSet<HostId> = spec.hosts.iter().cloned().collect();
        let kept = scenario.own_host.as_ref().filter(|_| !spec.terms.own_host);
        let free = |host: &&HostId| self.owner(host).is_none() && kept != Some(*host);
        let all = || self.hosts.keys().filter(free).cloned().collect();
        let hosts = if named.is_empty() { all() } else { named };
        self.sessions.insert(session.clone(), hosts);
    }

    fn cloud(&mut self, at: Time, what: &Happening, by: Actor) {
        match what {
            Happening::HostAdded { host } => {
                self.hosts.insert(host.id.clone(), HostTruth::new(host, by, at));
            }
            Happening::HostDisabled { host, reason } => {
                self.serve(at, host, Service::Disabled { reason: reason.clone() }, by);
            }
            Happening::HostEnabled { host } => self.serve(at, host, Service::Enabled, by),
            Happening::HostRebooting { host } | Happening::HostDown { host, .. } => self.power(host, false),
            Happening::HostUp { host, .. } => self.power(host, true),
            Happening::GroupSet { group } => {
                self.groups.insert(group.id.clone(), group.clone());
            }
            Happening::InstanceAdded { instance } => {
                let known = InstanceTruth {
                    project: instance.project.clone(),
                    host: instance.host.clone(),
                    before: None,
                    moving: None,
                    others_resized: None,
                };
                self.instances.insert(instance.id.clone(), known);
            }
            Happening::InstanceDeleted { instance } => {
                self.instances.remove(instance);
            }
            Happening::ClaimTaken { instance, host, resources } => {
                self.with_host(at, host, |host| {
                    host.claims.insert(instance.clone(), resources.clone());
                    if by == Actor::Other {
                        host.others_came = Some(at);
                    }
                });
            }
            Happening::ClaimFreed { instance, host } => {
                self.with_host(at, host, |host| {
                    host.claims.remove(instance);
                });
            }
            Happening::MoveStarted { instance, .. } => {
                self.with(instance, |seen| seen.moving = Some(Moving { by, since: at }));
            }
            Happening::MoveEnded { instance, host, kind, end } => {
                let waits = *kind == MoveKind::Cold && *end == fenix_cloud::sim::trace::MoveEnd::Arrived;
                self.with(instance, |seen| {
                    if seen.host != *host {
                        seen.before = Some((std::mem::replace(&mut seen.host, host.clone()), at));
                    }
                    if !waits {
                        seen.moving = None;
                    }
                });
            }
            Happening::MoveConfirmed { instance, .. } => self.with(instance, |seen| seen.moving = None),
            Happening::InstanceStarted { instance } => self.with(instance, |seen| seen.moving = None),
            Happening::InstanceResized { instance, .. } if by == Actor::Other => {
                self.with(instance, |seen| seen.others_resized = Some(at));
            }
            Happening::MoveShownOver { .. }
            | Happening::OutOfService { .. }
            | Happening::InService { .. }
            | Happening::InstanceBooted { .. }
            | Happening::InstanceResized { .. }
            | Happening::InstanceBroke { .. }
            | Happening::InstanceStopped { .. }
            | Happening::Refused { .. } => {}
        }
    }

    fn with(&mut self, instance: &InstanceId, change: impl FnOnce(&mut InstanceTruth)) {
        if let Some(seen) = self.instances.get_mut(instance) {
            change(seen);
        }
    }

    fn with_host(&mut self, at: Time, host: &HostId, change: impl FnOnce(&mut HostTruth)) {
        if let Some(known) = self.hosts.get_mut(host) {
            if known.is_clear() {
                known.was_clear = Some(at);
            }
            change(known);
        }
    }

    fn serve(&mut self, at: Time, host: &HostId, service: Service, by: Actor) {
        self.with_host(at, host, |host| {
            host.service = service;
            host.changed = (by, at);
        });
    }

    fn power(&mut self, host: &HostId, up: bool) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.up = up;
        }
    }
}
