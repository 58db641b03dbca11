//! The engine: events in, records and orders out.

pub mod command;
pub mod event;
pub mod ports;
