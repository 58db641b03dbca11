//! What a simulation is made of: plain data, from which everything else follows.

use fenix_cloud::sim::Spec;
use fenix_core::constraint::{Constrained, Constraint};
use fenix_core::id::{HostId, SessionId};
use fenix_core::policy::Terms;
use fenix_core::session::Stage;
use fenix_core::time::{Millis, Time};
use fenix_engine::Settings;
use serde::{Deserialize, Serialize};

use crate::managers::ManagerSpec;

/// When every simulation begins. Spans of a scenario are counted from here.
pub const START: Time = Time(0);

/// A whole simulation: the cloud, its applications, the sessions, and what goes wrong.
///
/// The same scenario with the same plug-ins gives the same run, byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What chance decides while it runs comes from here.
    pub seed: u64,
    /// The cloud: what is in it, how long things take, what fails, what others do.
    pub cloud: Spec,
    /// The installation's limits; stands in no file.
    #[serde(skip)]
    pub settings: Settings,
    /// The host that Fenix itself runs on: when it goes down, Fenix does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_host: Option<HostId>,
    /// Application managers and other listeners.
    pub managers: Vec<ManagerSpec>,
    /// What managers state at fixed times.
    pub statements: Vec<Statement>,
    /// The sessions to be made.
    pub sessions: Vec<SessionSpec>,
    /// What administrators do at fixed times.
    pub orders: Vec<Order>,
    /// What an administrator does about sessions that do not go on.
    pub operator: Operator,
    /// What happens to Fenix.
    pub faults: Faults,
    /// From here on nothing goes wrong by itself, and the cloud is mended.
    pub calm_at: Millis,
    /// The end, if the sessions are not over before.
    pub end_at: Millis,
}

/// Something that a manager states, or takes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// When.
    pub at: Millis,
    /// What.
    pub what: Stated,
}

/// What a manager can say of its instances and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stated {
    /// This is to be respected from now on.
    That(Constraint),
    /// What was stated about it no longer holds.
    NoLonger(Constrained),
}

/// A session to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSpec {
    /// When it is asked for.
    pub at: Millis,
    /// Its hosts; empty = all that no other session holds.
    pub hosts: Vec<HostId>,
    /// When work may begin, after `at`.
    pub begins_in: Millis,
    /// How long after that a new host may be begun; `None` = without end.
    pub window: Option<Millis>,
    /// Told to managers: JSON text of an object.
    pub metadata: String,
    /// The workflow's name.
    pub workflow: String,
    /// The actions.
    pub actions: Vec<Action>,
    /// What it is held to.
    pub terms: Terms,
    /// What it brings, with its plug-ins in it; `None` = nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brings: Option<Brings>,
}

/// A package, and how it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brings {
    /// How long each attempt takes.
    pub takes: Millis,
    /// How many attempts fail before one does not.
    pub fails: u32,
}

/// One entry of a session's action list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The plug-in's name.
    pub plugin: String,
    /// When it runs.
    pub stage: Stage,
    /// What it is told: JSON text, `""` if nothing.
    pub metadata: String,
}

/// Something that an administrator does at a fixed time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// When.
    pub at: Millis,
    /// To which session: its place in [`Scenario::sessions`].
    pub session: usize,
    /// What.
    pub what: Command,
}

/// What an administrator can do to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Hold it.
    Pause,
    /// Let it go on.
    Continue,
    /// Close and remove it.
    Delete,
}

/// An administrator who looks at the sessions once in a while.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// How often a session that was halted, paused or failed is continued.
    pub continues: u32,
    /// True if a session that will not be continued any more is deleted.
    pub deletes: bool,
}

/// What happens to Fenix and to what it sends, besides what [`Spec::wire`] says about calls to the cloud.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How many messages of a thousand are lost on their way.
    pub message_lost: u32,
    /// How many messages of a thousand arrive, and Fenix does not hear of it.
    pub message_unclear: u32,
    /// How many messages of a thousand arrive twice.
    pub message_doubled: u32,
    /// How many calls of actions to the cloud of a thousand are lost on their way.
    pub action_call_lost: u32,
    /// How many calls of actions to the cloud of a thousand are done, and the action does not hear of it.
    pub action_call_unclear: u32,
    /// How many changes that actions call for of a thousand are accepted and never done.
    pub action_call_swallowed: u32,
    /// How many decisions of a thousand a workflow takes long over.
    pub slow_decisions: u32,
    /// What happens to single calls that change the cloud.
    pub calls: Vec<CallFault>,
    /// Fenix is killed.
    pub kills: Vec<Kill>,
    /// Fenix stands still, as in a suspended machine, and the rest of the world does not.
    pub freezes: Vec<Freeze>,
    /// The cloud does not answer: nothing that is sent reaches it.
    pub outages: Vec<Freeze>,
    /// The clock of Fenix's machine is set.
    pub jumps: Vec<Jump>,
    /// The disk of Fenix's machine is full.
    pub full_disks: Vec<FullDisk>,
}

