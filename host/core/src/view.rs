//! What a workflow sees.

use std::ops::Bound;
use std::sync::Arc;

use crate::ask::{Ask, AskKind, MoveHow};
use crate::decision::{Decision, Planned, Waiting};
use crate::effect::{EffectKind, Subject};
use crate::group::Limits;
use crate::id::{AskId, GroupId, HostId, InstanceId, ProjectId, SessionId, Zone};
use crate::inventory::{Host, HostKind, Instance, Service};
use crate::place::{self, Candidate, Placement, Rooms};
use crate::policy::Terms;
use crate::rules::{self, Refusal};
use crate::session::{HostStage, HostWork, Phase, Session, Target};
use crate::state::State;
use crate::time::Time;

/// Why a workflow is woken. A hint: it looks at the state all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The session was just made.
    Started,
    /// Something that concerns the session changed.
    Changed,
    /// The time that it asked to be woken at has come.
    Timer,
    /// An administrator let the session go on.
    Continued,
}

/// A call for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    /// Why.
    pub trigger: Trigger,
    /// The recorded time at which it decides.
    pub now: Time,
}

/// What a workflow decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What it wants, in order.
    pub planned: Vec<Planned>,
    /// What it waits for.
    pub waiting: Waiting,
    /// What it logged, a line each.
    pub log: Vec<String>,
}

/// One session's view of the state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Everything known.
    pub state: Arc<State>,
    /// Whose view it is.
    pub session: SessionId,
    /// The recorded time.
    pub now: Time,
}

/// Most rows that one question to the view answers: a decision costs what it touches, and asks on for more.
pub const PAGE: usize = 256;

/// The session at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its phase.
    pub phase: Phase,
    /// When work may begin.
    pub maintenance_at: Time,
    /// When no new host may be begun any more.
    pub window_end: Option<Time>,
    /// Told to managers: JSON text of an object.
    pub metadata: String,
    /// How many hosts it has.
    pub hosts: u32,
    /// How many of them wait their turn.
    pub waiting: u32,
    /// How many are fenced and not worked on yet.
    pub fenced: u32,
    /// How many are worked on.
    pub working: u32,
    /// How many are worked on and not given back yet.
    pub worked: u32,
    /// How many are done.
    pub maintained: u32,
    /// How many are left out.
    pub quarantined: u32,
    /// Failed effects since it was made or last continued.
    pub failures: u32,
}

/// A host at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInfo {
    /// Its name.
    pub id: HostId,
    /// What it is for.
    pub kind: HostKind,
    /// Its failure domain.
    pub zone: Zone,
    /// Where it is in the session.
    pub stage: HostStage,
    /// Whether the scheduler may put instances there.
    pub in_service: bool,
    /// Whether its services answer.
    pub up: bool,
    /// How many instances hold capacity there.
    pub instances: u32,
    /// Failures in a row of the work on it.
    pub tries: u32,
}

/// An instance at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceInfo {
    /// What was seen of it.
    pub seen: Instance,
    /// The group that it backs up: as its owner states, or else as it is seen.
    pub group: Option<GroupId>,
    /// Failures in a row of moving it.
    pub tries: u32,
    /// True if a move of it is in flight, or its outcome is unknown.
    pub busy: bool,
}

/// A project at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectInfo {
    /// Its id.
    pub id: ProjectId,
    /// Whether it has a manager.
    pub managed: bool,
    /// True from telling it MAINTENANCE until it is told MAINTENANCE_COMPLETE.
    pub told: bool,
}

/// An effect in flight at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectInfo {
    /// `fence`, `release`, `move` or `work`.
    pub kind: &'static str,
    /// True if nobody knows how it ended.
    pub unknown: bool,
}

/// How the work on a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkState {
    /// Not begun.
    None,
    /// Under way.
    Running,
    /// All actions are done.
    Done,
    /// Begun, not under way, not done: an action failed.
    Failed,
}

impl View {
    /// The session itself. A view is made of a session that is there; a stale one answers as an empty one would.
    fn own(&self) -> Option<&Session> {
        self.state.session(&self.session)
    }

    /// The session at a glance; `None` if it was removed.
    pub fn session(&self) -> Option<SessionInfo> {
        let session = self.own()?;
        let count = |stage| session.hosts.count(stage) as u32;
        let held_back = u32::from(session.held_back().is_some());
        Some(SessionInfo {
            id: session.id.clone(),
            phase: session.phase,
            maintenance_at: session.plan.maintenance_at,
            window_end: session.plan.window_end,
            metadata: session.plan.metadata.clone(),
            hosts: session.hosts.len() as u32 - held_back,
            waiting: count("waiting") - held_back,
            fenced: count("fenced"),
            working: count("working"),
            worked: count("worked"),
            maintained: count("maintained"),
            quarantined: count("quarantined"),
            failures: session.failures,
        })
    }

