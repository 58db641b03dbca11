//! A woken session is decided: its workflow says what it wants, the rules say what may be, and what may be is
//! recorded.
//!
//! All this is one step, unless the workflow takes long: then it decides beside, on what was known when it was asked, and
//! everything else goes on. What it wants meets the rules as things are when it says so; and if something happened
//! meanwhile that concerns the session, the session is decided again right after.

use std::collections::BTreeMap;
use std::sync::Arc;

use fenix_core::ask::MoveHow;
use fenix_core::decision::{Planned, Waiting};
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{EffectId, SessionId};
use fenix_core::message::Content;
use fenix_core::record::Body;
use fenix_core::rules::{self, Admission, Refusal};
use fenix_core::session::{Close, Condition, HostStage, Phase};
use fenix_core::time::Millis;
use fenix_core::view::{Trigger, Verdict, View, Wakeup};

use crate::asks::Question;
use crate::carry::Carrier;
use crate::event::{Basis, CallId, Order};
use crate::ports::{Said, Workflows};
use crate::{Engine, Owner};

/// Most decisions of one session for one event: entering a phase wakes the workflow again, and eight phases are
/// more than any session enters at once.
const MAX_ROUNDS: u32 = 16;

/// Identical refusals in a row after which a session is parked: its workflow does not learn from them.
const MAX_REFUSALS: u32 = 3;

/// Least time between two wake-ups that a workflow asks for: one that lies in the past must not spin.
const LEAST_WAIT: Millis = Millis::from_secs(1);

/// How often each session was decided for one event.
pub(crate) type Rounds = BTreeMap<SessionId, u32>;

impl Engine {
    pub(crate) fn decide_woken(&mut self, mut rounds: Rounds, workflows: &dyn Workflows) {
        if self.state.held.is_some() {
            // They stay woken until it is over.
            return;
        }
        while let Some((session, trigger)) = self.next_woken() {
            let round = rounds.entry(session.clone()).or_default();
            *round += 1;
            if *round > MAX_ROUNDS {
                self.park(&session, "the workflow does not come to rest".into());
                continue;
            }
            let round = *round;
            self.decide(&session, trigger, round, workflows);
        }
    }

    /// True if a session is to be decided that nothing holds up: what closings give free may wake one.
    pub(crate) fn has_woken(&self) -> bool {
        self.woken.keys().any(|id| self.is_free(id) && self.state.goes_on(id))
    }

    /// The next session to be decided; those that are not free stay woken.
    fn next_woken(&mut self) -> Option<(SessionId, Trigger)> {
        let next = self.woken.keys().find(|session| self.is_free(session)).cloned()?;
        self.woken.remove_entry(&next)
    }

    /// True unless the cloud is to be read first, or the session is being decided.
    pub(crate) fn is_free(&self, id: &SessionId) -> bool {
        !self.rereading.contains(id) && !self.deciding.contains_key(id)
    }

    fn decide(&mut self, id: &SessionId, trigger: Trigger, round: u32, workflows: &dyn Workflows) {
        if !self.may_be_decided(id) {
            return;
        }
        let Some(session) = self.state.session(id) else { return };
        let basis = Basis {
            plugin: session.plan.workflow.digest.clone(),
            view: View { state: Arc::clone(&self.state), session: id.clone(), now: self.now },
            wakeup: Wakeup { trigger, now: self.now },
        };
        match workflows.decide_at_once(&basis.plugin, &basis.view, &basis.wakeup) {
            Some(said) => {
                drop(basis);
                self.take(id, said);
            }
            None => self.have_decided(id, round, basis),
        }
    }

    /// True if a workflow may be asked now, or be listened to. If not, what comes first is begun, and its end wakes the
    /// session.
    fn may_be_decided(&mut self, id: &SessionId) -> bool {
        let Some(session) = self.state.session(id).filter(|session| session.is_running()) else {
            return false;
        };
        if session.packages.are_missing() {
            self.fetch(id);
            return false;
        }
        !self.waits_for_a_verdict(id)
    }

