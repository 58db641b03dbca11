//! Nothing is carried out that is not on disk: the type that says so.

use std::ops::Deref;

use fenix_core::record::Record;

use crate::ports::{Journal, JournalError};

/// Something that may be acted on, since what it follows from is on disk. Only [`crate::Engine::commit`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was recorded has to be carried out"]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// Takes it out, to act on it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Appends the records, then hands out what waited for them.
pub(crate) fn commit<T>(
    journal: &mut dyn Journal,
    records: &[Record],
    then: T,
) -> Result<Recorded<T>, JournalError> {
    if !records.is_empty() {
        journal.append(records)?;
    }
    Ok(Recorded(then))
}
