//! Recorded time out of the two clocks of a machine, neither of which will do by itself.
//!
//! The wall clock says what time it is, and may be set forward or back at any moment. The other one counts how much
//! time has passed, and knows no dates. Recorded time follows the wall clock as long as that goes forward. When it is
//! set back, recorded time neither goes back nor stands still, which would stop every timer for as long as the clock was
//! set back by: it goes on a little slower until the wall clock has caught up.

use fenix_core::time::{Millis, Time};

/// A wall clock that gains more than this on the time that passed was set: managers get more time.
pub const JUMP: Millis = Millis::from_secs(30);

/// Of so many milliseconds that pass, one is not shown while the wall clock is behind: waits stay next to as long as they
/// should be, and an hour is caught up with in ten.
const SLOWER: u64 = 10;

/// A clock that never goes back and never stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SteadyClock {
    shown: Time,
    /// What the counting clock showed at the last reading; `None` before the first.
    counted: Option<Millis>,
    /// What passed while the wall clock was behind and was too little to tell what of it to show.
    rest: u64,
    jumped: Millis,
}

/// What a clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Now.
    pub now: Time,
    /// By how much the wall clock was set forward since this clock was made, in all; steps up to [`JUMP`] do not count.
    pub jumped: Millis,
}

impl SteadyClock {
    /// A clock that shows nothing earlier than `last`, the time of the newest record: a wall clock may have been set
    /// back while nobody looked.
    pub fn new(last: Time) -> SteadyClock {
        SteadyClock { shown: last, counted: None, rest: 0, jumped: Millis::ZERO }
    }

    /// Reads it, with what the two clocks show. The first reading sees no jump: nobody knows what was before.
    pub fn read(&mut self, wall: Time, counted: Millis) -> Reading {
        let before = self.counted.replace(counted);
        let passed = before.map_or(0, |before| counted.0.saturating_sub(before.0));
        let gained = before.map_or(Millis::ZERO, |_| wall.since(self.shown + Millis(passed)));
        let slower = passed + self.rest;
        let least = self.shown + Millis(slower / SLOWER * (SLOWER - 1));
        self.rest = if least > wall { slower % SLOWER } else { 0 };
        self.shown = least.max(wall);
        if gained > JUMP {
            self.jumped = self.jumped + gained;
        }
        Reading { now: self.shown, jumped: self.jumped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a clock that showed 1000 s with each pair of a wall clock's and a counting clock's seconds; compares what
    /// it shows and by how much it jumped so far, in seconds.
    fn check(readings: &[(u64, u64, u64, u64)]) {
        let mut clock = SteadyClock::new(Time(1_000_000));
        for (wall, counted, now, jumped) in readings {
            let read = clock.read(Time(wall * 1000), Millis::from_secs(*counted));
            let wanted = Reading { now: Time(now * 1000), jumped: Millis::from_secs(*jumped) };
            assert_eq!(read, wanted, "{readings:?}");
        }
    }

    #[test]
    fn it_follows_the_wall_clock() {
        check(&[(1000, 0, 1000, 0), (1001, 1, 1001, 0), (1100, 100, 1100, 0)]);
    }

    #[test]
    fn it_follows_small_corrections_forward_and_tells_of_large_ones() {
        check(&[(1011, 1, 1011, 0), (1042, 12, 1042, 0), (1073, 12, 1073, 31), (5000, 13, 5000, 3957)]);
    }

    #[test]
    fn set_back_it_goes_on_a_little_slower_until_the_wall_clock_has_caught_up() {
        check(&[(1010, 10, 1010, 0), (914, 20, 1019, 0), (924, 30, 1028, 0), (1994, 1100, 1994, 0)]);
    }

    #[test]
    fn the_first_reading_sees_no_jump_and_no_time_before_the_last_record() {
        check(&[(9000, 77, 9000, 0)]);
        check(&[(3, 77, 1000, 0), (13, 87, 1009, 0)]);
    }

    #[test]
    fn it_goes_on_however_often_it_is_read() {
        let mut clock = SteadyClock::new(Time(1_000));
        let shown: Vec<u64> = (0..=24).map(|counted| clock.read(Time(0), Millis(counted)).now.0).collect();
        assert_eq!((shown[0], shown[9], shown[10], shown[24]), (1000, 1000, 1009, 1018));
    }
}
