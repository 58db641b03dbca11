//! Space kept back for the day on which the disk is full.
//!
//! When the disk is full no session may go forward, but each has to be brought to its safe end, and that is written
//! down too. So a file of zeros holds some space; it is given up when an append finds none, and is made again when
//! the disk has room for twice as much.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether there is space for closings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The space is held back, or none was wanted.
    Held,
    /// It was given up and the disk is still nearly full: only closings may be begun.
    Spent,
}

/// The file that holds the space.
#[derive(Debug)]
pub(crate) struct ReserveFile {
    path: PathBuf,
    size: u64,
}

impl ReserveFile {
    /// Of `size` bytes; 0 holds nothing back.
    pub(crate) fn new(path: PathBuf, size: u64) -> Self {
        Self { path, size }
    }

    /// Holds the space back, if that leaves as much free again.
    ///
    /// # Errors
    /// The disk said no for another reason than being full.
    pub(crate) fn hold(&self) -> io::Result<Reserve> {
        if self.size == 0 {
            return self.release().map(|()| Reserve::Held);
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() == self.size => return Ok(Reserve::Held),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        match self.fill() {
            Ok(()) => Ok(Reserve::Held),
            Err(error) if is_full(&error) => self.release().map(|()| Reserve::Spent),
            Err(error) => Err(error),
        }
    }

    /// Gives the space up.
    ///
    /// # Errors
    /// The disk said no; a file that is not there is no error.
    pub(crate) fn release(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes twice the size and keeps half: so the other half is known to be free.
    fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path)?;
        let zeros = vec![0; 1 << 16];
        let mut left = 2 * self.size;
        while left > 0 {
            let chunk = left.min(zeros.len() as u64);
            file.write_all(&zeros[..chunk as usize])?;
            left -= chunk;
        }
        // File systems that allocate late say only here that there is no space.
        file.sync_all()?;
        file.set_len(self.size)?;
        file.sync_all()?;
        crate::dir::sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

/// True if the disk, or the share of it that we may use, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_held_given_up_and_held_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("reserve");
        let reserve = ReserveFile::new(path.clone(), 100_000);
        for _ in 0..2 {
            assert_eq!(reserve.hold().unwrap(), Reserve::Held);
            assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
        }
        reserve.release().unwrap();
        reserve.release().unwrap();
        assert!(!path.exists());
        assert_eq!(reserve.hold().unwrap(), Reserve::Held);
    }

    #[test]
    fn a_half_written_reserve_is_written_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("reserve");
        fs::write(&path, "short").unwrap();
        assert_eq!(ReserveFile::new(path.clone(), 5_000).hold().unwrap(), Reserve::Held);
        assert_eq!(fs::metadata(&path).unwrap().len(), 5_000);
    }

    #[test]
    fn nothing_is_held_if_nothing_is_wanted() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("reserve");
        assert_eq!(ReserveFile::new(path.clone(), 0).hold().unwrap(), Reserve::Held);
        assert!(!path.exists());
    }

    #[test]
    fn a_full_device_is_told_apart() {
        let check = |device: &str, full: bool| {
            let written =
                OpenOptions::new().write(true).open(device).and_then(|mut file| file.write_all(&[0]));
            assert_eq!(written.is_err_and(|error| is_full(&error)), full, "{device}");
        };
        check("/dev/full", true);
        check("/dev/null", false);
    }
}
