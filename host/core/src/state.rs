//! Everything known: the fold of all records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{SessionId, SubscriptionId};
use crate::inventory::Inventory;
use crate::message::Subscription;
use crate::session::Session;
use crate::time::Time;

/// Everything known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The number of the last record.
    pub seq: u64,
    /// The time of the last record.
    pub at: Time,
    /// What was last seen.
    pub inventory: Arc<Inventory>,
    /// All sessions that are not removed.
    pub sessions: BTreeMap<SessionId, Arc<Session>>,
    /// Standing orders for messages.
    pub subscriptions: BTreeMap<SubscriptionId, Subscription>,
}
