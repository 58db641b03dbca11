//! New inputs out of known ones: some changes to one of them, all from one seed.
//!
//! It sees nothing of what an input does. What it has instead is that it begins with inputs which come far, and changes
//! them in the ways that break readers: numbers at the ends of their ranges, words where other words belong, parts of one
//! input in another, ends cut off.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Most changes that one input gets: with more of them hardly anything comes past the first check.
const MAX_CHANGES: u64 = 6;

/// Longest input in bytes.
pub const MAX_INPUT: usize = 64 * 1024;

/// Bytes that are often a special case.
const BYTES: [u8; 14] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'\n', b'{', b'[', b'-', b'.', b'%', b' '];

/// Numbers and values that are often a special case, as text.
const VALUES: [&str; 24] = [
    "0",
    "-1",
    "-0",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e-9",
    "0.5",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"\\u0000\"",
    "\"\u{7f}\u{202e}é\u{1F525}\"",
    "\"x y\"",
];

/// Makes inputs.
pub struct Mutator<'a> {
    rng: ChaCha8Rng,
    seeds: &'a [Vec<u8>],
    words: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// Makes inputs out of these, and out of the words in them.
    pub fn new(seed: u64, seeds: &'a [Vec<u8>], words: &'a [Vec<u8>]) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), seeds, words }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.one_of(self.seeds).cloned().unwrap_or_default();
        for _ in 0..=self.below(MAX_CHANGES) {
            self.change(&mut input);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.rng.next_u64() % n }
    }

    fn place(&mut self, len: usize) -> usize {
        self.below(len as u64 + 1) as usize
    }

    fn one_of<T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(all.len() as u64) as usize;
        all.get(place)
    }

    /// A part of `len` bytes; short ones are more frequent.
    fn part(&mut self, len: usize) -> std::ops::Range<usize> {
        let from = self.place(len);
        let longest = match self.below(4) {
            0 => len,
            1 => 64,
            _ => 8,
        };
        from..(from + self.place(longest)).min(len)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.below(12) {
            0 => self.flip(input),
            1 => {
                let (at, new) = (self.place(input.len()), BYTES[self.below(BYTES.len() as u64) as usize]);
                match input.get_mut(at) {
                    Some(byte) => *byte = new,
                    None => input.push(new),
                }
            }
            2 => {
                let (at, byte, times) = (self.place(input.len()), self.rng.next_u64() as u8, self.place(16));
                input.splice(at..at, std::iter::repeat_n(byte, times));
            }
            3 => drop(input.drain(self.part(input.len()))),
            4 => {
                let part = input[self.part(input.len())].to_vec();
                let at = self.place(input.len());
                input.splice(at..at, part);
            }
            5 => {
                let Some(other) = self.one_of(self.seeds) else { return };
                let (from, to) = (self.part(other.len()), self.part(input.len()));
                input.splice(to, other[from].iter().copied());
            }
            6 | 7 => self.put_word(input),
            8 | 9 => self.put_value(input),
            10 => input.truncate(self.place(input.len())),
            _ => self.move_line(input),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        let bit = self.below(8);
        let at = self.below(input.len() as u64) as usize;
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    /// A known word, in the place of another one or anywhere.
    fn put_word(&mut self, input: &mut Vec<u8>) {
        let Some(word) = self.one_of(self.words) else { return };
        let at = self.place(input.len());
        let old = run(input, at, u8::is_ascii_alphanumeric);
        let to = if self.below(3) == 0 { at..at } else { old };
        input.splice(to, word.iter().copied());
    }

    /// A special value, in the place of a number, of a text or anywhere.
    fn put_value(&mut self, input: &mut Vec<u8>) {
        let value = VALUES[self.below(VALUES.len() as u64) as usize];
        let start = self.place(input.len());
        let digit = input[start..].iter().position(u8::is_ascii_digit).map_or(start, |at| start + at);
        let to = match self.below(3) {
            0 => run(input, digit, u8::is_ascii_digit),
            1 => run(input, start, |byte| !b"{}[],:\n=".contains(byte)),
            _ => start..start,
        };
        input.splice(to, value.bytes());
    }

    fn move_line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let from = self.below(lines.len() as u64) as usize;
        let line = if self.below(2) == 0 { lines[from].clone() } else { lines.remove(from) };
        lines.insert(self.place(lines.len()), line);
        *input = lines.join(&b'\n');
    }
}

/// The bytes around a place for which something holds, without a break.
fn run(input: &[u8], at: usize, holds: impl Fn(&u8) -> bool) -> std::ops::Range<usize> {
    let before = input[..at].iter().rev().take_while(|byte| holds(byte)).count();
    let after = input[at..].iter().take_while(|byte| holds(byte)).count();
    at - before..at + after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let seeds = [b"{\"key\": 17}\nline".to_vec(), Vec::new(), b"x".to_vec()];
        let words = [b"word".to_vec()];
        let mut mutator = Mutator::new(seed, &seeds, &words);
        (0..2000).map(|_| mutator.input()).collect()
    }

    #[test]
    fn a_seed_makes_the_same_inputs_and_another_one_makes_others() {
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn inputs_of_all_kinds_are_made() {
        let made = inputs(3);
        let any = |holds: fn(&[u8]) -> bool| made.iter().any(|input| holds(input));
        assert!(any(<[u8]>::is_empty));
        assert!(any(|input| input.starts_with(b"{\"key\": 18446744073709551615}")));
        assert!(any(|input| input.windows(4).any(|part| part == b"word")));
        assert!(any(|input| input.starts_with(b"line\n{")));
    }

    #[test]
    fn what_surrounds_a_place_is_found() {
        let digits = |at| run(b"ab123c", at, u8::is_ascii_digit);
        assert_eq!([digits(0), digits(2), digits(4), digits(5), digits(6)], [0..0, 2..5, 2..5, 2..5, 6..6]);
    }
}
