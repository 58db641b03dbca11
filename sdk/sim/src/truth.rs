//! What really happened, in order: the one thing that checkers read.
//!
//! It holds what the simulated cloud did ([`Truth::Cloud`]), what left Fenix and what came in, as seen from outside
//! of it, and what managers and administrators did. Nothing in it comes from the journal or from the engine's state,
//! so that a fault there cannot hide itself.

use std::fmt;

use crate::scenario::Stated;
use fenix_cloud::sim::trace::{Actor, Happening, TraceEvent};
use fenix_core::ask::{AskKind, MoveHow, Reply};
use fenix_core::id::{AskId, HostId, InstanceId, MessageId, ProjectId, SessionId, SubscriptionId};
use fenix_core::message::{Content, Subscription};
use fenix_core::time::Time;
use fenix_engine::command::Answer;
use fenix_engine::event::CallId;
use fenix_engine::ports::{ActionCall, CloudCall};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// What.
    pub what: Truth,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// The cloud changed, or refused to.
    Cloud(Happening, Actor),
    /// Fenix sent a call that changes the cloud.
    Sent {
        /// The run of the engine that sent it, from 1.
        life: u32,
        /// Its name in that run.
        id: CallId,
        /// The call.
        call: CloudCall,
    },
    /// The result of a call that changes the cloud reached Fenix.
    Answered {
        /// The run of the engine that sent it.
        life: u32,
        /// Its name in that run.
        id: CallId,
    },
    /// Fenix called an action.
    ActionCalled {
        /// The run of the engine that called it.
        life: u32,
        /// The call's name in that run.
        id: CallId,
        /// Whose action list it is from.
        session: SessionId,
        /// What for.
        errand: Errand,
        /// On which host; `None` before the first and after the last one.
        host: Option<HostId>,
        /// The same for every call of this piece of work.
        key: String,
    },
    /// A called action sent a call that changes the cloud.
    ActionSent {
        /// On which host it works.
        host: Option<HostId>,
        /// The call.
        call: CloudCall,
    },
    /// An action's call returned to Fenix.
    ActionReturned {
        /// The run of the engine that called it.
        life: u32,
        /// The call's name in that run.
        id: CallId,
        /// Whose action list it is from.
        session: SessionId,
        /// What for.
        errand: Errand,
        /// On which host.
        host: Option<HostId>,
        /// The same for every call of this piece of work.
        key: String,
        /// How far it is.
        end: ActionEnd,
    },
    /// An attempt to fetch what a session brings ended.
    Fetched {
        /// Whose.
        session: SessionId,
        /// True if all of it came.
        came: bool,
    },
    /// Fenix tried to deliver a message.
    Attempted {
        /// To whom.
        to: SubscriptionId,
        /// From which session.
        session: SessionId,
        /// Which.
        message: MessageId,
        /// What it says.
        content: Content,
        /// The question, if it is one.
        ask: Option<Asked>,
        /// True if it is in the receiver's inbox now.
        taken: bool,
    },
    /// A manager sent an answer.
    Replied {
        /// About which session.
        session: SessionId,
        /// Whose manager.
        project: ProjectId,
        /// The question that it has in mind.
        ask: Asked,
        /// What it says.
        reply: Reply,
    },
    /// Somebody sent a command that is no answer to a question.
    Commanded(Want),
    /// Fenix answered that command.
    Told(Want, Result<Answer, String>),
    /// Fenix was killed.
    Killed,
    /// Fenix started again.
    Started,
    /// The journal took nothing: Fenix gave up what it had in memory alone, and goes on as if it had been killed.
    JournalFailed,
    /// Fenix opened its journal again, with nothing of its own under way.
    Reopened,
    /// True if Fenix begins nothing in any session from now on, false if it does again.
    Held(bool),
    /// Fenix panicked: a bug.
    Panicked(String),
    /// Fenix does not come to rest: a bug.
    Spins(String),
    /// What is done to Fenix and the cloud on purpose ends here.
    Calm,
    /// The clock of Fenix's machine was set, by so many milliseconds.
    ClockSet(i64),
}

/// What an action is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errand {
    /// To do its work.
    Work,
    /// To say whether a host is to be worked on.
    Assess,
    /// To say whether it may go on after a host.
    Gate,
    /// To take back what it did.
    Undo,
}

impl Errand {
    /// All of them.
    pub(crate) const ALL: [Errand; 4] = [Errand::Work, Errand::Assess, Errand::Gate, Errand::Undo];

    /// In a word or two.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Errand::Work => "action",
            Errand::Assess => "assessment",
            Errand::Gate => "gate",
            Errand::Undo => "undoing",
        }
    }
}

impl From<&ActionCall> for Errand {
    fn from(call: &ActionCall) -> Errand {
        match call {
            ActionCall::Run => Errand::Work,
            ActionCall::Assess => Errand::Assess,
            ActionCall::Gate => Errand::Gate,
            ActionCall::Undo { .. } => Errand::Undo,
        }
    }
}

