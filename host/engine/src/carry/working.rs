//! Running a target's actions, one after the other.

use fenix_core::effect::{Effect, EffectKind, Outcome};
use fenix_core::id::{EffectId, SessionId};
use fenix_core::record::Body;
use fenix_core::rules;
use fenix_core::session::{ActionRun, HostStage, NOT_NEEDED, Session, Target};
use fenix_core::time::{Millis, Time};

use super::{Next, Purpose};
use crate::assessing::Verdict;
use crate::event::{CallId, Order};
use crate::ports::{ActionCall, ActionError, Assignment, MAX_CHECKPOINT, Progress};
use crate::{Engine, Owner};

/// Longest report and failure text that is kept of an action, in bytes: records stay small.
const MAX_TEXT: usize = 512;

/// Times in a row that an action may be ended by the sandbox before its session is parked: whoever wrote it has to look.
const MOST_TRAPS: u32 = 3;

/// How long something may stand in the way of taking back, and how often it is looked whether it still does.
const UNDO_PATIENCE: Millis = Millis::from_secs(60);
const UNDO_LOOK: Millis = Millis::from_secs(5);

/// Least time between two calls of an action: one that wants to be called again at once must not spin.
const LEAST_PAUSE: Millis = Millis(100);

impl Engine {
    /// The target was looked at, or is none: goes on with the next action.
    pub(super) fn step_work(&mut self, session: &SessionId, effect: &Effect) {
        let EffectKind::Work { target } = &effect.kind else { return };
        let now = self.now;
        // What is taken back is no way forward: a pause does not hold it up.
        let is_undo = matches!(target, Target::Undo(_));
        if self.is_held(session) && (!is_undo || self.state.held.is_some()) {
            if let Some(carrier) = self.carriers.get_mut(&(session.clone(), effect.id)) {
                carrier.held_since = Some(now);
            }
            return;
        }
        // A host is told to be in work before it is told to be worked, however little there is to do on it.
        let is_untouched = matches!(target, Target::Host(_)) && !self.has_begun(session, target);
        if !is_untouched && self.is_worked(session, target) {
            return self.end(session, effect, Outcome::Done);
        }
        if let Err(refusal) = rules::still_allowed(&self.state, session, effect, self.now) {
            // Somebody else's move may be over in a moment.
            if is_undo && now < effect.admitted_at + UNDO_PATIENCE {
                return self.sleep(session, effect.id, UNDO_LOOK);
            }
            return match self.has_begun(session, target) {
                false => self.follow(session, effect, Next::withdrawn(refusal)),
                true => self.end(session, effect, Outcome::Failed { why: refusal.why }),
            };
        }
        if let Target::Host(host) = target
            && !self.has_begun(session, target)
        {
            let body = Body::HostMoved { host: host.clone(), stage: HostStage::Working, fenced: true };
            self.record(session, body);
            self.tell_host(session, host, true);
        }
        if now >= self.work_deadline(session, effect) {
            let why = "the actions were not done in time".to_owned();
            return self.end(session, effect, Outcome::Failed { why });
        }
        let Some(known) = self.state.session(session) else { return };
        match next_run(known, target) {
            Some(run) => {
                let (run, assignment) = (run.action, self.assignment(known, target, (effect.id, run)));
                self.run_action(session, effect.id, run, assignment);
            }
            None => self.end(session, effect, Outcome::Done),
        }
    }

    /// When the work is given up: later by the time for which its session was held.
    fn work_deadline(&self, session: &SessionId, effect: &Effect) -> Time {
        let carrier = self.carriers.get(&(session.clone(), effect.id));
        effect.deadline + carrier.map(|carrier| carrier.memory.held_for).unwrap_or_default()
    }

    fn has_begun(&self, session: &SessionId, target: &Target) -> bool {
        match target {
            Target::Pre | Target::Post | Target::Undo(_) => true,
            // What only looks may be given up at any moment.
            Target::Assess(_) | Target::Gate(_) => false,
            Target::Host(host) => self
                .state
                .session(session)
                .and_then(|known| known.hosts.get(host))
                .is_some_and(|work| work.stage == HostStage::Working),
        }
    }

