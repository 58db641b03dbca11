//! Messages that are not delivered yet, in a line for each subscriber.
//!
//! A subscriber that is away for hours leaves a long line. What is asked at every event, who is first in each, costs
//! one look for each line, however long it is; and a copy of a session shares the lines that did not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{MessageId, SubscriptionId};
use crate::message::Message;

/// The messages of one session that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// No line is empty.
    lines: BTreeMap<SubscriptionId, Arc<BTreeMap<MessageId, Message>>>,
}

impl Outbox {
    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Puts a message at its place in its subscriber's line: the end, since numbers grow.
    pub fn insert(&mut self, message: Message) {
        let line = self.lines.entry(message.to.clone()).or_default();
        Arc::make_mut(line).insert(message.id, message);
    }

    /// Takes a message out; `None` if it does not wait.
    pub fn remove(&mut self, id: MessageId) -> Option<Message> {
        let (to, line) = self.lines.iter_mut().find(|(_, line)| line.contains_key(&id))?;
        let removed = Arc::make_mut(line).remove(&id);
        if line.is_empty() {
            let to = to.clone();
            self.lines.remove(&to);
        }
        removed
    }

    /// The message of that number, if it waits.
    pub fn get(&self, id: MessageId) -> Option<&Message> {
        self.lines.values().find_map(|line| line.get(&id))
    }

    /// The first message to each subscriber.
    pub fn first(&self) -> impl Iterator<Item = &Message> {
        self.lines.values().filter_map(|line| line.values().next())
    }

    /// What waits for one subscriber, in order.
    pub fn to(&self, subscriber: &SubscriptionId) -> impl Iterator<Item = &Message> {
        self.lines.get(subscriber).into_iter().flat_map(|line| line.values())
    }

    /// Everything, one line after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Message> {
        self.lines.values().flat_map(|line| line.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Content;
    use crate::time::Time;

    fn message(id: u32, to: &str) -> Message {
        Message {
            id: MessageId(id),
            to: to.into(),
            content: Content::ActionDone("i".into()),
            queued_at: Time(0),
            not_before: Time(0),
            valid_until: Time(1),
        }
    }

    fn ids<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<u32> {
        messages.map(|message| message.id.0).collect()
    }

    #[test]
    fn each_subscriber_has_a_line_of_its_own_in_order() {
        let mut outbox = Outbox::default();
        for (id, to) in [(0, "a"), (1, "b"), (2, "a"), (3, "a")] {
            outbox.insert(message(id, to));
        }
        assert_eq!(ids(outbox.first()), [0, 1]);
        assert_eq!(ids(outbox.to(&"a".into())), [0, 2, 3]);
        assert_eq!(ids(outbox.iter()), [0, 2, 3, 1]);
        assert_eq!(outbox.remove(MessageId(0)).map(|gone| gone.id), Some(MessageId(0)));
        assert_eq!(outbox.remove(MessageId(0)), None);
        assert_eq!(ids(outbox.first()), [2, 1]);
        assert_eq!(outbox.get(MessageId(3)).map(|known| known.to.as_str()), Some("a"));
        assert_eq!(outbox.get(MessageId(0)), None);
    }

    #[test]
    fn what_is_empty_leaves_nothing_behind() {
        let mut outbox = Outbox::default();
        outbox.insert(message(7, "a"));
        outbox.remove(MessageId(7));
        assert_eq!(outbox, Outbox::default());
        assert!(outbox.is_empty());
    }
}
