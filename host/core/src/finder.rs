//! Where to look among many sessions: what is in flight on a subject, what is on its way to a host, whose a host is.
//!
//! It says nothing that the sessions themselves do not say. It is there so that a question about one subject costs the
//! same with a thousand sessions as with one.

use std::sync::Arc;

use crate::effect::{Effect, EffectKind, Subject};
use crate::id::{EffectId, HostId, SessionId};
use crate::record::Body;
use crate::session::Session;
use crate::shared::{SharedMap, SharedSet};

/// An effect of a session.
type Key = (SessionId, EffectId);

/// The index over all sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finder {
    /// Effects in flight or of unknown outcome, by what they are about. More than one only where R10 is switched off.
    on: SharedMap<Subject, SharedSet<Key>>,
    /// Moves among them, by their destination.
    to: SharedMap<HostId, SharedSet<Key>>,
    /// Sessions by each of their hosts.
    with: SharedMap<HostId, SharedSet<SessionId>>,
}

impl Finder {
    /// The effects on a subject, in the order of their sessions.
    pub(crate) fn on(&self, subject: &Subject) -> impl Iterator<Item = &Key> {
        self.on.get(subject).into_iter().flat_map(SharedSet::iter)
    }

    /// The moves to a host, in the order of their sessions.
    pub(crate) fn to(&self, host: &HostId) -> impl Iterator<Item = &Key> {
        self.to.get(host).into_iter().flat_map(SharedSet::iter)
    }

    /// The sessions that have a host, in their order.
    pub(crate) fn with(&self, host: &HostId) -> impl Iterator<Item = &SessionId> {
        self.with.get(host).into_iter().flat_map(SharedSet::iter)
    }

    /// What the effect that a record begins or ends is before it, if it is there.
    pub(crate) fn concerned(session: &Session, body: &Body) -> Option<EffectKind> {
        let effect = match body {
            Body::Admitted { effect } => &effect.id,
            Body::EffectEnded { effect, .. } => effect,
            _ => return None,
        };
        session.effects.get(effect).map(|effect| effect.kind.clone())
    }

    /// Takes a session's record in that was just applied; `before` is what [`Finder::concerned`] said before it.
    pub(crate) fn follow(&mut self, session: &Session, body: &Body, before: Option<EffectKind>) {
        match body {
            Body::Admitted { effect: Effect { id, .. } } | Body::EffectEnded { effect: id, .. } => {
                let key = (session.id.clone(), *id);
                if let Some(before) = before {
                    self.ended(&key, &before);
                }
                // An effect of unknown outcome stays.
                if let Some(effect) = session.effects.get(id) {
                    self.begun(key, &effect.kind);
                }
            }
            Body::HostJoined { host, .. } => put(&mut self.with, host, session.id.clone()),
            _ => {}
        }
    }

    /// Forgets a session that is removed.
    pub(crate) fn forget(&mut self, session: &Session) {
        for effect in session.effects.values() {
            self.ended(&(session.id.clone(), effect.id), &effect.kind);
        }
        for host in session.hosts.keys() {
            take(&mut self.with, host, &session.id);
        }
    }

    /// The same, found the long way.
    pub(crate) fn of<'a>(sessions: impl Iterator<Item = &'a Arc<Session>>) -> Finder {
        let mut finder = Finder::default();
        for session in sessions {
            for effect in session.effects.values() {
                finder.begun((session.id.clone(), effect.id), &effect.kind);
            }
            for host in session.hosts.keys() {
                put(&mut finder.with, host, session.id.clone());
            }
        }
        finder
    }

    fn begun(&mut self, key: Key, kind: &EffectKind) {
        if let EffectKind::Move { to, .. } = kind {
            put(&mut self.to, to, key.clone());
        }
        put(&mut self.on, &kind.subject(), key);
    }

    fn ended(&mut self, key: &Key, kind: &EffectKind) {
        if let EffectKind::Move { to, .. } = kind {
            take(&mut self.to, to, key);
        }
        take(&mut self.on, &kind.subject(), key);
    }
}

fn put<K: Ord + Clone, T: Ord + Clone>(index: &mut SharedMap<K, SharedSet<T>>, key: &K, one: T) {
    index.get_or_insert_with(key.clone(), SharedSet::default).insert(one);
}

/// Takes one out, and the entry with its last, so that equal indexes compare equal.
fn take<K: Ord + Clone, T: Ord + Clone>(index: &mut SharedMap<K, SharedSet<T>>, key: &K, one: &T) {
    if let Some(all) = index.get_mut(key) {
        all.remove(one);
        if all.is_empty() {
            index.remove(key);
        }
    }
}
