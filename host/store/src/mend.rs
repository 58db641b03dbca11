//! The database opened, and made again first if it is damaged.
//!
//! Before sled may touch the file it is looked at ([`crate::log`]): a hole in it would make sled cut off and overwrite
//! everything behind. If acknowledged records stand behind a hole, or sled cannot read what is there, a new database
//! is made of all that can be read anywhere in the file. It takes the place of the damaged one only if it can be
//! opened: if it is certain which sessions lost records, and that nothing else is lost. The damaged one is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bodies::Bodies;
use crate::database::{Batch, Database, Fault, SyncFile, record_key, record_of};
use crate::dir::{create_dir, io_error, sync_dir};
use crate::index;
use crate::log::{self, Salvage};
use crate::opening::{Contents, Mended, OpenError, ReadingError, read_all};
use crate::restore::BATCH;

/// Where everything is, and what is known of it.
pub(crate) struct Place {
    /// The database.
    pub(crate) sled: PathBuf,
    /// Where a new one may be made.
    pub(crate) new_sled: PathBuf,
    /// Where the damaged one is while the new one takes its place.
    pub(crate) old_sled: PathBuf,
    /// Where damaged ones are kept; a number is added if there is one already.
    pub(crate) hurt_sled: PathBuf,
    pub(crate) bodies: Bodies,
    /// The file that tells what was acknowledged.
    pub(crate) mark: PathBuf,
    pub(crate) acknowledged: u64,
    pub(crate) cache_bytes: u64,
}

/// A database that was opened and read.
pub(crate) struct Found {
    pub(crate) database: Database,
    pub(crate) contents: Contents,
    pub(crate) mended: Option<Mended>,
}

impl Place {
    /// Opens the database, reads and checks everything in it, and mends it if it must and can be.
    ///
    /// # Errors
    /// See [`OpenError`]; a damaged database is then as it was, as far as that is up to us.
    pub(crate) fn open(&self, sync: &SyncFile) -> Result<Found, OpenError> {
        let hurt = self.is_hurt()?;
        let refused = if hurt {
            None
        } else {
            match self.read(&self.sled, sync) {
                Ok((database, contents)) => return Ok(Found { database, contents, mended: None }),
                Err(error) => Some(self.told(error, true)?),
            }
        };
        let salvage = log::salvage(&self.sled).map_err(io_error("read", &self.sled.join("db")))?;
        let made = self.make(&salvage, sync);
        if made.is_err() {
            // The failure is told; what is left of it goes with the next attempt.
            drop(fs::remove_dir_all(&self.new_sled));
        }
        if let (Err(_), Some(refused)) = (&made, refused) {
            return Err(refused);
        }
        made?;
        let kept = self.swap().map_err(io_error("replace", &self.sled))?;
        let (database, contents) =
            self.read(&self.sled, sync).or_else(|error| Err(self.told(error, false)?))?;
        let holes = salvage.survey().holes.clone();
        Ok(Found { database, contents, mended: Some(Mended { holes, kept }) })
    }

    /// True if sled would cut off what was acknowledged.
    fn is_hurt(&self) -> Result<bool, OpenError> {
        let file = self.sled.join("db");
        if !file.exists() {
            return Ok(false);
        }
        let survey = log::survey(&self.sled).map_err(io_error("read", &file))?;
        if survey.holes.is_empty() {
            return Ok(false);
        }
        // What an append that was cut off leaves looks like damage, and is none: nobody was told that it is stored.
        let salvage = log::salvage(&self.sled).map_err(io_error("read", &file))?;
        Ok(self.acknowledged > 0 && !salvage.is_before_holes(&record_key(self.acknowledged)))
    }

    fn read(&self, sled: &Path, sync: &SyncFile) -> Result<(Database, Contents), ReadingError> {
        let database = Database::open(sled, self.cache_bytes, Arc::clone(sync))?;
        let contents = read_all(&database, &self.bodies, self.acknowledged, &self.mark)?;
        Ok((database, contents))
    }

    /// What is told of an error if nothing helps; an error at once for what no mending helps against.
    fn told(&self, error: ReadingError, try_mending: bool) -> Result<OpenError, OpenError> {
        let (error, is_damage) = match error {
            ReadingError::Fault(fault) => {
                let is_damage = matches!(fault, Fault::Damaged(_) | Fault::Panicked(_));
                (OpenError::Database { path: self.sled.clone(), why: fault.to_string() }, is_damage)
            }
            ReadingError::Open(error) => {
                let is_damage = matches!(
                    error,
                    OpenError::Record { .. }
                        | OpenError::Gap { .. }
                        | OpenError::Beginning { .. }
                        | OpenError::TailLost { .. }
                );
                (error, is_damage)
            }
        };
        if is_damage && try_mending { Ok(error) } else { Err(error) }
    }

    /// Makes a new database of what was found, and reads it.
    fn make(&self, salvage: &Salvage, sync: &SyncFile) -> Result<(), OpenError> {
        let path = &self.new_sled;
        if path.exists() {
            fs::remove_dir_all(path).map_err(io_error("remove", path))?;
        }
        create_dir(path).map_err(io_error("create", path))?;
        self.fill(salvage, sync).map_err(|fault| io_error("write", path)(fault.into()))?;
        match self.read(path, sync) {
            Ok(_) => Ok(()),
            Err(error) => self.told(error, true).and_then(Err),
        }
    }

    fn fill(&self, salvage: &Salvage, sync: &SyncFile) -> Result<(), Fault> {
        let database = Database::open(&self.new_sled, self.cache_bytes, Arc::clone(sync))?;
        let last = self.last_whole(salvage);
        let fits = |key: &[u8]| {
            let seq = record_of(key).or_else(|| index::first_of(key));
            seq.is_none_or(|seq| seq <= last)
        };
        let entries: Vec<_> = salvage.entries().filter(|(key, _)| fits(key)).collect();
        for entries in entries.chunks(BATCH) {
            let mut batch = Batch::default();
            for (key, value) in entries {
                batch.entry(key.to_vec(), value.to_vec());
            }
            database.write(batch)?;
        }
        Ok(())
    }

    /// The last record that was stored together with all that belongs to it. What was not acknowledged and is not
    /// whole was cut off when it was written, and its caller knows.
    fn last_whole(&self, salvage: &Salvage) -> u64 {
        let records = salvage.entries().rev().filter_map(|(key, _)| Some((record_of(key)?, key)));
        let mut whole = records.filter(|(seq, key)| *seq <= self.acknowledged || salvage.came_whole(key));
        whole.next().map_or(0, |(seq, _)| seq).max(self.acknowledged)
    }

    /// Puts the new database into its place. Returns where the damaged one is kept.
    fn swap(&self) -> io::Result<PathBuf> {
        let parent = self.sled.parent().unwrap_or(Path::new("."));
        if self.old_sled.exists() {
            // The traces of a compaction that was cut off.
            fs::remove_dir_all(&self.old_sled)?;
        }
        fs::rename(&self.sled, &self.old_sled)?;
        sync_dir(parent)?;
        fs::rename(&self.new_sled, &self.sled)?;
        sync_dir(parent)?;
        let mut kept = self.hurt_sled.clone();
        for number in 2.. {
            if !kept.exists() {
                break;
            }
            kept = self.hurt_sled.with_extension(format!("hurt.{number}"));
        }
        fs::rename(&self.old_sled, &kept)?;
        sync_dir(parent)?;
        Ok(kept)
    }
}
