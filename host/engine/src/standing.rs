//! What managers and administrators leave with the installation: constraints, plug-ins, templates, and the word that
//! a host that was left out is right again.

use fenix_core::constraint::{Constrained, Constraint};
use fenix_core::effect::EffectKind;
use fenix_core::grant::Grant;
use fenix_core::id::{Digest, HostId, SessionId};
use fenix_core::record::Body;
use fenix_core::session::{Condition, HostStage, HostWork, Phase, Session};
use fenix_core::standing::{Attached, Template};
use fenix_core::view::Trigger;

use crate::Engine;
use crate::command::{Answer, CommandError};

impl Engine {
    pub(crate) fn constrain(&mut self, constraint: Constraint) -> Answer {
        if self.state.constraints.get(&constraint.about()) == Some(&constraint) {
            return Answer::Idle;
        }
        let project = constraint.project().clone();
        let is_first = !self.state.constraints.has_any_of(&project);
        self.record_installation(Body::Constrained { constraint });
        for session in self.sessions_with(&project) {
            if is_first {
                self.join_project(&session, project.clone());
            }
            self.wake(&session, Trigger::Changed);
        }
        Answer::Done
    }

    pub(crate) fn unconstrain(&mut self, about: Constrained) -> Answer {
        let Some(known) = self.state.constraints.get(&about) else { return Answer::Idle };
        let project = known.project().clone();
        self.record_installation(Body::Unconstrained { about });
        for session in self.sessions_with(&project) {
            self.wake(&session, Trigger::Changed);
        }
        Answer::Done
    }

    pub(crate) fn attach_plugin(&mut self, plugin: Attached) -> Answer {
        if self.state.plugins.get(&plugin.pin.name) == Some(&plugin) {
            return Answer::Idle;
        }
        self.record_installation(Body::PluginAttached { plugin });
        Answer::Done
    }

    pub(crate) fn detach_plugin(&mut self, name: String) -> Result<Answer, CommandError> {
        let Some(attached) = self.state.plugins.get(&name) else { return Ok(Answer::Idle) };
        let digest = &attached.pin.digest;
        // One that failed may be continued.
        let is_over = |session: &Session| {
            session.condition == Condition::Ended && session.phase == Phase::MaintenanceDone
        };
        let needs = |session: &Session| {
            let plan = &session.plan;
            let mut pins = plan.actions.iter().map(|spec| &spec.plugin).chain([&plan.workflow]);
            !is_over(session) && pins.any(|pin| pin.digest == *digest)
        };
        if let Some(session) = self.state.sessions.values().find(|session| needs(session)) {
            return Err(CommandError::Needed { name, by: session.id.clone() });
        }
        self.record_installation(Body::PluginDetached { name });
        Ok(Answer::Done)
    }

    pub(crate) fn grant(&mut self, grant: Grant) -> Answer {
        if self.state.grants.get(&grant.digest) == Some(&grant.rights) {
            return Answer::Idle;
        }
        self.record_installation(Body::Granted { grant });
        Answer::Done
    }

    pub(crate) fn revoke(&mut self, digest: Digest) -> Answer {
        if !self.state.grants.contains_key(&digest) {
            return Answer::Idle;
        }
        self.record_installation(Body::Revoked { digest });
        Answer::Done
    }

    pub(crate) fn save_template(&mut self, template: Template) -> Answer {
        if self.state.templates.get(&template.name) == Some(&template) {
            return Answer::Idle;
        }
        self.record_installation(Body::TemplateSaved { template });
        Answer::Done
    }

    pub(crate) fn remove_template(&mut self, name: String) -> Answer {
        if !self.state.templates.contains_key(&name) {
            return Answer::Idle;
        }
        self.record_installation(Body::TemplateRemoved { name });
        Answer::Done
    }

    pub(crate) fn clear_quarantine(&mut self, host: &HostId) -> Result<Answer, CommandError> {
        let Some((session, work)) = self.left_out_by(host) else {
            let marked = self.state.past.host(host).is_some_and(|past| past.quarantined.is_some());
            if !marked {
                return Ok(Answer::Idle);
            }
            // Its session is removed: nobody is left to give it back.
            self.record_installation(Body::QuarantineCleared { host: host.clone() });
            return Ok(Answer::Done);
        };
        let Some(known) = self.state.session(&session) else { return Ok(Answer::Idle) };
        let (condition, is_busy) = (known.condition.clone(), self.is_busy(host));
        if matches!(condition, Condition::Closing { .. }) || is_busy {
            return Err(CommandError::WrongState {
                session,
                state: "closing".into(),
                hint: format!("{host} is being brought to a safe state; try again when that is done"),
            });
        }
        let stage = match (&work.stage, work.fenced) {
            (HostStage::Quarantined { begun: true, .. } | HostStage::Worked, _) => HostStage::Worked,
            (_, true) => HostStage::Fenced,
            (_, false) => HostStage::Waiting,
        };
        self.record(&session, Body::HostMoved { host: host.clone(), stage, fenced: work.fenced });
        if condition == Condition::Ended && work.fenced {
            let reason = "an administrator has put it right".to_owned();
            self.begin(&session, EffectKind::Release { host: host.clone() }, reason);
        }
        Ok(Answer::Done)
    }

    /// The session that has left a host out, and how it stands there; one that has ended and could not give it back
    /// counts too.
    fn left_out_by(&self, host: &HostId) -> Option<(SessionId, HostWork)> {
        let left_out = |session: &Session| {
            let work = session.hosts.get(host)?;
            let is_left = match work.stage {
                HostStage::Quarantined { .. } => true,
                HostStage::Worked | HostStage::Fenced => work.fenced && session.condition == Condition::Ended,
                HostStage::Waiting | HostStage::Working | HostStage::Maintained => false,
            };
            is_left.then(|| (session.id.clone(), work.clone()))
        };
        // A host may be marked by one that has ended and belong to another by now: the one that holds it counts.
        let holder = self.state.lease(host).and_then(|id| self.state.session(id));
        holder.into_iter().chain(self.state.sessions.values().map(|session| &**session)).find_map(left_out)
    }
}
