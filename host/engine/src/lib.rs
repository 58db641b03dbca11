//! The engine: events in, records and orders out.
//!
//! It is a state machine without I/O. [`Engine::handle`] takes one [`event::Event`], changes the state through
//! records and collects [`event::Order`]s; [`Engine::commit`] appends the records to the journal and only then
//! hands the orders out. Whoever drives it brings results back as events and wakes it at [`Engine::next_due`].
//! So the same engine runs under a real clock (`fenix`), and under virtual time (`fenix-sim`).
//!
//! In reading order: [`settings`], [`event`], [`command`], [`ports`], [`clock`]; then how an event is handled: `commands`, `standing`,
//! `asks`, `outbox`, `observe`, `carry` (effects on their way), `closing`, `deciding`; and `agenda`, `timers`, `recovery`.

pub mod clock;
pub mod command;
pub mod event;
pub mod ports;
pub mod settings;

mod agenda;
mod asks;
mod assessing;
mod carry;
mod closing;
mod commands;
mod deciding;
mod deed;
mod observe;
mod outbox;
mod packages;
mod permits;
mod recorded;
mod recovery;
mod standing;
mod timers;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fenix_core::id::{Digest, EffectId, InstanceId, MessageId, SessionId, SubscriptionId};
use fenix_core::record::{Body, Record};
use fenix_core::session::Condition;
use fenix_core::state::State;
use fenix_core::time::Time;
use fenix_core::view::Trigger;

use crate::deciding::Rounds;
use crate::event::{CallId, Event, Order};
use crate::ports::{CloudCall, Journal, JournalError, Workflows};

pub use crate::recorded::Recorded;
pub use crate::recovery::RecoveryError;
pub use crate::settings::Settings;

/// What the result of an order is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// A look at the infrastructure that no effect waits for.
    Read,
    /// An effect.
    Effect(SessionId, EffectId),
    /// A message to a subscriber.
    Message(SessionId, MessageId, SubscriptionId),
    /// What a session brings.
    Packages(SessionId),
    /// A decision.
    Decision(SessionId),
}

/// An order whose result is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Awaited {
    owner: Owner,
    /// What was called, for the calls whose replies are read into the inventory.
    call: Option<CloudCall>,
    /// When the order was made: how old a look is at most.
    since: Time,
}

/// The engine. See the crate's documentation.
pub struct Engine {
    settings: Settings,
    state: Arc<State>,
    now: Time,
    /// Records that are applied and not yet on disk.
    pending: Vec<Record>,
    /// Orders that wait for those records.
    orders: Vec<Order>,
    /// True once the journal refused a batch: what is in memory may not be on disk, so nothing is ordered any more.
    broken: bool,
    next_call: u64,
    awaited: BTreeMap<CallId, Awaited>,
    carriers: BTreeMap<(SessionId, EffectId), carry::Carrier>,
    attempts: BTreeMap<(SessionId, MessageId), outbox::Attempts>,
    /// Subscribers to whom a message of the session is on its way, though it may have been dropped since.
    reaching: BTreeSet<(SessionId, SubscriptionId)>,
    reader: observe::Reader,
    /// Sessions to be decided, and why.
    woken: BTreeMap<SessionId, Trigger>,
    /// Sessions whose decision is made beside, and the round of each.
    deciding: BTreeMap<SessionId, u32>,
    /// How often in a row an action of a session was ended by the sandbox. Not recorded: a restart begins anew.
    traps: BTreeMap<(SessionId, Digest), u32>,
    /// Sessions that are not decided before the cloud was read again.
    rereading: BTreeSet<SessionId>,
    agenda: agenda::Agenda,
}

impl Engine {
    /// An engine with an empty journal behind it.
    pub fn new(settings: Settings, now: Time) -> Self {
        let state = State { switched_off: settings.switched_off, ..State::default() };
        Self {
            settings,
            state: Arc::new(state),
            now,
            pending: Vec::new(),
            orders: Vec::new(),
            broken: false,
            next_call: 0,
            awaited: BTreeMap::new(),
            carriers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            reaching: BTreeSet::new(),
            reader: observe::Reader::default(),
            woken: BTreeMap::new(),
            deciding: BTreeMap::new(),
            traps: BTreeMap::new(),
            rereading: BTreeSet::new(),
            agenda: agenda::Agenda::default(),
        }
    }

