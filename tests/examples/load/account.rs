//! What the journal says of a run: when each message was queued and how it ended, and when each event was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use fenix_core::id::{MessageId, SubscriptionId};
use fenix_core::message::Delivery;
use fenix_core::record::Body;
use fenix_store::{MAX_PAGE, SledJournal};

use crate::Any;
use crate::reader::Heard;

/// A message's way.
struct Way {
    to: SubscriptionId,
    queued_at: u64,
    /// When it ended, and whether it was delivered.
    ended: Option<(u64, bool)>,
}

/// The journal of one session, read.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) records: u64,
    ways: BTreeMap<MessageId, Way>,
    /// When each record was made.
    at: BTreeMap<u64, u64>,
}

/// Milliseconds: the middle, the 99th of a hundred, the most.
pub(crate) struct Spread {
    sorted: Vec<u64>,
}

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Spread {
        let mut sorted: Vec<u64> = values.collect();
        sorted.sort_unstable();
        Spread { sorted }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| self.sorted.get(self.sorted.len().saturating_sub(1) * percent / 100);
        match (at(50), at(99), at(100)) {
            (Some(p50), Some(p99), Some(most)) => write!(f, "{p50} / {p99} / {most} ms"),
            _ => f.write_str("-"),
        }
    }
}

impl Account {
    /// Reads the journal of a server that has stopped.
    pub(crate) fn read(data: &Path) -> Result<Account, Any> {
        let (journal, _opened) = SledJournal::open(data)?;
        let reader = journal.reader();
        let mut account = Account::default();
        let mut from = 1;
        loop {
            let page = reader.records(from, MAX_PAGE)?;
            let Some(last) = page.last() else { return Ok(account) };
            from = last.seq + 1;
            for record in page {
                account.records += 1;
                account.at.insert(record.seq, record.at.0);
                match record.body {
                    Body::Queued { message } => {
                        let way = Way { to: message.to, queued_at: record.at.0, ended: None };
                        account.ways.insert(message.id, way);
                    }
                    Body::MessageEnded { message, delivery } => {
                        if let Some(way) = account.ways.get_mut(&message) {
                            way.ended = Some((record.at.0, delivery == Delivery::Delivered));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Way> {
        self.ways.values().filter(move |way| way.to.as_str().starts_with(kind))
    }

    /// From the decision to send a message until its receiver's yes was on disk.
    pub(crate) fn delay(&self, kind: &str) -> Spread {
        let delivered = |way: &Way| way.ended.filter(|ended| ended.1).map(|ended| ended.0 - way.queued_at);
        Spread::of(self.of(kind).filter_map(delivered))
    }

    /// How many were delivered, ended in another way, and wait.
    pub(crate) fn ends(&self, kind: &str) -> String {
        let count = |wanted: Option<bool>| {
            self.of(kind).filter(|way| way.ended.map(|ended| ended.1) == wanted).count()
        };
        format!("{} / {} / {}", count(Some(true)), count(Some(false)), count(None))
    }

    /// From a record until readers had it.
    pub(crate) fn lag<'a>(&self, heard: impl Iterator<Item = &'a Heard>) -> Spread {
        let events = heard.flat_map(|heard| heard.events.iter());
        Spread::of(events.filter_map(|(id, came)| Some(came.saturating_sub(*self.at.get(id)?))))
    }
}
