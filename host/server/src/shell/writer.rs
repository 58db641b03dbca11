//! The one writer: it feeds events to the engine, has the journal take what follows, and only then lets it happen.
//!
//! It runs on a thread of its own, since the journal and the workflows block. Everything that has come in by the
//! time it looks goes into one batch with one disk sync; when the disk is slow, batches grow by themselves.
//!
//! A journal that failed is opened again, as after a crash of the whole process: whatever was ordered is waited for,
//! then a new engine is folded from what the disk really holds. If the cause may still be there it is *held*: nothing
//! new is begun, but sessions can be brought to their safe end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenix_core::time::Millis;
use fenix_engine::Engine;
use fenix_engine::clock::Reading;
use fenix_engine::command::Answer;
use fenix_engine::event::{Event, Order, Ticket};
use fenix_engine::ports::{Clock, Journal, JournalError, Workflows};
use fenix_store::Reserve;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::desk::{Backroom, Desk, Health, Input, Refused};
use super::hands::Hands;
use super::store::Reopen;

pub(crate) use mending::damage;

mod mending;

/// Most events in one batch: an answer must not wait for more than some hundred decisions before it is on disk.
const MAX_BATCH: usize = 256;

/// Least pause between two looks at timers when nothing else happens. The engine names times to come; one in the
/// past that stays there would otherwise use a whole core.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// Everything that the writer owns or is lent.
pub struct Parts {
    /// The engine, recovered.
    pub engine: Engine,
    /// Its journal, open at the engine's last record.
    pub journal: Box<dyn Journal + Send>,
    /// Opens the journal again.
    pub store: Box<dyn Reopen>,
    /// Whether space for closings is held back: if not, nothing else is done.
    pub reserve: Reserve,
    /// Runs workflow components.
    pub workflows: Arc<dyn Workflows + Send + Sync>,
    /// Tells the time.
    pub clock: Arc<dyn Clock + Send + Sync>,
}

/// A running writer.
pub struct Writer {
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Starts the writer's thread; `hands` makes what carries the orders out, given where results go.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        parts: Parts,
        hands: impl FnOnce(Desk) -> Hands,
        runtime: Handle,
    ) -> std::io::Result<(Writer, Desk)> {
        let (desk, backroom) = Desk::open(parts.engine.state().clone());
        let hands = hands(desk.clone());
        let (stop, stopped) = watch::channel(false);
        let jumped = parts.clock.read().jumped;
        let room = Room {
            parts,
            backroom,
            hands,
            runtime,
            stopped,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            under_way: 0,
            room_look: None,
            failed: None,
            jumped,
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || room.work())?;
        Ok((Writer { stop, thread }, desk))
    }

    /// Ends the writer after the batch in hand, and waits for it: on return the journal is closed. What was ordered
    /// and is not back is looked after at the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the writer ended with a fault; the next start goes on from its last record");
        }
    }
}

struct Room {
    parts: Parts,
    backroom: Backroom,
    hands: Hands,
    runtime: Handle,
    stopped: watch::Receiver<bool>,
    /// Whom to answer.
    tickets: BTreeMap<Ticket, oneshot::Sender<Result<Answer, Refused>>>,
    next_ticket: u64,
    /// Calls to the infrastructure and of actions that are not back yet.
    under_way: usize,
    /// When to look for room on the disk, if everything waits for that, and the pause before that look.
    room_look: Option<(Instant, Duration)>,
    /// The last failure of the journal, and the pause after it.
    failed: Option<(Instant, Duration)>,
    /// By how much the clock was set forward so far, as the engine was told.
    jumped: Millis,
}

impl Room {
    fn work(mut self) {
        if self.parts.reserve == Reserve::Spent {
            self.hold_for_room();
        }
        while let Err(error) = self.run() {
            let why = whole(&error);
            tracing::error!(%why, "the journal cannot be written");
            if !self.mend(&error, why) {
                break;
            }
        }
        self.backroom.health.send_replace(Health::Stopping);
        self.refuse_rest(&Refused::Stopping);
    }

    /// Goes on until it shall stop.
    fn run(&mut self) -> Result<(), JournalError> {
        let mut inputs = Vec::with_capacity(MAX_BATCH);
        // The first look at the timers makes the engine read the cloud and go on with what it finds.
        self.batch(&mut inputs)?;
        while self.wait(&mut inputs) {
            self.look_for_room();
            self.batch(&mut inputs)?;
        }
        Ok(())
    }

