//! The workflow `default`: one host at a time, every manager asked first.
//!
//! MAINTENANCE tells every manager and waits for the agreed start. If no host can be emptied, SCALE_IN asks for
//! room, as often as needed. PREPARE empties a first host; START runs the actions, on controllers and empty hosts
//! first; PLANNED empties the next host, onto maintained ones where there is room. COMPLETE gives capacity back.
//!
//! Every decision looks at the whole state again and takes the next step from there. So a repeated, late or lost
//! trigger does no harm, and a session that is continued goes on where it stopped.

mod consent;
mod drain;
mod hosts;
mod room;
mod turn;

use fenix_sdk::types::{AskKind, Phase, Target};
use fenix_sdk::workflow::{Error, Plan, View, Waiting, Wakeup};

use crate::turn::{Step, Turn};

fenix_sdk::workflow! { name: "default", decide: decide }

/// The next steps of a session, as far as they can be taken now, and what is waited for then.
///
/// # Errors
/// Never: whatever stands in the way is waited for, or ends the session with its reason.
pub fn decide(view: &dyn View, plan: &mut dyn Plan, wakeup: Wakeup) -> Result<Waiting, Error> {
    let mut turn = Turn::new(view, plan, wakeup.now);
    Ok(match next(&mut turn) {
        Ok(()) => Waiting { on: "the next look".to_owned(), until: Some(turn.now + 1) },
        Err(waiting) => waiting,
    })
}

fn next(turn: &mut Turn<'_>) -> Step {
    match turn.session.phase {
        Phase::MaintenanceComplete => complete(turn),
        Phase::MaintenanceDone | Phase::MaintenanceFailed => Err(turn.wait("nothing: the session is over")),
        Phase::Maintenance => {
            hosts::run_once(turn, &Target::Pre)?;
            consent::everybody(turn, AskKind::Maintenance, 0)?;
            wait_for_start(turn)?;
            go_on(turn)
        }
        Phase::ScaleIn | Phase::PrepareMaintenance | Phase::StartMaintenance | Phase::PlannedMaintenance => {
            consent::everybody(turn, AskKind::Maintenance, 0)?;
            go_on(turn)
        }
    }
}

fn wait_for_start(turn: &Turn<'_>) -> Step {
    if turn.now < turn.session.maintenance_at {
        return Err(turn.wait_until("the agreed start", turn.session.maintenance_at));
    }
    Ok(())
}

/// Finishes the host in hand, or takes the next one.
fn go_on(turn: &mut Turn<'_>) -> Step {
    if turn.session.working > 0 {
        return hosts::work(turn);
    }
    if turn.session.worked > 0 {
        return hosts::give_back(turn);
    }
    if turn.session.fenced > 0 {
        return hosts::empty_or_work(turn);
    }
    hosts::next(turn)
}

/// All hosts are done: the last actions, then every manager gets its capacity back.
fn complete(turn: &mut Turn<'_>) -> Step {
    hosts::run_once(turn, &Target::Post)?;
    consent::farewell(turn)?;
    turn.plan.enter(Phase::MaintenanceDone, "every host is finished with, and every manager was told");
    Err(turn.wait("the end"))
}
