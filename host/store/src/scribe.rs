//! The thread in which sled writes, so that nobody waits for ever.
//!
//! sled 0.34 writes in threads of its own, and who flushes waits for them. If such a write fails while a batch is
//! being put together, the error is noted but the one who waits is not woken (`Log::exit_reservation`): on a full or
//! broken disk a flush then never returns. Whoever calls sled next finds the error and wakes all others. So a write that
//! takes long is followed by a nudge, another flush, and one that takes far too long is given up.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::database::{Fault, contained};

/// How long a write takes before sled is nudged for the first time; each further time it is twice as long. A slow disk
/// is nudged for nothing, which costs a thread of sled's until the write is done.
const FIRST_NUDGE: Duration = Duration::from_millis(250);

/// Nudges until sled counts as stuck: after a good minute in all, twice what Linux gives a disk for one command.
const NUDGES: u32 = 8;

/// A batch, or nothing to be flushed only, and who waits for it.
type Work = (Option<sled::Batch>, Sender<Result<(), Fault>>);

/// The thread, for one database.
pub(crate) struct Scribe {
    db: sled::Db,
    /// `None` only while it is dropped.
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    /// Starts the thread.
    pub(crate) fn start(db: &sled::Db) -> io::Result<Scribe> {
        let (work, waiting) = mpsc::channel::<Work>();
        let own = db.clone();
        let write = move || {
            for (batch, done) in waiting {
                let written = contained(|| {
                    batch.map_or(Ok(()), |batch| own.apply_batch(batch))?;
                    own.flush().map(drop)
                });
                // Nobody waits any more if it took too long.
                drop(done.send(written));
            }
        };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(write)?;
        Ok(Scribe { db: db.clone(), work: Some(work), thread: Some(thread) })
    }

    /// Has sled write all of the batch or nothing, or with none what it holds back.
    pub(crate) fn write(&self, batch: Option<sled::Batch>) -> Result<(), Fault> {
        let (done, written) = mpsc::channel();
        let gone = || Fault::Panicked("its thread is gone".to_owned());
        self.work.as_ref().ok_or_else(gone)?.send((batch, done)).map_err(|_| gone())?;
        for nudge in 0..NUDGES {
            match written.recv_timeout(FIRST_NUDGE * 2u32.pow(nudge)) {
                Ok(written) => return written,
                Err(RecvTimeoutError::Timeout) => self.nudge(),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
        Err(Fault::Stuck)
    }

    fn nudge(&self) {
        let flushing = pin!(self.db.flush_async());
        // Once begun it goes on in sled's threads; what becomes of it is of no interest.
        let _begun = flushing.poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Ends the thread, which must not be stuck.
    pub(crate) fn stop(mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // It contains what panics.
            drop(thread.join());
        }
    }
}
