//! Hosts in their turn: which is next, the work on it, and giving it back.

use fenix_sdk::types::{Decision, HostKind, HostStage, Phase, Policy, Subject, Target};
use fenix_sdk::workflow::{Candidate, HostInfo, PAGE, Readiness, WorkState};

use crate::turn::{PATIENCE, Step, Turn};
use crate::{drain, room};

/// Candidates that one decision looks at if a rule says that the best one has to wait.
const LOOK_AT: u32 = 16;

/// The note that says since when no host may be taken.
const NOT_YET: &str = "not-yet";

/// Seconds that a host may be down before it is left out: longer than a restart that somebody else began.
const DOWN_LIMIT: u32 = 900;

/// Takes the next host, or ends the round of hosts.
pub(crate) fn next(turn: &mut Turn<'_>) -> Step {
    let Some(candidate) = best(turn) else { return end(turn) };
    match candidate.readiness {
        Readiness::Ready | Readiness::CanEmpty => match refusal(turn, &candidate) {
            None => take(turn, &candidate),
            Some(why) => another(turn, &candidate, &why),
        },
        Readiness::Blocked if is_up(turn, &candidate.host) => room::make(turn, &candidate.why),
        // Those that are down stand behind all others: nothing else is left.
        Readiness::Blocked => wait_for_host(turn, &candidate.host),
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
    let is_over = turn.session.window_end.is_some_and(|end| turn.now >= end);
    if is_over || turn.has_lasted(NOT_YET, PATIENCE) {
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

fn end(turn: &mut Turn<'_>) -> Step {
    let end = Decision::Enter(Phase::MaintenanceComplete);
    if let Err(refusal) = turn.view.check(&end) {
        return Err(turn.look_again(format!("every host to be finished with: {}", refusal.why)));
    }
    turn.plan.enter(Phase::MaintenanceComplete, "every host is finished with");
    Err(turn.wait("the end"))
}

/// Every host that is left is down: waits for it, but not for ever.
fn wait_for_host(turn: &mut Turn<'_>, host: &str) -> Step {
    if turn.has_lasted(&format!("down:{host}"), DOWN_LIMIT) {
        return Err(turn.quarantine(host, "it is down, or no longer there"));
    }
    Err(turn.look_again(format!("{host} to come back: it is down, or no longer there")))
}

/// Fences a host and enters the phase that says what will happen to it.
fn take(turn: &mut Turn<'_>, candidate: &Candidate) -> Step {
    turn.forget(&format!("down:{}", candidate.host));
    turn.forget(NOT_YET);
    room::found(turn);
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
    fence_again(turn, &host)?;
    if host.instances > 0 {
        if turn.session.phase == Phase::ScaleIn {
            // Entered again and again, the phases would take turns.
            drain::has_places(turn, &host)?;
        }
        let emptying = emptying(turn);
        if turn.session.phase != emptying {
            turn.plan.enter(emptying, &format!("{} is not empty", host.id));
            return Err(turn.wait("the next phase"));
        }
        return drain::empty(turn, &host);
    }
    let target = Target::Host(host.id.clone());
    if let Some(effect) = turn.view.in_flight(&Subject::Host(host.id.clone())) {
        return Err(turn.wait(format!("{} of {}", effect.kind, host.id)));
    }
    if turn.session.window_end.is_some_and(|end| turn.now >= end) {
        turn.plan.release(&host.id, "the window is over, and no work was begun on it");
        return Err(turn.wait(format!("{} to be back in service", host.id)));
    }
    may_work(turn, &host, &target)?;
    if turn.session.phase != Phase::StartMaintenance {
        turn.plan.enter(Phase::StartMaintenance, &format!("{} is empty", host.id));
    }
    turn.plan.work(&target, "it is fenced and empty");
    Err(turn.wait(format!("the actions on {}", host.id)))
}

/// Somebody enabled the host in hand, for whatever reason: its turn is not over.
fn fence_again(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
    let fence = Decision::Fence(host.id.clone());
    if !host.in_service || turn.view.check(&fence).is_err() {
        return Ok(());
    }
    turn.plan.fence(&host.id, "somebody enabled it in its turn");
    Err(turn.look_again(format!("{} to be fenced once more", host.id)))
}

/// Ends the decision if a rule does not let the host be worked on now: waits, but not for ever.
fn may_work(turn: &mut Turn<'_>, host: &HostInfo, target: &Target) -> Step {
    let note = drain::note(&host.id);
    let Err(refusal) = turn.view.check(&Decision::Work(target.clone())) else {
        turn.forget(&note);
        return Ok(());
    };
    let why = format!("leave to work on {}: {}: {}", host.id, refusal.rule, refusal.why);
    if turn.has_lasted(&note, PATIENCE) {
        let policy = turn.terms.failed_action;
        return Err(turn.give_up_on(&host.id, policy, &why));
    }
    Err(turn.look_again(why))
}

/// Work was begun on the host in hand: waits for it, or does what the terms say about its failure.
pub(crate) fn work(turn: &mut Turn<'_>) -> Step {
    let Some(host) = in_hand(turn, HostStage::Working) else { return Ok(()) };
    let target = Target::Host(host.id.clone());
    let policy = turn.terms.failed_action;
    match turn.view.work(&target) {
        WorkState::Running => Err(turn.wait(format!("the actions on {}", host.id))),
        WorkState::None | WorkState::Done => again(turn, &host, "its work is to be finished"),
        WorkState::Failed if host.tries == 0 => again(turn, &host, "the session was continued"),
        WorkState::Failed if policy == Policy::Retry && host.tries < turn.terms.rounds => {
            again(turn, &host, "it failed, and the terms say to try again")
        }
        WorkState::Failed => {
            let reason = format!("the actions on {} failed", host.id);
            Err(turn.give_up_on(&host.id, policy, &reason))
        }
    }
}

fn again(turn: &mut Turn<'_>, host: &HostInfo, reason: &str) -> Step {
    fence_again(turn, host)?;
    let target = Target::Host(host.id.clone());
    may_work(turn, host, &target)?;
    turn.plan.work(&target, reason);
    Err(turn.wait(format!("the actions on {}", host.id)))
}

/// All actions on the host in hand are done: gives it back.
pub(crate) fn give_back(turn: &mut Turn<'_>) -> Step {
    let Some(host) = in_hand(turn, HostStage::Worked) else { return Ok(()) };
    let tries = turn.view.attr(&Subject::Host(host.id.clone()), "release-tries");
    let tries = tries.and_then(|tries| tries.parse::<u32>().ok()).unwrap_or(0);
    if tries >= turn.terms.rounds {
        let reason = format!("{} could not be given back: {tries} tries", host.id);
        let policy = turn.terms.failed_action;
        return Err(turn.give_up_on(&host.id, policy, &reason));
    }
    turn.plan.release(&host.id, "all its actions are done");
    Err(turn.wait(format!("{} to be back in service", host.id)))
}

fn in_hand(turn: &Turn<'_>, stage: HostStage) -> Option<HostInfo> {
    turn.view.hosts(Some(stage), None, 1).into_iter().next()
}

/// Runs the actions before the first or after the last host.
pub(crate) fn run_once(turn: &mut Turn<'_>, target: &Target) -> Step {
    let (name, note) = match target {
        Target::Pre => ("the actions before the first host", "tries:pre"),
        Target::Host(_) | Target::Post => ("the actions after the last host", "tries:post"),
    };
    let tries: u32 = turn.view.note(note).and_then(|tries| tries.parse().ok()).unwrap_or(0);
    match turn.view.work(target) {
        WorkState::Done => return Ok(()),
        WorkState::Running => return Err(turn.wait(name)),
        WorkState::None => {}
        WorkState::Failed => match turn.terms.failed_action {
            Policy::Skip | Policy::Force => return Ok(()),
            Policy::Retry if tries < turn.terms.rounds => {}
            Policy::Wait => return Err(turn.look_again(format!("somebody to look at {name}: they failed"))),
            // After a continue the administrator has mended the cause: once more.
            Policy::Stop if turn.session.failures == 0 => {}
            Policy::Retry | Policy::Stop => return Err(turn.fail(&format!("{name} failed"))),
        },
    }
    turn.plan.note(note, Some(&(tries + 1).to_string()), "a try");
    turn.plan.work(target, "it is their turn");
    Err(turn.wait(name))
}
