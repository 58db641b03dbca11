//! What stands beside the upgrade: whether it is needed, and taking it back.

use fenix_commands::{SILENT_LOOKS, Seen, look, wait, words};
use fenix_sdk::action::{Again, Assessment, Assignment, Failure, Progress, RemoteError};

use crate::metadata::Metadata;
use crate::{Needs, Stand, filled, note_failure, parse, tries};

/// Attempts at looking: a command that only looks may be run again if it was cut off.
const ATTEMPTS: u32 = 3;

/// Asks the host by the command `unless`: if that ends with status 0, there is nothing to do.
///
/// # Errors
/// The host does not answer, the command cannot be run, or the metadata cannot be understood.
pub fn assess(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
) -> Result<Assessment, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    let Some(program) = metadata.unless.first() else {
        return Ok(Assessment::Needed("nothing is said by which a host could be left as it is".to_owned()));
    };
    let [attempt, silent, looks] = checkpoint.map_or(Ok([0; 3]), numbers)?;
    let argv = filled(host, assignment, &metadata, &metadata.unless)?;
    let again = |attempt: u32, silent: u32, looks: u32| {
        let checkpoint = format!("{attempt} {silent} {looks}");
        Ok(Assessment::Again(Again { after_ms: wait(looks.max(silent)), checkpoint, percent: 50 }))
    };
    match look(host, &format!("unless-{attempt}"), &argv, "")? {
        Seen::Runs => again(attempt, 0, looks + 1),
        Seen::Silent(_) if silent < SILENT_LOOKS => again(attempt, silent + 1, looks),
        Seen::Gone(_) if attempt + 1 < ATTEMPTS => again(attempt + 1, 0, 0),
        Seen::Silent(why) | Seen::Gone(why) => Err(Failure::Failed(why)),
        Seen::Ended(ending) if ending.status == 0 => {
            Ok(Assessment::NotNeeded(format!("{program} says that there is nothing to do")))
        }
        Seen::Ended(ending) => Ok(Assessment::Needed(words(program, &ending))),
    }
}

/// Ends what still runs of the upgrade, and runs the command `undo`. The upgrade then begins anew, if ever.
///
/// # Errors
/// The host does not answer, the command fails, or the metadata cannot be understood.
pub fn undo(
    host: &mut dyn Needs,
    assignment: &Assignment,
    checkpoint: Option<&str>,
    forward: Option<&str>,
) -> Result<Progress, Failure> {
    let metadata = Metadata::read(&assignment.metadata)?;
    // How often the upgrade had failed when this began stays the same for it: its end raises that.
    let [tries, killed, silent, looks] = match checkpoint {
        Some(checkpoint) => numbers(checkpoint)?,
        None => [tries(host, assignment)?, 0, 0, 0],
    };
    let again = |killed: u32, silent: u32, looks: u32| {
        let checkpoint = format!("{tries} {killed} {silent} {looks}");
        Ok(Progress::Again(Again { after_ms: wait(looks.max(silent)), checkpoint, percent: 50 }))
    };
    if checkpoint.is_none() {
        return again(0, 0, 0);
    }
    if let (0, Some(Stand::Command { step, attempt, .. })) = (killed, forward.and_then(parse)) {
        return match host.kill(&format!("{}-{tries}-{attempt}", step.word())) {
            Ok(()) => again(1, 0, 0),
            Err(RemoteError::Unclear(_)) if silent < SILENT_LOOKS => again(0, silent + 1, 0),
            Err(
                RemoteError::NotGranted(why)
                | RemoteError::Invalid(why)
                | RemoteError::Refused(why)
                | RemoteError::Unclear(why),
            ) => Err(Failure::Failed(why)),
        };
    }
    let Some(program) = metadata.undo.first() else {
        note_failure(host, assignment, tries)?;
        return Ok(Progress::Done("nothing is said by which it could be taken back".to_owned()));
    };
    let argv = filled(host, assignment, &metadata, &metadata.undo)?;
    match look(host, &format!("undo-{tries}"), &argv, "")? {
        Seen::Runs => again(1, 0, looks + 1),
        Seen::Silent(_) if silent < SILENT_LOOKS => again(1, silent + 1, looks),
        Seen::Silent(why) | Seen::Gone(why) => Err(Failure::Failed(why)),
        Seen::Ended(ending) if ending.status == 0 => {
            note_failure(host, assignment, tries)?;
            Ok(Progress::Done(format!("{program} has taken it back")))
        }
        Seen::Ended(ending) => Err(Failure::Failed(words(program, &ending))),
    }
}

fn numbers<const N: usize>(checkpoint: &str) -> Result<[u32; N], Failure> {
    let numbers: Option<Vec<u32>> = checkpoint.split(' ').map(|number| number.parse().ok()).collect();
    let odd = || Failure::Failed("the checkpoint is not one of ssh-upgrade's".to_owned());
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(odd)
}
