//! Effects on their way: look, check the rules on what was seen, act, look until it is settled, end.
//!
//! Every effect goes through the same loop, after a restart too: it begins with a look, so that what is under way
//! is adopted and never begun twice. What to do about what was seen is a pure function per kind of effect
//! ([`moving::next`], [`service::next_fence`], [`service::next_release`]); here it is carried out.

mod moving;
mod service;
mod working;

use fenix_core::effect::{Effect, EffectKind, Outcome, Subject};
use fenix_core::id::{EffectId, SessionId};
use fenix_core::message::Content;
use fenix_core::record::Body;
use fenix_core::rules::{self, Refusal};
use fenix_core::session::{HostStage, Target};
use fenix_core::time::{Millis, Time};

use crate::assessing::Verdict;
use crate::event::CallId;
use crate::ports::{CloudCall, CloudError, CloudReply};
use crate::{Engine, Owner};

/// How often an effect of unknown outcome is looked at: it may settle by itself, or somebody may mend it.
const UNKNOWN_POLL: Millis = Millis::from_secs(30);

/// Oldest look that is acted on. One host or instance takes a healthy cloud a second; an answer that lay for longer
/// (the machine slept, the writer stood still) tells of a time when others had not done yet what they did since.
const FRESH: Millis = Millis::from_secs(10);

/// What one effect's carrier remembers between two events. Not journaled: a restart begins with a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carrier {
    awaiting: Option<(CallId, Purpose)>,
    wakes_at: Option<Time>,
    /// Since when the session is held and the effect could only go on by a new forward step.
    held_since: Option<Time>,
    memory: Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Look,
    Act,
    Action(u32),
}

/// What the pure functions are told besides what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// True if a process before this one may have sent calls for it.
    resumed: bool,
    /// When the cloud last accepted a call for it.
    accepted_at: Option<Time>,
    /// What the cloud said when it last refused a call for it.
    refused: Option<String>,
    /// True once the instance was seen on its way.
    seen_moving: bool,
    /// Since when the instance is seen at rest on its source.
    rests_since: Option<Time>,
    /// When a live move was last asked to come to an end.
    hurried_at: Option<Time>,
    /// Since when it could not be looked at.
    blind_since: Option<Time>,
    /// How long it stood still because its session was held, and by how much the clock was set forward: its deadline
    /// is later by that.
    held_for: Millis,
}

/// What to do next about an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Ask the rules again, and call if they still allow it.
    Check(CloudCall),
    /// Call: it finishes what was begun.
    Act(CloudCall),
    /// Look again after a while.
    Look(Millis),
    /// It ended.
    End(Outcome),
}

impl Next {
    fn failed(why: impl Into<String>) -> Next {
        Next::End(Outcome::Failed { why: why.into() })
    }

    fn withdrawn(refusal: Refusal) -> Next {
        Next::End(Outcome::Withdrawn { rule: refusal.rule, seen: refusal.why })
    }
}

impl Carrier {
    /// A carrier of an effect that was just admitted.
    pub(crate) fn new(now: Time) -> Self {
        Self { wakes_at: Some(now), ..Self::default() }
    }

    /// A carrier of an effect that a process before this one had in flight.
    pub(crate) fn resumed(now: Time) -> Self {
        let memory = Memory { resumed: true, ..Memory::default() };
        Self { wakes_at: Some(now), memory, ..Self::default() }
    }

    pub(crate) fn wakes_at(&self) -> Option<Time> {
        self.wakes_at
    }
}

/// True if carrying it out calls something that the cloud may still do after we stopped waiting.
pub(crate) fn changes_the_cloud(kind: &EffectKind) -> bool {
    match kind {
        EffectKind::Fence { .. } | EffectKind::Release { .. } | EffectKind::Move { .. } => true,
        EffectKind::Work { .. } => false,
    }
}

