//! Where instances could go: the witness that capacity rules ask for, and the advice that workflows get.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::effect::{EffectKind, Subject};
use crate::id::{GroupId, HostId, InstanceId};
use crate::inventory::{HostKind, Instance, Movable, Resources};
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
    /// Will be emptied soon: managers were asked about it already, and would have to be asked again about who comes.
    Asked,
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
    /// What is left on all of them together.
    free_vcpus: u32,
    /// What is filled in before a host that waits its turn.
    filled: OnceCell<Filling<'a>>,
}

/// What places were found for, while more are looked for.
#[derive(Clone, Debug, Default)]
struct Filling<'a> {
    /// What was placed in each room, by its place among the rooms.
    taken: BTreeMap<usize, Resources>,
    /// How many members of a group were placed in a room.
    joined: BTreeMap<(&'a GroupId, usize), u32>,
}

impl<'a> Rooms<'a> {
    /// The hosts that could take instances of the session's hosts.
    pub fn new(state: &'a State, session: &'a Session) -> Self {
        let mut rooms: Vec<Room> =
            state.inventory.roomy().filter_map(|(host, unused)| room(state, session, host, unused)).collect();
        rooms.sort_by(|a, b| {
            // What few hosts have is kept for those who need it.
            let order = |room: &Room| (room.preference, !room.free.other.is_none(), room.free.vcpus);
            // Of those that are alike, the one whose turn comes last is the farthest from being emptied again.
            order(a).cmp(&order(b)).then_with(|| match a.preference {
                Preference::Settled => a.host.cmp(&b.host),
                Preference::Provisional | Preference::Asked => b.host.cmp(&a.host),
            })
        });
        let free_vcpus = rooms.iter().map(|room| room.free.vcpus).sum();
        Self { state, session, rooms, free_vcpus, filled: OnceCell::new() }
    }

    /// A place for every instance on a host that is not on its way already, all at once, the largest first: a
    /// witness that they fit, beside everything that has yet to leave the hosts that are being emptied before it.
    ///
    /// # Errors
    /// Why no place was found for one of them. First fit may fail where a cleverer packing exists; it never
    /// claims room that is not there.
    pub fn place(&self, host: &HostId) -> Result<Vec<Placement>, String> {
        let mut filling = self.filled_before(host);
        self.could_fit(host, &filling)?;
        let placed = self.fill(host, &mut filling)?;
        self.headroom_left(host, &filling.taken)?;
        Ok(placed)
    }

    /// The sum of what is free tells of most hosts that wait in vain, without a look at each instance. It counts what is on its
    /// way to the host as well, and so may refuse for a moment what would fit.
    fn could_fit(&self, host: &HostId, filling: &Filling<'_>) -> Result<(), String> {
        if self.session.hosts.get(host).is_none_or(|work| work.stage != HostStage::Waiting) {
            // What is on its way from it has its place already.
            return Ok(());
        }
        let taken: u32 = filling.taken.values().map(|taken| taken.vcpus).sum();
        let own = self.rooms.iter().find(|room| room.host == *host).map_or(0, |room| room.free.vcpus);
        let (free, used) = (
            self.free_vcpus.saturating_sub(taken).saturating_sub(own),
            self.state.inventory.used(host).vcpus,
        );
        if used <= free {
            return Ok(());
        }
        let one = self.state.inventory.holding(host).next();
        let one = one.map_or_else(String::new, |one| format!(" for instance {}", one.id));
        Err(format!(
            "no host has room{one}: {used} vcpus are in use on {host}, and {free} are free elsewhere"
        ))
    }

    /// How much of what is on a host has no place, beside the hosts that are being emptied before it, and how much of the
    /// headroom would be lacking; what cannot be moved at all is not counted.
    pub fn missing(&self, host: &HostId) -> Resources {
        let mut filling = self.filled_before(host);
        let mut missing = Resources::default();
        for instance in self.leaving(host) {
            let is_fixed = matches!(instance.movable, Movable::No { .. });
            if !is_fixed && self.put(instance, host, &mut filling).is_err() {
                missing = missing.plus(&instance.resources);
            }
        }
        let headroom = &self.session.plan.terms.headroom;
        missing.plus(&headroom.minus(&self.left_beside(host, &filling.taken)))
    }

