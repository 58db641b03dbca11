//! R1: an instance of a managed project is moved only after its manager agreed to this move.

use fenix_core::ask::{AskKind, MoveHow, Reply};
use fenix_core::id::{InstanceId, ProjectId, SessionId};
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
        let Some(seen) = sight.ground.instances.get(instance) else { return };
        let places = sight.ground.places(instance, sight.lately());
        // What is on nobody's host is another rule's concern.
        let Some((from, session)) = places.iter().find_map(|host| Some((*host, sight.owner(host)?))) else {
            return;
        };
        let Some(spec) = sight.session(session) else { return };
        let policies = spec.terms.policies;
        if !sight.ground.is_managed(&seen.project) {
            if policies.unmanaged != Policy::Force {
                let what = format!("{instance} was moved, and nobody manages {}", seen.project);
                found.add(Check::R1, sight.at, what);
            }
            return;
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
        if !agreed && !forced {
            let what = format!("{} of {instance} off {from} without leave of {}", how.wire(), seen.project);
            found.add(Check::R1, sight.at, what);
        }
    }
}
