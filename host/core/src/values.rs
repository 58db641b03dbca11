//! What the actions of a session keep for each other: `pre` for `post`, a host's action for its `undo`.

use std::collections::BTreeMap;

/// Most values of one plug-in in one session.
pub const MAX_VALUES: usize = 256;

/// Longest key in bytes: an id, and a word before it.
pub const MAX_KEY: usize = 320;

/// Longest value in bytes: it is journaled each time it changes, and records stay small.
pub const MAX_VALUE: usize = 1024;

/// Values of one session, by plug-in and key. A plug-in sees its own only.
pub type Values = BTreeMap<String, BTreeMap<String, String>>;
