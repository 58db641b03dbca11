//! Everything known: the fold of all records.
//!
//! [`State::apply`] is the only way in which state changes; at recovery [`crate::fold`] has it done to many records
//! at once. It asks nobody: no plug-in, no cloud, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ask::{Ask, AskKind, AskStatus};
use crate::constraint::{Constrained, Constraint, Constraints};
use crate::effect::{EffectKind, Outcome};
use crate::finder::Finder;
use crate::grant::Right;
use crate::id::{Digest, HostId, InstanceId, ProjectId, SessionId, SubscriptionId};
use crate::inventory::{Change, Inventory};
use crate::message::Subscription;
use crate::past::{Note, Past};
use crate::record::{Body, Record};
use crate::rules::Rule;
use crate::session::{
    ActionRun, Close, Condition, HostStage, HostWork, Phase, Pin, ProjectWork, Session, Target,
};
use crate::shared::SharedMap;
use crate::standing::{Attached, Template};
use crate::time::Time;

/// Everything known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The number of the last record.
    pub seq: u64,
    /// The time of the last record.
    pub at: Time,
    /// What was last seen.
    pub inventory: Arc<Inventory>,
    /// When an instance was last seen to come back into service: as a member of a group it recovers from then on (R2).
    pub returned: SharedMap<InstanceId, Time>,
    /// When an instance that was on its way to a host was last seen neither there nor on its way: an infrastructure may
    /// show a move as over some seconds before it says where the instance is (R4).
    pub missed: BTreeMap<HostId, Time>,
    /// All sessions that are not removed.
    pub sessions: SharedMap<SessionId, Arc<Session>>,
    /// Where to look in them: follows from them.
    pub finder: Finder,
    /// Standing orders for messages.
    pub subscriptions: SharedMap<SubscriptionId, Subscription>,
    /// What managers want respected.
    pub constraints: Arc<Constraints>,
    /// Plug-ins that were attached while the server ran, by name.
    pub plugins: Arc<BTreeMap<String, Attached>>,
    /// What components may use, by their content.
    pub grants: Arc<BTreeMap<Digest, Vec<Right>>>,
    /// Packages that administrators put here, by content, with their size in bytes.
    pub kept: Arc<BTreeMap<Digest, u64>>,
    /// Sessions that can be started again, by name.
    pub templates: Arc<BTreeMap<String, Template>>,
    /// What became of hosts and instances, over all sessions.
    pub past: Arc<Past>,
    /// Why nothing new is begun in any session, if so: the journal cannot be relied on to take what would follow. Set
    /// by whoever drives the engine, and no part of the fold.
    pub held: Option<Arc<str>>,
    /// One rule that is not enforced. Only ever set by the test that shows that the checkers notice.
    pub switched_off: Option<Rule>,
}

/// A record that does not follow from those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} does not fit what went before: {why}")]
pub struct FoldError {
    /// The record.
    pub seq: u64,
    /// The session whose stream it hurts; `None` = the installation's.
    pub session: Option<SessionId>,
    /// What does not fit.
    pub why: String,
}

impl State {
    /// Takes over one record.
    ///
    /// # Errors
    /// The record does not fit: its session is not there, is there already, or it names something that never was.
    /// The state is as before, but for `seq` and `at`.
    pub fn apply(&mut self, record: &Record) -> Result<(), FoldError> {
        if let Some(note) = self.step(record)? {
            Arc::make_mut(&mut self.past).take(note);
        }
        Ok(())
    }

