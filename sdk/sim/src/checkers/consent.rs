//! R1: an instance of a managed project is moved only after its manager agreed to this move. R3: and had the lead time that
//! it stated.

use std::collections::BTreeMap;

use fenix_core::ask::{AskKind, MoveHow, Reply};
use fenix_core::id::{AskId, HostId, InstanceId, ProjectId, SessionId};
use fenix_core::policy::Policy;
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight};
use crate::truth::{Asked, Truth};

/// What managers answered.
#[derive(Default)]
pub(super) struct Consent {
    replies: Vec<(SessionId, ProjectId, Asked, Reply)>,
    /// When each question first arrived somewhere.
    arrived: BTreeMap<(SessionId, AskId), Time>,
}

impl Checker for Consent {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Replied { session, project, ask, reply } => {
                self.replies.push((session.clone(), project.clone(), ask.clone(), reply.clone()));
            }
            Truth::Attempted { session, ask: Some(ask), taken: true, .. } => {
                self.arrived.entry((session.clone(), ask.id)).or_insert(sight.at);
            }
            // What was on a dead host may be rebuilt whichever way it was to be moved.
            Truth::Sent {
                call: CloudCall::Migrate { instance, .. } | CloudCall::Evacuate { instance, .. },
                ..
            } => {
                self.touched(sight, instance, MoveHow::Migrate, found);
            }
            Truth::Sent { call: CloudCall::LiveMigrate { instance, .. }, .. } => {
                self.touched(sight, instance, MoveHow::LiveMigrate, found);
            }
            _ => {}
        }
    }
}

impl Consent {
    fn touched(&self, sight: &Sight<'_>, instance: &InstanceId, how: MoveHow, found: &mut Findings) {
        let places = sight.ground.places(instance, sight.lately());
        // It was looked at on any of them. What is on nobody's host is another rule's concern.
        let mut owned = places.iter().filter_map(|host| Some((*host, sight.owner(host)?)));
        let Some((from, session)) = owned.next() else { return };
        let Some((check, what)) = self.missing(sight, (instance, from, &places), session, how) else {
            return;
        };
        if owned.all(|(from, session)| self.missing(sight, (instance, from, &places), session, how).is_some())
        {
            found.add(check, sight.at, what);
        }
    }

    /// Why a session may not move an instance off one of the places where it may be.
    fn missing(
        &self,
        sight: &Sight<'_>,
        (instance, from, places): (&InstanceId, &HostId, &[&HostId]),
        session: &SessionId,
        how: MoveHow,
    ) -> Option<(Check, String)> {
        let seen = sight.ground.instances.get(instance)?;
        let policies = sight.session(session)?.terms.policies;
        if !sight.ground.is_managed(&seen.project) {
            let nobody = || format!("{instance} was moved, and nobody manages {}", seen.project);
            return (policies.unmanaged != Policy::Force).then(|| (Check::R1, nobody()));
        }
        let about = |ask: &Asked| {
            matches!(ask.kind, AskKind::PrepareMaintenance | AskKind::PlannedMaintenance)
                && ask.host.as_ref().is_some_and(|host| places.contains(&host))
        };
        let said = self
            .replies
            .iter()
            .filter(|(of, project, ask, _)| of == session && *project == seen.project && about(ask));
        let agreed = |(_, _, ask, reply): &&(SessionId, ProjectId, Asked, Reply)| {
            let chosen = reply.actions.get(instance).copied();
            let fits = chosen == Some(how) || chosen == Some(MoveHow::LiveMigrate);
            reply.agrees && fits && ask.instances.contains(instance)
        };
        let forced = policies.nack == Policy::Force && said.clone().any(|(_, _, _, reply)| !reply.agrees)
            // A question that could not be delivered counts as not answered.
            || policies.silence == Policy::Force;
        if forced {
            return None;
        }
        let mut agreed = said.filter(agreed).peekable();
        if agreed.peek().is_none() {
            let without =
                format!("{} of {instance} off {from} without leave of {}", how.wire(), seen.project);
            return Some((Check::R1, without));
        }
        let lead = lead_time(sight, instance);
        let had = |(_, _, ask, _): &(SessionId, ProjectId, Asked, Reply)| {
            let arrived = self.arrived.get(&(session.clone(), ask.id));
            arrived.is_some_and(|at| sight.ground.latest(sight.at) >= *at + lead)
        };
        let early = || format!("{instance} was moved before its {lead} of lead time had passed");
        (!agreed.any(had)).then(|| (Check::R3, early()))
    }
}

/// The least lead time of all that may have been stated about an instance when Fenix asked the rules.
fn lead_time(sight: &Sight<'_>, instance: &InstanceId) -> Millis {
    let said = sight.ground.stated.of_instance(instance, Time(sight.at.0.saturating_sub(LATELY.0)));
    let stated = said.into_iter().map(|said| said.and_then(|said| said.lead_time).unwrap_or_default()).min();
    let ceilings = sight.scenario.sessions.iter().map(|session| session.terms.ceilings.lead_time);
    stated.unwrap_or_default().min(ceilings.min().unwrap_or_default())
}

/// How old the statements may be by which Fenix goes when it sends a call.
pub(super) const LATELY: Millis = Millis::from_secs(1);
