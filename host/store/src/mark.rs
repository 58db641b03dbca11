//! The number of the last record that a caller was told is stored, beside the database.
//!
//! sled takes damage near the end of its file for the traces of a crash, and cuts them off without a word. So the
//! number is noted in a file of its own *after* each append is durable; a journal that then ends earlier has lost
//! records that others acted upon, and is refused.
//!
//! The file is written in place and not synced: it survives the end of the process at once, and the loss of power
//! within the seconds in which the kernel writes it back. Until then it says less than it could, never more. Two
//! slots are written in turn, so that one is always whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SLOT: usize = 12;

/// The open file.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    last: u64,
}

impl Mark {
    /// Opens the file, and makes it if it is missing: then nothing is known to be acknowledged.
    pub(crate) fn open(path: &Path) -> io::Result<Mark> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let last = noted(&file)?;
        Ok(Mark { file, last })
    }

    /// The last number that is noted in a file, which is left alone; 0 if none is.
    pub(crate) fn look(path: &Path) -> io::Result<u64> {
        noted(&File::open(path)?)
    }

    /// The last number that was noted and is known; 0 if none is.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Notes that all records up to this one are stored.
    pub(crate) fn set(&mut self, seq: u64) -> io::Result<()> {
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&seq.to_be_bytes());
        slot[8..].copy_from_slice(&crc32fast::hash(&seq.to_be_bytes()).to_be_bytes());
        // The slot that does not hold the last number: numbers may grow by any step, so parity would not do.
        let place = u64::from(self.holds_last(0)?) * SLOT as u64;
        self.file.write_all_at(&slot, place)?;
        self.last = seq;
        Ok(())
    }

    fn holds_last(&self, slot: u64) -> io::Result<bool> {
        let mut bytes = [0; SLOT];
        match self.file.read_exact_at(&mut bytes, slot * SLOT as u64) {
            Ok(()) => Ok(parse(&bytes) == Some(self.last)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn noted(file: &File) -> io::Result<u64> {
    let mut bytes = Vec::with_capacity(2 * SLOT);
    io::Read::read_to_end(&mut io::Read::take(file, 2 * SLOT as u64), &mut bytes)?;
    Ok(bytes.chunks_exact(SLOT).filter_map(parse).max().unwrap_or(0))
}

fn parse(slot: &[u8]) -> Option<u64> {
    let (seq, sum) = slot.split_first_chunk::<8>()?;
    (crc32fast::hash(seq).to_be_bytes() == *sum).then(|| u64::from_be_bytes(*seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_found_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("acknowledged");
        assert_eq!(Mark::open(&path).unwrap().last(), 0);
        for seq in [1, 2, 9, 11, 13] {
            Mark::open(&path).unwrap().set(seq).unwrap();
            assert_eq!(Mark::open(&path).unwrap().last(), seq);
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_number_before() {
        let check = |torn: u64| {
            let scratch = tempfile::tempdir().unwrap();
            let path = scratch.path().join("acknowledged");
            let mut mark = Mark::open(&path).unwrap();
            for seq in [5, 6, 8] {
                mark.set(seq).unwrap();
            }
            mark.file.write_all_at(&[0xEE; 5], torn * SLOT as u64).unwrap();
            Mark::open(&path).unwrap().last()
        };
        let mut found = [check(0), check(1)];
        found.sort();
        assert_eq!(found, [6, 8]);
    }
}
