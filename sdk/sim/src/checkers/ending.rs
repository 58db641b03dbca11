//! R7 and the end: nothing is left behind, and nothing stands still without a reason.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::ask::AskKind;
use fenix_core::blocker;
use fenix_core::id::{HostId, MessageId, SessionId, SubscriptionId};
use fenix_core::inventory::Service;
use fenix_core::message::Content;
use fenix_core::policy::Policy;
use fenix_core::session::{Condition, HostStage, Phase, Session};
use fenix_core::time::Time;
use fenix_engine::ports::CloudCall;

use super::ground::HostTruth;
use super::{Check, Checker, Findings, Sight};
use crate::report::Ending;
use crate::scenario::session_id;
use crate::truth::{ActionEnd, Errand, Truth};

/// R7 for hosts.
#[derive(Default)]
pub(super) struct Hosts {
    /// On which actions were begun, and the keys of those that are done.
    work: BTreeMap<HostId, BTreeSet<String>>,
    /// Hosts that Fenix tried to give back.
    tried: BTreeSet<HostId>,
    /// Hosts of which somebody said last that nothing is to be done on them.
    not_needed: BTreeSet<HostId>,
}

impl Checker for Hosts {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::ActionCalled { errand: Errand::Work, host: Some(host), .. } => {
                self.work.entry(host.clone()).or_default();
            }
            Truth::ActionReturned { errand, host: Some(host), key, end, .. } => match (errand, end) {
                (Errand::Work, ActionEnd::Done) => {
                    self.work.entry(host.clone()).or_default().insert(key.clone());
                }
                // What was taken back is to be done again.
                (Errand::Undo, ActionEnd::Done) => {
                    self.work.entry(host.clone()).or_default().remove(key);
                }
                (Errand::Assess, ActionEnd::NotNeeded) => {
                    self.not_needed.insert(host.clone());
                }
                (Errand::Assess, _) => {
                    self.not_needed.remove(host);
                }
                _ => {}
            },
            Truth::Sent { call: CloudCall::Enable { host }, .. } => {
                self.tried.insert(host.clone());
            }
            Truth::Cloud(Happening::HostEnabled { host }, Actor::Client) => {
                if sight.ground.hosts.get(host).is_some_and(|known| is_others(known, sight.lately())) {
                    found.add(
                        Check::R7,
                        sight.at,
                        format!("{host} was disabled by somebody else, and is enabled"),
                    );
                }
                if self.is_half_done(sight, host) {
                    found.add(
                        Check::R7,
                        sight.at,
                        format!("{host} is enabled, and work on it is not finished"),
                    );
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        for (id, hosts) in &sight.ground.sessions {
            let session = ending.state.session(id);
            for host in hosts {
                self.left_behind((sight, ending), (id, session), host, found);
                self.left_out(sight, session, host, found);
            }
        }
    }
}

/// True if somebody else than Fenix disabled a host, a while ago.
fn is_others(host: &HostTruth, lately: Time) -> bool {
    let (by, at) = host.changed;
    matches!(host.service, Service::Disabled { .. }) && by != Actor::Client && at < lately
}

impl Hosts {
    fn is_half_done(&self, sight: &Sight<'_>, host: &HostId) -> bool {
        let Some(session) = sight.owner(host) else { return false };
        self.work.get(host).is_some_and(|done| done.len() < sight.actions_on(session, host))
    }

