//! Places for messages on their way, so that receivers in trouble do not take them all.
//!
//! A receiver that takes messages and never answers holds a place until its time is over. Those whose last attempt
//! failed therefore wait in a lane of their own, whoever they are; the others never stand behind them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use fenix_core::id::SubscriptionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages on their way at a time, in each lane: each holds a connection, and a receiver may take its time.
const PLACES: usize = 256;

/// The two lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    healthy: Arc<Semaphore>,
    troubled: Arc<Semaphore>,
    /// Whose last attempt failed.
    failed: Mutex<BTreeSet<SubscriptionId>>,
}

impl Lanes {
    pub(crate) fn new() -> Lanes {
        let lane = || Arc::new(Semaphore::new(PLACES));
        Lanes { healthy: lane(), troubled: lane(), failed: Mutex::default() }
    }

    /// Waits for a place for a message to that receiver; it is free again when the returned permit is dropped.
    pub(crate) async fn place(&self, to: &SubscriptionId) -> Option<OwnedSemaphorePermit> {
        let lane = if self.is_troubled(to) { &self.troubled } else { &self.healthy };
        // Nobody closes a lane.
        lane.clone().acquire_owned().await.ok()
    }

    /// Notes how the last attempt went.
    pub(crate) fn note(&self, to: &SubscriptionId, reached: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if reached {
            failed.remove(to);
        } else if !failed.contains(to) {
            failed.insert(to.clone());
        }
    }

    fn is_troubled(&self, to: &SubscriptionId) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_did_not_answer_before_holds_no_place_of_those_who_did() {
        let lanes = Lanes::new();
        let (dead, good) = (SubscriptionId::from("dead"), SubscriptionId::from("good"));
        lanes.note(&dead, false);
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(lanes.place(&dead).await);
        }
        assert_eq!((lanes.troubled.available_permits(), lanes.healthy.available_permits()), (0, PLACES));
        assert!(lanes.place(&good).await.is_some());
        // It has answered again.
        lanes.note(&dead, true);
        assert!(lanes.place(&dead).await.is_some());
    }
}
