//! Drivers for infrastructures. Each answers the engine's [`CloudCall`](fenix_engine::ports::CloudCall)s.
//!
//! [`sim`] is the one that needs nothing but this program; it is the default, and the twin of every test.

pub mod sim;
