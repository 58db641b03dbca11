//! What the engine needs from outside, as plain data and small traits.
//!
//! The engine never waits: it hands out [`CloudCall`]s, messages and action runs as orders, and whoever drives it
//! brings the results back as events. So the same engine runs under a clock and under virtual time.

use fenix_core::grant::Right;
use serde::{Deserialize, Serialize};

use fenix_core::id::{Digest, HostId, InstanceId};
use fenix_core::inventory::{Group, Host, Instance};
use fenix_core::package::Package;
use fenix_core::record::Record;
use fenix_core::session::Pin;
use fenix_core::time::{Millis, Time};
use fenix_core::view::{Verdict, View, Wakeup};

use crate::clock::Reading;

/// One primitive call to the infrastructure. Nothing in it is a choice: the engine looks, decides and acts through
/// these, so that every driver shares one way to adopt what is already under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudCall {
    /// Everything there is.
    ReadAll,
    /// One host, and every instance that holds capacity on it.
    ReadHost {
        /// The host.
        host: HostId,
    },
    /// One instance, wherever it is.
    ReadInstance {
        /// The instance.
        instance: InstanceId,
    },
    /// No new instances on a host, for that reason. Idempotent.
    Disable {
        /// The host.
        host: HostId,
        /// Stands beside the service in the infrastructure.
        reason: String,
    },
    /// New instances may come again. Idempotent.
    Enable {
        /// The host.
        host: HostId,
    },
    /// Starts a cold move; the instance ends `Moved` at `to` and waits for `Confirm`.
    Migrate {
        /// The instance.
        instance: InstanceId,
        /// Its destination.
        to: HostId,
    },
    /// Starts a live move; the instance ends `Active` at `to`.
    LiveMigrate {
        /// The instance.
        instance: InstanceId,
        /// Its destination.
        to: HostId,
    },
    /// Makes an arrived cold move final and frees the source.
    Confirm {
        /// The instance.
        instance: InstanceId,
    },
    /// Takes an arrived cold move back to its source.
    Revert {
        /// The instance.
        instance: InstanceId,
    },
    /// Gives up a live move that is under way.
    AbortLive {
        /// The instance.
        instance: InstanceId,
    },
    /// Lets a live move that is under way end now, whatever that costs its guest: it stands still until it has arrived.
    CompleteLive {
        /// The instance.
        instance: InstanceId,
    },
    /// Rebuilds an instance of a dead host elsewhere.
    Evacuate {
        /// The instance.
        instance: InstanceId,
        /// Its destination.
        to: HostId,
    },
    /// Restarts a machine if that boot still runs on it, or is the last one that did; else it is refused. So one order
    /// restarts it once at most, however often and however late it is carried out.
    ///
    /// A driver compares as near to the machine as it can: on it, if it restarts it from there; else right before it
    /// orders the restart elsewhere, and says how long that may take to become true.
    Reboot {
        /// The host.
        host: HostId,
        /// The boot that is to end, as [`Host::boot`] names it; `None` = whichever runs, for tests and operators.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot: Option<String>,
    },
    /// Creates an instance: for application managers and tests, never sent by the engine.
    Boot {
        /// The instance to be; `host` `""` lets the scheduler choose.
        instance: Instance,
    },
    /// Removes an instance: for application managers and tests, never sent by the engine.
    Delete {
        /// The instance.
        instance: InstanceId,
    },
    /// Gives an instance other resources, where it is or elsewhere: for application managers and tests.
    Resize {
        /// The instance.
        instance: InstanceId,
        /// What it needs from now on.
        resources: fenix_core::inventory::Resources,
    },
}

/// What the infrastructure answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudReply {
    /// To `ReadAll`.
    All {
        /// All hosts.
        hosts: Vec<Host>,
        /// All instances.
        instances: Vec<Instance>,
        /// All groups.
        groups: Vec<Group>,
    },
    /// To `ReadHost`; `None` if there is no such host.
    Host {
        /// The host.
        host: Option<Host>,
        /// Every instance that holds capacity on it.
        instances: Vec<Instance>,
    },
    /// To `ReadInstance`; `None` if there is no such instance.
    Instance(Option<Instance>),
    /// To a change: taken, and perhaps still under way. Believe only what is read afterwards.
    Accepted,
}

/// Why a call to the infrastructure failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CloudError {
    /// It answered no, and changed nothing.
    #[error("the cloud refused: {0}")]
    Refused(String),
    /// There is no such host or instance.
    #[error("the cloud knows no {0}")]
    NotFound(String),
    /// No answer, or a broken one: it may have been done, may still be done, or never.
    #[error("no answer from the cloud: {0}")]
    Unclear(String),
}

