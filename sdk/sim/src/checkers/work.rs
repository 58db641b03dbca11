//! R4: work on a host begins inside the session's window, and goes on only while the host is fenced and empty.

use std::collections::BTreeSet;

use fenix_cloud::sim::trace::{Actor, Happening};
use fenix_core::id::{HostId, SessionId};

use super::{Check, Checker, Findings, Sight};
use crate::truth::{Errand, Truth};

/// Hosts on which work was begun.
#[derive(Default)]
pub(super) struct Work {
    begun: BTreeSet<(SessionId, HostId)>,
}

impl Checker for Work {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::ActionCalled { session, errand: Errand::Work, host: Some(host), .. } => {
                if self.begun.insert((session.clone(), host.clone())) {
                    inside_window(sight, session, host, found);
                }
                fenced_and_empty(sight, host, "an action was called", found);
            }
            Truth::ActionCalled { errand: Errand::Undo, host: Some(host), .. } => {
                fenced_and_empty(sight, host, "work was taken back", found);
            }
            Truth::Cloud(Happening::HostRebooting { host }, Actor::Client) => {
                fenced_and_empty(sight, host, "it was rebooted", found);
            }
            _ => {}
        }
    }
}

fn inside_window(sight: &Sight<'_>, session: &SessionId, host: &HostId, found: &mut Findings) {
    let Some((from, until)) = sight.window(session) else { return };
    // The window is by the clock, and Fenix's may be wrong; but no earlier than by the latest it ever was.
    let (now, wall) = (sight.ground.latest(sight.at), sight.ground.wall(sight.at));
    if now < from || until.is_some_and(|until| wall >= until) {
        found.add(Check::R4, sight.at, format!("work on {host} was begun outside the window"));
    }
}

fn fenced_and_empty(sight: &Sight<'_>, host: &HostId, what: &str, found: &mut Findings) {
    let Some(known) = sight.ground.hosts.get(host) else { return };
    if !known.was_clear_since(sight.lately()) {
        let there: Vec<&str> = known.claims.keys().map(|instance| instance.as_str()).collect();
        let what = format!("{what} on {host}, {:?}, with [{}] there", known.service, there.join(" "));
        found.add(Check::R4, sight.at, what);
    }
}
