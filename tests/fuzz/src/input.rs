//! Known inputs: files that people can read, turned into what a target takes.
//!
//! | ending | what becomes of it |
//! |---|---|
//! | `.hex` | bytes; blanks and lines that begin with `#` do not count |
//! | `.wat` | the component or module that the text stands for |
//! | `.archive` | the archive whose entries the lines name ([`crate::targets::archive::written`]) |
//! | others | the text as it is |

use std::path::{Path, PathBuf};

use crate::targets::archive;

/// A known input.
#[derive(Clone, Debug)]
pub struct Known {
    /// The file, or what made it.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// The inputs of a folder of this crate, `seeds` or `found`, for one target, by name.
///
/// # Panics
/// A file cannot be read as its ending says.
pub fn known(folder: &str, target: &str) -> Vec<Known> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: &PathBuf| Known { name: path.display().to_string(), bytes: read(path) };
    paths.iter().map(read).collect()
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = || std::str::from_utf8(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("hex") => unhexed(text()).unwrap_or_else(|| panic!("{}: no hex", path.display())),
        Some("wat") => wat::parse_str(text()).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        Some("archive") => archive::written(text()),
        _ => bytes,
    }
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    let digits = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    hex::decode(digits.collect::<String>()).ok()
}

/// The words and numbers in some inputs, each once: what is put elsewhere to make new inputs.
pub fn words(inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    /// Longest word in bytes: longer ones are data, not words.
    const MAX_WORD: usize = 40;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:@".contains(byte);
    let mut words: Vec<Vec<u8>> = inputs
        .iter()
        .flat_map(|input| input.split(move |byte| !is_part(byte)))
        .filter(|word| (2..=MAX_WORD).contains(&word.len()))
        .map(<[u8]>::to_vec)
        .collect();
    words.sort();
    words.dedup();
    words
}