    /// Takes over one record, but for what it tells about the past, which is returned. In everything else a session is
    /// told from its own records alone, and the installation from its own: [`crate::fold`] relies on that.
    ///
    /// # Errors
    /// As of [`State::apply`].
    pub(crate) fn step(&mut self, record: &Record) -> Result<Option<Note>, FoldError> {
        let misfit = |why: String| FoldError { seq: record.seq, session: record.session.clone(), why };
        self.seq = record.seq;
        self.at = self.at.max(record.at);
        match (&record.session, &record.body) {
            (None, Body::Observed { change }) => {
                self.observe(change, record.at);
                return Ok(Note::of_change(change));
            }
            (None, Body::Subscribed { subscription }) => {
                self.subscriptions.insert(subscription.id.clone(), subscription.clone());
            }
            (None, Body::Unsubscribed { id }) => {
                self.subscriptions.remove(id);
            }
            (None, Body::QuarantineCleared { host }) => {
                return Ok(Some(Note::Cleared { host: host.clone() }));
            }
            (None, body) => {
                self.keep(body).ok_or_else(|| misfit(format!("{} needs a session", body.name())))?;
            }
            (Some(id), Body::Opened { plan, .. }) => {
                if self.sessions.contains_key(id) {
                    return Err(misfit("the session is there already".into()));
                }
                let session = Session::new(id.clone(), Arc::new(plan.clone()), record.at);
                self.sessions.insert(id.clone(), Arc::new(session));
            }
            (Some(id), Body::Removed) => {
                if let Some(session) = self.sessions.remove(id) {
                    self.finder.forget(&session);
                }
            }
            (Some(id), body) => {
                let session = self.sessions.get_mut(id).ok_or_else(|| misfit(format!("no session {id}")))?;
                let note = Note::of(session, record.at, body);
                let before = Finder::concerned(session, body);
                Arc::make_mut(session).apply(record).map_err(misfit)?;
                self.finder.follow(session, body, before);
                return Ok(note);
            }
        }
        Ok(None)
    }

    /// Takes over what managers and administrators leave with the installation; `None` if that is nothing such.
    fn keep(&mut self, body: &Body) -> Option<()> {
        match body {
            Body::Constrained { constraint } => {
                Arc::make_mut(&mut self.constraints).set(constraint.clone());
            }
            Body::Unconstrained { about } => Arc::make_mut(&mut self.constraints).remove(about),
            Body::PluginAttached { plugin } => {
                Arc::make_mut(&mut self.plugins).insert(plugin.pin.name.clone(), plugin.clone());
            }
            Body::PluginDetached { name } => drop(Arc::make_mut(&mut self.plugins).remove(name)),
            Body::Granted { grant } => {
                Arc::make_mut(&mut self.grants).insert(grant.digest.clone(), grant.rights.clone());
            }
            Body::Revoked { digest } => drop(Arc::make_mut(&mut self.grants).remove(digest)),
            Body::PackageKept { package } => {
                Arc::make_mut(&mut self.kept).insert(package.digest.clone(), package.bytes);
            }
            Body::PackageDropped { digest } => drop(Arc::make_mut(&mut self.kept).remove(digest)),
            Body::TemplateSaved { template } => {
                Arc::make_mut(&mut self.templates).insert(template.name.clone(), template.clone());
            }
            Body::TemplateRemoved { name } => drop(Arc::make_mut(&mut self.templates).remove(name)),
            // It is kept for people; what it did stands in records of its own.
            Body::Commanded { .. } => {}
            _ => return None,
        }
        Some(())
    }

    /// The project to which an instance or group belongs: as the cloud has it, or else as it was stated. `None` for
    /// what neither knows.
    pub fn owner(&self, about: &Constrained) -> Option<&ProjectId> {
        let seen = match about {
            Constrained::Instance(id) => self.inventory.instance(id).map(|instance| &instance.project),
            Constrained::Group(id) => self.inventory.group(id).map(|group| &group.project),
        };
        seen.or_else(|| self.constraints.get(about).map(Constraint::project))
    }

    /// The session of that id.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id).map(|session| &**session)
    }

    /// True if a session takes forward steps now: it runs, and the installation is not held.
    pub fn goes_on(&self, id: &SessionId) -> bool {
        self.held.is_none() && self.session(id).is_some_and(Session::is_running)
    }

    /// True if what is found fast is what is found the long way; for tests.
    pub fn is_indexed(&self) -> bool {
        let follows = |session: &Arc<Session>| session.unagreed == session.find_unagreed();
        self.finder == Finder::of(self.sessions.values()) && self.sessions.values().all(follows)
    }

    fn observe(&mut self, change: &Change, at: Time) {
        match change {
            Change::Instance(new) => {
                let old = self.inventory.instance(&new.id);
                if let Some(host) = new.did_not_come_to(old) {
                    self.missed.insert(host.clone(), at);
                }
                if new.came_back(old) {
                    self.returned.insert(new.id.clone(), at);
                }
            }
            Change::InstanceGone(id) => drop(self.returned.remove(id)),
            Change::HostGone(id) => drop(self.missed.remove(id)),
            Change::Host(_) | Change::Group(_) | Change::GroupGone(_) => {}
        }
        Arc::make_mut(&mut self.inventory).apply(change);
    }
}

