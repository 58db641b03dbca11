//! Which records a compaction keeps. A function of the records.
//!
//! Left out are the sessions that were removed long ago, and looks at the infrastructure that later ones supersede.
//! Whatever is left out, the fold of what is kept is the fold of everything; the rules here see to that, and
//! [`crate::compact`] does not believe them before it has compared both.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::effect::{EffectKind, Outcome};
use fenix_core::fold::Folded;
use fenix_core::id::{EffectId, GroupId, HostId, InstanceId, SessionId};
use fenix_core::inventory::Change;
use fenix_core::record::{Body, Record};
use fenix_core::state::{FoldError, State};
use fenix_core::time::{Millis, Time};

/// What is kept.
pub(crate) struct Kept {
    /// The records, in the order of their numbers.
    pub(crate) records: Vec<Record>,
    /// The sessions that lose records, and are archived first.
    pub(crate) sessions: BTreeSet<SessionId>,
}

/// Everything known after these records, all of which must fit.
pub(crate) fn fold(records: &[Record]) -> Result<State, FoldError> {
    let Folded { state, misfits } = fenix_core::fold::fold(records)?;
    misfits.into_iter().next().map_or(Ok(state), Err)
}

/// What is kept of these records, whose fold is `state`, if sessions removed longer ago than `retention` may go.
pub(crate) fn kept(records: &[Record], state: &State, retention: Millis, now: Time) -> Kept {
    let expired = expired(records, state, retention, now);
    let left: BTreeMap<&SessionId, Left> =
        expired.into_iter().map(|id| (id, Left::of(records, id, state))).collect();
    let of_sessions = |record: &Record| match record.session.as_ref().and_then(|id| left.get(id)) {
        Some(left) => left.keeps(record),
        None => true,
    };
    let seen = Seen::in_all(records, state, &of_sessions);
    let last = records.last().map(|record| record.seq);
    let keeps = |record: &Record| {
        Some(record.seq) == last
            || match &record.body {
                Body::Observed { change } => seen.keeps(record, change, state),
                _ => of_sessions(record),
            }
    };
    let kept: Vec<Record> = records.iter().filter(|record| keeps(record)).cloned().collect();
    let losing = |record: &&Record| !keeps(record);
    let sessions = records.iter().filter(losing).filter_map(|record| record.session.clone()).collect();
    Kept { records: kept, sessions }
}

/// The sessions that were removed at least `retention` ago.
fn expired<'a>(
    records: &'a [Record],
    state: &State,
    retention: Millis,
    now: Time,
) -> BTreeSet<&'a SessionId> {
    let removed = records.iter().filter(|record| matches!(record.body, Body::Removed));
    removed
        .filter(|record| now.since(record.at) >= retention)
        .filter_map(|record| record.session.as_ref())
        .filter(|id| state.session(id).is_none())
        .collect()
}

/// What must be left of a session that may go: what became of hosts and instances is read off its records.
enum Left {
    /// Nothing.
    Nothing,
    /// Its beginning and end, where its hosts went, and the records of these numbers: the finished moves.
    Past(BTreeSet<u64>),
}

impl Left {
    /// Follows the moves as the fold does: an end belongs to what is in flight under its id by then, and to nothing that
    /// had that id before or has it afterwards.
    fn of(records: &[Record], id: &SessionId, state: &State) -> Left {
        let mut in_flight: BTreeMap<EffectId, (u64, &InstanceId)> = BTreeMap::new();
        let mut moves = BTreeSet::new();
        let mut is_told = false;
        for record in records.iter().filter(|record| record.session.as_ref() == Some(id)) {
            match &record.body {
                Body::HostMoved { host, .. } => is_told |= state.past.host(host).is_some(),
                Body::Admitted { effect } => match &effect.kind {
                    EffectKind::Move { instance, .. } => {
                        in_flight.insert(effect.id, (record.seq, instance));
                    }
                    EffectKind::Fence { .. } | EffectKind::Release { .. } | EffectKind::Work { .. } => {
                        in_flight.remove(&effect.id);
                    }
                },
                // It stays in flight.
                Body::EffectEnded { outcome: Outcome::Unknown { .. }, .. } => {}
                Body::EffectEnded { effect, outcome } => {
                    if let Some((admitted, instance)) = in_flight.remove(effect)
                        && *outcome == Outcome::Done
                    {
                        moves.extend([admitted, record.seq]);
                        is_told |= state.past.instance(instance).is_some();
                    }
                }
                _ => {}
            }
        }
        if is_told { Left::Past(moves) } else { Left::Nothing }
    }

