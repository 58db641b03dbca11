//! Instances on their way: cold and live moves, evacuations, resizes, and how each of them ends.

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{InstanceState, Movable, Resources};
use fenix_core::time::Time;
use fenix_engine::ports::CloudError;

use super::calls::{Taken, no_host, refused};
use super::claims::{Power, Wish};
use super::spec::Span;
use super::trace::{Happening, MoveEnd, MoveKind};
use super::world::{Due, DueKey, Fate, Flight, FlightKind, World};

/// For how long a move shows as over before it is: as long as a message bus and a database lag behind.
const SHOWN_OVER: Span = Span::Between { min: 200, max: 5_000 };

impl World {
    pub(super) fn migrate(&mut self, instance: &InstanceId, to: &HostId) -> Result<Taken, CloudError> {
        self.may_leave(instance, to, MoveKind::Cold)?;
        self.may_come(instance, to)?;
        let f = &self.rules.failures;
        let odds = [(f.cold_breaks, Fate::Breaks), (f.cold_stays, Fate::Stays), (f.cold_hangs, Fate::Hangs)];
        self.depart(instance, to, MoveKind::Cold, &odds, self.rules.times.cold_ms);
        Ok(Taken::Yes)
    }

    pub(super) fn live_migrate(&mut self, instance: &InstanceId, to: &HostId) -> Result<Taken, CloudError> {
        self.may_leave(instance, to, MoveKind::Live)?;
        if let Err(error) = self.may_come(instance, to) {
            let quietly = matches!(error, CloudError::Refused(_))
                && self.dice.fates.chance(self.rules.failures.live_refused_quietly);
            return if quietly { Ok(Taken::Quietly(error)) } else { Err(error) };
        }
        let f = &self.rules.failures;
        let odds = [(f.live_breaks, Fate::Breaks), (f.live_stays, Fate::Stays), (f.live_hangs, Fate::Hangs)];
        self.depart(instance, to, MoveKind::Live, &odds, self.rules.times.live_ms);
        Ok(Taken::Yes)
    }

    pub(super) fn evacuate(&mut self, instance: &InstanceId, to: &HostId) -> Result<Taken, CloudError> {
        self.may_leave(instance, to, MoveKind::Evacuation)?;
        self.may_come(instance, to)?;
        let odds = [(self.rules.failures.evacuate_breaks, Fate::Breaks)];
        self.depart(instance, to, MoveKind::Evacuation, &odds, self.rules.times.evacuate_ms);
        Ok(Taken::Yes)
    }

    /// A cold move that arrived becomes final.
    pub(super) fn confirm(&mut self, instance: &InstanceId) -> Result<Taken, CloudError> {
        let (host, source) = self.arrived(instance)?;
        if self.power(&source) != Some(Power::On) {
            return Err(refused(format!("host {source} is down and cannot give up instance {instance}")));
        }
        if self.dice.fates.chance(self.rules.failures.confirm_refused) {
            return Err(refused(format!("confirming the move of instance {instance} failed; try again")));
        }
        self.unclaim(instance, &source);
        self.with_guest(instance, |guest| {
            guest.seen.other_end = None;
            guest.seen.state = guest.rests;
        });
        self.tell(Happening::MoveConfirmed { instance: instance.clone(), host });
        Ok(Taken::Yes)
    }

    /// A cold move that arrived is taken back. Until it is back, `host` is where it had arrived.
    pub(super) fn revert(&mut self, instance: &InstanceId) -> Result<Taken, CloudError> {
        let (host, source) = self.arrived(instance)?;
        for end in [&host, &source] {
            if self.power(end) != Some(Power::On) {
                return Err(refused(format!("host {end} is down; instance {instance} cannot go back")));
            }
        }
        let odds = [(self.rules.failures.revert_breaks, Fate::Breaks)];
        self.depart(instance, &source, MoveKind::Revert, &odds, self.rules.times.cold_ms);
        Ok(Taken::Yes)
    }

    pub(super) fn abort_live(&mut self, instance: &InstanceId) -> Result<Taken, CloudError> {
        self.live_fate(instance)?;
        self.end_flight(instance, MoveEnd::Stayed, "");
        Ok(Taken::Yes)
    }

    /// A live move ends now, as was drawn; one that would never have ended arrives.
    pub(super) fn complete_live(&mut self, instance: &InstanceId) -> Result<Taken, CloudError> {
        match self.live_fate(instance)? {
            Fate::Hangs => self.end_flight(instance, MoveEnd::Arrived, ""),
            Fate::Arrives | Fate::Stays | Fate::Breaks => self.land(instance),
        }
        Ok(Taken::Yes)
    }

    /// How the live move that is under way will end.
    fn live_fate(&self, instance: &InstanceId) -> Result<Fate, CloudError> {
        match &self.guest(instance)?.flight {
            Some(Flight { kind: FlightKind::Move(MoveKind::Live), fate, .. }) => Ok(*fate),
            Some(_) | None => {
                Err(refused(format!("conflict: no live move of instance {instance} is under way")))
            }
        }
    }

