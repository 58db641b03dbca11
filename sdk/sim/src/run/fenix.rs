//! Fenix itself: handling events, writing its journal, giving orders, being killed and starting again.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fenix_core::time::Millis;
use fenix_engine::command::{Answer, CommandError};
use fenix_engine::event::{self, Basis, CallId, Order, Ticket};
use fenix_engine::ports::JournalError;
use fenix_engine::{Engine, Settings};
use fenix_store::Failure;

use super::disk::OnDisk;
use super::{Envoy, Event, Run};
use crate::coverage::Fault;
use crate::plugins::AsWorkflows;
use crate::report::Commit;
use crate::scenario::{Kill, Point, When};
use crate::truth::{ActionEnd, Errand, Truth, Want};

/// How long whoever sent a command waits before sending it again, if nobody takes it or the connection breaks.
const SEND_AGAIN: Millis = Millis::from_secs(5);

/// Most times that a command is sent: Tacker gives up after five, and other clients have more patience.
const MOST_TRIES: u32 = 60;

impl Run<'_> {
    pub(super) fn start(&mut self) {
        self.life += 1;
        self.journal = self.journal.reopened();
        let records = match self.journal.records() {
            Ok(records) => records,
            Err(error) => return self.breaks(format!("the journal is unreadable: {error}")),
        };
        let settings = self.settings();
        let (last, now) = (self.journal.last_seq(), self.clock.wall(self.now));
        let recovered =
            catch_unwind(AssertUnwindSafe(|| Engine::recover(settings, &records, last, Vec::new(), now)));
        match recovered {
            Ok(Ok(engine)) => {
                self.clock.start(engine.state().at);
                self.engine = Some(engine);
            }
            Ok(Err(error)) => return self.breaks(format!("recovery: {error}")),
            Err(panic) => return self.breaks(panic_text(&*panic)),
        }
        self.tell(Truth::Started);
        self.hold_without_room();
        self.commit();
    }

    pub(super) fn wake(&mut self, life: u32, number: u64) {
        if life == self.life && number == self.wakes && self.engine.is_some() {
            self.feed(event::Event::Tick);
        }
    }

    pub(super) fn result(&mut self, life: u32, event: event::Event) {
        if life != self.life || !self.is_alive() {
            return;
        }
        match event {
            event::Event::CloudReturned(..) | event::Event::ActionReturned(..) => self.under_way -= 1,
            event::Event::Command(..)
            | event::Event::Delivered(..)
            | event::Event::Fetched(..)
            | event::Event::Decided(..)
            | event::Event::ClockJumped(_)
            | event::Event::Tick => {}
        }
        if let event::Event::CloudReturned(id, _) = event
            && self.changes.remove(&id)
        {
            self.tell(Truth::Answered { life, id });
        }
        if self.mending.is_some() {
            // What that engine ordered nobody waits for any more.
            return self.reopen(life);
        }
        self.feed(event);
    }

    /// A command arrives: taken if Fenix is there, else sent again.
    pub(super) fn command(&mut self, envoy: Envoy) {
        let about = envoy.want.as_ref().and_then(Want::about);
        if about.is_some_and(|session| self.wanted.get(session) != Some(&envoy.number)) {
            return;
        }
        if self.engine.is_none() {
            return self.send_again(envoy);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let command = envoy.command.clone();
        self.envoys.insert(ticket, envoy);
        self.feed(event::Event::Command(ticket, None, command));
    }

    /// True if the process is there, and what it has under way goes on.
    pub(super) fn is_alive(&self) -> bool {
        self.engine.is_some() || self.mending.is_some()
    }

    /// Has the engine handle one event, and carries out what follows.
    pub(super) fn feed(&mut self, event: event::Event) {
        let workflows = AsWorkflows {
            plugins: self.plugins,
            thinking: RefCell::new(&mut self.thinking),
            slow: self.scenario.faults.slow_decisions,
        };
        let (now, jumped) = self.clock.read(self.now);
        let Some(engine) = &mut self.engine else { return };
        let handled = catch_unwind(AssertUnwindSafe(|| {
            if jumped > Millis::ZERO {
                engine.handle(now, event::Event::ClockJumped(jumped), &workflows);
            }
            engine.handle(now, event, &workflows);
        }));
        match handled {
            Ok(()) => self.commit(),
            Err(panic) => self.breaks(panic_text(&*panic)),
        }
    }

    /// Fenix itself is at fault: nothing that would come after it counts.
    pub(super) fn breaks(&mut self, why: String) {
        self.tell(Truth::Panicked(why));
        self.broken = true;
    }

    fn commit(&mut self) {
        let death = self.death();
        let before = self.journal.last_seq();
        self.commits.push(Commit::default());
        match death.map(|death| death.point) {
            Some(Point::BeforeAppend) => {
                self.count(Fault::KilledBefore);
                return self.die(death.map(|death| death.down).unwrap_or_default());
            }
            Some(Point::AppendLost) => self.journal.fail_at(self.journal.appends() + 1, Failure::Lost),
            Some(Point::AppendStored) => self.journal.fail_at(self.journal.appends() + 1, Failure::Stored),
            Some(Point::AfterOrders(_)) | None => {}
        }
        let was_spent = self.is_reserve_spent();
        let Some(engine) = &mut self.engine else { return };
        let (journal, disk) = (&mut self.journal, &mut self.disk);
        let orders = match engine.commit(&mut OnDisk { journal, disk, now: self.now }) {
            Ok(orders) => orders.into_inner(),
            Err(error) => return self.not_taken(&error, was_spent, death),
        };
        if let Some(commit) = self.commits.last_mut() {
            *commit = Commit {
                records: count(self.journal.last_seq() - before),
                orders: count(orders.len() as u64),
            };
        }
        let most = match death.map(|death| death.point) {
            Some(Point::AfterOrders(most)) => most as usize,
            // The append that was to fail was not called: nothing was to be written.
            Some(Point::BeforeAppend | Point::AppendLost | Point::AppendStored) | None => usize::MAX,
        };
        for order in orders.into_iter().take(most) {
            self.carry_out(order);
        }
        match death {
            Some(death) => {
                self.count(Fault::KilledAfter);
                self.die(death.down);
            }
            None => self.plan_wake(),
        }
    }

    /// The journal did not take what there was to commit.
    fn not_taken(&mut self, error: &JournalError, was_spent: bool, death: Option<Kill>) {
        let is_full = matches!(error, JournalError::Write(error) if fenix_store::is_full(error));
        match death {
            Some(death) => {
                let is_stored = death.point == Point::AppendStored && !is_full;
                self.count(if is_stored { Fault::AppendStored } else { Fault::AppendLost });
                self.die(death.down);
            }
            None if is_full => self.journal_failed(was_spent),
            None => self.breaks(format!("the journal refuses what it is given: {error}")),
        }
    }

    /// The death that is due with the next commit.
    fn death(&mut self) -> Option<Kill> {
        let kills = &self.scenario.faults.kills;
        let next = self.commits.len() as u64 + 1;
        let by_time = self.armed.take().map(|number| kills[number]);
        by_time.or_else(|| kills.iter().find(|kill| kill.when == When::Commit(next)).copied())
    }

    fn plan_wake(&mut self) {
        let Some(due) = self.engine.as_ref().and_then(Engine::next_due) else { return };
        self.wakes += 1;
        let late = self.latency.span(0, 3);
        let wait = self.until(due);
        let wait = if wait > Millis::ZERO { wait + late } else { wait };
        self.queue.push(self.now + wait, Event::Wake { life: self.life, number: self.wakes });
    }

    /// What the installation decides.
    pub(super) fn settings(&self) -> Settings {
        Settings { own_host: self.scenario.own_host.clone(), ..self.scenario.settings.clone() }
    }

    /// Fenix is killed, and started again after a while.
    fn die(&mut self, down: Millis) {
        self.fall();
        self.queue.push(self.now + down, Event::Start);
    }

    /// Fenix is gone: what it had in memory is lost, what it sent is on its way, what was sent to it is not answered.
    pub(super) fn fall(&mut self) {
        self.engine = None;
        self.mending = None;
        self.under_way = 0;
        self.changes.clear();
        self.tell(Truth::Killed);
        self.stats.kills += 1;
        self.refuse_commands();
    }

    /// Nobody who waits for an answer gets one.
    pub(super) fn refuse_commands(&mut self) {
        for (_, envoy) in std::mem::take(&mut self.envoys) {
            self.send_again(envoy);
        }
    }

    fn send_again(&mut self, mut envoy: Envoy) {
        envoy.tries += 1;
        if envoy.tries < MOST_TRIES {
            self.queue.push(self.now + SEND_AGAIN, Event::Command(Box::new(envoy)));
        }
    }

    fn carry_out(&mut self, order: Order) {
        let life = self.life;
        self.under_way += match &order {
            Order::Call { .. } | Order::RunAction { .. } => 1,
            Order::Deliver { .. } | Order::Fetch { .. } | Order::Decide { .. } | Order::Answer { .. } => 0,
        };
        match order {
            Order::Call { id, call } => {
                if !fenix_cloud::sim::is_read(&call) {
                    self.stats.calls += 1;
                    self.changes.insert(id);
                    self.tell(Truth::Sent { life, id, call: call.clone() });
                }
                let wait = self.call_way();
                self.queue.push(self.now + wait, Event::Call { life, id, call });
            }
            Order::Deliver { id, envelope } => self.send_message(life, id, envelope),
            Order::RunAction { id, assignment } => {
                self.tell(Truth::ActionCalled {
                    life,
                    id,
                    session: assignment.session.as_str().into(),
                    errand: Errand::from(&assignment.call),
                    host: assignment.host.clone(),
                    key: assignment.key.clone(),
                });
                let wait = self.latency.span(0, 20);
                self.queue.push(self.now + wait, Event::Action { life, id, assignment });
            }
            Order::Fetch { id, wanted } => {
                let wait = self.brings(&wanted.session).map_or(Millis::ZERO, |brings| brings.takes);
                self.queue.push(self.now + wait, Event::Fetch { life, id, wanted });
            }
            Order::Decide { id, basis } => {
                self.count(Fault::SlowDecision);
                let wait = self.thinking_time();
                self.queue.push(self.now + wait, Event::Decide { life, id, basis });
            }
            Order::Answer { ticket, answer } => self.answered(ticket, answer),
        }
    }

    /// How long a call takes to the cloud: mostly not long.
    fn call_way(&mut self) -> Millis {
        if self.latency.chance(20) { self.latency.span(300, 3000) } else { self.latency.span(1, 150) }
    }

    /// How long a workflow takes that takes long: mostly less than most calls, seldom longer than a restart.
    fn thinking_time(&mut self) -> Millis {
        if self.thinking.chance(100) {
            self.thinking.span(1_000, 120_000)
        } else {
            self.thinking.span(10, 1_000)
        }
    }

    /// A workflow has decided, on what was known when it was asked.
    pub(super) fn decide(&mut self, life: u32, id: CallId, basis: &Basis) {
        if life != self.life {
            return;
        }
        let is_same = |engine: &Engine| {
            engine.state().session(&basis.view.session) == basis.view.state.session(&basis.view.session)
        };
        if !self.engine.as_ref().is_some_and(is_same) {
            self.count(Fault::Overtaken);
        }
        let said = self.plugins.decide(&basis.plugin, &basis.view, &basis.wakeup);
        self.result(life, event::Event::Decided(id, said));
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, CommandError>) {
        let Some(envoy) = self.envoys.remove(&ticket) else { return };
        let Some(want) = envoy.want.clone() else { return };
        let answer = match (&want, answer) {
            (_, Err(CommandError::NotReady)) => return self.send_again(envoy),
            // It is told to come again later, and does.
            (_, Err(CommandError::Held(_))) => {
                return self.queue.push(self.now + SEND_AGAIN, Event::Command(Box::new(envoy)));
            }
            // The answer to an earlier try was lost.
            (Want::Open(_), Err(CommandError::Exists(_))) if envoy.tries > 0 => Ok(Answer::Idle),
            (_, answer) => answer,
        };
        self.tell(Truth::Told(want, answer.map_err(|error| error.to_string())));
    }

    /// Brings the result of a change back, unless that Fenix is gone.
    pub(super) fn bring(&mut self, wait: Millis, life: u32, event: event::Event) {
        self.queue.push(self.now + wait, Event::Result { life, event });
    }

    /// Notes how an action's call ended.
    pub(super) fn note_action(
        &mut self,
        life: u32,
        id: CallId,
        assignment: &fenix_engine::ports::Assignment,
        end: ActionEnd,
    ) {
        let errand = Errand::from(&assignment.call);
        let (session, host, key) =
            (assignment.session.as_str().into(), assignment.host.clone(), assignment.key.clone());
        self.tell(Truth::ActionReturned { life, id, session, errand, host, key, end });
    }
}

fn count(of_one_commit: u64) -> u32 {
    u32::try_from(of_one_commit).unwrap_or(u32::MAX)
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
