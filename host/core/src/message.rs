//! What is told to managers and other listeners.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AskId, HostId, InstanceId, MessageId, ProjectId, SubscriptionId};
use crate::time::Time;

/// A standing order for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose messages; stands in the payload as `project_id`.
    pub project: ProjectId,
    /// Which event types: exact text, or a glob with `*`.
    pub event_type: String,
    /// Where to.
    pub url: String,
    /// In what form.
    #[serde(default, skip_serializing_if = "Format::is_default")]
    pub format: Format,
}

/// The form in which a subscriber gets its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As Aodh sends an event alarm: what managers of the first Fenix understand.
    #[default]
    Aodh,
    /// A CloudEvent in structured mode, signed.
    CloudEvents {
        /// What it is signed with.
        secret: Secret,
    },
}

impl Format {
    fn is_default(&self) -> bool {
        *self == Format::Aodh
    }
}

/// What messages to one subscriber are signed with. It is written to the journal and nowhere else: what prints it
/// prints nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret with that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to sign with.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Subscription {
    /// True if it wants that event type. `*` in it stands for any text, as in an Aodh alarm rule.
    pub fn wants(&self, event_type: &str) -> bool {
        glob(self.event_type.as_bytes(), event_type.as_bytes())
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((first, rest)) => text.split_first().is_some_and(|(t, tail)| t == first && glob(rest, tail)),
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `maintenance.scheduled` that wants a reply.
    Ask(AskId),
    /// The same about one instance of it, to be answered about that one.
    AskInstance(AskId, InstanceId),
    /// `maintenance.scheduled`, state INSTANCE_ACTION_DONE: the instance was moved.
    ActionDone(InstanceId),
    /// `maintenance.scheduled`, state INSTANCE_ACTION_FALLBACK: the live move did not work, a cold one follows.
    ActionFallback(InstanceId),
    /// `maintenance.host`: a host goes out of service or comes back.
    Host {
        /// The host.
        host: HostId,
        /// True for `IN_MAINTENANCE`, false for `MAINTENANCE_COMPLETE`.
        in_maintenance: bool,
    },
    /// `maintenance.session`: the session's state or progress changed.
    Session {
        /// The wire state.
        state: crate::session::Phase,
        /// 0 to 100.
        percent: u8,
    },
}

impl Content {
    /// The question that it puts, if it is one.
    pub fn ask(&self) -> Option<AskId> {
        match self {
            Content::Ask(ask) | Content::AskInstance(ask, _) => Some(*ask),
            Content::ActionDone(_)
            | Content::ActionFallback(_)
            | Content::Host { .. }
            | Content::Session { .. } => None,
        }
    }

    /// The event type on the wire (contract rows 9 and 2.1).
    pub fn event_type(&self) -> &'static str {
        match self {
            Content::Ask(_)
            | Content::AskInstance(..)
            | Content::ActionDone(_)
            | Content::ActionFallback(_) => "maintenance.scheduled",
            Content::Host { .. } => "maintenance.host",
            Content::Session { .. } => "maintenance.session",
        }
    }
}

/// Something to be delivered to one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the session; with the session's id it names the message on the wire for ever.
    pub id: MessageId,
    /// To whom.
    pub to: SubscriptionId,
    /// What.
    pub content: Content,
    /// When it was decided.
    pub queued_at: Time,
    /// Not sent before: keeps a doubled reply to the last round apart from the next round.
    pub not_before: Time,
    /// Dropped if not delivered by then.
    pub valid_until: Time,
}

/// How a message ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The receiver took it.
    Delivered,
    /// The receiver refused it for good.
    Rejected {
        /// What it said.
        why: String,
    },
    /// It could not be delivered while it was valid.
    Expired {
        /// What the last attempt met.
        why: String,
    },
    /// It lost its sense: the question was withdrawn, or the subscription is gone.
    Dropped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let format = Format::CloudEvents { secret: Secret::new("open sesame") };
        assert_eq!(format!("{format:?}"), "CloudEvents { secret: Secret(..) }");
    }
}
