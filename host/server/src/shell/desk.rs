//! The counter at which everybody else meets the writer: commands are handed in, answers and the state come out.
//!
//! Reads never wait for the writer: it publishes the state after each batch that is on disk, and readers look at
//! the last one published.

use std::sync::Arc;
use std::time::Duration;

use fenix_core::caller::Caller;
use fenix_core::state::State;
use fenix_engine::command::{Answer, Command, CommandError};
use fenix_engine::event::Event;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands and results that may wait for the writer. Beyond it commands are refused and results wait where they
/// are: a batch takes milliseconds, so a full queue means that the disk has stopped.
pub const MAX_WAITING: usize = 4096;

/// How long a command waits for its answer: the writer answers after one disk sync, and a client that hears
/// nothing for longer has given up.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Whether the server can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The cloud was not read yet: a session cannot be made, everything else can.
    Starting,
    /// The writer takes commands.
    Ready,
    /// Nothing new is begun, for this reason: what is under way is finished, and sessions can be paused and deleted.
    Held(String),
    /// The journal cannot be written: nothing is taken. It is opened again in a while.
    Broken(String),
    /// The server is being shut down.
    Stopping,
}

/// Why a command has no answer of the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The engine said no.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Too many commands wait already.
    #[error("too many calls are waiting; try again in a moment")]
    Busy,
    /// The writer did not answer in time; it may still do what was asked.
    #[error("no answer within {} s; it may still be done, so look before you repeat it", ANSWER_WITHIN.as_secs())]
    Slow,
    /// The journal cannot be written. What was asked may be done or not.
    #[error("nothing is taken: {0}")]
    Broken(String),
    /// The server is being shut down.
    #[error("the server is being shut down")]
    Stopping,
}

/// What waits for the writer.
#[derive(Debug)]
pub(crate) enum Input {
    /// A command, whose it is, and where its answer goes.
    Command(Option<Caller>, Command, oneshot::Sender<Result<Answer, Refused>>),
    /// The result of an order.
    Returned(Event),
}

/// The readers' and callers' end.
#[derive(Clone, Debug)]
pub struct Desk {
    inbox: mpsc::Sender<Input>,
    state: watch::Receiver<Arc<State>>,
    health: watch::Receiver<Health>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Backroom {
    pub(crate) inbox: mpsc::Receiver<Input>,
    pub(crate) state: watch::Sender<Arc<State>>,
    pub(crate) health: watch::Sender<Health>,
}

impl Desk {
    /// A desk that shows `state` until the writer has something newer.
    pub(crate) fn open(state: Arc<State>) -> (Desk, Backroom) {
        let (inbox_in, inbox_out) = mpsc::channel(MAX_WAITING);
        let (state_in, state_out) = watch::channel(state);
        let (health_in, health_out) = watch::channel(Health::Starting);
        (
            Desk { inbox: inbox_in, state: state_out, health: health_out },
            Backroom { inbox: inbox_out, state: state_in, health: health_in },
        )
    }

    /// The last state that is on disk.
    pub fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// Whether the server can do its work.
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// How many commands and results wait for the writer.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.max_capacity() - self.inbox.capacity()
    }

    /// Waits until the health is as wanted, or the writer is gone.
    pub async fn until_health(&self, wanted: impl FnMut(&Health) -> bool) {
        drop(self.health.clone().wait_for(wanted).await);
    }

    /// Tells of every newer state. A reader that is slow sees the newest, not each.
    pub fn changes(&self) -> watch::Receiver<Arc<State>> {
        self.state.clone()
    }

    /// Hands a command in and waits for its answer, which comes after its records are on disk. What a caller had done
    /// is noted with them.
    ///
    /// # Errors
    /// The engine refused it, or it could not be handed in or answered; only after [`Refused::Slow`] is it open
    /// whether it was done.
    pub async fn command(&self, by: Option<Caller>, command: Command) -> Result<Answer, Refused> {
        match self.health() {
            Health::Starting | Health::Ready | Health::Held(_) => {}
            Health::Broken(why) => return Err(Refused::Broken(why)),
            Health::Stopping => return Err(Refused::Stopping),
        }
        let (answer_in, answer_out) = oneshot::channel();
        self.inbox.try_send(Input::Command(by, command, answer_in)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, answer_out).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_gone)) => Err(match self.health() {
                Health::Broken(why) => Refused::Broken(why),
                Health::Starting | Health::Ready | Health::Held(_) | Health::Stopping => Refused::Stopping,
            }),
            Err(_elapsed) => Err(Refused::Slow),
        }
    }

    /// Brings the result of an order back; waits while the writer is busy. Lost if the writer has ended, which is
    /// no harm: the next start sends the order again.
    pub(crate) async fn bring_back(&self, event: Event) {
        if self.inbox.send(Input::Returned(event)).await.is_err() {
            tracing::debug!("a result came after the writer had ended");
        }
    }
}
