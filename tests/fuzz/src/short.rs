//! The short run: every known input, and a fixed number of new ones, the same each time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::input::{Known, known, words};
use crate::mutate::Mutator;
use crate::targets::{self, Target};

/// The seed of the short run. Another one is as good; the same one makes a failure come again.
const SEED: u64 = 1;

/// How long one input may take. They take microseconds to some hundred milliseconds; the rest is for a machine with
/// much else to do.
const SLOW: Duration = Duration::from_secs(30);

/// How much memory a target may take at once, beyond what the program had before, in KiB: the largest limit of what
/// is read is an archive's entry of 33 MiB, of which two may be held, and compiling takes its own.
const MEMORY_KIB: u64 = 512 * 1024;

/// Inputs that are tried to make a failing one shorter.
const SHORTER: u32 = 2000;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    /// How many inputs.
    pub inputs: u64,
    /// How long the slowest took.
    pub slowest: Duration,
}

/// Panics of any thread since it was last asked, in their own words.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn panics() -> Vec<String> {
    std::mem::take(&mut PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Notes panics instead of printing them: targets run threads, and a panic of one of them is a failure too.
fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
    }));
}

/// Gives a target everything that is known, and as many new inputs as it says. A failing input is kept in `folder`.
///
/// # Errors
/// Something does not hold for an input; the text tells what, and where the input is.
pub fn run(target: &Target, folder: &Path) -> Result<Ran, String> {
    note_panics();
    let ran = all(target, folder);
    targets::end();
    // From here on they are printed again.
    drop(std::panic::take_hook());
    ran
}

fn all(target: &Target, folder: &Path) -> Result<Ran, String> {
    let before = peak_kib();
    let mut ran = Ran::default();
    let seeds: Vec<Known> = (target.seeds)().into_iter().chain(known("seeds", target.name)).collect();
    for input in seeds.iter().chain(&known("found", target.name)) {
        tried(target, &input.bytes, &mut ran).map_err(|why| format!("{}: {why}", input.name))?;
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|seed| seed.bytes).collect();
    let words = words(&seeds);
    let mut mutator = Mutator::new(SEED, &seeds, &words);
    for _ in 0..target.runs {
        let input = mutator.input();
        if let Err(why) = tried(target, &input, &mut ran) {
            let kept = keep(target, &shorter(target, input), folder);
            return Err(format!("{why}\n(the input is {kept})"));
        }
    }
    match peak_kib().saturating_sub(before) {
        grown if grown > MEMORY_KIB => Err(format!("it took {grown} KiB of memory at once")),
        _ => Ok(ran),
    }
}

fn tried(target: &Target, input: &[u8], ran: &mut Ran) -> Result<(), String> {
    let begun = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = begun.elapsed();
    ran.inputs += 1;
    ran.slowest = ran.slowest.max(took);
    let noted = panics();
    match result {
        Err(_) => Err(noted.join("\n")),
        Ok(()) if !noted.is_empty() => Err(format!("a thread panicked: {}", noted.join("\n"))),
        Ok(()) if took > SLOW => Err(format!("it took {} s", took.as_secs())),
        Ok(()) => Ok(()),
    }
}

/// A shorter input that fails too: parts are left out as long as that is so.
fn shorter(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut left = SHORTER;
    let mut part = input.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < input.len() && left > 0 {
            left -= 1;
            let mut without = input.clone();
            without.drain(at..(at + part).min(input.len()));
            match tried(target, &without, &mut Ran::default()) {
                Err(_) => input = without,
                Ok(()) => at += part,
            }
        }
        part /= 2;
    }
    input
}

fn keep(target: &Target, input: &[u8], folder: &Path) -> String {
    let digest = hex::encode(Sha256::digest(input));
    let path = folder.join(format!("{}-{}", target.name, &digest[..8]));
    match std::fs::write(&path, input) {
        Ok(()) => format!("{}, {:?}", path.display(), String::from_utf8_lossy(input)),
        Err(error) => format!("{:?}; it cannot be kept: {error}", String::from_utf8_lossy(input)),
    }
}

/// The most memory that this process had so far, in KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
