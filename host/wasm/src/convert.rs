//! Between the words of the contract and the core's. Nothing is decided here.

use fenix_core::ask::{Ask, AskKind, AskStatus, MoveHow};
use fenix_core::decision::{Decision, Waiting};
use fenix_core::effect::Subject;
use fenix_core::id::{AskId, HostId, InstanceId, ProjectId};
use fenix_core::inventory::{Host, HostKind, Movable, Service};
use fenix_core::place::{self, Readiness};
use fenix_core::policy::{Policy, Terms};
use fenix_core::rules::Refusal;
use fenix_core::session::{Condition, HostStage, Phase, Target};
use fenix_core::time::{Millis, Time};
use fenix_core::view::{self, Trigger, Wakeup};
use fenix_engine::ports::{Assignment, CloudError, Progress};

use crate::bindings::action::fenix::plugin::assignments as wit_action;
use crate::bindings::action::fenix::plugin::cloud as wit_cloud;
use crate::bindings::workflow::exports::fenix::plugin::workflow as wit_workflow;
use crate::bindings::workflow::fenix::plugin::{types, view as wit};
use crate::limits;
use crate::text::clean;

/// Seconds of something that has happened, or must not happen later.
fn down(time: Time) -> u32 {
    u32::try_from(time.0 / 1000).unwrap_or(u32::MAX)
}

/// Seconds of something that must not happen earlier.
fn up(time: Time) -> u32 {
    u32::try_from(time.as_secs_ceil()).unwrap_or(u32::MAX)
}

pub(crate) fn wakeup(wakeup: Wakeup) -> wit_workflow::Wakeup {
    let trigger = match wakeup.trigger {
        Trigger::Started => wit_workflow::Trigger::Started,
        Trigger::Changed => wit_workflow::Trigger::Changed,
        Trigger::Timer => wit_workflow::Trigger::Timer,
        Trigger::Continued => wit_workflow::Trigger::Continued,
    };
    wit_workflow::Wakeup { trigger, now: down(wakeup.now) }
}

pub(crate) fn waiting(waiting: &wit_workflow::Waiting) -> Waiting {
    let until = waiting.until.map(|until| Time(u64::from(until) * 1000));
    Waiting { on: clean(&waiting.on, limits::REASON_BYTES), until }
}

/// One match per pair of enums that mean the same, in one or both directions.
macro_rules! same {
    ($($into:ident: $from:ty => $to:ty { $($case:ident),* })*) => {$(
        pub(crate) fn $into(case: $from) -> $to {
            match case {
                $(<$from>::$case => <$to>::$case,)*
            }
        }
    )*};
}

same! {
    ask_kind: types::AskKind => AskKind {
        Maintenance, ScaleIn, PrepareMaintenance, PlannedMaintenance, MaintenanceComplete
    }
    ask_kind_out: AskKind => types::AskKind {
        Maintenance, ScaleIn, PrepareMaintenance, PlannedMaintenance, MaintenanceComplete
    }
    move_how: types::MoveHow => MoveHow { Migrate, LiveMigrate, OwnAction }
    move_how_out: MoveHow => types::MoveHow { Migrate, LiveMigrate, OwnAction }
    phase: types::Phase => Phase {
        Maintenance, ScaleIn, PrepareMaintenance, StartMaintenance, PlannedMaintenance, MaintenanceComplete,
        MaintenanceDone, MaintenanceFailed
    }
    phase_out: Phase => types::Phase {
        Maintenance, ScaleIn, PrepareMaintenance, StartMaintenance, PlannedMaintenance, MaintenanceComplete,
        MaintenanceDone, MaintenanceFailed
    }
    policy: Policy => types::Policy { Retry, Wait, Skip, Stop, Force }
    host_kind: HostKind => types::HostKind { Compute, Controller, Other }
    work_state: view::WorkState => wit::WorkState { None, Running, Done, Failed }
}

fn condition(condition: &Condition) -> types::Condition {
    match condition {
        Condition::Running => types::Condition::Running,
        Condition::Paused => types::Condition::Paused,
        Condition::Parked { .. } => types::Condition::Parked,
        Condition::Closing { .. } => types::Condition::Closing,
        Condition::Ended => types::Condition::Ended,
    }
}

