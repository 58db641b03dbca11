//! SCALE_IN: asking for room, round after round, until a host can be emptied.

use fenix_sdk::types::{AskKind, Phase};

use crate::consent;
use crate::turn::{PATIENCE, Step, Turn};

/// The note that holds the running round: its number, and the first question that belongs to it.
const NOTE: &str = "scale-in";

/// The note that says since when there is no room and nobody to ask for it.
const ALONE: &str = "no-room";

/// The number of the running round; 0 before the first.
pub(crate) fn round(turn: &Turn<'_>) -> u32 {
    read(turn).0
}

fn read(turn: &Turn<'_>) -> (u32, u32) {
    let note = turn.view.note(NOTE).unwrap_or_default();
    let mut parts = note.split(':').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// No manager can be asked for room: waits for it, but not for ever.
fn nobody_to_ask(turn: &mut Turn<'_>, why: &str) -> Step {
    let on = format!("no room, and no manager can be asked for it: {why}");
    if turn.has_lasted(ALONE, PATIENCE) {
        turn.forget(ALONE);
        return Err(turn.fail(&on));
    }
    Err(turn.look_again(on))
}

/// There is room.
pub(crate) fn found(turn: &mut Turn<'_>) {
    turn.forget(ALONE);
}

/// There is no room: has every manager give some back, and ends this decision. `why` names what does not fit.
pub(crate) fn make(turn: &mut Turn<'_>, why: &str) -> Step {
    let (number, first) = read(turn);
    if number > 0 && turn.session.phase == Phase::ScaleIn {
        consent::everybody(turn, AskKind::ScaleIn, first)?;
    }
    // Everybody answered, the cloud was read again, and still there is no room: another round.
    let managed = turn.view.all_projects().into_iter().filter(|project| project.managed);
    let last = managed.map(|p| turn.view.last_ask(&p.id, AskKind::ScaleIn, None).map(|ask| ask.id));
    let Some(last) = last.max() else { return nobody_to_ask(turn, why) };
    // Nobody was asked since the session was continued: the rounds before that are spent and forgotten.
    let number = if last.is_some() { number } else { 0 };
    if number >= turn.terms.scale_in_rounds {
        return Err(turn.fail(&format!("no room after {number} rounds of SCALE_IN: {why}")));
    }
    let first = last.map_or(1, |last| last + 1);
    turn.plan.note(NOTE, Some(&format!("{}:{first}", number + 1)), "a round of SCALE_IN begins");
    turn.plan.enter(Phase::ScaleIn, why);
    for project in turn.view.all_projects().into_iter().filter(|project| project.managed) {
        turn.plan.ask(&project.id, AskKind::ScaleIn, None, why);
    }
    Err(turn.wait(format!("room: {why}")))
}
