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

    /// Takes over what a record told.
    pub(crate) fn take(&mut self, note: Note) {
        match note {
            Note::Moved { instance, at, session, from, to } => {
                let moves = self.instances.get(&instance).map_or(0, |past| past.moves) + 1;
                self.instances.insert(instance, InstancePast { moves, at, session, from, to });
            }
            Note::LeftOut { host, quarantined } => {
                let past = self.host_mut(host);
                // Giving a host back that was left out changes nothing about why and since when.
                let same =
                    |old: &Quarantined| old.session == quarantined.session && old.why == quarantined.why;
                if !past.quarantined.as_ref().is_some_and(same) {
                    past.quarantined = Some(quarantined);
                }
            }
            Note::Maintained { host, maintained } => {
                *self.host_mut(host) = HostPast { maintained: Some(maintained), quarantined: None };
            }
            Note::GoesOn { host } => self.host_mut(host).quarantined = None,
            Note::Cleared { host } => {
                if let Some(past) = self.hosts.get_mut(&host) {
                    past.quarantined = None;
                }
            }
            Note::HostGone { host } => drop(self.hosts.remove(&host)),
            Note::InstanceGone { instance } => drop(self.instances.remove(&instance)),
        }
    }

    fn host_mut(&mut self, host: HostId) -> &mut HostPast {
        self.hosts.get_or_insert_with(host, HostPast::default)
    }
}

/// What a record tells about the past, complete in itself: to be taken over in the order of the records.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// A move was finished.
    Moved { instance: InstanceId, at: Time, session: SessionId, from: HostId, to: HostId },
    /// A host was left out.
    LeftOut { host: HostId, quarantined: Quarantined },
    /// A host was maintained.
    Maintained { host: HostId, maintained: Maintained },
    /// A host is being maintained: it is not left out any more.
    GoesOn { host: HostId },
    /// Somebody looked at a host that was left out.
    Cleared { host: HostId },
    /// A host is no longer there.
    HostGone { host: HostId },
    /// An instance is no longer there.
    InstanceGone { instance: InstanceId },
}

impl Note {
    /// What a record of a session tells, if it tells anything. The session must be as it was before the record.
    pub(crate) fn of(session: &Session, at: Time, body: &Body) -> Option<Note> {
        match body {
            Body::HostMoved { host, stage, .. } => {
                // Such a record does not fit, and changes nothing.
                session.hosts.get(host)?;
                Some(Note::of_host(session, at, host, stage))
            }
            Body::EffectEnded { effect, outcome: Outcome::Done } => {
                match &session.effects.get(effect)?.kind {
                    EffectKind::Move { instance, from, to, .. } => Some(Note::Moved {
                        instance: instance.clone(),
                        at,
                        session: session.id.clone(),
                        from: from.clone(),
                        to: to.clone(),
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn of_host(session: &Session, at: Time, host: &HostId, stage: &HostStage) -> Note {
        let (host, id) = (host.clone(), session.id.clone());
        match stage {
            HostStage::Quarantined { why, begun } => Note::LeftOut {
                host,
                quarantined: Quarantined { at, session: id, why: why.clone(), begun: *begun },
            },
            HostStage::Maintained => {
                let actions = session.actions_for(&Target::Host(host.clone())).into_iter();
                let pin = |action: u32| session.plan.actions.get(action as usize);
                let actions = actions.filter_map(pin).map(|spec| spec.plugin.clone()).collect();
                let workflow = session.plan.workflow.clone();
                Note::Maintained { host, maintained: Maintained { at, session: id, workflow, actions } }
            }
            HostStage::Waiting | HostStage::Fenced | HostStage::Working | HostStage::Worked => {
                Note::GoesOn { host }
            }
        }
    }

    /// What a change of the infrastructure tells, if it tells anything.
    pub(crate) fn of_change(change: &Change) -> Option<Note> {
        match change {
            Change::HostGone(host) => Some(Note::HostGone { host: host.clone() }),
            Change::InstanceGone(instance) => Some(Note::InstanceGone { instance: instance.clone() }),
            Change::Host(_) | Change::Instance(_) | Change::Group(_) | Change::GroupGone(_) => None,
        }
    }
}
