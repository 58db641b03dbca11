//! Ordered maps and sets of which a copy costs next to nothing, and shares whatever does not change.
//!
//! The state is shown to readers after each batch, so the next change meets maps that somebody else still holds. A
//! `BTreeMap` would be copied whole then, however large it is. Here the entries lie in sorted chunks: a change copies
//! the list of chunks and one chunk, and all other chunks are shared between the copies.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Most entries in a chunk. The list of chunks and a chunk are what a change copies: with this size they are equally
/// long for some ten thousand entries, which is what a large infrastructure has.
const MOST: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A map. Reads like a `BTreeMap`; copies share what does not change.
pub struct SharedMap<K, V> {
    /// In order, none of them empty, each with its first key: to look for it in the chunk would go through two more
    /// places in memory at each step of a search.
    chunks: Arc<Vec<(K, Chunk<K, V>)>>,
    len: usize,
}

impl<K, V> SharedMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.chunks.iter().flat_map(|(_, chunk)| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// Where a key is, or would have to be put: the chunk, and the place in it.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        // What comes before all goes into the first chunk.
        let after = self.chunks.partition_point(|(first, _)| first.borrow() <= key);
        let at = after.saturating_sub(1);
        let place = self
            .chunks
            .get(at)
            .map_or(Err(0), |(_, chunk)| chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)));
        (at, place)
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The entry of a key.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key);
        let place = place.ok()?;
        let (key, value) = &self.chunks[at].1[place];
        Some((key, value))
    }

    /// True if there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).1.is_ok()
    }

    /// The entries with keys in a range, in order.
    pub fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (at, place) = match range.start_bound() {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => {
                let (at, place) = self.find(key);
                (at, place.unwrap_or_else(|place| place))
            }
            Bound::Excluded(key) => {
                let (at, place) = self.find(key);
                (at, place.map_or_else(|place| place, |place| place + 1))
            }
        };
        let first = self.chunks.get(at).map(|(_, chunk)| &chunk[place..]).unwrap_or_default();
        let rest = self.chunks.iter().skip(at + 1).flat_map(|(_, chunk)| chunk.iter());
        // The end is looked for as one goes: whoever asks for a range reads a page of it.
        let end = move |key: &K| match range.end_bound() {
            Bound::Unbounded => true,
            Bound::Included(end) => key.borrow() <= end,
            Bound::Excluded(end) => key.borrow() < end,
        };
        first.iter().chain(rest).map(|(key, value)| (key, value)).take_while(move |(key, _)| end(key))
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The chunk of that number, for a change.
    fn chunk(&mut self, at: usize) -> &mut Vec<(K, V)> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[at].1)
    }

    /// Sets the value of a key; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at, place) = self.find(&key);
        match place {
            Ok(place) => Some(std::mem::replace(&mut self.chunk(at)[place].1, value)),
            Err(place) => {
                self.insert_at(at, place, key, value);
                None
            }
        }
    }

    /// The value of a key, for a change.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key);
        let place = place.ok()?;
        Some(&mut self.chunk(at)[place].1)
    }

    /// The value of a key, for a change; `missing` is put in if there is none.
    pub fn get_or_insert_with(&mut self, key: K, missing: impl FnOnce() -> V) -> &mut V {
        let (at, place) = self.find(&key);
        let (at, place) = match place {
            Ok(place) => (at, place),
            Err(place) => self.insert_at(at, place, key, missing()),
        };
        &mut self.chunk(at)[place].1
    }

    /// Takes a key out; returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.find(key);
        let place = place.ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let (first, chunk) = &mut chunks[at];
        let chunk = Arc::make_mut(chunk);
        let (_, value) = chunk.remove(place);
        match chunk.first() {
            Some((key, _)) if place == 0 => *first = key.clone(),
            Some(_) => {}
            None => drop(chunks.remove(at)),
        }
        self.len -= 1;
        Some(value)
    }

    /// Puts an entry where its key belongs; returns where that is.
    fn insert_at(&mut self, at: usize, place: usize, key: K, value: V) -> (usize, usize) {
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        let last = at + 1 >= chunks.len();
        match chunks.get_mut(at) {
            // What comes in order fills its chunks.
            Some((_, chunk)) if chunk.len() == MOST && place == MOST && last => {
                chunks.push((key.clone(), Arc::new(vec![(key, value)])));
                (at + 1, 0)
            }
            Some((first, chunk)) => {
                if place == 0 {
                    *first = key.clone();
                }
                let entries = Arc::make_mut(chunk);
                entries.insert(place, (key, value));
                if entries.len() <= MOST {
                    return (at, place);
                }
                let half = entries.len() / 2;
                let upper = entries.split_off(half);
                chunks.insert(at + 1, (upper[0].0.clone(), Arc::new(upper)));
                if place < half { (at, place) } else { (at + 1, place - half) }
            }
            None => {
                chunks.push((key.clone(), Arc::new(vec![(key, value)])));
                (0, 0)
            }
        }
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks), len: self.len }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    /// By what is in them: where chunks end depends on the past.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks) || (self.len == other.len && self.iter().eq(other.iter()))
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, entries: T) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for SharedMap<K, V> {
    /// Of several entries of a key the last one counts.
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        // Stable, so that the last one of a key comes first once all are turned round.
        entries.reverse();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(later, _), (kept, _)| later == kept);
        let len = entries.len();
        let mut entries = entries.into_iter();
        let chunk = || {
            let chunk: Vec<(K, V)> = entries.by_ref().take(MOST).collect();
            Some((chunk.first()?.0.clone(), Arc::new(chunk)))
        };
        Self { chunks: Arc::new(std::iter::from_fn(chunk).collect()), len }
    }
}

/// A set. Reads like a `BTreeSet`; copies share what does not change.
pub struct SharedSet<T>(SharedMap<T, ()>);

impl<T> SharedSet<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.0.keys()
    }
}

impl<T: Ord + Clone> SharedSet<T> {
    /// True if it is among them.
    pub fn contains<Q: Ord + ?Sized>(&self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(one)
    }

    /// Those after one, in order; all if none is given.
    pub fn after<Q: Ord + ?Sized>(&self, one: Option<&Q>) -> impl Iterator<Item = &T>
    where
        T: Borrow<Q>,
    {
        let from = one.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded)).map(|(one, ())| one)
    }

    /// Adds one; true if it was not among them.
    pub fn insert(&mut self, one: T) -> bool {
        // To add what is there would copy for nothing.
        !self.0.contains_key(&one) && self.0.insert(one, ()).is_none()
    }

    /// Takes one out; true if it was among them.
    pub fn remove<Q: Ord + ?Sized>(&mut self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(one).is_some()
    }
}

impl<T: Ord + Clone> FromIterator<T> for SharedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self(all.into_iter().map(|one| (one, ())).collect())
    }
}

impl<T> Clone for SharedSet<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for SharedSet<T> {
    fn default() -> Self {
        Self(SharedMap::default())
    }
}

impl<T: PartialEq> PartialEq for SharedSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Eq> Eq for SharedSet<T> {}

impl<T: fmt::Debug> fmt::Debug for SharedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
