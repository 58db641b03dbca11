//! How a command fails: the exit code, the message, and what to do about it.

use std::fmt;

/// What kind of failure it is; the numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// It was tried, and failed.
    Failed = 1,
    /// It was asked for in a wrong way.
    Usage = 2,
    /// The server or the cloud cannot be reached.
    Unreachable = 3,
    /// The server refused.
    Refused = 4,
    /// Somebody interrupted it.
    Interrupted = 130,
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What went wrong.
    pub message: String,
    /// What to do about it, a line each.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// It was tried, and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// It was asked for in a wrong way.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// It failed with an error, whose causes are told too.
    pub fn of(error: &dyn std::error::Error) -> Self {
        Self::failed(crate::shell::writer::whole(error))
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for Failure {}
