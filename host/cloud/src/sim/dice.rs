//! Seeded randomness: one stream per purpose, so that drawing more for one never shifts another.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::spec::Span;
use fenix_core::time::Millis;

/// What a stream is drawn for. The number is the stream's number in the generator: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    /// How long things take.
    Times = 1,
    /// How operations end.
    Fates = 2,
    /// What third parties do, and when.
    Others = 3,
    /// What happens to calls on their way.
    Wire = 4,
}

/// One stream. Its place survives being stored and loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Place", into = "Place")]
pub(super) struct Dice {
    seed: u64,
    purpose: Purpose,
    rng: ChaCha8Rng,
}

/// A stream's place, as stored.
#[derive(Serialize, Deserialize)]
struct Place {
    seed: u64,
    purpose: Purpose,
    /// Words of 32 bits drawn so far: 2^64 of them are never reached, so the place need not be 128 bits wide.
    words: u64,
}

impl Dice {
    /// The stream of that purpose, at its beginning.
    pub(super) fn new(seed: u64, purpose: Purpose) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64);
        Dice { seed, purpose, rng }
    }

    /// Leaves `draws` draws out: two processes with one seed need not repeat each other.
    pub(super) fn skip(&mut self, draws: u64) {
        let words = self.rng.get_word_pos() + u128::from(draws) * 2;
        self.rng.set_word_pos(words);
    }

    /// True with a probability of `p`, from 0 to 1. Draws nothing if the answer is certain.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        if p <= 0.0 {
            return false;
        }
        // 2^53 steps are exact in an f64, so the same seed answers the same on every machine.
        const STEPS: f64 = (1u64 << 53) as f64;
        p >= 1.0 || ((self.rng.next_u64() >> 11) as f64) < p * STEPS
    }

    /// A number below `n`; 0 if `n` is 0. Draws nothing if the answer is certain.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        let wide = u128::from(self.rng.next_u64()) * u128::from(n);
        (wide >> 64) as u64
    }

    /// A duration out of a span, ends included.
    pub(super) fn within(&mut self, span: Span) -> Millis {
        let (min, max) = span.ends();
        Millis(min + self.below((max - min).saturating_add(1)))
    }

    /// The first of `choices` whose probability comes up, tried as one draw over their sum; `None` is the rest.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[(f64, T)]) -> Option<T> {
        if choices.iter().all(|(p, _)| *p <= 0.0) {
            return None;
        }
        const STEPS: f64 = (1u64 << 53) as f64;
        let drawn = (self.rng.next_u64() >> 11) as f64;
        let mut sum = 0.0;
        choices
            .iter()
            .find(|(p, _)| {
                sum += p;
                drawn < sum * STEPS
            })
            .map(|(_, choice)| *choice)
    }
}

impl From<Place> for Dice {
    fn from(place: Place) -> Dice {
        let mut dice = Dice::new(place.seed, place.purpose);
        dice.rng.set_word_pos(u128::from(place.words));
        dice
    }
}

impl From<Dice> for Place {
    fn from(dice: Dice) -> Place {
        Place { seed: dice.seed, purpose: dice.purpose, words: dice.rng.get_word_pos() as u64 }
    }
}
