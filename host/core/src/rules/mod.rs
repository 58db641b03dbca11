//! What may be done: the same for every workflow.

use serde::{Deserialize, Serialize};

/// A host-enforced rule. The numbers are used in every refusal, in tests and in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// An instance of a managed project is touched only after this ask was ACKed.
    R1,
    /// Never more than `max_impacted_members` of a group out, over all sessions.
    R2,
    /// Lead time is given; interruption time is kept.
    R3,
    /// Work on a host starts only inside the window, the host fenced, then seen empty.
    R4,
    /// What runs, plus the headroom asked for, must fit.
    R5,
    /// Limits: hosts out at once, per failure domain; controllers one at a time.
    R6,
    /// Every host ends in service, quarantined with a reason, or exactly as found.
    R7,
    /// Stop means stop.
    R8,
    /// Failures spend a budget.
    R9,
    /// One effect in flight per host, instance or ask.
    R10,
    /// Only subjects of this session.
    R11,
}

/// A no, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that says no.
    pub rule: Rule,
    /// Why, in a sentence for people that names what is in the way.
    pub why: String,
}
