//! The one place with unsafe code: turning compiled bytes back into a component.
//!
//! `wasmtime` runs such bytes as they are. They are safe exactly if the same `wasmtime`, with the same settings,
//! compiled them, and nobody changed them since. [`crate::cache`] answers for that, and is the only caller: it passes
//! bytes that were just compiled, or whose checksum it compared with the one that it wrote when they were. They are read
//! into memory before they are compared, so that a change of the file in between changes nothing.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Makes a component of bytes that [`Engine::precompile_component`] returned on an engine with the same settings.
///
/// # Errors
/// `wasmtime` sees that its version or settings are others.
#[allow(
    unsafe_code,
    reason = "there is no other way to load compiled code; the module's documentation says why it holds"
)]
pub(crate) fn trusted(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the caller vouches that the bytes are unchanged output of this compiler.
    unsafe { Component::deserialize(engine, compiled) }
}
