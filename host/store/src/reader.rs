//! Reading records while others are appended.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use fenix_core::id::SessionId;
use fenix_core::record::Record;

use crate::codec::{DecodeError, decode_with};
use crate::database::{Fault, joined};
use crate::sled_journal::Shared;

/// Most records that one call returns: at the usual few hundred bytes each well below a megabyte, so that a reader
/// who wants all of a long session holds little at a time.
pub const MAX_PAGE: usize = 1000;

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// One of them is bad; those after it can be asked for.
    #[error("record {seq} cannot be used")]
    Record {
        /// Its number.
        seq: u64,
        /// What is bad about it.
        #[source]
        source: DecodeError,
    },
    /// A record that belongs to the session is not there.
    #[error("record {seq} is missing")]
    Missing {
        /// Its number.
        seq: u64,
    },
    /// The database cannot be read.
    #[error("the journal cannot be read: {0}")]
    Database(String),
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        ReadError::Database(fault.to_string())
    }
}

/// Reads the journal, from any thread. It shows only what is stored for good: a record whose append has not
/// returned is not there yet. Records that a hurt session lost are passed over. While a reader is kept, the data directory stays in use.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The number of the last record that is stored for good; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.shared.acknowledged()
    }

    /// Why the journal takes no records any more; `None` while it does.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure()
    }

    /// All records from a number on, in order; at most `limit` and at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// One of them is bad, or the database cannot be read.
    pub fn records(&self, from_seq: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        let (limit, last) = (limit.min(MAX_PAGE), self.last_seq());
        let mut page = Vec::new();
        self.shared.database.frames(from_seq, |seq, frame| {
            if page.len() == limit || seq > last {
                return ControlFlow::Break(());
            }
            if !self.shared.hidden.contains(&seq) {
                page.push((seq, frame.to_vec()));
            }
            ControlFlow::Continue(())
        })?;
        page.into_iter().map(|(seq, frame)| self.decode(seq, &frame)).collect()
    }

    /// The numbers of which there is no record that counts: the last of each gap, by its first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn gaps(&self) -> Result<BTreeMap<u64, u64>, ReadError> {
        let hidden = self.shared.hidden.iter().map(|seq| (*seq, *seq));
        Ok(joined(self.shared.database.gaps()?.into_iter().chain(hidden).collect()))
    }

    /// A session's records from a number on, in order; at most `limit` and at most [`MAX_PAGE`]. A session that
    /// never was has none.
    ///
    /// # Errors
    /// One of them is bad or missing, or the database cannot be read.
    pub fn records_of(
        &self,
        session: &SessionId,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.stream(Some(session), from_seq, limit)
    }

    /// The records of the installation, which belong to no session, from a number on, in order; at most `limit` and at
    /// most [`MAX_PAGE`].
    ///
    /// # Errors
    /// As [`Reader::records_of`].
    pub fn records_of_none(&self, from_seq: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.stream(None, from_seq, limit)
    }

    fn stream(
        &self,
        session: Option<&SessionId>,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (limit, last) = (limit.min(MAX_PAGE), self.last_seq());
        let hidden = &self.shared.hidden;
        let numbers = self.shared.database.stream(session, from_seq, limit, |seq| !hidden.contains(&seq))?;
        let known = numbers.into_iter().take_while(|seq| *seq <= last);
        known.map(|seq| self.record(seq)).collect()
    }

    fn record(&self, seq: u64) -> Result<Record, ReadError> {
        let frame = self.shared.database.frame(seq)?.ok_or(ReadError::Missing { seq })?;
        self.decode(seq, &frame)
    }

    fn decode(&self, seq: u64, frame: &[u8]) -> Result<Record, ReadError> {
        decode_with(frame, |digest, len| self.shared.bodies.get(digest, len))
            .map_err(|source| ReadError::Record { seq, source })
    }
}
