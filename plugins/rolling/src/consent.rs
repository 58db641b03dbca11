//! Asking managers: all of them, or the owners of a host's instances.

use fenix_sdk::types::{AskKind, AskStatus, Phase, Policy};
use fenix_sdk::workflow::{AskInfo, ProjectInfo};

use crate::turn::{Step, Turn};

/// Seconds before a manager that shall be waited for without end is asked again.
const ASK_AGAIN: u32 = 60;

/// How one manager stands to one question.
pub(crate) enum Stand {
    /// It agreed, or the terms say to go on as if it had.
    Agreed(Option<AskInfo>),
    /// It was asked and may still answer.
    Asked,
    /// It is waited for, until then at the latest.
    Wait(String, u32),
    /// The terms say to leave out what it is about.
    LeaveOut(String),
    /// The terms say to stop.
    Stop(String),
}

/// Has every project agree to a question about the whole session; `after` is the last question of earlier rounds.
pub(crate) fn everybody(turn: &mut Turn<'_>, kind: AskKind, after: u32) -> Step {
    let mut asked: Vec<String> = Vec::new();
    let mut waiting = None;
    // Whoever has no manager matters before the start, and when one of its instances has to leave a host: most of the
    // clouds that are in use see strangers come and go all the time.
    let early = turn.session.phase == Phase::Maintenance;
    for project in turn.view.all_projects().into_iter().filter(|project| project.managed || early) {
        match stand(turn, &project, kind, None, after) {
            Stand::Agreed(_) | Stand::LeaveOut(_) => {}
            Stand::Asked => asked.push(project.id),
            Stand::Wait(on, until) => waiting = Some(turn.wait_until(on, until)),
            Stand::Stop(reason) => return Err(turn.fail(&reason)),
        }
    }
    if !asked.is_empty() {
        let on = format!("the answer to {} of {}", wire(kind), asked.join(", "));
        return Err(turn.wait(on));
    }
    waiting.map_or(Ok(()), Err)
}

/// Tells every project that all is over. Their answers are welcome, and not needed.
pub(crate) fn farewell(turn: &mut Turn<'_>) -> Step {
    let mut open = Vec::new();
    for project in turn.view.all_projects().into_iter().filter(|project| project.managed) {
        match turn.view.last_ask(&project.id, AskKind::MaintenanceComplete, None) {
            None => {
                turn.plan.ask(&project.id, AskKind::MaintenanceComplete, None, "all hosts are finished with");
                open.push(project.id);
            }
            Some(ask) if ask.status == AskStatus::Open => open.push(project.id),
            Some(_) => {}
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    Err(turn.wait(format!("the answer to MAINTENANCE_COMPLETE of {}", open.join(", "))))
}

/// How a project stands to a question; asks it if it was not asked yet, or is to be asked again.
pub(crate) fn stand(
    turn: &mut Turn<'_>,
    project: &ProjectInfo,
    kind: AskKind,
    host: Option<&str>,
    after: u32,
) -> Stand {
    if !project.managed {
        return unmanaged(turn, project);
    }
    let last = turn.view.last_ask(&project.id, kind, host).filter(|ask| after == 0 || ask.id >= after);
    let Some(ask) = last else {
        ask_now(turn, project, kind, host, "it has instances there");
        return Stand::Asked;
    };
    match ask.status {
        AskStatus::Open => Stand::Asked,
        AskStatus::Acked => Stand::Agreed(Some(ask)),
        AskStatus::Nacked => {
            let policy = turn.terms.nack;
            by_policy(turn, project, ask, policy, "said no to")
        }
        AskStatus::Expired => {
            let policy = turn.terms.silence;
            by_policy(turn, project, ask, policy, "did not answer")
        }
        AskStatus::Undelivered => {
            let policy = turn.terms.silence;
            by_policy(turn, project, ask, policy, "could not be reached with")
        }
        AskStatus::Void => {
            ask_now(turn, project, kind, host, "the last question was withdrawn");
            Stand::Asked
        }
    }
}

/// Asks once more about a host, because the last answer did not cover everything that is there now.
pub(crate) fn ask_again(turn: &mut Turn<'_>, project: &ProjectInfo, ask: &AskInfo, why: &str) -> Stand {
    if ask.round >= turn.terms.rounds {
        return Stand::Stop(format!("project {} was asked {} times: {why}", project.id, ask.round));
    }
    ask_now(turn, project, ask.kind, ask.host.as_deref(), why);
    Stand::Asked
}

fn ask_now(turn: &mut Turn<'_>, project: &ProjectInfo, kind: AskKind, host: Option<&str>, why: &str) {
    turn.plan.ask(&project.id, kind, host, why);
}

fn unmanaged(turn: &Turn<'_>, project: &ProjectInfo) -> Stand {
    let reason = format!(
        "project {} has instances on the hosts and no manager: subscribe one, or say `unmanaged = force`",
        project.id
    );
    match turn.terms.unmanaged {
        Policy::Force => Stand::Agreed(None),
        Policy::Wait => Stand::Wait(reason, turn.now + ASK_AGAIN),
        Policy::Skip => Stand::LeaveOut(reason),
        Policy::Stop | Policy::Retry => Stand::Stop(reason),
    }
}

fn by_policy(turn: &mut Turn<'_>, project: &ProjectInfo, ask: AskInfo, policy: Policy, what: &str) -> Stand {
    let about = ask.host.as_ref().map(|host| format!(" about {host}")).unwrap_or_default();
    let reason = format!("the manager of {} {what} {}{about}", project.id, wire(ask.kind));
    match policy {
        Policy::Force => Stand::Agreed(Some(ask)),
        Policy::Skip => Stand::LeaveOut(reason),
        Policy::Stop => Stand::Stop(reason),
        Policy::Retry => match tried(turn, &ask) >= turn.terms.rounds {
            true => Stand::Stop(format!("{reason}, {} times", turn.terms.rounds)),
            false => {
                ask_now(turn, project, ask.kind, ask.host.as_deref(), &reason);
                Stand::Asked
            }
        },
        Policy::Wait => {
            let again = ask.ended_at.unwrap_or(turn.now) + ASK_AGAIN;
            if turn.now < again {
                return Stand::Wait(reason, again);
            }
            ask_now(turn, project, ask.kind, ask.host.as_deref(), &reason);
            Stand::Asked
        }
    }
}

/// How often this was asked. SCALE_IN is asked once in each of its rounds: only what comes on top counts.
fn tried(turn: &Turn<'_>, ask: &AskInfo) -> u32 {
    match ask.kind {
        AskKind::ScaleIn => (ask.round + 1).saturating_sub(crate::room::round(turn)),
        AskKind::Maintenance
        | AskKind::PrepareMaintenance
        | AskKind::PlannedMaintenance
        | AskKind::MaintenanceComplete => ask.round,
    }
}

/// The question's name as managers know it.
pub(crate) fn wire(kind: AskKind) -> &'static str {
    match kind {
        AskKind::Maintenance => "MAINTENANCE",
        AskKind::ScaleIn => "SCALE_IN",
        AskKind::PrepareMaintenance => "PREPARE_MAINTENANCE",
        AskKind::PlannedMaintenance => "PLANNED_MAINTENANCE",
        AskKind::MaintenanceComplete => "MAINTENANCE_COMPLETE",
    }
}
