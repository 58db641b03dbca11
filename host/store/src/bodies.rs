//! Bodies too large for the database: one file each, named by the SHA-256 of what is in it.
//!
//! A body is durable under its name before the record that refers to it is written. A body without a record, left
//! by a crash in between, does no harm: it is used when the same record comes again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::codec::BodyDigest;
use crate::dir::{sync_dir, write_file};

/// The directory of large bodies.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    dir: PathBuf,
}

impl Bodies {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where they are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// False if not even their directory is there.
    pub(crate) fn is_there(&self) -> bool {
        self.dir.is_dir()
    }

    /// Stores a body. On return it is durable, whether it was there before or not.
    ///
    /// # Errors
    /// The disk said no.
    pub(crate) fn put(&self, digest: BodyDigest, body: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        // A file that is there may be one whose name never became durable, or one that was damaged since.
        match fs::read(&path) {
            Ok(there) if there == body => {
                File::open(&path)?.sync_all()?;
                sync_dir(&self.dir)
            }
            Ok(_) => write_file(&path, body),
            Err(error) if error.kind() == io::ErrorKind::NotFound => write_file(&path, body),
            Err(error) => Err(error),
        }
    }

    /// The body of that digest, `len` bytes long; whoever asks checks the digest.
    ///
    /// # Errors
    /// Says why it cannot be had.
    pub(crate) fn get(&self, digest: BodyDigest, len: usize) -> Result<Vec<u8>, String> {
        let path = self.path(digest);
        let unread = |error: io::Error| format!("{}: {error}", path.display());
        let mut body = Vec::with_capacity(len.min(crate::codec::MAX_BODY));
        // One byte more than expected is enough to see that the file is too long.
        let most = len as u64 + 1;
        File::open(&path).and_then(|file| file.take(most).read_to_end(&mut body)).map_err(unread)?;
        Ok(body)
    }

    fn path(&self, digest: BodyDigest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_once_and_a_damaged_one_is_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let bodies = Bodies::new(scratch.path().to_owned());
        let body = vec![7; 10_000];
        let digest = BodyDigest::of(&body);
        let check = || {
            bodies.put(digest, &body).unwrap();
            assert_eq!(bodies.get(digest, body.len()).unwrap(), body);
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        };
        check();
        check();
        fs::write(scratch.path().join(digest.to_string()), "gone").unwrap();
        check();
    }

    #[test]
    fn a_missing_body_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let digest = BodyDigest::of(b"never stored");
        let why = Bodies::new(scratch.path().to_owned()).get(digest, 12).unwrap_err();
        assert!(why.contains(&digest.to_string()), "{why}");
    }
}
