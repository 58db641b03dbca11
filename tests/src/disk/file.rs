//! One file: what programs see of it, what of that is on the disk for good, and what a cut leaves.

use std::collections::BTreeMap;

use super::chance::Chance;

/// What the kernel writes back as a whole.
const PAGE: u64 = 4096;

/// What a disk writes as a whole.
const SECTOR: u64 = 512;

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Resize(u64),
}

impl File {
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    /// At most `len` bytes from there on.
    pub(super) fn read(&self, at: u64, len: usize) -> &[u8] {
        let from = (at as usize).min(self.seen.len());
        &self.seen[from..(from + len).min(self.seen.len())]
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        put(&mut self.seen, at, bytes);
        self.unsynced.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn resize(&mut self, len: u64) {
        self.seen.resize(len as usize, 0);
        self.unsynced.push(Change::Resize(len));
    }

    /// All that was done is on the disk for good.
    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { at, bytes } => put(&mut self.durable, at, &bytes),
                Change::Resize(len) => self.durable.resize(len as usize, 0),
            }
        }
    }

    /// A sync failed. As on Linux, what could not be written is not tried again: the next sync says yes without it.
    /// Whoever reads from the disk now sees what was there before; the kernel's cache may say otherwise.
    pub(super) fn lose(&mut self) {
        self.unsynced.clear();
        let len = self.seen.len();
        self.seen = self.durable.clone();
        self.seen.resize(len, 0);
        // The size is metadata, which goes other ways.
        self.durable.resize(len, 0);
    }

    /// The file after a loss of power: what is durable, and of the rest what chance wants. Pages are written back in
    /// any order, each as it is at some moment, perhaps torn between two moments; the size is that of some moment too.
    pub(super) fn survivor(&self, chance: &mut Chance) -> File {
        let mut pages = self.fates(chance);
        let known = chance.below(self.unsynced.len() as u64 + 1) as usize;
        let known = if chance.holds(1, 3) { self.unsynced.len() } else { known };
        let mut left = self.durable.clone();
        let mut len = left.len() as u64;
        for (index, change) in self.unsynced.iter().enumerate() {
            match change {
                Change::Resize(to) if index < known => {
                    len = *to;
                    left.truncate(len as usize);
                }
                Change::Resize(_) => {}
                Change::Write { at, bytes } => {
                    let end = at + bytes.len() as u64;
                    if index < known {
                        len = len.max(end);
                    }
                    for (page, from, to) in pieces(*at, end, PAGE) {
                        let bytes = &bytes[(from - at) as usize..(to - at) as usize];
                        // Every piece is of a page that has a fate.
                        let fate = pages.entry(page).or_default();
                        fate.apply(&mut left, from, bytes, chance);
                    }
                }
            }
        }
        left.resize(len as usize, 0);
        File { seen: left.clone(), durable: left, unsynced: Vec::new() }
    }

    /// How many of the writes to each page reach the disk.
    fn fates(&self, chance: &mut Chance) -> BTreeMap<u64, Fate> {
        let mut writes: BTreeMap<u64, u64> = BTreeMap::new();
        for change in &self.unsynced {
            if let Change::Write { at, bytes } = change {
                for (page, _, _) in pieces(*at, at + bytes.len() as u64, PAGE) {
                    *writes.entry(page).or_default() += 1;
                }
            }
        }
        // No page, few, half, most, or all of them.
        let odds = chance.below(5);
        let fate = |count: u64, chance: &mut Chance| {
            if !chance.holds(odds, 4) {
                return Fate::default();
            }
            let whole = if chance.holds(1, 2) { count } else { chance.below(count + 1) };
            Fate { whole, torn: whole < count && odds < 4 && chance.holds(1, 2) }
        };
        writes.into_iter().map(|(page, count)| (page, fate(count, chance))).collect()
    }
}

/// What becomes of the writes to a page.
#[derive(Debug, Default)]
struct Fate {
    /// So many more reach the disk.
    whole: u64,
    /// Of the one after them, some sectors do.
    torn: bool,
}