/// How a call of an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionEnd {
    /// The action is finished; as an assessment or a gate it is for going on.
    Done,
    /// Nothing is to be done on the host.
    NotNeeded,
    /// It must not go on.
    Stop,
    /// It wants to be called again.
    Again,
    /// It failed.
    Failed(String),
}

/// A question, as its receiver reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number in the session.
    pub id: AskId,
    /// What is asked.
    pub kind: AskKind,
    /// The host that the instances shall leave.
    pub host: Option<HostId>,
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// How often it was asked.
    pub round: u32,
}

/// What administrators want, and managers besides answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Make that session; its plan stands in the scenario.
    Open(SessionId),
    /// Hold it.
    Pause(SessionId),
    /// Let it go on.
    Continue(SessionId),
    /// Close and remove it.
    Delete(SessionId),
    /// Have messages sent.
    Subscribe(Subscription),
    /// Have something respected.
    State(Stated),
}

impl Want {
    /// The session that it is about, if it is about one that is there.
    pub(crate) fn about(&self) -> Option<&SessionId> {
        match self {
            Want::Open(session) | Want::Pause(session) | Want::Continue(session) | Want::Delete(session) => {
                Some(session)
            }
            Want::Subscribe(_) | Want::State(_) => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}  {}", self.at.0 as f64 / 1000.0, self.what)
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Truth::Cloud(what, by) => write!(f, "cloud     {} ({})", happening(what), actor(*by)),
            Truth::Sent { call, id, .. } => write!(f, "fenix  -> {} (call {})", call_text(call), id.0),
            Truth::Answered { id, .. } => write!(f, "fenix  <- answer to call {}", id.0),
            Truth::ActionCalled { key, errand, .. } => write!(f, "fenix  -> {} {key}", errand.words()),
            Truth::ActionSent { call, .. } => write!(f, "action -> {}", call_text(call)),
            Truth::ActionReturned { key, errand, end, .. } => {
                write!(f, "fenix  <- {} {key}: {end:?}", errand.words())
            }
            Truth::Attempted { to, content, ask, taken, .. } => {
                let fate = if *taken { "" } else { " (not taken)" };
                match ask {
                    Some(ask) => write!(f, "fenix  -> {to}: {ask}{fate}"),
                    None => write!(f, "fenix  -> {to}: {}{fate}", content_text(content)),
                }
            }
            Truth::Fetched { session, came } => {
                write!(f, "fenix  <- what {session} brings {}", if *came { "came" } else { "does not come" })
            }
            Truth::Replied { project, ask, reply, .. } => {
                let verb = if reply.agrees { "ACK" } else { "NACK" };
                write!(f, "{project} -> fenix: {verb} to {ask}{}", actions_text(reply))
            }
            Truth::Commanded(want) => write!(f, "admin  -> fenix: {want}"),
            Truth::Told(want, Ok(answer)) => write!(f, "admin  <- fenix: {want}: {answer:?}"),
            Truth::Told(want, Err(why)) => write!(f, "admin  <- fenix: {want}: refused: {why}"),
            Truth::Killed => f.write_str("fenix is killed"),
            Truth::Started => f.write_str("fenix starts"),
            Truth::JournalFailed => f.write_str("fenix's journal takes nothing: the disk is full"),
            Truth::Reopened => f.write_str("fenix opens its journal again"),
            Truth::Held(true) => f.write_str("fenix holds everything"),
            Truth::Held(false) => f.write_str("fenix lets everything go on"),
            Truth::Panicked(why) => write!(f, "fenix panicked: {why}"),
            Truth::Spins(why) => write!(f, "fenix does not come to rest: {why}"),
            Truth::ClockSet(by) => write!(f, "fenix's clock is set by {:.3} s", *by as f64 / 1000.0),
            Truth::Calm => f.write_str("from here on nothing goes wrong by itself"),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.wire())?;
        if let Some(host) = &self.host {
            let names: Vec<&str> = self.instances.iter().map(InstanceId::as_str).collect();
            write!(f, " about {host} [{}]", names.join(" "))?;
        }
        match self.round {
            1 => Ok(()),
            round => write!(f, ", round {round}"),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Open(session) => write!(f, "open {}", short(session)),
            Want::Pause(session) => write!(f, "pause {}", short(session)),
            Want::Continue(session) => write!(f, "continue {}", short(session)),
            Want::Delete(session) => write!(f, "delete {}", short(session)),
            Want::Subscribe(subscription) => write!(f, "subscribe {}", subscription.id),
            Want::State(Stated::That(constraint)) => write!(f, "state {constraint:?}"),
            Want::State(Stated::NoLonger(about)) => write!(f, "take back what was stated about {about:?}"),
        }
    }
}

/// The last part of a session's id: what tells sessions of one scenario apart.
fn short(session: &SessionId) -> &str {
    session.as_str().trim_start_matches(['0', '-'])
}

