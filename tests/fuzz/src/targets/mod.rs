//! What is tried, one file each.

use crate::input::Known;

pub mod archive;
pub mod bodies;
pub mod calls;
pub mod compiled;
pub mod component;
pub mod configuration;
pub mod frame;
pub mod journal;
pub mod rack;
pub mod tokens;

/// Something that reads bytes from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, as `make fuzz TARGET=` and the folders have it.
    pub name: &'static str,
    /// Panics if something does not hold for an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with that are made, beside those that stand in files.
    pub seeds: fn() -> Vec<Known>,
    /// How many inputs the short run makes: some seconds of them.
    pub runs: u32,
}

/// All of them.
pub static TARGETS: [Target; 10] = [
    Target { name: "archive", run: archive::run, seeds: archive::seeds, runs: 3_000 },
    Target { name: "bodies", run: bodies::run, seeds: nothing, runs: 60_000 },
    Target { name: "calls", run: calls::run, seeds: nothing, runs: 1_500 },
    Target { name: "compiled", run: compiled::run, seeds: compiled::seeds, runs: 60 },
    Target { name: "component", run: component::run, seeds: component::seeds, runs: 1_500 },
    Target { name: "configuration", run: configuration::run, seeds: configuration::seeds, runs: 8_000 },
    Target { name: "frame", run: frame::run, seeds: frame::seeds, runs: 60_000 },
    Target { name: "journal", run: journal::run, seeds: journal::seeds, runs: 600 },
    Target { name: "rack", run: rack::run, seeds: rack::seeds, runs: 4_000 },
    Target { name: "tokens", run: tokens::run, seeds: nothing, runs: 10_000 },
];

fn nothing() -> Vec<Known> {
    Vec::new()
}

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// A file of the repository as a known input.
fn file(path: &str) -> Known {
    let whole = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let bytes = std::fs::read(&whole).unwrap_or_else(|error| panic!("{path}: {error}"));
    Known { name: path.to_owned(), bytes }
}

/// A new folder, where the system keeps some in memory: what syncs its files then waits for no disk.
fn scratch() -> tempfile::TempDir {
    const IN_MEMORY: &str = "/dev/shm";
    let given = std::env::var_os("FENIX_FUZZ_SCRATCH").map(std::path::PathBuf::from);
    let in_memory = std::path::PathBuf::from(IN_MEMORY);
    let parent = given.or_else(|| in_memory.is_dir().then_some(in_memory)).unwrap_or_else(std::env::temp_dir);
    tempfile::tempdir_in(parent).expect("a folder can be made")
}

/// Ends what targets keep from one input to the next, folders included.
pub fn end() {
    calls::end();
    compiled::end();
}

/// What is told to people: something, not much more than what it is about, and nothing that steers a terminal.
fn is_told(what: &str, about: usize) {
    assert!(!what.trim().is_empty(), "nothing is said about what is wrong");
    assert!(what.len() <= 8 * about + 4096, "{} bytes are said about {about}", what.len());
}
