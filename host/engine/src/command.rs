//! What administrators and managers can ask of the engine, and what they are answered.
//!
//! Everything is already parsed and resolved: names of plug-ins to digests, calendars to points in time. The engine
//! answers a command only after the records that it made are on disk.

use fenix_core::ask::Reply;
use fenix_core::constraint::{Constrained, Constraint};
use fenix_core::grant::Grant;
use fenix_core::id::{AskId, Digest, HostId, InstanceId, ProjectId, SessionId, SubscriptionId};
use fenix_core::message::Subscription;
use fenix_core::package::{KeptPackage, PackageSpec};
use fenix_core::session::Plan;
use fenix_core::standing::{Attached, Template};

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
        /// What it brings. With any, the plan only names its plug-ins: they are pinned once all of it is here.
        packages: Vec<PackageSpec>,
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
    /// A manager's answer that names the question: it is for that one or for none.
    ReplyTo {
        /// Which session.
        session: SessionId,
        /// Whose.
        project: ProjectId,
        /// Only about this instance, if the reply came on an instance's own path.
        instance: Option<InstanceId>,
        /// The question.
        ask: AskId,
        /// What it said.
        reply: Reply,
    },
    /// State what is to be respected about an instance or a group, or replace what was stated.
    Constrain {
        /// What.
        constraint: Constraint,
    },
    /// Take a statement back. One that is not there is idle.
    Unconstrain {
        /// What it was about.
        about: Constrained,
    },
    /// Let new sessions name a plug-in, whose component is kept already.
    AttachPlugin {
        /// Which.
        plugin: Attached,
    },
    /// Let new sessions no longer name a plug-in. Refused while one that goes on, or may be continued, has it; an unknown name is
    /// idle.
    DetachPlugin {
        /// Its name.
        name: String,
    },
    /// Let a component use what is named, and nothing else.
    Grant {
        /// What.
        grant: Grant,
        /// The name that it goes by, for the audit; empty if it is not known yet.
        name: String,
    },
    /// Let a component use nothing any longer, from its next call on. One that may not use anything is idle.
    Revoke {
        /// Which.
        digest: Digest,
        /// The name that it goes by, for the audit; empty if it is not known.
        name: String,
    },
    /// Keep a package whose content is here already.
    KeepPackage {
        /// Which.
        package: KeptPackage,
    },
    /// Keep a package no longer. Refused while a session brings it; an unknown one is idle.
    DropPackage {
        /// Its content.
        digest: Digest,
    },
    /// Keep a value for the actions of a session that are of one plug-in, or forget it.
    KeepValue {
        /// The session.
        session: SessionId,
        /// The plug-in's name.
        plugin: String,
        /// The key.
        key: String,
        /// The value; `None` = forget it.
        value: Option<String>,
    },
    /// Save a template, or replace the one of that name.
    SaveTemplate {
        /// Which.
        template: Template,
    },
    /// Remove a template. An unknown name is idle.
    RemoveTemplate {
        /// Its name.
        name: String,
    },
    /// An administrator has put a host right that was left out: where work was begun it counts as done, and the host
    /// is given back; else its session takes it in its turn again. A host that is not left out is idle.
    ClearQuarantine {
        /// Which.
        host: HostId,
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

impl Command {
    /// True for what brings things to an end, or answers a question: it is taken while nothing new is begun.
    pub(crate) fn is_taken_while_held(&self) -> bool {
        match self {
            Command::Pause { .. }
            | Command::Delete { .. }
            | Command::Reply { .. }
            | Command::ReplyTo { .. }
            | Command::Unsubscribe { .. }
            | Command::KeepValue { .. }
            | Command::Revoke { .. } => true,
            Command::Open { .. }
            | Command::Continue { .. }
            | Command::Constrain { .. }
            | Command::Unconstrain { .. }
            | Command::AttachPlugin { .. }
            | Command::DetachPlugin { .. }
            | Command::Grant { .. }
            | Command::KeepPackage { .. }
            | Command::DropPackage { .. }
            | Command::SaveTemplate { .. }
            | Command::RemoveTemplate { .. }
            | Command::ClearQuarantine { .. }
            | Command::Subscribe { .. } => false,
        }
    }
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
    /// The caller may not have that done; by name.
    #[error("{0} may see and change only what is its own; use the token of somebody who may")]
    Foreign(String),
    /// The infrastructure has no such host.
    #[error("the cloud has no host {0}")]
    NoHost(HostId),
    /// Fenix itself runs on the host, and the session's terms do not allow for it.
    #[error(
        "Fenix itself runs on {0}; say `own_host = true` in the session's terms (`--term own_host=true`) to have it maintained as the last one, or leave it out"
    )]
    OwnHost(HostId),
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
    /// A session goes on with the plug-in.
    #[error(
        "session {by} needs plug-in {name}; detach it when that session is over or deleted, or attach another one of its name"
    )]
    Needed {
        /// The plug-in's name.
        name: String,
        /// The session.
        by: SessionId,
    },
    /// A session brings the package.
    #[error("session {by} brings package {digest}; it can go when that session is deleted")]
    Brought {
        /// The package's content.
        digest: Digest,
        /// The session.
        by: SessionId,
    },
    /// A value cannot be kept.
    #[error("value {key:?} of {plugin} cannot be kept: {why}")]
    NoValue {
        /// The plug-in's name.
        plugin: String,
        /// The key.
        key: String,
        /// Why not.
        why: String,
    },
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
    /// The journal cannot be relied on: only what brings things to an end is taken.
    #[error("nothing new is begun: {0}; sessions can be paused and deleted, see /readyz")]
    Held(String),
    /// The journal cannot be written: nothing new is taken.
    #[error("the journal cannot be written; see /readyz")]
    Broken,
}
