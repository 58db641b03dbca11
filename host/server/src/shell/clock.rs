//! The wall clock, made never to go back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use fenix_core::time::Time;
use fenix_engine::ports::Clock;

/// The machine's clock in UTC. When it is set back it stands still here until the old time comes again: recorded
/// time never decreases.
#[derive(Debug, Default)]
pub struct WallClock {
    latest: AtomicU64,
}

impl Clock for WallClock {
    fn now(&self) -> Time {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Time(self.latest.fetch_max(millis, Ordering::Relaxed).max(millis))
    }
}
