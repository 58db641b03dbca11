//! What calls of plug-ins use, and how often plug-ins call out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fenix_core::id::Digest;

use crate::limits;
use crate::plugins::PluginInfo;

/// What one call of a plug-in used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Instructions, roughly.
    pub fuel: u64,
    /// Functions of capabilities that were refused because something was not asked for or not granted.
    pub refusals: u64,
    /// Bytes that it sent to others: calls over HTTP, commands.
    pub sent: u64,
    /// Bytes that came back.
    pub received: u64,
}

/// Whoever adds up what plug-ins use.
pub trait Meter: Send + Sync {
    /// A call ended, however that was.
    fn spent(&self, plugin: &PluginInfo, spent: Spent);
}

/// How often each component may still call out: what is not used is saved up, to a limit.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<BTreeMap<Digest, Saved>>);

#[derive(Clone, Copy, Debug)]
struct Saved {
    calls: f64,
    at: Instant,
}

impl Pace {
    /// Takes one call; false if none is left.
    pub(crate) fn take(&self, plugin: &Digest, now: Instant) -> bool {
        let most = f64::from(limits::CALLS_AT_ONCE);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = all.entry(plugin.clone()).or_insert(Saved { calls: most, at: now });
        let passed: Duration = now.saturating_duration_since(saved.at);
        saved.calls = most.min(saved.calls + passed.as_secs_f64() * f64::from(limits::CALLS_PER_SECOND));
        saved.at = now;
        if saved.calls < 1.0 {
            return false;
        }
        saved.calls -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_saved_up_to_a_limit_and_each_component_has_its_own() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let take = |plugin: &str, after_ms: u64| {
            pace.take(&Digest::from(plugin), begun + Duration::from_millis(after_ms))
        };
        for _ in 0..limits::CALLS_AT_ONCE {
            assert!(take("a", 0));
        }
        assert!(!take("a", 0) && take("b", 0));
        for _ in 0..limits::CALLS_PER_SECOND {
            assert!(take("a", 1_000));
        }
        assert!(!take("a", 1_000));
        for _ in 0..limits::CALLS_AT_ONCE {
            assert!(take("a", 3_600_000), "no more than that");
        }
        assert!(!take("a", 3_600_000));
        assert!(!take("a", 0), "a clock that goes back gives nothing");
    }
}
