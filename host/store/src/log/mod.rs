//! sled's log, read without sled, and without a change to it.
//!
//! When sled opens a database it takes the first message that it cannot read for the end: what stands behind is gone
//! without a word, and overwritten with zeros. So the file is looked at first. And since a record is never changed
//! once it is written, whatever is found anywhere in the file is true, which gives back more than sled can: the log
//! holds most records more than once, first as a change and then in pages.
//!
//! The file is a row of segments of 512 KiB. Each begins with its place in the log; messages follow it. A segment that
//! nobody needs any more is used again for a later place.

mod message;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use message::{Kind, MAX_HEADER, Message, change, manifest, message, page};

use crate::codec::seq_of_frame;
use crate::database::{is_entry, record_key};

/// Bytes of a segment: sled's default, which the database has never changed.
const SEGMENT: usize = 512 * 1024;

/// Bytes at the begin of a segment: checksum, place, and up to where all was known to be written.
const SEGMENT_HEADER: usize = 20;

/// A part of the file that cannot be read as what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Where it begins in the log.
    place: u64,
}

/// What looking at the file gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// What cannot be read, though something stands behind it. In the order of the log.
    pub(crate) holes: Vec<Hole>,
    /// Where the log ends.
    end: u64,
}

/// The entries that stand in the log, whatever is damaged between them.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    survey: Survey,
    /// The last value of each key that was not taken away.
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the keys of each page begin with.
    shared: HashMap<u64, Vec<u8>>,
    /// Where each key first stood.
    first_at: BTreeMap<Vec<u8>, u64>,
    /// Begin and end of what belongs together.
    batches: Vec<(u64, u64)>,
}

/// Looks whether everything in a database's file can be read, with as many threads as there are processors.
///
/// # Errors
/// There is no file, or the disk does not give it.
pub(crate) fn survey(sled: &Path) -> io::Result<Survey> {
    let file = File::open(sled.join("db"))?;
    let (segments, mut survey) = segments(&file)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = segments.len().div_ceil(threads).max(1);
    let file = &file;
    let walked: Vec<io::Result<Survey>> = std::thread::scope(|scope| {
        let walk = |share| scope.spawn(move || walk(file, share, |_, _| {}));
        let walkers: Vec<_> = segments.chunks(share).map(walk).collect();
        let joined = |walker: std::thread::ScopedJoinHandle<'_, _>| {
            walker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the database's file could not be looked at")))
        };
        walkers.into_iter().map(joined).collect()
    });
    for part in walked {
        survey.add(part?);
    }
    Ok(survey)
}

/// Reads all entries that can be read.
///
/// # Errors
/// There is no file, or the disk does not give it.
pub(crate) fn salvage(sled: &Path) -> io::Result<Salvage> {
    let file = File::open(sled.join("db"))?;
    let mut found = Salvage::default();
    let (segments, mut survey) = segments(&file)?;
    survey.add(walk(&file, &segments, |place, message| found.take(place, message))?);
    Ok(Salvage { survey, ..found })
}

impl Salvage {
    fn take(&mut self, place: u64, message: &Message<'_>) {
        match message.kind {
            Kind::Manifest => self.batches.extend(manifest(message.body).map(|end| (place, end))),
            Kind::Page => {
                let Some((shared, entries)) = page(message.body) else { return };
                for (key, value) in entries {
                    self.set(place, Some([shared, key].concat()), value);
                }
                self.shared.insert(message.page, shared.to_vec());
            }
            Kind::Change => {
                let Some((key, value)) = change(message.body) else { return };
                // Where the page itself cannot be read, it is not known what its keys begin with.
                let whole = self.shared.get(&message.page).map(|shared| [shared, key].concat());
                self.set(place, whole, value);
            }
            Kind::Cap | Kind::Other => {}
        }
    }

    /// Takes over an entry. A record tells its number itself, whatever its key; what else has no key that fits to it
    /// is passed over.
    fn set(&mut self, place: u64, key: Option<Vec<u8>>, value: Option<&[u8]>) {
        match (key, value) {
            (Some(key), None) => drop(self.entries.remove(&key)),
            (Some(key), Some(value)) if is_entry(&key, value) => {
                self.first_at.entry(key.clone()).or_insert(place);
                self.entries.insert(key, value.to_vec());
            }
            (_, Some(value)) => {
                if let Some(seq) = seq_of_frame(value) {
                    self.first_at.entry(record_key(seq)).or_insert(place);
                    self.entries.entry(record_key(seq)).or_insert_with(|| value.to_vec());
                }
            }
            (None, None) => {}
        }
    }

    /// What is damaged.
    pub(crate) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The entries, in the order of their keys.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// True if a key came with a batch of which nothing is missing. Of a batch whose begin cannot be read nobody can
    /// tell what else belonged to it: what is left of it does not count as whole.
    pub(crate) fn came_whole(&self, key: &[u8]) -> bool {
        let Some(place) = self.first_at.get(key) else { return false };
        let torn = |begin: u64, end: u64| {
            let hit = |hole: &Hole| hole.place <= end && begin <= hole.place + hole.len;
            end >= self.survey.end || self.survey.holes.iter().any(hit)
        };
        let mut around = self.batches.iter().filter(|(begin, end)| begin <= place && place <= end).peekable();
        around.peek().is_some() && around.all(|(begin, end)| !torn(*begin, *end))
    }

