//! What happens by itself when its time has come. Every wait of the engine is found here or, if it is a session's, in
//! its [`crate::agenda`].

use fenix_core::ask::AskStatus;
use fenix_core::id::{AskId, SessionId};
use fenix_core::time::{Millis, Time};
use fenix_core::view::Trigger;

use crate::Engine;

/// A clock that passes a due time by more than this has jumped, or the machine has slept: managers get more time.
pub(crate) const CLOCK_JUMP: Millis = Millis::from_secs(30);

impl Engine {
    /// The next time at which [`crate::event::Event::Tick`] has something to do; `None` if nothing is waited for.
    pub fn next_due(&self) -> Option<Time> {
        let woken = self.has_woken().then_some(self.now);
        self.agenda.first().into_iter().chain(self.next_read()).chain(woken).min()
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
            if self.state.goes_on(&session.id) && session.waiting.until.is_some_and(|until| until <= now) {
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