impl Session {
    #[expect(clippy::too_many_lines, reason = "one total match, an arm per kind of record")]
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let line = self.tell(&record.body);
        match &record.body {
            Body::HostJoined { host, work } => {
                self.hosts.set(host.clone(), work.clone());
            }
            Body::ProjectJoined { project, managed } => {
                self.projects.entry(project.clone()).or_default().managed |= *managed;
                self.look_for_agreement(project);
            }
            Body::Decided { waiting, refused } => self.decided(waiting, refused, record.at),
            Body::Undecided { .. } => self.waiting = crate::decision::Waiting::default(),
            Body::Entered { phase, .. } => self.enter(*phase, record.at),
            Body::ConditionSet { condition, .. } => self.turn(condition),
            Body::Failed { reason } => {
                self.before_failure = Some(self.phase);
                self.failure = Some(reason.clone());
                self.condition = Condition::Closing { why: Close::Failed };
                self.enter(Phase::MaintenanceFailed, record.at);
            }
            Body::Continued { phase } => {
                self.before_failure = None;
                self.failure = None;
                self.condition = Condition::Running;
                self.forget_failures();
                self.latest = SharedMap::new();
                self.hosts.forget_asked();
                self.unagreed = self.find_unagreed();
                self.enter(*phase, record.at);
            }
            Body::Asked { ask, .. } => self.asked(ask)?,
            Body::AskDelivered { ask, reply_by } => {
                let ask = self.ask_mut(*ask)?;
                ask.delivered_at.get_or_insert(record.at);
                ask.reply_by = *reply_by;
            }
            Body::AskExtended { ask, reply_by } => {
                self.ask_mut(*ask)?.reply_by = *reply_by;
            }
            Body::PartlyReplied { ask, instance, how } => {
                let ask = self.ask_mut(*ask)?;
                ask.chosen.insert(instance.clone(), *how);
            }
            Body::AskEnded { ask, status } => {
                self.end_ask(*ask, status.clone(), record.at)?;
            }
            Body::Replied { project, ask, reply } => {
                if let Some(id) = ask {
                    let status = if reply.agrees {
                        AskStatus::Acked { actions: reply.actions.clone() }
                    } else {
                        AskStatus::Nacked
                    };
                    self.end_ask(*id, status, record.at)?;
                }
                self.projects.entry(project.clone()).or_default().last_reply =
                    Some((reply.clone(), record.at));
            }
            Body::Admitted { effect } => {
                self.next.effect = self.next.effect.max(after(effect.id.0)?);
                if let EffectKind::Work { target } = &effect.kind {
                    self.begin_work(target);
                }
                self.effects.insert(effect.id, effect.clone());
            }
            Body::EffectUnclear { effect } => {
                let effect = self.effects.get_mut(effect).ok_or_else(|| format!("no effect {effect}"))?;
                effect.unclear_at = Some(record.at);
            }
            Body::EffectEnded { effect, outcome } => self.end_effect(*effect, outcome, record.at)?,
            Body::HostMoved { host, stage, fenced } => {
                let known = self.hosts.get(host).ok_or_else(|| format!("no host {host}"))?;
                let work =
                    HostWork { stage: stage.clone(), since: record.at, fenced: *fenced, ..known.clone() };
                self.hosts.set(host.clone(), work);
                self.forget_work(host, stage);
            }
            Body::ActionCalled { target, run } => self.called(target, run)?,
            Body::PackageWanted { package } => self.packages.wanted.push(package.clone()),
            Body::PackageFetched { package } => self.packages.fetched.push(package.clone()),
            Body::PluginsPinned { workflow, actions } => self.pin(workflow, actions)?,
            Body::Noted { key, value: Some(value) } => {
                Arc::make_mut(&mut self.notes).insert(key.clone(), value.clone());
            }
            Body::Noted { key, value: None } => {
                Arc::make_mut(&mut self.notes).remove(key);
            }
            Body::ValueKept { plugin, key, value } => {
                let own = Arc::make_mut(&mut self.values).entry(plugin.clone()).or_default();
                match value {
                    Some(value) => drop(own.insert(key.clone(), value.clone())),
                    None => drop(own.remove(key)),
                }
            }
            Body::Queued { message } => {
                self.next.message = self.next.message.max(after(message.id.0)?);
                self.outbox.insert(message.clone());
            }
            Body::MessageEnded { message, .. } => {
                self.outbox.remove(*message).ok_or_else(|| format!("no message {message}"))?;
            }
            Body::Observed { .. }
            | Body::Subscribed { .. }
            | Body::Unsubscribed { .. }
            | Body::Constrained { .. }
            | Body::Unconstrained { .. }
            | Body::PluginAttached { .. }
            | Body::PluginDetached { .. }
            | Body::Granted { .. }
            | Body::Revoked { .. }
            | Body::PackageKept { .. }
            | Body::PackageDropped { .. }
            | Body::TemplateSaved { .. }
            | Body::TemplateRemoved { .. }
            | Body::QuarantineCleared { .. }
            | Body::Commanded { .. }
            | Body::Opened { .. }
            | Body::Removed => return Err("it is not a session's".into()),
        }
        self.updated_at = record.at;
        self.remember(record, line);
        Ok(())
    }

    fn pin(&mut self, workflow: &Pin, actions: &[Pin]) -> Result<(), String> {
        let plan = Arc::make_mut(&mut self.plan);
        if plan.actions.len() != actions.len() {
            return Err(format!("{} pins for {} actions", actions.len(), plan.actions.len()));
        }
        plan.workflow = workflow.clone();
        plan.actions.iter_mut().zip(actions).for_each(|(spec, pin)| spec.plugin = pin.clone());
        Ok(())
    }

    fn turn(&mut self, condition: &Condition) {
        // Whoever lets a parked session go on has looked at what went wrong.
        if matches!(self.condition, Condition::Parked { .. }) && *condition == Condition::Running {
            self.forget_failures();
        }
        self.condition = condition.clone();
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.tries.clear();
        self.declined.clear();
        self.refused.clear();
    }

    fn asked(&mut self, ask: &Ask) -> Result<(), String> {
        self.next.ask = self.next.ask.max(after(ask.id.0)?);
        if let Some(project) = self.projects.get_mut(&ask.project) {
            match ask.kind {
                AskKind::Maintenance => project.told = true,
                AskKind::MaintenanceComplete => project.told = false,
                AskKind::ScaleIn | AskKind::PrepareMaintenance | AskKind::PlannedMaintenance => {}
            }
        }
        if let Some(host) = &ask.host {
            self.hosts.asked_about(host);
        }
        self.open_asks.insert(ask.id);
        self.latest.insert((ask.project.clone(), ask.kind, ask.host.clone()), ask.id);
        self.asks.insert(ask.id, Arc::new(ask.clone()));
        self.look_for_agreement(&ask.project);
        Ok(())
    }

    /// Notes whether a project has agreed to the session, after it or what it was asked has changed.
    fn look_for_agreement(&mut self, project: &ProjectId) {
        match self.projects.get(project) {
            Some(work) if self.is_unagreed(project, work) => self.unagreed.insert(project.clone()),
            Some(_) | None => self.unagreed.remove(project),
        };
    }

    fn is_unagreed(&self, project: &ProjectId, work: &ProjectWork) -> bool {
        let last = self.latest_ask(project, AskKind::Maintenance, None);
        work.managed && !last.is_some_and(|ask| matches!(ask.status, AskStatus::Acked { .. }))
    }

    /// [`Session::unagreed`], found the long way.
    fn find_unagreed(&self) -> BTreeSet<ProjectId> {
        let unagreed = self.projects.iter().filter(|(project, work)| self.is_unagreed(project, work));
        unagreed.map(|(project, _)| project.clone()).collect()
    }

    fn enter(&mut self, phase: Phase, at: Time) {
        self.phase = phase;
        self.phases.push((phase, at));
    }

    fn ask_mut(&mut self, id: crate::id::AskId) -> Result<&mut Ask, String> {
        let ask = self.asks.get_mut(&id).ok_or_else(|| format!("no ask {id}"))?;
        Ok(Arc::make_mut(ask))
    }

    fn end_ask(&mut self, id: crate::id::AskId, status: AskStatus, at: Time) -> Result<(), String> {
        let ask = self.ask_mut(id)?;
        ask.status = status;
        ask.ended_at = Some(at);
        let project = ask.project.clone();
        self.open_asks.remove(&id);
        self.look_for_agreement(&project);
        Ok(())
    }

    fn begin_work(&mut self, target: &Target) {
        let runs = Arc::new(self.actions_for(target).into_iter().map(ActionRun::of).collect());
        match target {
            // Each look is one of its own: what an earlier one found may be different by now.
            Target::Assess(_) | Target::Gate(_) => drop(self.work.insert(target.clone(), runs)),
            Target::Pre | Target::Host(_) | Target::Post | Target::Undo(_) => {
                self.work.get_or_insert_with(target.clone(), || runs);
            }
        }
    }

    fn called(&mut self, target: &Target, run: &ActionRun) -> Result<(), String> {
        let runs = self.work.get_mut(target).ok_or("no work on that target")?;
        match Arc::make_mut(runs).iter_mut().find(|known| known.action == run.action) {
            Some(known) => *known = run.clone(),
            None => return Err(format!("no action {} on that target", run.action)),
        }
        // What was taken back is to be done from its beginning, if ever.
        if let (Target::Undo(host), Some(_)) = (target, &run.report)
            && let Some(runs) = self.work.get_mut(&Target::Host(host.clone()))
            && let Some(done) = Arc::make_mut(runs).iter_mut().find(|known| known.action == run.action)
        {
            *done = ActionRun::of(run.action);
        }
        Ok(())
    }

    /// A host that waits again is looked at again, and what is worked on again can be taken back and has its gate again.
    fn forget_work(&mut self, host: &HostId, stage: &HostStage) {
        let over: &[Target] = match stage {
            HostStage::Waiting => &[Target::Assess(host.clone())],
            HostStage::Working => &[Target::Undo(host.clone()), Target::Gate(host.clone())],
            HostStage::Fenced | HostStage::Worked | HostStage::Maintained | HostStage::Quarantined { .. } => {
                &[]
            }
        };
        for target in over {
            self.work.remove(target);
        }
    }

    fn end_effect(&mut self, id: crate::id::EffectId, outcome: &Outcome, at: Time) -> Result<(), String> {
        let effect = self.effects.get_mut(&id).ok_or_else(|| format!("no effect {id}"))?;
        let key = effect.kind.tries_key();
        match outcome {
            Outcome::Done => {
                if let EffectKind::Move { instance, .. } = &effect.kind {
                    *self.moves.get_or_insert_with(instance.clone(), u32::default) += 1;
                    self.declined.remove(instance);
                }
                self.tries.remove(&key);
            }
            Outcome::Failed { .. } => {
                // One whose outcome was unknown was counted then.
                self.failures += u32::from(effect.unknown.is_none());
                if let EffectKind::Move { instance, to, .. } = &effect.kind {
                    self.declined.insert(instance.clone(), (to.clone(), at));
                }
                *self.tries.entry(key).or_default() += 1;
            }
            Outcome::Withdrawn { .. } => {}
            Outcome::Unknown { why } => {
                self.failures += 1;
                effect.unknown = Some(why.clone());
                return Ok(());
            }
        }
        self.effects.remove(&id);
        Ok(())
    }

    fn decided(
        &mut self,
        waiting: &crate::decision::Waiting,
        refused: &[(crate::decision::Planned, crate::rules::Refusal)],
        at: Time,
    ) {
        self.waiting = waiting.clone();
        let before = std::mem::take(&mut self.refused);
        self.refused = refused
            .iter()
            .map(|(planned, refusal)| {
                let same =
                    before.iter().find(|old| old.decision == planned.decision && old.refusal == *refusal);
                crate::session::StandingRefusal {
                    decision: planned.decision.clone(),
                    refusal: refusal.clone(),
                    since: same.map_or(at, |old| old.since),
                    times: same.map_or(1, |old| old.times + 1),
                }
            })
            .collect();
    }
}

/// The number that follows another one.
fn after(number: u32) -> Result<u32, String> {
    number.checked_add(1).ok_or_else(|| format!("no number can follow {number}"))
}
