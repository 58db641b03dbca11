//! The host's side of the contract: one interface per file. Each answers from the core, and keeps no rule of its own.

mod cloud;
mod http;
mod kv;
mod log;
mod packages;
mod plan;
mod remote;
mod view;

/// Types alone: there is nothing to answer.
impl crate::bindings::action::fenix::plugin::assignments::Host for crate::action::Acting {}
