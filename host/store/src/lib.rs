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
//! | `sled/` | the database: frames by number, and an index by session | `database` |

pub mod codec;
pub mod kind;

mod batch;
mod mem;

mod bodies;
mod database;
mod dir;
mod index;
mod mark;
mod opening;
mod reader;
mod reserve;
mod sled_journal;

pub use batch::MAX_BATCH;
pub use dir::LAYOUT;
pub use mem::{Failure, MemJournal};
pub use opening::{Damaged, OpenError, Opened};
pub use reader::{MAX_PAGE, ReadError, Reader};
pub use reserve::Reserve;
pub use sled_journal::{MAX_VALUE, Settings, SledJournal};

#[cfg(test)]
mod tests;
