//! The workflow `default`: one host at a time, every manager asked first.
//!
//! MAINTENANCE tells every manager and waits for the agreed start. If no host can be emptied, SCALE_IN asks for
//! room, as often as needed. PREPARE empties a first host; START runs the actions, on controllers and empty hosts
//! first; PLANNED empties the next host, onto maintained ones where there is room. COMPLETE gives capacity back.
//!
//! Every decision looks at the whole state again and takes the next step from there. So a repeated, late or lost
//! trigger does no harm, and a session that is continued goes on where it stopped.

mod hosts;
mod room;

use fenix_rolling::consent::{self, Question};
use fenix_rolling::turn::{self, Step, Turn};
use fenix_rolling::{course, work};
use fenix_sdk::types::{AskKind, HostStage, Phase};
use fenix_sdk::workflow::{Error, Plan, View, Waiting, Wakeup};

fenix_sdk::workflow! { name: "default", decide: decide }

/// The next steps of a session, as far as they can be taken now, and what is waited for then.
///
/// # Errors
/// Never: whatever stands in the way is waited for, or ends the session with its reason.
pub fn decide(view: &dyn View, plan: &mut dyn Plan, wakeup: Wakeup) -> Result<Waiting, Error> {
    Ok(turn::decide(view, plan, wakeup.now, next))
}

fn next(turn: &mut Turn<'_>) -> Step {
    match turn.session.phase {
        Phase::MaintenanceComplete => course::complete(turn),
        Phase::MaintenanceDone | Phase::MaintenanceFailed => Err(turn.wait("nothing: the session is over")),
        Phase::Maintenance => {
            course::begin(turn)?;
            go_on(turn)
        }
        Phase::ScaleIn | Phase::PrepareMaintenance | Phase::StartMaintenance | Phase::PlannedMaintenance => {
            consent::everybody(turn, Question::about_all(AskKind::Maintenance))?;
            go_on(turn)
        }
    }
}

/// Finishes the host in hand, or takes the next one.
fn go_on(turn: &mut Turn<'_>) -> Step {
    if let Some(host) = hosts::in_hand(turn, HostStage::Working) {
        return work::go_on(turn, &host);
    }
    if let Some(host) = hosts::in_hand(turn, HostStage::Worked) {
        return work::give_back(turn, &host);
    }
    if turn.session.fenced > 0 {
        return hosts::empty_or_work(turn);
    }
    hosts::next(turn)
}
