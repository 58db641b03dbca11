//! The calls that programs make to the disk, and which of them go wrong.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::wire::Errno;

/// What a call does. Looking at names and attributes is no call: it does not go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Opens a file.
    Open,
    /// Reads from a file.
    Read,
    /// Writes to a file.
    Write,
    /// Sets the size of a file.
    Resize,
    /// Syncs a file, with or without metadata.
    Sync,
    /// Makes a file.
    Create,
    /// Makes a directory.
    MakeDir,
    /// Renames something.
    Rename,
    /// Removes a file or directory.
    Remove,
    /// Syncs a directory.
    SyncDir,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What it does.
    pub kind: Kind,
    /// To what, from the mount's root; of a renaming, the new name.
    pub path: String,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The call fails and has done nothing. After a sync that failed, what it should have written is not written by
    /// later ones either, as on Linux.
    Error(Errno),
    /// A write takes only a part.
    Short,
    /// A sync says that all is on the disk, and nothing is.
    Lie,
    /// The power is lost during the call; what is left is chosen by this seed.
    Cut(u64),
}

/// Which calls go wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Which {
    /// The call of that index, counted from 0 since the mounting.
    At(usize),
    /// Every call of that kind to a path with that end.
    Every(Kind, Cow<'static, str>),
}

impl Which {
    /// Every call of that kind to a path with that end.
    pub const fn every(kind: Kind, end: &'static str) -> Which {
        Which::Every(kind, Cow::Borrowed(end))
    }

    pub(super) fn holds(&self, index: usize, call: &Call) -> bool {
        match self {
            Which::At(at) => *at == index,
            Which::Every(kind, end) => *kind == call.kind && call.path.ends_with(&**end),
        }
    }
}
