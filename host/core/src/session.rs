//! One maintenance run: what was asked for, and how far it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ask::{Ask, AskKind, Reply};
use crate::decision::{Decision, Waiting};
use crate::effect::{Effect, EffectKind};
use crate::hosts::Hosts;
use crate::id::{AskId, Digest, EffectId, HostId, InstanceId, ProjectId, SessionId};
use crate::inventory::{HostKind, Service};
use crate::outbox::Outbox;
use crate::package::Packages;
use crate::policy::Terms;
use crate::rules::Refusal;
use crate::shared::SharedMap;
use crate::time::Time;
use crate::values::Values;

/// The wire `state` of a session: the eight states of the first Fenix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Managers are told; waits for the agreed start.
    Maintenance,
    /// Managers are asked to give capacity back.
    ScaleIn,
    /// A first host is being emptied.
    PrepareMaintenance,
    /// Hosts are being worked on.
    StartMaintenance,
    /// The next host is being emptied.
    PlannedMaintenance,
    /// All hosts are done; managers get their capacity back.
    MaintenanceComplete,
    /// Ended well.
    MaintenanceDone,
    /// Ended, or halted, with a reason.
    MaintenanceFailed,
}

impl Phase {
    /// The state's name on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            Phase::Maintenance => "MAINTENANCE",
            Phase::ScaleIn => "SCALE_IN",
            Phase::PrepareMaintenance => "PREPARE_MAINTENANCE",
            Phase::StartMaintenance => "START_MAINTENANCE",
            Phase::PlannedMaintenance => "PLANNED_MAINTENANCE",
            Phase::MaintenanceComplete => "MAINTENANCE_COMPLETE",
            Phase::MaintenanceDone => "MAINTENANCE_DONE",
            Phase::MaintenanceFailed => "MAINTENANCE_FAILED",
        }
    }

    /// True if nothing more happens in the session by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::MaintenanceDone | Phase::MaintenanceFailed)
    }
}

/// Whether the session goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It goes on.
    Running,
    /// An administrator holds it: no new forward effects (R8).
    Paused,
    /// It was halted for a reason that somebody has to look at; continue lets it go on.
    Parked {
        /// The reason.
        why: String,
    },
    /// Its closings are being carried out: what is in flight comes to a safe end, nothing new begins.
    Closing {
        /// Why it is closed.
        why: Close,
    },
    /// All closings are done.
    Ended,
}

/// Why a session is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// Its workflow finished it.
    Done,
    /// It failed; it can be continued.
    Failed,
    /// An administrator deleted it: it vanishes when it is safe.
    Deleted,
}

/// A plug-in, pinned for the life of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The name under which it was asked for.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its component.
    pub digest: Digest,
    /// True if it can take back what it did on a host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoes: bool,
}

impl Pin {
    /// What is only named yet: the session's packages may bring it. Until it is known what it is, its version says which ones it may
    /// have, if that was said.
    pub fn named(name: &str, versions: &str) -> Pin {
        Pin { name: name.to_owned(), version: versions.to_owned(), digest: Digest::from(""), undoes: false }
    }

    /// True if it is known which component it is.
    pub fn is_pinned(&self) -> bool {
        !self.digest.as_str().is_empty()
    }
}

/// When an action runs (contract 1.1 `actions.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// On every host before anybody is asked: is anything to be done on it, and can it be?
    Assess,
    /// Once, before the first host.
    Pre,
    /// On every host.
    Host,
    /// On every compute host, after `Host`.
    Compute,
    /// On every controller, after `Host`.
    Controller,
    /// After every host, before another one is begun: may it go on?
    Gate,
    /// Once, after the last host.
    Post,
}

impl Stage {
    /// The type's name on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            Stage::Assess => "assess",
            Stage::Pre => "pre",
            Stage::Host => "host",
            Stage::Compute => "compute",
            Stage::Controller => "controller",
            Stage::Gate => "gate",
            Stage::Post => "post",
        }
    }
}

/// One entry of the session's action list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionSpec {
    /// The plug-in.
    pub plugin: Pin,
    /// When it runs.
    pub stage: Stage,
    /// What it is told: JSON text, `""` if nothing.
    pub metadata: String,
}

/// What work is done on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Nothing yet: the actions before the first host.
    Pre,
    /// A host.
    Host(HostId),
    /// Nothing any more: the actions after the last host.
    Post,
    /// Whether anything is to be done on a host; the engine's own.
    Assess(HostId),
    /// Whether it may go on after a host; the engine's own.
    Gate(HostId),
    /// What was done on a host, to be taken back; the engine's own.
    Undo(HostId),
}

