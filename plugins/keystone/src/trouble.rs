//! Why a call came to nothing, and when the next attempt is made.

use fenix_sdk::action::{Failure, HttpError, KvError};

/// Milliseconds before what nobody answered is tried again; each further pause is half as long again.
pub const FIRST_WAIT_MS: u32 = 1_000;

/// Longest such pause.
pub const LONGEST_WAIT_MS: u32 = 60_000;

/// Attempts in a row that nobody answers before giving up: some ten minutes, in which a service is restarted.
pub const TRIES: u32 = 18;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may pass: nobody is there, or a server that cannot now.
    Passing {
        /// What happened.
        why: String,
        /// True if what was called may be done all the same.
        sent: bool,
    },
    /// It will not.
    Final(Failure),
}

/// That another attempt is made, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many were in vain.
    pub tries: u32,
    /// Milliseconds until it is made.
    pub after_ms: u32,
}

impl Trouble {
    /// What follows it, after so many attempts in vain before this one.
    ///
    /// # Errors
    /// It will not pass, or this was the last attempt.
    pub fn retry(self, tries: u32) -> Result<Retry, Failure> {
        let why = match self {
            Trouble::Passing { why, .. } => why,
            Trouble::Final(failure) => return Err(failure),
        };
        // Whoever wrote the checkpoint may have written any number.
        let tries = tries.saturating_add(1);
        if tries >= TRIES {
            return Err(Failure::Failed(format!("{TRIES} attempts, the last one: {why}")));
        }
        fenix_sdk::log::warn(&why);
        let longer = |wait: u32, _| (wait + wait / 2).min(LONGEST_WAIT_MS);
        Ok(Retry { tries, after_ms: (1..tries).fold(FIRST_WAIT_MS, longer) })
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Final(failure)
    }
}

impl From<HttpError> for Trouble {
    fn from(error: HttpError) -> Trouble {
        match error {
            HttpError::NotGranted(what) => Trouble::Final(Failure::Failed(format!("not granted: {what}"))),
            HttpError::Invalid(why) => Trouble::Final(Failure::Failed(why)),
            HttpError::Unreachable(why) => Trouble::Passing { why, sent: false },
            HttpError::Unclear(why) => Trouble::Passing { why, sent: true },
        }
    }
}

impl From<KvError> for Trouble {
    fn from(error: KvError) -> Trouble {
        match error {
            KvError::NotGranted(what) => Trouble::Final(Failure::Failed(format!("not granted: {what}"))),
            KvError::Invalid(why) => Trouble::Final(Failure::Failed(why)),
            KvError::Unclear(why) => Trouble::Passing { why, sent: true },
        }
    }
}
