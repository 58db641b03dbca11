//! Runs workflows and actions as WebAssembly components, in a sandbox.
//!
//! [`Plugins`] is the registry: [`Plugins::attach`] takes a component, refuses what is not a plug-in or asks for more
//! than a plug-in may have, compiles it, and knows it from then on by its digest. It is the engine's
//! [`Workflows`](fenix_engine::ports::Workflows) port. [`ActionRunner`] calls actions.
//!
//! Every call gets a fresh instance, with limits on instructions, memory, time, calls of the host and size of what
//! passes between; see [`limits`]. Whatever a plug-in does, the call ends with a result or a named error, and its instance is
//! dropped. Nothing of WASI is linked: a plug-in sees no clock, no randomness, no file and no network.
//!
//! Only this crate knows what the contract in `wit/` looks like in Rust: `bindings` is generated, `host` answers one
//! interface per file, `convert` translates to and from `fenix-core`.

mod action;
mod bindings;
mod cache;
mod code;
mod convert;
mod engine;
mod fault;
mod gate;
mod host;
pub mod http;
pub mod limits;
mod manifest;
mod meter;
mod plugins;
mod text;
mod workflow;

pub use action::{ActionRunner, Capabilities, Level, ValueError};
pub use cache::{CompileError, Compiler, precompile};
pub use manifest::{Does, Kind, Manifest, ManifestError, inspect};
pub use meter::{Meter, Spent};
pub use plugins::{AttachError, PluginInfo, Plugins, SetUpError};