    fn is_worked(&self, session: &SessionId, target: &Target) -> bool {
        self.state.session(session).is_some_and(|known| next_run(known, target).is_none())
    }

    fn run_action(&mut self, session: &SessionId, id: EffectId, action: u32, assignment: Option<Assignment>) {
        let Some(assignment) = assignment else { return };
        let call = self.new_call(Owner::Effect(session.clone(), id), None);
        self.await_call(session, id, call, Purpose::Action(action));
        self.orders.push(Order::RunAction { id: call, assignment: Box::new(assignment) });
    }

    pub(crate) fn action_returned(&mut self, id: CallId, result: Result<Progress, ActionError>) {
        let Some(Owner::Effect(session, effect)) = self.awaited.remove(&id).map(|awaited| awaited.owner)
        else {
            return;
        };
        self.agenda.touch(&session);
        let Some(effect) = self.effect(&session, effect) else { return };
        let EffectKind::Work { target } = effect.kind.clone() else { return };
        let Some(carrier) = self.carriers.get_mut(&(session.clone(), effect.id)) else { return };
        let Some((_, Purpose::Action(action))) = carrier.awaiting.take() else { return };
        let name = self.action_name(&session, action);
        let traps = self.traps_in_a_row(&session, action, &result);
        match result {
            Ok(Progress::Done { report }) => {
                let report = Some(clipped(report));
                self.called(&session, &target, action, |run| run.report = report);
                self.sleep(&session, effect.id, Millis::ZERO);
            }
            Ok(Progress::Again { checkpoint, .. }) if checkpoint.len() > MAX_CHECKPOINT => {
                let why = format!(
                    "action {name} returned a checkpoint of {} bytes, and {MAX_CHECKPOINT} is the most",
                    checkpoint.len()
                );
                self.end(&session, &effect, Outcome::Failed { why });
            }
            Ok(Progress::Again { after, checkpoint, percent }) => {
                self.called(&session, &target, action, |run| {
                    run.checkpoint = Some(checkpoint);
                    run.percent = percent.min(100);
                });
                // Neither a spin nor a sleep past the time in which it has to be done.
                let left = self.work_deadline(&session, &effect).since(self.now);
                self.sleep(&session, effect.id, after.min(left).max(LEAST_PAUSE));
            }
            Ok(Progress::NotNeeded { why }) => {
                let said = clipped(format!("{NOT_NEEDED}{why}"));
                self.judge(&session, &effect, (&target, action), said, Verdict::NotNeeded);
            }
            Ok(Progress::Stop { why }) if matches!(target, Target::Gate(_)) => {
                self.close_gate(&session, &effect, (&target, action), format!("action {name}: {why}"));
            }
            Err(error) if matches!(target, Target::Gate(_)) => {
                self.close_gate(&session, &effect, (&target, action), format!("action {name}: {error}"));
            }
            Ok(Progress::Stop { why }) => {
                let said = clipped(format!("action {name}: {why}"));
                self.judge(&session, &effect, (&target, action), said.clone(), Verdict::Stop(said));
            }
            Err(error) => {
                let why = clipped(format!("action {name}: {error}"));
                self.end(&session, &effect, Outcome::Failed { why: why.clone() });
                // Whatever a failure is to lead to: with this plug-in it would lead there on every host.
                if traps >= MOST_TRAPS {
                    self.park(&session, format!("{traps} times in a row: {why}"));
                }
            }
        }
    }

