//! A world that outlives its process: every change is in its file before anybody hears of it.
//!
//! What chance decides is not written down: it follows from the seed, the changes and their times. So the file holds
//! only what came from outside, and reading it again is living through it again.

use std::collections::VecDeque;
use std::path::Path;

use fenix_core::time::Time;
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use serde::{Deserialize, Serialize};

use super::faults::{Target, is_read};
use super::image::Image;
use super::log::{Line, Log, Opened, StateError};
use super::spec::Spec;
use super::thirdparty::Act;
use super::trace::TraceEvent;
use super::world::World;

/// The version of the state file. Others are refused: nobody keeps a simulated cloud for years.
const FORMAT: u32 = 1;

/// Most trace events that are kept: some 100 MB, and all of a session over 1 000 hosts with 50 000 instances.
pub const MAX_KEPT_TRACE: usize = 500_000;

/// Bytes from which on the file is made smaller: reading 16 MiB again takes about a second.
const COMPACT_FROM: u64 = 16 * 1024 * 1024;

/// The file is made smaller once it has grown so many times over: rewriting then costs a fraction of writing.
const COMPACT_FACTOR: u64 = 4;

/// A world with a file.
#[derive(Debug)]
pub struct Durable {
    world: World,
    header: Header,
    log: Log,
    /// Applied, and not yet in the file.
    pending: Vec<Entry>,
    /// How many changes there ever were.
    entries: u64,
    trace: VecDeque<TraceEvent>,
    /// The number of the first trace event that is kept.
    trace_first: u64,
    compact_at: u64,
}

/// The first line: what the world was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    seed: u64,
    start: Time,
    /// The specification as JSON text: compared as text, so that no number changes on the way.
    spec: String,
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// The world as it once was; only as the second line.
    Snapshot(Box<Snapshot>),
    /// Changes applied together.
    Batch(Vec<Entry>),
}

/// A world, and what is kept beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    world: Image,
    entries: u64,
    trace: VecDeque<TraceEvent>,
    trace_first: u64,
}

/// One change and when it was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    at: Time,
    #[serde(flatten)]
    what: Change,
}

/// What came from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Call(CloudCall),
    Act(Act),
}

/// Part of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePage {
    /// The number of the first event here; larger than asked for if those before are no longer kept.
    pub first: u64,
    /// The events, at most [`MAX_TRACE_PAGE`](super::server::MAX_TRACE_PAGE) of them.
    pub events: Vec<TraceEvent>,
    /// How many events there ever were.
    pub end: u64,
}

impl Durable {
    /// Opens a world's file and lives through it again, or begins a new one at `start`.
    ///
    /// Returns the world as of its last change, and how many bytes of a torn last line were cut off.
    ///
    /// # Errors
    /// The file is in use, damaged, cannot be read or written, or was made from another specification or seed.
    pub fn open(spec: &Spec, seed: u64, path: &Path, start: Time) -> Result<(Durable, u64), StateError> {
        let Opened { log, lines, torn } = Log::open(path)?;
        let text = serde_json::to_string(spec).map_err(|error| log.damaged(0, error))?;
        let header = Header { format: FORMAT, seed, start, spec: text };
        let mut lines = lines.iter().peekable();
        let Some(first) = lines.next() else {
            let mut durable = Durable::begin(spec, log, header)?;
            durable.log.append(&durable.header)?;
            return Ok((durable, torn));
        };
        let header = check_header(first, &log, header)?;
        let mut durable = Durable::begin(spec, log, header)?;
        for line in lines {
            durable.live_through(spec, line)?;
        }
        Ok((durable, torn))
    }

    fn begin(spec: &Spec, log: Log, header: Header) -> Result<Durable, StateError> {
        let mut durable = Durable {
            world: World::new(spec, header.seed, header.start)?,
            header,
            log,
            pending: Vec::new(),
            entries: 0,
            trace: VecDeque::new(),
            trace_first: 0,
            compact_at: COMPACT_FROM,
        };
        durable.keep_trace();
        Ok(durable)
    }