    /// The places of what has yet to leave the hosts whose turn came before this one's.
    fn filled_before(&self, host: &HostId) -> Filling<'a> {
        let fill = || {
            let mut filling = Filling::default();
            for other in self.emptied_before(host) {
                // What has no place there yet takes none from those that come later.
                let _no_place = self.fill(other, &mut filling);
            }
            filling
        };
        let waits = self.session.hosts.get(host).is_some_and(|work| work.stage == HostStage::Waiting)
            && self.state.in_flight(&Subject::Host(host.clone())).is_none();
        // The same for each of those that wait, and many of them are asked about at a time.
        if waits { self.filled.get_or_init(fill).clone() } else { fill() }
    }

    /// The session's hosts whose turn to be emptied came before this one's, in the order in which it came. Two that are
    /// out at once must not both count on the same room.
    fn emptied_before(&self, host: &HostId) -> Vec<&'a HostId> {
        let hosts = &self.session.hosts;
        let turn = |id: &'a HostId| hosts.get(id).map(|work| (work.since, id));
        let own = hosts.get(host).filter(|work| work.stage == HostStage::Fenced);
        let own = own.map(|work| (work.since, host));
        let fenced = hosts.in_stage(HostStage::Fenced.name()).filter_map(|(id, _)| turn(id));
        let before = fenced.filter(|(since, id)| own.is_none_or(|own| (*since, *id) < own));
        let mut before: Vec<(crate::time::Time, &HostId)> = before.collect();
        before.sort_unstable();
        // Those that are about to be fenced come last: their turn begins with it.
        let about_to = self.session.effects.values().filter_map(|effect| match &effect.kind {
            EffectKind::Fence { host } => Some(host),
            EffectKind::Release { .. } | EffectKind::Move { .. } | EffectKind::Work { .. } => None,
        });
        let about_to = about_to.filter(|_| own.is_none());
        let waiting = |id: &&HostId| hosts.get(id).is_some_and(|work| work.stage == HostStage::Waiting);
        let about_to = about_to.filter(waiting).filter(|id| *id != host);
        before.into_iter().map(|(_, id)| id).chain(about_to).collect()
    }

    /// What is on a host and not on its way already, the largest first.
    fn leaving(&self, host: &HostId) -> Vec<&'a Instance> {
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
        leaving
    }

    /// Finds places for everything on a host; stops at the first for which there is none.
    fn fill(&self, host: &HostId, filling: &mut Filling<'a>) -> Result<Vec<Placement>, String> {
        let leaving = self.leaving(host);
        leaving.into_iter().map(|instance| self.put(instance, host, filling)).collect()
    }

    fn put(
        &self,
        instance: &'a Instance,
        from: &HostId,
        filling: &mut Filling<'a>,
    ) -> Result<Placement, String> {
        if let Movable::No { reason } = &instance.movable {
            return Err(format!("instance {} cannot be moved: {reason}", instance.id));
        }
        let bounds = self.bounds(instance);
        let fits = |(at, room): &(usize, &Room)| {
            left(*at, room, &filling.taken).fits(&instance.resources)
                && room.host != *from
                && self.groups_allow(instance, &bounds, (*at, &room.host), &filling.joined)
        };
        let mut fitting = self.rooms.iter().enumerate().filter(fits);
        let first = fitting.next().map(|first| {
            if self.is_declined(instance, first.1) {
                let other = fitting.next().filter(|other| self.is_as_good(instance, first.1, other.1));
                other.unwrap_or(first)
            } else {
                first
            }
        });
        let Some((at, room)) = first else {
            return Err(format!("no host has room for instance {} ({})", instance.id, instance.resources));
        };
        let sum = filling.taken.entry(at).or_default();
        *sum = sum.plus(&instance.resources);
        for (group, _) in bounds {
            *filling.joined.entry((group, at)).or_default() += 1;
        }
        Ok((instance.id.clone(), room.host.clone()))
    }

    /// True if the last move of it was to go there, and failed.
    fn is_declined(&self, instance: &Instance, room: &Room) -> bool {
        self.session.declined.get(&instance.id).is_some_and(|(host, _)| *host == room.host)
    }

    /// True if it is better sent elsewhere than where it was declined: nobody knows why it was. Not where it would have to leave
    /// once more, unless it is the last try.
    fn is_as_good(&self, instance: &Instance, declined: &Room, other: &Room) -> bool {
        let tries = self.session.tries.get(&format!("move {}", instance.id)).copied().unwrap_or_default();
        other.preference == declined.preference || tries + 1 >= self.session.plan.terms.rounds
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
        (at, host): (usize, &HostId),
        joined: &BTreeMap<(&GroupId, usize), u32>,
    ) -> bool {
        bounds.iter().all(|(group, most)| {
            let there = self.state.members_at(group, host, &instance.id, None);
            let coming = joined.get(&(*group, at)).copied().unwrap_or_default();
            there + coming < *most
        })
    }

    /// What would be left on all other hosts.
    fn left_beside(&self, leaving: &HostId, taken: &BTreeMap<usize, Resources>) -> Resources {
        let others = self.rooms.iter().enumerate().filter(|(_, room)| room.host != *leaving);
        others.fold(Resources::default(), |sum, (at, room)| sum.plus(&left(at, room, taken)))
    }

    fn headroom_left(&self, leaving: &HostId, taken: &BTreeMap<usize, Resources>) -> Result<(), String> {
        let headroom = &self.session.plan.terms.headroom;
        if *headroom == Resources::default() {
            return Ok(());
        }
        let left = self.left_beside(leaving, taken);
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
fn left<'a>(at: usize, room: &'a Room, taken: &BTreeMap<usize, Resources>) -> Cow<'a, Resources> {
    match taken.get(&at) {
        Some(taken) => Cow::Owned(room.free.minus(taken)),
        None => Cow::Borrowed(&room.free),
    }
}

