//! The one closed list of what can wake the engine, and what it orders.

use fenix_core::ask::Ask;
use fenix_core::caller::Caller;
use fenix_core::id::{Digest, SessionId};
use fenix_core::message::{Message, Subscription};
use fenix_core::package::PackageSpec;
use fenix_core::session::{Pin, Stage};
use fenix_core::time::{Millis, Time};
use fenix_core::view::{View, Wakeup};

use crate::command::{Answer, Command, CommandError};
use crate::ports::{ActionError, Assignment, Brought, CloudCall, CloudError, CloudReply, Progress, Said};

/// Names one order while its result is awaited; never reused within one run of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Names one command while its answer is awaited; drawn by whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What can wake the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants something. What a caller had done is noted; without one it was Fenix itself or a simulation.
    Command(Ticket, Option<Caller>, Command),
    /// The infrastructure answered [`Order::Call`].
    CloudReturned(CallId, Result<CloudReply, CloudError>),
    /// A receiver answered [`Order::Deliver`].
    Delivered(CallId, Result<(), DeliveryError>),
    /// An action returned from [`Order::RunAction`].
    ActionReturned(CallId, Result<Progress, ActionError>),
    /// What [`Order::Fetch`] asked for is here, and its plug-ins can run; or why not, for people.
    Fetched(CallId, Result<Brought, String>),
    /// The workflow decided what [`Order::Decide`] asks.
    Decided(CallId, Said),
    /// The clock was set forward by so much, as [`crate::clock::SteadyClock`] tells: nobody had this time.
    ClockJumped(Millis),
    /// The time that [`crate::Engine::next_due`] named has come.
    Tick,
}

/// Why one attempt to deliver a message failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The receiver refused it for good: a 4xx other than 408 and 429.
    #[error("the receiver refused it: {0}")]
    Rejected(String),
    /// Try again later.
    #[error("not delivered: {0}")]
    Unreachable(String),
}

/// Something to be done now that it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Call the infrastructure. Bring the result back within [`CALL_LIMIT_SECS`], as `Unclear` if there is none.
    Call {
        /// Names the result.
        id: CallId,
        /// What to call.
        call: CloudCall,
    },
    /// Send a message to a receiver. One attempt; the engine repeats.
    Deliver {
        /// Names the result.
        id: CallId,
        /// What to send where.
        envelope: Box<Envelope>,
    },
    /// Call an action once.
    RunAction {
        /// Names the result.
        id: CallId,
        /// What it is told.
        assignment: Box<Assignment>,
    },
    /// Have everything that a session brings here, and find the plug-ins that it names. Takes as long as it takes; what is
    /// here already is not fetched again.
    Fetch {
        /// Names the result.
        id: CallId,
        /// What to bring.
        wanted: Box<Wanted>,
    },
    /// Have a workflow decide that takes long over it. Takes as long as its limits let it.
    Decide {
        /// Names the result.
        id: CallId,
        /// What it decides on.
        basis: Box<Basis>,
    },
    /// Answer a command.
    Answer {
        /// Names the command.
        ticket: Ticket,
        /// The answer.
        answer: Result<Answer, CommandError>,
    },
}

/// What a workflow decides on, as [`crate::ports::Workflows::decide`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The workflow.
    pub plugin: Digest,
    /// What it sees: what was known when it was asked.
    pub view: View,
    /// Why it was woken.
    pub wakeup: Wakeup,
}

/// What a session brings, and the plug-ins that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub session: SessionId,
    /// Its packages.
    pub packages: Vec<PackageSpec>,
    /// Its workflow, as it is named.
    pub workflow: Pin,
    /// Its actions, as they are named, with their types, in the order of its plan.
    pub actions: Vec<(Stage, Pin)>,
}

/// Longest time in seconds that one cloud call or delivery attempt may take: longer than a busy control plane
/// needs, short enough that a lost answer does not hold a host up.
pub const CALL_LIMIT_SECS: u64 = 10;

/// A message with everything that its wire form needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The session that sends it.
    pub session: SessionId,
    /// The message.
    pub message: Message,
    /// Where it goes.
    pub subscription: Subscription,
    /// The question, if it is one.
    pub ask: Option<Ask>,
    /// The last moment to answer, if a reply is wanted.
    pub reply_at: Option<Time>,
    /// When the engine begins to act on it: the session's start for MAINTENANCE, else as `reply_at`.
    pub actions_at: Option<Time>,
    /// The session's metadata: JSON text of an object.
    pub metadata: String,
}
