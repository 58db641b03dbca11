//! R1 and R3: managers are asked, agree, and get their time.

use crate::ask::{Ask, AskKind, AskStatus, MoveHow};
use crate::id::{AskId, HostId, InstanceId, ProjectId};
use crate::inventory::{Instance, Movable};
use crate::policy::Policy;
use crate::rules::{Admission, Case, Refusal, Rule, ask_name};
use crate::session::{Phase, ProjectWork};

/// Whether a question may be asked, and what it is about.
pub(super) fn may_ask(
    case: &Case<'_>,
    project: &ProjectId,
    kind: AskKind,
    host: Option<&HostId>,
) -> Result<Admission, Refusal> {
    let session = case.session;
    let Some(work) = session.projects.get(project) else {
        return Err(Rule::R11.refuses(format!("project {project} has no instance in this session")));
    };
    if !work.managed {
        return Err(Rule::R1.refuses(format!("project {project} has no manager to ask")));
    }
    if kind.wants_actions() != host.is_some() {
        return Err(Rule::R11.refuses(format!("{} is asked about one host", kind.wire())));
    }
    if let Some(host) = host
        && !session.hosts.contains_key(host)
    {
        return Err(Rule::R11.refuses(format!("host {host} is not of this session")));
    }
    let last = session.latest_ask(project, kind, host);
    if last.is_some_and(Ask::is_open) {
        return Ok(Admission::NoOp);
    }
    may_tell(kind, work, session.phase)?;
    let round = last.map_or(1, |last| last.round + 1);
    let policies = case.session.plan.terms.policies;
    let most = match kind {
        _ if policies.silence == Policy::Wait || policies.nack == Policy::Wait => u32::MAX,
        AskKind::ScaleIn => session.plan.terms.scale_in_rounds.saturating_mul(session.plan.terms.rounds),
        AskKind::Maintenance
        | AskKind::PrepareMaintenance
        | AskKind::PlannedMaintenance
        | AskKind::MaintenanceComplete => session.plan.terms.rounds,
    };
    case.unless_off(Rule::R9, || {
        if round <= most {
            return Ok(());
        }
        Err(Rule::R9.refuses(format!("project {project} was asked {} {most} times", kind.wire())))
    })?;
    let instances = concerned(case, project, host);
    if host.is_some() && instances.is_empty() {
        return Ok(Admission::NoOp);
    }
    Ok(Admission::Ask { project: project.clone(), kind, host: host.cloned(), instances, round })
}

/// MAINTENANCE opens the talk with a project and COMPLETE closes it (R7).
fn may_tell(kind: AskKind, project: &ProjectWork, phase: Phase) -> Result<(), Refusal> {
    match kind {
        AskKind::Maintenance => Ok(()),
        AskKind::MaintenanceComplete if phase == Phase::MaintenanceComplete => Ok(()),
        AskKind::MaintenanceComplete => {
            Err(Rule::R7.refuses("MAINTENANCE_COMPLETE is told when all hosts are done"))
        }
        AskKind::ScaleIn | AskKind::PrepareMaintenance | AskKind::PlannedMaintenance if project.told => {
            Ok(())
        }
        AskKind::ScaleIn | AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {
            Err(Rule::R1.refuses("the project was not told MAINTENANCE yet"))
        }
    }
}

/// The instances that a question is about: the project's on the host, or on all hosts of the session.
fn concerned(case: &Case<'_>, project: &ProjectId, host: Option<&HostId>) -> Vec<InstanceId> {
    let inventory = &case.state.inventory;
    match host {
        // One page of the journal has to hold it; the manager reads the list at its URL in any case.
        None => Vec::new(),
        Some(host) => inventory
            .holding(host)
            .filter(|instance| instance.project == *project && instance.host == *host)
            .map(|instance| instance.id.clone())
            .collect(),
    }
}

