//! Write Fenix plug-ins in Rust.
//!
//! A plug-in is a crate of type `["cdylib", "rlib"]` with one function and one macro call:
//!
//! - a **workflow** decides what happens next in a session: [`workflow!`], [`workflow::View`], [`workflow::Plan`];
//! - an **action** works on a host: [`action!`], [`action::Cloud`].
//!
//! The function takes what it can read and do as trait objects. In a component these are the host's own functions; in
//! a test they are the stand-ins of [`testing`], or yours. So the whole of a plug-in runs natively under `cargo test`:
//! the macros export something only when the crate is compiled to WebAssembly.
//!
//! The contract itself, with units, ranges and duties, is documented in `wit/`, and repeated on the types here.

// The export macros of wit-bindgen name this crate as their users do.
extern crate self as fenix_sdk;

pub mod action;
pub mod bindings;
pub mod log;
#[doc(hidden)]
pub mod manifest;
pub mod template;
pub mod testing;
pub mod types;
pub mod workflow;

#[doc(hidden)]
pub use wit_bindgen;

/// The version of the contract that plug-ins built with this crate speak.
pub const CONTRACT: &str = "0.1.0";
