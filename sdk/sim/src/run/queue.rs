//! What will happen, by time; what happens at the same time is shuffled by the seed.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use fenix_core::time::Time;

use crate::dice::{Dice, Purpose};

/// Things that will happen.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    ties: Dice,
    pushed: u64,
}

/// Something that will happen, and its place among the others.
#[derive(Debug)]
pub(super) struct Due<T> {
    pub(super) at: Time,
    tie: u64,
    number: u64,
    pub(super) what: T,
}

impl<T> Queue<T> {
    pub(super) fn new(seed: u64) -> Queue<T> {
        Queue { heap: BinaryHeap::new(), ties: Dice::new(seed, Purpose::Ties), pushed: 0 }
    }

    pub(super) fn push(&mut self, at: Time, what: T) {
        self.pushed += 1;
        let tie = self.ties.below(1 << 16);
        self.heap.push(Reverse(Due { at, tie, number: self.pushed, what }));
    }

    /// Puts something back, to happen later; it keeps its place among the others put back with it.
    pub(super) fn postpone(&mut self, due: Due<T>, at: Time) {
        self.heap.push(Reverse(Due { at, ..due }));
    }

    pub(super) fn pop(&mut self) -> Option<Due<T>> {
        self.heap.pop().map(|Reverse(due)| due)
    }
}

impl<T> Due<T> {
    fn key(&self) -> (Time, u64, u64) {
        (self.at, self.tie, self.number)
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
