//! Where packages are kept: by the digest of their content, so that sessions share what is the same.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fenix_core::id::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

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

    /// Begins to take in what somebody sends, who draws a `name` for it that nobody else has.
    ///
    /// # Errors
    /// Nothing can be written.
    pub async fn incoming(&self, name: &str) -> io::Result<Incoming> {
        let path = self.partial(name);
        let file = tokio::fs::File::create(&path).await?;
        Ok(Incoming { store: self.clone(), path, file, hash: Sha256::new(), bytes: 0 })
    }

    /// Removes a package that nobody needs.
    ///
    /// # Errors
    /// It cannot be removed. One that is not there is no error.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.folder.join(digest.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
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

/// What somebody is sending. Dropped before it is admitted, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    path: PathBuf,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
}

/// Why what was sent is not kept.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// It is something else.
    #[error("what came has {bytes} bytes and the digest {found}, not {expected}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
        /// Its size.
        bytes: u64,
    },
    /// It cannot be kept.
    #[error("it cannot be kept")]
    Io(#[from] io::Error),
}

impl Incoming {
    /// Takes the next piece.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece).await?;
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// What has come so far, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes it over, if it is what it should be. On return it survives the loss of power.
    ///
    /// # Errors
    /// It is not; nothing of it is left.
    pub async fn admit(mut self, expected: &Digest) -> Result<u64, AdmitError> {
        self.file.flush().await?;
        let (found, bytes) = (Digest::from(hex::encode(self.hash.finalize_reset())), self.bytes);
        if found != *expected {
            return Err(AdmitError::WrongDigest { expected: expected.clone(), found, bytes });
        }
        let admit = move || self.store.admit(&self.path, &found);
        tokio::task::spawn_blocking(admit).await.map_err(io::Error::other)??;
        Ok(bytes)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It is gone from there if it was admitted.
        drop(fs::remove_file(&self.path));
    }
}

/// The digest of what follows, and its size.
///
/// # Errors
/// It cannot be read.
pub fn digest(content: &mut impl Read) -> io::Result<(Digest, u64)> {
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = content.read(&mut chunk)?;
        if read == 0 {
            return Ok((Digest::from(hex::encode(hash.finalize())), bytes));
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
}
