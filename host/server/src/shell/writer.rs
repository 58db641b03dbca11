//! The one writer: it feeds events to the engine, has the journal take what follows, and only then lets it happen.
//!
//! It runs on a thread of its own, since the journal and the workflows block. Everything that has come in by the
//! time it looks goes into one batch with one disk sync; when the disk is slow, batches grow by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fenix_engine::Engine;
use fenix_engine::command::Answer;
use fenix_engine::event::{Event, Order, Ticket};
use fenix_engine::ports::{Clock, Journal, JournalError, Workflows};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::desk::{Backroom, Desk, Health, Input, Refused};
use super::hands::Hands;

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
        let room =
            Room { parts, backroom, hands, runtime, stopped, tickets: BTreeMap::new(), next_ticket: 0 };
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
}

impl Room {
    fn work(mut self) {
        let mut inputs = Vec::with_capacity(MAX_BATCH);
        // The first look at the timers makes the engine read the cloud and go on with what it finds.
        let mut result = self.batch(&mut inputs);
        while result.is_ok() && self.wait(&mut inputs) {
            result = self.batch(&mut inputs);
        }
        match result {
            Ok(()) => {
                self.backroom.health.send_replace(Health::Stopping);
                self.refuse_rest(&Refused::Stopping);
            }
            Err(error) => self.broken(&error),
        }
    }

