//! SCALE_IN: asking for room, round after round, until a host can be emptied.

use fenix_rolling::consent::{self, Question};
use fenix_rolling::drain::Room;
use fenix_rolling::room::{found, nobody_to_ask};
use fenix_rolling::turn::{Step, Turn};
use fenix_sdk::types::{AskKind, Phase};

/// The note that holds the running round: its number, and the first question that belongs to it.
const NOTE: &str = "scale-in";

/// The number of the running round, 0 before the first, and its first question.
fn read(turn: &Turn<'_>) -> (u32, u32) {
    let note = turn.view.note(NOTE).unwrap_or_default();
    let mut parts = note.split(':').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Room for what is on the host in hand.
pub(crate) struct Rounds;

impl Room for Rounds {
    fn is_lacking(&self, turn: &mut Turn<'_>, _: &str, why: &str) -> Step {
        make(turn, why)
    }

    fn is_found(&self, turn: &mut Turn<'_>) {
        found(turn);
    }
}

/// There is no room: has every manager give some back, and ends this decision. `why` names what does not fit.
pub(crate) fn make(turn: &mut Turn<'_>, why: &str) -> Step {
    let (number, first) = read(turn);
    if number > 0 && turn.session.phase == Phase::ScaleIn {
        // SCALE_IN is asked once in each of its rounds: only what comes on top is a try.
        let question = Question { kind: AskKind::ScaleIn, host: None, after: first, earlier: number - 1 };
        consent::everybody(turn, question)?;
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
