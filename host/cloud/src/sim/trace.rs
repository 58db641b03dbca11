//! The ground truth: every real change of the simulated cloud, in the order in which it happened.
//!
//! The trace begins with everything that the specification puts there, so a checker can follow the whole cloud
//! from it alone. It tells what *is*, also where readers of the cloud see something else or nothing.

use fenix_core::id::{GroupId, HostId, InstanceId};
use fenix_core::inventory::{Group, Host, Instance, Resources};
use fenix_core::time::Time;
use fenix_engine::ports::{CloudCall, CloudError};
use serde::{Deserialize, Serialize};

/// One real change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When.
    pub at: Time,
    /// Who made it happen; what ends later counts for whoever began it.
    pub by: Actor,
    /// What.
    pub what: Happening,
}

/// Who makes things happen in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever sends [`CloudCall`]s: Fenix and application managers.
    Client,
    /// Somebody else: tenants, autoscalers, other administrators, bad luck.
    Other,
    /// The specification: what was there at the beginning.
    Setup,
}

/// How an instance gets to another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// Off here, on there.
    Cold,
    /// Without being switched off.
    Live,
    /// Rebuilt from a dead host.
    Evacuation,
    /// Given other resources, here or elsewhere.
    Resize,
    /// Back from where a cold move took it.
    Revert,
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveEnd {
    /// At its destination.
    Arrived,
    /// At its source, unharmed.
    Stayed,
    /// At its source, broken.
    Broke,
    /// It was deleted on the way.
    Deleted,
}

/// Why a host is down: its power failed.
pub const LOST_POWER: &str = "it lost power";
/// Why a host is down: it was restarted, and waits for somebody to do it once more.
pub const STAYS_DOWN: &str = "it did not come back";
/// Why a host is down, and will be for ever.
pub const DIED: &str = "it is broken for good";

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A host is there.
    HostAdded {
        /// As it is now.
        host: Host,
    },
    /// No new instances, for that reason.
    HostDisabled {
        /// The host.
        host: HostId,
        /// Stands beside its service.
        reason: String,
    },
    /// New instances may come again.
    HostEnabled {
        /// The host.
        host: HostId,
    },
    /// It went down in order to come back.
    HostRebooting {
        /// The host.
        host: HostId,
    },
    /// It is down, and will not come back by itself.
    HostDown {
        /// The host.
        host: HostId,
        /// Why.
        why: String,
    },
    /// It is up again.
    HostUp {
        /// The host.
        host: HostId,
        /// Names the boot that runs now.
        boot: String,
    },
    /// A group is there, or its limits changed.
    GroupSet {
        /// As it is now.
        group: Group,
    },
    /// An instance is there: from the beginning, or being created.
    InstanceAdded {
        /// As it is now.
        instance: Instance,
    },
    /// An instance that was being created runs.
    InstanceBooted {
        /// The instance.
        instance: InstanceId,
    },
    /// It is gone.
    InstanceDeleted {
        /// The instance.
        instance: InstanceId,
    },
    /// It has other resources.
    InstanceResized {
        /// The instance.
        instance: InstanceId,
        /// What it needs from now on.
        resources: Resources,
    },
    /// It is broken.
    InstanceBroke {
        /// The instance.
        instance: InstanceId,
        /// Why.
        why: String,
    },
    /// It was switched off.
    InstanceStopped {
        /// The instance.
        instance: InstanceId,
        /// Why.
        why: String,
    },
    /// It was switched on, or repaired.
    InstanceStarted {
        /// The instance.
        instance: InstanceId,
    },
    /// It stopped serving its application.
    OutOfService {
        /// The instance.
        instance: InstanceId,
        /// The group that feels it.
        group: Option<GroupId>,
    },
    /// It serves its application again, or for the first time.
    InService {
        /// The instance.
        instance: InstanceId,
        /// The group that feels it.
        group: Option<GroupId>,
    },
    /// It holds capacity on a host, or another amount than before.
    ClaimTaken {
        /// The instance.
        instance: InstanceId,
        /// The host.
        host: HostId,
        /// All that it holds there now.
        resources: Resources,
    },
    /// It no longer holds capacity on a host.
    ClaimFreed {
        /// The instance.
        instance: InstanceId,
        /// The host.
        host: HostId,
    },
    /// A move is under way; the destination is claimed.
    MoveStarted {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        from: HostId,
        /// Where it will be.
        to: HostId,
        /// How.
        kind: MoveKind,
    },
    /// A move that is under way shows as over, and its instance as resting on its source.
    MoveShownOver {
        /// The instance.
        instance: InstanceId,
    },
    /// A move is over. A cold one that arrived still claims its source until it is confirmed.
    MoveEnded {
        /// The instance.
        instance: InstanceId,
        /// Where it is now.
        host: HostId,
        /// How it had gone.
        kind: MoveKind,
        /// How it ended.
        end: MoveEnd,
    },
    /// An arrived cold move is final; its source is free.
    MoveConfirmed {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        host: HostId,
    },
    /// A call changed nothing.
    Refused {
        /// The call.
        call: CloudCall,
        /// Why.
        error: CloudError,
        /// True if the caller was told `Accepted` all the same, as Nova does for live moves.
        quietly: bool,
    },
}