    /// What the session is held to.
    pub fn terms(&self) -> Option<&Terms> {
        self.own().map(|session| &session.plan.terms)
    }

    /// The session's hosts after a name, without the one that is held back ([`Session::held_back`]), at most [`PAGE`]; only
    /// those in a stage of that name if one is given.
    pub fn hosts(&self, stage: Option<&str>, after: Option<&HostId>, limit: usize) -> Vec<HostInfo> {
        let Some(session) = self.own() else { return Vec::new() };
        let info = |(id, work)| self.host_info(session, id, work);
        let held_back = session.held_back();
        let is_seen = |(id, _): &(&HostId, &HostWork)| held_back != Some(*id);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        match stage {
            Some(stage) => {
                let there = session.hosts.in_stage(stage);
                let rest = there.filter(|(id, _)| after.is_none_or(|after| *id > after));
                rest.filter(is_seen).take(limit.min(PAGE)).map(info).collect()
            }
            None => {
                let rest = session.hosts.range((from, Bound::Unbounded));
                rest.filter(is_seen).take(limit.min(PAGE)).map(info).collect()
            }
        }
    }

    /// One host of the session.
    pub fn host(&self, id: &HostId) -> Option<HostInfo> {
        let session = self.own()?;
        let work = session.hosts.get(id).filter(|_| session.held_back() != Some(id))?;
        Some(self.host_info(session, id, work))
    }

    fn host_info(&self, session: &Session, id: &HostId, work: &HostWork) -> HostInfo {
        let seen = self.state.inventory.host(id);
        HostInfo {
            id: id.clone(),
            kind: work.kind,
            zone: seen.map_or_else(|| Zone::from(""), |seen| seen.zone.clone()),
            stage: work.stage.clone(),
            in_service: seen.is_some_and(Host::takes_instances),
            up: seen.is_some_and(|seen| seen.up),
            instances: self.state.inventory.count_holding(id) as u32,
            tries: session.tries.get(&format!("work {id}")).copied().unwrap_or_default(),
        }
    }

    /// Instances that hold capacity on a host, after an id, at most [`PAGE`].
    pub fn instances(&self, host: &HostId, after: Option<&InstanceId>, limit: usize) -> Vec<InstanceInfo> {
        let Some(session) = self.own() else { return Vec::new() };
        self.state
            .inventory
            .holding(host)
            .filter(|instance| after.is_none_or(|after| instance.id > *after))
            .take(limit.min(PAGE))
            .map(|seen| self.instance_info(session, seen))
            .collect()
    }

    /// One instance, wherever it is.
    pub fn instance(&self, id: &InstanceId) -> Option<InstanceInfo> {
        let session = self.own()?;
        self.state.inventory.instance(id).map(|seen| self.instance_info(session, seen))
    }

    fn instance_info(&self, session: &Session, seen: &Instance) -> InstanceInfo {
        // Next to always nothing has failed, and a key is not made in vain.
        let tries = if session.declined.contains_key(&seen.id) {
            session.tries.get(&format!("move {}", seen.id)).copied().unwrap_or_default()
        } else {
            0
        };
        InstanceInfo {
            seen: seen.clone(),
            group: self.state.groups_of(seen).last().cloned(),
            tries,
            busy: self.is_busy(seen),
        }
    }

    fn is_busy(&self, seen: &Instance) -> bool {
        self.state.in_flight(&Subject::Instance(seen.id.clone())).is_some()
    }

    /// The session's projects after an id, at most [`PAGE`].
    pub fn projects(&self, after: Option<&ProjectId>, limit: usize) -> Vec<ProjectInfo> {
        let Some(session) = self.own() else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        session
            .projects
            .range::<ProjectId, _>((from, Bound::Unbounded))
            .take(limit.min(PAGE))
            .map(|(id, work)| ProjectInfo { id: id.clone(), managed: work.managed, told: work.told })
            .collect()
    }

    /// The latest question of a kind to a project about a host, since the session was last continued.
    pub fn latest_ask(&self, project: &ProjectId, kind: AskKind, host: Option<&HostId>) -> Option<&Ask> {
        self.own()?.latest_ask(project, kind, host)
    }

    /// What a manager chose for an instance in its answer to a question.
    pub fn consent(&self, ask: AskId, instance: &InstanceId) -> Option<MoveHow> {
        self.own()?.asks.get(&ask)?.consent(instance)
    }

