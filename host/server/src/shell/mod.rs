//! The engine under a real clock: one writer, everything else around it.
//!
//! [`writer`] is the only place where the engine and its journal live, on a thread of their own. [`desk`] is how
//! everybody else meets it. What the engine orders is carried out by [`hands`]: calls to the infrastructure, work
//! of actions, and messages, which [`courier`] delivers to addresses that `names` has checked. [`feed`] tells followers
//! what happened. [`clock`] tells the time. [`store`] keeps the journal, and opens it again after a failure.

pub mod clock;
pub mod courier;
pub mod desk;
pub mod feed;
pub mod hands;
mod lanes;
mod names;
pub mod store;
pub mod writer;
