//! A cloud that exists only in a computer's memory, and behaves as a real one does on its bad days.
//!
//! [`World`] is the cloud: pure, seeded, told the time by whoever drives it. [`FaultyCloud`] puts it behind a bad
//! wire. What really happened stands in the trace ([`trace`]), which nobody but checkers reads.

mod audit;
mod calls;
mod claims;
mod dice;
mod faults;
mod life;
mod machines;
mod moves;
mod setup;
pub mod spec;
mod thirdparty;
pub mod trace;
mod world;

pub use audit::{HostSummary, Summary};
pub use calls::MAX_REASON;
pub use faults::{Answer, FaultyCloud, Target, is_read};
pub use setup::SpecError;
pub use spec::Spec;
pub use thirdparty::Act;
pub use world::World;
