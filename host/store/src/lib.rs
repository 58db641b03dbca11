//! The journal on disk, and the same journal in memory.
//!
//! [`SledJournal`] keeps records in an embedded sled database and says that a batch is stored only when it survives
//! the loss of power; [`MemJournal`] keeps the same bytes in memory, for virtual time. Both keep what
//! [`codec`] makes of a record: a frame with a checksum, its kind and that kind's version. [`kind`] names the stored
//! forms and brings older ones up. Only this crate knows bytes on disk, and only its module `database` knows
//! sled.
//!
//! A data directory:
//!
//! | file | what | module |
//! |---|---|---|
//! | `FORMAT` | the version of this layout | `dir` |
//! | `lock` | held while the directory is in use; names the process | `dir` |
//! | `acknowledged` | the last record that a caller was told is stored | `mark` |
//! | `reserve` | space given up when the disk is full, so that sessions can be closed | `reserve` |
//! | `bodies/` | bodies too large for the database, named by their SHA-256 | `bodies` |
//! | `archive/` | the sessions that a compaction left out | `compact` |
//! | `sled.new/`, `sled.old/` | a compaction under way, or one that was cut off | `compact` |
//! | `sled/` | the database: frames by number, and an index by session | `database` |
//! | `sled.hurt*` | databases that were damaged and made again; nobody reads them | `mend` |

pub mod archive;
pub mod bare;
pub mod codec;
pub mod kind;

mod batch;
mod mem;

mod bodies;
mod check;
mod compact;
mod database;
mod decoding;
mod dir;
mod index;
mod keep;
mod log;
mod loss;
mod mark;
mod mend;
mod opening;
mod reader;
mod reserve;
mod restore;
mod scribe;
mod sled_journal;

pub use batch::MAX_BATCH;
pub use check::{Checked, check};
pub use compact::{CompactError, Compacted, compact};
pub use dir::{LAYOUT, Standing, standing};
pub use log::Hole;
pub use mem::{Failure, MemJournal};
pub use opening::{Damaged, Mended, OpenError, Opened};
pub use reader::{MAX_PAGE, ReadError, Reader};
pub use reserve::{Reserve, is_full};
pub use restore::{RestoreError, restore};
pub use sled_journal::{MAX_VALUE, Settings, SledJournal};

#[cfg(test)]
mod tests;
