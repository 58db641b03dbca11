//! Admitted decisions on their way to the infrastructure, and how they ended.

use serde::{Deserialize, Serialize};

use crate::ask::MoveHow;
use crate::id::{AskId, EffectId, HostId, InstanceId};
use crate::rules::Rule;
use crate::session::Target;
use crate::time::Time;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Let no new instances come to a host.
    Fence {
        /// The host.
        host: HostId,
    },
    /// Give a host back as it was found.
    Release {
        /// The host.
        host: HostId,
    },
    /// Move an instance.
    Move {
        /// The instance.
        instance: InstanceId,
        /// Where it was when the move was admitted.
        from: HostId,
        /// Its destination.
        to: HostId,
        /// Cold or live.
        how: MoveHow,
        /// The question whose answer allows it.
        ask: Option<AskId>,
    },
    /// Run the actions for a target.
    Work {
        /// On what.
        target: Target,
    },
}

/// An admitted decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Its number in the session.
    pub id: EffectId,
    /// What is to be done.
    pub kind: EffectKind,
    /// Why, in a sentence for people.
    pub reason: String,
    /// When it was admitted.
    pub admitted_at: Time,
    /// When it is given up.
    pub deadline: Time,
    /// When a call for it last got no clear answer: what was sent then may still be done for `settle_time`.
    pub unclear_at: Option<Time>,
    /// Why nobody knows how it ended; its subject is frozen until somebody finds out.
    pub unknown: Option<String>,
}

/// What an effect is about; at most one effect per subject is in flight (R10).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A host.
    Host(HostId),
    /// An instance.
    Instance(InstanceId),
    /// The session itself, before its first or after its last host.
    Session(Target),
}

impl EffectKind {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            EffectKind::Fence { host } | EffectKind::Release { host } => Subject::Host(host.clone()),
            EffectKind::Work { target } => match target.host() {
                Some(host) => Subject::Host(host.clone()),
                None => Subject::Session(target.clone()),
            },
            EffectKind::Move { instance, .. } => Subject::Instance(instance.clone()),
        }
    }

    /// Its subject's name for people.
    pub fn subject_name(&self) -> String {
        match self.subject() {
            Subject::Host(host) => host.to_string(),
            Subject::Instance(instance) => instance.to_string(),
            Subject::Session(target) => target.name().to_owned(),
        }
    }

    /// Under which name failures in a row are counted: the instance of a move, the host of everything else.
    pub fn tries_key(&self) -> String {
        match self.subject() {
            Subject::Host(host) => format!("{} {host}", self.name()),
            Subject::Instance(instance) => format!("move {instance}"),
            Subject::Session(target) => format!("work {}", target.name()),
        }
    }

    /// A name for people and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            EffectKind::Fence { .. } => "fence",
            EffectKind::Release { .. } => "release",
            EffectKind::Move { .. } => "move",
            EffectKind::Work { target: Target::Pre | Target::Host(_) | Target::Post } => "work",
            EffectKind::Work { target: Target::Assess(_) } => "assess",
            EffectKind::Work { target: Target::Gate(_) } => "gate",
            EffectKind::Work { target: Target::Undo(_) } => "undo",
        }
    }
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As wanted, and seen to be so.
    Done,
    /// Not as wanted, and nothing of it is under way any more.
    Failed {
        /// Why.
        why: String,
    },
    /// Not begun: the world had changed between admission and dispatch.
    Withdrawn {
        /// Which rule no longer allowed it.
        rule: Rule,
        /// What was seen.
        seen: String,
    },
    /// Nobody knows. The subject is frozen; it is never sent again by itself.
    Unknown {
        /// Why nobody knows.
        why: String,
    },
}