/// R1: this very question was answered with yes and this action, or the terms say to go on without.
pub(super) fn given(
    case: &Case<'_>,
    instance: &InstanceId,
    from: &HostId,
    how: MoveHow,
    ask: Option<AskId>,
) -> Result<(), Refusal> {
    let Some(seen) = case.state.inventory.instance(instance) else {
        return Err(Rule::R1.refuses(format!("instance {instance} is not there any more")));
    };
    if how == MoveHow::OwnAction {
        return Err(Rule::R1.refuses("OWN_ACTION is the manager's to do"));
    }
    if how == MoveHow::LiveMigrate && seen.movable == Movable::ColdOnly {
        return Err(Rule::R1.refuses(format!("instance {instance} cannot be moved live")));
    }
    let policies = case.session.plan.terms.policies;
    let managed = case.session.projects.get(&seen.project).is_some_and(|project| project.managed);
    if !managed {
        return match policies.unmanaged {
            Policy::Force => Ok(()),
            Policy::Retry | Policy::Wait | Policy::Skip | Policy::Stop => Err(Rule::R1.refuses(format!(
                "project {} has no manager, and the terms do not say to go on without one",
                seen.project
            ))),
        };
    }
    let Some(ask) = ask.and_then(|id| case.session.asks.get(&id)) else {
        return Err(Rule::R1.refuses(format!(
            "project {} is managed, and {} stands behind this move of {instance}",
            seen.project,
            ask_name(ask)
        )));
    };
    let is_latest = case.session.latest_ask(&ask.project, ask.kind, ask.host.as_ref()).map(|last| last.id)
        == Some(ask.id);
    if !is_latest || ask.project != seen.project || ask.host.as_ref() != Some(from) {
        return Err(
            Rule::R1.refuses(format!("question {} is not the latest one about {instance} on {from}", ask.id))
        );
    }
    match (&ask.status, ask.consent(instance)) {
        (AskStatus::Acked { .. }, Some(chosen)) if chosen == how => Ok(()),
        (AskStatus::Acked { .. }, Some(MoveHow::LiveMigrate)) if falls_back(case, seen) => Ok(()),
        (AskStatus::Acked { .. }, Some(chosen)) => Err(Rule::R1.refuses(format!(
            "the manager chose {} for {instance}, not {}",
            chosen.wire(),
            how.wire()
        ))),
        (AskStatus::Acked { .. }, None) => {
            Err(Rule::R1
                .refuses(format!("the manager's answer to question {} does not name {instance}", ask.id)))
        }
        (AskStatus::Nacked, _) if policies.nack == Policy::Force => Ok(()),
        (AskStatus::Expired | AskStatus::Undelivered, _) if policies.silence == Policy::Force => Ok(()),
        (AskStatus::Nacked, _) => {
            Err(Rule::R1.refuses(format!("the manager of {} said no to question {}", ask.project, ask.id)))
        }
        (AskStatus::Open | AskStatus::Expired | AskStatus::Undelivered | AskStatus::Void, _) => {
            Err(Rule::R1
                .refuses(format!("the manager of {} did not answer question {}", ask.project, ask.id)))
        }
    }
}

/// A cold move stands in for an agreed live one that failed, or cannot be.
fn falls_back(case: &Case<'_>, seen: &Instance) -> bool {
    seen.movable == Movable::ColdOnly || case.session.tries.contains_key(&format!("move {}", seen.id))
}

/// R3: the manager had its lead time before the instance is touched, counted from when it heard of it.
pub(super) fn lead_time(case: &Case<'_>, instance: &InstanceId, ask: Option<AskId>) -> Result<(), Refusal> {
    // Whoever could not be told, or is not asked at all, has the terms to thank for it: see R1.
    let Some(at) = ask.and_then(|id| case.session.asks.get(&id)).and_then(|ask| ask.heard_at()) else {
        return Ok(());
    };
    let Some(seen) = case.state.inventory.instance(instance) else { return Ok(()) };
    let lead = case.state.lead_time(seen, &case.session.plan.terms.ceilings);
    if case.now >= at + lead {
        return Ok(());
    }
    Err(Rule::R3.refuses(format!(
        "{instance} has {lead} of lead time, of which {} are left",
        (at + lead).since(case.now)
    )))
}
