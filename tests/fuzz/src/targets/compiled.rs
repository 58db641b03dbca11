//! Compiled code on disk: whatever stands there instead of it is never run. The component is compiled anew, and the
//! files are right again.
//!
//! The first byte of an input says what it replaces: the code (`c`), its checksum (`s`), or else both files' ends
//! (the input is put behind what is there).

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use fenix_wasm::Plugins;

use super::component::guest;
use crate::input::Known;

/// The smallest workflow there is.
static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| guest::workflow("", ""));

/// A folder with its code, as the first attach left it.
struct Folder {
    scratch: tempfile::TempDir,
    /// Path and content of each file.
    files: Vec<(PathBuf, Vec<u8>)>,
}

static FOLDER: Mutex<Option<Arc<Folder>>> = Mutex::new(None);

/// The one folder.
fn folder() -> Arc<Folder> {
    let mut folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    folder.get_or_insert_with(|| Arc::new(Folder::new())).clone()
}

/// Removes the folder.
pub(crate) fn end() {
    drop(FOLDER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Folder {
    fn new() -> Folder {
        let scratch = super::scratch();
        attach(&scratch);
        let paths = fs::read_dir(scratch.path()).expect("a folder").flatten().map(|entry| entry.path());
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect();
        files.sort();
        assert_eq!(files.len(), 2, "code and checksum");
        Folder { scratch, files }
    }
}

fn attach(scratch: &tempfile::TempDir) {
    let plugins = Plugins::new(Some(scratch.path())).expect("the sandbox runs here");
    let info = plugins.attach(&COMPONENT).expect("it is a good component whatever lies in the folder");
    assert_eq!(info.name, "guest");
}

/// The code and the checksum themselves.
pub fn seeds() -> Vec<Known> {
    let with_kind = |(kind, (path, bytes)): (&u8, &(PathBuf, Vec<u8>))| Known {
        name: path.display().to_string(),
        bytes: [&[*kind][..], bytes].concat(),
    };
    b"cs".iter().zip(&folder().files).map(with_kind).collect()
}

/// Replaces a file, and attaches.
pub fn run(input: &[u8]) {
    let (kind, content) = input.split_first().map_or((b'c', &[][..]), |(kind, rest)| (*kind, rest));
    let folder = folder();
    for ((path, good), own) in folder.files.iter().zip(*b"cs") {
        let written = match kind {
            kind if kind == own => content.to_vec(),
            b'c' | b's' => good.clone(),
            _ => [good, content].concat(),
        };
        fs::write(path, written).expect("a file can be written");
    }
    attach(&folder.scratch);
    for (path, good) in &folder.files {
        assert!(fs::read(path).expect("a file") == *good, "{} is not right again", path.display());
    }
}
