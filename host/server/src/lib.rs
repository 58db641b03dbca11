//! The `fenix` binary as a library: configuration, the shell round the engine, the HTTP API and the command line.
//!
//! Everything here is an edge. The engine decides; this crate reads clocks and sockets for it, carries its orders
//! out, and gives data the forms that it has outside. Nothing else in the workspace serves HTTP or knows its JSON; a
//! driver speaks what its infrastructure speaks.

pub mod alarms;
pub mod bus;
pub mod calls;
pub mod compiling;
pub mod config;
pub mod infrastructure;
pub mod packages;
pub mod plugins;
pub mod receivers;
pub mod remote;
pub mod wire;

pub mod shell;

pub mod api;
pub mod auth;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod page;
mod pipe;
pub mod sandbox;
mod secret;
pub mod server;
pub mod stop;
pub mod tls;
pub mod traces;

pub mod cli;
pub mod conformance;
pub mod demo;
pub mod vnfm;