    fn keeps(&self, record: &Record) -> bool {
        let Left::Past(moves) = self else { return false };
        match record.body {
            Body::Opened { .. } | Body::HostJoined { .. } | Body::HostMoved { .. } | Body::Removed => true,
            Body::Admitted { .. } | Body::EffectEnded { .. } => moves.contains(&record.seq),
            _ => false,
        }
    }
}

/// What a look was at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject<'a> {
    Host(&'a HostId),
    Instance(&'a InstanceId),
    Group(&'a GroupId),
}

impl<'a> Subject<'a> {
    /// At what, and whether it was gone.
    fn of(change: &'a Change) -> (Subject<'a>, bool) {
        match change {
            Change::Host(host) => (Subject::Host(&host.id), false),
            Change::HostGone(id) => (Subject::Host(id), true),
            Change::Instance(instance) => (Subject::Instance(&instance.id), false),
            Change::InstanceGone(id) => (Subject::Instance(id), true),
            Change::Group(group) => (Subject::Group(&group.id), false),
            Change::GroupGone(id) => (Subject::Group(id), true),
        }
    }
}

/// Which looks there are.
struct Seen<'a> {
    /// The last one at each subject.
    last: BTreeMap<Subject<'a>, u64>,
    /// Subjects of which kept records of sessions tell something: that they were gone was the end of that.
    told: BTreeSet<Subject<'a>>,
    /// Instances of which every look is needed: with the last ones alone their recovery time would run otherwise.
    whole: BTreeSet<&'a InstanceId>,
}

impl<'a> Seen<'a> {
    fn in_all(records: &'a [Record], state: &'a State, kept: &impl Fn(&Record) -> bool) -> Seen<'a> {
        let mut seen = Seen { last: BTreeMap::new(), told: BTreeSet::new(), whole: BTreeSet::new() };
        for record in records {
            match &record.body {
                Body::Observed { change } => {
                    seen.last.insert(Subject::of(change).0, record.seq);
                }
                Body::HostMoved { host, .. } if kept(record) => {
                    seen.told.insert(Subject::Host(host));
                }
                Body::Admitted { effect } if kept(record) => {
                    if let EffectKind::Move { instance, .. } = &effect.kind {
                        seen.told.insert(Subject::Instance(instance));
                    }
                }
                _ => {}
            }
        }
        // Who was never told of and is not there needs no record at all.
        seen.told.extend(state.past.hosts().map(|(id, _)| Subject::Host(id)));
        seen.whole = seen.by_themselves(records, state);
        seen
    }

    /// The instances whose recovery time does not follow from the looks that would be kept.
    fn by_themselves(&self, records: &'a [Record], state: &State) -> BTreeSet<&'a InstanceId> {
        let mut instances = BTreeMap::new();
        for record in records {
            if let Body::Observed { change } = &record.body
                && let (Subject::Instance(id), _) = Subject::of(change)
            {
                let known: &mut State = instances.entry(id).or_default();
                if self.keeps(record, change, state) && known.apply(record).is_err() {
                    // A look always fits; and if one did not, the folds would be compared in any case.
                    continue;
                }
            }
        }
        let differs = |(id, known): (&'a InstanceId, State)| {
            (known.returned.get(id) != state.returned.get(id)).then_some(id)
        };
        instances.into_iter().filter_map(differs).collect()
    }

    fn keeps(&self, record: &Record, change: &Change, state: &State) -> bool {
        let (subject, gone) = Subject::of(change);
        if gone {
            let whole = matches!(subject, Subject::Instance(id) if self.whole.contains(id));
            return whole || self.told.contains(&subject);
        }
        let is_last = self.last.get(&subject) == Some(&record.seq);
        // Its recovery time runs from this look on.
        let came_back = match change {
            Change::Instance(instance) => {
                self.whole.contains(&instance.id)
                    || state.returned.get(&instance.id).is_some_and(|at| *at == record.at)
            }
            Change::Host(_)
            | Change::HostGone(_)
            | Change::InstanceGone(_)
            | Change::Group(_)
            | Change::GroupGone(_) => false,
        };
        is_last || came_back
    }
}