    /// Waits for something to do; false once the writer shall end.
    fn wait(&mut self, inputs: &mut Vec<Input>) -> bool {
        let due = self.parts.engine.next_due();
        let now = self.parts.clock.now();
        let pause = due.map(|due| Duration::from_millis(due.since(now).0).max(LEAST_PAUSE));
        let look = self.room_look.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let pause = pause.into_iter().chain(look).min();
        let runtime = self.runtime.clone();
        let inbox = &mut self.backroom.inbox;
        let stopped = &mut self.stopped;
        runtime.block_on(async {
            let timer = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => false,
                count = inbox.recv_many(inputs, MAX_BATCH) => count > 0,
                () = timer => true,
            }
        })
    }

    /// Has one batch handled, journaled, shown and carried out, in this order.
    fn batch(&mut self, inputs: &mut Vec<Input>) -> Result<(), JournalError> {
        if inputs.is_empty() {
            self.handle(Event::Tick);
        }
        for input in inputs.drain(..) {
            let event = match input {
                Input::Command(by, command, answer) => {
                    let ticket = Ticket(self.next_ticket);
                    self.next_ticket += 1;
                    self.tickets.insert(ticket, answer);
                    Event::Command(ticket, by, command)
                }
                Input::Returned(event) => {
                    self.note_returned(&event);
                    event
                }
            };
            self.handle(event);
        }
        let orders = self.parts.engine.commit(&mut *self.parts.journal)?;
        let state = self.parts.engine.state();
        self.backroom.state.send_if_modified(|shown| {
            // That everything is held is no record.
            let newer = shown.seq != state.seq || shown.held != state.held;
            if newer {
                *shown = state.clone();
            }
            newer
        });
        self.tell_health();
        for order in orders.into_inner() {
            match order {
                Order::Answer { ticket, answer } => self.answer(ticket, answer.map_err(Refused::from)),
                Order::Call { .. } | Order::RunAction { .. } => {
                    self.under_way += 1;
                    self.hands.carry_out(order);
                }
                // None of them is waited for when the server ends: the next one does it again, and knows what is here already.
                Order::Deliver { .. } | Order::Fetch { .. } => self.hands.carry_out(order),
                Order::Decide { id, basis } => {
                    self.hands.decide(id, basis, self.parts.workflows.clone());
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        let Reading { now, jumped } = self.parts.clock.read();
        let by = Millis(jumped.0.saturating_sub(self.jumped.0));
        if by > Millis::ZERO {
            tracing::warn!(seconds = by.0 / 1000, "the clock was set forward, or the machine slept");
            self.jumped = jumped;
            self.parts.engine.handle(now, Event::ClockJumped(by), &*self.parts.workflows);
        }
        self.parts.engine.handle(now, event, &*self.parts.workflows);
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, Refused>) {
        let Some(caller) = self.tickets.remove(&ticket) else { return };
        if caller.send(answer).is_err() {
            tracing::debug!("a caller had gone before its answer came");
        }
    }

    fn tell_health(&self) {
        let engine = &self.parts.engine;
        let now = match &engine.state().held {
            Some(why) => Health::Held(why.to_string()),
            None if engine.is_ready() => Health::Ready,
            None => Health::Starting,
        };
        self.backroom.health.send_if_modified(|shown| {
            let newer = *shown != now;
            *shown = now;
            newer
        });
    }

    fn note_returned(&mut self, event: &Event) {
        match event {
            Event::CloudReturned(..) | Event::ActionReturned(..) => self.under_way -= 1,
            Event::Command(..)
            | Event::Delivered(..)
            | Event::Fetched(..)
            | Event::Decided(..)
            | Event::ClockJumped(_)
            | Event::Tick => {}
        }
    }

    fn refuse_rest(&mut self, refused: &Refused) {
        for (_, caller) in std::mem::take(&mut self.tickets) {
            drop(caller.send(Err(refused.clone())));
        }
        while let Ok(input) = self.backroom.inbox.try_recv() {
            self.turn_away(input, refused);
        }
    }

    /// Does nothing with it, but does not forget that it came.
    fn turn_away(&mut self, input: Input, refused: &Refused) {
        match input {
            Input::Command(_, _, caller) => drop(caller.send(Err(refused.clone()))),
            Input::Returned(event) => self.note_returned(&event),
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
