//! The work on a host, and on none; and giving a host back.

use fenix_sdk::types::{Decision, Policy, Subject, Target};
use fenix_sdk::workflow::{HostInfo, WorkState};

use crate::drain;
use crate::turn::{PATIENCE, Step, Turn};

/// Somebody enabled the host in hand, for whatever reason: its turn is not over.
///
/// # Errors
/// It is to be fenced once more first.
pub fn fence_again(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
    let fence = Decision::Fence(host.id.clone());
    if !host.in_service || turn.view.check(&fence).is_err() {
        return Ok(());
    }
    turn.plan.fence(&host.id, "somebody enabled it in its turn");
    Err(turn.look_again(format!("{} to be fenced once more", host.id)))
}

/// Ends the decision if a rule does not let the host be worked on now: waits, but not for ever.
///
/// # Errors
/// A rule does not.
pub fn may_work(turn: &mut Turn<'_>, host: &HostInfo, target: &Target) -> Step {
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

/// Work was begun on a host: waits for it, or does what the terms say about its failure.
///
/// # Errors
/// Always: it is waited for.
pub fn go_on(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
    let target = Target::Host(host.id.clone());
    let policy = turn.terms.failed_action;
    match turn.view.work(&target) {
        WorkState::Running => Err(turn.wait(format!("the actions on {}", host.id))),
        WorkState::None | WorkState::Done => again(turn, host, "its work is to be finished"),
        WorkState::Failed if host.tries == 0 => again(turn, host, "the session was continued"),
        WorkState::Failed if policy == Policy::Retry && host.tries < turn.terms.rounds => {
            again(turn, host, "it failed, and the terms say to try again")
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

/// All actions on a host are done: gives it back.
///
/// # Errors
/// Always: it is waited for.
pub fn give_back(turn: &mut Turn<'_>, host: &HostInfo) -> Step {
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

/// Runs the actions before the first or after the last host.
///
/// # Errors
/// They are not done, or not given up on, yet.
pub fn run_once(turn: &mut Turn<'_>, target: &Target) -> Step {
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
