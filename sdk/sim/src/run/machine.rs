//! The machine on which Fenix runs: its clock, which is not the world's.

use fenix_core::time::{Millis, Time};
use fenix_engine::clock::{Reading, SteadyClock};

use super::Run;
use crate::coverage::Fault;
use crate::scenario::START;
use crate::truth::Truth;

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
