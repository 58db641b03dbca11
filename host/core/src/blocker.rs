//! The named reasons why something is not happening.

use serde::Serialize;

use crate::time::Time;

/// Why something waits: what, on whom, since when, until when, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The kind, a stable word: `reply`, `manager-unreachable`, `effect`, `outcome-unknown`, `refused`, `window`,
    /// `parked`, `paused`, `failed`, `closing`, `workflow`.
    pub what: &'static str,
    /// Who or what is waited for.
    pub on: String,
    /// More, in a sentence for people.
    pub detail: String,
    /// Since when.
    pub since: Time,
    /// Until when at the latest; `None` if somebody has to do something.
    pub until: Option<Time>,
    /// What happens then.
    pub then: String,
}
