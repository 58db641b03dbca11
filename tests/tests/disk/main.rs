//! The journal on a disk that loses power and fails: nothing that was acknowledged is lost, and nothing is damaged
//! without a word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cuts;
mod faults;
mod journal;
mod mounted;
mod moving;
