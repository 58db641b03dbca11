//! The engine by itself: a scripted workflow, a journal in memory, a cloud whose truth the test writes.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod assessing;
mod closings;
mod cloud;
mod commands;
mod deciding;
mod harness;
mod held;
mod jumps;
mod moves;
mod observing;
mod outbox;
mod own_host;
mod packages;
mod replay;
mod replies;
mod services;
mod slow;
mod standing;
mod values;
mod work;