    /// Everything known, the records that are not on disk yet included.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// True once the cloud was read since the start: before that no session can be made.
    pub fn is_ready(&self) -> bool {
        self.reader.has_read()
    }

    /// True once the journal refused a batch. Only a restart, which reads the journal again, helps.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Numbers its orders after those of an engine before it in the same process, so that a late result of one of
    /// those is taken for none of its own. To be called before the first event.
    pub fn number_after(&mut self, before: &Engine) {
        self.next_call = before.next_call;
    }

    /// The installation's limits.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Holds every session, with that reason, or lets all go on.
    ///
    /// While held, what is under way is finished and hosts are given back, sessions can be paused and deleted, and
    /// answers of managers are taken; nothing is decided and no forward effect begins (R8). Nothing of it is recorded.
    /// To be called between two events.
    pub fn hold(&mut self, why: Option<&str>) {
        Arc::make_mut(&mut self.state).held = why.map(Arc::from);
        let sessions: Vec<SessionId> = self.state.sessions.keys().cloned().collect();
        for session in &sessions {
            self.agenda.touch(session);
            if why.is_none() {
                self.wake(session, Trigger::Continued);
                self.reread_for(session);
            }
        }
        self.settle_agenda();
    }

    /// Handles one event, in memory: the state changes, records and orders are collected for [`Engine::commit`].
    ///
    /// `now` may not be earlier than at the last call; an earlier one is taken as the last one.
    pub fn handle(&mut self, now: Time, event: Event, workflows: &dyn Workflows) {
        let due = self.next_due();
        self.now = self.now.max(now).max(self.state.at);
        if due.is_some_and(|due| self.now > due + clock::JUMP) {
            self.extend_open_asks();
        }
        self.open_agenda();
        let mut rounds = Rounds::new();
        match event {
            Event::Command(ticket, by, command) => self.command(ticket, by, command),
            Event::CloudReturned(id, result) => self.cloud_returned(id, result),
            Event::Delivered(id, result) => self.delivered(id, result),
            Event::ActionReturned(id, result) => self.action_returned(id, result),
            Event::Fetched(id, result) => self.fetched(id, result),
            Event::Decided(id, result) => rounds.extend(self.decided(id, result)),
            Event::ClockJumped(by) => self.clock_jumped(by),
            Event::Tick => {}
        }
        self.run_timers();
        self.expire_messages();
        self.decide_woken(rounds, workflows);
        self.close_sessions();
        self.deliver_messages();
        self.settle_agenda();
    }

    /// Appends what was collected to the journal, then hands the orders out.
    ///
    /// # Errors
    /// The journal did not take the records: no order is handed out, now or later. See [`Engine::is_broken`].
    pub fn commit(&mut self, journal: &mut dyn Journal) -> Result<Recorded<Vec<Order>>, JournalError> {
        if self.broken {
            return Err(JournalError::Damaged("an earlier batch was not taken".into()));
        }
        let records = std::mem::take(&mut self.pending);
        let orders = std::mem::take(&mut self.orders);
        recorded::commit(journal, &records, orders).inspect_err(|_| self.broken = true)
    }

    /// Writes a session's record.
    fn record(&mut self, session: &SessionId, body: Body) {
        self.write(Some(session.clone()), body);
    }

    /// Writes a record of the installation.
    fn record_installation(&mut self, body: Body) {
        self.write(None, body);
    }

    fn write(&mut self, session: Option<SessionId>, body: Body) {
        let seq = self.state.seq + 1;
        let record = Record { seq, at: self.now, session, body };
        self.wake_concerned(&record);
        if let Some(session) = &record.session {
            self.agenda.touch(session);
        }
        let state = Arc::make_mut(&mut self.state);
        match state.apply(&record) {
            Ok(()) => self.pending.push(record),
            // Whatever asked for this record was wrong about the state. Nothing of it is kept; the session stops
            // where it is, for somebody to look at.
            Err(error) => {
                state.seq = seq - 1;
                debug_assert!(false, "{error}");
                if let Some(id) = error.session.clone()
                    && self.state.sessions.contains_key(&id)
                    && !matches!(record.body, Body::ConditionSet { .. })
                {
                    self.park(&id, format!("internal fault: {error}"));
                }
            }
        }
    }

