//! How fast somebody may call: a bucket of calls for each, which fills at a steady rate.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Buckets that are kept before those that are full again are forgotten: a full one says nothing.
const KEPT: usize = 10_000;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls in a second, over time.
    pub per_second: NonZeroU32,
    /// Calls at once, after a rest.
    pub at_once: NonZeroU32,
}

impl Rate {
    /// Attempts with a token that nobody has: for people who mistype, not for programs that try all.
    pub const FAILURES: Rate =
        Rate { per_second: NonZeroU32::new(1).unwrap(), at_once: NonZeroU32::new(20).unwrap() };

    /// So many calls in a second, and what comes in ten seconds at once: a manager of a large application answers for
    /// each of its instances in one go.
    pub fn new(per_second: NonZeroU32) -> Rate {
        Rate {
            per_second,
            at_once: per_second.saturating_mul(NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN)),
        }
    }
}

/// Buckets, one for each key.
pub(super) struct Pace<K: Clone + Hash + Eq> {
    buckets: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
}

impl<K: Clone + Hash + Eq> Pace<K> {
    pub(super) fn new(rate: Rate) -> Pace<K> {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.at_once);
        Pace { buckets: RateLimiter::hashmap(quota) }
    }

    /// Takes one call out of the key's bucket.
    ///
    /// # Errors
    /// It is empty; there is one again after that time.
    pub(super) fn take(&self, key: &K) -> Result<(), Duration> {
        if self.buckets.len() > KEPT {
            self.buckets.retain_recent();
        }
        let now = DefaultClock::default().now();
        self.buckets.check_key(key).map_err(|early| early.wait_time_from(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_bucket_of_its_own() {
        let hour = NonZeroU32::MIN;
        let pace = Pace::new(Rate { per_second: hour, at_once: NonZeroU32::new(3).unwrap() });
        let taken = |key: &str| (0..5).filter(|_| pace.take(&key.to_owned()).is_ok()).count();
        // A second may pass meanwhile on a loaded machine, not two.
        assert!((3..5).contains(&taken("a")));
        assert!(pace.take(&"b".to_owned()).is_ok());
    }
}
