//! What goes wrong in simulations, each thing counted where it happens.

use fenix_cloud::sim::Mishap;
use fenix_cloud::sim::trace::{Actor, DIED, Happening, LOST_POWER, MoveEnd, MoveKind, STAYS_DOWN};

use crate::truth::Truth;

/// Makes the enum, the list of all its cases, and the words for them, so that none can be left out.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident => $words:literal),+ $(,)?) => {
        /// Something that went wrong in a simulation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name),+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name),+];

            /// The fault in a few words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Fault::$name => $words),+
                }
            }
        }
    };
}

faults! {
    /// A call never reached the cloud.
    CallLost => "call lost",
    /// A call was done, and its answer lost.
    ReplyLost => "answer of the cloud lost",
    /// A call was done after Fenix had given it up.
    CallLate => "call done late",
    /// A call was done twice.
    CallDoubled => "call done twice",
    /// A lie: accepted and never done.
    CallSwallowed => "lie: accepted, never done",
    /// A lie: a read told of a while ago.
    ReadStale => "lie: read some seconds old",
    /// A lie: a move shows as over, its instance on its source.
    MoveShownOver => "lie: move shown as over before it is",
    /// A lie: a live move was refused, and Fenix told that it was accepted.
    RefusedQuietly => "lie: live move refused quietly",
    /// A call was refused.
    CallRefused => "call refused",
    /// The cloud did not answer for a while.
    Outage => "cloud out of reach",
    /// A cold move ended in error.
    ColdBroke => "cold move broke",
    /// A cold move ended where it began.
    ColdStayed => "cold move came to nothing",
    /// A live move ended in error.
    LiveBroke => "live move broke",
    /// A live move ended where it began.
    LiveStayed => "live move came to nothing",
    /// A move never ended by itself: it was under way when all trouble ended.
    MoveHung => "move never ended",
    /// A host that was restarted stayed down until somebody came.
    StayedDown => "host did not come back until mended",
    /// A host never came back.
    HostDied => "host never came back",
    /// A host lost power.
    HostCrashed => "host lost power",
    /// Somebody else created an instance.
    OtherBooted => "others: instance created",
    /// Somebody else removed an instance.
    OtherDeleted => "others: instance removed",
    /// Somebody else gave an instance other resources.
    OtherResized => "others: instance resized",
    /// Somebody else moved an instance.
    OtherMoved => "others: instance moved",
    /// Somebody else stopped an instance.
    OtherStopped => "others: instance stopped",
    /// Somebody else disabled a host.
    OtherDisabled => "others: host disabled",
    /// Somebody else enabled a host.
    OtherEnabled => "others: host enabled",
    /// An instance broke.
    InstanceBroke => "instance broke",
    /// A message was lost.
    MessageLost => "message lost",
    /// A message arrived, and Fenix did not hear of it.
    MessageUnclear => "message taken, answer lost",
    /// A message arrived twice.
    MessageDoubled => "message arrived twice",
    /// A manager could not be reached.
    ManagerAway => "manager out of reach",
    /// A manager said no.
    Nack => "manager: NACK",
    /// A manager said no, and always will.
    NackForEver => "manager: NACK for ever",
    /// A manager said nothing.
    Silent => "manager: silent",
    /// A manager said nothing, and never will.
    SilentForEver => "manager: silent for ever",
    /// A manager answered at the end of its time.
    SlowAnswer => "manager: answers at the last moment",
    /// A manager answered after its time.
    LateAnswer => "manager: answers too late",
    /// A manager sent an answer twice.
    AnswerDoubled => "manager: answers twice",
    /// A manager agreed to scale in, and did nothing.
    GaveNothing => "manager: ACK to SCALE_IN, does nothing",
    /// A manager agreed to scale in, and gave next to nothing.
    GaveTooLittle => "manager: scales in too little",
    /// A manager said that it moves an instance by itself, and did not.
    OwnActionNever => "manager: OWN_ACTION, does nothing",
    /// An action's call to the cloud was lost.
    ActionCallLost => "action's call lost",
    /// An action's call was done, and its answer lost.
    ActionCallUnclear => "action's call done, answer lost",
    /// A lie: an action's call was accepted and never done.
    ActionCallSwallowed => "lie: action's call accepted, never done",
    /// Fenix was killed before anything was on disk.
    KilledBefore => "killed before the append",
    /// The append failed and nothing was stored.
    AppendLost => "append failed, nothing stored",
    /// The append failed and all was stored.
    AppendStored => "append failed, all stored",
    /// Fenix was killed with some of its orders carried out.
    KilledAfter => "killed after the append",
    /// The append found no room, and the space that was held back was given up.
    DiskFull => "disk full",
    /// The append found no room in the space that had been held back, either.
    ReserveFull => "disk full, the space for closings too",
    /// Everything had been held, and there was room again.
    RoomAgain => "disk has room again",
    /// The host that Fenix runs on went down.
    OwnHostDown => "fenix's own host went down",
    /// A workflow took long over a decision.
    SlowDecision => "workflow takes long to decide",
    /// What a workflow had decided came to a session in which something had changed meanwhile.
    Overtaken => "decision overtaken by what happened",
    /// Fenix stood still.
    Frozen => "stood still",
    /// The clock was set forward.
    ClockForward => "clock set forward",
    /// The clock was set back.
    ClockBack => "clock set back",
    /// An administrator held a session.
    Paused => "administrator: pause",
    /// An administrator let a session go on.
    Continued => "administrator: continue",
    /// An administrator removed a session.
    Deleted => "administrator: delete",
}

