//! Inputs that nobody would write, for everything that Fenix reads from outside.
//!
//! A [`Target`] is a function from bytes to nothing that panics when something does not hold which should hold for every
//! input: not only that nothing panics, but that what is taken means what it said, and that what is refused is refused by
//! name. [`TARGETS`] are all of them, one file each in [`targets`].
//!
//! They are run in two ways. [`short`] makes a fixed number of inputs out of known ones ([`mutate`]) and is a test
//! like any other. The program beside this library gives the same functions to libFuzzer, which sees how far each
//! input came: `make fuzz`.
//!
//! Known inputs ([`input`]) are readable files: `seeds/TARGET/` is where both begin, `found/TARGET/` is what once
//! failed, each under a name that says what was wrong.

pub mod input;
pub mod mutate;
pub mod short;
pub mod targets;

pub use targets::{TARGETS, Target, target};
