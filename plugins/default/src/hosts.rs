//! Hosts in their turn: which is next, and what is done with it.

use fenix_rolling::room::found;
use fenix_rolling::turn::{PATIENCE, Step, Turn};
use fenix_rolling::{course, drain, work};
use fenix_sdk::types::{AskKind, Decision, HostKind, HostStage, Phase, Subject, Target};
use fenix_sdk::workflow::{Candidate, HostInfo, PAGE, Readiness};

use crate::room::{self, Rounds};

/// Candidates that one decision looks at if a rule says that the best one has to wait.
const LOOK_AT: u32 = 16;

/// The note that says since when no host may be taken.
const NOT_YET: &str = "not-yet";

/// Takes the next host, or ends the round of hosts.
pub(crate) fn next(turn: &mut Turn<'_>) -> Step {
    let Some(candidate) = best(turn) else { return course::end(turn) };
    match candidate.readiness {
        Readiness::Ready | Readiness::CanEmpty => match refusal(turn, &candidate) {
            None => take(turn, &candidate),
            Some(why) => another(turn, &candidate, &why),
        },
        Readiness::Blocked if is_up(turn, &candidate.host) => room::make(turn, &candidate.why),
        // Those that are down stand behind all others: nothing else is left.
        Readiness::Blocked => course::wait_for_host(turn, &candidate.host),
    }
}

/// Why a host may not be taken out of service now; `None` if it may.
fn refusal(turn: &Turn<'_>, candidate: &Candidate) -> Option<String> {
    let refusal = turn.view.check(&Decision::Fence(candidate.host.clone())).err()?;
    Some(format!("leave to take {} out of service: {}: {}", candidate.host, refusal.rule, refusal.why))
}

/// A rule says that the best host has to wait: another one may go first. If none may, it is waited for, but not for
/// ever; then somebody has to look at it.
fn another(turn: &mut Turn<'_>, best: &Candidate, why: &str) -> Step {
    let is_ready = |candidate: &Candidate| !matches!(candidate.readiness, Readiness::Blocked);
    let others = turn.view.candidates(LOOK_AT).into_iter().filter(is_ready);
    let other = others.filter(|other| other.host != best.host).find(|other| refusal(turn, other).is_none());
    if let Some(other) = other {
        return take(turn, &other);
    }
    if turn.is_over() || turn.has_lasted(NOT_YET, PATIENCE) {
        turn.forget(NOT_YET);
        return Err(turn.wait(why));
    }
    Err(turn.look_again(why))
}

/// The host whose turn it is. Before START that is a compute, empty or to be emptied: everything that is in the way
/// of the first one shows before anything is touched. After that controllers and empty computes come first.
fn best(turn: &Turn<'_>) -> Option<Candidate> {
    let before_start =
        matches!(turn.session.phase, Phase::Maintenance | Phase::ScaleIn | Phase::PrepareMaintenance);
    if !before_start || turn.session.maintained > 0 {
        return turn.view.candidates(1).into_iter().next();
    }
    let is_compute = |candidate: &Candidate| {
        turn.view.host(&candidate.host).is_some_and(|host| host.kind == HostKind::Compute)
    };
    let mut all = turn.view.candidates(PAGE);
    let first = all.iter().position(is_compute).unwrap_or(0);
    (!all.is_empty()).then(|| all.swap_remove(first))
}

fn is_up(turn: &Turn<'_>, host: &str) -> bool {
    turn.view.host(host).is_some_and(|host| host.up)
}

/// Fences a host and enters the phase that says what will happen to it.
fn take(turn: &mut Turn<'_>, candidate: &Candidate) -> Step {
    turn.forget(&course::down(&candidate.host));
    turn.forget(NOT_YET);
    found(turn);
    let (phase, reason) = match candidate.readiness {
        Readiness::Ready => (Phase::StartMaintenance, "no instance is on it"),
        Readiness::CanEmpty | Readiness::Blocked => (emptying(turn), "everything on it fits elsewhere"),
    };
    turn.plan.enter(phase, &format!("{} is next", candidate.host));
    turn.plan.fence(&candidate.host, reason);
    Err(turn.wait(format!("{} to be fenced", candidate.host)))
}

/// PREPARE empties the first host; after START it is PLANNED.
fn emptying(turn: &Turn<'_>) -> Phase {
    match turn.session.phase {
        Phase::StartMaintenance | Phase::PlannedMaintenance => Phase::PlannedMaintenance,
        _ if turn.session.maintained > 0 => Phase::PlannedMaintenance,
        _ => Phase::PrepareMaintenance,
    }
}

/// The host in hand is fenced: empties it, or works on it if it is empty.
pub(crate) fn empty_or_work(turn: &mut Turn<'_>) -> Step {
    let Some(host) = in_hand(turn, HostStage::Fenced) else { return Ok(()) };
    work::fence_again(turn, &host)?;
    if host.instances > 0 {
        if turn.session.phase == Phase::ScaleIn {
            // Entered again and again, the phases would take turns.
            drain::has_places(turn, &host, &Rounds)?;
        }
        let emptying = emptying(turn);
        if turn.session.phase != emptying {
            turn.plan.enter(emptying, &format!("{} is not empty", host.id));
            return Err(turn.wait("the next phase"));
        }
        let kind = match emptying {
            Phase::PrepareMaintenance => AskKind::PrepareMaintenance,
            _ => AskKind::PlannedMaintenance,
        };
        return drain::empty(turn, &host, kind, &Rounds);
    }
    let target = Target::Host(host.id.clone());
    if let Some(effect) = turn.view.in_flight(&Subject::Host(host.id.clone())) {
        return Err(turn.wait(format!("{} of {}", effect.kind, host.id)));
    }
    if turn.is_over() {
        turn.plan.release(&host.id, "the window is over, and no work was begun on it");
        return Err(turn.wait(format!("{} to be back in service", host.id)));
    }
    work::may_work(turn, &host, &target)?;
    if turn.session.phase != Phase::StartMaintenance {
        turn.plan.enter(Phase::StartMaintenance, &format!("{} is empty", host.id));
    }
    turn.plan.work(&target, "it is fenced and empty");
    Err(turn.wait(format!("the actions on {}", host.id)))
}

/// The host in hand, if it is in that stage.
pub(crate) fn in_hand(turn: &Turn<'_>, stage: HostStage) -> Option<HostInfo> {
    turn.view.hosts(Some(stage), None, 1).into_iter().next()
}
