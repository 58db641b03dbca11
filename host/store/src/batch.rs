//! What every journal demands of a batch before it takes it.

use std::io;

use fenix_core::record::Record;
use fenix_engine::ports::JournalError;

/// Most records in one append. The largest is the first sight of an infrastructure, a record per host and instance:
/// twice the 1,000 hosts and 50,000 instances for which Fenix is made.
pub const MAX_BATCH: usize = 102_400;

/// Refuses a batch that is too large, or does not follow the last record without a gap: the caller lost count.
pub(crate) fn check(last: u64, records: &[Record]) -> Result<(), JournalError> {
    if records.len() > MAX_BATCH {
        return refused(format!("{} records are more than the {MAX_BATCH} of one append", records.len()));
    }
    for (record, expected) in records.iter().zip(last + 1..) {
        if record.seq != expected {
            return refused(format!("record {} cannot follow record {}", record.seq, expected - 1));
        }
    }
    Ok(())
}

fn refused(why: String) -> Result<(), JournalError> {
    Err(JournalError::Write(io::Error::new(io::ErrorKind::InvalidInput, why)))
}
