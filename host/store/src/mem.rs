//! A journal in memory that keeps the very bytes which would be on disk.
//!
//! Virtual time runs the real engine on it, so that the stored forms are exercised by every seed, and breaks it on
//! purpose: an append can be made to fail, and the engine be started again from what is left.

use std::io;

use fenix_core::record::Record;
use fenix_engine::ports::{Journal, JournalError};

use crate::batch;
use crate::codec::{DecodeError, decode, encode};

/// What an append that fails leaves behind: the caller cannot know which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of the batch is stored.
    Lost,
    /// All of the batch is stored.
    Stored,
}

/// Encoded records in memory.
#[derive(Clone, Debug, Default)]
pub struct MemJournal {
    frames: Vec<Vec<u8>>,
    appends: u64,
    fails: Option<(u64, Failure)>,
    kind: Option<io::ErrorKind>,
    broken: bool,
}

impl MemJournal {
    /// An empty journal; its first record is to be number 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the append of that number fail, counted from 1 and from the making of this journal. All that follow
    /// it fail too, until the journal is [`reopened`](MemJournal::reopened).
    pub fn fail_at(&mut self, append: u64, how: Failure) {
        self.fails = Some((append, how));
    }

    /// What the disk is said to have answered then; `Other` unless this is called.
    pub fn fail_as(&mut self, kind: io::ErrorKind) {
        self.kind = Some(kind);
    }

    /// How many appends were called.
    pub fn appends(&self) -> u64 {
        self.appends
    }

    /// The number of the last stored record; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.frames.len() as u64
    }

    /// All stored records, decoded, in order.
    ///
    /// # Errors
    /// A record was damaged.
    pub fn records(&self) -> Result<Vec<Record>, DecodeError> {
        self.frames.iter().map(|frame| decode(frame)).collect()
    }

    /// The stored bytes, a frame per record, in order. Two runs that kept the same are the same run.
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// The stored bytes, to be damaged.
    pub fn frames_mut(&mut self) -> &mut [Vec<u8>] {
        &mut self.frames
    }

    /// What a new process finds: the stored records, and nothing of the faults.
    pub fn reopened(&self) -> MemJournal {
        self.first(self.frames.len())
    }

    /// What a new process would have found after the first `count` records.
    pub fn first(&self, count: usize) -> MemJournal {
        MemJournal { frames: self.frames.iter().take(count).cloned().collect(), ..MemJournal::default() }
    }

    fn refused(&self, why: &'static str) -> JournalError {
        let kind = self.kind.unwrap_or(io::ErrorKind::Other);
        JournalError::Write(io::Error::new(kind, format!("the journal in memory fails: {why}")))
    }

    fn store(&mut self, records: &[Record]) -> Result<(), JournalError> {
        batch::check(self.last_seq(), records)?;
        let frames: Result<Vec<_>, _> = records.iter().map(encode).collect();
        self.frames.extend(frames.map_err(|error| JournalError::Write(io::Error::other(error)))?);
        Ok(())
    }
}

impl Journal for MemJournal {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.broken {
            return Err(self.refused("it failed before"));
        }
        self.appends += 1;
        let failure = self.fails.and_then(|(append, how)| (append == self.appends).then_some(how));
        let stored = match failure {
            Some(Failure::Lost) => Err(self.refused("it was told to")),
            Some(Failure::Stored) => self.store(records).and(Err(self.refused("it was told to"))),
            None => self.store(records),
        };
        self.broken = stored.is_err();
        stored
    }
}

#[cfg(test)]
mod tests {
    use fenix_core::record::Body;
    use fenix_core::time::Time;

    use super::*;

    fn records(seqs: std::ops::RangeInclusive<u64>) -> Vec<Record> {
        let body = |seq| Body::Noted { key: format!("k{seq}"), value: None };
        seqs.map(|seq| Record { seq, at: Time(seq), session: Some("s".into()), body: body(seq) }).collect()
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let mut journal = MemJournal::new();
        journal.append(&records(1..=3)).unwrap();
        journal.append(&[]).unwrap();
        journal.append(&records(4..=4)).unwrap();
        assert_eq!(journal.records().unwrap(), records(1..=4));
        assert_eq!((journal.last_seq(), journal.appends()), (4, 3));
        assert_eq!(journal.first(2).records().unwrap(), records(1..=2));
    }

    #[test]
    fn a_failed_append_leaves_what_it_was_told_and_no_other_follows() {
        let check = |how: Failure, left: std::ops::RangeInclusive<u64>| {
            let mut journal = MemJournal::new();
            journal.fail_at(2, how);
            journal.append(&records(1..=1)).unwrap();
            journal.append(&records(2..=3)).unwrap_err();
            journal.append(&records(2..=3)).unwrap_err();
            let mut again = journal.reopened();
            assert_eq!(again.records().unwrap(), records(left.clone()));
            let next = left.end() + 1;
            again.append(&records(next..=next)).unwrap();
        };
        check(Failure::Lost, 1..=1);
        check(Failure::Stored, 1..=3);
    }

    #[test]
    fn a_gap_or_a_repeat_is_refused() {
        for seqs in [2..=2, 0..=0] {
            let mut journal = MemJournal::new();
            journal.append(&records(seqs)).unwrap_err();
            assert_eq!(journal.last_seq(), 0);
        }
    }

    #[test]
    fn a_damaged_frame_is_noticed() {
        let mut journal = MemJournal::new();
        journal.append(&records(1..=2)).unwrap();
        journal.frames_mut()[1][20] ^= 1;
        assert!(matches!(journal.records(), Err(DecodeError::Checksum)));
    }
}
