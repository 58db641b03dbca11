//! Asks an upgrade check of a service on the host, like `nova-status upgrade check`, whether the service can be upgraded.
//!
//! Under `assess` a host on which it fails is left out before anybody is asked about it; under `host` and `controller` the work
//! on it fails. A check only looks: one that is lost is made again.
//!
//! A check is a command under the name `check-N`, and commands of a host are known by their names for as long as the session
//! lives. So a host that is looked at again gets a number that no check had before; which, the host itself says. A check whose
//! bad end was told is not told a second time when the session tries again: its number is kept beside the checkpoint, which a
//! failure leaves as it was. For that, and for nothing else, the component asks for `kv`.

mod finding;
mod metadata;

use fenix_commands::{SILENT_LOOKS, Seen, look, wait};
use fenix_sdk::action::{
    Again, Assessment, Assignment, CommandState, Failure, Kv, KvError, Progress, Remote, RemoteError,
};
use finding::{Finding, Grade};
use metadata::{Metadata, Warnings};

fenix_sdk::action! {
    name: "upgrade-check",
    run: run,
    assess: assess,
    remote: ["**"],
}

/// Checks of one piece of work that leave no word before giving up.
pub const ATTEMPTS: u32 = 3;

/// Checks on one host for one piece of work: each time that it is begun anew takes one.
const MOST_CHECKS: u32 = 10_000;

/// What `run` uses. To import a capability is to ask for it: these two, and no more.
pub trait Needs: Remote + Kv {}

impl<T: Remote + Kv> Needs for T {}

/// How far it is, as the checkpoint says: `seek NUMBER SILENT`, or `check NUMBER ATTEMPT LOOKS SILENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// A number is sought that no check had; this is the next one to look at.
    Seek { number: u32, silent: u32 },
    /// The check with that number is made. Attempts and looks count from 0, `silent` the looks in a row without an answer.
    Check { number: u32, attempt: u32, looks: u32, silent: u32 },
}

/// What came of one call.
enum Step {
    Again(Again),
    /// The check with that number found this.
    Found(u32, Finding),
}

/// Says whether the host can be upgraded: blocked if the check fails.
///
/// # Errors
/// The host does not answer, the check cannot be run, or the metadata cannot be understood.
pub fn assess(
    remote: &mut dyn Remote,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Assessment, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    Ok(match step(remote, assignment, &metadata, stand(checkpoint)?)? {
        Step::Again(again) => Assessment::Again(again),
        Step::Found(_, Finding { grade, why }) => match is_yes(grade, &metadata) {
            true => Assessment::Needed(why),
            false => Assessment::Blocked(why),
        },
    })
}

/// Makes the check, and fails if it does.
///
/// # Errors
/// The check fails, or the host does not answer, or the metadata cannot be understood.
pub fn run(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let mut stand = stand(checkpoint)?;
    if let Stand::Check { number, .. } = stand
        && told(host, assignment)?.is_some_and(|told| number <= told)
    {
        stand = Stand::Seek { number: number.saturating_add(1), silent: 0 };
    }
    match step(host, assignment, &metadata, stand)? {
        Step::Again(again) => Ok(Progress::Again(again)),
        Step::Found(number, Finding { grade, why }) => match is_yes(grade, &metadata) {
            true => Ok(Progress::Done(why)),
            false => {
                tell(host, assignment, number);
                Err(Failure::Failed(why))
            }
        },
    }
}

fn is_yes(grade: Grade, metadata: &Metadata) -> bool {
    match grade {
        Grade::Good => true,
        Grade::Warns => metadata.warnings == Warnings::Go,
        Grade::Bad => false,
    }
}

/// Takes it from there, by one look at the host.
fn step(
    remote: &mut dyn Remote,
    assignment: &Assignment,
    metadata: &Metadata,
    stand: Stand,
) -> Result<Step, Failure> {
    let argv = metadata.argv(assignment)?;
    match stand {
        Stand::Seek { number, .. } | Stand::Check { number, .. } if number >= MOST_CHECKS => {
            Err(Failure::Failed(format!("{MOST_CHECKS} checks were made; this session makes no more")))
        }
        Stand::Seek { number, silent } => seek(remote, number, silent),
        Stand::Check { number, attempt, looks, silent } => {
            check(remote, &argv, number, (attempt, looks, silent))
        }
    }
}