/// What is left on a host with room, if it could take anything of this session's.
fn room(state: &State, session: &Session, host: &HostId, unused: &Resources) -> Option<Room> {
    let free = unused.minus(&state.claims(host, None));
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
            HostStage::Waiting if session.hosts.is_asked_about(host) => Preference::Asked,
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

/// A host that waits its turn, in the order of turns.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InLine<'a> {
    is_down: bool,
    is_compute: bool,
    holds: bool,
    is_unasked: bool,
    used: u32,
    host: &'a HostId,
}

/// The hosts of the session that wait their turn, without one that is held back ([`Session::held_back`]), best first:
/// controllers and others, then empty computes, then those about which managers were asked already, then those with the least in use: what leaves the first of them has to leave
/// another host once more. At most `limit` that are ready; those that are not stand behind, with the
/// reason, and those that are down behind them.
pub fn candidates(state: &State, session: &Session, limit: usize) -> Vec<Candidate> {
    let mut waiting: Vec<InLine<'_>> = Vec::new();
    let held_back = session.held_back();
    for (host, work) in session.hosts.in_stage(HostStage::Waiting.name()) {
        if held_back == Some(host) {
            continue;
        }
        waiting.push(InLine {
            is_down: state.inventory.host(host).is_none_or(|seen| !seen.up),
            is_compute: work.kind == HostKind::Compute,
            holds: state.inventory.count_holding(host) > 0,
            is_unasked: !session.hosts.is_asked_about(host),
            used: state.inventory.used(host).vcpus,
            host,
        });
    }
    waiting.sort_unstable();
    let mut rooms = None;
    let (mut ready, mut blocked) = (Vec::new(), Vec::new());
    for (looked_at, InLine { is_down, holds, host, .. }) in waiting.into_iter().enumerate() {
        if ready.len() >= limit || looked_at >= MAX_LOOKED_AT {
            break;
        }
        let kind = session.hosts.get(host).map_or(HostKind::Other, |work| work.kind);
        let readiness = match state.inventory.host(host) {
            None => Readiness::Blocked("the cloud no longer has it".into()),
            Some(_) if is_down => Readiness::Blocked("it is down".into()),
            Some(_) if needs_no_place(state, session, host) => Readiness::Empty,
            Some(_) => match rooms.get_or_insert_with(|| Rooms::new(state, session)).place(host) {
                Ok(_) if !holds => Readiness::Empty,
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
