//! What sessions bring is here before anything is decided.

use fenix_core::id::{Digest, SessionId};
use fenix_core::package::KeptPackage;
use fenix_core::record::Body;
use fenix_core::view::Trigger;

use crate::command::{Answer, CommandError};
use crate::event::{CallId, Order, Wanted};
use crate::ports::Brought;
use crate::{Engine, Owner};

impl Engine {
    pub(crate) fn keep_package(&mut self, package: KeptPackage) -> Answer {
        if self.state.kept.contains_key(&package.digest) {
            return Answer::Idle;
        }
        self.record_installation(Body::PackageKept { package });
        Answer::Done
    }

    pub(crate) fn drop_package(&mut self, digest: Digest) -> Result<Answer, CommandError> {
        if !self.state.kept.contains_key(&digest) {
            return Ok(Answer::Idle);
        }
        if let Some(session) = self.state.sessions.values().find(|session| session.packages.bring(&digest)) {
            return Err(CommandError::Brought { digest, by: session.id.clone() });
        }
        self.record_installation(Body::PackageDropped { digest });
        Ok(Answer::Done)
    }

    /// Has what a session brings fetched, unless that is under way.
    pub(crate) fn fetch(&mut self, id: &SessionId) {
        let owner = Owner::Packages(id.clone());
        if self.awaited.values().any(|awaited| awaited.owner == owner) {
            return;
        }
        let Some(session) = self.state.session(id) else { return };
        let wanted = Wanted {
            session: id.clone(),
            packages: session.packages.wanted.clone(),
            workflow: session.plan.workflow.clone(),
            actions: session.plan.actions.iter().map(|spec| (spec.stage, spec.plugin.clone())).collect(),
        };
        let id = self.new_call(owner, None);
        self.orders.push(Order::Fetch { id, wanted: Box::new(wanted) });
    }

    /// Takes over what came, or parks the session: none of its hosts was touched.
    pub(crate) fn fetched(&mut self, call: CallId, result: Result<Brought, String>) {
        let Some(awaited) = self.awaited.remove(&call) else { return };
        let Owner::Packages(id) = awaited.owner else { return };
        // It may have been removed meanwhile.
        let Some(session) = self.state.session(&id).filter(|session| session.packages.are_missing()) else {
            return;
        };
        match result {
            Ok(brought) if brought.packages.len() == session.packages.wanted.len() => {
                for package in brought.packages {
                    self.record(&id, Body::PackageFetched { package });
                }
                let Brought { workflow, actions, .. } = brought;
                self.record(&id, Body::PluginsPinned { workflow, actions });
                self.wake(&id, Trigger::Started);
            }
            Ok(_) => self.park(&id, "its packages: not all of them came".into()),
            Err(why) => self.park(&id, format!("its packages: {why}")),
        }
    }
}