impl Target {
    /// A name for people: the host's, or `pre` or `post`.
    pub fn name(&self) -> &str {
        match self {
            Target::Pre => "pre",
            Target::Post => "post",
            Target::Host(host) | Target::Assess(host) | Target::Gate(host) | Target::Undo(host) => {
                host.as_str()
            }
        }
    }

    /// The host that it is about.
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Target::Pre | Target::Post => None,
            Target::Host(host) | Target::Assess(host) | Target::Gate(host) | Target::Undo(host) => Some(host),
        }
    }
}

/// What was asked for, with every name resolved and every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// When work may begin.
    pub maintenance_at: Time,
    /// When no new host may be begun any more; `None` = no end.
    pub window_end: Option<Time>,
    /// Told to managers in every event: JSON text of an object.
    pub metadata: String,
    /// The workflow.
    pub workflow: Pin,
    /// The actions, in the order in which they run: by stage, then alphabetical by plug-in name.
    pub actions: Vec<ActionSpec>,
    /// What the session is held to.
    pub terms: Terms,
    /// The host that Fenix itself runs on, if it is one of the session's: its turn comes last (R6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_host: Option<HostId>,
}

/// What the report of an assessment begins with that finds nothing to be done.
pub const NOT_NEEDED: &str = "not needed: ";

/// Where a host is in the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStage {
    /// As found.
    Waiting,
    /// No new instances come; it is being emptied, or is empty.
    Fenced,
    /// Actions run on it.
    Working,
    /// All actions are done; not yet given back.
    Worked,
    /// Done and given back as found.
    Maintained,
    /// Left out, for a reason.
    Quarantined {
        /// The reason.
        why: String,
        /// True if work had begun on it: it must not be put in service by itself.
        begun: bool,
    },
}

impl HostStage {
    /// The stage in one word.
    pub fn name(&self) -> &'static str {
        match self {
            HostStage::Waiting => "waiting",
            HostStage::Fenced => "fenced",
            HostStage::Working => "working",
            HostStage::Worked => "worked",
            HostStage::Maintained => "maintained",
            HostStage::Quarantined { .. } => "quarantined",
        }
    }
}

/// A host's part of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWork {
    /// What it is for.
    pub kind: HostKind,
    /// Its service when the session began: the state to which it is given back.
    pub found: Service,
    /// Where it is in the session.
    pub stage: HostStage,
    /// Since when it is in that stage.
    pub since: Time,
    /// True from fencing it until it is given back.
    pub fenced: bool,
}

/// How one action stands on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRun {
    /// Which action: its index in [`Plan::actions`].
    pub action: u32,
    /// How often it was called.
    pub calls: u32,
    /// What it wants to be told next time.
    pub checkpoint: Option<String>,
    /// How far it is, 0 to 100.
    pub percent: u8,
    /// What it reported when it was done.
    pub report: Option<String>,
}

impl ActionRun {
    /// One of that action that nobody has called.
    pub fn of(action: u32) -> ActionRun {
        ActionRun { action, calls: 0, checkpoint: None, percent: 0, report: None }
    }
}

/// A project's part of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectWork {
    /// True if it has a manager. May be gained, never lost.
    pub managed: bool,
    /// True from telling it MAINTENANCE until it is told MAINTENANCE_COMPLETE (R7).
    pub told: bool,
    /// The last answer that was taken, and when: an identical repeat is idle.
    pub last_reply: Option<(Reply, Time)>,
}

/// A line of the session's recent history, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub at: Time,
    /// The sequence number of the record that it tells of.
    pub seq: u64,
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Lines of history that a session keeps in memory; the journal keeps them all.
pub const HISTORY: usize = 512;

/// A refusal that stands: the workflow wanted it, and wanted it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingRefusal {
    /// What was wanted.
    pub decision: Decision,
    /// Why not.
    pub refusal: Refusal,
    /// Since when.
    pub since: Time,
    /// How often in a row.
    pub times: u32,
}

