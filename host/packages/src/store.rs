//! Where packages are kept: by the digest of their content, so that sessions share what is the same.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fenix_core::id::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes of a file that are read at a time.
const CHUNK: usize = 1 << 16;

/// What the name of a file ends with that is not whole yet.
const PARTIAL: &str = "part";

/// A folder of packages. Its files are named by the SHA-256 of their content; those that end in `.part` are on their way.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in a folder, which is made if there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Store> {
        fs::create_dir_all(folder)?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// The file with that content, and its size, if it is here.
    pub fn find(&self, digest: &Digest) -> Option<(PathBuf, u64)> {
        let path = self.folder.join(digest.as_str());
        let about = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((path, about.len()))
    }

    /// Where something is collected until all of it is here; the same for the same `what`, also after a restart.
    pub(crate) fn partial(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{PARTIAL}", hex::encode(Sha256::digest(what))))
    }

    /// Takes a file over that is whole. On return it survives the loss of power.
    ///
    /// # Errors
    /// It cannot be moved; it is as it was then.
    pub(crate) fn admit(&self, partial: &Path, digest: &Digest) -> io::Result<PathBuf> {
        let path = self.folder.join(digest.as_str());
        File::open(partial)?.sync_all()?;
        fs::rename(partial, &path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(path)
    }

    /// Removes what nobody needs, and unless somebody waits for it, what is on its way. One that cannot be removed does no
    /// harm.
    ///
    /// To be called while nothing is being fetched.
    pub fn keep_only(&self, needed: &BTreeSet<Digest>, is_awaited: bool) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_kept = needed.contains(&Digest::from(&name)) || is_awaited && name.contains('.');
            if !is_kept && let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "a package cannot be removed");
            }
        }
    }
}

/// The digest of a file's content, and its size.
///
/// # Errors
/// It cannot be read.
pub(crate) fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((Digest::from(hex::encode(hash.finalize())), bytes));
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
}
