//! What a workflow sees.

use std::sync::Arc;

use crate::decision::{Planned, Waiting};
use crate::id::SessionId;
use crate::state::State;
use crate::time::Time;

/// Why a workflow is woken. A hint: it looks at the state all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The session was just made.
    Started,
    /// Something that concerns the session changed.
    Changed,
    /// The time that it asked to be woken at has come.
    Timer,
    /// An administrator let the session go on.
    Continued,
}

/// A call for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    /// Why.
    pub trigger: Trigger,
    /// The recorded time at which it decides.
    pub now: Time,
}

/// What a workflow decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What it wants, in order.
    pub planned: Vec<Planned>,
    /// What it waits for.
    pub waiting: Waiting,
    /// What it logged, a line each.
    pub log: Vec<String>,
}

/// One session's view of the state at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Everything known.
    pub state: Arc<State>,
    /// Whose view it is.
    pub session: SessionId,
    /// The recorded time.
    pub now: Time,
}