    /// True if a key stands before everything that cannot be read.
    pub(crate) fn is_before_holes(&self, key: &[u8]) -> bool {
        let Some(place) = self.first_at.get(key) else { return false };
        self.survey.holes.first().is_none_or(|hole| *place < hole.place)
    }
}

impl Survey {
    fn add(&mut self, part: Survey) {
        self.holes.extend(part.holes);
        self.holes.sort_by_key(|hole| (hole.place, hole.offset));
        self.end = self.end.max(part.end);
    }
}

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    /// In the log.
    place: u64,
    /// In the file.
    offset: u64,
    /// Bytes of it that are in the file.
    len: usize,
    /// True if its header is right and it is the only one in this place.
    whole: bool,
    /// True if no other comes after it.
    is_top: bool,
}

/// The segments in the order of the log, and what cannot be read in none of them.
fn segments(file: &File) -> io::Result<(Vec<Segment>, Survey)> {
    let size = file.metadata()?.len();
    let (mut segments, mut survey, mut buffer) = (Vec::new(), Survey::default(), Vec::new());
    for offset in (0..size).step_by(SEGMENT) {
        let len = SEGMENT.min((size - offset) as usize);
        let found = |place, whole| Segment { place, offset, len, whole, is_top: false };
        if let Some(place) = place_of(read(file, offset, len.min(SEGMENT_HEADER), &mut buffer)?) {
            segments.push(found(place, true));
            continue;
        }
        let bytes = read(file, offset, len, &mut buffer)?;
        match number_of(bytes).and_then(|number| number.checked_mul(SEGMENT as u64)) {
            Some(place) => segments.push(found(place, false)),
            // Space that was never used, or used no more.
            None if bytes.iter().all(|byte| *byte == 0) => {}
            None => survey.holes.push(Hole { offset, len: len as u64, place: 0 }),
        }
    }
    segments.sort();
    for at in 1..segments.len() {
        // Two segments in one place: one of them is not what it was.
        segments[at].whole &= segments[at].place != segments[at - 1].place;
    }
    if let Some(top) = segments.last().map(|top| top.place) {
        segments.iter_mut().for_each(|segment| segment.is_top = segment.place == top);
    }
    Ok((segments, survey))
}

/// Shows every message that can be read, in the order of the log, with its place there.
fn walk(file: &File, segments: &[Segment], mut show: impl FnMut(u64, &Message<'_>)) -> io::Result<Survey> {
    let (mut survey, mut buffer) = (Survey::default(), Vec::new());
    for Segment { place, offset, len, whole, is_top } in segments.iter().copied() {
        let bytes = read(file, offset, len, &mut buffer)?;
        let hole = |from: usize, to: usize| Hole {
            offset: offset + from as u64,
            len: (to - from) as u64,
            place: place + from as u64,
        };
        if !whole {
            survey.holes.push(hole(0, SEGMENT_HEADER));
        }
        let mut show = |from: usize, message: &Message<'_>| show(place + from as u64, message);
        let (holes, end) = walk_segment(bytes, place / SEGMENT as u64, &mut show);
        survey.holes.extend(holes.into_iter().map(|(from, to)| hole(from, to)));
        match end {
            _ if is_top => survey.end = survey.end.max(place + end.unwrap_or(SEGMENT) as u64),
            Some(end) => survey.holes.push(hole(end, SEGMENT)),
            None => {}
        }
    }
    Ok(survey)
}

/// Shows the messages of one segment. Returns what cannot be read between them, and where the last one ends if the
/// segment is not filled.
fn walk_segment(
    segment: &[u8],
    number: u64,
    show: &mut impl FnMut(usize, &Message<'_>),
) -> (Vec<(usize, usize)>, Option<usize>) {
    let mut holes = Vec::new();
    let mut at = SEGMENT_HEADER;
    while SEGMENT - at >= MAX_HEADER {
        let Some((next, message)) = next(segment, at, Some(number)) else { return (holes, Some(at)) };
        if next > at {
            holes.push((at, next));
        }
        if message.kind == Kind::Cap {
            break;
        }
        show(next, &message);
        at = next + message.len;
    }
    (holes, None)
}

/// The first message of that segment from there on.
fn next(segment: &[u8], from: usize, number: Option<u64>) -> Option<(usize, Message<'_>)> {
    let ours = |message: &Message<'_>| number.is_none_or(|number| message.segment == number);
    (from..segment.len()).find_map(|at| Some((at, message(&segment[at..]).filter(ours)?)))
}

/// The place in the log that a segment's header tells, if that can be read.
fn place_of(header: &[u8]) -> Option<u64> {
    const INVERTED: u64 = i64::MAX as u64;
    let header: &[u8; SEGMENT_HEADER] = header.try_into().ok()?;
    let (sum, rest) = header.split_first_chunk::<4>()?;
    let place = u64::from_le_bytes(*rest.first_chunk()?) ^ INVERTED;
    let right = !crc32fast::hash(rest) == u32::from_le_bytes(*sum);
    (right && place.is_multiple_of(SEGMENT as u64)).then_some(place)
}

/// The number of a segment whose header cannot be read, by its first message.
fn number_of(segment: &[u8]) -> Option<u64> {
    next(segment, SEGMENT_HEADER, None).map(|(_, message)| message.segment)
}

/// Reads a part of the file. What the disk does not give is no damage of which anybody could know how it goes on.
fn read<'a>(file: &File, offset: u64, len: usize, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    buffer.resize(len, 0);
    file.read_exact_at(buffer, offset)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests;
