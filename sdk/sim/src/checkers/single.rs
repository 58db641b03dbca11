//! R10: never two operations of Fenix on one host or instance at the same time.

use std::collections::BTreeMap;

use fenix_cloud::sim::trace::Actor;
use fenix_core::id::{HostId, InstanceId};
use fenix_engine::event::CallId;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight, move_of};
use crate::truth::{Truth, call_text};

/// What Fenix has under way. What a dead Fenix had under way it has no more.
#[derive(Default)]
pub(super) struct Single {
    calls: BTreeMap<CallId, (Subject, String)>,
    actions: BTreeMap<CallId, HostId>,
}

#[derive(Clone, PartialEq, Eq)]
enum Subject {
    Host(HostId),
    Instance(InstanceId),
}

impl Checker for Single {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Sent { id, call, .. } => self.sent(sight, *id, call, found),
            Truth::Answered { id, .. } => {
                self.calls.remove(id);
            }
            Truth::ActionCalled { id, host: Some(host), key, .. } => {
                if self.actions.values().any(|other| other == host) {
                    found.add(Check::R10, sight.at, format!("action {key} was called while another one ran"));
                }
                self.beside(sight, &Subject::Host(host.clone()), key, found);
                self.actions.insert(*id, host.clone());
            }
            Truth::ActionReturned { id, .. } => {
                self.actions.remove(id);
            }
            Truth::Killed => {
                self.calls.clear();
                self.actions.clear();
            }
            _ => {}
        }
    }
}

impl Single {
    fn sent(&mut self, sight: &Sight<'_>, id: CallId, call: &CloudCall, found: &mut Findings) {
        let subject = match call {
            CloudCall::Disable { host, .. } | CloudCall::Enable { host } | CloudCall::Reboot { host, .. } => {
                Subject::Host(host.clone())
            }
            CloudCall::Migrate { instance, .. }
            | CloudCall::LiveMigrate { instance, .. }
            | CloudCall::Confirm { instance }
            | CloudCall::Revert { instance }
            | CloudCall::AbortLive { instance }
            | CloudCall::CompleteLive { instance }
            | CloudCall::Evacuate { instance, .. }
            | CloudCall::Delete { instance }
            | CloudCall::Resize { instance, .. } => Subject::Instance(instance.clone()),
            CloudCall::Boot { instance } => Subject::Instance(instance.id.clone()),
            CloudCall::ReadAll | CloudCall::ReadHost { .. } | CloudCall::ReadInstance { .. } => return,
        };
        let text = call_text(call);
        self.beside(sight, &subject, &text, found);
        if let Subject::Host(host) = &subject
            && self.actions.values().any(|other| other == host)
        {
            found.add(Check::R10, sight.at, format!("{text} while an action ran on it"));
        }
        if let Some((instance, _)) = move_of(call) {
            moved_twice(sight, instance, &text, found);
        }
        self.calls.insert(id, (subject, text));
    }

    fn beside(&self, sight: &Sight<'_>, subject: &Subject, text: &str, found: &mut Findings) {
        if let Some((_, other)) = self.calls.values().find(|(of, _)| of == subject) {
            found.add(Check::R10, sight.at, format!("{text} while {other} was under way"));
        }
    }
}

/// A move that Fenix began a while ago is not over, and Fenix begins another one.
fn moved_twice(sight: &Sight<'_>, instance: &InstanceId, text: &str, found: &mut Findings) {
    let moving = sight.ground.instances.get(instance).and_then(|seen| seen.moving.as_ref());
    if moving.is_some_and(|moving| moving.by == Actor::Client && moving.since < sight.lately()) {
        found.add(Check::R10, sight.at, format!("{text} while Fenix was moving it already"));
    }
}