impl Fate {
    fn apply(&mut self, file: &mut Vec<u8>, at: u64, bytes: &[u8], chance: &mut Chance) {
        if self.whole > 0 {
            self.whole -= 1;
            put(file, at, bytes);
        } else if std::mem::take(&mut self.torn) {
            for (_, from, to) in pieces(at, at + bytes.len() as u64, SECTOR) {
                if chance.holds(1, 2) {
                    put(file, from, &bytes[(from - at) as usize..(to - at) as usize]);
                }
            }
        }
    }
}

/// Parts a range at multiples of `size`: the number of each part, and from where to where it is.
fn pieces(from: u64, end: u64, size: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let numbers = if from < end { from / size..end.div_ceil(size) } else { 0..0 };
    numbers.map(move |number| (number, from.max(number * size), end.min((number + 1) * size)))
}

fn put(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (from, end) = (at as usize, at as usize + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[from..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 300;

    /// A synced file of two pages of `a`, then written again: all `b`, then all `c`.
    fn overwritten() -> File {
        let mut file = File::default();
        file.write(0, &[b'a'; 8192]);
        file.sync();
        file.write(0, &[b'b'; 8192]);
        file.write(0, &[b'c'; 8192]);
        file
    }

    fn survivors(file: &File) -> impl Iterator<Item = Vec<u8>> {
        (0..SEEDS).map(|seed| file.survivor(&mut Chance::new(seed)).seen)
    }

    #[test]
    fn what_was_synced_survives_every_cut() {
        let mut file = overwritten();
        file.resize(6000);
        file.sync();
        let whole = [b'c'; 6000];
        assert!(survivors(&file).all(|left| left == whole));
    }

    #[test]
    fn of_what_was_not_synced_anything_may_survive() {
        let file = overwritten();
        let left: Vec<_> = survivors(&file).collect();
        let some = |holds: &dyn Fn(&[u8]) -> bool| assert!(left.iter().any(|bytes| holds(bytes)));
        let page = |bytes: &[u8], at: usize, letter: u8| bytes[at * 4096..][..4096] == [letter; 4096];
        some(&|bytes| page(bytes, 0, b'a') && page(bytes, 1, b'a'));
        some(&|bytes| page(bytes, 0, b'a') && page(bytes, 1, b'c'));
        some(&|bytes| page(bytes, 0, b'c') && page(bytes, 1, b'a'));
        some(&|bytes| page(bytes, 0, b'b') && page(bytes, 1, b'c'));
        some(&|bytes| page(bytes, 0, b'c') && page(bytes, 1, b'c'));
        // Torn: sectors of two moments in one page.
        some(&|bytes| bytes[..4096].contains(&b'a') && bytes[..4096].contains(&b'b'));
        // A sector is never torn.
        let sectors = left.iter().flat_map(|bytes| bytes.chunks(512));
        assert!(sectors.clone().all(|sector| sector.iter().all(|byte| *byte == sector[0])));
    }

    #[test]
    fn a_size_that_was_not_synced_may_be_of_any_moment() {
        let mut file = File::default();
        file.write(0, &[b'a'; 100]);
        file.sync();
        file.write(100, &[b'b'; 100]);
        file.resize(50);
        file.write(50, &[b'c'; 400]);
        let lens: std::collections::BTreeSet<_> = survivors(&file).map(|left| left.len()).collect();
        assert_eq!(lens.into_iter().collect::<Vec<_>>(), [50, 100, 200, 450]);
    }

    #[test]
    fn what_a_failed_sync_did_not_write_no_later_one_writes() {
        let mut file = overwritten();
        file.lose();
        assert_eq!(file.read(0, 1), b"a");
        file.write(10, b"d");
        file.sync();
        let whole = |left: Vec<u8>| left[..10] == [b'a'; 10] && left[10] == b'd' && left[11] == b'a';
        assert!(survivors(&file).all(whole));
    }

    #[test]
    fn a_range_is_parted_at_multiples() {
        let check = |from, end, wanted: &[(u64, u64, u64)]| {
            assert_eq!(pieces(from, end, 10).collect::<Vec<_>>(), wanted);
        };
        check(0, 0, &[]);
        check(15, 15, &[]);
        check(3, 10, &[(0, 3, 10)]);
        check(9, 21, &[(0, 9, 10), (1, 10, 20), (2, 20, 21)]);
    }
}
