//! The file of a simulated cloud: one line per commit, each with its checksum.
//!
//! The first line says what the world was made from; a line may follow with the world as it once was; every further
//! line is a batch of changes that were applied together. A batch is one line, so that a crash can tear at most the
//! last one; what was in it had been answered to nobody. A bad line before the last is damage, and is never
//! passed over.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is wrong with a state file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk said no.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was made from something else.
    #[error("{path} was made from another {what}; use that one, or remove the file to begin anew")]
    MadeFromOther {
        /// The file.
        path: PathBuf,
        /// `specification`, `seed` or `format`.
        what: &'static str,
    },
    /// A line before the last cannot be read.
    #[error("{path} is damaged in line {line}: {why}; restore it, or remove it to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The specification itself does not hold.
    #[error("the simulated cloud cannot be built")]
    Spec(#[from] super::SpecError),
}

/// An open state file, locked for this process.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    len: u64,
}

/// What stood in a state file.
pub(super) struct Opened {
    pub(super) log: Log,
    /// Its good lines, without their checksums, not yet understood.
    pub(super) lines: Vec<Line>,
    /// Bytes of a torn last line that were cut off.
    pub(super) torn: u64,
}

/// One line and its place.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) json: String,
}

impl Log {
    /// Opens a state file, or makes an empty one, and cuts off a torn last line.
    pub(super) fn open(path: &Path) -> Result<Opened, StateError> {
        let fail = |what| move |source| StateError::Io { what, path: path.to_owned(), source };
        let file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(fail("open"))?;
        lock(&file, path)?;
        let (lines, good) = read_lines(&file, path)?;
        let len = file.metadata().map_err(fail("look at"))?.len();
        let mut log = Log { path: path.to_owned(), file, len: good };
        if good < len {
            log.file.set_len(good).map_err(fail("cut the torn end off"))?;
            log.file.seek(SeekFrom::End(0)).map_err(fail("write"))?;
        }
        log.sync()?;
        sync_directory(path)?;
        Ok(Opened { log, lines, torn: len - good })
    }

    /// Appends one line. On return it survives the loss of power.
    ///
    /// After an error nothing may be appended any more: what is on disk is known only after opening it again.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), StateError> {
        let line = encode(value).map_err(|source| self.io("write", source))?;
        self.file.write_all(&line).map_err(|source| self.io("write", source))?;
        self.len += line.len() as u64;
        self.sync()
    }

    /// Puts other lines in the place of all. On return either the old or the new ones survive anything.
    pub(super) fn replace(&mut self, lines: &[&dyn ErasedLine]) -> Result<(), StateError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let temporary = PathBuf::from(name);
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { what, path, source }
        };
        let mut file = File::create(&temporary).map_err(io("create", &temporary))?;
        lock(&file, &temporary)?;
        let mut len = 0;
        for line in lines {
            let bytes = line.encoded().map_err(io("write", &temporary))?;
            file.write_all(&bytes).map_err(io("write", &temporary))?;
            len += bytes.len() as u64;
        }
        file.sync_all().map_err(io("sync", &temporary))?;
        std::fs::rename(&temporary, &self.path).map_err(io("replace", &self.path))?;
        sync_directory(&self.path)?;
        (self.file, self.len) = (file, len);
        Ok(())
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The error for a line that is whole but makes no sense.
    pub(super) fn damaged(&self, line: usize, why: impl ToString) -> StateError {
        StateError::Damaged { path: self.path.clone(), line, why: why.to_string() }
    }

    /// The error for a file that belongs to another world.
    pub(super) fn made_from_other(&self, what: &'static str) -> StateError {
        StateError::MadeFromOther { path: self.path.clone(), what }
    }

    fn sync(&self) -> Result<(), StateError> {
        self.file.sync_data().map_err(|source| self.io("sync", source))
    }

    fn io(&self, what: &'static str, source: io::Error) -> StateError {
        StateError::Io { what, path: self.path.clone(), source }
    }
}

impl Line {
    pub(super) fn parse<T: DeserializeOwned>(&self, log: &Log) -> Result<T, StateError> {
        serde_json::from_str(&self.json).map_err(|error| log.damaged(self.number, error))
    }
}

/// Something that can be a line.
pub(super) trait ErasedLine {
    fn encoded(&self) -> io::Result<Vec<u8>>;
}

impl<T: Serialize> ErasedLine for T {
    fn encoded(&self) -> io::Result<Vec<u8>> {
        encode(self)
    }
}

/// `checksum json newline`.
fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
}

fn decode(line: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let (sum, json) = text.split_once(' ').ok_or("there is no checksum")?;
    let sum = u32::from_str_radix(sum, 16).map_err(|_| "the checksum is no number")?;
    match crc32fast::hash(json.as_bytes()) == sum {
        true => Ok(json.to_owned()),
        false => Err("the checksum does not match".to_owned()),
    }
}

/// All good lines, and how many bytes they take.
fn read_lines(file: &File, path: &Path) -> Result<(Vec<Line>, u64), StateError> {
    let fail = |source| StateError::Io { what: "read", path: path.to_owned(), source };
    let mut reader = BufReader::new(file);
    let (mut lines, mut good) = (Vec::new(), 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(fail)?;
        if length == 0 {
            return Ok((lines, good));
        }
        let number = lines.len() + 1;
        let decoded = match bytes.strip_suffix(b"\n") {
            Some(line) => decode(line),
            None => Err("it has no end".to_owned()),
        };
        match decoded {
            Ok(json) => lines.push(Line { number, json }),
            Err(why) => {
                let is_last = reader.read(&mut [0]).map_err(fail)? == 0;
                return match is_last {
                    true => Ok((lines, good)),
                    false => Err(StateError::Damaged { path: path.to_owned(), line: number, why }),
                };
            }
        }
        good += length as u64;
    }
}

fn lock(file: &File, path: &Path) -> Result<(), StateError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => {
            Err(StateError::Io { what: "lock", path: path.to_owned(), source })
        }
    }
}

/// Makes the file's name survive the loss of power.
fn sync_directory(path: &Path) -> Result<(), StateError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| StateError::Io { what: "sync the directory", path: directory.to_owned(), source })
}
