//! sled as the journal uses it, and nothing of the journal: what the bench holds the journal against. It is here since
//! no other crate names sled.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// A database of frames under their numbers.
pub struct Bare {
    db: sled::Db,
    file: File,
}

impl Bare {
    /// Makes one in a new directory.
    ///
    /// # Errors
    /// The disk said no.
    pub fn create(dir: &Path) -> io::Result<Bare> {
        let config = sled::Config::new().path(dir).flush_every_ms(None);
        let db = config.cache_capacity(crate::Settings::default().cache_bytes).open()?;
        let file = OpenOptions::new().read(true).write(true).open(dir.join("db"))?;
        Ok(Bare { db, file })
    }

    /// Writes frames in one batch. On return they are durable.
    ///
    /// # Errors
    /// The disk said no.
    pub fn append<'a>(&self, frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for (seq, frame) in frames {
            batch.insert(&seq.to_be_bytes(), frame);
        }
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        self.file.sync_all()
    }
}
