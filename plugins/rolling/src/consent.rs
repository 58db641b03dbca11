//! Asking managers: all of them, or the owners of a host's instances.

use fenix_sdk::types::{AskKind, AskStatus, Phase, Policy};
use fenix_sdk::workflow::{AskInfo, ProjectInfo};

use crate::turn::{Step, Turn};

/// Seconds before a manager that shall be waited for without end is asked again.
const ASK_AGAIN: u32 = 60;

/// How one manager stands to one question.
pub enum Stand {
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

/// A question, as it is put to one project after the other.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked.
    pub kind: AskKind,
    /// The host that shall become empty, for the kinds that are about one.
    pub host: Option<&'a str>,
    /// Questions with lower numbers belong to earlier rounds, and count for nothing.
    pub after: u32,
    /// How often it was asked in earlier rounds: each round has tries of its own.
    pub earlier: u32,
}

impl<'a> Question<'a> {
    /// A question about one host.
    pub fn about_host(kind: AskKind, host: &'a str) -> Self {
        Question { kind, host: Some(host), after: 0, earlier: 0 }
    }

    /// A question about the whole session.
    pub fn about_all(kind: AskKind) -> Self {
        Question { kind, host: None, after: 0, earlier: 0 }
    }
}

/// Has every project of the session agree to a question about the whole of it.
///
/// # Errors
/// Some did not, yet.
pub fn everybody(turn: &mut Turn<'_>, question: Question<'_>) -> Step {
    let mut asked: Vec<String> = Vec::new();
    let mut waiting = None;
    // Whoever has no manager matters before the start, and when one of its instances has to leave a host: most of the
    // clouds that are in use see strangers come and go all the time.
    let early = turn.session.phase == Phase::Maintenance;
    for project in turn.view.all_projects().into_iter().filter(|project| project.managed || early) {
        match stand(turn, &project, question) {
            Stand::Agreed(_) | Stand::LeaveOut(_) => {}
            Stand::Asked => asked.push(project.id),
            Stand::Wait(on, until) => waiting = Some(turn.wait_until(on, until)),
            Stand::Stop(reason) => return Err(turn.fail(&reason)),
        }
    }
    if !asked.is_empty() {
        return Err(turn.wait(answers_of(question.kind, None, &asked)));
    }
    waiting.map_or(Ok(()), Err)
}

/// What is waited for if these projects have not answered: named as far as there is room.
pub fn answers_of(kind: AskKind, host: Option<&str>, projects: &[String]) -> String {
    const NAMED: usize = 5;
    let about = host.map(|host| format!(" about {host}")).unwrap_or_default();
    let named = projects.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match projects.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the answer to {}{about} of {named}{more}", wire(kind))
}

/// Tells every project that all is over. Their answers are welcome, and not needed.
///
/// # Errors
/// Some have not answered, and may still.
pub fn farewell(turn: &mut Turn<'_>) -> Step {
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
    Err(turn.wait(answers_of(AskKind::MaintenanceComplete, None, &open)))
}

/// The last question about a host to a project, whether its instances were to make the first host empty or a later one.
pub fn last_about(turn: &Turn<'_>, project: &str, host: &str) -> Option<AskInfo> {
    let kinds = [AskKind::PrepareMaintenance, AskKind::PlannedMaintenance];
    let asks = kinds.into_iter().filter_map(|kind| turn.view.last_ask(project, kind, Some(host)));
    asks.max_by_key(|ask| ask.id)
}

/// How a project stands to a question; asks it if it was not asked yet, or is to be asked again.
pub fn stand(turn: &mut Turn<'_>, project: &ProjectInfo, question: Question<'_>) -> Stand {
    let Question { kind, host, after, earlier } = question;
    if !project.managed {
        return unmanaged(turn, project);
    }
    let last = match host {
        None => turn.view.last_ask(&project.id, kind, None),
        Some(host) => last_about(turn, &project.id, host),
    };
    let Some(ask) = last.filter(|ask| ask.id >= after) else {
        ask_now(turn, project, kind, host, "it has instances there");
        return Stand::Asked;
    };
    match ask.status {
        AskStatus::Open => Stand::Asked,
        AskStatus::Acked => Stand::Agreed(Some(ask)),
        AskStatus::Nacked => {
            let policy = turn.terms.nack;
            by_policy(turn, project, (ask, earlier), policy, "said no to")
        }
        AskStatus::Expired => {
            let policy = turn.terms.silence;
            by_policy(turn, project, (ask, earlier), policy, "did not answer")
        }
        AskStatus::Undelivered => {
            let policy = turn.terms.silence;
            by_policy(turn, project, (ask, earlier), policy, "could not be reached with")
        }
        AskStatus::Void => {
            ask_now(turn, project, kind, host, "the last question was withdrawn");
            Stand::Asked
        }
    }
}

/// Asks once more about a host, because the last answer did not cover everything that is there now.
pub fn ask_again(turn: &mut Turn<'_>, project: &ProjectInfo, ask: &AskInfo, why: &str) -> Stand {
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

fn by_policy(
    turn: &mut Turn<'_>,
    project: &ProjectInfo,
    (ask, earlier): (AskInfo, u32),
    policy: Policy,
    what: &str,
) -> Stand {
    let about = ask.host.as_ref().map(|host| format!(" about {host}")).unwrap_or_default();
    let reason = format!("the manager of {} {what} {}{about}", project.id, wire(ask.kind));
    match policy {
        Policy::Force => Stand::Agreed(Some(ask)),
        Policy::Skip => Stand::LeaveOut(reason),
        Policy::Stop => Stand::Stop(reason),
        Policy::Retry => match ask.round.saturating_sub(earlier) >= turn.terms.rounds {
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

/// The question's name as managers know it.
pub fn wire(kind: AskKind) -> &'static str {
    match kind {
        AskKind::Maintenance => "MAINTENANCE",
        AskKind::ScaleIn => "SCALE_IN",
        AskKind::PrepareMaintenance => "PREPARE_MAINTENANCE",
        AskKind::PlannedMaintenance => "PLANNED_MAINTENANCE",
        AskKind::MaintenanceComplete => "MAINTENANCE_COMPLETE",
    }
}
