//! Room that nobody can be asked for.

use crate::turn::{PATIENCE, Step, Turn};

/// The note that says since when there is no room and nobody to ask for it.
const ALONE: &str = "no-room";

/// No manager can be asked for room: waits for it, but not for ever.
///
/// # Errors
/// Always.
pub fn nobody_to_ask(turn: &mut Turn<'_>, why: &str) -> Step {
    let on = format!("no room, and no manager can be asked for it: {why}");
    if turn.has_lasted(ALONE, PATIENCE) {
        turn.forget(ALONE);
        return Err(turn.fail(&on));
    }
    Err(turn.look_again(on))
}

/// There is room.
pub fn found(turn: &mut Turn<'_>) {
    turn.forget(ALONE);
}
