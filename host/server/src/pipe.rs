//! The body of a call that is written piece by piece, by a thread that may block.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::channel::{Channel, Sender};
use tokio::runtime::Handle;

/// Bytes that are sent together.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// How long one piece may take to be taken; nobody holds a place for ever.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// A pipe, and the body that comes out of it. Writing waits on `runtime`, which must not be the thread's own task. What is
/// written last has to be flushed.
pub(crate) fn new(runtime: Handle) -> (Pipe, Channel<Bytes>) {
    let (sender, body) = Channel::new(PIECES);
    (Pipe { sender, runtime, waiting: Vec::with_capacity(PIECE) }, body)
}

/// Sends what is written to it.
pub(crate) struct Pipe {
    sender: Sender<Bytes>,
    runtime: Handle,
    waiting: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE)));
        let sent = self.runtime.block_on(tokio::time::timeout(TAKEN_WITHIN, self.sender.send_data(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the caller has gone")),
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "the caller takes nothing")),
        }
    }
}
