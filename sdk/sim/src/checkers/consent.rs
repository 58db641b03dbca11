//! R1: an instance of a managed project is moved only after its manager agreed to this move.

use fenix_core::ask::{AskKind, MoveHow, Reply};
use fenix_core::id::{HostId, InstanceId, ProjectId, SessionId};
use fenix_core::policy::Policy;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight};
use crate::truth::{Asked, Truth};

/// What managers answered.
#[derive(Default)]
pub(super) struct Consent {
    replies: Vec<(SessionId, ProjectId, Asked, Reply)>,
}

impl Checker for Consent {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Replied { session, project, ask, reply } => {
                self.replies.push((session.clone(), project.clone(), ask.clone(), reply.clone()));
            }
            Truth::Sent { call: CloudCall::Migrate { instance, .. }, .. } => {
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
        let Some(what) = self.missing(sight, (instance, from, &places), session, how) else { return };
        if owned.all(|(from, session)| self.missing(sight, (instance, from, &places), session, how).is_some())
        {
            found.add(Check::R1, sight.at, what);
        }
    }

    /// Why a session may not move an instance off one of the places where it may be.
    fn missing(
        &self,
        sight: &Sight<'_>,
        (instance, from, places): (&InstanceId, &HostId, &[&HostId]),
        session: &SessionId,
        how: MoveHow,
    ) -> Option<String> {
        let seen = sight.ground.instances.get(instance)?;
        let policies = sight.session(session)?.terms.policies;
        if !sight.ground.is_managed(&seen.project) {
            let nobody = || format!("{instance} was moved, and nobody manages {}", seen.project);
            return (policies.unmanaged != Policy::Force).then(nobody);
        }
        let about = |ask: &Asked| {
            matches!(ask.kind, AskKind::PrepareMaintenance | AskKind::PlannedMaintenance)
                && ask.host.as_ref().is_some_and(|host| places.contains(&host))
        };
        let said = self
            .replies
            .iter()
            .filter(|(of, project, ask, _)| of == session && *project == seen.project && about(ask));
        let agreed = said.clone().any(|(_, _, ask, reply)| {
            let chosen = reply.actions.get(instance).copied();
            let fits = chosen == Some(how) || chosen == Some(MoveHow::LiveMigrate);
            reply.agrees && fits && ask.instances.contains(instance)
        });
        let forced = policies.nack == Policy::Force && said.clone().any(|(_, _, _, reply)| !reply.agrees)
            // A question that could not be delivered counts as not answered.
            || policies.silence == Policy::Force;
        let without = || format!("{} of {instance} off {from} without leave of {}", how.wire(), seen.project);
        (!agreed && !forced).then(without)
    }
}
