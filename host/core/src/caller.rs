//! Who asks for something: what the door found out about a caller, and what is noted of what they had done.

use serde::{Deserialize, Serialize};

use crate::id::{ProjectId, SessionId};

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// What concerns one project: the manager of an application.
    Project(ProjectId),
    /// Look, and change nothing.
    Reader,
}

impl Role {
    /// The role's word.
    pub fn word(&self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Project(_) => "project",
            Role::Reader => "reader",
        }
    }

    /// True if this caller may see and change what belongs to that project.
    pub fn owns(&self, project: &ProjectId) -> bool {
        match self {
            Role::Administrator => true,
            Role::Project(own) => own == project,
            Role::Reader => false,
        }
    }
}

/// Somebody who asks for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Their name, as the tokens' file has it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The address that they called from; `None` if that is not known.
    pub from: Option<String>,
}

/// What somebody had done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// The kind of command, in one word.
    pub command: String,
    /// The session that it is about, if it is about one.
    pub session: Option<SessionId>,
    /// What it was about, in a few words.
    pub about: String,
}
