//! The simulated cloud as a process of its own: many connections, one world, one file.
//!
//! Connections read requests and hand them to the keeper, which alone touches the world. It takes all that have come,
//! applies them in order, commits them with one write to the file, and only then lets the answers go. What is lost
//! on the simulated wire is never answered; callers find out by their own patience, as they would anywhere.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fenix_core::time::Time;
use fenix_engine::ports::{CloudError, CloudReply};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::durable::Durable;
use super::faults::FaultyCloud;
use super::log::StateError;
use super::protocol::{
    Body, Control, Good, MAX_ANSWER, MAX_REQUEST, NOBODY, Read, Reply, Request, line, read_line,
};
use super::spec::Spec;

/// Most connections at once. One per program that uses the cloud is enough; a demo has four.
pub const MAX_CONNECTIONS: usize = 256;

/// Most requests of one connection that are read and not yet answered: more only wait in our memory, not in theirs.
pub const MAX_UNANSWERED: usize = 256;

/// Most requests in one commit: enough to share the cost of a sync, few enough that the first one need not wait.
const MAX_BATCH: usize = 256;

/// Most trace events in one answer: some 2 MB.
pub const MAX_TRACE_PAGE: usize = 10_000;

/// How long a peer may take to read an answer; one that does not read is cut off.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// How long to wait after the system refused to accept a connection: it has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Draws that one call can take from the wire's stream at most; a restarted process leaves out as many per change.
const DRAWS_PER_CALL: u64 = 4;

/// Why the cloud stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its file failed it.
    #[error("the simulated cloud lost its state file")]
    State(#[from] StateError),
    /// A bug: the keeper died.
    #[error("the simulated cloud broke down")]
    Broken(#[source] tokio::task::JoinError),
}

/// Runs a simulated cloud until `shutdown`.
///
/// The state file is opened, or made, before the first connection is accepted. Everything that was answered is in it.
/// On return the file is closed, and can be served again.
/// Changes that were late on the wire when the process ends never arrive.
///
/// # Errors
/// The state file cannot be used (at the start), or written (later): then the world must not go on.
pub async fn serve(
    spec: &Spec,
    seed: u64,
    state: &Path,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (durable, torn) = Durable::open(spec, seed, state, wall_clock())?;
    if torn > 0 {
        tracing::warn!(torn, file = %state.display(), "a torn line at the end of the state file was cut off");
    }
    let used = durable.entries() * DRAWS_PER_CALL;
    let cloud = FaultyCloud::new(durable, spec.wire.clone(), seed, used);
    let (orders, inbox) = mpsc::channel(MAX_BATCH);
    let accepting = accept(listener, orders);
    tokio::select! {
        result = keep(cloud, inbox, shutdown) => result,
        () = accepting => Ok(()),
    }
}

/// Milliseconds since 1970. A clock that goes back is the world's concern: its time never does.
fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_millis() as u64))
}

/// One request on its way to the keeper.
struct Order {
    request: Request,
    answers: mpsc::Sender<Outgoing>,
    /// Given back when the answer has been written, or when it is clear that there will be none.
    room: OwnedSemaphorePermit,
}

/// One answer on its way to the peer.
struct Outgoing {
    line: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Answers of one batch, and who gets them.
type Answers = Vec<(mpsc::Sender<Outgoing>, Outgoing)>;

/// The only one who touches the world.
async fn keep(
    mut cloud: FaultyCloud<Durable>,
    mut inbox: mpsc::Receiver<Order>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    tokio::pin!(shutdown);
    loop {
        let mut batch = Vec::new();
        let due = cloud.next_event().map(|at| Duration::from_millis(at.since(wall_clock()).0));
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            taken = inbox.recv_many(&mut batch, MAX_BATCH) => if taken == 0 { return Ok(()) },
            () = tokio::time::sleep(due.unwrap_or(Duration::MAX)), if due.is_some() => {}
        }
        // Applying and syncing block: neither may hold up the connections.
        let (back, answers) =
            tokio::task::spawn_blocking(move || work(cloud, batch)).await.map_err(ServeError::Broken)??;
        cloud = back;
        for (peer, answer) in answers {
            // Each answer has its room in the channel; if the peer is gone, nobody wants it.
            drop(peer.try_send(answer));
        }
    }
}

