//! The wall clock, made never to go back.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fenix_core::time::{Millis, Time};
use fenix_engine::clock::{Reading, SteadyClock};
use fenix_engine::ports::Clock;

/// The machine's clock in UTC, as [`SteadyClock`] makes it: recorded time never decreases, and never stands still.
#[derive(Debug)]
pub struct WallClock {
    begun: Instant,
    steady: Mutex<SteadyClock>,
}

impl WallClock {
    /// A clock that shows nothing earlier than the newest record: somebody may have set the machine's back since.
    pub fn after(last: Time) -> WallClock {
        WallClock { begun: Instant::now(), steady: Mutex::new(SteadyClock::new(last)) }
    }
}

impl Default for WallClock {
    /// A clock of somebody who has no records.
    fn default() -> WallClock {
        WallClock::after(Time(0))
    }
}

impl Clock for WallClock {
    fn read(&self) -> Reading {
        let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        // Both under the lock: of two readings the later one has to be taken second.
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        steady.read(Time(wall), Millis(millis(self.begun.elapsed())))
    }
}
