//! What one decision works with, and how it waits.

use std::collections::BTreeMap;

use fenix_sdk::types::{Decision, Phase, Policy, Subject};
use fenix_sdk::workflow::{InstanceInfo, Plan, SessionInfo, SessionTerms, View, Waiting};

/// `Err` ends the decision: there is something to wait for.
pub type Step = Result<(), Waiting>;

/// Seconds between two looks at something that may change without waking us.
pub const LOOK_AGAIN: u32 = 15;

/// Seconds after which something that nobody here can change is no longer waited for: another session may keep a
/// host or the members of a group for hours, but not for a night.
pub const PATIENCE: u32 = 4 * 3600;

/// Decides: `next` takes the next steps, as far as they can be taken now, and says what is waited for then. Where nothing
/// is, it is asked again at once.
pub fn decide(view: &dyn View, plan: &mut dyn Plan, now: u32, next: fn(&mut Turn<'_>) -> Step) -> Waiting {
    let mut turn = Turn::new(view, plan, now);
    match next(&mut turn) {
        Ok(()) => turn.wait_until("the next look", now + 1),
        Err(waiting) => waiting,
    }
}

/// One decision.
pub struct Turn<'a> {
    /// What can be read.
    pub view: &'a dyn View,
    /// What is wanted.
    pub plan: &'a mut dyn Plan,
    /// The recorded time.
    pub now: u32,
    /// The session as it was when the decision began, but for its phase, which follows what is planned.
    pub session: SessionInfo,
    /// What it is held to.
    pub terms: SessionTerms,
    /// True once this decision ends the session.
    pub has_failed: bool,
    /// How many members of each group this decision moves.
    pub(crate) moving: BTreeMap<String, u32>,
}

impl<'a> Turn<'a> {
    fn new(view: &'a dyn View, plan: &'a mut dyn Plan, now: u32) -> Self {
        let (session, terms) = (view.session(), view.terms());
        Self { view, plan, now, session, terms, has_failed: false, moving: BTreeMap::new() }
    }

    /// Waits for a change that wakes us.
    pub fn wait(&self, on: impl Into<String>) -> Waiting {
        Waiting { on: on.into(), until: None }
    }

    /// Waits for a change that may not wake us.
    pub fn look_again(&self, on: impl Into<String>) -> Waiting {
        self.wait_until(on, self.now + LOOK_AGAIN)
    }

    /// The same; earlier if it is known when something may change.
    pub fn look_again_at(&self, on: impl Into<String>, at: Option<u32>) -> Waiting {
        let usual = self.now + LOOK_AGAIN;
        self.wait_until(on, at.map_or(usual, |at| at.clamp(self.now + 1, usual)))
    }

    /// Waits for a change, and looks again at that time at the latest.
    pub fn wait_until(&self, on: impl Into<String>, until: u32) -> Waiting {
        Waiting { on: on.into(), until: Some(until) }
    }

    /// Ends the session.
    pub fn fail(&mut self, reason: &str) -> Waiting {
        self.plan.fail(reason);
        self.has_failed = true;
        self.wait("the end")
    }

    /// True if one more member of the instance's group may leave its host in this decision; then it is counted. The rules
    /// count what is admitted, and what this decision wants is not yet.
    pub(crate) fn may_leave(&mut self, instance: &InstanceInfo) -> bool {
        let Some(group) = &instance.group else { return true };
        let moving = self.moving.entry(group.clone()).or_default();
        let left = self.view.attr(&Subject::Instance(instance.id.clone()), "impact-left");
        let may = *moving < left.and_then(|left| left.parse().ok()).unwrap_or(1);
        *moving += u32::from(may);
        may
    }

    /// Enters a phase, unless the session is in it.
    pub fn enter(&mut self, phase: Phase, reason: &str) {
        if self.session.phase != phase {
            self.plan.enter(phase, reason);
            self.session.phase = phase;
        }
    }

    /// True once no new host may be begun.
    pub fn is_over(&self) -> bool {
        self.session.window_end.is_some_and(|end| self.now >= end)
    }

    /// Leaves a host out and goes on with the others.
    pub fn quarantine(&mut self, host: &str, reason: &str) -> Waiting {
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
    pub fn give_up_on(&mut self, host: &str, policy: Policy, reason: &str) -> Waiting {
        match policy {
            Policy::Skip => self.quarantine(host, reason),
            Policy::Wait => self.look_again(reason),
            Policy::Retry | Policy::Stop | Policy::Force => self.fail(reason),
        }
    }

    /// True once something that was first seen at an earlier decision has lasted for so many seconds. The memory
    /// is a note; [`Turn::forget`] ends it.
    pub fn has_lasted(&mut self, key: &str, seconds: u32) -> bool {
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
    pub fn forget(&mut self, key: &str) {
        if self.view.note(key).is_some() {
            self.plan.note(key, None, "it is over");
        }
    }
}
