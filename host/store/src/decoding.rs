//! Records out of the database, decoded on all processors while the database reads on.
//!
//! To open a journal, everything in it is read and checked, so a restart takes as long as that does. sled reads on one
//! thread; decoding takes twice as long as reading, and each record stands for itself.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use fenix_core::record::Record;

use crate::bodies::Bodies;
use crate::codec::{DecodeError, decode_with};
use crate::database::{Database, Fault};

/// Frames that are decoded together: enough that handing them over costs next to nothing.
const CHUNK: usize = 1024;

/// Chunks under way for each thread that decodes: one in hand, one that waits for it, and one that is taken back.
const AHEAD: usize = 3;

/// Most threads: sled itself keeps up with no more.
const MOST_THREADS: usize = 8;

/// A record of that number, or why the frame under that number is none.
type Decoded = (u64, Result<Record, DecodeError>);

/// Frames that lie one after the other.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// The number of each, and where it ends.
    ends: Vec<(u64, usize)>,
}

impl Chunk {
    fn push(&mut self, seq: u64, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push((seq, self.bytes.len()));
    }

    fn decode(&self, bodies: &Bodies) -> Vec<Decoded> {
        let mut from = 0;
        let decode = |&(seq, end): &(u64, usize)| {
            let frame = &self.bytes[std::mem::replace(&mut from, end)..end];
            (seq, decode_with(frame, |digest, len| bodies.get(digest, len)))
        };
        self.ends.iter().map(decode).collect()
    }
}

/// A chunk, and where what it holds is to go.
type Job = (Chunk, Sender<Vec<Decoded>>);

/// Shows what stands under each number, in order, until told to stop.
pub(crate) fn decoded(
    database: &Database,
    bodies: &Bodies,
    mut show: impl FnMut(u64, Result<Record, DecodeError>) -> ControlFlow<()>,
) -> Result<(), Fault> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (jobs, queue) = channel::<Job>();
    let queue = Mutex::new(queue);
    let mut show_all = |all: Vec<Decoded>| all.into_iter().try_for_each(|(seq, record)| show(seq, record));
    std::thread::scope(|scope| {
        let work = || std::thread::Builder::new().spawn_scoped(scope, || work(&queue, bodies));
        let threads = (0..threads).filter(|_| work().is_ok()).count();
        let mut under_way: VecDeque<Receiver<Vec<Decoded>>> = VecDeque::new();
        // Gives a chunk away, and takes the oldest one back once there are enough.
        let mut hand_over = |chunk: Chunk| {
            if threads == 0 {
                return show_all(chunk.decode(bodies));
            }
            let (sender, receiver) = channel();
            under_way.push_back(receiver);
            // The threads go on as long as `jobs` is there.
            drop(jobs.send((chunk, sender)));
            match under_way.len() > threads * AHEAD {
                true => under_way
                    .pop_front()
                    .map_or(ControlFlow::Continue(()), |oldest| take(&oldest, &mut show_all)),
                false => ControlFlow::Continue(()),
            }
        };
        let mut chunk = Chunk::default();
        let mut told = ControlFlow::Continue(());
        database.frames(0, |seq, frame| {
            chunk.push(seq, frame);
            if chunk.ends.len() == CHUNK {
                told = hand_over(std::mem::take(&mut chunk));
            }
            told
        })?;
        if told.is_continue() {
            told = hand_over(chunk);
        }
        drop(jobs);
        for rest in under_way {
            if told.is_continue() {
                told = take(&rest, &mut show_all);
            }
        }
        Ok(())
    })
}

/// Decodes what is in the queue until nothing more can come.
fn work(queue: &Mutex<Receiver<Job>>, bodies: &Bodies) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((chunk, done)) = next else { return };
        // Whoever was told to stop takes nothing back.
        drop(done.send(chunk.decode(bodies)));
    }
}

/// Waits for a chunk and shows it. A thread that broke ends the scope with its panic.
fn take(
    done: &Receiver<Vec<Decoded>>,
    show: &mut impl FnMut(Vec<Decoded>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    done.recv().map_or(ControlFlow::Break(()), show)
}