    /// Waits for something to do; false once the writer shall end.
    fn wait(&mut self, inputs: &mut Vec<Input>) -> bool {
        let due = self.parts.engine.next_due();
        let now = self.parts.clock.now();
        let pause = due.map(|due| Duration::from_millis(due.since(now).0).max(LEAST_PAUSE));
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
                Input::Returned(event) => event,
            };
            self.handle(event);
        }
        let orders = self.parts.engine.commit(&mut *self.parts.journal)?;
        if self.parts.engine.is_ready() {
            self.backroom.health.send_if_modified(|health| {
                let newer = *health == Health::Starting;
                if newer {
                    *health = Health::Ready;
                }
                newer
            });
        }
        let state = self.parts.engine.state();
        self.backroom.state.send_if_modified(|shown| {
            let newer = shown.seq != state.seq;
            if newer {
                *shown = state.clone();
            }
            newer
        });
        for order in orders.into_inner() {
            match order {
                Order::Answer { ticket, answer } => self.answer(ticket, answer.map_err(Refused::from)),
                Order::Call { .. } | Order::Deliver { .. } | Order::RunAction { .. } => {
                    self.hands.carry_out(order);
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        let now = self.parts.clock.now();
        self.parts.engine.handle(now, event, &*self.parts.workflows);
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, Refused>) {
        let Some(caller) = self.tickets.remove(&ticket) else { return };
        if caller.send(answer).is_err() {
            tracing::debug!("a caller had gone before its answer came");
        }
    }

    /// The journal is gone: nothing that only memory knows may be shown, answered or carried out.
    fn broken(mut self, error: &JournalError) {
        let why = whole(error);
        tracing::error!(%why, "the journal cannot be written; nothing new is taken until a restart");
        self.backroom.health.send_replace(Health::Broken(why.clone()));
        self.refuse_rest(&Refused::Broken(why.clone()));
        let mut inputs = Vec::new();
        while self.wait_broken(&mut inputs) {
            for input in inputs.drain(..) {
                if let Input::Command(_, _, caller) = input {
                    drop(caller.send(Err(Refused::Broken(why.clone()))));
                }
            }
        }
        self.backroom.health.send_replace(Health::Stopping);
    }

    fn wait_broken(&mut self, inputs: &mut Vec<Input>) -> bool {
        let runtime = self.runtime.clone();
        let inbox = &mut self.backroom.inbox;
        let stopped = &mut self.stopped;
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => false,
                count = inbox.recv_many(inputs, MAX_BATCH) => count > 0,
            }
        })
    }

    fn refuse_rest(&mut self, refused: &Refused) {
        for (_, caller) in std::mem::take(&mut self.tickets) {
            drop(caller.send(Err(refused.clone())));
        }
        while let Ok(input) = self.backroom.inbox.try_recv() {
            if let Input::Command(_, _, caller) = input {
                drop(caller.send(Err(refused.clone())));
            }
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use fenix_cloud::{Answering, Cloud};
    use fenix_core::message::{Format, Subscription};
    use fenix_core::view::{Verdict, View, Wakeup};
    use fenix_engine::Settings;
    use fenix_engine::command::Command;
    use fenix_engine::ports::{ActionError, Assignment, CloudCall, CloudReply, Progress, WorkflowError};
    use fenix_store::{Failure, MemJournal};

    use super::*;
    use crate::receivers::Receivers;
    use crate::shell::clock::WallClock;
    use crate::shell::courier::Courier;
    use crate::shell::hands::ActionPort;
    use crate::tls::{self, Trust};
    use crate::wire::payload::Base;

    /// A cloud with nothing in it, and plug-ins that nobody calls.
    struct Nothing;

    impl Cloud for Nothing {
        fn call<'a>(&'a self, _: &'a CloudCall) -> Answering<'a> {
            let empty = CloudReply::All { hosts: Vec::new(), instances: Vec::new(), groups: Vec::new() };
            Box::pin(async { Ok(empty) })
        }
    }

    impl Workflows for Nothing {
        fn decide(&self, _: &fenix_core::id::Digest, _: &View, _: &Wakeup) -> Result<Verdict, WorkflowError> {
            Err(WorkflowError::Unusable("there is none".into()))
        }
    }

    impl ActionPort for Nothing {
        fn run(&self, _: &Assignment) -> Result<Progress, ActionError> {
            Err(ActionError::Unusable("there is none".into()))
        }
    }

    fn start(journal: MemJournal) -> (Writer, Desk) {
        let clock = Arc::new(WallClock::default());
        let parts = Parts {
            engine: Engine::new(Settings::default(), clock.now()),
            journal: Box::new(journal),
            workflows: Arc::new(Nothing),
            clock,
        };
        let base = Base::new("http://127.0.0.1:1").unwrap();
        let tls = tls::client(&Trust::Nobody).unwrap();
        let courier = Courier::new(base, Receivers::default(), tls).unwrap();
        let runtime = Handle::current();
        let hands_runtime = runtime.clone();
        let hands =
            move |desk| Hands::new(hands_runtime, desk, Arc::new(Nothing), Arc::new(Nothing), courier);
        Writer::start(parts, hands, runtime).unwrap()
    }

    fn subscribe(id: &str) -> Command {
        let subscription = Subscription {
            id: id.into(),
            project: "p".into(),
            event_type: "*".into(),
            url: "http://127.0.0.1:1/".into(),
            format: Format::Aodh,
        };
        Command::Subscribe { subscription }
    }

    #[tokio::test]
    async fn a_command_is_answered_and_shown_once_it_is_on_disk() {
        let (writer, desk) = start(MemJournal::new());
        assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
        assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Idle));
        assert_eq!(desk.state().subscriptions.len(), 1);
        desk.until_health(|health| *health == Health::Ready).await;
        writer.stop().await;
        assert_eq!(desk.health(), Health::Stopping);
        assert_eq!(desk.command(None, subscribe("b")).await, Err(Refused::Stopping));
    }

    #[tokio::test]
    async fn what_the_journal_does_not_take_is_neither_shown_nor_answered_nor_anything_after_it() {
        let mut journal = MemJournal::new();
        journal.fail_at(2, Failure::Stored);
        let (writer, desk) = start(journal);
        assert_eq!(desk.command(None, subscribe("a")).await, Ok(Answer::Done));
        for id in ["b", "c"] {
            let refused = desk.command(None, subscribe(id)).await;
            assert!(matches!(refused, Err(Refused::Broken(_))), "{refused:?}");
        }
        assert_eq!(desk.state().subscriptions.len(), 1);
        let health = desk.health();
        assert!(matches!(&health, Health::Broken(why) if why.contains("journal")), "{health:?}");
        writer.stop().await;
    }
}
