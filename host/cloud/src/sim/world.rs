//! The simulated cloud itself: a state machine without I/O and without a clock.
//!
//! Who drives a [`World`] tells it the time with every call. Whatever is under way is on a list of what is due;
//! [`World::advance`] carries out what is due by then, in order of time, and of planning within one millisecond.
//! Everything that chance decides comes from the seed, so that the same specification, seed and calls at the same
//! times give the same world and the same trace, byte for byte, also after the world was stored and loaded.
//!
//! It behaves as Nova does: calls answer `Accepted` and are under way afterwards; a cold move claims both ends until
//! it is confirmed; a live move that the scheduler refuses is answered `Accepted` and the instance stays; an
//! instance that something is being done to refuses the next thing. It never over-commits a host and never
//! places two members of a group where the group's limits forbid it.

use std::collections::BTreeMap;

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{self, Instance, InstanceState, Resources};
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use serde::{Deserialize, Serialize};

use super::claims::{Claims, Power, Wish};
use super::dice::{Dice, Purpose};
use super::spec::{Failures, Others, ScriptSpec, Spec, Times};
use super::thirdparty::{Act, Habit};
use super::trace::{Actor, Happening, MoveKind, TraceEvent};

/// A simulated cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) now: Time,
    pub(super) claims: Claims,
    pub(super) guests: BTreeMap<InstanceId, Guest>,
    pub(super) due: BTreeMap<DueKey, (Actor, Due)>,
    /// Counts what was ever planned; breaks ties of time.
    pub(super) planned: u64,
    /// Counts the instances that others created by chance.
    pub(super) foreign: u64,
    pub(super) dice: DiceSet,
    /// Who makes happen what happens now.
    pub(super) by: Actor,
    pub(super) trace: Vec<TraceEvent>,
}

/// The part of a [`Spec`] that holds for the whole life of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    pub(super) times: Times,
    pub(super) failures: Failures,
    pub(super) others: Others,
    pub(super) script: Vec<ScriptSpec>,
}

/// One stream per purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DiceSet {
    pub(super) times: Dice,
    pub(super) fates: Dice,
    pub(super) others: Dice,
}

/// When something is due, and its number among all that was ever planned.
pub(super) type DueKey = (Time, u64);

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Due {
    /// What is being done to an instance ends.
    Landing(InstanceId),
    /// What is being done to an instance shows as over.
    ShowOver(InstanceId),
    /// A rebooting machine is back.
    HostBack(HostId),
    /// Others do something that was planned.
    Act(Act),
    /// Others do the next thing of the script.
    Script(u32),
    /// Others do something by chance.
    Habit(Habit),
}

/// An instance with what readers do not see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Guest {
    pub(super) seen: Instance,
    /// `Active` or `Stopped`: what it goes back to when nothing is done to it.
    pub(super) rests: InstanceState,
    pub(super) serves: bool,
    pub(super) flight: Option<Flight>,
}

/// What is being done to an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flight {
    pub(super) kind: FlightKind,
    /// Where it will be; where it is, for what changes no place.
    pub(super) to: HostId,
    pub(super) fate: Fate,
    /// `None` if it never ends by itself.
    pub(super) due: Option<DueKey>,
    /// When it began.
    #[serde(default)]
    pub(super) began: Time,
    /// When readers will see it as over, if that is before it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shows_over: Option<DueKey>,
    /// True if readers see it as over.
    #[serde(default)]
    pub(super) is_hidden: bool,
}

impl Flight {
    /// How much of a live move is done. One that never ends comes no further than where it began.
    fn progress(&self, now: Time) -> Option<u8> {
        if self.kind != FlightKind::Move(MoveKind::Live) {
            return None;
        }
        let Some(due) = &self.due else { return Some(0) };
        let (done, all) = (now.since(self.began).0, due.0.since(self.began).0.max(1));
        Some(inventory::progress(done, all))
    }
}

impl Guest {
    /// The instance as readers see it at that time.
    pub(super) fn shown(&self, now: Time) -> Instance {
        match &self.flight {
            Some(flight) if flight.is_hidden => {
                Instance { state: self.rests, other_end: None, ..self.seen.clone() }
            }
            Some(flight) => Instance { progress: flight.progress(now), ..self.seen.clone() },
            None => self.seen.clone(),
        }
    }
}

/// The kinds of what can be done to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FlightKind {
    /// It is being created.
    Boot,
    /// It is on its way.
    Move(MoveKind),
    /// It is being given other resources.
    Resize { before: Resources, after: Resources },
}

/// How something under way will end; drawn when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    Arrives,
    Stays,
    Breaks,
    Hangs,
}

impl World {
    /// Lets time pass until `to`, and everything happen that is due by then.
    ///
    /// Time never goes back: an earlier `to` is taken as now.
    pub fn advance(&mut self, to: Time) {
        while let Some(entry) = self.due.first_entry() {
            let (at, _) = *entry.key();
            if at > to {
                break;
            }
            let (by, due) = entry.remove();
            self.now = self.now.max(at);
            let before = std::mem::replace(&mut self.by, by);
            self.happen(due);
            self.by = before;
        }
        self.now = self.now.max(to);
    }

