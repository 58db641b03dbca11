//! Builds Fenix plug-ins from source and encodes them as components.
//!
//! Made for build scripts: `fenix-shipped` uses it for the plug-ins that come with Fenix, and so may whoever embeds
//! their own. [`build`] runs cargo on a workspace of plug-ins for `wasm32-unknown-unknown` (which gives them no clock,
//! no files and no network, not even as imports), encodes every module that comes out, and writes one
//! `NAME.component.wasm` each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod compile;
mod encode;

/// The target that plug-ins are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Bytes of stack of a plug-in. Rust's default is 1 MiB, all of which is mapped for every instance; a decision is shallow.
pub const STACK_BYTES: u32 = 64 * 1024;

/// What to build, and where to.
#[derive(Clone, Debug)]
pub struct Build {
    /// The folder of the plug-ins' workspace. It is a workspace of its own, because profiles count only at its root.
    pub workspace: PathBuf,
    /// Further files and folders on which the plug-ins depend, such as the SDK and `wit/`.
    pub watched: Vec<PathBuf>,
    /// Where the components and the compiler's own output go; in a build script, inside `OUT_DIR`.
    pub out: PathBuf,
    /// Folders whose paths must not stand in the components, and what stands there instead.
    pub remap: Vec<(PathBuf, String)>,
}

/// One component, ready to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The plug-in's name, from its own manifest section.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Why plug-ins could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The compiler has no library for the target.
    #[error(
        "plug-ins are built for {TARGET}, which is not installed for {rustc}; run: rustup target add {TARGET}"
    )]
    TargetMissing {
        /// The compiler that was asked.
        rustc: String,
    },
    /// A program could not be run.
    #[error("{program} could not be run")]
    Run {
        /// Which.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Cargo did not build the plug-ins; what it said stands before this.
    #[error("cargo could not build the plug-ins in {}", workspace.display())]
    Cargo {
        /// Of which workspace.
        workspace: PathBuf,
    },
    /// There is no plug-in in the workspace.
    #[error("no library of type cdylib in {}; a plug-in's Cargo.toml says crate-type = [\"cdylib\", \"rlib\"]", workspace.display())]
    Nothing {
        /// In which workspace.
        workspace: PathBuf,
    },
    /// A module is not a plug-in.
    #[error("{module} is not a plug-in: {why}")]
    NotAPlugin {
        /// The module's file.
        module: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two plug-ins have one name.
    #[error("two plug-ins are named {name}: give one of them another name")]
    Twice {
        /// The name.
        name: String,
    },
    /// A file could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Builds and encodes all plug-ins of a workspace.
///
/// On return every component is on disk, valid, and carries its manifest; they are sorted by name. What does not need
/// building again is not built again.
///
/// # Errors
/// The target is missing, the plug-ins do not compile, or one of them is not a plug-in.
pub fn build(build: &Build) -> Result<Vec<Component>, BuildError> {
    compile::require_target()?;
    let mut components = BTreeMap::new();
    for module in compile::modules(build)? {
        let bytes = read(&module)?;
        let not = |why: String| BuildError::NotAPlugin { module: module.display().to_string(), why };
        let (name, component) = encode::encode(&bytes).map_err(not)?;
        let path = build.out.join(format!("{name}.component.wasm"));
        write(&path, &component)?;
        if components.insert(name.clone(), path).is_some() {
            return Err(BuildError::Twice { name });
        }
    }
    if components.is_empty() {
        return Err(BuildError::Nothing { workspace: build.workspace.clone() });
    }
    Ok(components.into_iter().map(|(name, path)| Component { name, path }).collect())
}

/// The lines by which a build script asks cargo to run it again when a plug-in, or what it depends on, changes.
///
/// A new plug-in counts when the workspace's `Cargo.toml` names it. The workspace's own `target` is not watched.
///
/// # Errors
/// The workspace's folder cannot be read.
pub fn rerun_lines(build: &Build) -> Result<Vec<String>, BuildError> {
    let workspace = |source| BuildError::File { path: build.workspace.clone(), source };
    let mut watched = build.watched.clone();
    for entry in std::fs::read_dir(&build.workspace).map_err(workspace)? {
        let entry = entry.map_err(workspace)?;
        if entry.file_name() != "target" {
            watched.push(entry.path());
        }
    }
    watched.sort();
    Ok(watched.iter().map(|path| format!("cargo::rerun-if-changed={}", path.display())).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File { path: path.to_owned(), source })
}

/// Writes a file, unless it is there already just so: an untouched time keeps what depends on it fresh.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).map_err(|source| BuildError::File { path: path.to_owned(), source })
}

/// A program named by an environment variable of cargo's, or else by its usual name.
fn program(variable: &str, usual: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| usual.into())
}
