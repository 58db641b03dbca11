//! Compiled components on disk, so that a start of the server compiles nothing.
//!
//! A file's name carries the component's digest and a key of everything that shapes compiled code: the version of
//! `wasmtime`, its settings and the processor. Beside it lies the SHA-256 of its content. A file that does not match is
//! compiled anew and replaced. The folder must belong to the server's user alone: whoever can write both files can
//! run code as that user.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fenix_core::id::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::code;

/// The folder, and the key of the engine.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    key: String,
}

impl Cache {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(folder: &Path, engine: &Engine) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // 64 bits tell settings apart; nobody gains anything by a collision.
        let key = format!("{:016x}", hasher.finish());
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// Loads a compiled component; `None` if there is none that can be trusted.
    fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let compiled = fs::read(self.path(digest, "cwasm")).ok()?;
        let recorded = fs::read_to_string(self.path(digest, "sha256")).ok()?;
        if recorded != sha256(&compiled) {
            return None;
        }
        code::trusted(engine, &compiled).ok()
    }

    /// Keeps compiled bytes. First the content, then its checksum: a crash in between leaves a file without a
    /// checksum, or with an old one, which is not trusted.
    fn store(&self, digest: &Digest, compiled: &[u8]) -> io::Result<()> {
        self.write(&self.path(digest, "cwasm"), compiled)?;
        self.write(&self.path(digest, "sha256"), sha256(compiled).as_bytes())
    }

    fn path(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{}.{extension}", self.key))
    }

    /// Replaces a file whole, or leaves it as it was.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("new-{}-{count}", std::process::id()));
        let mut file = File::create(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
            // What matters is why it could not be written; a left-over file is only untidy.
            let _untidy = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(&self.folder)?.sync_all()
    }
}

/// Compiles a component, or takes it from the cache. A folder that cannot be written costs time at the next start and
/// nothing else, so it is no error.
///
/// # Errors
/// The component is not valid, or uses what is switched off.
pub(crate) fn compile(
    engine: &Engine,
    cache: Option<&Cache>,
    compiler: Option<&dyn Compiler>,
    (digest, bytes): (&Digest, &[u8]),
) -> Result<Component, CompileError> {
    let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
    if let Some(component) = cache.and_then(|cache| cache.load(engine, digest)) {
        return Ok(component);
    }
    let compiled = match compiler {
        Some(compiler) => compiler.compile(bytes)?,
        None => engine.precompile_component(bytes).map_err(invalid)?,
    };
    if let Some(cache) = cache {
        let _slower_next_time = cache.store(digest, &compiled);
    }
    code::trusted(engine, &compiled).map_err(invalid)
}

/// Whoever compiles components elsewhere. What it returns is run as it is: it must be what [`precompile`] returned, unchanged.
pub trait Compiler: Send + Sync {
    /// Compiles a component.
    ///
    /// # Errors
    /// It is not valid, or costs too much.
    fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError>;
}

/// Why a component was not compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It is not valid WebAssembly, or uses what is switched off here.
    #[error("{0}")]
    Invalid(String),
    /// It would take more time or memory than a component may.
    #[error("{0}")]
    Costly(String),
}

/// Compiles a component for this machine, with the settings that it is run with.
///
/// # Errors
/// It is not valid, or uses what is switched off.
pub fn precompile(component: &[u8]) -> Result<Vec<u8>, String> {
    let compiled = crate::engine::engine().and_then(|engine| engine.precompile_component(component));
    compiled.map_err(|error| format!("{error:#}"))
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 where a `Hasher` is wanted: the same in every process, unlike the standard library's.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}
