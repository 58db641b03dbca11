//! The kernel's FUSE protocol, version 7.31, as bytes: requests out of `/dev/fuse`, and answers to them.
//!
//! Only what a tree of plain files needs; to everything else the answer is that it is not implemented, with which the
//! kernel copes. All numbers are in the machine's byte order. The layouts are those of `linux/fuse.h`.
//!
//! Written out here, since the crates that speak it switch on features of `libc` or `rustix`, with which everything
//! that Fenix is made of would be built again.

use serde::{Deserialize, Serialize};

/// What a request has in front of its own fields.
const HEADER: usize = 40;

/// Most bytes of one write; of one read, the kernel's limit is the same.
const MAX_WRITE: u32 = 1 << 20;

/// Room for the largest request.
pub(super) const MAX_REQUEST: usize = MAX_WRITE as usize + 4096;

/// The protocol's version; the kernel uses the lower one of its and ours.
const VERSION: (u32, u32) = (7, 31);

/// From the answer to the first request: writes may be larger than a page, and `max_pages` counts.
const BIG_WRITES: u32 = 1 << 5;
const MAX_PAGES: u32 = 1 << 22;

/// The request to set attributes says in this bit that the size is among them.
const SET_SIZE: u32 = 1 << 3;

/// The answer to an opening: read and write past the kernel's cache, or keep what the cache has.
const DIRECT: u32 = 1 << 0;
const KEEP_CACHE: u32 = 1 << 1;

/// The number of an error, as Linux has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl Errno {
    /// The disk could not.
    pub const IO: Errno = Errno(5);
    /// The disk is full.
    pub const FULL: Errno = Errno(28);
    pub(super) const MISSING: Errno = Errno(2);
    pub(super) const EXISTS: Errno = Errno(17);
    pub(super) const NO_DIRECTORY: Errno = Errno(20);
    pub(super) const DIRECTORY: Errno = Errno(21);
    pub(super) const NOT_IMPLEMENTED: Errno = Errno(38);
    pub(super) const NOT_EMPTY: Errno = Errno(39);
}

/// A request of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// Its number, which stands in the answer.
    pub(super) unique: u64,
    /// The node that it is about.
    pub(super) node: u64,
    pub(super) op: Op<'a>,
}

/// What is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op<'a> {
    Hello,
    Lookup(&'a str),
    Attributes,
    /// To set the size, or attributes that we do not keep.
    Set(Option<u64>),
    MakeDir(&'a str),
    /// A new file, with or without opening it.
    Create {
        name: &'a str,
        open: bool,
    },
    Remove(&'a str),
    RemoveDir(&'a str),
    Rename {
        name: &'a str,
        to_dir: u64,
        to_name: &'a str,
    },
    Open,
    OpenDir,
    Read {
        at: u64,
        len: usize,
    },
    ReadDir {
        from: u64,
        len: usize,
    },
    Write {
        at: u64,
        bytes: &'a [u8],
    },
    Sync,
    SyncDir,
    Space,
    /// What only has to be answered.
    Release,
    /// What must not be answered.
    Forget,
    Unknown,
}

/// Reads a request; `None` if it is not as the protocol says.
pub(super) fn parse(bytes: &[u8]) -> Option<Request<'_>> {
    let mut fields = Fields(bytes.get(..HEADER)?);
    fields.u32()?;
    let (opcode, unique, node) = (fields.u32()?, fields.u64()?, fields.u64()?);
    let op = operation(opcode, Fields(&bytes[HEADER..]))?;
    Some(Request { unique, node, op })
}

fn operation(opcode: u32, mut body: Fields<'_>) -> Option<Op<'_>> {
    Some(match opcode {
        1 => Op::Lookup(body.name()?),
        2 | 36 | 42 => Op::Forget,
        3 => Op::Attributes,
        4 => {
            let valid = body.u32()?;
            body.skip(4 + 8)?;
            let size = body.u64()?;
            Op::Set((valid & SET_SIZE != 0).then_some(size))
        }
        8 => Op::Create { name: body.skip(16)?.name()?, open: false },
        9 => Op::MakeDir(body.skip(8)?.name()?),
        10 => Op::Remove(body.name()?),
        11 => Op::RemoveDir(body.name()?),
        12 => rename(&mut body, 0)?,
        // With flags, like not to replace: nobody here uses any.
        45 => rename(&mut body, 8)?,
        14 => Op::Open,
        27 => Op::OpenDir,
        15 => {
            let (at, len) = place(&mut body)?;
            Op::Read { at, len }
        }
        28 => {
            let (from, len) = place(&mut body)?;
            Op::ReadDir { from, len }
        }
        16 => {
            let (at, len) = place(&mut body)?;
            body.skip(20)?;
            Op::Write { at, bytes: body.0.get(..len)? }
        }
        17 => Op::Space,
        18 | 29 | 38 => Op::Release,
        20 => Op::Sync,
        26 => Op::Hello,
        30 => Op::SyncDir,
        35 => Op::Create { name: body.skip(16)?.name()?, open: true },
        _ => Op::Unknown,
    })
}

fn rename<'a>(body: &mut Fields<'a>, more: usize) -> Option<Op<'a>> {
    let to_dir = body.u64()?;
    body.skip(more)?;
    Some(Op::Rename { to_dir, name: body.name()?, to_name: body.name()? })
}

/// The fields with which reads and writes begin, without the handle.
fn place(body: &mut Fields<'_>) -> Option<(u64, usize)> {
    body.skip(8)?;
    Some((body.u64()?, body.u32()? as usize))
}

/// The rest of a request.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn skip(&mut self, len: usize) -> Option<&mut Self> {
        self.0 = self.0.get(len..)?;
        Some(self)
    }

    fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*first))
    }

    fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*first))
    }

    fn name(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(name)
    }
}