    fn live_through(&mut self, spec: &Spec, line: &Line) -> Result<(), StateError> {
        match line.parse(&self.log)? {
            Body::Snapshot(snapshot) => {
                let Snapshot { world, entries, trace, trace_first } = *snapshot;
                self.world = World::restore(spec, world);
                (self.entries, self.trace, self.trace_first) = (entries, trace, trace_first);
                if let Some(problem) = self.world.problems().into_iter().next() {
                    return Err(self.log.damaged(line.number, problem));
                }
            }
            Body::Batch(entries) => {
                for entry in entries {
                    self.entries += 1;
                    // What was refused then is refused now, and stands in the trace.
                    match &entry.what {
                        Change::Call(call) => drop(self.world.call(entry.at, call)),
                        Change::Act(act) => drop(self.world.third_party(entry.at, act)),
                    }
                    self.keep_trace();
                }
            }
        }
        Ok(())
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// How many changes there ever were.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Lets somebody else do something; to be committed like any change.
    ///
    /// # Errors
    /// As [`World::third_party`].
    pub fn third_party(&mut self, now: Time, act: &Act) -> Result<(), CloudError> {
        self.note(now, Change::Act(act.clone()));
        let result = self.world.third_party(now, act);
        self.keep_trace();
        result
    }

    /// On return everything applied so far survives the loss of power, and may be told.
    ///
    /// # Errors
    /// The disk said no: nothing since the last commit may be told to anybody, and the world must be opened again.
    pub fn commit(&mut self) -> Result<(), StateError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let batch = Body::Batch(std::mem::take(&mut self.pending));
        self.log.append(&batch)?;
        if self.log.len() >= self.compact_at {
            self.compact()?;
        }
        Ok(())
    }

    /// Puts the world itself in the place of everything in the file that led to it; a large file does so by itself.
    ///
    /// On return everything applied so far survives the loss of power, as after [`Durable::commit`].
    ///
    /// # Errors
    /// As [`Durable::commit`].
    pub fn compact(&mut self) -> Result<(), StateError> {
        self.pending.clear();
        let snapshot = Snapshot {
            world: self.world.image(),
            entries: self.entries,
            trace: self.trace.clone(),
            trace_first: self.trace_first,
        };
        self.log.replace(&[&self.header, &Body::Snapshot(Box::new(snapshot))])?;
        self.compact_at = (self.log.len() * COMPACT_FACTOR).max(COMPACT_FROM);
        Ok(())
    }

    /// The trace from event number `from` on, at most `most` events.
    pub fn trace(&self, from: u64, most: usize) -> TracePage {
        let end = self.trace_first + self.trace.len() as u64;
        let first = from.clamp(self.trace_first, end);
        let skipped = (first - self.trace_first) as usize;
        let events = self.trace.iter().skip(skipped).take(most).cloned().collect();
        TracePage { first, events, end }
    }

    fn note(&mut self, now: Time, what: Change) {
        // The world takes an earlier time as its own; lived through again, it must be that one.
        self.pending.push(Entry { at: now.max(self.world.now()), what });
        self.entries += 1;
    }

    fn keep_trace(&mut self) {
        self.trace.extend(self.world.take_trace());
        let surplus = self.trace.len().saturating_sub(MAX_KEPT_TRACE);
        self.trace.drain(..surplus);
        self.trace_first += surplus as u64;
    }
}

impl Target for Durable {
    fn call(&mut self, now: Time, call: &CloudCall) -> Result<CloudReply, CloudError> {
        if !is_read(call) {
            self.note(now, Change::Call(call.clone()));
        }
        let result = self.world.call(now, call);
        self.keep_trace();
        result
    }

    fn advance(&mut self, to: Time) {
        self.world.advance(to);
        self.keep_trace();
    }

    fn next_event(&self) -> Option<Time> {
        self.world.next_event()
    }
}

/// The stored first line, if it is about the same world as `ours`; the time of its beginning is the stored one.
fn check_header(line: &Line, log: &Log, ours: Header) -> Result<Header, StateError> {
    let stored: Header = line.parse(log)?;
    let same = [
        (stored.format == ours.format, "format"),
        (stored.seed == ours.seed, "seed"),
        (stored.spec == ours.spec, "specification"),
    ];
    match same.iter().find(|(same, _)| !same) {
        Some((_, what)) => Err(log.made_from_other(what)),
        None => Ok(stored),
    }
}