/// One maintenance run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What was asked for.
    pub plan: Arc<Plan>,
    /// What it brings.
    pub packages: Packages,
    /// When it was made.
    pub created_at: Time,
    /// When its last record was made.
    pub updated_at: Time,
    /// The wire state.
    pub phase: Phase,
    /// The phase before a failure: continue goes on there.
    pub before_failure: Option<Phase>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether it goes on.
    pub condition: Condition,
    /// Its hosts.
    pub hosts: Hosts,
    /// Projects with instances on its hosts when it began, or since.
    pub projects: BTreeMap<ProjectId, ProjectWork>,
    /// Those of them that are managed and have not agreed to the latest MAINTENANCE, or were not asked: every decision asks
    /// how many they are.
    pub unagreed: BTreeSet<ProjectId>,
    /// All questions.
    pub asks: SharedMap<AskId, Arc<Ask>>,
    /// The latest question of each kind to each project about each host, since the session was made or last
    /// continued: older answers bind nobody any more.
    pub latest: SharedMap<AskKey, AskId>,
    /// Those of them that are open.
    pub open_asks: BTreeSet<AskId>,
    /// Effects in flight, and those whose outcome is unknown.
    pub effects: BTreeMap<EffectId, Effect>,
    /// How the actions stand on each target on which they were begun.
    pub work: SharedMap<Target, Arc<Vec<ActionRun>>>,
    /// Messages not yet delivered.
    pub outbox: Outbox,
    /// The workflow's notes.
    pub notes: Arc<BTreeMap<String, String>>,
    /// What its actions keep.
    pub values: Arc<Values>,
    /// What the workflow said it waits for.
    pub waiting: Waiting,
    /// What was refused at the last decision.
    pub refused: Vec<StandingRefusal>,
    /// Failed effects so far (R9).
    pub failures: u32,
    /// Failures in a row of moving an instance, or of the work on a host.
    pub tries: BTreeMap<String, u32>,
    /// Of instances whose last move failed, where it was to go and when it failed.
    pub declined: BTreeMap<InstanceId, (HostId, Time)>,
    /// Finished moves by instance.
    pub moves: SharedMap<InstanceId, u32>,
    /// Recent history.
    pub history: VecDeque<Arc<Line>>,
    /// The next free number of each kind.
    pub next: NextIds,
    /// Since when each phase was first entered, in order: for the summary of time by state.
    pub phases: Vec<(Phase, Time)>,
}

/// What makes two questions rounds of the same one.
pub type AskKey = (ProjectId, AskKind, Option<HostId>);

/// The next free number of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextIds {
    /// For asks.
    pub ask: u32,
    /// For effects.
    pub effect: u32,
    /// For messages.
    pub message: u32,
}

impl Session {
    /// A session as its first record makes it: no host and no project has joined yet.
    pub fn new(id: SessionId, plan: Arc<Plan>, at: Time) -> Self {
        Self {
            id,
            plan,
            packages: Packages::default(),
            created_at: at,
            updated_at: at,
            phase: Phase::Maintenance,
            before_failure: None,
            failure: None,
            condition: Condition::Running,
            hosts: Hosts::default(),
            projects: BTreeMap::new(),
            unagreed: BTreeSet::new(),
            asks: SharedMap::new(),
            latest: SharedMap::new(),
            open_asks: BTreeSet::new(),
            effects: BTreeMap::new(),
            work: SharedMap::new(),
            outbox: Outbox::default(),
            notes: Arc::default(),
            values: Arc::default(),
            waiting: Waiting::default(),
            refused: Vec::new(),
            failures: 0,
            tries: BTreeMap::new(),
            declined: BTreeMap::new(),
            moves: SharedMap::new(),
            history: VecDeque::new(),
            next: NextIds::default(),
            phases: vec![(Phase::Maintenance, at)],
        }
    }

    /// True if forward effects may be admitted (R8).
    pub fn is_running(&self) -> bool {
        self.condition == Condition::Running
    }

    /// The latest question of a kind to a project about a host, since the session was last continued.
    pub fn latest_ask(&self, project: &ProjectId, kind: AskKind, host: Option<&HostId>) -> Option<&Ask> {
        self.latest
            .get(&(project.clone(), kind, host.cloned()))
            .and_then(|id| self.asks.get(id))
            .map(|ask| &**ask)
    }

    /// How far the session is, 0 to 100: the share of hosts that are finished with.
    pub fn percent_done(&self) -> u8 {
        if self.phase == Phase::MaintenanceDone {
            return 100;
        }
        let done = self.hosts.count("maintained") + self.hosts.count("quarantined");
        // A session with all hosts done still has its managers to tell: 99.
        (done * 99 / self.hosts.len().max(1)) as u8
    }