/// Looks whether a number is free.
fn seek(remote: &mut dyn Remote, number: u32, silent: u32) -> Result<Step, Failure> {
    match remote.poll(&name(number)) {
        // Not begun before the checkpoint says so: a repeat of this call would take it for one of old.
        Ok(CommandState::None) => Ok(again(0, Stand::Check { number, attempt: 0, looks: 0, silent: 0 })),
        Ok(CommandState::Running | CommandState::Ended(_) | CommandState::Killed | CommandState::Lost) => {
            Ok(again(0, Stand::Seek { number: number + 1, silent: 0 }))
        }
        Err(RemoteError::Unclear(why)) if silent < SILENT_LOOKS => {
            fenix_sdk::log::info(&why);
            Ok(again(wait(silent), Stand::Seek { number, silent: silent + 1 }))
        }
        Err(RemoteError::NotGranted(what)) => Err(Failure::Failed(format!("not granted: {what}"))),
        Err(RemoteError::Invalid(why) | RemoteError::Refused(why) | RemoteError::Unclear(why)) => {
            Err(Failure::Failed(why))
        }
    }
}

/// Makes one look at a check, which begins it if nobody has.
fn check(
    remote: &mut dyn Remote,
    argv: &[String],
    number: u32,
    (attempt, looks, silent): (u32, u32, u32),
) -> Result<Step, Failure> {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    Ok(match look(remote, &name(number), argv, "")? {
        Seen::Runs => {
            let looks = looks.saturating_add(1);
            again(wait(looks), Stand::Check { number, attempt, looks, silent: 0 })
        }
        Seen::Silent(why) if silent < SILENT_LOOKS => {
            fenix_sdk::log::info(&why);
            again(wait(silent), Stand::Check { number, attempt, looks, silent: silent + 1 })
        }
        Seen::Silent(why) => return Err(Failure::Failed(why)),
        Seen::Gone(why) if attempt < ATTEMPTS - 1 => {
            fenix_sdk::log::warn(&why);
            let attempt = attempt + 1;
            again(wait(attempt + 3), Stand::Check { number: number + 1, attempt, looks: 0, silent: 0 })
        }
        Seen::Gone(why) => Step::Found(number, Finding::lost(format!("{ATTEMPTS} times {why}"))),
        Seen::Ended(ending) => Step::Found(number, Finding::of(program, &ending)),
    })
}

fn name(number: u32) -> String {
    format!("check-{number}")
}

/// The number of the last check whose bad end was told.
fn told(kv: &mut dyn Needs, assignment: &Assignment) -> Result<Option<u32>, Failure> {
    let kept = kv.get(&told_key(assignment)).map_err(|error| Failure::Failed(unkept(error)))?;
    Ok(kept.and_then(|number| number.parse().ok()))
}

/// Has the next try make the check anew. What the check found is worth more than that this could not be kept.
fn tell(kv: &mut dyn Needs, assignment: &Assignment, number: u32) {
    if let Err(error) = kv.set(&told_key(assignment), Some(&number.to_string())) {
        fenix_sdk::log::warn(&unkept(error));
    }
}

fn told_key(assignment: &Assignment) -> String {
    format!("told {}", assignment.key)
}

fn unkept(error: KvError) -> String {
    match error {
        KvError::NotGranted(what) => format!("not granted: {what}"),
        KvError::Invalid(why) | KvError::Unclear(why) => why,
    }
}

fn stand(checkpoint: Option<&str>) -> Result<Stand, Failure> {
    let odd = || Failure::Failed("the checkpoint is not one of upgrade-check's".to_owned());
    checkpoint.map_or(Some(Stand::Seek { number: 0, silent: 0 }), parse).ok_or_else(odd)
}

fn parse(checkpoint: &str) -> Option<Stand> {
    let words: Vec<&str> = checkpoint.split(' ').collect();
    let number = |word: &str| word.parse().ok();
    match words[..] {
        ["seek", of, silent] => Some(Stand::Seek { number: number(of)?, silent: number(silent)? }),
        ["check", of, attempt, looks, silent] => Some(Stand::Check {
            number: number(of)?,
            attempt: number(attempt)?,
            looks: number(looks)?,
            silent: number(silent)?,
        }),
        _ => None,
    }
}

fn again(after_ms: u32, stand: Stand) -> Step {
    let (checkpoint, percent) = match stand {
        Stand::Seek { number, silent } => (format!("seek {number} {silent}"), 5),
        Stand::Check { number, attempt, looks, silent } => {
            (format!("check {number} {attempt} {looks} {silent}"), 50)
        }
    };
    Step::Again(Again { after_ms, checkpoint, percent })
}

#[cfg(test)]
mod tests;
