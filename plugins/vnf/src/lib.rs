//! The workflow `vnf`: for applications that state what they can bear.
//!
//! Several hosts are in hand at once, as many as the session's terms allow, and no host waits for another one: the next
//! one's turn comes as soon as a slot is free and everything on it fits elsewhere. Managers are asked about the hosts
//! that are next in line while others are under way, so that their lead times cost nothing. SCALE_IN asks for what is
//! missing, of as few managers as may do, and only when nothing that is under way will make room.
//!
//! The session shows PREPARE_MAINTENANCE while its first hosts are being emptied, START_MAINTENANCE from the first work
//! on, and PLANNED_MAINTENANCE once further hosts are being emptied.
//!
//! Every decision looks at the whole state again and takes the next steps from there, as in `default`.

mod lanes;
mod line;
mod room;
mod waits;

use fenix_rolling::consent::{self, Question};
use fenix_rolling::course;
use fenix_rolling::turn::{self, Step, Turn};
use fenix_sdk::types::{AskKind, Phase};
use fenix_sdk::workflow::{Error, Plan, View, Waiting, Wakeup};

use crate::waits::Waits;

fenix_sdk::workflow! { name: "vnf", decide: decide }

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
            roll(turn)
        }
        Phase::ScaleIn | Phase::PrepareMaintenance | Phase::StartMaintenance | Phase::PlannedMaintenance => {
            roll(turn)
        }
    }
}

/// Goes on with every host in hand, each by itself, and takes another one if there is a slot for it.
fn roll(turn: &mut Turn<'_>) -> Step {
    let mut waits = Waits::default();
    // Projects that came since the beginning; whoever has nothing to do with them need not wait for them.
    if turn.view.session_attr("unagreed").as_deref() != Some("0") {
        let newcomers = consent::everybody(turn, Question::about_all(AskKind::Maintenance));
        waits.take(turn, newcomers)?;
    }
    let in_hand = lanes::in_hand(turn);
    for host in &in_hand {
        let step = lanes::go_on(turn, host, &in_hand);
        waits.take(turn, step)?;
    }
    let step = line::next(turn, &in_hand);
    waits.take(turn, step)?;
    waits.all()
}
