//! Conventions of this repository that a machine can check.
//!
//! Each test looks at all files of one kind and lists what breaks the convention, with file and line, so that one
//! run shows everything. What rustc and clippy can check is not here but in the lints of the workspace.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crates;
mod limits;
mod markdown;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files whose name ends so, by path. What is built or hidden does not count.
fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no file ends with {ending}: the repository is looked for in the wrong place");
    found
}

fn collect(dir: &Path, ending: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            collect(&path, ending, found);
        } else if name.ends_with(ending) {
            let from_root = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(File { path: from_root, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Fails with all of them, if there are any.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