/// What driving one call of an action returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The action is finished.
    Done {
        /// One sentence for people.
        report: String,
    },
    /// Call it again after a while, with this checkpoint.
    Again {
        /// How long to wait.
        after: Millis,
        /// What it wants to be told next time; at most [`MAX_CHECKPOINT`] bytes.
        checkpoint: String,
        /// How far it is, 0 to 100.
        percent: u8,
    },
    /// An assessment: nothing is to be done on the host.
    NotNeeded {
        /// Why not, for people.
        why: String,
    },
    /// An assessment: the host cannot be worked on. A gate: it may not go on.
    Stop {
        /// Why, for people.
        why: String,
    },
}

/// Largest checkpoint of an action in bytes: it is journaled with each call, and records stay small.
pub const MAX_CHECKPOINT: usize = 1024;

/// Why a call of an action ended without progress.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The action itself says that it failed.
    #[error("{0}")]
    Failed(String),
    /// The sandbox ended it.
    #[error("the action was ended: {0}")]
    Trapped(String),
    /// The plug-in could not be started.
    #[error("the action cannot run: {0}")]
    Unusable(String),
}

/// The functions of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionCall {
    /// Does its work.
    Run,
    /// Says whether anything is to be done on the host, and can be.
    Assess,
    /// Says whether it may go on after the host.
    Gate,
    /// Takes back what its work has done on the host.
    Undo {
        /// What the work returned with its last `Again`.
        forward: Option<String>,
    },
}

/// What an action is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The component to run.
    pub plugin: Digest,
    /// The same for every repeat of this piece of work: `session/target/number in the action list`.
    pub key: String,
    /// The session.
    pub session: String,
    /// The plug-in's type in the session's list: `assess`, `pre`, `host`, `compute`, `controller`, `gate`, `post`.
    pub stage: String,
    /// Which of its functions is called.
    pub call: ActionCall,
    /// The host under maintenance; `None` for `pre` and `post`.
    pub host: Option<HostId>,
    /// What the session's action list says to it: JSON text, `""` if nothing.
    pub metadata: String,
    /// What it returned with its last `Again`, if it was called before.
    pub checkpoint: Option<String>,
    /// What it may use.
    pub granted: Vec<Right>,
    /// What the session brought.
    pub packages: Vec<Package>,
}

/// What a session brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its packages, in the order in which they were asked for.
    pub packages: Vec<Package>,
    /// Its workflow.
    pub workflow: Pin,
    /// Its actions, in the order of its plan.
    pub actions: Vec<Pin>,
}

/// Why a workflow gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowError {
    /// It says itself that it cannot go on.
    #[error("the workflow gave up: {0}")]
    GaveUp(String),
    /// The sandbox ended it.
    #[error("the workflow was ended: {0}")]
    Trapped(String),
    /// The plug-in could not be started.
    #[error("the workflow cannot run: {0}")]
    Unusable(String),
}

/// What a workflow says when it is asked for a decision.
pub type Said = Result<Verdict, WorkflowError>;

/// Runs workflow components.
pub trait Workflows {
    /// One decision, in a fresh instance. A function of its arguments alone: same records in, same verdict out.
    ///
    /// # Errors
    /// The plug-in gave up, was ended, or cannot run; nothing that it planned counts.
    fn decide(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Said;

    /// The same for one that waits, and lets everybody else wait: the engine. `None` if it takes too long for that; then
    /// [`crate::event::Order::Decide`] has it made beside.
    fn decide_at_once(&self, plugin: &Digest, view: &View, wakeup: &Wakeup) -> Option<Said> {
        Some(self.decide(plugin, view, wakeup))
    }
}

/// Why the journal did not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no. Nothing of the batch may be believed to be stored, nor to be absent.
    #[error("the journal cannot be written")]
    Write(#[source] std::io::Error),
    /// What is on disk cannot be understood.
    #[error("the journal cannot be read: {0}")]
    Damaged(String),
}

/// The append-only records on which everything stands.
pub trait Journal {
    /// Appends all records or none.
    ///
    /// On return they survive the loss of power. Their sequence numbers follow the last one without a gap.
    ///
    /// # Errors
    /// The batch may or may not be stored: stop, and find out by opening the journal again.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError>;
}

/// A clock that never goes back: the driver reads it, the engine is told.
pub trait Clock {
    /// Now, and how much of it nobody had.
    fn read(&self) -> Reading;

    /// Now.
    fn now(&self) -> Time {
        self.read().now
    }
}
