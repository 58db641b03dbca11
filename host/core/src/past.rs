//! What became of hosts and instances, over all sessions, those that are removed included.
//!
//! It is read off the same records as everything else, and forgets what the infrastructure no longer has.

use crate::effect::{EffectKind, Outcome};
use crate::id::{HostId, InstanceId, SessionId};
use crate::inventory::Change;
use crate::record::Body;
use crate::session::{HostStage, Pin, Session, Target};
use crate::shared::SharedMap;
use crate::time::Time;

/// What became of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    hosts: SharedMap<HostId, HostPast>,
    instances: SharedMap<InstanceId, InstancePast>,
}

/// What became of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPast {
    /// When it was last maintained, and by what.
    pub maintained: Option<Maintained>,
    /// Why it is left out; `None` unless it is, still.
    pub quarantined: Option<Quarantined>,
}

/// A host was maintained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintained {
    /// When it was given back.
    pub at: Time,
    /// In which session.
    pub session: SessionId,
    /// By which workflow.
    pub workflow: Pin,
    /// By which actions, in their order.
    pub actions: Vec<Pin>,
}

/// A host was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// When.
    pub at: Time,
    /// Of which session.
    pub session: SessionId,
    /// Why.
    pub why: String,
    /// True if work had begun on it: it is kept out of service.
    pub begun: bool,
}

/// What became of an instance: its last move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePast {
    /// How often it was moved, over all sessions.
    pub moves: u32,
    /// When it arrived.
    pub at: Time,
    /// In which session.
    pub session: SessionId,
    /// From where.
    pub from: HostId,
    /// To where.
    pub to: HostId,
}

impl Past {
    /// What became of a host, if anything did.
    pub fn host(&self, id: &HostId) -> Option<&HostPast> {
        self.hosts.get(id)
    }

    /// Every host that anything became of.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostId, &HostPast)> {
        self.hosts.iter()
    }

    /// What became of an instance, if anything did.
    pub fn instance(&self, id: &InstanceId) -> Option<&InstancePast> {
        self.instances.get(id)
    }

    /// True if a record of a session changes it.
    pub(crate) fn concerns(body: &Body) -> bool {
        matches!(body, Body::HostMoved { .. } | Body::EffectEnded { .. })
    }

    /// Takes a session's record in. The session must be as it was before the record.
    pub(crate) fn note(&mut self, session: &Session, at: Time, body: &Body) {
        match body {
            Body::HostMoved { host, stage, .. } => self.host_moved(session, at, host, stage),
            Body::EffectEnded { effect, outcome: Outcome::Done } => {
                let Some(EffectKind::Move { instance, from, to, .. }) =
                    session.effects.get(effect).map(|effect| &effect.kind)
                else {
                    return;
                };
                let moves = self.instances.get(instance).map_or(0, |past| past.moves) + 1;
                let (session, from, to) = (session.id.clone(), from.clone(), to.clone());
                self.instances.insert(instance.clone(), InstancePast { moves, at, session, from, to });
            }
            _ => {}
        }
    }

    fn host_moved(&mut self, session: &Session, at: Time, host: &HostId, stage: &HostStage) {
        // Such a record does not fit, and changes nothing.
        if !session.hosts.contains_key(host) {
            return;
        }
        let past = self.hosts.get_or_insert_with(host.clone(), HostPast::default);
        match stage {
            HostStage::Quarantined { why, begun } => {
                // Giving a host back that was left out changes nothing about why and since when.
                let same = |old: &Quarantined| old.session == session.id && old.why == *why;
                if !past.quarantined.as_ref().is_some_and(same) {
                    let (session, why) = (session.id.clone(), why.clone());
                    past.quarantined = Some(Quarantined { at, session, why, begun: *begun });
                }
            }
            HostStage::Maintained => {
                past.quarantined = None;
                let actions = session.actions_for(&Target::Host(host.clone())).into_iter();
                let pin = |action: u32| session.plan.actions.get(action as usize);
                past.maintained = Some(Maintained {
                    at,
                    session: session.id.clone(),
                    workflow: session.plan.workflow.clone(),
                    actions: actions.filter_map(pin).map(|spec| spec.plugin.clone()).collect(),
                });
            }
            HostStage::Waiting | HostStage::Fenced | HostStage::Working | HostStage::Worked => {
                past.quarantined = None;
            }
        }
    }

    /// Somebody looked at a host that was left out.
    pub(crate) fn clear(&mut self, host: &HostId) {
        if let Some(past) = self.hosts.get_mut(host) {
            past.quarantined = None;
        }
    }

    /// True if a change of the infrastructure changes it.
    pub(crate) fn is_told(&self, change: &Change) -> bool {
        match change {
            Change::HostGone(id) => self.hosts.contains_key(id),
            Change::InstanceGone(id) => self.instances.contains_key(id),
            Change::Host(_) | Change::Instance(_) | Change::Group(_) | Change::GroupGone(_) => false,
        }
    }

    /// Forgets what is no longer there.
    pub(crate) fn forget(&mut self, change: &Change) {
        match change {
            Change::HostGone(id) => drop(self.hosts.remove(id)),
            Change::InstanceGone(id) => drop(self.instances.remove(id)),
            Change::Host(_) | Change::Instance(_) | Change::Group(_) | Change::GroupGone(_) => {}
        }
    }
}
