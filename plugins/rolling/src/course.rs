//! A session's course: up to its agreed start, and from its last host to its end.

use fenix_sdk::types::{AskKind, Decision, Phase, Target};

use crate::consent::{self, Question};
use crate::turn::{Step, Turn};
use crate::work;

/// Seconds that a host may be down before it is left out: longer than a restart that somebody else began.
const DOWN_LIMIT: u32 = 900;

/// The actions before the first host are run, every manager is told, and the agreed start has come.
///
/// # Errors
/// One of them is waited for.
pub fn begin(turn: &mut Turn<'_>) -> Step {
    work::run_once(turn, &Target::Pre)?;
    consent::everybody(turn, Question::about_all(AskKind::Maintenance))?;
    if turn.now < turn.session.maintenance_at {
        return Err(turn.wait_until("the agreed start", turn.session.maintenance_at));
    }
    Ok(())
}

/// No host waits for its turn any more.
///
/// # Errors
/// Always: the last hosts, or the end, are waited for.
pub fn end(turn: &mut Turn<'_>) -> Step {
    let end = Decision::Enter(Phase::MaintenanceComplete);
    if let Err(refusal) = turn.view.check(&end) {
        return Err(turn.look_again(format!("every host to be finished with: {}", refusal.why)));
    }
    turn.enter(Phase::MaintenanceComplete, "every host is finished with");
    Err(turn.wait("the end"))
}

/// All hosts are done: the last actions, then every manager gets its capacity back.
///
/// # Errors
/// Always: one of them, or the end, is waited for.
pub fn complete(turn: &mut Turn<'_>) -> Step {
    work::run_once(turn, &Target::Post)?;
    consent::farewell(turn)?;
    turn.enter(Phase::MaintenanceDone, "every host is finished with, and every manager was told");
    Err(turn.wait("the end"))
}

/// Every host that is left is down: waits for this one, but not for ever.
///
/// # Errors
/// Always.
pub fn wait_for_host(turn: &mut Turn<'_>, host: &str) -> Step {
    if turn.has_lasted(&down(host), DOWN_LIMIT) {
        return Err(turn.quarantine(host, "it is down, or no longer there"));
    }
    Err(turn.look_again(format!("{host} to come back: it is down, or no longer there")))
}

/// The note that says since when a host is down.
pub fn down(host: &str) -> String {
    format!("down:{host}")
}
