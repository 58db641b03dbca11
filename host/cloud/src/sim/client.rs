//! The driver for the simulated cloud: calls over one connection, many at a time.
//!
//! Nothing is ever sent twice by itself. Whatever was sent and not answered, for whatever reason, is `Unclear`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::audit::Summary;
use super::durable::TracePage;
use super::protocol::{Address, Answered, Control, MAX_ANSWER, Read, Request, line, read_line};
use super::thirdparty::Act;
use crate::driver::{Answering, Cloud};

/// Most requests that wait to be written; further callers wait, within their own patience.
const MAX_WAITING: usize = 256;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For an answer, from the call on.
    pub answer: Duration,
}

impl Default for Patience {
    /// On one machine a connection takes no time, and the longest answer a second.
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), answer: Duration::from_secs(10) }
    }
}

/// A connection to a simulated cloud; clones share it.
#[derive(Clone, Debug)]
pub struct SimClient {
    orders: mpsc::Sender<Order>,
    next_id: Arc<AtomicU64>,
    patience: Patience,
}

/// A request to be written.
struct Order {
    id: u64,
    line: Vec<u8>,
    answer: oneshot::Sender<Raw>,
}

/// An answer as it came, or why none did.
type Raw = Result<Vec<u8>, CloudError>;

impl SimClient {
    /// A client of the cloud at that address. Connects with the first call, and again whenever the connection broke.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(address: SocketAddr, patience: Patience) -> SimClient {
        let (orders, inbox) = mpsc::channel(MAX_WAITING);
        tokio::spawn(run(address, patience, inbox));
        SimClient { orders, next_id: Arc::new(AtomicU64::new(1)), patience }
    }

    /// The ground truth from event number `from` on, as much as fits in one answer.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    pub async fn trace(&self, from: u64) -> Result<TracePage, CloudError> {
        self.ask(None, Some(Control::Trace { from })).await
    }

    /// Lets somebody else do something.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    pub async fn third_party(&self, act: Act) -> Result<(), CloudError> {
        self.ask::<CloudReply>(None, Some(Control::ThirdParty(act))).await.map(|_| ())
    }

    /// How the cloud stands.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    pub async fn summary(&self) -> Result<Summary, CloudError> {
        self.ask(None, Some(Control::Summary)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        call: Option<CloudCall>,
        control: Option<Control>,
    ) -> Result<T, CloudError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = line(&Request { id, call, control }).map_err(|error| unclear(error.to_string()))?;
        let exchange = async {
            let (answer, answered) = oneshot::channel();
            let gone = || unclear("the client has been shut down".to_owned());
            self.orders.send(Order { id, line, answer }).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        let bytes = match tokio::time::timeout(self.patience.answer, exchange).await {
            Ok(result) => result?,
            Err(_) => return Err(unclear(format!("nothing within {:?}", self.patience.answer))),
        };
        match serde_json::from_slice::<Answered<T>>(&bytes) {
            Ok(Answered { ok: Some(ok), error: None }) => Ok(ok),
            Ok(Answered { ok: None, error: Some(error) }) => Err(error),
            Ok(_) => Err(unclear("an answer with neither or both of \"ok\" and \"error\"".to_owned())),
            Err(error) => Err(unclear(format!("an answer that cannot be read: {error}"))),
        }
    }
}

impl Cloud for SimClient {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        Box::pin(self.ask(Some(call.clone()), None))
    }
}

fn unclear(why: String) -> CloudError {
    CloudError::Unclear(why)
}

/// Writes requests for as long as there is a client, over one connection after the other.
async fn run(address: SocketAddr, patience: Patience, mut inbox: mpsc::Receiver<Order>) {
    let mut link: Option<Link> = None;
    while let Some(order) = inbox.recv().await {
        if order.answer.is_closed() {
            // Nobody waits any more, and nothing was sent: so it never will be.
            continue;
        }
        if link.as_ref().is_some_and(Link::is_broken) {
            link = None;
        }
        let open = match link.take() {
            Some(open) => Ok(open),
            None => Link::open(address, patience).await,
        };
        match open {
            Ok(mut open) => link = open.send(order, patience).await.then_some(open),
            // If who asked has gone in the meantime, nobody wants to know.
            Err(error) => drop(order.answer.send(Err(error))),
        }
    }
}

/// One connection.
struct Link {
    writer: OwnedWriteHalf,
    waiting: Arc<Waiting>,
    reading: JoinHandle<()>,
}

/// Who waits for an answer; `None` once nobody can get one any more.
struct Waiting(Mutex<Option<Table>>);

type Table = HashMap<u64, oneshot::Sender<Raw>>;

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<Table>> {
        // Each use leaves the map whole, whatever panics in between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all who wait, and all who come later, that nothing will come.
    fn close(&self, why: &str) {
        for (_, answer) in self.lock().take().into_iter().flatten() {
            drop(answer.send(Err(unclear(why.to_owned()))));
        }
    }
}

impl Link {
    async fn open(address: SocketAddr, patience: Patience) -> Result<Link, CloudError> {
        let stream = match tokio::time::timeout(patience.connect, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(unclear(format!("no connection to the simulated cloud at {address}: {error}")));
            }
            Err(_) => {
                return Err(unclear(format!("no connection to {address} within {:?}", patience.connect)));
            }
        };
        stream.set_nodelay(true).map_err(|error| unclear(error.to_string()))?;
        let (reader, writer) = stream.into_split();
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let reading = tokio::spawn(read_answers(reader, Arc::clone(&waiting)));
        Ok(Link { writer, waiting, reading })
    }

    fn is_broken(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Sends one request. False if the connection is of no use any more.
    async fn send(&mut self, order: Order, patience: Patience) -> bool {
        match &mut *self.waiting.lock() {
            Some(waiting) => {
                // Those who gave up are swept out here, so that lost answers do not pile up.
                waiting.retain(|_, answer| !answer.is_closed());
                waiting.insert(order.id, order.answer);
            }
            None => {
                drop(order.answer.send(Err(unclear("the connection was closed".to_owned()))));
                return false;
            }
        }
        match tokio::time::timeout(patience.answer, self.writer.write_all(&order.line)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                self.waiting.close(&format!("the connection broke: {error}"));
                false
            }
            Err(_) => {
                self.waiting.close("the simulated cloud does not read");
                false
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reading.abort();
        self.waiting.close("the connection was closed");
    }
}

/// Hands answers to who waits for them, until the connection ends.
async fn read_answers(reader: OwnedReadHalf, waiting: Arc<Waiting>) {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    let why = loop {
        match read_line(&mut reader, &mut bytes, MAX_ANSWER).await {
            Ok(Read::Line) => {}
            Ok(Read::End) => break "the simulated cloud closed the connection".to_owned(),
            Ok(Read::TooLong) => break format!("an answer is longer than {MAX_ANSWER} bytes"),
            Err(error) => break format!("the connection broke: {error}"),
        }
        let Ok(Address { id }) = serde_json::from_slice(&bytes) else {
            break "the simulated cloud sent something that is no answer".to_owned();
        };
        let asked = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(asked) = asked {
            // Who gave up in the meantime does not want it.
            drop(asked.send(Ok(std::mem::take(&mut bytes))));
        }
    };
    waiting.close(&why);
}