/// What is said of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) node: u64,
    pub(super) is_dir: bool,
    pub(super) len: u64,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Error(Errno),
    Hello,
    /// A node that has a name.
    Entry(Attributes),
    Attributes(Attributes),
    Opened(Caching),
    Created(Attributes, Caching),
    Bytes(Vec<u8>),
    Written(usize),
    Names(Names),
    /// Bytes in all, and bytes that are free.
    Space {
        all: u64,
        free: u64,
    },
}

/// Whether the kernel may answer reads from what it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caching {
    /// Each read and write is one of the disk.
    None,
    /// What was read or written stays in the kernel's cache, also when it was not written to the disk.
    Kernel,
}

/// Names in a directory, as many as fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    bytes: Vec<u8>,
    room: usize,
}

impl Names {
    pub(super) fn new(room: usize) -> Names {
        Names { bytes: Vec::new(), room }
    }

    /// Adds one; false if it does not fit. `next` is where to go on after it.
    pub(super) fn add(&mut self, name: &str, of: Attributes, next: u64) -> bool {
        let padded = (24 + name.len()).next_multiple_of(8);
        if self.bytes.len() + padded > self.room {
            return false;
        }
        let end = self.bytes.len() + padded;
        let out = &mut self.bytes;
        put64(out, &[of.node, next]);
        put32(out, &[name.len() as u32, mode(of.is_dir) >> 12]);
        out.extend(name.as_bytes());
        out.resize(end, 0);
        true
    }
}