    /// A host that Fenix disabled, and nobody enabled.
    fn left_behind(
        &self,
        (sight, ending): (&Sight<'_>, &Ending),
        (id, session): (&SessionId, Option<&Session>),
        host: &HostId,
        found: &mut Findings,
    ) {
        let Some(known) = sight.ground.hosts.get(host) else { return };
        if !matches!((&known.service, known.changed.0), (Service::Disabled { .. }, Actor::Client)) {
            return;
        }
        let reason = match session {
            Some(session) => session.hosts.get(host).is_some_and(|work| work.fenced),
            // Nobody can give back what does not answer any more, or while the cloud does not: why, is kept with the host.
            None => {
                let past = ending.state.past.host(host).and_then(|past| past.quarantined.as_ref());
                let told = past.is_some_and(|past| past.session == *id && past.begun && !past.why.is_empty());
                told || self.is_half_done(sight, host) || self.tried.contains(host) || !known.up
            }
        };
        if !reason {
            let says = session.and_then(|session| session.hosts.get(host)).map(|work| work.stage.name());
            let what = format!("{host} is left disabled without a reason; the session says {says:?}");
            found.add(Check::R7, sight.at, what);
        }
        let over = session.is_some_and(|session| session.condition == Condition::Ended);
        let stage = session.and_then(|session| session.hosts.get(host)).map(|work| &work.stage);
        let quarantined = matches!(stage, Some(HostStage::Quarantined { why, .. }) if !why.is_empty());
        if over && !quarantined {
            let what = format!("{host} is left disabled by a session that is over and says {stage:?}");
            found.add(Check::R7, sight.at, what);
        }
    }

    /// A session that says it is done has finished every host.
    fn left_out(&self, sight: &Sight<'_>, session: Option<&Session>, host: &HostId, found: &mut Findings) {
        let Some(session) = session.filter(|session| session.phase == Phase::MaintenanceDone) else { return };
        let stage = session.hosts.get(host).map(|work| &work.stage);
        if matches!(stage, Some(HostStage::Quarantined { .. })) || self.not_needed.contains(host) {
            return;
        }
        let done = self.work.get(host).map_or(0, BTreeSet::len);
        if done < sight.actions_on(&session.id, host) {
            found.add(Check::R7, sight.at, format!("the session is done, and the work on {host} is not"));
        }
    }
}

/// R7 for those who were told that something begins.
#[derive(Default)]
pub(super) struct Told {
    /// Who knows that a session is on.
    sessions: BTreeSet<(SubscriptionId, SessionId)>,
    /// Who knows that a host is out.
    hosts: BTreeSet<(SubscriptionId, SessionId, HostId)>,
    /// What was taken: a receiver knows a second copy by its id.
    taken: BTreeSet<(SubscriptionId, SessionId, MessageId)>,
}

impl Checker for Told {
    fn see(&mut self, _: &Sight<'_>, what: &Truth, _: &mut Findings) {
        let Truth::Attempted { to, session, message, content, ask, taken } = what else { return };
        if self.taken.contains(&(to.clone(), session.clone(), *message)) {
            return;
        }
        if *taken {
            self.taken.insert((to.clone(), session.clone(), *message));
        }
        let told = (to.clone(), session.clone());
        match (content, ask.as_ref().map(|ask| ask.kind)) {
            (_, Some(AskKind::MaintenanceComplete)) => {
                self.sessions.remove(&told);
            }
            (_, Some(_)) if *taken => {
                self.sessions.insert(told);
            }
            (Content::Host { host, in_maintenance }, _) => {
                let told = (to.clone(), session.clone(), host.clone());
                match (in_maintenance, taken) {
                    (true, true) => {
                        self.hosts.insert(told);
                    }
                    (true, false) => {}
                    (false, _) => {
                        self.hosts.remove(&told);
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        let over = |session: &SessionId| {
            ending.state.session(session).is_none_or(|known| known.condition == Condition::Ended)
        };
        for (to, session) in self.sessions.iter().filter(|(_, session)| over(session)) {
            let what = format!("{to} was told that session {session} is on, and not that it is over");
            found.add(Check::R7, sight.at, what);
        }
        // Of what it gave back and could not look at any more, Fenix says that it is left out, here and there.
        let left_out = |session: &SessionId, host: &HostId| {
            let past = ending.state.past.host(host).and_then(|past| past.quarantined.as_ref());
            past.is_some_and(|past| past.session == *session && past.begun)
        };
        let out = self.hosts.iter().filter(|(_, session, host)| over(session) && !left_out(session, host));
        for (to, session, host) in out {
            // What somebody else gave back, Fenix cannot tell of.
            let in_service = sight
                .ground
                .hosts
                .get(host)
                .is_some_and(|host| host.service == Service::Enabled && host.changed.0 == Actor::Client);
            if in_service {
                let what = format!("{to} was told that {host} is out, and not that it is back ({session})");
                found.add(Check::R7, sight.at, what);
            }
        }
    }
}

/// No session stands still without a reason, and Fenix is whole.
pub(super) struct Finished;

impl Checker for Finished {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Panicked(why) => found.add(Check::Broken, sight.at, format!("panic: {why}")),
            Truth::Spins(why) => found.add(Check::Broken, sight.at, format!("does not come to rest: {why}")),
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        for problem in &ending.problems {
            found.add(Check::Broken, sight.at, format!("the cloud: {problem}"));
        }
        if let Some(why) = &ending.refold {
            found.add(Check::Broken, sight.at, format!("the journal: {why}"));
        }
        for place in 0..sight.scenario.sessions.len() {
            if let Some(session) = ending.state.session(&session_id(place)) {
                standing(sight, ending, session, found);
            }
        }
    }
}

fn standing(sight: &Sight<'_>, ending: &Ending, session: &Session, found: &mut Findings) {
    let mut stuck =
        |what: String| found.add(Check::Stuck, sight.at, format!("session {}: {what}", session.id));
    let blockers = blocker::blockers(&ending.state, &session.id, ending.now);
    let policies = session.plan.terms.policies;
    let waits =
        [policies.silence, policies.nack, policies.unmanaged, policies.failed_move, policies.failed_action]
            .contains(&Policy::Wait);
    let unknown = session.effects.values().any(|effect| effect.unknown.is_some());
    match (&session.condition, session.phase) {
        (Condition::Ended, Phase::MaintenanceDone) => {}
        (Condition::Ended, Phase::MaintenanceFailed) => {
            if session.failure.as_ref().is_none_or(String::is_empty) {
                stuck("failed without a reason".into());
            }
        }
        (Condition::Ended, phase) => stuck(format!("ended in {}", phase.wire())),
        (Condition::Parked { why }, _) if why.is_empty() => stuck("parked without a reason".into()),
        (Condition::Parked { .. } | Condition::Paused, _) if blockers.is_empty() => {
            stuck("stands still without a blocker".into());
        }
        (Condition::Parked { .. } | Condition::Paused, _) => {}
        (Condition::Closing { .. }, _) if !unknown => stuck("is never closed".into()),
        (Condition::Closing { .. }, _) => {}
        (Condition::Running, phase) if !waits => {
            let on: Vec<String> =
                blockers.iter().map(|b| format!("{:?} {}: {}", b.what, b.on, b.detail)).collect();
            stuck(format!("goes on in {} for ever: {}", phase.wire(), on.join("; ")));
        }
        (Condition::Running, _) if blockers.is_empty() => stuck("waits without a blocker".into()),
        (Condition::Running, _) => {}
    }
}
