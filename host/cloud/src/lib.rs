//! Drivers for infrastructures. Each answers the engine's [`CloudCall`](fenix_engine::ports::CloudCall)s.
//!
//! [`sim`] is the one that needs nothing but this program; it is the default, and the twin of every test.
//! `openstack` stands behind the feature of that name, because only it speaks HTTP.
//! Every driver is a [`Cloud`].

pub mod conformance;
mod driver;
#[cfg(feature = "openstack")]
pub mod openstack;
pub mod sim;

pub use driver::{Answering, Cloud};