/// Applies a batch and commits it. The answers may be told only because this returned.
fn work(
    mut cloud: FaultyCloud<Durable>,
    batch: Vec<Order>,
) -> Result<(FaultyCloud<Durable>, Answers), StateError> {
    let now = wall_clock();
    cloud.advance(now);
    let mut answers = Answers::new();
    for Order { request, answers: peer, room } in batch {
        if let Some(line) = answer(&mut cloud, now, request) {
            answers.push((peer, Outgoing { line, _room: Some(room) }));
        }
    }
    cloud.target_mut().commit()?;
    Ok((cloud, answers))
}

/// The answer to one request; `None` if it got lost, or its answer did.
fn answer(cloud: &mut FaultyCloud<Durable>, now: Time, request: Request) -> Option<Vec<u8>> {
    let result = match (request.call, request.control) {
        (Some(call), None) => match cloud.call(now, &call).result {
            Err(CloudError::Unclear(_)) => return None,
            result => result.map(Good::Reply),
        },
        (None, Some(control)) => obey(cloud, now, control),
        _ => Err(CloudError::Refused("a request has one of \"call\" and \"control\"".to_owned())),
    };
    Some(encode(request.id, result))
}

fn obey(cloud: &mut FaultyCloud<Durable>, now: Time, control: Control) -> Result<Good, CloudError> {
    match control {
        Control::Trace { from } => Ok(Good::Trace(cloud.target().trace(from, MAX_TRACE_PAGE))),
        Control::ThirdParty(act) => {
            cloud.target_mut().third_party(now, &act)?;
            Ok(Good::Reply(CloudReply::Accepted))
        }
        Control::Summary => Ok(Good::Summary(Box::new(cloud.target().world().summary()))),
    }
}

fn encode(id: u64, result: Result<Good, CloudError>) -> Vec<u8> {
    let body = match result {
        Ok(good) => Body::Ok(good),
        Err(error) => Body::Error(error),
    };
    match line(&Reply { id, body }) {
        Ok(line) if line.len() <= MAX_ANSWER => line,
        // Nothing here fails to serialize; if it ever did, the caller must not wait in vain.
        _ => {
            format!("{{\"id\":{id},\"error\":{{\"unclear\":\"the answer cannot be sent\"}}}}\n").into_bytes()
        }
    }
}

/// Accepts connections for ever.
async fn accept(listener: TcpListener, orders: mpsc::Sender<Order>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, so there is always a place in the end.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let orders = orders.clone();
                connections.spawn(async move {
                    connection(stream, orders).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, until either end closes it.
async fn connection(stream: TcpStream, orders: mpsc::Sender<Order>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers will be slow");
    }
    let (reader, writer) = stream.into_split();
    // One place more than requests can be unanswered: for the complaint about what is no request.
    let (answers, outbox) = mpsc::channel(MAX_UNANSWERED + 1);
    let reading = read_requests(reader, orders, answers);
    let writing = write_answers(writer, outbox);
    // Reading ends first, as a rule: the answers to what was read are still written. A peer that does not take
    // its answers is not listened to either.
    tokio::pin!(writing);
    tokio::select! {
        () = reading => writing.await,
        () = &mut writing => {}
    }
}

async fn read_requests(reader: OwnedReadHalf, orders: mpsc::Sender<Order>, answers: mpsc::Sender<Outgoing>) {
    let mut reader = BufReader::new(reader);
    let room = Arc::new(Semaphore::new(MAX_UNANSWERED));
    let mut bytes = Vec::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let complaint = match read_line(&mut reader, &mut bytes, MAX_REQUEST).await {
            Ok(Read::End) | Err(_) => return,
            Ok(Read::TooLong) => {
                // Where the next request would begin, nobody knows: this was the last one.
                let line = complain(format!("a request is longer than {MAX_REQUEST} bytes"));
                drop(answers.send(Outgoing { line, _room: Some(permit) }).await);
                return;
            }
            Ok(Read::Line) => match serde_json::from_slice::<Request>(&bytes) {
                Ok(request) => {
                    let order = Order { request, answers: answers.clone(), room: permit };
                    if orders.send(order).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => complain(format!("this is no request: {error}")),
            },
        };
        if answers.send(Outgoing { line: complaint, _room: Some(permit) }).await.is_err() {
            return;
        }
    }
}

fn complain(why: String) -> Vec<u8> {
    encode(NOBODY, Err(CloudError::Refused(why)))
}

async fn write_answers(mut writer: OwnedWriteHalf, mut outbox: mpsc::Receiver<Outgoing>) {
    while let Some(answer) = outbox.recv().await {
        match tokio::time::timeout(WRITE_WITHIN, writer.write_all(&answer.line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
