//! A whole journal in one file, or a stream: for backups.
//!
//! An archive is a line that says what it is, and then entries: one byte that tells the kind, four for the length, and
//! that many more.
//!
//! | kind | what |
//! |---|---|
//! | `h` | JSON: when it was made, by which version, and the last record's number |
//! | `r` | a record, as [`codec`](crate::codec) makes it, with its body |
//! | `g` | numbers that were left out on purpose before: the first and the last, eight bytes each |
//! | `f` | a file that belongs to it: one byte for the length of its name, the name, and what is in it |
//! | `e` | the end; JSON: how many of each there are, and the SHA-256 of everything before this entry |
//!
//! Records stand in the order of their numbers, and are of one moment: an archive has all that the journal held when
//! it was begun, and nothing later. Each number up to the last has its record or is in a gap, which stands before that.
//! What has no end is no archive.

use std::io::{Read, Write};

use fenix_core::record::Record;
use fenix_core::time::Time;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::codec::{DecodeError, EncodeError, MAX_BODY, MAX_SEQ, decode, encode};
use crate::reader::{MAX_PAGE, ReadError, Reader};

/// The first line.
const MAGIC: &[u8] = b"fenix backup 1\n";

/// Longest entry: a component of 32 MiB, which is the most that may be attached, and its name.
const MAX_ENTRY: usize = 33 * 1024 * 1024;

/// Longest name of a file; one byte holds the length.
const MAX_NAME: usize = 255;

const HEAD: u8 = b'h';
const RECORD: u8 = b'r';
const GAP: u8 = b'g';
const FILE: u8 = b'f';
const END: u8 = b'e';

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// When it was made.
    pub made_at: Time,
    /// The number of the last record.
    pub last_seq: u64,
    /// How many records there are.
    pub records: u64,
    /// How many files there are.
    pub files: u64,
    /// SHA-256 of everything in it, in hex.
    pub digest: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record.
    Record(Box<Record>),
    /// Numbers that were left out on purpose, from and to.
    Gap(u64, u64),
    /// A file, by the name that it has in the data directory.
    File(String, Vec<u8>),
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read or written.
    #[error("the archive cannot be read or written")]
    Io(#[from] std::io::Error),
    /// The journal cannot be read.
    #[error("the journal cannot be read; `fenix store check` says what is hurt")]
    Journal(#[from] ReadError),
    /// A record cannot be put into it.
    #[error("a record cannot be archived")]
    Encode(#[from] EncodeError),
    /// It is something else.
    #[error("this is no backup that Fenix made, or one of a newer version")]
    NotOurs,
    /// It ends too early.
    #[error("the archive has no end: it was cut off after record {after}; use another one")]
    CutOff {
        /// The last whole record.
        after: u64,
    },
    /// A record in it is bad.
    #[error("the record after record {after} of the archive is bad; use another one")]
    Record {
        /// The record before.
        after: u64,
        /// What is bad about it.
        #[source]
        source: DecodeError,
    },
    /// It contradicts itself.
    #[error("the archive was altered: {why}; use another one")]
    Altered {
        /// In what.
        why: String,
    },
}

fn altered(why: impl Into<String>) -> ArchiveError {
    ArchiveError::Altered { why: why.into() }
}

/// Writes all that the journal holds at this moment, and files of the data directory by their names. Whoever appends
/// meanwhile is not held up.
///
/// # Errors
/// See [`ArchiveError`]; what was written then has no end, and is refused by whoever reads it.
pub fn back_up(
    reader: &Reader,
    files: impl IntoIterator<Item = std::io::Result<(String, Vec<u8>)>>,
    made_at: Time,
    version: &str,
    out: impl Write,
) -> Result<Sum, ArchiveError> {
    let last_seq = reader.last_seq();
    let mut out = Out { out, digest: Sha256::new() };
    out.raw(MAGIC)?;
    let head = json!({ "made_at_ms": made_at.0, "fenix": version, "last_seq": last_seq });
    out.entry(HEAD, head.to_string().as_bytes())?;
    let (mut records, mut count) = (0u64, 0u64);
    for (first, last) in reader.gaps()? {
        out.entry(GAP, &[first.to_be_bytes(), last.to_be_bytes()].concat())?;
    }
    let mut next = 0;
    while next <= last_seq {
        let page = reader.records(next, MAX_PAGE)?;
        let Some(last) = page.last().map(|record| record.seq) else { break };
        for record in page.iter().filter(|record| record.seq <= last_seq) {
            out.entry(RECORD, &encode(record)?)?;
            records += 1;
        }
        next = last + 1;
    }
    for file in files {
        let (name, bytes) = file?;
        let length =
            u8::try_from(name.len()).map_err(|_| altered(format!("{name:?} is no name of a file")))?;
        out.entry(FILE, &[&[length][..], name.as_bytes(), &bytes].concat())?;
        count += 1;
    }
    let digest = hex::encode(out.digest.clone().finalize());
    let end = json!({ "records": records, "files": count, "sha256": digest });
    out.entry(END, end.to_string().as_bytes())?;
    out.out.flush()?;
    Ok(Sum { made_at, last_seq, records, files: count, digest })
}

/// What is written, and the digest of it.
struct Out<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Out<W> {
    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }

    fn entry(&mut self, kind: u8, bytes: &[u8]) -> Result<(), ArchiveError> {
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_ENTRY);
        let length =
            length.ok_or_else(|| altered(format!("an entry of {} bytes is too large", bytes.len())))?;
        self.raw(&[&[kind][..], &length.to_be_bytes()].concat())?;
        Ok(self.raw(bytes)?)
    }
}