    /// How often in a row an action of a session was ended by the sandbox, with this result.
    fn traps_in_a_row(
        &mut self,
        session: &SessionId,
        action: u32,
        result: &Result<Progress, ActionError>,
    ) -> u32 {
        let spec = self.state.session(session).and_then(|known| known.plan.actions.get(action as usize));
        let Some(digest) = spec.map(|spec| spec.plugin.digest.clone()) else { return 0 };
        let key = (session.clone(), digest);
        match result {
            Err(ActionError::Trapped(_)) => {
                let traps = self.traps.entry(key).or_default();
                *traps += 1;
                *traps
            }
            Ok(_) | Err(ActionError::Failed(_) | ActionError::Unusable(_)) => {
                self.traps.remove(&key);
                0
            }
        }
    }

    /// A gate says stop, or cannot say anything: somebody has to look. When the session goes on, the gates behind it are asked.
    fn close_gate(
        &mut self,
        session: &SessionId,
        effect: &Effect,
        (target, action): (&Target, u32),
        said: String,
    ) {
        let said = clipped(said);
        self.called(session, target, action, |run| run.report = Some(said.clone()));
        self.judged(session, target, Verdict::Stop(said));
        self.sleep(session, effect.id, Millis::ZERO);
    }

    /// An action said that it does not go on as planned, which is an end like any other.
    fn judge(
        &mut self,
        session: &SessionId,
        effect: &Effect,
        (target, action): (&Target, u32),
        said: String,
        verdict: Verdict,
    ) {
        self.called(session, target, action, |run| run.report = Some(said));
        self.end(session, effect, Outcome::Done);
        self.judged(session, target, verdict);
    }

    fn assignment(
        &self,
        session: &Session,
        target: &Target,
        (effect, run): (EffectId, &ActionRun),
    ) -> Option<Assignment> {
        let spec = session.plan.actions.get(run.action as usize)?;
        let call = match target {
            Target::Pre | Target::Host(_) | Target::Post => ActionCall::Run,
            Target::Assess(_) => ActionCall::Assess,
            Target::Gate(_) => ActionCall::Gate,
            Target::Undo(host) => {
                let forward = session.work.get(&Target::Host(host.clone()));
                let forward = forward.and_then(|runs| runs.iter().find(|known| known.action == run.action));
                ActionCall::Undo { forward: forward.and_then(|run| run.checkpoint.clone()) }
            }
        };
        Some(Assignment {
            plugin: spec.plugin.digest.clone(),
            key: key(session, target, effect, run),
            call,
            session: session.id.to_string(),
            stage: spec.stage.wire().to_owned(),
            host: target.host().cloned(),
            metadata: spec.metadata.clone(),
            checkpoint: run.checkpoint.clone(),
            granted: self.state.grants.get(&spec.plugin.digest).cloned().unwrap_or_default(),
            packages: session.packages.fetched.clone(),
        })
    }

    fn action_name(&self, session: &SessionId, action: u32) -> String {
        let spec = self.state.session(session).and_then(|known| known.plan.actions.get(action as usize));
        spec.map_or_else(|| action.to_string(), |spec| spec.plugin.name.clone())
    }

    fn called(
        &mut self,
        session: &SessionId,
        target: &Target,
        action: u32,
        change: impl FnOnce(&mut ActionRun),
    ) {
        let runs = self.state.session(session).and_then(|known| known.work.get(target));
        let Some(run) = runs.and_then(|runs| runs.iter().find(|run| run.action == action)) else { return };
        let mut run = run.clone();
        run.calls += 1;
        change(&mut run);
        self.record(session, Body::ActionCalled { target: target.clone(), run });
    }
}

/// Names a piece of work for ever. What is taken back has the name of what was done; each look has one of its own.
fn key(session: &Session, target: &Target, effect: EffectId, run: &ActionRun) -> String {
    let (id, on, action) = (&session.id, target.name(), run.action);
    match target {
        Target::Pre | Target::Host(_) | Target::Post | Target::Undo(_) => format!("{id}/{on}/{action}"),
        Target::Assess(_) | Target::Gate(_) => format!("{id}/{on}/{action}/{}", effect.0),
    }
}

fn next_run<'a>(session: &'a Session, target: &Target) -> Option<&'a ActionRun> {
    session.work.get(target)?.iter().find(|run| run.report.is_none())
}

fn clipped(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