    /// When something will happen next by itself; `None` if nothing will.
    pub fn next_event(&self) -> Option<Time> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The latest time that it was told.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass until `now`, then answers one call.
    ///
    /// A change that is `Accepted` has begun, and is perhaps done already.
    ///
    /// # Errors
    /// `NotFound` and `Refused` have changed nothing. `Unclear` is never answered: nothing is lost here.
    pub fn call(&mut self, now: Time, call: &CloudCall) -> Result<CloudReply, CloudError> {
        self.advance(now);
        self.do_call(call)
    }

    /// All instances, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.guests.values().map(|guest| &guest.seen)
    }

    /// True if an instance really serves its application right now; `None` if there is no such instance.
    pub fn serves(&self, instance: &InstanceId) -> Option<bool> {
        self.guests.get(instance).map(|guest| guest.serves)
    }

    /// Everything that happened since it was last asked, or since the beginning.
    pub fn take_trace(&mut self) -> Vec<TraceEvent> {
        std::mem::take(&mut self.trace)
    }

    pub(super) fn tell(&mut self, what: Happening) {
        self.trace.push(TraceEvent { at: self.now, by: self.by, what });
    }

    /// Puts something on the list of what is due, on behalf of who acts now.
    pub(super) fn plan(&mut self, at: Time, due: Due) -> DueKey {
        self.planned += 1;
        let key = (at, self.planned);
        self.due.insert(key, (self.by, due));
        key
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Landing(instance) => self.land(&instance),
            Due::ShowOver(instance) => self.show_over(&instance),
            Due::HostBack(host) => self.come_back(&host),
            // A refusal stands in the trace; nobody waits for an answer.
            Due::Act(act) => drop(self.act(&act)),
            Due::Script(number) => {
                if let Some(line) = self.rules.script.get(number as usize).cloned() {
                    drop(self.act(&line.op));
                }
            }
            Due::Habit(habit) => self.follow_habit(habit),
        }
    }

    /// Books a claim and says so.
    pub(super) fn claim(&mut self, instance: &InstanceId, host: &HostId, resources: &Resources) {
        let group = self.guests.get(instance).and_then(|guest| guest.seen.group.clone());
        let wish = Wish { instance, group: group.as_ref(), resources };
        if self.claims.held(instance, host) == Some(resources) {
            return;
        }
        self.claims.take(wish, host);
        self.tell(Happening::ClaimTaken {
            instance: instance.clone(),
            host: host.clone(),
            resources: resources.clone(),
        });
    }

    /// Gives a claim back and says so.
    pub(super) fn unclaim(&mut self, instance: &InstanceId, host: &HostId) {
        if self.claims.held(instance, host).is_none() {
            return;
        }
        let group = self.guests.get(instance).and_then(|guest| guest.seen.group.clone());
        self.claims.free(instance, group.as_ref(), host);
        self.tell(Happening::ClaimFreed { instance: instance.clone(), host: host.clone() });
    }

    /// Finds out whether an instance serves now, and says so if that has changed.
    pub(super) fn settle(&mut self, instance: &InstanceId) {
        let Some(guest) = self.guests.get(instance) else { return };
        let serves = self.guest_serves(guest);
        if serves == guest.serves {
            return;
        }
        let (instance, group) = (instance.clone(), guest.seen.group.clone());
        if let Some(guest) = self.guests.get_mut(&instance) {
            guest.serves = serves;
        }
        self.tell(match serves {
            true => Happening::InService { instance, group },
            false => Happening::OutOfService { instance, group },
        });
    }

    fn guest_serves(&self, guest: &Guest) -> bool {
        let powered = self.claims.machine(&guest.seen.host).is_some_and(|m| m.power == Power::On);
        let runs = match (guest.seen.state, &guest.flight) {
            (InstanceState::Active | InstanceState::Moved, _) => guest.rests == InstanceState::Active,
            (InstanceState::Moving, Some(Flight { kind: FlightKind::Move(MoveKind::Live), .. })) => true,
            _ => false,
        };
        powered && runs
    }

    pub(super) fn after(&mut self, span: super::spec::Span) -> Time {
        let wait: Millis = self.dice.times.within(span);
        self.now + wait
    }
}

impl DiceSet {
    pub(super) fn new(seed: u64) -> DiceSet {
        DiceSet {
            times: Dice::new(seed, Purpose::Times),
            fates: Dice::new(seed, Purpose::Fates),
            others: Dice::new(seed, Purpose::Others),
        }
    }
}

impl Rules {
    pub(super) fn of(spec: &Spec) -> Rules {
        Rules {
            times: spec.times.clone(),
            failures: spec.failures.clone(),
            others: spec.others.clone(),
            script: spec.script.clone(),
        }
    }
}