fn actor(by: Actor) -> &'static str {
    match by {
        Actor::Client => "fenix",
        Actor::Other => "others",
        Actor::Setup => "set up",
    }
}

fn actions_text(reply: &Reply) -> String {
    if reply.actions.is_empty() {
        return String::new();
    }
    let one = |(id, how): (&InstanceId, &MoveHow)| format!(" {id}={}", how.wire());
    reply.actions.iter().map(one).collect()
}

/// A message that is no question, in a few words.
pub(crate) fn content_text(content: &Content) -> String {
    match content {
        Content::Ask(ask) => format!("question {ask}"),
        Content::AskInstance(ask, instance) => format!("question {ask} about {instance}"),
        Content::ActionDone(instance) => format!("INSTANCE_ACTION_DONE {instance}"),
        Content::ActionFallback(instance) => format!("INSTANCE_ACTION_FALLBACK {instance}"),
        Content::Host { host, in_maintenance: true } => format!("{host} IN_MAINTENANCE"),
        Content::Host { host, in_maintenance: false } => format!("{host} MAINTENANCE_COMPLETE"),
        Content::Session { state, percent } => format!("{} {percent} %", state.wire()),
    }
}

/// A call in a few words.
pub(crate) fn call_text(call: &CloudCall) -> String {
    match call {
        CloudCall::ReadAll => "read all".into(),
        CloudCall::ReadHost { host } => format!("read host {host}"),
        CloudCall::ReadInstance { instance } => format!("read instance {instance}"),
        CloudCall::Disable { host, .. } => format!("disable {host}"),
        CloudCall::Enable { host } => format!("enable {host}"),
        CloudCall::Migrate { instance, to } => format!("migrate {instance} to {to}"),
        CloudCall::LiveMigrate { instance, to } => format!("live-migrate {instance} to {to}"),
        CloudCall::Confirm { instance } => format!("confirm {instance}"),
        CloudCall::Revert { instance } => format!("revert {instance}"),
        CloudCall::AbortLive { instance } => format!("abort live move of {instance}"),
        CloudCall::CompleteLive { instance } => format!("complete live move of {instance}"),
        CloudCall::Evacuate { instance, to } => format!("evacuate {instance} to {to}"),
        CloudCall::Reboot { host, .. } => format!("reboot {host}"),
        CloudCall::Boot { instance } => format!("boot {}", instance.id),
        CloudCall::Delete { instance } => format!("delete {instance}"),
        CloudCall::Resize { instance, .. } => format!("resize {instance}"),
    }
}

fn happening(what: &Happening) -> String {
    match what {
        Happening::HostAdded { host } => format!("{} is there: {:?}", host.id, host.kind),
        Happening::HostDisabled { host, reason } => format!("{host} disabled: {reason}"),
        Happening::HostEnabled { host } => format!("{host} enabled"),
        Happening::HostRebooting { host } => format!("{host} goes down to come back"),
        Happening::HostDown { host, why } => format!("{host} is down: {why}"),
        Happening::HostUp { host, boot } => format!("{host} is up: {boot}"),
        Happening::GroupSet { group } => {
            format!("group {} bears {} out", group.id, group.max_impacted_members)
        }
        Happening::InstanceAdded { instance } => format!("{} is there, on {}", instance.id, instance.host),
        Happening::InstanceBooted { instance } => format!("{instance} runs"),
        Happening::InstanceDeleted { instance } => format!("{instance} is gone"),
        Happening::InstanceResized { instance, .. } => format!("{instance} was resized"),
        Happening::InstanceBroke { instance, why } => format!("{instance} broke: {why}"),
        Happening::InstanceStopped { instance, why } => format!("{instance} stopped: {why}"),
        Happening::InstanceStarted { instance } => format!("{instance} started"),
        Happening::OutOfService { instance, .. } => format!("{instance} serves no more"),
        Happening::InService { instance, .. } => format!("{instance} serves"),
        Happening::ClaimTaken { instance, host, resources } => {
            format!("{instance} holds {} vcpus on {host}", resources.vcpus)
        }
        Happening::ClaimFreed { instance, host } => format!("{instance} holds nothing on {host}"),
        Happening::MoveStarted { instance, from, to, kind } => {
            format!("{kind:?} move of {instance} {from} -> {to}")
        }
        Happening::MoveShownOver { instance } => format!("move of {instance} shows as over"),
        Happening::MoveEnded { instance, host, end, .. } => {
            format!("move of {instance}: {end:?}, now on {host}")
        }
        Happening::MoveConfirmed { instance, host } => format!("move of {instance} to {host} confirmed"),
        Happening::Refused { call, error, quietly } => {
            let quietly = if *quietly { "quietly " } else { "" };
            format!("{quietly}refused {}: {error}", call_text(call))
        }
    }
}

impl From<TraceEvent> for Entry {
    fn from(event: TraceEvent) -> Entry {
        Entry { at: event.at, what: Truth::Cloud(event.what, event.by) }
    }
}
