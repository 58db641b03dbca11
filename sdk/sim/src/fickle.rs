//! An action that says anything: that a host needs nothing or cannot be worked on, that it must not go on, that it wants to
//! be called again, that it failed. It takes back what it did, mostly.
//!
//! What it says is drawn from the seed and the name of the piece of work alone, so that a call that is repeated has the
//! same answer.

use fenix_core::id::Digest;
use fenix_core::session::Pin;
use fenix_engine::ports::{ActionCall, ActionError, Assignment, Progress};

use crate::dice::{Dice, Purpose};

/// Its name.
pub const NAME: &str = "fickle";

/// Most times that it wants to be called again for one piece of work.
const MOST_AGAIN: u64 = 2;

pub(crate) fn pin() -> Pin {
    Pin { name: NAME.to_owned(), version: "0".to_owned(), digest: Digest::from(NAME), undoes: true }
}

/// How it ends.
#[derive(Clone, Copy)]
enum End {
    Done,
    NotNeeded,
    Stop,
    Failed,
}

/// One call of it.
pub(crate) fn act(seed: u64, assignment: &Assignment) -> Result<Progress, ActionError> {
    // Each function of it by a number of its own: what is undone has the name of what was done.
    let (function, ends): (u64, &[(u32, End)]) = match assignment.call {
        ActionCall::Run => (1, &[(85, End::Done), (15, End::Failed)]),
        ActionCall::Assess => (2, &[(70, End::Done), (14, End::NotNeeded), (9, End::Stop), (7, End::Failed)]),
        ActionCall::Gate => (3, &[(87, End::Done), (7, End::Stop), (6, End::Failed)]),
        ActionCall::Undo { .. } => (4, &[(75, End::Done), (25, End::Failed)]),
    };
    let mut dice = Dice::new(seed ^ mixed(&assignment.key, function), Purpose::Fickle);
    let again = dice.below(MOST_AGAIN + 1);
    let end = dice.weighted(ends);
    let before = assignment.checkpoint.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    if before < again {
        let after = dice.span(0, 20_000);
        return Ok(Progress::Again { after, checkpoint: (before + 1).to_string(), percent: 50 });
    }
    let why = "drawn".to_owned();
    match end {
        End::Done => Ok(Progress::Done { report: why }),
        End::NotNeeded => Ok(Progress::NotNeeded { why }),
        End::Stop => Ok(Progress::Stop { why }),
        End::Failed => Err(ActionError::Failed(why)),
    }
}

/// A number of a text that is the same on every machine (64-bit FNV-1a).
fn mixed(text: &str, function: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ function;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn assignment(call: ActionCall, checkpoint: Option<&str>, number: u32) -> Assignment {
        Assignment {
            plugin: Digest::from(NAME),
            key: format!("s/a/{number}"),
            session: "s".to_owned(),
            stage: "host".to_owned(),
            call,
            host: Some("a".into()),
            metadata: String::new(),
            checkpoint: checkpoint.map(str::to_owned),
            granted: Vec::new(),
            packages: Vec::new(),
        }
    }

    /// What it says in the end, having been called as often as it wants to be.
    fn end(call: &ActionCall, number: u32) -> &'static str {
        let mut checkpoint = None;
        for _ in 0..=MOST_AGAIN {
            let asked = assignment(call.clone(), checkpoint.as_deref(), number);
            let said = act(1, &asked);
            assert_eq!(said, act(1, &asked));
            match said {
                Ok(Progress::Again { checkpoint: next, .. }) => checkpoint = Some(next),
                Ok(Progress::Done { .. }) => return "done",
                Ok(Progress::NotNeeded { .. }) => return "not needed",
                Ok(Progress::Stop { .. }) => return "stop",
                Err(_) => return "failed",
            }
        }
        "never"
    }

    #[test]
    fn each_function_comes_to_each_of_its_ends_and_says_the_same_again() {
        let check = |call: ActionCall, expected: &[&str]| {
            let ends: BTreeSet<&str> = (0..1000).map(|number| end(&call, number)).collect();
            assert_eq!(ends, expected.iter().copied().collect(), "{call:?}");
        };
        check(ActionCall::Run, &["done", "failed"]);
        check(ActionCall::Assess, &["done", "not needed", "stop", "failed"]);
        check(ActionCall::Gate, &["done", "stop", "failed"]);
        check(ActionCall::Undo { forward: Some("1".to_owned()) }, &["done", "failed"]);
    }
}
