//! Where instances could go: the witness that capacity rules ask for, and the advice that workflows get.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::effect::Subject;
use crate::id::{GroupId, HostId, InstanceId};
use crate::inventory::{Host, HostKind, Instance, Movable, Resources};
use crate::session::{HostStage, Session};
use crate::state::State;

/// An instance and where it could go.
pub type Placement = (InstanceId, HostId);

/// How good a destination is: the lower, the better. One move per instance is what good workflows are measured by,
/// so hosts that the session will not empty any more come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Preference {
    /// Maintained, or not of the session: nobody has to leave it again.
    Settled,
    /// Will be emptied later.
    Provisional,
}

/// A host with room.
#[derive(Clone, Debug)]
struct Room {
    host: HostId,
    preference: Preference,
    free: Resources,
}

/// The hosts that could take instances now, with what is left on each.
///
/// Built once for many questions: building looks at every host that has room.
#[derive(Clone, Debug)]
pub struct Rooms<'a> {
    state: &'a State,
    session: &'a Session,
    rooms: Vec<Room>,
}

impl<'a> Rooms<'a> {
    /// The hosts that could take instances of the session's hosts.
    pub fn new(state: &'a State, session: &'a Session) -> Self {
        let mut rooms: Vec<Room> =
            state.inventory.roomy().filter_map(|host| room(state, session, host)).collect();
        rooms.sort_by(|a, b| {
            // What few hosts have is kept for those who need it.
            let order = |room: &Room| (room.preference, !room.free.other.is_none(), room.free.vcpus);
            order(a).cmp(&order(b)).then_with(|| a.host.cmp(&b.host))
        });
        Self { state, session, rooms }
    }

    /// A place for every instance on a host that is not on its way already, all at once, the largest first: a
    /// witness that they fit.
    ///
    /// # Errors
    /// Why no place was found for one of them. First fit may fail where a cleverer packing exists; it never
    /// claims room that is not there.
    pub fn place(&self, host: &HostId) -> Result<Vec<Placement>, String> {
        let mut leaving: Vec<&Instance> = self
            .state
            .inventory
            .holding(host)
            .filter(|instance| instance.host == *host && !self.is_leaving(&instance.id))
            .collect();
        leaving.sort_by(|a, b| {
            let size = |i: &Instance| {
                let Resources { vcpus, memory_mb, disk_gb, other } = &i.resources;
                (!other.is_none(), *vcpus, *memory_mb, *disk_gb)
            };
            size(b).cmp(&size(a)).then_with(|| a.id.cmp(&b.id))
        });
        let mut taken: BTreeMap<HostId, Resources> = BTreeMap::new();
        let mut joined: BTreeMap<(GroupId, HostId), u32> = BTreeMap::new();
        let mut placed = Vec::with_capacity(leaving.len());
        for instance in leaving {
            if let Movable::No { reason } = &instance.movable {
                return Err(format!("instance {} cannot be moved: {reason}", instance.id));
            }
            let bounds = self.bounds(instance);
            let fits = |room: &&Room| {
                room.host != *host
                    && left(room, &taken).fits(&instance.resources)
                    && self.groups_allow(instance, &bounds, &room.host, &joined)
            };
            let Some(room) = self.rooms.iter().find(fits) else {
                return Err(format!(
                    "no host has room for instance {} ({})",
                    instance.id, instance.resources
                ));
            };
            let sum = taken.entry(room.host.clone()).or_default();
            *sum = sum.plus(&instance.resources);
            for (group, _) in bounds {
                *joined.entry((group.clone(), room.host.clone())).or_default() += 1;
            }
            placed.push((instance.id.clone(), room.host.clone()));
        }
        self.headroom_left(host, &taken)?;
        Ok(placed)
    }

    /// True if a move of it is admitted: its place is claimed already.
    fn is_leaving(&self, instance: &InstanceId) -> bool {
        self.state.in_flight(&Subject::Instance(instance.clone())).is_some()
    }

    /// The groups that bound where an instance may be, with the most members that each bears on one host.
    fn bounds(&self, instance: &'a Instance) -> Vec<(&'a GroupId, u32)> {
        let ceilings = &self.session.plan.terms.ceilings;
        let most = |group| (group, self.state.limits(group, instance, ceilings).most_per_host);
        self.state.groups_of(instance).map(most).filter(|(_, most)| *most < u32::MAX).collect()
    }

    fn groups_allow(
        &self,
        instance: &Instance,
        bounds: &[(&GroupId, u32)],
        host: &HostId,
        joined: &BTreeMap<(GroupId, HostId), u32>,
    ) -> bool {
        bounds.iter().all(|(group, most)| {
            let there = self.state.members_at(group, host, &instance.id, None);
            let coming = joined.get(&((*group).clone(), host.clone())).copied().unwrap_or_default();
            there + coming < *most
        })
    }

