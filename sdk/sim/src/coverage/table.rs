//! Everything there is to be counted. The words of each enum come out of a match that names every case, so that a new
//! case has to be counted, too.

use std::fmt;

use fenix_core::ask::{AskKind, AskStatus, MoveHow};
use fenix_core::blocker::What;
use fenix_core::decision::Decision;
use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::policy::{Policies, Policy};
use fenix_core::rules::Rule;
use fenix_core::session::{Close, Condition, HostStage, Phase, Target};
use serde::{Deserialize, Serialize};

use super::Fault;
use super::reasons;
use crate::truth::{ActionEnd, Errand, Truth};

/// What kind of thing is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Table {
    /// Something went wrong.
    Fault,
    /// A rule refused a decision.
    Refusal,
    /// A rule withdrew an effect, because the world had changed.
    Withdrawal,
    /// An effect ended.
    Effect,
    /// A question was asked, or ended.
    Ask,
    /// There was trouble in a session whose terms say what then.
    Policy,
    /// Something was in the way.
    Blocker,
    /// A session entered a phase.
    Phase,
    /// A session came into a condition.
    Condition,
    /// A host entered a stage.
    Stage,
    /// A call of an action returned.
    Said,
}

/// One thing that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// What kind of thing.
    pub table: Table,
    /// Which.
    pub words: String,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 11] = [
        Table::Fault,
        Table::Refusal,
        Table::Withdrawal,
        Table::Effect,
        Table::Ask,
        Table::Policy,
        Table::Blocker,
        Table::Phase,
        Table::Condition,
        Table::Stage,
        Table::Said,
    ];

    /// What it counts, for people.
    pub fn title(self) -> &'static str {
        match self {
            Table::Fault => "Faults",
            Table::Refusal => "Decisions refused, by rule",
            Table::Withdrawal => "Effects withdrawn at dispatch, by rule",
            Table::Effect => "Effects, by outcome",
            Table::Ask => "Questions, by end",
            Table::Policy => "Trouble, by the policy for it",
            Table::Blocker => "Blockers",
            Table::Phase => "Phases entered",
            Table::Condition => "Conditions of sessions",
            Table::Stage => "Stages of hosts",
            Table::Said => "What actions say",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.table, self.words)
    }
}

/// Everything there is to be counted, in the order of the tables.
pub fn rows() -> Vec<Row> {
    let rules: Vec<String> = Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let kinds: Vec<&str> = AskKind::ALL.iter().map(|kind| kind.wire()).collect();
    let faults: Vec<&str> = Fault::ALL.iter().map(|fault| fault.words()).collect();
    let of = |table: Table, words: &[&str]| {
        words.iter().map(|words| Row { table, words: (*words).to_owned() }).collect::<Vec<_>>()
    };
    let each = |table: Table, first: &[&str], then: &[&str]| {
        let row = |a: &&str, b: &&str| Row { table, words: format!("{a}, {b}") };
        first.iter().flat_map(|a| then.iter().map(move |b| row(a, b))).collect::<Vec<_>>()
    };
    [
        of(Table::Fault, &faults),
        each(Table::Refusal, &rules, DECISIONS),
        of(Table::Withdrawal, &rules),
        each(Table::Effect, EFFECTS, OUTCOMES),
        each(Table::Ask, &kinds, STATUSES),
        each(Table::Policy, TROUBLES, POLICIES),
        of(Table::Blocker, BLOCKERS),
        of(Table::Phase, PHASES),
        of(Table::Condition, CONDITIONS),
        of(Table::Stage, STAGES),
        each(Table::Said, &Errand::ALL.map(Errand::words), SAID),
    ]
    .concat()
}

/// Why something cannot be met; `None` if it can.
pub fn reason(row: &Row) -> Option<&'static str> {
    reasons::reason(row)
}

/// True for what may be met and need not.
pub(super) fn is_seldom(row: &Row) -> bool {
    reasons::is_seldom(row)
}

/// One of the kinds of trouble that terms have a policy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Silence,
    Nack,
    Unmanaged,
    FailedMove,
    FailedAction,
}

impl Trouble {
    /// What the terms say about it. Names every field: a new policy is a new kind of trouble.
    fn policy(self, policies: &Policies) -> &Policy {
        let Policies { silence, nack, unmanaged, failed_move, failed_action, slow_live: _ } = policies;
        match self {
            Trouble::Silence => silence,
            Trouble::Nack => nack,
            Trouble::Unmanaged => unmanaged,
            Trouble::FailedMove => failed_move,
            Trouble::FailedAction => failed_action,
        }
    }
}

/// The words for every case of an enum, and the list of all of them.
macro_rules! words {
    ($name:ident, $all:ident, $type:ty { $($case:pat => $words:literal),+ $(,)? }) => {
        fn $name(it: &$type) -> &'static str {
            match it {
                $($case => $words),+
            }
        }

        const $all: &[&str] = &[$($words),+];
    };
}

words!(decision, DECISIONS, Decision {
    Decision::Ask { .. } => "ask",
    Decision::Fence { .. } => "fence",
    Decision::Release { .. } => "release",
    Decision::Move { .. } => "move",
    Decision::Work { .. } => "work",
    Decision::Enter { .. } => "enter",
    Decision::Quarantine { .. } => "quarantine",
    Decision::Fail => "fail",
    Decision::Note { .. } => "note",
});

