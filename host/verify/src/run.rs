//! A session, as its records tell.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::ask::{Ask, AskKind, AskStatus};
use fenix_core::effect::{Effect, EffectKind, Outcome};
use fenix_core::id::{AskId, EffectId, HostId, InstanceId, ProjectId};
use fenix_core::record::Body;
use fenix_core::session::{Condition, HostStage, HostWork, NOT_NEEDED, Phase, Plan, Target};
use fenix_core::time::Time;

/// A project of a session.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) managed: bool,
    pub(crate) told: bool,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) hosts: BTreeMap<HostId, HostWork>,
    pub(crate) projects: BTreeMap<ProjectId, Project>,
    pub(crate) asks: BTreeMap<AskId, Ask>,
    /// Questions since it was last continued, the latest last.
    recent: Vec<AskId>,
    pub(crate) condition: Condition,
    pub(crate) phase: Phase,
    pub(crate) effects: BTreeMap<EffectId, Effect>,
    /// Failures since somebody last looked at them.
    pub(crate) failures: u32,
    /// Instances that could not be moved at the last try.
    pub(crate) failed_moves: BTreeSet<InstanceId>,
    /// Hosts that wait, and of which somebody said that nothing is to be done on them.
    pub(crate) not_needed: BTreeSet<HostId>,
}

impl Run {
    pub(crate) fn new(plan: Plan) -> Run {
        Run {
            plan,
            hosts: BTreeMap::new(),
            projects: BTreeMap::new(),
            asks: BTreeMap::new(),
            recent: Vec::new(),
            condition: Condition::Running,
            phase: Phase::Maintenance,
            effects: BTreeMap::new(),
            failures: 0,
            failed_moves: BTreeSet::new(),
            not_needed: BTreeSet::new(),
        }
    }

    /// The latest question of a kind about a host since the session was last continued.
    pub(crate) fn latest(&self, project: &ProjectId, kind: AskKind, host: Option<&HostId>) -> Option<&Ask> {
        let asks = self.recent.iter().rev().filter_map(|id| self.asks.get(id));
        asks.into_iter().find(|ask| ask.project == *project && ask.kind == kind && ask.host.as_ref() == host)
    }

    /// The hosts that it keeps out of service, or is about to.
    pub(crate) fn out(&self) -> BTreeSet<&HostId> {
        let kept = self.hosts.iter().filter(|(_, work)| {
            work.fenced && !matches!(work.stage, HostStage::Quarantined { begun: true, .. })
        });
        let begun = self.effects.values().filter_map(|effect| match &effect.kind {
            EffectKind::Fence { host } => Some(host),
            _ => None,
        });
        kept.map(|(host, _)| host).chain(begun).collect()
    }

    /// True while it has something to do with a host of its own: nobody else may.
    pub(crate) fn holds(&self, host: &HostId) -> bool {
        let Some(work) = self.hosts.get(host) else { return false };
        let is_over = matches!(self.condition, Condition::Closing { .. } | Condition::Ended);
        let is_on_it = self.effects.values().any(|effect| match &effect.kind {
            EffectKind::Fence { host: on } | EffectKind::Release { host: on } => on == host,
            EffectKind::Work { target } => target.host() == Some(host),
            EffectKind::Move { .. } => false,
        });
        !is_over || work.fenced || is_on_it
    }

    fn forgive(&mut self) {
        self.failures = 0;
        self.failed_moves.clear();
    }

    pub(crate) fn follow(&mut self, body: &Body, at: Time) {
        match body {
            Body::HostJoined { host, work } => drop(self.hosts.insert(host.clone(), work.clone())),
            Body::ProjectJoined { project, managed } => {
                self.projects.entry(project.clone()).or_default().managed |= *managed;
            }
            Body::HostMoved { host, stage, fenced } => {
                if let Some(work) = self.hosts.get_mut(host) {
                    work.stage = stage.clone();
                    work.fenced = *fenced;
                }
                if *stage == HostStage::Waiting {
                    self.not_needed.remove(host);
                }
            }
            Body::Entered { phase, .. } => self.phase = *phase,
            Body::Failed { .. } => {
                self.phase = Phase::MaintenanceFailed;
                self.condition = Condition::Closing { why: fenix_core::session::Close::Failed };
            }
            Body::ConditionSet { condition, .. } => {
                if matches!(self.condition, Condition::Parked { .. }) && *condition == Condition::Running {
                    self.forgive();
                }
                self.condition = condition.clone();
            }
            Body::Continued { phase } => {
                self.forgive();
                self.recent.clear();
                self.condition = Condition::Running;
                self.phase = *phase;
            }
            Body::Asked { ask, .. } => {
                let project = self.projects.entry(ask.project.clone()).or_default();
                match ask.kind {
                    AskKind::Maintenance => project.told = true,
                    AskKind::MaintenanceComplete => project.told = false,
                    AskKind::ScaleIn | AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {}
                }
                self.recent.push(ask.id);
                self.asks.insert(ask.id, ask.clone());
            }
            Body::AskDelivered { ask, .. } => self.with_ask(*ask, |ask| {
                ask.delivered_at.get_or_insert(at);
            }),
            Body::AskEnded { ask, status } => self.with_ask(*ask, |ask| ask.status = status.clone()),
            Body::Replied { ask: Some(ask), reply, .. } => self.with_ask(*ask, |ask| {
                // Nobody answers what has not arrived.
                ask.delivered_at.get_or_insert(at);
                ask.status = match reply.agrees {
                    true => AskStatus::Acked { actions: reply.actions.clone() },
                    false => AskStatus::Nacked,
                };
            }),
            Body::ActionCalled { target: Target::Assess(host), run }
                if run.report.as_ref().is_some_and(|report| report.starts_with(NOT_NEEDED)) =>
            {
                self.not_needed.insert(host.clone());
            }
            Body::Admitted { effect } => drop(self.effects.insert(effect.id, effect.clone())),
            Body::EffectEnded { effect, outcome } => self.end(*effect, outcome),
            _ => {}
        }
    }

    fn with_ask(&mut self, id: AskId, change: impl FnOnce(&mut Ask)) {
        if let Some(ask) = self.asks.get_mut(&id) {
            change(ask);
        }
    }

    fn end(&mut self, id: EffectId, outcome: &Outcome) {
        let Some(effect) = self.effects.get_mut(&id) else { return };
        let moved = match &effect.kind {
            EffectKind::Move { instance, .. } => Some(instance.clone()),
            EffectKind::Fence { .. } | EffectKind::Release { .. } | EffectKind::Work { .. } => None,
        };
        match outcome {
            Outcome::Unknown { why } => {
                self.failures += 1;
                effect.unknown = Some(why.clone());
                return;
            }
            Outcome::Failed { .. } => {
                self.failures += u32::from(effect.unknown.is_none());
                self.failed_moves.extend(moved);
            }
            Outcome::Done => {
                if let Some(instance) = moved {
                    self.failed_moves.remove(&instance);
                }
            }
            Outcome::Withdrawn { .. } => {}
        }
        self.effects.remove(&id);
    }
}
