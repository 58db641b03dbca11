//! What a simulated cloud is made of, how long things take in it and what goes wrong: a file for people.
//!
//! [`Spec`] is the literal content of a `rack.toml`; nothing in it is checked against the rest before
//! [`World::new`](super::world::World::new) builds the cloud, which names the first thing that does not hold.

use fenix_core::id::{GroupId, HostId, InstanceId, ProjectId, Zone};
use fenix_core::inventory::{Group, HostKind, Movable, Resources};
use serde::{Deserialize, Serialize};

use super::thirdparty::Act;

/// Most hosts of one cloud: ten times the largest that Fenix is measured with.
pub const MAX_HOSTS: usize = 10_000;
/// Most instances of one cloud at its beginning: fifty on each of [`MAX_HOSTS`].
pub const MAX_INSTANCES: usize = 500_000;
/// Longest duration: a week. Anything longer is a mistyped unit.
pub const MAX_SPAN_MS: u64 = 7 * 24 * 3600 * 1000;
/// Most occurrences per hour of one kind of third-party activity: one each 100 ms.
pub const MAX_PER_HOUR: u32 = 36_000;
/// Longest name of a host, instance, group or project, as in Nova.
pub const MAX_NAME: usize = 255;

/// A simulated cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Several hosts alike.
    pub rack: Vec<RackSpec>,
    /// Hosts one by one.
    pub host: Vec<HostSpec>,
    /// Projects. Every owner must be listed: a mistyped one would be a project of its own.
    pub project: Vec<ProjectSpec>,
    /// Groups.
    pub group: Vec<GroupSpec>,
    /// Instances one by one.
    pub instance: Vec<InstanceSpec>,
    /// Several instances alike.
    pub crowd: Vec<CrowdSpec>,
    /// How long things take.
    pub times: Times,
    /// What operations come to.
    pub failures: Failures,
    /// What happens to calls on their way.
    pub wire: Wire,
    /// What others do by chance.
    pub others: Others,
    /// What others do by plan.
    pub script: Vec<ScriptSpec>,
}

/// Several hosts alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RackSpec {
    /// How many.
    pub count: u32,
    /// Their name, with `{}` for the number.
    pub name: String,
    /// The first number.
    #[serde(default = "one")]
    pub first: u32,
    /// What they are for.
    #[serde(default = "compute")]
    pub kind: HostKind,
    /// Their failure domain; with `{}`, they are dealt out to [`RackSpec::zones`] of them in turn.
    #[serde(default = "nova")]
    pub zone: String,
    /// How many failure domains `{}` stands for, counted from 1.
    #[serde(default = "one")]
    pub zones: u32,
    /// What each offers to instances.
    #[serde(default)]
    pub capacity: Resources,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// Its name.
    pub id: HostId,
    /// What it is for.
    #[serde(default = "compute")]
    pub kind: HostKind,
    /// Its failure domain.
    #[serde(default = "nova_zone")]
    pub zone: Zone,
    /// What it offers to instances.
    #[serde(default)]
    pub capacity: Resources,
    /// Why its service is disabled from the beginning, if it is.
    #[serde(default)]
    pub disabled: Option<String>,
    /// True if it is down from the beginning.
    #[serde(default)]
    pub down: bool,
}

/// An owner of instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSpec {
    /// Its id.
    pub id: ProjectId,
}

/// Instances that back each other up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Its id.
    pub id: GroupId,
    /// Its owner.
    pub project: ProjectId,
    /// Its name for people; its id if empty.
    #[serde(default)]
    pub name: String,
    /// True if no two members may be on one host.
    #[serde(default)]
    pub anti_affinity: bool,
    /// Most members on one host; 0 = no limit.
    #[serde(default)]
    pub max_instances_per_host: u32,
    /// Most members out of service at a time.
    #[serde(default = "one")]
    pub max_impacted_members: u32,
    /// How long a member counts as out after it came back.
    #[serde(default)]
    pub recovery_ms: u64,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    /// Its id.
    pub id: InstanceId,
    /// Its name for people; its id if empty.
    #[serde(default)]
    pub name: String,
    /// Its owner.
    pub project: ProjectId,
    /// Its group, if any.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Where it is; left out, the scheduler chooses.
    #[serde(default)]
    pub host: Option<HostId>,
    /// What it needs.
    pub resources: Resources,
    /// How it can be moved.
    #[serde(default = "any")]
    pub movable: Movable,
    /// True if its owner has switched it off.
    #[serde(default)]
    pub stopped: bool,
}

