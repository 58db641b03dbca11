//! The sandbox: what it takes, what it refuses, and what it contains.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod actions;
mod attach;
mod decide;
mod guest;
mod hostile;
mod scene;