    /// Has a decision made beside.
    fn have_decided(&mut self, session: &SessionId, round: u32, basis: Basis) {
        let id = self.new_call(Owner::Decision(session.clone()), None);
        self.deciding.insert(session.clone(), round);
        self.agenda.touch(session);
        self.orders.push(Order::Decide { id, basis: Box::new(basis) });
    }

    /// Takes what was decided beside; says in which round that was, unless something else has woken the session meanwhile: then
    /// it is not by itself that it does not come to rest.
    pub(crate) fn decided(&mut self, call: CallId, said: Said) -> Option<(SessionId, u32)> {
        let Owner::Decision(id) = self.awaited.remove(&call)?.owner else { return None };
        let round = self.deciding.remove(&id)?;
        let was_woken = self.woken.contains_key(&id);
        self.agenda.touch(&id);
        if self.state.held.is_some() || !self.is_free(&id) {
            // It may not be taken now, and what it was made on is old by the time when one may.
            self.wake(&id, Trigger::Changed);
        } else if self.may_be_decided(&id) {
            self.take(&id, said);
        }
        (!was_woken).then_some((id, round))
    }

    fn take(&mut self, id: &SessionId, said: Said) {
        match said {
            Ok(verdict) => self.take_verdict(id, verdict),
            Err(error) => {
                self.record(id, Body::Undecided { why: error.to_string() });
                self.park(id, error.to_string());
            }
        }
    }

    fn take_verdict(&mut self, id: &SessionId, verdict: Verdict) {
        let before = self.state.seq;
        let mut refused = Vec::new();
        for group in groups(verdict.planned) {
            match group {
                Group::Single(planned) => {
                    if let Err(refusal) = self.admit(id, &planned) {
                        refused.push((planned, refusal));
                    }
                }
                Group::Together(all) => refused.extend(self.admit_together(id, all)),
            }
        }
        let until = verdict.waiting.until.map(|until| until.max(self.now + LEAST_WAIT));
        let waiting = Waiting { until, ..verdict.waiting };
        let changed = self
            .state
            .session(id)
            .is_some_and(|session| session.waiting != waiting || !session.refused.is_empty());
        if changed || !refused.is_empty() || self.state.seq != before {
            self.record(id, Body::Decided { waiting, refused });
        }
        self.park_if_stuck(id);
    }

    /// Admits one decision and records what it becomes.
    fn admit(&mut self, id: &SessionId, planned: &Planned) -> Result<(), Refusal> {
        let admission = rules::admit(&self.state, id, &planned.decision, self.now)?;
        let reason = planned.reason.clone();
        match admission {
            Admission::NoOp => {}
            Admission::Ask { project, kind, host, instances, round } => {
                self.ask(id, Question { project, kind, host, instances, round }, reason);
            }
            Admission::Effect(kind) => self.begin(id, kind, reason),
            Admission::Enter(phase) => self.enter(id, phase, reason),
            Admission::Quarantine { host, begun } => {
                let fenced = self
                    .state
                    .session(id)
                    .and_then(|session| session.hosts.get(&host))
                    .is_some_and(|work| work.fenced);
                let stage = HostStage::Quarantined { why: reason, begun };
                self.record(id, Body::HostMoved { host: host.clone(), stage, fenced });
                self.tell_session(id);
                self.undo(id, &host);
            }
            Admission::Fail => self.fail(id, reason),
            Admission::Note { key, value } => self.record(id, Body::Noted { key, value }),
        }
        Ok(())
    }

    /// Admits all or none.
    fn admit_together(&mut self, id: &SessionId, all: Vec<Planned>) -> Vec<(Planned, Refusal)> {
        let state = Arc::clone(&self.state);
        let (records, orders) = (self.pending.len(), self.orders.len());
        let (carriers, woken) = (self.carriers.clone(), self.woken.clone());
        for (at, planned) in all.iter().enumerate() {
            if let Err(refusal) = self.admit(id, planned) {
                self.state = state;
                self.pending.truncate(records);
                self.orders.truncate(orders);
                self.carriers = carriers;
                self.woken = woken;
                let why = format!("together with: {}", all[at].decision.summary());
                let others = |planned: Planned| {
                    let refusal = if planned == all[at] {
                        refusal.clone()
                    } else {
                        Refusal { rule: refusal.rule, why: why.clone() }
                    };
                    (planned, refusal)
                };
                return all.clone().into_iter().map(others).collect();
            }
        }
        Vec::new()
    }