impl From<Mishap> for Fault {
    fn from(mishap: Mishap) -> Fault {
        match mishap {
            Mishap::Lost => Fault::CallLost,
            Mishap::ReplyLost => Fault::ReplyLost,
            Mishap::Late => Fault::CallLate,
            Mishap::Doubled => Fault::CallDoubled,
            Mishap::Swallowed => Fault::CallSwallowed,
            Mishap::Stale => Fault::ReadStale,
        }
    }
}

impl Fault {
    /// The fault that an entry of the truth tells of, if it tells of one.
    pub(crate) fn told(what: &Truth) -> Option<Fault> {
        let Truth::Cloud(happening, by) = what else { return None };
        let is_ours = *by == Actor::Client;
        Some(match happening {
            Happening::MoveShownOver { .. } => Fault::MoveShownOver,
            Happening::Refused { quietly: true, .. } if is_ours => Fault::RefusedQuietly,
            Happening::Refused { .. } if is_ours => Fault::CallRefused,
            Happening::MoveEnded { kind, end, .. } if is_ours => return move_ended(*kind, *end),
            Happening::MoveStarted { kind: MoveKind::Resize, .. } if !is_ours => Fault::OtherResized,
            Happening::MoveStarted { .. } if *by == Actor::Other => Fault::OtherMoved,
            Happening::InstanceAdded { .. } if *by == Actor::Other => Fault::OtherBooted,
            Happening::InstanceDeleted { .. } if *by == Actor::Other => Fault::OtherDeleted,
            Happening::InstanceStopped { .. } if *by == Actor::Other => Fault::OtherStopped,
            Happening::HostDisabled { .. } if *by == Actor::Other => Fault::OtherDisabled,
            Happening::HostEnabled { .. } if *by == Actor::Other => Fault::OtherEnabled,
            Happening::InstanceBroke { .. } => Fault::InstanceBroke,
            Happening::HostDown { why, .. } => match why.as_str() {
                STAYS_DOWN => Fault::StayedDown,
                DIED => Fault::HostDied,
                LOST_POWER => Fault::HostCrashed,
                _ => return None,
            },
            _ => return None,
        })
    }
}

fn move_ended(kind: MoveKind, end: MoveEnd) -> Option<Fault> {
    match (kind, end) {
        (MoveKind::Cold, MoveEnd::Broke) => Some(Fault::ColdBroke),
        (MoveKind::Cold, MoveEnd::Stayed) => Some(Fault::ColdStayed),
        (MoveKind::Live, MoveEnd::Broke) => Some(Fault::LiveBroke),
        (MoveKind::Live, MoveEnd::Stayed) => Some(Fault::LiveStayed),
        (MoveKind::Cold | MoveKind::Live, MoveEnd::Arrived | MoveEnd::Deleted)
        | (MoveKind::Evacuation | MoveKind::Resize | MoveKind::Revert, _) => None,
    }
}