fn stage(stage: &HostStage) -> types::HostStage {
    match stage {
        HostStage::Waiting => types::HostStage::Waiting,
        HostStage::Fenced => types::HostStage::Fenced,
        HostStage::Working => types::HostStage::Working,
        HostStage::Worked => types::HostStage::Worked,
        HostStage::Maintained => types::HostStage::Maintained,
        HostStage::Quarantined { .. } => types::HostStage::Quarantined,
    }
}

/// The core asks for hosts by the name of their stage.
pub(crate) fn stage_name(stage: types::HostStage) -> &'static str {
    match stage {
        types::HostStage::Waiting => "waiting",
        types::HostStage::Fenced => "fenced",
        types::HostStage::Working => "working",
        types::HostStage::Worked => "worked",
        types::HostStage::Maintained => "maintained",
        types::HostStage::Quarantined => "quarantined",
    }
}

pub(crate) fn target(target: types::Target) -> Target {
    match target {
        types::Target::Pre => Target::Pre,
        types::Target::Host(host) => Target::Host(HostId::from(host)),
        types::Target::Post => Target::Post,
    }
}

pub(crate) fn subject(subject: types::Subject) -> Subject {
    match subject {
        types::Subject::Host(host) | types::Subject::Target(types::Target::Host(host)) => {
            Subject::Host(HostId::from(host))
        }
        types::Subject::Instance(instance) => Subject::Instance(InstanceId::from(instance)),
        types::Subject::Target(types::Target::Pre) => Subject::Session(Target::Pre),
        types::Subject::Target(types::Target::Post) => Subject::Session(Target::Post),
    }
}

pub(crate) fn decision(decision: types::Decision) -> Decision {
    match decision {
        types::Decision::Ask(ask) => Decision::Ask {
            project: ProjectId::from(ask.project),
            kind: ask_kind(ask.kind),
            host: ask.host.map(HostId::from),
        },
        types::Decision::Fence(host) => Decision::Fence { host: HostId::from(host) },
        types::Decision::Release(host) => Decision::Release { host: HostId::from(host) },
        types::Decision::Move(wanted) => Decision::Move {
            instance: InstanceId::from(wanted.instance),
            to: HostId::from(wanted.to),
            how: move_how(wanted.how),
            ask: wanted.ask.map(AskId),
        },
        types::Decision::Work(on) => Decision::Work { target: target(on) },
        types::Decision::Enter(next) => Decision::Enter { phase: phase(next) },
        types::Decision::Quarantine(host) => Decision::Quarantine { host: HostId::from(host) },
        types::Decision::Fail => Decision::Fail,
        types::Decision::Note(note) => Decision::Note { key: note.key, value: note.value },
    }
}

pub(crate) fn refusal(refusal: Refusal) -> types::Refusal {
    types::Refusal { rule: format!("{:?}", refusal.rule), why: refusal.why }
}

pub(crate) fn session_info(info: &view::SessionInfo, stands: Option<&Condition>) -> wit::SessionInfo {
    wit::SessionInfo {
        id: info.id.to_string(),
        phase: phase_out(info.phase),
        condition: stands.map_or(types::Condition::Ended, condition),
        maintenance_at: up(info.maintenance_at),
        window_end: info.window_end.map(down),
        metadata: info.metadata.clone(),
        hosts: info.hosts,
        waiting: info.waiting,
        fenced: info.fenced,
        working: info.working,
        worked: info.worked,
        maintained: info.maintained,
        quarantined: info.quarantined,
        failures: info.failures,
    }
}

pub(crate) fn terms(terms: &Terms) -> wit::SessionTerms {
    wit::SessionTerms {
        silence: policy(terms.policies.silence),
        nack: policy(terms.policies.nack),
        unmanaged: policy(terms.policies.unmanaged),
        failed_move: policy(terms.policies.failed_move),
        failed_action: policy(terms.policies.failed_action),
        rounds: terms.rounds,
        scale_in_rounds: terms.scale_in_rounds,
        hosts_at_once: terms.hosts_at_once,
        own_action_within: u32::try_from(terms.own_action_within.as_secs_ceil()).unwrap_or(u32::MAX),
    }
}

