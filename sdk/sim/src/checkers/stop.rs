//! R8: once somebody was told that a session is held or closed, nothing forward begins in it; and in none while Fenix
//! holds everything.

use std::collections::BTreeSet;

use fenix_core::id::{HostId, InstanceId, SessionId};
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight, move_of};
use crate::truth::{Errand, Truth, Want};

/// Sessions that were stopped, as whoever stopped them was told.
#[derive(Default)]
pub(super) struct Stop {
    stopped: BTreeSet<SessionId>,
    /// True while everything is held.
    held: bool,
}

impl Checker for Stop {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Told(Want::Pause(session) | Want::Delete(session), Ok(_))
                if sight.ground.sessions.contains_key(session) =>
            {
                self.stopped.insert(session.clone());
            }
            // From the moment that somebody wants it to go on it may.
            Truth::Commanded(Want::Continue(session)) | Truth::Told(Want::Continue(session), Ok(_)) => {
                self.stopped.remove(session);
            }
            Truth::Sent { call: CloudCall::Disable { host, .. }, .. } => {
                self.host(sight, host, "disabled", found);
            }
            Truth::Sent { call, .. } if let Some((instance, _)) = move_of(call) => {
                self.instance(sight, instance, found);
            }
            Truth::Held(held) => self.held = *held,
            Truth::Killed | Truth::JournalFailed => self.held = false,
            // What is taken back is no way forward.
            Truth::ActionCalled { errand: Errand::Undo, .. } => {}
            Truth::ActionCalled { session, key, .. } if self.is_stopped(session) => {
                found.add(
                    Check::R8,
                    sight.at,
                    format!("action {key} was called after the session was stopped"),
                );
            }
            _ => {}
        }
    }
}

impl Stop {
    fn is_stopped(&self, session: &SessionId) -> bool {
        self.held || self.stopped.contains(session)
    }

    fn host(&self, sight: &Sight<'_>, host: &HostId, what: &str, found: &mut Findings) {
        if sight.owner(host).is_some_and(|session| self.is_stopped(session)) {
            found.add(Check::R8, sight.at, format!("{host} was {what} after its session was stopped"));
        }
    }

    fn instance(&self, sight: &Sight<'_>, instance: &InstanceId, found: &mut Findings) {
        if let Some(seen) = sight.ground.instances.get(instance) {
            self.host(sight, &seen.host, &format!("left by {instance}"), found);
        }
    }
}
