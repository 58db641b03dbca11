//! What administrators leave with the installation: plug-ins, and templates of sessions.

use serde::{Deserialize, Serialize};

use crate::session::Pin;

/// What a plug-in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// It decides what happens next.
    Workflow,
    /// It works on a host.
    Action,
}

/// A plug-in that was attached while the server ran; the component itself is kept by whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name, version and digest.
    pub pin: Pin,
    /// What it is for.
    pub kind: PluginKind,
}

/// A session that can be started again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// What it is for, for people.
    pub description: String,
    /// What stands in the call that starts a session: JSON text of an object.
    pub body: String,
}
