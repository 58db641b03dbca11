//! From the journal back to where we were. Calls no plug-in, no cloud and no clock.

use std::sync::Arc;

use fenix_core::fold::{Folded, fold};
use fenix_core::id::SessionId;
use fenix_core::record::{Body, Record};
use fenix_core::session::Condition;
use fenix_core::state::FoldError;
use fenix_core::time::Time;

use crate::{Engine, Settings, carry};

/// Why the journal cannot be folded at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// A record of the installation does not fit; without it nothing after it can be trusted.
    #[error("the installation's records cannot be read; restore a backup")]
    Installation(#[source] FoldError),
}

impl Engine {
    /// The engine as it was when the last of these records was written.
    ///
    /// Effects in flight are looked after again from the first [`crate::event::Event::Tick`] on; open questions
    /// are sent again; every session waits for the cloud to be read once. `damaged` names sessions of which the
    /// store could not read every record and withheld those from the first bad one on: they are parked, the others go
    /// on. `last_seq` is the number of the journal's last record, a withheld one perhaps: the next one follows it.
    ///
    /// # Errors
    /// A record of the installation does not fit. One of a session parks that session.
    pub fn recover(
        settings: Settings,
        records: &[Record],
        last_seq: u64,
        damaged: Vec<(SessionId, String)>,
        now: Time,
    ) -> Result<Self, RecoveryError> {
        let mut engine = Engine::new(settings, now);
        let Folded { mut state, misfits } = fold(records).map_err(RecoveryError::Installation)?;
        let mut damaged = damaged;
        let misfit = |error: FoldError| error.session.clone().map(|session| (session, error.to_string()));
        damaged.extend(misfits.into_iter().filter_map(misfit));
        state.seq = last_seq.max(state.seq);
        state.switched_off = engine.state.switched_off;
        engine.state = Arc::new(state);
        engine.now = now.max(engine.state.at);
        engine.resume(&damaged);
        Ok(engine)
    }

    fn resume(&mut self, damaged: &[(SessionId, String)]) {
        for (session, why) in damaged {
            if self.state.sessions.contains_key(session) {
                let why = format!("its journal is damaged: {why}");
                let condition = Condition::Parked { why: why.clone() };
                self.record(session, Body::ConditionSet { condition, reason: why });
            }
        }
        let sessions: Vec<SessionId> = self.state.sessions.keys().cloned().collect();
        for session in &sessions {
            self.resume_effects(session);
            self.rereading.insert(session.clone());
            self.agenda.touch(session);
            self.wake(session, fenix_core::view::Trigger::Changed);
        }
        self.extend_open_asks();
        self.send_open_asks_again();
        self.settle_agenda();
    }

    /// Every effect in flight starts with a look. What the process before us sent without noting an answer may
    /// still be done.
    fn resume_effects(&mut self, session: &SessionId) {
        let Some(known) = self.state.sessions.get(session).cloned() else { return };
        for effect in known.effects.values() {
            if effect.unknown.is_none() && carry::changes_the_cloud(&effect.kind) {
                self.record(session, Body::EffectUnclear { effect: effect.id });
            }
            self.carriers.insert((session.clone(), effect.id), carry::Carrier::resumed(self.now));
        }
    }
}
