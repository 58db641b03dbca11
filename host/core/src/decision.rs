//! What a workflow can want.

use serde::{Deserialize, Serialize};

use crate::ask::{AskKind, MoveHow};
use crate::id::{AskId, HostId, InstanceId, ProjectId};
use crate::session::{Phase, Target};
use crate::time::Time;

/// One thing that a workflow wants. [`crate::rules`] say whether it may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Ask a project's manager. Asking the same again after the last ask ended makes a new round.
    Ask {
        /// Whose manager.
        project: ProjectId,
        /// What.
        kind: AskKind,
        /// The host that shall become empty, for the kinds that want actions; the instances are the project's there.
        host: Option<HostId>,
    },
    /// Let no new instances come to a host.
    Fence {
        /// The host.
        host: HostId,
    },
    /// Give a host back: in service if it was in service when the session found it.
    Release {
        /// The host.
        host: HostId,
    },
    /// Move an instance off its host.
    Move {
        /// The instance.
        instance: InstanceId,
        /// Its destination.
        to: HostId,
        /// Cold or live; never `OwnAction`, which is the manager's to do.
        how: MoveHow,
        /// The question whose answer allows it; `None` only where the terms allow to move without one.
        ask: Option<AskId>,
    },
    /// Run the session's actions for a target, all in their order.
    Work {
        /// On what.
        target: Target,
    },
    /// Enter a phase of the session.
    Enter {
        /// Which.
        phase: Phase,
    },
    /// Leave a host out of this session, with a reason that people will read.
    Quarantine {
        /// The host.
        host: HostId,
    },
    /// End the session as failed, with a reason that people will read.
    Fail,
    /// Remember a note.
    Note {
        /// Its key.
        key: String,
        /// Its value; `None` forgets it.
        value: Option<String>,
    },
}

/// A decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What is wanted.
    pub decision: Decision,
    /// Why, in a sentence for people.
    pub reason: String,
    /// Decisions that follow each other with the same number other than 0 are admitted together or not at all.
    pub group: u32,
}

/// What a workflow waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// For what, in a sentence for people.
    pub on: String,
    /// When to wake it at the latest.
    pub until: Option<Time>,
}

impl Decision {
    /// The decision in a few words.
    pub fn summary(&self) -> String {
        match self {
            Decision::Ask { project, kind, host } => {
                let host = host.as_ref().map(|host| format!(" about {host}")).unwrap_or_default();
                format!("ask {project} {}{host}", kind.wire())
            }
            Decision::Fence { host } => format!("fence {host}"),
            Decision::Release { host } => format!("release {host}"),
            Decision::Move { instance, to, how, .. } => format!("{} {instance} to {to}", how.wire()),
            Decision::Work { target } => format!("work on {}", target.name()),
            Decision::Enter { phase } => format!("enter {}", phase.wire()),
            Decision::Quarantine { host } => format!("quarantine {host}"),
            Decision::Fail => "fail".into(),
            Decision::Note { key, .. } => format!("note {key}"),
        }
    }
}