    /// Other resources, where it is if there is room, else wherever the scheduler finds some.
    pub(super) fn resize(&mut self, instance: &InstanceId, after: Resources) -> Result<Taken, CloudError> {
        let seen = self.idle(instance)?;
        let (before, host, group) = (seen.resources.clone(), seen.host.clone(), seen.group.clone());
        if self.power(&host) != Some(Power::On) {
            return Err(refused(format!("host {host} of instance {instance} is down")));
        }
        let here = Wish { instance, group: group.as_ref(), resources: &before.larger(&after) };
        let to = match self.claims.room_for(here, &host) {
            Ok(()) => host,
            Err(_) => self
                .claims
                .choose(Wish { resources: &after, ..here }, Some(&host))
                .ok_or_else(|| refused(format!("no host has room for instance {instance} as wished")))?,
        };
        let fate = self.dice.fates.pick(&[(self.rules.failures.resize_breaks, Fate::Breaks)]);
        let kind = FlightKind::Resize { before, after };
        self.launch(instance, &to, kind, fate.unwrap_or(Fate::Arrives), self.rules.times.resize_ms);
        Ok(Taken::Yes)
    }

    fn power(&self, host: &HostId) -> Option<Power> {
        self.claims.machine(host).map(|machine| machine.power)
    }

    /// Both ends of a cold move that waits to be confirmed.
    fn arrived(&self, instance: &InstanceId) -> Result<(HostId, HostId), CloudError> {
        let seen = &self.guest(instance)?.seen;
        match (seen.state, &seen.other_end) {
            (InstanceState::Moved, Some(source)) => Ok((seen.host.clone(), source.clone())),
            _ => Err(refused(format!("conflict: no move of instance {instance} waits to be confirmed"))),
        }
    }