    /// The actions that run on a target, as indexes into [`Plan::actions`], in their order.
    pub fn actions_for(&self, target: &Target) -> Vec<u32> {
        let stages: &[Stage] = match target {
            Target::Pre => &[Stage::Pre],
            Target::Post => &[Stage::Post],
            Target::Assess(_) => &[Stage::Assess],
            Target::Gate(_) => &[Stage::Gate],
            Target::Undo(host) => return self.to_undo(host),
            Target::Host(host) => match self.hosts.get(host).map(|host| host.kind) {
                Some(HostKind::Compute) => &[Stage::Host, Stage::Compute],
                Some(HostKind::Controller) => &[Stage::Host, Stage::Controller],
                Some(HostKind::Other) | None => &[Stage::Host],
            },
        };
        let of = |stage: &Stage| {
            let stage = *stage;
            (0u32..).zip(&self.plan.actions).filter(move |(_, spec)| spec.stage == stage).map(|(i, _)| i)
        };
        stages.iter().flat_map(of).collect()
    }

    /// The actions that were begun on a host and can be taken back, the last one first; none if all of the work is done.
    fn to_undo(&self, host: &HostId) -> Vec<u32> {
        let runs = self.work.get(&Target::Host(host.clone())).map(|runs| runs.as_slice()).unwrap_or_default();
        let Some(open) = runs.iter().position(|run| run.report.is_none()) else { return Vec::new() };
        // The one that is under way may have begun, whatever is known of it.
        let begun = runs.iter().take(open + 1).map(|run| run.action);
        let undoes =
            |action: &u32| self.plan.actions.get(*action as usize).is_some_and(|spec| spec.plugin.undoes);
        let mut found: Vec<u32> = begun.filter(undoes).collect();
        found.reverse();
        found
    }

    /// True if something was begun on a host that can be taken back, and was not.
    pub fn is_to_be_undone(&self, host: &HostId) -> bool {
        !self.work.contains_key(&Target::Undo(host.clone())) && !self.to_undo(host).is_empty()
    }

    /// Hosts that were worked on and are given back, after which nobody has begun to ask whether it may go on.
    pub fn ungated(&self) -> impl Iterator<Item = &HostId> {
        let has_gates = self.plan.actions.iter().any(|spec| spec.stage == Stage::Gate);
        let done = self.hosts.in_stage("maintained").map(|(host, _)| host).filter(move |_| has_gates);
        done.filter(|host| {
            self.was_worked_on(host) && !self.work.contains_key(&Target::Gate((*host).clone()))
        })
    }

    /// True if all of the work on a host was done.
    pub fn was_worked_on(&self, host: &HostId) -> bool {
        let runs = self.work.get(&Target::Host(host.clone()));
        runs.is_some_and(|runs| runs.iter().all(|run| run.report.is_some()))
    }

    /// The host that Fenix itself runs on, while others have their turn before it: workflows do not see it until then.
    pub fn held_back(&self) -> Option<&HostId> {
        let own = self.plan.own_host.as_ref()?;
        let is_waiting = self.hosts.get(own).is_some_and(|work| work.stage == HostStage::Waiting);
        let before = |stage: &HostStage| self.hosts.count(stage.name());
        let left = [HostStage::Waiting, HostStage::Fenced, HostStage::Working, HostStage::Worked];
        let left: usize = left.iter().map(before).sum();
        (is_waiting && left > 1).then_some(own)
    }

    /// How many hosts it is being found out of whether they are to be worked on, or whether it may go on after them. Nothing is
    /// decided before that is known.
    pub fn verdicts(&self) -> usize {
        let looks = |target: &Target| matches!(target, Target::Assess(_) | Target::Gate(_));
        let is_verdict = |kind: &EffectKind| matches!(kind, EffectKind::Work { target } if looks(target));
        self.effects.values().filter(|effect| is_verdict(&effect.kind)).count()
    }

    /// Waiting hosts of which nobody knows yet whether anything is to be done on them, and nobody is finding out.
    pub fn unassessed(&self) -> impl Iterator<Item = &HostId> {
        let assesses = self.plan.actions.iter().any(|spec| spec.stage == Stage::Assess);
        let waiting = self.hosts.in_stage("waiting").map(|(host, _)| host).filter(move |_| assesses);
        waiting.filter(|host| {
            let target = Target::Assess((*host).clone());
            let runs = self.work.get(&target);
            let is_known = runs.is_some_and(|runs| runs.iter().all(|run| run.report.is_some()));
            let kind = EffectKind::Work { target };
            !is_known && !self.effects.values().any(|effect| effect.kind == kind)
        })
    }
}