    fn headroom_left(&self, leaving: &HostId, taken: &BTreeMap<HostId, Resources>) -> Result<(), String> {
        let headroom = &self.session.plan.terms.headroom;
        if *headroom == Resources::default() {
            return Ok(());
        }
        let left = self
            .rooms
            .iter()
            .filter(|room| room.host != *leaving)
            .fold(Resources::default(), |sum, room| sum.plus(&left(room, taken)));
        if left.fits(headroom) {
            return Ok(());
        }
        Err(format!(
            "{} vcpus and {} MiB would stay free, and the session keeps {} vcpus and {} MiB",
            left.vcpus, left.memory_mb, headroom.vcpus, headroom.memory_mb
        ))
    }
}

/// What is left of a room by what was placed there.
fn left<'a>(room: &'a Room, taken: &BTreeMap<HostId, Resources>) -> Cow<'a, Resources> {
    match taken.get(&room.host) {
        Some(taken) => Cow::Owned(room.free.minus(taken)),
        None => Cow::Borrowed(&room.free),
    }
}

/// What is left on a host with room, if it could take anything of this session's.
fn room(state: &State, session: &Session, seen: &Host) -> Option<Room> {
    let host = &seen.id;
    let free = state.free(host, None);
    if free.vcpus == 0 {
        return None;
    }
    if state.lease(host).is_some_and(|holder| *holder != session.id) {
        return None;
    }
    let preference = match session.hosts.get(host) {
        None => Preference::Settled,
        Some(work) if work.fenced => return None,
        Some(work) => match work.stage {
            HostStage::Maintained => Preference::Settled,
            HostStage::Waiting | HostStage::Quarantined { .. } => Preference::Provisional,
            HostStage::Fenced | HostStage::Working | HostStage::Worked => return None,
        },
    };
    Some(Room { host: host.clone(), preference, free })
}

/// How ready a host is to be the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// No instance holds capacity on it.
    Empty,
    /// Every instance on it has a place to go.
    CanEmpty,
    /// Not now, and why.
    Blocked(String),
}

/// A host that could be next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: HostId,
    /// What it is for.
    pub kind: HostKind,
    /// How ready it is.
    pub readiness: Readiness,
}

/// Most hosts for which one question looks for places: a full cloud must not make every decision as long as itself.
const MAX_LOOKED_AT: usize = 128;

/// True if taking a host out of service takes no room from anybody: nothing is on it, and it has none to offer that
/// the session has to keep free.
pub(crate) fn needs_no_place(state: &State, session: &Session, host: &HostId) -> bool {
    let offers = session.hosts.get(host).is_none_or(|work| work.kind == HostKind::Compute);
    let keeps = session.plan.terms.headroom != Resources::default();
    state.inventory.count_holding(host) == 0 && !(offers && keeps)
}

/// The hosts of the session that wait their turn, best first: controllers and others, then empty computes, then
/// those with the fewest instances. At most `limit` that are ready; those that are not stand behind, with the
/// reason, and those that are down behind them.
pub fn candidates(state: &State, session: &Session, limit: usize) -> Vec<Candidate> {
    let mut waiting: Vec<(bool, bool, usize, &HostId)> = Vec::new();
    for (host, work) in session.hosts.in_stage(HostStage::Waiting.name()) {
        let is_down = state.inventory.host(host).is_none_or(|seen| !seen.up);
        let is_compute = work.kind == HostKind::Compute;
        waiting.push((is_down, is_compute, state.inventory.count_holding(host), host));
    }
    waiting.sort_unstable();
    let mut rooms = None;
    let (mut ready, mut blocked) = (Vec::new(), Vec::new());
    for (looked_at, (is_down, _, holding, host)) in waiting.into_iter().enumerate() {
        if ready.len() >= limit || looked_at >= MAX_LOOKED_AT {
            break;
        }
        let kind = session.hosts.get(host).map_or(HostKind::Other, |work| work.kind);
        let readiness = match state.inventory.host(host) {
            None => Readiness::Blocked("the cloud no longer has it".into()),
            Some(_) if is_down => Readiness::Blocked("it is down".into()),
            Some(_) if needs_no_place(state, session, host) => Readiness::Empty,
            Some(_) => match rooms.get_or_insert_with(|| Rooms::new(state, session)).place(host) {
                Ok(_) if holding == 0 => Readiness::Empty,
                Ok(_) => Readiness::CanEmpty,
                Err(why) => Readiness::Blocked(why),
            },
        };
        let list = if matches!(readiness, Readiness::Blocked(_)) { &mut blocked } else { &mut ready };
        list.push(Candidate { host: host.clone(), kind, readiness });
    }
    blocked.truncate(limit);
    ready.append(&mut blocked);
    ready
}