    /// Halts a session for somebody to look at.
    fn park(&mut self, session: &SessionId, why: String) {
        let is_running = self.state.session(session).is_some_and(fenix_core::session::Session::is_running);
        if is_running {
            let condition = Condition::Parked { why: why.clone() };
            self.record(session, Body::ConditionSet { condition, reason: why });
        }
    }

    /// Orders a call to the infrastructure.
    fn call(&mut self, owner: Owner, call: CloudCall) -> CallId {
        let id = self.new_call(owner, Some(call.clone()));
        self.orders.push(Order::Call { id, call });
        id
    }

    fn new_call(&mut self, owner: Owner, call: Option<CloudCall>) -> CallId {
        self.next_call += 1;
        let id = CallId(self.next_call);
        self.awaited.insert(id, Awaited { owner, call, since: self.now });
        id
    }

    /// Wakes the sessions that a record concerns. What a decision itself writes wakes nobody, except a new phase.
    fn wake_concerned(&mut self, record: &Record) {
        let wake = match &record.body {
            Body::Entered { .. }
            | Body::ProjectJoined { .. }
            | Body::Replied { ask: Some(_), .. }
            | Body::AskEnded { .. } => Some(Trigger::Changed),
            Body::EffectEnded { .. } | Body::HostMoved { .. } => {
                self.wake_idle();
                Some(Trigger::Changed)
            }
            Body::ConditionSet { condition: Condition::Running, .. } | Body::Continued { .. } => {
                Some(Trigger::Continued)
            }
            // Its hosts may take instances of others from now on.
            Body::ConditionSet { condition: Condition::Ended, .. } | Body::Removed => {
                self.wake_idle();
                None
            }
            Body::Observed { change } => {
                self.wake_observers(change);
                None
            }
            Body::Subscribed { .. }
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
            | Body::PartlyReplied { .. }
            | Body::Opened { .. }
            | Body::PackageWanted { .. }
            | Body::PackageFetched { .. }
            | Body::PluginsPinned { .. }
            | Body::HostJoined { .. }
            | Body::Decided { .. }
            | Body::Undecided { .. }
            | Body::ConditionSet { .. }
            | Body::Failed { .. }
            | Body::Asked { .. }
            | Body::AskDelivered { .. }
            | Body::AskExtended { .. }
            | Body::Replied { .. }
            | Body::Admitted { .. }
            | Body::EffectUnclear { .. }
            | Body::ActionCalled { .. }
            | Body::Noted { .. }
            | Body::ValueKept { .. }
            | Body::Queued { .. }
            | Body::MessageEnded { .. } => None,
        };
        if let (Some(trigger), Some(session)) = (wake, &record.session) {
            self.wake(session, trigger);
        }
    }

    /// Has a session decided soon.
    fn wake(&mut self, session: &SessionId, trigger: Trigger) {
        self.woken.entry(session.clone()).or_insert(trigger);
    }

    /// Wakes every session that waits for no effect: it may wait for what another session just gave free.
    fn wake_idle(&mut self) {
        let idle: Vec<SessionId> = self
            .state
            .sessions
            .values()
            .filter(|session| session.is_running())
            .filter(|session| session.effects.values().all(|effect| effect.unknown.is_some()))
            .map(|session| session.id.clone())
            .collect();
        for session in idle {
            self.wake(&session, Trigger::Changed);
        }
    }

    /// Has the cloud read before these sessions decide again.
    fn reread_for(&mut self, session: &SessionId) {
        self.rereading.insert(session.clone());
        self.agenda.touch(session);
        self.read_all();
    }

    fn moving(&self, instance: &InstanceId) -> bool {
        let subject = fenix_core::effect::Subject::Instance(instance.clone());
        self.state.in_flight(&subject).is_some()
    }
}
