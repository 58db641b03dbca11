//! Nothing is touched for a session, and nobody is asked, before what it brings is here.

use std::collections::BTreeSet;

use fenix_core::id::SessionId;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight, move_of};
use crate::truth::Truth;

/// Sessions of which everything came.
#[derive(Default)]
pub(super) struct Brought(BTreeSet<SessionId>);

impl Checker for Brought {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        let touched = match what {
            Truth::Fetched { session, came: true } => {
                self.0.insert(session.clone());
                None
            }
            Truth::Sent { call: CloudCall::Disable { host, .. }, .. } => sight.owner(host),
            Truth::Sent { call, .. } => {
                let instance = move_of(call).and_then(|(instance, _)| sight.ground.instances.get(instance));
                instance.and_then(|seen| sight.owner(&seen.host))
            }
            Truth::ActionCalled { session, .. } => Some(session),
            Truth::Attempted { session, ask: Some(_), .. } => Some(session),
            _ => None,
        };
        let Some(session) = touched else { return };
        let brings = sight.scenario.session(session).is_some_and(|spec| spec.brings.is_some());
        if brings && !self.0.contains(session) {
            let what = format!("{what}, and what {session} brings is not here");
            found.add(Check::Brought, sight.at, what);
        }
    }
}