    /// Whether the instance, as it is now, can be moved that way at all.
    fn may_leave(&self, instance: &InstanceId, to: &HostId, kind: MoveKind) -> Result<(), CloudError> {
        // A dead host's instances can be rebuilt even if they were broken before.
        let seen = match &self.guest(instance)?.seen {
            broken if kind == MoveKind::Evacuation && broken.state == InstanceState::Error => broken,
            _ => self.idle(instance)?,
        };
        if seen.host == *to {
            return Err(refused(format!("conflict: instance {instance} is on host {to} already")));
        }
        match (&seen.movable, kind) {
            (Movable::No { reason }, _) => {
                return Err(refused(format!("instance {instance} cannot be moved: {reason}")));
            }
            (Movable::ColdOnly, MoveKind::Live) => {
                return Err(refused(format!("instance {instance} cannot be moved live")));
            }
            (Movable::Any | Movable::ColdOnly, _) => {}
        }
        if kind == MoveKind::Live && seen.state != InstanceState::Active {
            return Err(refused(format!(
                "conflict: instance {instance} is stopped; only a cold move can do"
            )));
        }
        let up = self.power(&seen.host) == Some(Power::On);
        match (kind, up) {
            (MoveKind::Evacuation, true) => Err(refused(format!(
                "host {} of instance {instance} is up; only a dead one is left so",
                seen.host
            ))),
            (MoveKind::Cold | MoveKind::Live, false) => {
                Err(refused(format!("host {} of instance {instance} is down", seen.host)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the scheduler lets the instance go to that host.
    fn may_come(&self, instance: &InstanceId, to: &HostId) -> Result<(), CloudError> {
        if self.claims.machine(to).is_none() {
            return Err(no_host(to));
        }
        let seen = &self.guest(instance)?.seen;
        let wish = Wish { instance, group: seen.group.as_ref(), resources: &seen.resources };
        match self.claims.obstacle(wish, to) {
            Some(why) => Err(refused(why)),
            None => Ok(()),
        }
    }

    /// Draws how a move will end, and lets it begin.
    fn depart(
        &mut self,
        instance: &InstanceId,
        to: &HostId,
        kind: MoveKind,
        odds: &[(f64, Fate)],
        span: Span,
    ) {
        let fate = self.dice.fates.pick(odds).unwrap_or(Fate::Arrives);
        self.launch(instance, to, FlightKind::Move(kind), fate, span);
    }

    /// Something begins: claims what it needs, and plans its end.
    ///
    /// What is resized where it is holds, and shows, the larger of both until the end; what is resized elsewhere
    /// shows what it had, and holds at its destination what it will have.
    pub(super) fn launch(
        &mut self,
        instance: &InstanceId,
        to: &HostId,
        kind: FlightKind,
        fate: Fate,
        span: Span,
    ) {
        let began = self.now;
        let Some(guest) = self.guests.get(instance) else { return };
        let from = guest.seen.host.clone();
        let stays = *to == from;
        let resources = match &kind {
            FlightKind::Resize { before, after } if stays => before.larger(after),
            FlightKind::Resize { after, .. } => after.clone(),
            FlightKind::Boot | FlightKind::Move(_) => guest.seen.resources.clone(),
        };
        let ends = self.after(span);
        let due = (fate != Fate::Hangs).then(|| self.plan(ends, Due::Landing(instance.clone())));
        let shows_over = match kind {
            FlightKind::Move(MoveKind::Cold | MoveKind::Live) if due.is_some() => self.hides(ends, instance),
            FlightKind::Move(_) | FlightKind::Boot | FlightKind::Resize { .. } => None,
        };
        self.claim(instance, to, &resources);
        if let Some(kind) = kind.shown() {
            let (instance, to) = (instance.clone(), to.clone());
            self.tell(Happening::MoveStarted { instance, from: from.clone(), to, kind });
        }
        let state = if kind == FlightKind::Boot { InstanceState::Building } else { InstanceState::Moving };
        self.with_guest(instance, |guest| {
            guest.seen.state = state;
            guest.seen.other_end = (!stays).then(|| to.clone());
            if stays {
                guest.seen.resources = resources;
            }
            let to = to.clone();
            guest.flight = Some(Flight { kind, to, fate, due, began, shows_over, is_hidden: false });
        });
    }

    /// Draws whether readers will see a move as over before it ends, and plans from when on.
    fn hides(&mut self, ends: Time, instance: &InstanceId) -> Option<DueKey> {
        if !self.dice.fates.chance(self.rules.failures.move_shows_early) {
            return None;
        }
        let early = self.dice.times.within(SHOWN_OVER);
        Some(self.plan(self.now.max(ends - early), Due::ShowOver(instance.clone())))
    }

    /// From now on readers see a move as over that is not.
    pub(super) fn show_over(&mut self, instance: &InstanceId) {
        let Some(flight) = self.guests.get_mut(instance).and_then(|guest| guest.flight.as_mut()) else {
            return;
        };
        flight.shows_over = None;
        flight.is_hidden = true;
        self.tell(Happening::MoveShownOver { instance: instance.clone() });
    }

    /// What was being done to an instance comes to its end, as was drawn when it began.
    pub(super) fn land(&mut self, instance: &InstanceId) {
        let Some(fate) = self.guests.get(instance).and_then(|g| g.flight.as_ref()).map(|f| f.fate) else {
            return;
        };
        match fate {
            Fate::Arrives => self.end_flight(instance, MoveEnd::Arrived, ""),
            Fate::Stays => self.end_flight(instance, MoveEnd::Stayed, ""),
            Fate::Breaks | Fate::Hangs => self.end_flight(instance, MoveEnd::Broke, "it failed"),
        }
    }

    /// Ends what is being done to an instance, due or not, and frees what it no longer needs.
    pub(super) fn end_flight(&mut self, instance: &InstanceId, end: MoveEnd, why: &str) {
        let Some(guest) = self.guests.get_mut(instance) else { return };
        let Some(flight) = guest.flight.take() else { return };
        for due in flight.due.into_iter().chain(flight.shows_over) {
            self.due.remove(&due);
        }
        let from = guest.seen.host.clone();
        let arrived = end == MoveEnd::Arrived;
        let waits = arrived && flight.kind == FlightKind::Move(MoveKind::Cold);
        guest.seen.other_end = waits.then(|| from.clone());
        if arrived {
            guest.seen.host = flight.to.clone();
        }
        if arrived && flight.kind == FlightKind::Move(MoveKind::Evacuation) {
            guest.rests = match self.rules.failures.evacuated_stay_stopped {
                true => InstanceState::Stopped,
                false => guest.rests,
            };
        }
        guest.seen.state = match (end, waits) {
            (MoveEnd::Broke, _) => InstanceState::Error,
            (_, true) => InstanceState::Moved,
            (_, false) => guest.rests,
        };
        if let FlightKind::Resize { before, after } = &flight.kind {
            guest.seen.resources = if arrived { after.clone() } else { before.clone() };
        }
        let (here, resources) = (guest.seen.host.clone(), guest.seen.resources.clone());
        let gone = if arrived { &from } else { &flight.to };
        if *gone != here && !waits {
            self.unclaim(instance, gone);
        }
        self.claim(instance, &here, &resources);
        self.tell_end(instance, &here, &flight.kind, end, why);
        self.settle(instance);
    }

    fn tell_end(&mut self, instance: &InstanceId, host: &HostId, kind: &FlightKind, end: MoveEnd, why: &str) {
        let id = || instance.clone();
        if let Some(kind) = kind.shown() {
            self.tell(Happening::MoveEnded { instance: id(), host: host.clone(), kind, end });
        }
        match (kind, end) {
            (FlightKind::Boot, MoveEnd::Arrived) => self.tell(Happening::InstanceBooted { instance: id() }),
            (FlightKind::Resize { after, .. }, MoveEnd::Arrived) => {
                self.tell(Happening::InstanceResized { instance: id(), resources: after.clone() });
            }
            (_, MoveEnd::Broke) => {
                self.tell(Happening::InstanceBroke { instance: id(), why: why.to_owned() });
            }
            _ => {}
        }
    }
}

impl FlightKind {
    /// As the trace calls it; creating an instance is no move.
    fn shown(&self) -> Option<MoveKind> {
        match self {
            FlightKind::Boot => None,
            FlightKind::Move(kind) => Some(*kind),
            FlightKind::Resize { .. } => Some(MoveKind::Resize),
        }
    }
}