/// What happens to one call that changes the cloud.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFault {
    /// Which: counted from 1 in the order in which they set out, those of actions with them.
    pub call: u64,
    /// What happens to it.
    pub fate: CallFate,
}

/// What can happen to a call on its way. In each case its sender gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFate {
    /// It never arrives.
    Lost,
    /// It is done, and the answer never arrives.
    AnswerLost,
    /// It is done after so long, when nobody waits for it any more.
    Late(Millis),
}

/// One death of Fenix.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Which thing that it handles is its last one.
    pub when: When,
    /// How far it comes with it.
    pub point: Point,
    /// How long it takes until it is started again.
    pub down: Millis,
}

/// Which thing that Fenix handles is its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The first after that time; after [`Scenario::calm_at`] none.
    After(Millis),
    /// The one with that number, counted from 1 over all lives; a start is one too. A run is the same up to there.
    Commit(u64),
}

/// How far Fenix comes before it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Nothing of it is on disk.
    BeforeAppend,
    /// The disk says no, and nothing of it is stored.
    AppendLost,
    /// The disk says no, and all of it is stored.
    AppendStored,
    /// It is on disk, and so many of the orders that follow from it are carried out.
    AfterOrders(u32),
}

/// A clock is set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jump {
    /// When.
    pub at: Millis,
    /// By how many milliseconds: forward, or back if less than zero.
    pub by: i64,
}

/// Something stands still for a while: Fenix, or what it talks to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// From when.
    pub at: Millis,
    /// How long.
    pub span: Millis,
}

/// A disk is full for a while.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullDisk {
    /// From when.
    pub at: Millis,
    /// How long.
    pub span: Millis,
    /// How many records the space takes that Fenix holds back for closings.
    pub room: u64,
}

impl Scenario {
    /// A scenario on that cloud in which nothing goes wrong and nobody does anything; add sessions and managers.
    pub fn new(seed: u64, cloud: Spec) -> Scenario {
        Scenario {
            seed,
            cloud,
            settings: Settings::default(),
            own_host: None,
            managers: Vec::new(),
            statements: Vec::new(),
            sessions: Vec::new(),
            orders: Vec::new(),
            operator: Operator { continues: 0, deletes: false },
            faults: Faults::default(),
            calm_at: Millis::from_secs(600),
            end_at: Millis::from_secs(24 * 3600),
        }
    }

    /// The session of that id.
    pub fn session(&self, id: &SessionId) -> Option<&SessionSpec> {
        self.sessions.iter().zip(0..).find(|(_, place)| session_id(*place) == *id).map(|(spec, _)| spec)
    }
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario::new(0, Spec::default())
    }
}

impl Default for SessionSpec {
    fn default() -> SessionSpec {
        SessionSpec::new("default")
    }
}

impl SessionSpec {
    /// A session on all hosts, at once, with that workflow, without actions, under the default terms.
    pub fn new(workflow: &str) -> SessionSpec {
        SessionSpec {
            at: Millis::from_secs(5),
            hosts: Vec::new(),
            begins_in: Millis::from_secs(60),
            window: None,
            metadata: "{}".into(),
            workflow: workflow.into(),
            actions: Vec::new(),
            terms: Terms::default(),
            brings: None,
        }
    }

    /// Its actions in the order in which they run, as whoever asks for a session puts them: by type, then by name.
    pub(crate) fn in_order(&self) -> Vec<&Action> {
        let mut actions: Vec<&Action> = self.actions.iter().collect();
        actions.sort_by(|a, b| (a.stage, &a.plugin).cmp(&(b.stage, &b.plugin)));
        actions
    }

    /// With an action on every host.
    #[must_use]
    pub fn with_action(mut self, plugin: &str, stage: Stage) -> SessionSpec {
        self.actions.push(Action { plugin: plugin.into(), stage, metadata: String::new() });
        self
    }
}

/// The id of a scenario's session, by its place in [`Scenario::sessions`].
pub fn session_id(place: usize) -> SessionId {
    SessionId::from(format!("00000000-0000-0000-0000-{:012}", place + 1))
}
