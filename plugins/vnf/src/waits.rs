//! What several things in one decision wait for, as one.

use fenix_rolling::turn::{Step, Turn};
use fenix_sdk::workflow::Waiting;

/// How many of them are named to people.
const NAMED: usize = 3;

/// Most bytes of one of them: what a workflow says it waits for has 512 in all.
const LONGEST: usize = 150;

/// What is waited for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    on: Vec<String>,
    until: Option<u32>,
}

impl Waits {
    /// Adds what a step waits for.
    ///
    /// # Errors
    /// The step has ended the session: nothing else counts.
    pub(crate) fn take(&mut self, turn: &Turn<'_>, step: Step) -> Step {
        match step {
            Err(waiting) if turn.has_failed => Err(waiting),
            Err(Waiting { on, until }) => {
                if !self.on.contains(&on) {
                    self.on.push(on);
                }
                self.until = [self.until, until].into_iter().flatten().min();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// All of it: the first ones by name, and the earliest time.
    ///
    /// # Errors
    /// There is something.
    pub(crate) fn all(self) -> Step {
        let Waits { on, until } = self;
        if on.is_empty() {
            return Ok(());
        }
        let more = on.len().saturating_sub(NAMED);
        let mut named: Vec<String> = on.iter().take(NAMED).map(|on| short(on)).collect();
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        Err(Waiting { on: named.join("; "), until })
    }
}

fn short(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}...", &text[..end])
}
