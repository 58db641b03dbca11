//! What one decision works with, and how it waits.

use fenix_sdk::types::{Decision, Policy};
use fenix_sdk::workflow::{Plan, SessionInfo, SessionTerms, View, Waiting};

/// `Err` ends the decision: there is something to wait for.
pub(crate) type Step = Result<(), Waiting>;

/// Seconds between two looks at something that may change without waking us.
pub(crate) const LOOK_AGAIN: u32 = 15;

/// Seconds after which something that nobody here can change is no longer waited for: another session may keep a
/// host or the members of a group for hours, but not for a night.
pub(crate) const PATIENCE: u32 = 4 * 3600;

/// One decision.
pub(crate) struct Turn<'a> {
    pub(crate) view: &'a dyn View,
    pub(crate) plan: &'a mut dyn Plan,
    pub(crate) now: u32,
    pub(crate) session: SessionInfo,
    pub(crate) terms: SessionTerms,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(view: &'a dyn View, plan: &'a mut dyn Plan, now: u32) -> Self {
        Self { view, plan, now, session: view.session(), terms: view.terms() }
    }

    /// Waits for a change that wakes us.
    pub(crate) fn wait(&self, on: impl Into<String>) -> Waiting {
        Waiting { on: on.into(), until: None }
    }

    /// Waits for a change that may not wake us.
    pub(crate) fn look_again(&self, on: impl Into<String>) -> Waiting {
        self.wait_until(on, self.now + LOOK_AGAIN)
    }

    pub(crate) fn wait_until(&self, on: impl Into<String>, until: u32) -> Waiting {
        Waiting { on: on.into(), until: Some(until) }
    }

    /// Ends the session.
    pub(crate) fn fail(&mut self, reason: &str) -> Waiting {
        self.plan.fail(reason);
        self.wait("the end")
    }

    /// Leaves a host out and goes on with the others.
    pub(crate) fn quarantine(&mut self, host: &str, reason: &str) -> Waiting {
        let out = Decision::Quarantine(host.to_owned());
        match self.view.check(&out) {
            Ok(()) => {
                self.plan.quarantine(host, reason);
                self.look_again(format!("{host} is left out: {reason}"))
            }
            Err(refusal) => self.look_again(format!("{host} is to be left out, but {}", refusal.why)),
        }
    }

    /// What a policy says about a host that cannot be finished: leave it out, wait, or end the session.
    /// `Retry` ends here when its tries are spent, and nobody can force what has failed.
    pub(crate) fn give_up_on(&mut self, host: &str, policy: Policy, reason: &str) -> Waiting {
        match policy {
            Policy::Skip => self.quarantine(host, reason),
            Policy::Wait => self.look_again(reason),
            Policy::Retry | Policy::Stop | Policy::Force => self.fail(reason),
        }
    }

    /// True once something that was first seen at an earlier decision has lasted for so many seconds. The memory
    /// is a note; [`Turn::forget`] ends it.
    pub(crate) fn has_lasted(&mut self, key: &str, seconds: u32) -> bool {
        let since = self.view.note(key).and_then(|since| since.parse::<u32>().ok());
        match since {
            Some(since) => self.now >= since.saturating_add(seconds),
            None => {
                self.plan.note(key, Some(&self.now.to_string()), "since when this lasts");
                false
            }
        }
    }

    /// Forgets a note, if there is one.
    pub(crate) fn forget(&mut self, key: &str) {
        if self.view.note(key).is_some() {
            self.plan.note(key, None, "it is over");
        }
    }
}
