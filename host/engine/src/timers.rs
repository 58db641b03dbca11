//! What happens by itself when its time has come. Every wait of the engine is found here or, if it is a session's, in
//! its [`crate::agenda`].

use fenix_core::ask::AskStatus;
use fenix_core::id::{AskId, EffectId, SessionId};
use fenix_core::record::Body;
use fenix_core::time::{Millis, Time};
use fenix_core::view::Trigger;

use crate::Engine;

impl Engine {
    /// The next time at which [`crate::event::Event::Tick`] has something to do; `None` if nothing is waited for.
    pub fn next_due(&self) -> Option<Time> {
        let woken = self.has_woken().then_some(self.now);
        self.agenda.first().into_iter().chain(self.next_read()).chain(woken).min()
    }

    /// Time that nobody had is not counted: managers get the least time anew, what is under way gets as much more, and
    /// what was sent without an answer counts as sent just now. Recovery times are over earlier by the jump: what came
    /// back when stands in the journal, by this clock.
    pub(crate) fn clock_jumped(&mut self, by: Millis) {
        let before = self.now - by;
        self.extend_open_asks();
        let doubtful: Vec<(SessionId, EffectId)> = self
            .state
            .sessions
            .values()
            .flat_map(|session| session.effects.values().map(move |effect| (session, effect)))
            .filter(|(_, effect)| effect.unknown.is_none())
            .filter(|(session, effect)| {
                let settle = session.plan.terms.settle_time;
                effect.unclear_at.is_some_and(|at| before < at + settle)
            })
            .map(|(session, effect)| (session.id.clone(), effect.id))
            .collect();
        for (session, effect) in doubtful {
            self.record(&session, Body::EffectUnclear { effect });
        }
        self.delay_carriers(by);
    }

    pub(crate) fn run_timers(&mut self) {
        let now = self.now;
        let mut expired: Vec<(SessionId, AskId, AskStatus)> = Vec::new();
        let mut due: Vec<SessionId> = Vec::new();
        for session in self.agenda.touched().filter_map(|id| self.state.session(id)) {
            for ask in session.open_asks.iter().filter_map(|id| session.asks.get(id)) {
                if ask.reply_by <= now {
                    let status = match ask.delivered_at {
                        Some(_) => AskStatus::Expired,
                        None => AskStatus::Undelivered,
                    };
                    expired.push((session.id.clone(), ask.id, status));
                }
            }
            let until = session.waiting.until.filter(|_| session.verdicts() == 0);
            if self.state.goes_on(&session.id) && until.is_some_and(|until| until <= now) {
                due.push(session.id.clone());
            }
        }
        for (session, ask, status) in expired {
            self.end_ask(&session, ask, status);
        }
        for session in due {
            self.wake(&session, Trigger::Timer);
        }
        self.run_reads();
        self.run_carriers();
    }
}
