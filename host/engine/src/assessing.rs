//! What stands beside the work on a host: whether it is needed at all, whether it may go on afterwards, and taking it back.
//!
//! The engine's own: no workflow is asked, and none decides while the session waits for an answer.

use fenix_core::effect::EffectKind;
use fenix_core::id::{HostId, SessionId};
use fenix_core::record::Body;
use fenix_core::session::{HostStage, Target};

use crate::Engine;

/// Most hosts of one session that are assessed at a time: each assessment may be a login.
const MOST_AT_ONCE: usize = 8;

impl Engine {
    /// True if nothing is to be decided yet: hosts are to be assessed, or a gate is closed. Begins to find that out.
    pub(crate) fn waits_for_a_verdict(&mut self, id: &SessionId) -> bool {
        let Some(session) = self.state.session(id) else { return false };
        let open = session.verdicts();
        let free = MOST_AT_ONCE.saturating_sub(open);
        let gates = session.ungated().map(|host| (Target::Gate(host.clone()), "may it go on?"));
        let looks =
            session.unassessed().map(|host| (Target::Assess(host.clone()), "is anything to be done on it?"));
        let next: Vec<(Target, &str)> = gates.chain(looks).take(free).collect();
        let waits = open > 0 || !next.is_empty();
        for (target, why) in next {
            self.begin(id, EffectKind::Work { target }, why.into());
        }
        waits
    }

    /// Takes back what was begun on a host, as far as that is possible.
    pub(crate) fn undo(&mut self, id: &SessionId, host: &HostId) {
        if self.state.session(id).is_some_and(|session| session.is_to_be_undone(host)) {
            let kind = EffectKind::Work { target: Target::Undo(host.clone()) };
            self.begin(id, kind, "the work on it is given up".into());
        }
    }

    /// An assessment or a gate said that it does not go on as planned, or failed.
    pub(crate) fn judged(&mut self, id: &SessionId, target: &Target, verdict: Verdict) {
        match (target, verdict) {
            (Target::Assess(host), Verdict::NotNeeded) => {
                self.leave_stage(id, host, HostStage::Maintained);
            }
            (Target::Assess(host), Verdict::Stop(why)) => {
                self.leave_stage(id, host, HostStage::Quarantined { why, begun: false });
            }
            (Target::Gate(host), Verdict::Stop(why)) => self.park(id, format!("after {host}: {why}")),
            (Target::Gate(_) | Target::Undo(_) | Target::Pre | Target::Host(_) | Target::Post, _) => {}
        }
    }

    fn leave_stage(&mut self, id: &SessionId, host: &HostId, stage: HostStage) {
        let is_waiting = |stage: &HostStage| *stage == HostStage::Waiting;
        let work = self.state.session(id).and_then(|session| session.hosts.get(host));
        if work.is_some_and(|work| is_waiting(&work.stage)) {
            self.record(id, Body::HostMoved { host: host.clone(), stage, fenced: false });
            self.tell_session(id);
        }
    }
}

/// What came of an assessment or a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is to be done on the host.
    NotNeeded,
    /// It does not go on, and why.
    Stop(String),
}
