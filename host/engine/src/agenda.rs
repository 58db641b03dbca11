//! Which sessions have something to do, and when: an event costs what it touches, not what there is.
//!
//! A session is *touched* by an event if its time has come, if a record of it is written, if a result for it comes
//! in, or if what it waits for to be read was read. Only touched sessions are looked at while the event is handled,
//! and afterwards each of them has its next time noted anew. Nothing about the others can have changed.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::SessionId;
use fenix_core::time::Time;

use crate::Engine;

/// When sessions have something to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agenda {
    touched: BTreeSet<SessionId>,
    by_time: BTreeSet<(Time, SessionId)>,
    times: BTreeMap<SessionId, Time>,
    /// Sessions that are being brought to an end, or have something to give back.
    closing: BTreeSet<SessionId>,
}

impl Agenda {
    /// Has a session looked at during this event, and its next time noted after it.
    pub(crate) fn touch(&mut self, session: &SessionId) {
        if !self.touched.contains(session) {
            self.touched.insert(session.clone());
        }
    }

    /// Touches every session whose time has come.
    fn touch_due(&mut self, now: Time) {
        let due = self.by_time.iter().take_while(|(at, _)| *at <= now);
        self.touched.extend(due.map(|(_, session)| session.clone()));
    }

    /// The sessions that this event has touched so far.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &SessionId> {
        self.touched.iter()
    }

    /// Those, and the sessions that are being brought to an end.
    pub(crate) fn to_close(&self) -> impl Iterator<Item = &SessionId> {
        self.touched.union(&self.closing)
    }

    /// The earliest time noted.
    pub(crate) fn first(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn note(&mut self, session: SessionId, next: Option<Time>, closing: bool) {
        let before = self.times.get(&session).copied();
        if before != next {
            if let Some(before) = before {
                self.times.remove(&session);
                self.by_time.remove(&(before, session.clone()));
            }
            if let Some(next) = next {
                self.times.insert(session.clone(), next);
                self.by_time.insert((next, session.clone()));
            }
        }
        match closing {
            true => self.closing.insert(session),
            false => self.closing.remove(&session),
        };
    }
}

impl Engine {
    /// Touches the sessions that this moment concerns: those whose time has come, and those that wait for the cloud
    /// to be read, whose own time does not count until then.
    pub(crate) fn open_agenda(&mut self) {
        self.agenda.touch_due(self.now);
        for session in &self.rereading {
            self.agenda.touch(session);
        }
    }

    /// Notes the next time of every session that was touched.
    pub(crate) fn settle_agenda(&mut self) {
        for session in std::mem::take(&mut self.agenda.touched) {
            self.choose_watched(&session);
            let (next, closing) = (self.next_of(&session), self.is_to_close(&session));
            self.agenda.note(session, next, closing);
        }
        debug_assert_eq!(self.agenda.times, self.all_times(), "a session changed and was not touched");
    }

    /// When a session has something to do next.
    fn next_of(&self, id: &SessionId) -> Option<Time> {
        let carriers = self.carriers_of(id).filter_map(|(_, carrier)| carrier.wakes_at());
        let Some(session) = self.state.session(id) else { return carriers.min() };
        let counts = self.state.goes_on(id) && self.is_free(id);
        let timer = session.waiting.until.filter(|_| counts && session.verdicts() == 0);
        let asks = session.open_asks.iter().filter_map(|ask| session.asks.get(ask)).map(|ask| ask.reply_by);
        carriers
            .chain(timer)
            .chain(asks)
            .chain(self.next_message(session))
            .chain(self.next_watch(session))
            .min()
    }

    /// The same for all sessions, found the long way.
    fn all_times(&self) -> BTreeMap<SessionId, Time> {
        let carried = self.carriers.keys().map(|(session, _)| session);
        let all: BTreeSet<&SessionId> = self.state.sessions.keys().chain(carried).collect();
        all.into_iter().filter_map(|id| self.next_of(id).map(|next| (id.clone(), next))).collect()
    }
}
