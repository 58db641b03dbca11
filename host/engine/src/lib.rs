//! The engine: events in, records and orders out.

pub mod ports;
pub mod command;
