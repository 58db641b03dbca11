//! A cloud that exists only in a computer's memory, and behaves as a real one does on its bad days.
//!
//! [`World`] is the cloud: pure, seeded, told the time by whoever drives it. [`FaultyCloud`] puts it behind a bad
//! wire. [`serve`] runs both as a process of its own with a file of its own, and [`SimClient`] talks to it. What really happened stands in the trace ([`trace`]), which nobody but checkers reads.

mod audit;
mod calls;
mod claims;
mod client;
mod dice;
mod durable;
mod faults;
mod image;
mod life;
mod log;
mod machines;
mod moves;
mod protocol;
mod ranges;
mod server;
mod setup;
pub mod spec;
mod thirdparty;
pub mod trace;
mod world;

pub use audit::{HostSummary, Summary};
pub use calls::MAX_REASON;
pub use client::{Patience, SimClient};
pub use durable::{Durable, MAX_KEPT_TRACE, TracePage};
pub use faults::{Answer, FaultyCloud, Mishap, Target, is_read};
pub use log::StateError;
pub use protocol::{MAX_ANSWER, MAX_REQUEST};
pub use server::{MAX_CONNECTIONS, MAX_TRACE_PAGE, MAX_UNANSWERED, ServeError, serve};
pub use setup::SpecError;
pub use spec::Spec;
pub use thirdparty::Act;
pub use world::World;