impl Answer {
    /// The answer to the request of that number.
    pub(super) fn bytes(&self, unique: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let error = if let Answer::Error(errno) = self { -errno.0 } else { 0 };
        put32(&mut out, &[0, error as u32]);
        put64(&mut out, &[unique]);
        match self {
            Answer::Done | Answer::Error(_) => {}
            Answer::Hello => hello(&mut out),
            Answer::Entry(of) => entry(&mut out, *of),
            Answer::Attributes(of) => {
                put64(&mut out, &[0, 0]);
                attributes(&mut out, *of);
            }
            Answer::Opened(caching) => opened(&mut out, *caching),
            Answer::Created(of, caching) => {
                entry(&mut out, *of);
                opened(&mut out, *caching);
            }
            Answer::Bytes(bytes) => out.extend(bytes),
            Answer::Written(len) => put32(&mut out, &[*len as u32, 0]),
            Answer::Names(names) => out.extend(&names.bytes),
            Answer::Space { all, free } => {
                put64(&mut out, &[all / 4096, free / 4096, free / 4096, 1 << 20, 1 << 20]);
                put32(&mut out, &[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        let len = out.len() as u32;
        out[..4].copy_from_slice(&len.to_ne_bytes());
        out
    }
}

fn hello(out: &mut Vec<u8>) {
    // Nothing is read ahead: every read is one that somebody asked for.
    put32(out, &[VERSION.0, VERSION.1, 0, BIG_WRITES | MAX_PAGES]);
    // How many requests may wait, left to the kernel.
    put32(out, &[0, MAX_WRITE, 1]);
    out.extend(((MAX_WRITE / 4096) as u16).to_ne_bytes());
    out.extend([0; 2]);
    put32(out, &[0; 8]);
}

/// Nothing that is said of a node holds for any time: the kernel asks again.
fn entry(out: &mut Vec<u8>, of: Attributes) {
    put64(out, &[of.node, 0, 0, 0, 0]);
    attributes(out, of);
}

fn attributes(out: &mut Vec<u8>, of: Attributes) {
    put64(out, &[of.node, of.len, of.len.div_ceil(512), 0, 0, 0]);
    let links = if of.is_dir { 2 } else { 1 };
    put32(out, &[0, 0, 0, mode(of.is_dir), links, 0, 0, 0, 4096, 0]);
}

fn mode(is_dir: bool) -> u32 {
    if is_dir { 0o040_755 } else { 0o100_644 }
}

fn opened(out: &mut Vec<u8>, caching: Caching) {
    let flags = match caching {
        Caching::None => DIRECT,
        Caching::Kernel => KEEP_CACHE,
    };
    put64(out, &[0]);
    put32(out, &[flags, 0]);
}

fn put32(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend(number.to_ne_bytes()));
}

fn put64(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| out.extend(number.to_ne_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put32(&mut bytes, &[(HEADER + body.len()) as u32, opcode]);
        put64(&mut bytes, &[7, 3, 0, 0]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_request_that_is_cut_off_is_no_request() {
        let mut body = vec![0; 40];
        body[8..16].copy_from_slice(&512u64.to_ne_bytes());
        body[16..20].copy_from_slice(&3u32.to_ne_bytes());
        body.extend(b"abc");
        let whole = request(16, &body);
        let op = Op::Write { at: 512, bytes: b"abc" };
        assert_eq!(parse(&whole), Some(Request { unique: 7, node: 3, op }));
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len}");
        }
    }

    #[test]
    fn names_are_read_up_to_their_end() {
        let check = |opcode, body: &[u8], op| assert_eq!(parse(&request(opcode, body)).unwrap().op, op);
        check(1, b"db\0", Op::Lookup("db"));
        let mut renamed = 9u64.to_ne_bytes().to_vec();
        renamed.extend(b"a.tmp\0a\0");
        check(12, &renamed, Op::Rename { name: "a.tmp", to_dir: 9, to_name: "a" });
        check(99, b"", Op::Unknown);
        assert_eq!(parse(&request(1, b"no end")), None);
    }

    #[test]
    fn answers_are_as_long_as_the_kernel_expects() {
        let of = Attributes { node: 2, is_dir: false, len: 10 };
        let check = |answer: Answer, len: usize| {
            let bytes = answer.bytes(5);
            assert_eq!(bytes.len(), 16 + len, "{answer:?}");
            assert_eq!(bytes[..4], (16 + len as u32).to_ne_bytes());
        };
        check(Answer::Done, 0);
        check(Answer::Error(Errno::IO), 0);
        check(Answer::Hello, 64);
        check(Answer::Entry(of), 128);
        check(Answer::Attributes(of), 104);
        check(Answer::Opened(Caching::None), 16);
        check(Answer::Created(of, Caching::Kernel), 144);
        check(Answer::Written(3), 8);
        check(Answer::Space { all: 4096, free: 0 }, 80);
    }

    #[test]
    fn names_are_given_while_there_is_room() {
        let of = Attributes { node: 2, is_dir: true, len: 0 };
        let mut names = Names::new(64);
        assert!(names.add("a", of, 1) && names.add("12345678", of, 2));
        assert!(!names.add("b", of, 3));
        assert_eq!(Answer::Names(names).bytes(1).len(), 16 + 64);
    }
}