    /// The effect in flight on a subject, of whatever session.
    pub fn in_flight(&self, subject: &Subject) -> Option<EffectInfo> {
        let effect = match subject {
            Subject::Session(_) => {
                self.own()?.effects.values().find(|effect| effect.kind.subject() == *subject)?
            }
            Subject::Host(_) | Subject::Instance(_) => self.state.in_flight(subject)?.1,
        };
        Some(EffectInfo { kind: effect.kind.name(), unknown: effect.unknown.is_some() })
    }

    /// How the work on a target stands.
    pub fn work(&self, target: &Target) -> WorkState {
        let Some(session) = self.own() else { return WorkState::None };
        let running = session
            .effects
            .values()
            .any(|effect| matches!(&effect.kind, EffectKind::Work { target: of } if of == target));
        match session.work.get(target) {
            _ if running => WorkState::Running,
            None => WorkState::None,
            Some(runs) if runs.iter().all(|run| run.report.is_some()) => WorkState::Done,
            Some(_) => WorkState::Failed,
        }
    }

    /// The hosts that could be next, best first; see [`place::candidates`].
    pub fn candidates(&self, limit: usize) -> Vec<Candidate> {
        self.own().map(|session| place::candidates(&self.state, session, limit.min(PAGE))).unwrap_or_default()
    }

    /// A place for every instance on a host; see [`place::Rooms::place`].
    ///
    /// # Errors
    /// Why they do not all fit.
    pub fn place(&self, host: &HostId) -> Result<Vec<Placement>, String> {
        match self.own() {
            Some(session) => Rooms::new(&self.state, session).place(host),
            None => Err(format!("session {} was removed", self.session)),
        }
    }

    /// What the rules would say to a decision now.
    ///
    /// # Errors
    /// The first rule that says no.
    pub fn check(&self, decision: &Decision) -> Result<(), Refusal> {
        rules::admit(&self.state, &self.session, decision, self.now).map(|_| ())
    }

    /// A further fact about a subject, as text: of a host `vcpus`, `memory-mb`, `free-vcpus`, `free-memory-mb`,
    /// `missing-vcpus`, `leaving`, `resting`, `boot`, `found`, `release-tries`; of an instance `vcpus`, `memory-mb`, `moves`, where its last move was to go
    /// and when it failed (`declined-by`, `declined-at`), what its owner states (`lead-time`, `migration-type`), since when it may be touched (`notice-until`), what its group bears (`group-name`,
    /// `max-impacted-members`, `recovery-time`), how much of that is left (`impact-left`) and when there may be more
    /// (`recovered-at`). `None` if there is none of that name.
    pub fn attr(&self, subject: &Subject, key: &str) -> Option<String> {
        let inventory = &self.state.inventory;
        match subject {
            Subject::Host(id) => {
                let seen = inventory.host(id)?;
                match key {
                    "vcpus" => Some(seen.capacity.vcpus.to_string()),
                    "memory-mb" => Some(seen.capacity.memory_mb.to_string()),
                    "free-vcpus" => Some(self.state.free(id, None).vcpus.to_string()),
                    "free-memory-mb" => Some(self.state.free(id, None).memory_mb.to_string()),
                    "missing-vcpus" => {
                        Some(Rooms::new(&self.state, self.own()?).missing(id).vcpus.to_string())
                    }
                    "leaving" => Some(self.on(id).count().to_string()),
                    "resting" => {
                        Some(self.on(id).filter(|instance| !self.is_busy(instance)).count().to_string())
                    }
                    "boot" => Some(seen.boot.clone()),
                    "release-tries" => {
                        let tries = self.own()?.tries.get(&format!("release {id}"));
                        Some(tries.copied().unwrap_or_default().to_string())
                    }
                    "found" => match &self.own()?.hosts.get(id)?.found {
                        Service::Enabled => Some("enabled".into()),
                        Service::Disabled { .. } => Some("disabled".into()),
                        Service::Absent => Some("absent".into()),
                    },
                    _ => None,
                }
            }
            Subject::Instance(id) => {
                let seen = inventory.instance(id)?;
                match key {
                    "vcpus" => Some(seen.resources.vcpus.to_string()),
                    "memory-mb" => Some(seen.resources.memory_mb.to_string()),
                    "group-name" => Some(self.limits_of(seen)?.name.to_owned()),
                    "max-impacted-members" => Some(self.limits_of(seen)?.max_impacted_members.to_string()),
                    "recovery-time" => Some(self.limits_of(seen)?.recovery_time.as_secs_ceil().to_string()),
                    "impact-left" => self.impact_left(seen).map(|left| left.to_string()),
                    "recovered-at" => self.recovered_at(seen).map(|at| at.as_secs_ceil().to_string()),
                    "notice-until" => self.notice_until(seen).map(|at| at.as_secs_ceil().to_string()),
                    "lead-time" => {
                        Some(self.state.lead_time(seen, &self.terms()?.ceilings).as_secs_ceil().to_string())
                    }
                    "migration-type" => {
                        self.state.stated(seen)?.migration_type.map(|how| how.wire().to_owned())
                    }
                    "declined-by" => self.own()?.declined.get(id).map(|(host, _)| host.to_string()),
                    "declined-at" => {
                        self.own()?.declined.get(id).map(|(_, at)| at.as_secs_ceil().to_string())
                    }
                    "moves" => Some(self.own()?.moves.get(id).copied().unwrap_or_default().to_string()),
                    _ => None,
                }
            }
            Subject::Session(_) => None,
        }
    }

