//! R6: hosts out at once, in all and per failure domain; controllers one at a time and never the last one.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{HostId, SessionId};
use fenix_core::inventory::HostKind;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight};
use crate::truth::{ActionEnd, Truth};

/// Hosts that Fenix has in turn.
#[derive(Default)]
pub(super) struct Limits {
    /// Disabled by Fenix. A host whose actions failed, or that could not be given back, may have been left out: it
    /// takes no turn any more.
    out: BTreeSet<HostId>,
    /// Controllers in their turn.
    controllers: BTreeSet<HostId>,
    /// The keys of the actions that are done, by host.
    done: BTreeMap<HostId, BTreeSet<String>>,
}

impl Checker for Limits {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Cloud(Happening::HostDisabled { host, .. }, Actor::Client) => {
                self.went_out(sight, host, found);
            }
            Truth::Cloud(Happening::HostEnabled { host }, _) => {
                self.out.remove(host);
            }
            Truth::Sent { call: CloudCall::Enable { host }, .. } => {
                self.out.remove(host);
            }
            Truth::ActionCalled { session, host: Some(host), .. } => {
                self.called(sight, session, host, found);
            }
            Truth::ActionReturned { host: Some(host), key, end, .. } => self.returned(sight, host, key, end),
            Truth::Cloud(Happening::HostRebooting { host }, Actor::Client) => last_one(sight, host, found),
            _ => {}
        }
    }
}

impl Limits {
    fn went_out(&mut self, sight: &Sight<'_>, host: &HostId, found: &mut Findings) {
        self.out.remove(host);
        let session = sight.owner(host);
        let spec = session.and_then(|session| sight.session(session));
        let zone = |host: &HostId| sight.ground.hosts.get(host).map(|host| &host.zone);
        if let Some(spec) = spec {
            let terms = &spec.terms;
            let mine = self.out.iter().filter(|other| sight.owner(other) == session).count();
            let near = self.out.iter().filter(|other| zone(other) == zone(host)).count();
            if mine >= terms.hosts_at_once as usize || near >= terms.hosts_at_once_per_zone as usize {
                let out: Vec<&str> = self.out.iter().map(HostId::as_str).collect();
                let what = format!("{host} was taken out while these were out: {}", out.join(", "));
                found.add(Check::R6, sight.at, what);
            }
        }
        self.out.insert(host.clone());
    }

    fn called(&mut self, sight: &Sight<'_>, session: &SessionId, host: &HostId, found: &mut Findings) {
        if sight.ground.hosts.get(host).is_none_or(|host| host.kind != HostKind::Controller) {
            return;
        }
        if let Some(other) = self.controllers.iter().find(|other| *other != host) {
            let what = format!("work on controllers {other} and {host} at once, for session {session}");
            found.add(Check::R6, sight.at, what);
        }
        self.controllers.insert(host.clone());
    }

    fn returned(&mut self, sight: &Sight<'_>, host: &HostId, key: &str, end: &ActionEnd) {
        let done = self.done.entry(host.clone()).or_default();
        let over = match end {
            ActionEnd::Done => {
                done.insert(key.to_owned());
                sight.owner(host).is_some_and(|session| done.len() >= sight.actions_on(session, host))
            }
            ActionEnd::Failed(_) => {
                self.out.remove(host);
                true
            }
            ActionEnd::Again => false,
        };
        if over {
            self.controllers.remove(host);
        }
    }
}

fn last_one(sight: &Sight<'_>, host: &HostId, found: &mut Findings) {
    let hosts = &sight.ground.hosts;
    let is_controller = |known: &super::ground::HostTruth| known.kind == HostKind::Controller;
    if !hosts.get(host).is_some_and(is_controller) {
        return;
    }
    if !hosts.iter().any(|(other, known)| other != host && is_controller(known) && known.up) {
        found.add(Check::R6, sight.at, format!("{host} was the last controller that was up"));
    }
}