pub(crate) fn host_info(info: view::HostInfo) -> wit::HostInfo {
    wit::HostInfo {
        id: info.id.to_string(),
        kind: host_kind(info.kind),
        zone: info.zone.to_string(),
        stage: stage(&info.stage),
        in_service: info.in_service,
        up: info.up,
        instances: info.instances,
        tries: info.tries,
    }
}

pub(crate) fn instance_info(info: view::InstanceInfo) -> wit::InstanceInfo {
    let view::InstanceInfo { seen, group, tries, busy } = info;
    wit::InstanceInfo {
        settled: seen.is_settled(),
        movable: match seen.movable {
            Movable::Any => wit::MovableKind::Any,
            Movable::ColdOnly => wit::MovableKind::ColdOnly,
            Movable::No { .. } => wit::MovableKind::No,
        },
        id: seen.id.to_string(),
        name: seen.name,
        project: seen.project.to_string(),
        group: group.map(|group| group.to_string()),
        host: seen.host.to_string(),
        tries,
        busy,
    }
}

pub(crate) fn project_info(info: view::ProjectInfo) -> wit::ProjectInfo {
    wit::ProjectInfo { id: info.id.to_string(), managed: info.managed, told: info.told }
}

pub(crate) fn ask_info(ask: &Ask) -> wit::AskInfo {
    wit::AskInfo {
        id: ask.id.0,
        project: ask.project.to_string(),
        kind: ask_kind_out(ask.kind),
        round: ask.round,
        host: ask.host.as_ref().map(HostId::to_string),
        status: match ask.status {
            AskStatus::Open => types::AskStatus::Open,
            AskStatus::Acked { .. } => types::AskStatus::Acked,
            AskStatus::Nacked => types::AskStatus::Nacked,
            AskStatus::Expired => types::AskStatus::Expired,
            AskStatus::Undelivered => types::AskStatus::Undelivered,
            AskStatus::Void => types::AskStatus::Void,
        },
        delivered: ask.delivered_at.is_some(),
        opened_at: down(ask.opened_at),
        ended_at: ask.ended_at.map(down),
    }
}

pub(crate) fn effect_info(info: view::EffectInfo) -> wit::EffectInfo {
    wit::EffectInfo { kind: info.kind.to_owned(), unknown: info.unknown }
}

pub(crate) fn candidate(candidate: place::Candidate) -> wit::Candidate {
    let (readiness, why) = match candidate.readiness {
        Readiness::Empty => (wit::Readiness::Ready, "it is empty".to_owned()),
        Readiness::CanEmpty => (wit::Readiness::CanEmpty, "everything on it fits elsewhere".to_owned()),
        Readiness::Blocked(why) => (wit::Readiness::Blocked, why),
    };
    wit::Candidate { host: candidate.host.to_string(), readiness, why }
}

pub(crate) fn placement((instance, to): place::Placement) -> wit::Placement {
    wit::Placement { instance: instance.to_string(), to: to.to_string() }
}

pub(crate) fn assignment(assignment: &Assignment) -> wit_action::Assignment {
    wit_action::Assignment {
        key: assignment.key.clone(),
        session: assignment.session.clone(),
        stage: assignment.stage.clone(),
        host: assignment.host.as_ref().map(HostId::to_string),
        metadata: assignment.metadata.clone(),
    }
}

pub(crate) fn again(again: wit_action::Again) -> Progress {
    Progress::Again {
        after: Millis(u64::from(again.after_ms)),
        checkpoint: again.checkpoint,
        percent: again.percent.min(100),
    }
}

pub(crate) fn host_status(host: Host) -> wit_cloud::HostStatus {
    wit_cloud::HostStatus {
        id: host.id.to_string(),
        up: host.up,
        boot: host.boot,
        in_service: host.service == Service::Enabled,
    }
}

pub(crate) fn cloud_error(error: CloudError) -> wit_cloud::Error {
    match error {
        CloudError::Refused(why) => wit_cloud::Error::Refused(why),
        CloudError::NotFound(what) => wit_cloud::Error::NotFound(what),
        CloudError::Unclear(why) => wit_cloud::Error::Unclear(why),
    }
}
