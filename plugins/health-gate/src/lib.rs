//! Lets a session go on when a command on the host that was given back, or an address, says that all is well.
//!
//! It looks again and again, and gives up after so many looks: under the type `gate` the session is parked then, under others the
//! action fails. A look that nobody answers is one at which it is not well.
//!
//! A component asks for all that its code calls, whichever part of that a session uses: for `http` and for `remote`, also where
//! there is but a command. A session is refused while no rule at all is granted of what its actions ask for, so of the kind that
//! is not used a rule is granted that lets nothing of worth pass, like `remote true`. `kv` is asked for by `run` alone: what it
//! failed at is begun anew when the session tries again, and not told a second time.

mod looking;
mod metadata;

use fenix_sdk::action::{Again, Assignment, Failure, Http, Kv, KvError, Opening, Pause, Progress, Remote};
use looking::{Sight, see};
use metadata::Metadata;

pub use looking::MOST_POLLS;

fenix_sdk::action! {
    name: "health-gate",
    run: run,
    gate: gate,
    http: ["GET *://*/*"],
    remote: ["**"],
}

/// What a look may use.
pub trait Looks: Http + Remote {}

impl<T: Http + Remote> Looks for T {}

/// What `run` uses beside.
pub trait Needs: Looks + Kv {}

impl<T: Looks + Kv> Needs for T {}

/// How far it is, as the checkpoint says: `looking ROUND LOOKS GOOD POLLS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    /// How often it had failed before.
    pub(crate) round: u32,
    /// Looks that came to an end.
    pub(crate) looks: u32,
    /// Of these the good ones in a row, up to the last one.
    pub(crate) good: u32,
    /// How often the command of this look was seen running.
    pub(crate) polls: u32,
}

/// Looks whether the session may go on.
///
/// # Errors
/// It may not look, or the metadata cannot be understood.
pub fn gate(
    host: &mut dyn Looks,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Opening, Failure> {
    ask(host, assignment, stand(checkpoint)?)
}

/// Looks likewise, and fails where the gate would stay closed.
///
/// # Errors
/// It is not well after all looks, or it may not look, or the metadata cannot be understood.
pub fn run(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let said = stand(checkpoint)?;
    let round = failures(host, assignment)?;
    // A failure leaves the checkpoint as it was.
    let stand = if said.round == round { said } else { Stand { round, ..Stand::default() } };
    match ask(host, assignment, stand)? {
        Opening::Go(why) => Ok(Progress::Done(why)),
        Opening::Wait(Pause { why, again }) => {
            fenix_sdk::log::info(&why);
            Ok(Progress::Again(again))
        }
        Opening::Stop(why) => {
            note_failure(host, assignment, round);
            Err(Failure::Failed(why))
        }
    }
}

fn ask(host: &mut dyn Looks, assignment: &Assignment, stand: Stand) -> Result<Opening, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let (good, why) = match see(host, assignment, &metadata, stand)? {
        Sight::Runs(after_ms, why) => {
            let polls = stand.polls.saturating_add(1);
            return Ok(pause(&metadata, after_ms, why, Stand { polls, ..stand }));
        }
        Sight::Good(why) => (stand.good.saturating_add(1), why),
        Sight::Bad(why) => (0, why),
    };
    let Stand { round, .. } = stand;
    let stand = Stand { round, looks: stand.looks.saturating_add(1), good, polls: 0 };
    let why = match (good, metadata.in_a_row) {
        (0, _) | (_, 1) => why,
        (good, in_a_row) => format!("{why}, {good} of {in_a_row} times in a row"),
    };
    if good >= metadata.in_a_row {
        return Ok(Opening::Go(why));
    }
    if stand.looks >= metadata.looks {
        return Ok(Opening::Stop(format!("after {} looks: {why}", stand.looks)));
    }
    Ok(pause(&metadata, metadata.every * 1000, why, stand))
}

fn pause(metadata: &Metadata, after_ms: u32, why: String, stand: Stand) -> Opening {
    let Stand { round, looks, good, polls } = stand;
    let checkpoint = format!("looking {round} {looks} {good} {polls}");
    let percent = u64::from(looks) * 100 / u64::from(metadata.looks.max(1));
    let percent = u8::try_from(percent.min(99)).unwrap_or(99);
    Opening::Wait(Pause { why, again: Again { after_ms, checkpoint, percent } })
}

fn stand(checkpoint: Option<&str>) -> Result<Stand, Failure> {
    let odd = || Failure::Failed("the checkpoint is not one of health-gate's".to_owned());
    checkpoint.map_or(Some(Stand::default()), parse).ok_or_else(odd)
}

fn parse(checkpoint: &str) -> Option<Stand> {
    let words: Vec<&str> = checkpoint.split(' ').collect();
    let ["looking", round, looks, good, polls] = words[..] else { return None };
    let number = |word: &str| word.parse().ok();
    Some(Stand { round: number(round)?, looks: number(looks)?, good: number(good)?, polls: number(polls)? })
}

/// How often it failed in this piece of work.
fn failures(kv: &mut dyn Needs, assignment: &Assignment) -> Result<u32, Failure> {
    let kept = kv.get(&failures_key(assignment)).map_err(|error| Failure::Failed(unkept(error)))?;
    Ok(kept.and_then(|failures| failures.parse().ok()).unwrap_or(0))
}

/// Has the next try begin anew. Why it failed is worth more than that this could not be kept.
fn note_failure(kv: &mut dyn Needs, assignment: &Assignment, round: u32) {
    let failures = round.saturating_add(1).to_string();
    if let Err(error) = kv.set(&failures_key(assignment), Some(&failures)) {
        fenix_sdk::log::warn(&unkept(error));
    }
}

fn failures_key(assignment: &Assignment) -> String {
    format!("failures {}", assignment.key)
}

fn unkept(error: KvError) -> String {
    match error {
        KvError::NotGranted(what) => format!("not granted: {what}"),
        KvError::Invalid(why) | KvError::Unclear(why) => why,
    }
}

#[cfg(test)]
mod tests;
