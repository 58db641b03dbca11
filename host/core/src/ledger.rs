//! What all sessions together hold: leases, claims, members out.
//!
//! Nothing here is stored: it is read off the sessions' effects in flight, which are few, so it cannot drift from
//! them.

use std::collections::BTreeMap;

use crate::effect::{Effect, EffectKind, Subject};
use crate::id::{EffectId, GroupId, HostId, InstanceId, SessionId, Zone};
use crate::inventory::Resources;
use crate::session::{Condition, Session};
use crate::state::State;
use crate::time::{Millis, Time};

/// An effect's full name.
pub type EffectRef<'a> = (&'a SessionId, EffectId);

impl Session {
    /// True if the session still holds that host: it may go on, or keeps the host out of service, or something is
    /// under way on it. A session that is being closed begins nothing on the hosts that it has not touched.
    pub fn holds(&self, host: &HostId) -> bool {
        let Some(work) = self.hosts.get(host) else { return false };
        match &self.condition {
            Condition::Running | Condition::Paused | Condition::Parked { .. } => true,
            Condition::Closing { .. } | Condition::Ended => {
                let subject = Subject::Host(host.clone());
                work.fenced || self.effects.values().any(|effect| effect.kind.subject() == subject)
            }
        }
    }
}

impl State {
    /// The session that holds a host (R11).
    pub fn lease(&self, host: &HostId) -> Option<&SessionId> {
        self.sessions_with(host).find(|session| session.holds(host)).map(|session| &session.id)
    }

    /// The sessions that have a host among theirs.
    pub fn sessions_with(&self, host: &HostId) -> impl Iterator<Item = &Session> {
        self.finder.with(host).filter_map(|id| self.session(id))
    }

    /// All effects in flight or of unknown outcome, over all sessions.
    pub fn effects(&self) -> impl Iterator<Item = (&SessionId, &Effect)> {
        self.sessions
            .values()
            .flat_map(|session| session.effects.values().map(move |effect| (&session.id, effect)))
    }

    /// The effect in flight on a subject (R10). A session's own work before and after its hosts is not looked up
    /// here: two sessions may each be in theirs.
    pub fn in_flight(&self, subject: &Subject) -> Option<(&SessionId, &Effect)> {
        self.all_in_flight(subject).next()
    }

    /// All of them: more than one only where R10 is switched off.
    fn all_in_flight(&self, subject: &Subject) -> impl Iterator<Item = (&SessionId, &Effect)> {
        self.finder.on(subject).filter_map(|key| self.effect(key))
    }

    fn effect<'a>(&'a self, (session, id): &'a (SessionId, EffectId)) -> Option<(&'a SessionId, &'a Effect)> {
        Some((session, self.session(session)?.effects.get(id)?))
    }

    /// What admitted moves will hold on a host and do not hold yet; `but` is left out.
    pub fn claims(&self, host: &HostId, but: Option<EffectRef<'_>>) -> Resources {
        let claim = |(session, effect): (&SessionId, &Effect)| match &effect.kind {
            EffectKind::Move { instance, .. } if but != Some((session, effect.id)) => self
                .inventory
                .instance(instance)
                .filter(|instance| instance.ends().all(|end| end != host))
                .map(|instance| &instance.resources),
            EffectKind::Move { .. }
            | EffectKind::Fence { .. }
            | EffectKind::Release { .. }
            | EffectKind::Work { .. } => None,
        };
        let coming = self.finder.to(host).filter_map(|key| self.effect(key));
        coming.filter_map(claim).fold(Resources::default(), |sum, claim| sum.plus(claim))
    }

    /// What is left on a host after everything seen there and every claim but one.
    pub fn free(&self, host: &HostId, but: Option<EffectRef<'_>>) -> Resources {
        let Some(seen) = self.inventory.host(host) else { return Resources::default() };
        self.inventory.unused(seen).minus(&self.claims(host, but))
    }

    /// Members of a group on a host, or claimed to come there, without one of them.
    pub fn members_at(
        &self,
        group: &GroupId,
        host: &HostId,
        without: &InstanceId,
        but: Option<EffectRef<'_>>,
    ) -> u32 {
        let coming = |member: &InstanceId| {
            self.all_in_flight(&Subject::Instance(member.clone())).any(|(session, effect)| {
                but != Some((session, effect.id))
                    && matches!(&effect.kind, EffectKind::Move { to, .. } if to == host)
            })
        };
        let there = self
            .members(group)
            .filter(|member| member.id != *without)
            .filter(|member| member.ends().any(|end| end == host) || coming(&member.id));
        there.count() as u32
    }

    /// Members of a group that are out of service or may be, each with the reason (R2): a move of it is admitted
    /// and not finished, it was seen not to serve, or its time to recover has not passed. `but` is left out.
    pub fn members_out(
        &self,
        group: &GroupId,
        recovery: Millis,
        now: Time,
        but: Option<EffectRef<'_>>,
    ) -> BTreeMap<InstanceId, &'static str> {
        let mut out = BTreeMap::new();
        for member in self.members(group) {
            let subject = Subject::Instance(member.id.clone());
            let mut moves = self.all_in_flight(&subject);
            if moves.any(|(session, effect)| but != Some((session, effect.id))) {
                out.insert(member.id.clone(), "being moved");
            } else if !member.is_settled() {
                out.insert(member.id.clone(), "not in service");
            } else if let Some(at) = self.returned.get(&member.id)
                && now < *at + recovery
            {
                out.insert(member.id.clone(), "recovering");
            }
        }
        out
    }

    /// Hosts that sessions keep out of service in a failure domain, or are about to; `but` is left out.
    pub fn hosts_out(&self, zone: &Zone, but: Option<EffectRef<'_>>) -> Vec<&HostId> {
        let in_zone = |host: &HostId| self.inventory.host(host).is_some_and(|seen| seen.zone == *zone);
        self.sessions
            .values()
            .flat_map(|session| session.hosts_out(but))
            .filter(|host| in_zone(host))
            .collect()
    }
}

impl Session {
    /// Hosts that this session keeps out of service, or is about to; `but` is left out.
    pub fn hosts_out(&self, but: Option<EffectRef<'_>>) -> Vec<&HostId> {
        let mut out: Vec<&HostId> = self.hosts.out().collect();
        for effect in self.effects.values().filter(|effect| but != Some((&self.id, effect.id))) {
            if let EffectKind::Fence { host } = &effect.kind
                && self.hosts.get(host).is_some_and(|work| !work.fenced)
            {
                out.push(host);
            }
        }
        out
    }
}
