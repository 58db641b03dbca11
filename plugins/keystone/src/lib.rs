//! Tokens of Keystone and calls with them, for the actions that call services which know Keystone.
//!
//! [`Auth`] is what the metadata says, [`Access`] is a token and where services are, and [`Trouble`] is why a call came to
//! nothing, and whether another attempt makes sense.
//!
//! A token lives as long as one call of an action: it is fetched, used and forgotten. It stands in no checkpoint, in no line of
//! the log and in no message, whatever a service answers.

mod access;
mod auth;
mod moment;
mod opening;
mod request;
mod trouble;

pub use access::{Access, login};
pub use auth::{ApplicationCredential, Auth};
pub use moment::Moment;
pub use opening::opening;
pub use request::{body, check_url, refused, request, versioned, words};
pub use trouble::{FIRST_WAIT_MS, LONGEST_WAIT_MS, Retry, TRIES, Trouble};

#[cfg(test)]
mod tests;
