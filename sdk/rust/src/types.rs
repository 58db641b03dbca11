//! Words that workflows and the host share; see `wit/types.wit`.

pub use crate::bindings::workflow::fenix::plugin::types::{
    AskDecision, AskId, AskKind, AskStatus, Condition, Decision, GroupId, HostId, HostKind, HostStage,
    InstanceId, MoveDecision, MoveHow, NoteDecision, Phase, Policy, ProjectId, Refusal, Subject, Target,
    Time,
};
