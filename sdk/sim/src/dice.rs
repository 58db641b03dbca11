//! Chance, from the seed: one stream per purpose, so that drawing more for one never shifts another.

use fenix_core::time::Millis;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is drawn for. The number is the stream's number in the generator: never reuse one. The simulated
/// cloud draws from streams of its own, below 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What a scenario is made of.
    Scenario = 100,
    /// How long calls, deliveries and actions take.
    Latency = 101,
    /// What happens to messages and to calls of actions on their way.
    Wire = 102,
    /// What managers do.
    Managers = 103,
    /// When Fenix is killed.
    Crashes = 104,
    /// Which of two things at the same time comes first.
    Ties = 105,
    /// What administrators do.
    Operators = 106,
    /// What a reckless workflow wants.
    Reckless = 107,
    /// What a wide scenario has beside what the others have.
    Wide = 108,
    /// What managers state.
    Statements = 109,
    /// What a scenario of applications with limits has beside the others.
    Limits = 110,
    /// What sessions bring.
    Packages = 111,
    /// What an action says that says anything.
    Fickle = 112,
    /// Which sessions have such actions.
    Looks = 113,
    /// Where Fenix itself runs.
    OwnHost = 114,
    /// Which decisions workflows take long over, and how long.
    Thinking = 115,
    /// In which scenarios workflows do.
    SlowWorkflows = 116,
}

/// One stream of numbers.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of that purpose, at its beginning.
    pub fn new(seed: u64, purpose: Purpose) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64);
        Dice(rng)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(n);
        (wide >> 64) as u64
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// A span of time, both ends included, in milliseconds.
    pub fn span(&mut self, least: u64, most: u64) -> Millis {
        Millis(self.between(least, most))
    }

    /// True so many times out of a thousand.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// One of them, each as likely as the others; `None` if there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// One of them, as likely as its weight says.
    ///
    /// # Panics
    /// There is none, or all weights are zero: a table in the program.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let all: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut drawn = self.below(all);
        for (weight, choice) in choices {
            match drawn.checked_sub(u64::from(*weight)) {
                Some(rest) => drawn = rest,
                None => return *choice,
            }
        }
        unreachable!("the weights are a table with entries")
    }
}
