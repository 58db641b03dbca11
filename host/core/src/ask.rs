//! Questions to application managers, and how their answers find them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AskId, HostId, InstanceId, ProjectId};
use crate::time::{Millis, Time};

/// What is asked; the wire states of `maintenance.scheduled` that want a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AskKind {
    /// A session begins: be ready.
    Maintenance,
    /// There is no room: give some back.
    ScaleIn,
    /// Instances will leave this host, to make the first one empty.
    PrepareMaintenance,
    /// Instances will leave this host, the next in turn.
    PlannedMaintenance,
    /// All done: scale back out.
    MaintenanceComplete,
}

impl AskKind {
    /// The state's name on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            AskKind::Maintenance => "MAINTENANCE",
            AskKind::ScaleIn => "SCALE_IN",
            AskKind::PrepareMaintenance => "PREPARE_MAINTENANCE",
            AskKind::PlannedMaintenance => "PLANNED_MAINTENANCE",
            AskKind::MaintenanceComplete => "MAINTENANCE_COMPLETE",
        }
    }

    /// True if the answer names a [`MoveHow`] for each instance.
    pub fn wants_actions(self) -> bool {
        matches!(self, AskKind::PrepareMaintenance | AskKind::PlannedMaintenance)
    }

    /// All kinds, in the order of a session.
    pub const ALL: [AskKind; 5] = [
        AskKind::Maintenance,
        AskKind::ScaleIn,
        AskKind::PrepareMaintenance,
        AskKind::PlannedMaintenance,
        AskKind::MaintenanceComplete,
    ];
}

/// What shall happen to an instance, as its manager chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MoveHow {
    /// Cold: stop, move, start.
    Migrate,
    /// Live, with fallback to cold told to the manager.
    LiveMigrate,
    /// The manager does it by itself: re-creates the instance elsewhere, or removes it.
    OwnAction,
}

impl MoveHow {
    /// The action's name on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            MoveHow::Migrate => "MIGRATE",
            MoveHow::LiveMigrate => "LIVE_MIGRATE",
            MoveHow::OwnAction => "OWN_ACTION",
        }
    }

    /// In the order in which they are offered (contract row PREPARE_MAINTENANCE).
    pub const ALL: [MoveHow; 3] = [MoveHow::Migrate, MoveHow::LiveMigrate, MoveHow::OwnAction];
}

/// How a question stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskStatus {
    /// Nobody answered yet.
    Open,
    /// The manager agrees. Consent, never evidence: capacity and place are read again.
    Acked {
        /// What shall happen to each instance, for the kinds that want it.
        actions: BTreeMap<InstanceId, MoveHow>,
    },
    /// The manager says no.
    Nacked,
    /// Nobody answered in time.
    Expired,
    /// It could not be delivered in time.
    Undelivered,
    /// It was withdrawn: the session is being closed.
    Void,
}

impl AskStatus {
    /// The status in one word, as the API and the figures have it.
    pub fn word(&self) -> &'static str {
        match self {
            AskStatus::Open => "open",
            AskStatus::Acked { .. } => "acked",
            AskStatus::Nacked => "nacked",
            AskStatus::Expired => "expired",
            AskStatus::Undelivered => "undelivered",
            AskStatus::Void => "void",
        }
    }
}

/// One question to one project's manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its number in the session.
    pub id: AskId,
    /// Whose manager is asked.
    pub project: ProjectId,
    /// What is asked.
    pub kind: AskKind,
    /// Counts how often this was asked about the same thing, from 1.
    pub round: u32,
    /// The instances that it is about; all of the project's in the session for the kinds without actions.
    pub instances: Vec<InstanceId>,
    /// The host that they shall leave.
    pub host: Option<HostId>,
    /// When it was decided.
    pub opened_at: Time,
    /// How long the manager may take.
    pub window: Millis,
    /// When it reached the manager; the window runs from here.
    pub delivered_at: Option<Time>,
    /// The last moment to answer, or before delivery the last moment to be delivered.
    pub reply_by: Time,
    /// What was chosen for single instances so far, by a manager that answers about each by itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chosen: BTreeMap<InstanceId, MoveHow>,
    /// How it stands.
    pub status: AskStatus,
    /// When it left `Open`.
    pub ended_at: Option<Time>,
}

impl Ask {
    /// True while an answer is awaited.
    pub fn is_open(&self) -> bool {
        self.status == AskStatus::Open
    }

    /// Since when its manager has surely heard of it, if it has: since it was delivered, or since an answer came before the
    /// delivery was confirmed.
    pub fn heard_at(&self) -> Option<Time> {
        let is_answered = matches!(self.status, AskStatus::Acked { .. } | AskStatus::Nacked);
        self.delivered_at.or(self.ended_at.filter(|_| is_answered))
    }

    /// What the manager chose for an instance, if it agreed.
    pub fn consent(&self, instance: &InstanceId) -> Option<MoveHow> {
        match &self.status {
            AskStatus::Acked { actions } => actions.get(instance).copied(),
            AskStatus::Open
            | AskStatus::Nacked
            | AskStatus::Expired
            | AskStatus::Undelivered
            | AskStatus::Void => None,
        }
    }
}

/// What a manager sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// To which question.
    pub kind: AskKind,
    /// `ACK_` or `NACK_`.
    pub agrees: bool,
    /// What shall happen to each instance.
    pub actions: BTreeMap<InstanceId, MoveHow>,
}
