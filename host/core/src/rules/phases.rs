//! The order of phases, and R7 at the end of a session.

use crate::rules::{Admission, Case, Refusal, Rule};
use crate::session::{HostStage, Phase, Session};

/// Most notes of a session in bytes, keys and values together.
const MAX_NOTES: usize = 64 * 1024;
/// Largest note in bytes: it is journaled whole whenever it changes.
const MAX_NOTE: usize = 1024;

/// Phases follow the contract's order; back only into SCALE_IN, and out of it.
pub(super) fn may_enter(case: &Case<'_>, phase: Phase) -> Result<Admission, Refusal> {
    let now = case.session.phase;
    if phase == now {
        return Ok(Admission::NoOp);
    }
    let backward = phase == Phase::ScaleIn || now == Phase::ScaleIn;
    if now.is_final() || phase == Phase::MaintenanceFailed || (rank(phase) < rank(now) && !backward) {
        return Err(Rule::R7.refuses(format!("{} does not follow {}", phase.wire(), now.wire())));
    }
    if rank(now) >= rank(Phase::MaintenanceComplete) && rank(phase) < rank(now) {
        return Err(Rule::R7.refuses(format!("{} does not follow {}", phase.wire(), now.wire())));
    }
    if rank(phase) >= rank(Phase::MaintenanceComplete) {
        case.unless_off(Rule::R7, || hosts_finished(case.session))?;
    }
    if phase == Phase::MaintenanceDone {
        case.unless_off(Rule::R7, || everybody_told(case.session))?;
    }
    Ok(Admission::Enter(phase))
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Maintenance => 0,
        Phase::ScaleIn => 1,
        Phase::PrepareMaintenance => 2,
        Phase::StartMaintenance | Phase::PlannedMaintenance => 3,
        Phase::MaintenanceComplete => 4,
        Phase::MaintenanceDone | Phase::MaintenanceFailed => 5,
    }
}

/// R7: every host is given back, or quarantined with a reason.
pub(super) fn hosts_finished(session: &Session) -> Result<(), Refusal> {
    let in_turn = [HostStage::Waiting, HostStage::Fenced, HostStage::Working, HostStage::Worked];
    let in_turn = in_turn.iter().flat_map(|stage| session.hosts.in_stage(stage.name()));
    let left_out = session.hosts.in_stage("quarantined").filter(|(_, work)| match work.stage {
        HostStage::Quarantined { begun, .. } => !begun && work.fenced,
        HostStage::Waiting
        | HostStage::Fenced
        | HostStage::Working
        | HostStage::Worked
        | HostStage::Maintained => false,
    });
    match in_turn.chain(left_out).next() {
        None => Ok(()),
        Some((host, work)) => Err(Rule::R7.refuses(format!("host {host} is {}", work.stage.name()))),
    }
}

/// R7: every project told MAINTENANCE is told COMPLETE.
fn everybody_told(session: &Session) -> Result<(), Refusal> {
    match session.projects.iter().find(|(_, work)| work.told) {
        None => Ok(()),
        Some((project, _)) => {
            Err(Rule::R7.refuses(format!("project {project} was not told MAINTENANCE_COMPLETE")))
        }
    }
}

/// Notes are small: they are journaled, and kept in memory for every session.
pub(super) fn may_note(session: &Session, key: &str, value: Option<&str>) -> Result<Admission, Refusal> {
    let size = key.len() + value.map_or(0, str::len);
    if size > MAX_NOTE {
        return Err(Rule::R9.refuses(format!("note {key} has {size} bytes, and {MAX_NOTE} is the most")));
    }
    let others: usize =
        session.notes.iter().filter(|(known, _)| *known != key).map(|(k, v)| k.len() + v.len()).sum();
    if others + size > MAX_NOTES {
        return Err(Rule::R9.refuses(format!("the notes would have more than {MAX_NOTES} bytes")));
    }
    if session.notes.get(key).map(String::as_str) == value {
        return Ok(Admission::NoOp);
    }
    Ok(Admission::Note { key: key.into(), value: value.map(Into::into) })
}