/// Reads an archive to its end, checks everything in it, and shows entry after entry. What was shown counts only when
/// this has returned without an error.
///
/// # Errors
/// See [`ArchiveError`], or what `show` says.
pub fn read<E: From<ArchiveError>>(
    input: impl Read,
    mut show: impl FnMut(Entry) -> Result<(), E>,
) -> Result<Sum, E> {
    let mut input = Input { input, digest: Sha256::new(), seen: Seen::default() };
    let mut magic = vec![0; MAGIC.len()];
    if !input.fill(&mut magic)? || magic != MAGIC {
        return Err(ArchiveError::NotOurs.into());
    }
    let (kind, head) = input.entry()?;
    let head: Value = serde_json::from_slice(&head).unwrap_or(Value::Null);
    let (Some(last_seq), Some(made_at)) = (head["last_seq"].as_u64(), head["made_at_ms"].as_u64()) else {
        return Err(ArchiveError::NotOurs.into());
    };
    if kind != HEAD {
        return Err(ArchiveError::NotOurs.into());
    }
    loop {
        // The digest in the end is of what stands before the end.
        let before = input.digest.clone();
        match input.entry()? {
            (END, bytes) => {
                let digest = hex::encode(before.finalize());
                input.finish(&bytes, &digest, last_seq)?;
                let Seen { records, files, .. } = input.seen;
                return Ok(Sum { made_at: Time(made_at), last_seq, records, files, digest });
            }
            (kind, bytes) => {
                let entry = input.seen.take(kind, &bytes)?;
                show(entry)?;
            }
        }
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    files: u64,
    last: u64,
    /// Those that no record has come behind yet.
    gaps: std::collections::BTreeMap<u64, u64>,
}

impl Seen {
    fn take(&mut self, kind: u8, bytes: &[u8]) -> Result<Entry, ArchiveError> {
        match kind {
            RECORD => {
                let record =
                    decode(bytes).map_err(|source| ArchiveError::Record { after: self.last, source })?;
                let before = self.gaps.remove(&(self.last + 1)).unwrap_or(self.last);
                if record.seq != before + 1 {
                    return Err(altered(format!("record {} follows record {}", record.seq, self.last)));
                }
                self.last = record.seq;
                self.records += 1;
                Ok(Entry::Record(Box::new(record)))
            }
            GAP => {
                let (first, last) =
                    bytes.split_first_chunk::<8>().ok_or_else(|| altered("a gap has no end"))?;
                let last = last.try_into().map_err(|_| altered("a gap has no end"))?;
                let (first, last) = (u64::from_be_bytes(*first), u64::from_be_bytes(last));
                let fits = self.last < first && first <= last && last < MAX_SEQ;
                if !fits || self.gaps.insert(first, last).is_some() {
                    let after = self.last;
                    return Err(altered(format!("{first} to {last} is no gap behind record {after}")));
                }
                Ok(Entry::Gap(first, last))
            }
            FILE => {
                let (length, rest) = bytes.split_first().ok_or_else(|| altered("a file has no name"))?;
                let named = rest.split_at_checked(usize::from(*length).min(MAX_NAME));
                let (name, bytes) = named.ok_or_else(|| altered("a file has no name"))?;
                let name = std::str::from_utf8(name).map_err(|_| altered("a file has no readable name"))?;
                self.files += 1;
                Ok(Entry::File(name.to_owned(), bytes.to_vec()))
            }
            other => Err(altered(format!("there is no kind {other} of entry after record {}", self.last))),
        }
    }
}

struct Input<R> {
    input: R,
    digest: Sha256,
    seen: Seen,
}

impl<R: Read> Input<R> {
    /// Fills all of it; false if the input ends before.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, ArchiveError> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.digest.update(&*bytes);
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn entry(&mut self) -> Result<(u8, Vec<u8>), ArchiveError> {
        let cut_off = ArchiveError::CutOff { after: self.seen.last };
        let mut head = [0; 5];
        if !self.fill(&mut head)? {
            return Err(cut_off);
        }
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let most = if kind == RECORD { 2 * MAX_BODY } else { MAX_ENTRY };
        if length > most {
            return Err(altered(format!("an entry after record {} has {length} bytes", self.seen.last)));
        }
        let mut bytes = vec![0; length];
        if self.fill(&mut bytes)? { Ok((kind, bytes)) } else { Err(cut_off) }
    }

    /// Holds the end against what stood before it, and sees that nothing stands behind it.
    fn finish(&mut self, end: &[u8], digest: &str, last_seq: u64) -> Result<(), ArchiveError> {
        let end: Value = serde_json::from_slice(end).map_err(|_| altered("its end cannot be read"))?;
        if end["sha256"] != digest {
            return Err(altered("its checksum is wrong"));
        }
        let told = (end["records"].as_u64(), end["files"].as_u64());
        if told != (Some(self.seen.records), Some(self.seen.files)) || self.seen.last != last_seq {
            return Err(altered("it does not hold what its end says"));
        }
        if let Some((first, last)) = self.seen.gaps.first_key_value() {
            return Err(altered(format!("{first} to {last} is no gap between its records")));
        }
        if self.fill(&mut [0])? {
            return Err(altered("something stands behind its end"));
        }
        Ok(())
    }
}
