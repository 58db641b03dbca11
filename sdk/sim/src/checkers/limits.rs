//! R6: hosts out at once, in all and per failure domain; controllers one at a time and never the last one.

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{HostId, SessionId};
use fenix_core::inventory::HostKind;
use fenix_core::session::HostStage;
use fenix_core::time::Time;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight};
use crate::report::Ending;
use crate::truth::{ActionEnd, Errand, Truth, Want};

/// Hosts that Fenix has in turn.
#[derive(Default)]
pub(super) struct Limits {
    /// Disabled by Fenix. A host whose actions failed, or that could not be given back, may have been left out: it
    /// takes no turn any more.
    out: BTreeSet<HostId>,
    /// Hosts taken while others were out; right if enough of those had been left out.
    taken: Vec<Taken>,
    /// Controllers in their turn.
    controllers: BTreeSet<HostId>,
    /// Controllers on which an action is being called.
    called: BTreeSet<HostId>,
    /// Sessions that were removed: what they had begun on a controller is left as it is, and its turn is over.
    removed: BTreeSet<SessionId>,
    /// The keys of the actions that are done, by host.
    done: BTreeMap<HostId, BTreeSet<String>>,
    /// When Fenix did something on which host.
    touched: Vec<(Time, HostId)>,
    /// When which session was continued.
    continued: Vec<(Time, SessionId)>,
    /// Hosts that Fenix ever tried to take out.
    begun: BTreeSet<(SessionId, HostId)>,
    /// Sessions whose turn has come to the host that Fenix itself runs on.
    at_own: BTreeSet<SessionId>,
}

/// A host that was taken out while others were.
struct Taken {
    at: Time,
    host: HostId,
    most: usize,
    others: Vec<HostId>,
}

impl Checker for Limits {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Cloud(Happening::HostDisabled { host, .. }, Actor::Client) => self.went_out(sight, host),
            Truth::Cloud(Happening::HostEnabled { host }, _) => {
                self.out.remove(host);
            }
            Truth::Sent { call: CloudCall::Enable { host }, .. } => {
                self.out.remove(host);
                self.touched.push((sight.at, host.clone()));
            }
            Truth::Sent { call: CloudCall::Disable { host, .. }, .. } => {
                self.goes_last(sight, host, found);
                self.touched.push((sight.at, host.clone()));
            }
            Truth::ActionCalled { session, errand: Errand::Work, host: Some(host), .. } => {
                self.called(sight, session, host, found);
                self.touched.push((sight.at, host.clone()));
            }
            Truth::Told(Want::Continue(session), Ok(_)) => {
                self.at_own.remove(session);
                self.continued.push((sight.at, session.clone()));
            }
            Truth::Told(Want::Delete(session), Ok(_)) => {
                self.removed.insert(session.clone());
                let called = &self.called;
                let goes_on = |host: &HostId| called.contains(host) || sight.owner(host) != Some(session);
                self.controllers.retain(goes_on);
            }
            Truth::Killed => self.called.clear(),
            Truth::ActionReturned { errand: Errand::Work, host: Some(host), key, end, .. } => {
                self.returned(sight, host, key, end);
            }
            Truth::Cloud(Happening::HostRebooting { host }, Actor::Client) => last_one(sight, host, found),
            _ => {}
        }
    }

    fn end(&mut self, sight: &Sight<'_>, ending: &Ending, found: &mut Findings) {
        for Taken { at, host, most, others } in &self.taken {
            let in_turn: Vec<&str> = others
                .iter()
                .filter(|other| !self.is_left_out(sight, ending, other, *at))
                .map(HostId::as_str)
                .collect();
            if in_turn.len() >= *most {
                let what = format!("{host} was taken out while these were out: {}", in_turn.join(", "));
                found.add(Check::R6, *at, what);
            }
        }
    }
}

impl Limits {
    /// True if a host took no turn any more at that time: its session says so in the end, or it was let be until the
    /// session was continued, which takes back in what was left out. A session that was removed says nothing.
    fn is_left_out(&self, sight: &Sight<'_>, ending: &Ending, host: &HostId, at: Time) -> bool {
        let Some(owner) = sight.owner(host) else { return true };
        let Some(session) = ending.state.session(owner) else { return true };
        let stage = session.hosts.get(host).map(|work| &work.stage);
        let next = self.touched.iter().find(|(when, of)| *when > at && of == host).map(|(when, _)| *when);
        let until_continued = self
            .continued
            .iter()
            .any(|(when, of)| *when > at && of == owner && next.is_none_or(|next| *when <= next));
        matches!(stage, Some(HostStage::Quarantined { .. })) || until_continued
    }

    /// Fenix's own host is taken out by who may, and no other one is begun after it.
    fn goes_last(&mut self, sight: &Sight<'_>, host: &HostId, found: &mut Findings) {
        let Some(session) = sight.owner(host) else { return };
        let is_first = self.begun.insert((session.clone(), host.clone()));
        if sight.scenario.own_host.as_ref() == Some(host) {
            self.at_own.insert(session.clone());
            if !sight.session(session).is_some_and(|spec| spec.terms.own_host) {
                found.add(Check::R6, sight.at, format!("{host} was taken out, where Fenix itself runs"));
            }
        } else if is_first && self.at_own.contains(session) {
            found.add(Check::R6, sight.at, format!("{host} was taken out after the host that Fenix runs on"));
        }
    }

    fn went_out(&mut self, sight: &Sight<'_>, host: &HostId) {
        self.out.remove(host);
        let session = sight.owner(host);
        let spec = session.and_then(|session| sight.session(session));
        let zone = |host: &HostId| sight.ground.hosts.get(host).map(|host| &host.zone);
        if let Some(spec) = spec {
            let terms = &spec.terms;
            let mine = self.out.iter().filter(|other| sight.owner(other) == session);
            let near = self.out.iter().filter(|other| zone(other) == zone(host));
            for (others, most) in [
                (mine.cloned().collect::<Vec<_>>(), terms.hosts_at_once as usize),
                (near.cloned().collect(), terms.hosts_at_once_per_zone as usize),
            ] {
                if others.len() >= most {
                    self.taken.push(Taken { at: sight.at, host: host.clone(), most, others });
                }
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
        self.called.insert(host.clone());
    }

    fn returned(&mut self, sight: &Sight<'_>, host: &HostId, key: &str, end: &ActionEnd) {
        let done = self.done.entry(host.clone()).or_default();
        let over = match end {
            ActionEnd::Done | ActionEnd::NotNeeded | ActionEnd::Stop => {
                done.insert(key.to_owned());
                sight.owner(host).is_some_and(|session| done.len() >= sight.actions_on(session, host))
            }
            ActionEnd::Failed(_) => {
                self.out.remove(host);
                true
            }
            ActionEnd::Again => sight.owner(host).is_some_and(|session| self.removed.contains(session)),
        };
        self.called.remove(host);
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
