//! One newtype per kind of name, so that a host is never mistaken for an instance.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Reads a text straight into shared memory: ids are most of what a journal holds, and serde's own way takes two
/// allocations for each.
struct Text;

impl Visitor<'_> for Text {
    type Value = std::sync::Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Text).map(Self)
            }
        }

        impl<T: AsRef<str>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.as_ref().into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_ids! {
    /// A maintenance session: a UUID.
    SessionId;
    /// A machine, by the name that the infrastructure gives it.
    HostId;
    /// A VM, container or pod, by the infrastructure's id.
    InstanceId;
    /// A tenant or application, by the infrastructure's id.
    ProjectId;
    /// A group of instances that back each other up.
    GroupId;
    /// A standing order for messages, by an application manager or another listener.
    SubscriptionId;
    /// A failure domain.
    Zone;
    /// SHA-256 of a plug-in's component, in lower-case hex.
    Digest;
}

macro_rules! number_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

number_ids! {
    /// A question to a manager; counts up within its session.
    AskId;
    /// An admitted decision; counts up within its session.
    EffectId;
    /// Something to be delivered; counts up within its session.
    MessageId;
}
