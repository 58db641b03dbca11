//! R11: a session touches its own hosts, and no host that another session holds.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::{HostId, InstanceId, SessionId};
use fenix_core::time::Time;
use fenix_engine::ports::CloudCall;

use super::{Check, Checker, Findings, Sight, move_of};
use crate::report::Ending;
use crate::truth::{Truth, Want};

/// Instances sent to a host of another session: wrong if that one still had something to do there.
#[derive(Default)]
pub(super) struct Foreign {
    sent: Vec<(Time, HostId, SessionId, String)>,
    /// When its session last did something on each host.
    busy: BTreeMap<HostId, Time>,
    /// Sessions that are known to be made. One that was only asked for may not be there yet: nobody answers while Fenix is
    /// down.
    made: BTreeSet<SessionId>,
    /// Sessions that were over once, and continued then: meanwhile they held nothing.
    continued: BTreeSet<SessionId>,
}

impl Checker for Foreign {
    fn see(&mut self, sight: &Sight<'_>, what: &Truth, found: &mut Findings) {
        match what {
            Truth::Sent { call: CloudCall::Disable { host, .. } | CloudCall::Enable { host }, .. } => {
                match sight.owner(host) {
                    Some(_) => self.is_busy(sight, host),
                    None => {
                        found.add(Check::R11, sight.at, format!("{host} is no session's, and was touched"))
                    }
                }
            }
            Truth::Sent { call, .. } if let Some((instance, to)) = move_of(call) => {
                self.moved(sight, instance, to, found);
            }
            Truth::ActionCalled { session, host: Some(host), .. } => {
                self.is_busy(sight, host);
                if sight.owner(host) != Some(session) {
                    found.add(Check::R11, sight.at, format!("an action was called on {host} of nobody"));
                }
            }
            Truth::ActionSent { host, call: CloudCall::Reboot { host: of, .. } }
                if host.as_ref() != Some(of) =>
            {
                found.add(Check::R11, sight.at, format!("an action on {host:?} rebooted {of}"));
            }
            Truth::Told(Want::Open(session), Ok(_)) => {
                self.made.insert(session.clone());
            }
            Truth::Told(Want::Continue(session), Ok(_)) => {
                self.continued.insert(session.clone());
            }
            _ => {}
        }
    }

    fn end(&mut self, _: &Sight<'_>, _: &Ending, found: &mut Findings) {
        for (at, host, session, what) in &self.sent {
            let later = self.busy.get(host).is_some_and(|busy| busy > at);
            if later && !self.continued.contains(session) {
                found.add(Check::R11, *at, what.clone());
            }
        }
    }
}

impl Foreign {
    fn is_busy(&mut self, sight: &Sight<'_>, host: &HostId) {
        self.busy.insert(host.clone(), sight.at);
    }

    fn moved(&mut self, sight: &Sight<'_>, instance: &InstanceId, to: &HostId, found: &mut Findings) {
        let places = sight.ground.places(instance, sight.lately());
        if places.is_empty() {
            return;
        }
        // It was looked at on any of them.
        let sessions: Vec<_> = places.iter().filter_map(|host| sight.owner(host)).collect();
        let Some(session) = sessions.first() else {
            found.add(Check::R11, sight.at, format!("{instance} is on no session's host, and was moved"));
            return;
        };
        if let Some(other) = sight.owner(to)
            && !sessions.contains(&other)
            && self.made.contains(other)
        {
            let what = format!("{instance} of session {session} was sent to {to} of session {other}");
            self.sent.push((sight.at, to.clone(), other.clone(), what));
        }
    }
}
