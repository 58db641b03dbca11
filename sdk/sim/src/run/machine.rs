//! The machine on which Fenix runs: its clock, which is not the world's; and whether it is up, where it is a host of the cloud.

use fenix_cloud::sim::trace::Happening;
use fenix_core::time::{Millis, Time};
use fenix_engine::clock::{Reading, SteadyClock};

use super::{Event, Run};
use crate::coverage::Fault;
use crate::scenario::{START, Scenario};
use crate::truth::Truth;

/// How long after its machine Fenix is up again.
const BOOTED: Millis = Millis::from_secs(2);

/// How long somebody waits for a machine that is down before Fenix is started on another one, with its data.
const PATIENCE: Millis = Millis::from_secs(30 * 60);

/// The machine that Fenix runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Up,
    Down,
    /// Its own host was given up.
    Elsewhere,
}

/// Whether Fenix's own host is up from now on, if that is what happened.
pub(super) fn own(scenario: &Scenario, what: &Truth) -> Option<bool> {
    let Truth::Cloud(happening, _) = what else { return None };
    let (host, is_up) = match happening {
        Happening::HostRebooting { host } | Happening::HostDown { host, .. } => (host, false),
        Happening::HostUp { host, .. } => (host, true),
        _ => return None,
    };
    (scenario.own_host.as_ref() == Some(host)).then_some(is_up)
}

/// The clock of Fenix's machine, and what Fenix makes of it.
#[derive(Debug)]
pub(super) struct Clock {
    /// By how many milliseconds it was set, in all.
    off: i64,
    steady: SteadyClock,
    /// By how much it was set forward so far, as Fenix was told.
    told: Millis,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { off: 0, steady: SteadyClock::new(START), told: Millis::ZERO }
    }

    /// What the machine's own clock shows.
    pub(super) fn wall(&self, now: Time) -> Time {
        Time(now.0.saturating_add_signed(self.off))
    }

    /// Fenix starts, and knows of records up to that time.
    pub(super) fn start(&mut self, last: Time) {
        self.steady = SteadyClock::new(last);
        self.told = Millis::ZERO;
    }

    /// Now, by Fenix's clock.
    pub(super) fn now(&mut self, now: Time) -> Time {
        self.look(now).now
    }

    /// Now, by Fenix's clock, and by how much it was set forward since this was last called.
    pub(super) fn read(&mut self, now: Time) -> (Time, Millis) {
        let Reading { now, jumped } = self.look(now);
        let before = std::mem::replace(&mut self.told, jumped);
        (now, Millis(jumped.0 - before.0))
    }

    fn look(&mut self, now: Time) -> Reading {
        // The time that passed no one can set.
        self.steady.read(self.wall(now), now.since(START))
    }
}

impl Run<'_> {
    /// Fenix's own host goes down, or is up again.
    pub(super) fn own_machine(&mut self, is_up: bool) {
        match (self.machine, is_up) {
            (Machine::Down, true) => {
                self.machine = Machine::Up;
                self.queue.push(self.now + BOOTED, Event::Start);
            }
            (Machine::Up, false) => {
                self.machine = Machine::Down;
                self.count(Fault::OwnHostDown);
                self.downs += 1;
                self.queue.push(self.now + PATIENCE, Event::MoveHouse(self.downs));
                if self.is_alive() {
                    self.fall();
                }
            }
            (Machine::Up, true) | (Machine::Down, false) | (Machine::Elsewhere, _) => {}
        }
    }

    /// Nobody waits any longer for the machine that went down then.
    pub(super) fn move_house(&mut self, down: u64) {
        if self.machine == Machine::Down && self.downs == down {
            self.machine = Machine::Elsewhere;
            self.start_if_up();
        }
    }

    pub(super) fn start_if_up(&mut self) {
        if self.machine != Machine::Down && !self.is_alive() {
            self.start();
        }
    }

    pub(super) fn jump(&mut self, number: usize) {
        let by = self.scenario.faults.jumps[number].by;
        if self.calm || by == 0 {
            return;
        }
        self.clock.off += by;
        self.count(if by > 0 { Fault::ClockForward } else { Fault::ClockBack });
        self.tell(Truth::ClockSet(by));
    }

    /// How long it is until Fenix's clock shows that time, if nobody sets it.
    pub(super) fn until(&mut self, due: Time) -> Millis {
        due.since(self.clock.look(self.now).now)
    }
}
