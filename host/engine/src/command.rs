//! What administrators and managers can ask of the engine, and what they are answered.
//!
//! Everything is already parsed and resolved: names of plug-ins to digests, calendars to points in time. The engine
//! answers a command only after the records that it made are on disk.

use fenix_core::ask::Reply;
use fenix_core::id::{HostId, InstanceId, ProjectId, SessionId, SubscriptionId};
use fenix_core::message::Subscription;
use fenix_core::session::Plan;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a session and start it.
    Open {
        /// Its id, drawn by the caller: the engine draws nothing.
        id: SessionId,
        /// What is asked for.
        plan: Box<Plan>,
        /// Its hosts; empty = every host that the cloud has and no other session holds.
        hosts: Vec<HostId>,
    },
    /// Let a failed, parked or paused session go on.
    Continue {
        /// Which.
        session: SessionId,
    },
    /// Hold a session: nothing new is begun, what is in flight comes to its safe end.
    Pause {
        /// Which.
        session: SessionId,
    },
    /// Close a session and remove it when it is safe. Repeating it is idle; an unknown id is idle too.
    Delete {
        /// Which.
        session: SessionId,
    },
    /// A manager's answer about its project.
    Reply {
        /// Which session.
        session: SessionId,
        /// Whose.
        project: ProjectId,
        /// Only about this instance, if the reply came on an instance's own path.
        instance: Option<InstanceId>,
        /// What it said.
        reply: Reply,
    },
    /// Start a standing order for messages, or replace the one of that id.
    Subscribe {
        /// Who, which, where to.
        subscription: Subscription,
    },
    /// End a standing order. An unknown id is idle.
    Unsubscribe {
        /// Which.
        id: SubscriptionId,
    },
}

/// What a command was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done, and is on disk.
    Done,
    /// It had been done before, or there was nothing to do.
    Idle,
}

/// Why a command was refused. Nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such session.
    #[error("no session {0}; `fenix session list` shows those that there are")]
    NoSession(SessionId),
    /// The session has no such project.
    #[error("session {session} has no project {project}")]
    NoProject {
        /// The session.
        session: SessionId,
        /// The project.
        project: ProjectId,
    },
    /// The infrastructure has no such host.
    #[error("the cloud has no host {0}")]
    NoHost(HostId),
    /// No host is left for the session.
    #[error("no host to maintain: the cloud has none that no other session holds")]
    NoHosts,
    /// Another session holds the host.
    #[error("host {host} is held by session {by}; delete that session or leave the host out")]
    Leased {
        /// The host.
        host: HostId,
        /// The session that holds it.
        by: SessionId,
    },
    /// A session of that id is there already.
    #[error("session {0} exists already")]
    Exists(SessionId),
    /// There are too many sessions.
    #[error("{0} sessions are open, which is the most; delete one first")]
    TooMany(usize),
    /// The session is in a state in which that makes no sense.
    #[error("session {session} is {state}: {hint}")]
    WrongState {
        /// The session.
        session: SessionId,
        /// Its state or condition.
        state: String,
        /// What would make sense.
        hint: String,
    },
    /// The reply lacks something, or names something foreign.
    #[error("{0}")]
    BadReply(String),
    /// The cloud was not read yet since the start, so hosts cannot be checked.
    #[error("the cloud was not read yet; try again in a moment")]
    NotReady,
    /// The journal cannot be written: nothing new is taken.
    #[error("the journal cannot be written; see /readyz")]
    Broken,
}