    fn enter(&mut self, id: &SessionId, phase: Phase, reason: String) {
        self.record(id, Body::Entered { phase, reason: reason.clone() });
        if phase == Phase::MaintenanceDone {
            let condition = Condition::Closing { why: Close::Done };
            self.record(id, Body::ConditionSet { condition, reason });
        }
        self.tell_session(id);
    }

    /// Ends a session as failed; its closings follow.
    pub(crate) fn fail(&mut self, id: &SessionId, reason: String) {
        if self.state.session(id).is_some_and(|session| session.is_running()) {
            self.record(id, Body::Failed { reason });
            self.tell_session(id);
        }
    }

    /// Starts an admitted effect on its way.
    pub(crate) fn begin(&mut self, id: &SessionId, kind: EffectKind, reason: String) {
        let Some(session) = self.state.session(id) else { return };
        let effect = Effect {
            id: EffectId(session.next.effect),
            deadline: rules::deadline(&self.state, session, &kind, self.now),
            kind,
            reason,
            admitted_at: self.now,
            unclear_at: None,
            unknown: None,
        };
        let fallback = self.falls_back(id, &effect.kind);
        let key = (id.clone(), effect.id);
        self.record(id, Body::Admitted { effect });
        self.carriers.insert(key, Carrier::new(self.now));
        if let Some(instance) = fallback {
            self.tell_owner(id, &instance, Content::ActionFallback(instance.clone()));
        }
    }

    /// The instance of a cold move that follows where a live one was agreed: its manager is told.
    fn falls_back(&self, id: &SessionId, kind: &EffectKind) -> Option<fenix_core::id::InstanceId> {
        let EffectKind::Move { instance, how: MoveHow::Migrate, ask: Some(ask), .. } = kind else {
            return None;
        };
        let agreed = self.state.session(id)?.asks.get(ask)?.consent(instance)?;
        (agreed == MoveHow::LiveMigrate).then(|| instance.clone())
    }

    fn park_if_stuck(&mut self, id: &SessionId) {
        let Some(session) = self.state.session(id).filter(|session| session.is_running()) else { return };
        if let Some(stuck) = session.refused.iter().find(|standing| standing.times >= MAX_REFUSALS) {
            let why = format!(
                "{} was refused {} times: {:?}: {}",
                stuck.decision.summary(),
                stuck.times,
                stuck.refusal.rule,
                stuck.refusal.why
            );
            self.park(id, why);
            return;
        }
        let waits = session.effects.values().any(|effect| effect.unknown.is_none())
            || !session.open_asks.is_empty()
            || session.waiting.until.is_some()
            || self.rereading.contains(id)
            || self.woken.contains_key(id);
        if !waits {
            let on = session.waiting.on.clone();
            let unknown = session.effects.values().find_map(|effect| effect.unknown.clone());
            let why = match unknown {
                Some(why) => format!("an outcome is unknown: {why}"),
                None => format!("nothing that the workflow waits for can happen by itself: {on}"),
            };
            self.park(id, why);
        }
    }
}

enum Group {
    Single(Planned),
    Together(Vec<Planned>),
}

/// Splits planned decisions into those that stand alone and runs that are taken all or none.
fn groups(planned: Vec<Planned>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for planned in planned {
        match (planned.group, groups.last_mut()) {
            (0, _) => groups.push(Group::Single(planned)),
            (group, Some(Group::Together(run))) if run.first().is_some_and(|first| first.group == group) => {
                run.push(planned);
            }
            (_, _) => groups.push(Group::Together(vec![planned])),
        }
    }
    groups
}