/// Several instances alike, placed by the scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrowdSpec {
    /// How many.
    pub count: u32,
    /// Their id and name, with `{}` for the number, counted from 1.
    pub name: String,
    /// Their owner.
    pub project: ProjectId,
    /// Their group, if any.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// What each needs.
    pub resources: Resources,
    /// How each can be moved.
    #[serde(default = "any")]
    pub movable: Movable,
}

/// A duration in milliseconds: fixed, or drawn anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected milliseconds as a number, or { min = number, max = number }")]
pub enum Span {
    /// Always the same.
    Fixed(u64),
    /// Drawn evenly, ends included.
    Between {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
}

impl Span {
    /// The shortest and the longest.
    pub fn ends(self) -> (u64, u64) {
        match self {
            Span::Fixed(ms) => (ms, ms),
            Span::Between { min, max } => (min, max),
        }
    }
}

/// How long things take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// A cold move, or its way back.
    pub cold_ms: Span,
    /// A live move.
    pub live_ms: Span,
    /// Rebuilding an instance elsewhere.
    pub evacuate_ms: Span,
    /// Giving an instance other resources.
    pub resize_ms: Span,
    /// Creating an instance.
    pub boot_ms: Span,
    /// Restarting a machine.
    pub reboot_ms: Span,
}

impl Default for Times {
    /// What a middling OpenStack takes.
    fn default() -> Self {
        Self {
            cold_ms: Span::Between { min: 20_000, max: 60_000 },
            live_ms: Span::Between { min: 10_000, max: 60_000 },
            evacuate_ms: Span::Between { min: 20_000, max: 60_000 },
            resize_ms: Span::Between { min: 20_000, max: 60_000 },
            boot_ms: Span::Between { min: 5_000, max: 20_000 },
            reboot_ms: Span::Between { min: 120_000, max: 300_000 },
        }
    }
}

/// What operations come to, as probabilities from 0 to 1, and how guests take it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failures {
    /// A cold move ends in error state at its source.
    pub cold_breaks: f64,
    /// A cold move ends at its source, unharmed.
    pub cold_stays: f64,
    /// A cold move never ends by itself.
    pub cold_hangs: f64,
    /// A live move ends in error state at its source.
    pub live_breaks: f64,
    /// A live move ends at its source, unharmed.
    pub live_stays: f64,
    /// A live move never ends by itself.
    pub live_hangs: f64,
    /// A move, cold or live, shows as over and its instance as resting on its source some seconds before it arrives:
    /// in Nova a migration is `completed` before its instance's record says so.
    #[serde(skip_serializing_if = "is_never")]
    pub move_shows_early: f64,
    /// A live move that the scheduler refuses is answered `Accepted`; the instance just stays. 1 as in Nova.
    pub live_refused_quietly: f64,
    /// A confirmation is refused, and may be tried again.
    pub confirm_refused: f64,
    /// A way back from a cold move ends in error state.
    pub revert_breaks: f64,
    /// An evacuation ends in error state at its source.
    pub evacuate_breaks: f64,
    /// A resize ends in error state.
    pub resize_breaks: f64,
    /// A new instance ends in error state.
    pub boot_breaks: f64,
    /// A machine that is restarted stays down until it is restarted again.
    pub reboot_stays_down: f64,
    /// A machine that is restarted never comes back, whatever anybody does.
    #[serde(skip_serializing_if = "is_never")]
    pub reboot_kills: f64,
    /// A machine that lost power never comes back, whatever anybody does.
    #[serde(skip_serializing_if = "is_never")]
    pub crash_kills: f64,
    /// True if guests run again after their host was restarted; else they are left stopped.
    pub guests_resume: bool,
    /// True if an evacuated guest is left stopped, as Nova does since microversion 2.95.
    pub evacuated_stay_stopped: bool,
}