    /// The instances on a host, without those that only come to it.
    fn on<'a>(&'a self, host: &'a HostId) -> impl Iterator<Item = &'a Instance> {
        self.state.inventory.holding(host).filter(|instance| instance.host == *host)
    }

    /// A further fact about the session, as text: `scale-in-max`, the most vcpus that managers may be asked to give back;
    /// `unagreed`, how many of its managed projects have not agreed to the latest MAINTENANCE, or were not asked.
    pub fn session_attr(&self, key: &str) -> Option<String> {
        let session = self.own()?;
        match key {
            "scale-in-max" => {
                let computes = session.hosts.iter().filter(|(_, work)| work.kind == HostKind::Compute);
                let seen = computes.filter_map(|(id, _)| self.state.inventory.host(id));
                let largest = seen.map(|host| host.capacity.vcpus).max().unwrap_or_default();
                Some(session.plan.terms.scale_in_max.unwrap_or(largest).to_string())
            }
            "unagreed" => Some(session.unagreed.len().to_string()),
            _ => None,
        }
    }

    /// A further fact about a project of the session, as text: `vcpus` and `instances`, what it has; `busy-until`.
    pub fn project_attr(&self, project: &ProjectId, key: &str) -> Option<String> {
        let known = self.own()?.projects.contains_key(project);
        let instances = || self.state.inventory.of_project(project);
        match key {
            _ if !known => None,
            "vcpus" => Some(instances().map(|instance| instance.resources.vcpus).sum::<u32>().to_string()),
            "instances" => Some(instances().count().to_string()),
            "busy-until" => {
                let until = self.state.busy_until(project, self.now)?;
                Some(until.as_secs_ceil().to_string())
            }
            _ => None,
        }
    }

    /// How many more members may be out of service now of the group that an instance backs up, itself left out of
    /// account; of the one of which the fewest may be, if there are two. `None` if there is no group.
    fn impact_left(&self, seen: &Instance) -> Option<u32> {
        let ceilings = &self.terms()?.ceilings;
        let left = |group: &GroupId| {
            let limits = self.state.limits(group, seen, ceilings);
            let mut out = self.state.members_out(group, limits.recovery_time, self.now, None);
            out.remove(&seen.id);
            limits.max_impacted_members.saturating_sub(out.len() as u32)
        };
        self.state.groups_of(seen).map(left).min()
    }

    /// When the next member recovers of the groups that an instance backs up, itself left out of account.
    fn recovered_at(&self, seen: &Instance) -> Option<Time> {
        let ceilings = &self.terms()?.ceilings;
        let next = |group: &GroupId| {
            let recovery = self.state.limits(group, seen, ceilings).recovery_time;
            let others = self.state.members(group).filter(|member| member.id != seen.id);
            let back = others.filter_map(|member| Some(*self.state.returned.get(&member.id)? + recovery));
            back.filter(|at| *at > self.now).min()
        };
        self.state.groups_of(seen).filter_map(next).min()
    }

    /// Until when an instance's manager has its lead time, by the latest question about the host where it is now; `None` if
    /// it has not heard of one.
    fn notice_until(&self, seen: &Instance) -> Option<Time> {
        let session = self.own()?;
        let kinds = AskKind::ALL.into_iter().filter(|kind| kind.wants_actions());
        let asks = kinds.filter_map(|kind| session.latest_ask(&seen.project, kind, Some(&seen.host)));
        let heard_at = asks.max_by_key(|ask| ask.id)?.heard_at()?;
        Some(heard_at + self.state.lead_time(seen, &session.plan.terms.ceilings))
    }

    /// What the group bears that an instance backs up.
    fn limits_of(&self, seen: &Instance) -> Option<Limits<'_>> {
        let seen = self.state.inventory.instance(&seen.id)?;
        let group = self.state.groups_of(seen).last()?;
        Some(self.state.limits(group, seen, &self.terms()?.ceilings))
    }

    /// A note that the workflow wrote.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.own()?.notes.get(key).map(String::as_str)
    }
}
