//! Many records folded at once, as a restart does.
//!
//! The outcome is that of [`State::apply`] for one after the other. But for the past of hosts and instances, a
//! session is told from its own records alone, and the installation from its own. So each is folded by itself, on
//! all processors, and of the infrastructure only what was seen last is indexed: the time would else go into finding
//! out, for each record, where in a large memory what it is about lies. What is left to do in the order of all records
//! is the past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::finder::Finder;
use crate::id::{GroupId, HostId, InstanceId, SessionId};
use crate::inventory::{Change, Group, Host, Instance, Inventory};
use crate::past::Note;
use crate::record::{Body, Record};
use crate::state::{FoldError, State};
use crate::time::Time;

/// Most threads: with more, the installation's own records take longer than everything else.
const MOST_THREADS: usize = 8;

/// What records fold to.
#[derive(Debug)]
pub struct Folded {
    /// Everything known. A session with a record that does not fit is as it was before that record.
    pub state: State,
    /// The first record of each session that does not fit, in their order. What follows it in its session does not
    /// count.
    pub misfits: Vec<FoldError>,
}

/// Folds records, which must be in the order of their numbers.
///
/// # Errors
/// A record of the installation does not fit: without it nothing after it can be trusted.
#[expect(
    clippy::disallowed_methods,
    reason = "what a thread folds depends on nothing but its records, and is put together in their order"
)]
pub fn fold(records: &[Record]) -> Result<Folded, FoldError> {
    let (installation, streams) = streams(records);
    let taken = AtomicUsize::new(0);
    let work = || {
        let next = || streams.get(taken.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(next).map(|stream| Part::of_session(stream)).collect::<Vec<Part>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (first, mut parts) = std::thread::scope(|scope| {
        let spawn = || std::thread::Builder::new().spawn_scoped(scope, work).ok();
        // This thread has the installation to fold, and then helps.
        let others: Vec<_> = (1..threads.min(streams.len() + 1)).filter_map(|_| spawn()).collect();
        let first = Part::of_installation(&installation);
        let mut parts = work();
        for other in others {
            parts.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        (first, parts)
    });
    if let Some(misfit) = first.misfit {
        return Err(misfit);
    }
    let mut notes = first.notes;
    parts.iter_mut().for_each(|part| notes.append(&mut part.notes));
    notes.sort_unstable_by_key(|(seq, _)| *seq);
    let mut misfits: Vec<FoldError> = parts.iter_mut().filter_map(|part| part.misfit.take()).collect();
    misfits.sort_unstable_by_key(|misfit| misfit.seq);
    let mut state = first.state;
    state.seq = records.last().map_or(0, |record| record.seq);
    state.at = records.iter().map(|record| record.at).max().unwrap_or_default();
    let sessions = parts.iter().flat_map(|part| part.state.sessions.iter());
    state.sessions = sessions.map(|(id, session)| (id.clone(), Arc::clone(session))).collect();
    state.finder = Finder::of(state.sessions.values());
    let past = Arc::make_mut(&mut state.past);
    notes.into_iter().for_each(|(_, note)| past.take(note));
    Ok(Folded { state, misfits })
}

/// The records of the installation, and those of each session.
fn streams(records: &[Record]) -> (Vec<&Record>, Vec<Vec<&Record>>) {
    let mut installation = Vec::new();
    let mut streams: Vec<Vec<&Record>> = Vec::new();
    let mut places: BTreeMap<&SessionId, usize> = BTreeMap::new();
    for record in records {
        match &record.session {
            None => installation.push(record),
            Some(id) => {
                let place = *places.entry(id).or_insert(streams.len());
                if place == streams.len() {
                    streams.push(Vec::new());
                }
                streams[place].push(record);
            }
        }
    }
    (installation, streams)
}

/// What one session, or the installation, is told from its own records.
#[derive(Default)]
struct Part {
    state: State,
    /// What is told about the past, and by which record.
    notes: Vec<(u64, Note)>,
    /// The record that does not fit: none after it was looked at.
    misfit: Option<FoldError>,
}

impl Part {
    fn of_session(records: &[&Record]) -> Part {
        let mut part = Part::default();
        for record in records {
            if !part.step(record) {
                break;
            }
        }
        part
    }

    fn of_installation(records: &[&Record]) -> Part {
        let mut part = Part::default();
        let mut seen = Seen::default();
        for record in records {
            if let Body::Observed { change } = &record.body {
                seen.take(change, record.at);
                part.notes.extend(Note::of_change(change).map(|note| (record.seq, note)));
            } else if !part.step(record) {
                break;
            }
        }
        seen.fill(&mut part.state);
        part
    }

    /// Takes over one record; false if it does not fit.
    fn step(&mut self, record: &Record) -> bool {
        match self.state.step(record) {
            Ok(note) => self.notes.extend(note.map(|note| (record.seq, note))),
            Err(misfit) => self.misfit = Some(misfit),
        }
        self.misfit.is_none()
    }
}

/// What was seen last of each thing in the infrastructure.
#[derive(Default)]
struct Seen<'a> {
    hosts: BTreeMap<&'a HostId, &'a Host>,
    instances: BTreeMap<&'a InstanceId, &'a Instance>,
    groups: BTreeMap<&'a GroupId, &'a Group>,
    returned: BTreeMap<&'a InstanceId, Time>,
    missed: BTreeMap<&'a HostId, Time>,
}

impl<'a> Seen<'a> {
    /// Takes over one look, as [`State::apply`] does.
    fn take(&mut self, change: &'a Change, at: Time) {
        match change {
            Change::Host(host) => drop(self.hosts.insert(&host.id, host)),
            Change::HostGone(id) => {
                self.hosts.remove(id);
                self.missed.remove(id);
            }
            Change::Instance(new) => {
                let old = self.instances.insert(&new.id, new);
                if let Some(host) = new.did_not_come_to(old) {
                    self.missed.insert(host, at);
                }
                if new.came_back(old) {
                    self.returned.insert(&new.id, at);
                }
            }
            Change::InstanceGone(id) => {
                self.instances.remove(id);
                self.returned.remove(id);
            }
            Change::Group(group) => drop(self.groups.insert(&group.id, group)),
            Change::GroupGone(id) => drop(self.groups.remove(id)),
        }
    }

    fn fill(self, state: &mut State) {
        let Seen { hosts, instances, groups, returned, missed } = self;
        state.inventory = Arc::new(Inventory::of(
            hosts.into_values().cloned().map(Arc::new),
            instances.into_values().cloned().map(Arc::new),
            groups.into_values().cloned().map(Arc::new),
        ));
        state.missed = missed.into_iter().map(|(id, at)| (id.clone(), at)).collect();
        state.returned = returned.into_iter().map(|(id, at)| (id.clone(), at)).collect();
    }
}
