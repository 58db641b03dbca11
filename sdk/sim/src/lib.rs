//! Fenix in virtual time: whole sessions with everything that can go wrong, in milliseconds, the same for the same
//! seed.
//!
//! The engine, the rules, the stored form of records and the plug-ins are the real ones. The cloud is the simulated
//! one that the product ships. Application managers, administrators, the wire between all of them, kills and clock
//! jumps are played by this crate. What really happened is written down ([`truth`]), and [`checkers`] say whether it
//! was right.
//!
//! [`run()`] takes a [`scenario::Scenario`], plain data, and returns a [`report::Report`] with everything that should
//! not have happened and a timeline for people. [`generate`] makes scenarios of all kinds from a seed.

pub mod checkers;
pub mod coverage;
pub mod dice;
pub mod fickle;
pub mod generate;
pub mod managers;
pub mod many;
pub mod named;
pub mod plugins;
pub mod reckless;
pub mod report;
mod run;
pub mod scenario;
pub mod shrink;
pub mod truth;
pub mod verdict;

pub use run::{ScenarioError, run};
