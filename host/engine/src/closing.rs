//! Bringing a session to a safe end. The engine's own: no workflow is asked.
//!
//! What is in flight is finished (a migration is confirmed, an action's call returns); hosts that were only fenced
//! are given back as found; hosts on which work was begun and not finished stay out, quarantined; open questions
//! are withdrawn; every project that was told MAINTENANCE is told MAINTENANCE_COMPLETE.

use fenix_core::ask::{AskKind, AskStatus};
use fenix_core::effect::EffectKind;
use fenix_core::id::{AskId, HostId, ProjectId, SessionId};
use fenix_core::record::Body;
use fenix_core::session::{Close, Condition, HostStage, HostWork, Session};

use crate::Engine;
use crate::asks::Question;

/// Most tries to give a host back when its session is closed, whatever its terms say: that is a quarter of an hour for
/// a host that does not answer, and a session must come to its end.
const MOST_TRIES: u32 = 5;

/// What is left to do before a session is safe, one thing at a time.
enum Left {
    Withdraw(AskId),
    GiveBack(HostId),
    Undo(HostId),
    Quarantine(HostId),
    Tell(ProjectId),
    /// Something is under way that has to end first.
    Wait,
    Nothing,
}

impl Engine {
    pub(crate) fn close_sessions(&mut self) {
        let to_close = self.agenda.to_close().filter(|id| self.is_to_close(id));
        for session in to_close.cloned().collect::<Vec<SessionId>>() {
            match self.state.session(&session).is_some_and(Session::is_running) {
                true => self.give_back_left_out(&session),
                false => self.close(&session),
            }
        }
    }

    /// True if something of a session is to be brought to an end.
    pub(crate) fn is_to_close(&self, id: &SessionId) -> bool {
        self.state.session(id).is_some_and(|session| {
            matches!(session.condition, Condition::Closing { .. }) || has_leftovers(session)
        })
    }

    /// Hosts that were left out before work began on them are given back while the session goes on.
    fn give_back_left_out(&mut self, id: &SessionId) {
        let Some(session) = self.state.sessions.get(id).cloned() else { return };
        for host in left_out(&session) {
            if !self.is_busy(host) {
                self.begin(
                    id,
                    EffectKind::Release { host: host.clone() },
                    "left out before work began".into(),
                );
            }
        }
    }

    fn close(&mut self, id: &SessionId) {
        // Each round does one thing; there are never more things than asks, hosts and projects.
        loop {
            let Some(session) = self.state.session(id) else { return };
            let Condition::Closing { why } = &session.condition else { return };
            let why = why.clone();
            match self.left_to_do(session) {
                Left::Withdraw(ask) => self.end_ask(id, ask, AskStatus::Void),
                Left::GiveBack(host) => {
                    self.begin(id, EffectKind::Release { host }, "the session is being closed".into());
                }
                Left::Undo(host) => self.undo(id, &host),
                Left::Quarantine(host) => {
                    let reason = session.failure.clone().unwrap_or_else(|| "the session was closed".into());
                    let why = format!("not given back: {reason}");
                    let stage = HostStage::Quarantined { why, begun: true };
                    self.record(id, Body::HostMoved { host, stage, fenced: true });
                }
                Left::Tell(project) => {
                    let question = Question {
                        project,
                        kind: AskKind::MaintenanceComplete,
                        host: None,
                        instances: Vec::new(),
                        round: 1,
                    };
                    self.ask(id, question, "the session is over".into());
                }
                Left::Wait => return,
                Left::Nothing => {
                    let reason = "all is safe".to_owned();
                    self.record(id, Body::ConditionSet { condition: Condition::Ended, reason });
                    if why == Close::Deleted {
                        self.record(id, Body::Removed);
                        self.traps.retain(|(session, _), _| session != id);
                    }
                    return;
                }
            }
        }
    }

    fn left_to_do(&self, session: &Session) -> Left {
        let open = |kind: fn(AskKind) -> bool| {
            session
                .open_asks
                .iter()
                .copied()
                .find(|ask| session.asks.get(ask).is_some_and(|known| kind(known.kind)))
        };
        if let Some(ask) = open(|kind| kind != AskKind::MaintenanceComplete) {
            return Left::Withdraw(ask);
        }
        if session.effects.values().any(|effect| effect.unknown.is_none()) {
            return Left::Wait;
        }
        if let Some(left) = session.hosts.iter().find_map(|(host, work)| host_left(session, host, work)) {
            return left;
        }
        if let Some((project, _)) = session.projects.iter().find(|(_, work)| work.told) {
            return Left::Tell(project.clone());
        }
        // An answer to COMPLETE is welcome; that it was delivered, or could not be, is enough.
        let undelivered = |ask: &AskId| session.asks.get(ask).is_some_and(|ask| ask.delivered_at.is_none());
        if session.open_asks.iter().any(undelivered) {
            return Left::Wait;
        }
        if let Some(ask) = session.open_asks.first() {
            return Left::Withdraw(*ask);
        }
        // What listeners were not told yet would go with the session.
        match &session.condition {
            Condition::Closing { why: Close::Deleted } if !session.outbox.is_empty() => Left::Wait,
            _ => Left::Nothing,
        }
    }

    /// True if an effect whose outcome is still awaited is about a host.
    pub(crate) fn is_busy(&self, host: &HostId) -> bool {
        self.state
            .effects()
            .any(|(_, effect)| effect.unknown.is_none() && effect.kind.touches(host, &self.state.inventory))
    }
}

/// What is left to do about a host: given back if nothing was begun on it, or all was finished; else, or if the
/// cloud will not have it back, left out for good.
fn host_left(session: &Session, host: &HostId, work: &HostWork) -> Option<Left> {
    let tries = session.tries.get(&format!("release {host}")).copied().unwrap_or_default();
    let fence = EffectKind::Fence { host: host.clone() };
    let give_back = match work.stage {
        HostStage::Working if session.is_to_be_undone(host) => return Some(Left::Undo(host.clone())),
        HostStage::Working => return Some(Left::Quarantine(host.clone())),
        HostStage::Fenced | HostStage::Worked => true,
        HostStage::Quarantined { begun: false, .. } if work.fenced => true,
        // A fence whose outcome nobody knows may stand, or may still come.
        HostStage::Waiting | HostStage::Quarantined { begun: false, .. } => {
            session.effects.values().any(|effect| effect.kind == fence)
        }
        HostStage::Maintained | HostStage::Quarantined { begun: true, .. } => false,
    };
    let most = session.plan.terms.rounds.min(MOST_TRIES);
    let left = if tries >= most { Left::Quarantine } else { Left::GiveBack };
    give_back.then(|| left(host.clone()))
}

/// Hosts that were left out before work began, and are still kept out of service.
fn left_out(session: &Session) -> impl Iterator<Item = &HostId> {
    session.hosts.in_stage("quarantined").filter_map(|(host, work)| match work.stage {
        HostStage::Quarantined { begun: false, .. } if work.fenced => Some(host),
        HostStage::Quarantined { .. }
        | HostStage::Waiting
        | HostStage::Fenced
        | HostStage::Working
        | HostStage::Worked
        | HostStage::Maintained => None,
    })
}

fn has_leftovers(session: &Session) -> bool {
    session.is_running() && left_out(session).next().is_some()
}