impl Engine {
    /// Takes every effect whose time has come one step further.
    pub(crate) fn run_carriers(&mut self) {
        let now = self.now;
        let due: Vec<(SessionId, EffectId)> = self
            .agenda
            .touched()
            .flat_map(|session| self.carriers_of(session))
            .filter(|(key, carrier)| {
                let resumes = carrier.held_since.is_some() && !self.is_held(&key.0);
                resumes || carrier.wakes_at.is_some_and(|at| at <= now)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for (session, effect) in due {
            if let Some(carrier) = self.carriers.get_mut(&(session.clone(), effect)) {
                carrier.wakes_at = None;
                if let Some(since) = carrier.held_since.take() {
                    carrier.memory.held_for = Millis(carrier.memory.held_for.0 + now.since(since).0);
                }
            }
            self.look(&session, effect);
        }
    }

    /// The clock was set forward by so much: no effect had that time.
    pub(crate) fn delay_carriers(&mut self, by: Millis) {
        for Carrier { held_since, memory, .. } in self.carriers.values_mut() {
            memory.held_for = memory.held_for + by;
            for since in [held_since, &mut memory.accepted_at, &mut memory.blind_since].into_iter().flatten()
            {
                *since = *since + by;
            }
        }
    }

    /// The carriers of a session's effects.
    pub(crate) fn carriers_of(
        &self,
        session: &SessionId,
    ) -> impl Iterator<Item = (&(SessionId, EffectId), &Carrier)> {
        self.carriers.range((session.clone(), EffectId(0))..=(session.clone(), EffectId(u32::MAX)))
    }

    /// True if a session takes no forward step now, but may later.
    fn is_held(&self, id: &SessionId) -> bool {
        use fenix_core::session::Condition;
        self.state.session(id).is_some_and(|session| match session.condition {
            Condition::Running => self.state.held.is_some(),
            Condition::Paused | Condition::Parked { .. } => true,
            Condition::Closing { .. } | Condition::Ended => false,
        })
    }

    fn effect(&self, session: &SessionId, effect: EffectId) -> Option<Effect> {
        self.state.session(session)?.effects.get(&effect).cloned()
    }

    /// Begins a step with a fresh look at the effect's subject.
    fn look(&mut self, session: &SessionId, id: EffectId) {
        let Some(effect) = self.effect(session, id) else {
            self.carriers.remove(&(session.clone(), id));
            return;
        };
        let call = match effect.kind.subject() {
            Subject::Host(host) => CloudCall::ReadHost { host },
            Subject::Instance(instance) => CloudCall::ReadInstance { instance },
            Subject::Session(_) => return self.step_work(session, &effect),
        };
        let call = self.call(Owner::Effect(session.clone(), id), call);
        self.reading(call);
        self.await_call(session, id, call, Purpose::Look);
    }

    fn await_call(&mut self, session: &SessionId, id: EffectId, call: CallId, purpose: Purpose) {
        if let Some(carrier) = self.carriers.get_mut(&(session.clone(), id)) {
            carrier.awaiting = Some((call, purpose));
            carrier.wakes_at = None;
        }
    }

    pub(crate) fn carrier_returned(
        &mut self,
        session: &SessionId,
        id: EffectId,
        asked_at: Time,
        result: Result<CloudReply, CloudError>,
    ) {
        self.agenda.touch(session);
        let Some(effect) = self.effect(session, id) else {
            self.carriers.remove(&(session.clone(), id));
            return;
        };
        let now = self.now;
        let pause = if effect.unknown.is_some() { UNKNOWN_POLL } else { self.settings.poll };
        let Some(carrier) = self.carriers.get_mut(&(session.clone(), id)) else { return };
        match (carrier.awaiting.take().map(|(_, purpose)| purpose), result) {
            (Some(Purpose::Look), Ok(_)) if now > asked_at + FRESH => {
                let error = CloudError::Unclear(format!("its answer took {}", now.since(asked_at)));
                self.blind(session, &effect, &error);
            }
            (Some(Purpose::Look), Ok(_)) => {
                carrier.memory.blind_since = None;
                self.step(session, &effect);
            }
            (Some(Purpose::Look), Err(error)) => self.blind(session, &effect, &error),
            (Some(Purpose::Act), Ok(_)) => {
                carrier.memory.accepted_at = Some(now);
                self.sleep(session, id, pause);
            }
            (Some(Purpose::Act), Err(CloudError::Unclear(_))) => {
                self.record(session, Body::EffectUnclear { effect: id });
                self.sleep(session, id, pause);
            }
            // Refused may mean that it is under way already: look before believing.
            (Some(Purpose::Act), Err(error @ (CloudError::Refused(_) | CloudError::NotFound(_)))) => {
                carrier.memory.refused = Some(error.to_string());
                self.sleep(session, id, Millis::ZERO);
            }
            (Some(Purpose::Action(_)) | None, _) => {}
        }
    }

    fn sleep(&mut self, session: &SessionId, id: EffectId, span: Millis) {
        let at = self.now + span;
        if let Some(carrier) = self.carriers.get_mut(&(session.clone(), id)) {
            carrier.wakes_at = Some(at);
        }
    }

    /// The subject could not be read.
    fn blind(&mut self, session: &SessionId, effect: &Effect, error: &CloudError) {
        let now = self.now;
        let settle = self.terms(session).map(|terms| terms.settle_time).unwrap_or_default();
        let Some(carrier) = self.carriers.get_mut(&(session.clone(), effect.id)) else { return };
        let since = *carrier.memory.blind_since.get_or_insert(now);
        let sent =
            effect.unclear_at.is_some() || carrier.memory.accepted_at.is_some() || carrier.memory.seen_moving;
        let overdue = now >= since + settle && now >= effect.deadline + carrier.memory.held_for;
        if overdue && effect.unknown.is_none() {
            let outcome = if sent {
                Outcome::Unknown { why: format!("the cloud could not be read: {error}") }
            } else {
                Outcome::Failed { why: format!("the cloud could not be read: {error}") }
            };
            self.end(session, effect, outcome);
        } else {
            let pause =
                if effect.unknown.is_some() { UNKNOWN_POLL } else { Millis(self.settings.poll.0 * 2) };
            self.sleep(session, effect.id, pause);
        }
    }

    fn terms(&self, session: &SessionId) -> Option<&fenix_core::policy::Terms> {
        self.state.session(session).map(|session| &session.plan.terms)
    }

    /// The subject was read: decides on what was seen, and does it.
    fn step(&mut self, session: &SessionId, effect: &Effect) {
        let key = (session.clone(), effect.id);
        let Some(terms) = self.terms(session).cloned() else { return };
        let Some(mut memory) = self.carriers.get(&key).map(|carrier| carrier.memory.clone()) else { return };
        let held_for = memory.held_for;
        let inventory = &self.state.inventory;
        let is_source_dead = matches!(&effect.kind, EffectKind::Move { from, .. }
            if inventory.host(from).is_some_and(|host| host.dead));
        let settings = &self.settings;
        let ground = Ground { effect, terms: &terms, settings, now: self.now, held_for, is_source_dead };
        let next = match &effect.kind {
            EffectKind::Move { instance, .. } => {
                moving::next(&ground, &mut memory, inventory.instance(instance))
            }
            EffectKind::Fence { host } => {
                service::next_fence(&ground, &memory, session, inventory.host(host))
            }
            EffectKind::Release { host } => {
                service::next_release(&ground, &memory, session, inventory.host(host))
            }
            EffectKind::Work { .. } => return self.step_work(session, effect),
        };
        memory.refused = None;
        if let Some(carrier) = self.carriers.get_mut(&key) {
            carrier.memory = memory;
        }
        self.follow(session, effect, next);
    }

    fn follow(&mut self, session: &SessionId, effect: &Effect, next: Next) {
        match next {
            Next::Check(_) if effect.unknown.is_some() => {
                self.end(session, effect, Outcome::Failed { why: "found untouched".into() });
            }
            Next::Check(call) => match rules::still_allowed(&self.state, session, effect, self.now) {
                Ok(()) => self.act(session, effect, call),
                // What was sent may still be done: what it leaves behind has to be seen before it is let go.
                Err(_) if self.is_unsettled(session, effect) => {
                    self.sleep(session, effect.id, self.settings.poll);
                }
                Err(refusal) => self.follow(session, effect, Next::withdrawn(refusal)),
            },
            Next::Act(call) => self.act(session, effect, call),
            Next::Look(_) if effect.unknown.is_some() => self.sleep(session, effect.id, UNKNOWN_POLL),
            Next::Look(span) => self.sleep(session, effect.id, span),
            Next::End(Outcome::Unknown { .. }) if effect.unknown.is_some() => {
                self.sleep(session, effect.id, UNKNOWN_POLL);
            }
            Next::End(outcome) => self.end(session, effect, outcome),
        }
    }

    fn is_unsettled(&self, session: &SessionId, effect: &Effect) -> bool {
        let settle = self.terms(session).map(|terms| terms.settle_time).unwrap_or_default();
        effect.unclear_at.is_some_and(|at| self.now < at + settle)
    }

    fn act(&mut self, session: &SessionId, effect: &Effect, call: CloudCall) {
        let call = self.call(Owner::Effect(session.clone(), effect.id), call);
        self.await_call(session, effect.id, call, Purpose::Act);
    }

    /// Records how an effect ended, and what follows from it.
    fn end(&mut self, session: &SessionId, effect: &Effect, outcome: Outcome) {
        let unknown = matches!(outcome, Outcome::Unknown { .. });
        if unknown {
            self.sleep(session, effect.id, UNKNOWN_POLL);
        } else {
            self.carriers.remove(&(session.clone(), effect.id));
        }
        self.record(session, Body::EffectEnded { effect: effect.id, outcome: outcome.clone() });
        match (outcome, &effect.kind) {
            (Outcome::Done, kind) => self.follow_up(session, kind),
            // Where there was room somebody else may have come: the next place is chosen from what is there now.
            (Outcome::Failed { .. }, EffectKind::Move { .. }) => self.reread_for(session),
            // What only looks and cannot is taken for a no.
            (Outcome::Failed { why }, EffectKind::Work { target }) => {
                self.judged(session, target, Verdict::Stop(why));
            }
            (Outcome::Failed { .. } | Outcome::Withdrawn { .. } | Outcome::Unknown { .. }, _) => {}
        }
        self.halt_if_spent(session);
    }

    fn follow_up(&mut self, session: &SessionId, kind: &EffectKind) {
        match kind {
            EffectKind::Fence { host } => {
                let work = self.state.session(session).and_then(|known| known.hosts.get(host));
                let stage = match work.map(|work| &work.stage) {
                    // Left out while nobody knew how the fence had ended: it is given back.
                    Some(left_out @ HostStage::Quarantined { .. }) => left_out.clone(),
                    // Somebody had enabled it in the middle of the work.
                    Some(HostStage::Working) => HostStage::Working,
                    _ => HostStage::Fenced,
                };
                self.record(session, Body::HostMoved { host: host.clone(), stage, fenced: true });
            }
            EffectKind::Release { host } => {
                let Some(known) = self.state.session(session) else { return };
                let Some(stage) = known.hosts.get(host).map(|work| work.stage.clone()) else { return };
                let worked = stage == HostStage::Worked;
                let stage = match stage {
                    // One that nobody knew the end of may have been followed by another.
                    HostStage::Worked | HostStage::Maintained => HostStage::Maintained,
                    HostStage::Quarantined { .. } => stage,
                    HostStage::Waiting | HostStage::Fenced | HostStage::Working => HostStage::Waiting,
                };
                self.record(session, Body::HostMoved { host: host.clone(), stage, fenced: false });
                self.let_go_of_fences(session, host);
                if worked {
                    self.tell_host(session, host, false);
                    self.tell_session(session);
                }
            }
            EffectKind::Move { instance, .. } => {
                self.tell_owner(session, instance, Content::ActionDone(instance.clone()));
            }
            EffectKind::Work { target: Target::Host(host) } => {
                let body = Body::HostMoved { host: host.clone(), stage: HostStage::Worked, fenced: true };
                self.record(session, body);
            }
            EffectKind::Work { .. } => {}
        }
    }

    /// A host that was given back is not fenced, whatever became of a fence whose outcome nobody knew.
    fn let_go_of_fences(&mut self, session: &SessionId, host: &fenix_core::id::HostId) {
        let Some(known) = self.state.session(session) else { return };
        let fence = EffectKind::Fence { host: host.clone() };
        let doubtful: Vec<Effect> = known
            .effects
            .values()
            .filter(|effect| effect.kind == fence && effect.unknown.is_some())
            .cloned()
            .collect();
        for effect in doubtful {
            self.end(session, &effect, Outcome::Failed { why: "the host was given back".into() });
        }
    }

    /// R9: a session whose failures have spent its budget halts by itself.
    pub(crate) fn halt_if_spent(&mut self, session: &SessionId) {
        let Some(known) = self.state.session(session) else { return };
        let budget = known.plan.terms.failure_budget;
        if known.failures >= budget && self.state.switched_off != Some(rules::Rule::R9) {
            self.park(session, format!("R9: {budget} effects failed, which is the budget"));
        }
    }
}

/// What the pure functions stand on.
struct Ground<'a> {
    effect: &'a Effect,
    terms: &'a fenix_core::policy::Terms,
    settings: &'a crate::Settings,
    now: Time,
    held_for: Millis,
    /// True if the host that an instance is to leave is known to be dead.
    is_source_dead: bool,
}

impl Ground<'_> {
    /// True while a call that got no clear answer may still be done.
    fn unsettled(&self) -> bool {
        self.effect.unclear_at.is_some_and(|at| self.now < at + self.terms.settle_time)
    }

    fn overdue(&self) -> bool {
        self.is_past(Millis::ZERO)
    }

    /// True from so long after the deadline.
    fn is_past(&self, span: Millis) -> bool {
        self.now >= self.effect.deadline + self.held_for + span
    }

    /// True once nothing is waited for any more.
    fn is_past_all(&self) -> bool {
        self.is_past(self.terms.settle_time)
    }

    /// True while an accepted call may not show yet.
    fn in_grace(&self, memory: &Memory) -> bool {
        memory.accepted_at.is_some_and(|at| self.now < at + self.settings.start_grace)
    }
}