words!(effect_kind, EFFECTS, EffectKind {
    EffectKind::Fence { .. } => "fence",
    EffectKind::Release { .. } => "release",
    EffectKind::Move { how: MoveHow::Migrate | MoveHow::OwnAction, .. } => "cold move",
    EffectKind::Move { how: MoveHow::LiveMigrate, .. } => "live move",
    EffectKind::Work { target: Target::Pre } => "work before the first host",
    EffectKind::Work { target: Target::Host(_) } => "work on a host",
    EffectKind::Work { target: Target::Post } => "work after the last host",
    EffectKind::Work { target: Target::Assess(_) } => "assessment of a host",
    EffectKind::Work { target: Target::Gate(_) } => "gate after a host",
    EffectKind::Work { target: Target::Undo(_) } => "undoing on a host",
});

words!(outcome, OUTCOMES, Outcome {
    Outcome::Done => "done",
    Outcome::Failed { .. } => "failed",
    Outcome::Withdrawn { .. } => "withdrawn",
    Outcome::Unknown { .. } => "unknown",
});

words!(status, STATUSES, AskStatus {
    AskStatus::Open => "asked",
    AskStatus::Acked { .. } => "acked",
    AskStatus::Nacked => "nacked",
    AskStatus::Expired => "expired",
    AskStatus::Undelivered => "undelivered",
    AskStatus::Void => "void",
});

words!(trouble, TROUBLES, Trouble {
    Trouble::Silence => "silence",
    Trouble::Nack => "nack",
    Trouble::Unmanaged => "unmanaged",
    Trouble::FailedMove => "failed move",
    Trouble::FailedAction => "failed action",
});

words!(policy_words, POLICIES, Policy {
    Policy::Retry => "retry",
    Policy::Wait => "wait",
    Policy::Skip => "skip",
    Policy::Stop => "stop",
    Policy::Force => "force",
});

words!(blocker_words, BLOCKERS, What {
    What::Reply => "reply",
    What::ManagerUnreachable => "manager-unreachable",
    What::Effect => "effect",
    What::OutcomeUnknown => "outcome-unknown",
    What::Refused => "refused",
    What::Workflow => "workflow",
    What::Quarantined => "quarantined",
    What::Packages => "packages",
    What::Parked => "parked",
    What::Paused => "paused",
    What::Failed => "failed",
    What::Closing => "closing",
    What::Held => "held",
});

words!(phase_words, PHASES, Phase {
    Phase::Maintenance => "MAINTENANCE",
    Phase::ScaleIn => "SCALE_IN",
    Phase::PrepareMaintenance => "PREPARE_MAINTENANCE",
    Phase::StartMaintenance => "START_MAINTENANCE",
    Phase::PlannedMaintenance => "PLANNED_MAINTENANCE",
    Phase::MaintenanceComplete => "MAINTENANCE_COMPLETE",
    Phase::MaintenanceDone => "MAINTENANCE_DONE",
    Phase::MaintenanceFailed => "MAINTENANCE_FAILED",
});

words!(condition_words, CONDITIONS, Condition {
    Condition::Running => "running",
    Condition::Paused => "paused",
    Condition::Parked { .. } => "parked",
    Condition::Closing { why: Close::Done } => "closing, done",
    Condition::Closing { why: Close::Failed } => "closing, failed",
    Condition::Closing { why: Close::Deleted } => "closing, deleted",
    Condition::Ended => "ended",
});

words!(stage_words, STAGES, HostStage {
    HostStage::Waiting => "waiting",
    HostStage::Fenced => "fenced",
    HostStage::Working => "working",
    HostStage::Worked => "worked",
    HostStage::Maintained => "maintained",
    HostStage::Quarantined { begun: false, .. } => "quarantined, as found",
    HostStage::Quarantined { begun: true, .. } => "quarantined, work begun",
});

words!(said_words, SAID, ActionEnd {
    ActionEnd::Done => "done",
    ActionEnd::Again => "again",
    ActionEnd::NotNeeded => "not needed",
    ActionEnd::Stop => "stop",
    ActionEnd::Failed(_) => "failed",
});

fn row(table: Table, words: impl Into<String>) -> Row {
    Row { table, words: words.into() }
}

pub(super) fn fault(fault: Fault) -> Row {
    row(Table::Fault, fault.words())
}

pub(super) fn refusal(rule: Rule, refused: &Decision) -> Row {
    row(Table::Refusal, format!("{rule:?}, {}", decision(refused)))
}

pub(super) fn withdrawal(rule: Rule) -> Row {
    row(Table::Withdrawal, format!("{rule:?}"))
}

pub(super) fn effect(kind: &EffectKind, end: &Outcome) -> Row {
    row(Table::Effect, format!("{}, {}", effect_kind(kind), outcome(end)))
}

pub(super) fn ask(kind: AskKind, how: &AskStatus) -> Row {
    row(Table::Ask, format!("{}, {}", kind.wire(), status(how)))
}

pub(super) fn policy(what: Trouble, policies: &Policies) -> Row {
    row(Table::Policy, format!("{}, {}", trouble(&what), policy_words(what.policy(policies))))
}

pub(super) fn blocker(what: What) -> Row {
    row(Table::Blocker, blocker_words(&what))
}

pub(super) fn phase(phase: Phase) -> Row {
    row(Table::Phase, phase_words(&phase))
}

pub(super) fn condition(condition: &Condition) -> Row {
    row(Table::Condition, condition_words(condition))
}

/// What an entry of the truth tells of an action's call.
pub(super) fn said(what: &Truth) -> Option<Row> {
    let Truth::ActionReturned { errand, end, .. } = what else { return None };
    Some(row(Table::Said, format!("{}, {}", errand.words(), said_words(end))))
}

pub(super) fn stage(stage: &HostStage) -> Row {
    row(Table::Stage, stage_words(stage))
}
