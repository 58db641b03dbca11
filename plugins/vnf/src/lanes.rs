//! Hosts in hand, each on its own way from its fence to its service.

use fenix_rolling::turn::{Step, Turn};
use fenix_rolling::{drain, work};
use fenix_sdk::types::{AskKind, HostStage, Phase, Subject, Target};
use fenix_sdk::workflow::HostInfo;

use crate::room::{self, Missing};

/// The hosts in hand: those that are nearest to their service first.
pub(crate) fn in_hand(turn: &Turn<'_>) -> Vec<HostInfo> {
    let stages = [HostStage::Worked, HostStage::Working, HostStage::Fenced];
    stages.into_iter().flat_map(|stage| turn.view.all_hosts(Some(stage))).collect()
}

/// Takes a host's next steps.
pub(crate) fn go_on(turn: &mut Turn<'_>, host: &HostInfo, in_hand: &[HostInfo]) -> Step {
    match host.stage {
        HostStage::Worked => work::give_back(turn, host),
        HostStage::Working => work::go_on(turn, host),
        HostStage::Fenced if host.instances > 0 => empty(turn, host, in_hand),
        HostStage::Fenced => begin_work(turn, host),
        HostStage::Waiting | HostStage::Maintained | HostStage::Quarantined => Ok(()),
    }
}

fn empty(turn: &mut Turn<'_>, host: &HostInfo, in_hand: &[HostInfo]) -> Step {
    if turn.is_over() {
        return give_up_turn(turn, host);
    }
    work::fence_again(turn, host)?;
    show_emptying(turn, &host.id);
    drain::empty(turn, host, question(turn), &Missing { in_hand })
}

/// Shows that a host is being emptied, unless managers are asked for room: that shows until they have answered.
pub(crate) fn show_emptying(turn: &mut Turn<'_>, host: &str) {
    if !room::is_asking(turn) {
        let phase = if has_begun(turn) { Phase::PlannedMaintenance } else { Phase::PrepareMaintenance };
        turn.enter(phase, &format!("{host} is to become empty"));
    }
}

/// True once a host has been worked on.
pub(crate) fn has_begun(turn: &Turn<'_>) -> bool {
    let session = &turn.session;
    let phase = matches!(session.phase, Phase::StartMaintenance | Phase::PlannedMaintenance);
    phase || session.maintained + session.working + session.worked > 0
}

/// What the owners of a host's instances are asked.
pub(crate) fn question(turn: &Turn<'_>) -> AskKind {
    if has_begun(turn) { AskKind::PlannedMaintenance } else { AskKind::PrepareMaintenance }
}

fn begin_work(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
    if let Some(effect) = turn.view.in_flight(&Subject::Host(host.id.clone())) {
        return Err(turn.wait(format!("{} of {}", effect.kind, host.id)));
    }
    if turn.is_over() {
        return give_up_turn(turn, host);
    }
    work::fence_again(turn, host)?;
    let target = Target::Host(host.id.clone());
    work::may_work(turn, host, &target)?;
    if !has_begun(turn) && !room::is_asking(turn) {
        turn.enter(Phase::StartMaintenance, &format!("{} is empty", host.id));
    }
    turn.plan.work(&target, "it is fenced and empty");
    Err(turn.wait(format!("the actions on {}", host.id)))
}

/// The window is over, and no work was begun on a host: it is given back as it was found.
fn give_up_turn(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
    if turn.view.all_instances(&host.id).iter().any(|instance| instance.busy) {
        return Err(turn.look_again(format!("moves off {} to end", host.id)));
    }
    if let Some(effect) = turn.view.in_flight(&Subject::Host(host.id.clone())) {
        return Err(turn.wait(format!("{} of {}", effect.kind, host.id)));
    }
    turn.plan.release(&host.id, "the window is over, and no work was begun on it");
    Err(turn.wait(format!("{} to be back in service", host.id)))
}