impl Default for Failures {
    /// Nothing fails, but a refused live move is as quiet as in Nova.
    fn default() -> Self {
        Self {
            cold_breaks: 0.0,
            cold_stays: 0.0,
            cold_hangs: 0.0,
            live_breaks: 0.0,
            live_stays: 0.0,
            live_hangs: 0.0,
            move_shows_early: 0.0,
            live_refused_quietly: 1.0,
            confirm_refused: 0.0,
            revert_breaks: 0.0,
            evacuate_breaks: 0.0,
            resize_breaks: 0.0,
            boot_breaks: 0.0,
            reboot_stays_down: 0.0,
            reboot_kills: 0.0,
            crash_kills: 0.0,
            guests_resume: true,
            evacuated_stay_stopped: true,
        }
    }
}

/// What happens to calls on their way, as probabilities from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wire {
    /// A call never arrives.
    pub lost: f64,
    /// A call is applied, its answer never arrives.
    pub reply_lost: f64,
    /// A change is applied after its caller has given up.
    pub late: f64,
    /// A change is applied twice: at once, or the second time late.
    pub doubled: f64,
    /// A lie: a change is answered `Accepted`, and never done.
    #[serde(skip_serializing_if = "is_never")]
    pub swallowed: f64,
    /// A lie: a read is answered with what the same read was answered before, if that is not longer ago than
    /// [`Wire::stale_ms`]; as from a cache that nobody told.
    #[serde(skip_serializing_if = "is_never")]
    pub stale: f64,
    /// The oldest answer that a read gets once more.
    #[serde(skip_serializing_if = "is_usual_age")]
    pub stale_ms: u64,
    /// The latest that a late call is applied, after it was sent.
    pub late_ms: u64,
    /// How long an answer takes, as the caller in virtual time sees it.
    pub answer_ms: Span,
    /// When a caller without an answer gives up, as the caller in virtual time sees it.
    pub timeout_ms: u64,
}

impl Default for Wire {
    /// A good wire.
    fn default() -> Self {
        Self {
            lost: 0.0,
            reply_lost: 0.0,
            late: 0.0,
            doubled: 0.0,
            swallowed: 0.0,
            stale: 0.0,
            stale_ms: STALE_MS,
            late_ms: 30_000,
            answer_ms: Span::Between { min: 20, max: 200 },
            timeout_ms: 10_000,
        }
    }
}

/// What others do by chance, as average occurrences per hour over the whole cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Others {
    /// Somebody creates an instance.
    pub boot_per_hour: u32,
    /// Somebody deletes an instance.
    pub delete_per_hour: u32,
    /// Somebody gives an instance other resources.
    pub resize_per_hour: u32,
    /// Somebody moves an instance, and confirms it.
    pub move_per_hour: u32,
    /// Somebody switches an instance off, or on again.
    pub stop_per_hour: u32,
    /// Somebody disables a host.
    pub disable_per_hour: u32,
    /// Somebody enables a disabled host.
    pub enable_per_hour: u32,
    /// A host loses power; its operators have it back after [`Times::reboot_ms`].
    pub crash_per_hour: u32,
    /// The projects whose instances are touched; empty means all.
    pub projects: Vec<ProjectId>,
}

/// What others do by plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptSpec {
    /// When, after the beginning.
    pub at_ms: u64,
    /// What.
    pub op: Act,
}

/// How long the caches of a control plane keep an answer, unless the file says otherwise.
const STALE_MS: u64 = 5_000;

// What a file does not mention is not in its text either: a world's file begins with the text that it was made from,
// and stays readable when there is something new to say.
fn is_never(chance: &f64) -> bool {
    *chance == 0.0
}

fn is_usual_age(age: &u64) -> bool {
    *age == STALE_MS
}

fn one() -> u32 {
    1
}

fn compute() -> HostKind {
    HostKind::Compute
}

fn nova() -> String {
    "nova".to_owned()
}

fn nova_zone() -> Zone {
    "nova".into()
}

fn any() -> Movable {
    Movable::Any
}

impl GroupSpec {
    pub(super) fn group(&self) -> Group {
        let name = if self.name.is_empty() { self.id.to_string() } else { self.name.clone() };
        Group {
            id: self.id.clone(),
            project: self.project.clone(),
            name,
            anti_affinity: self.anti_affinity,
            max_instances_per_host: self.max_instances_per_host,
            max_impacted_members: self.max_impacted_members,
            recovery_time: fenix_core::time::Millis(self.recovery_ms),
        }
    }
}
