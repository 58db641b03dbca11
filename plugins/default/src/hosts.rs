//! Hosts in their turn: which is next, the work on it, and giving it back.

use fenix_sdk::types::{Decision, HostKind, HostStage, Phase, Policy, Subject, Target};
use fenix_sdk::workflow::{Candidate, HostInfo, PAGE, Readiness, WorkState};

use crate::turn::{Step, Turn};
use crate::{drain, room};

/// Seconds that a host may be down before it is left out: longer than a restart that somebody else began.
const DOWN_LIMIT: u32 = 900;

/// Takes the next host, or ends the round of hosts.
pub(crate) fn next(turn: &mut Turn<'_>) -> Step {
    let Some(candidate) = best(turn) else { return end(turn) };
    match candidate.readiness {
        Readiness::Ready | Readiness::CanEmpty => take(turn, &candidate),
        Readiness::Blocked if is_up(turn, &candidate.host) => room::make(turn, &candidate.why),
        // Those that are down stand behind all others: nothing else is left.
        Readiness::Blocked => wait_for_host(turn, &candidate.host),
    }
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
    if let Err(refusal) = turn.view.check(&Decision::Fence(candidate.host.clone())) {
        let on =
            format!("leave to take {} out of service: {}: {}", candidate.host, refusal.rule, refusal.why);
        return Err(match turn.session.window_end {
            Some(end) if turn.now >= end => turn.wait(on),
            Some(_) | None => turn.look_again(on),
        });
    }
    turn.forget(&format!("down:{}", candidate.host));
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
    if host.instances > 0 {
        let emptying = emptying(turn);
        if turn.session.phase != emptying {
            turn.plan.enter(emptying, &format!("{} is not empty", host.id));
            return Err(turn.wait("the next phase"));
        }
        return drain::empty(turn, &host);
    }
    turn.forget(&drain::note(&host.id));
    let target = Target::Host(host.id.clone());
    if let Some(effect) = turn.view.in_flight(&Subject::Host(host.id.clone())) {
        return Err(turn.wait(format!("{} of {}", effect.kind, host.id)));
    }
    if let Err(refusal) = turn.view.check(&Decision::Work(target.clone())) {
        return Err(
            turn.look_again(format!("leave to work on {}: {}: {}", host.id, refusal.rule, refusal.why))
        );
    }
    if turn.session.phase != Phase::StartMaintenance {
        turn.plan.enter(Phase::StartMaintenance, &format!("{} is empty", host.id));
    }
    turn.plan.work(&target, "it is fenced and empty");
    Err(turn.wait(format!("the actions on {}", host.id)))
}

/// Work was begun on the host in hand: waits for it, or does what the terms say about its failure.
pub(crate) fn work(turn: &mut Turn<'_>) -> Step {
    let Some(host) = in_hand(turn, HostStage::Working) else { return Ok(()) };
    let target = Target::Host(host.id.clone());
    let policy = turn.terms.failed_action;
    match turn.view.work(&target) {
        WorkState::Running => Err(turn.wait(format!("the actions on {}", host.id))),
        WorkState::None | WorkState::Done => again(turn, &target, "its work is to be finished"),
        WorkState::Failed if host.tries == 0 => again(turn, &target, "the session was continued"),
        WorkState::Failed if policy == Policy::Retry && host.tries < turn.terms.rounds => {
            again(turn, &target, "it failed, and the terms say to try again")
        }
        WorkState::Failed => {
            let reason = format!("the actions on {} failed", host.id);
            Err(turn.give_up_on(&host.id, policy, &reason))
        }
    }
}

fn again(turn: &mut Turn<'_>, target: &Target, reason: &str) -> Step {
    if let Err(refusal) = turn.view.check(&Decision::Work(target.clone())) {
        return Err(
            turn.look_again(format!("leave to go on with the work: {}: {}", refusal.rule, refusal.why))
        );
    }
    turn.plan.work(target, reason);
    Err(turn.wait("the actions"))
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
