//! Commands on hosts under maintenance. Each goes on by itself once it is started, is found again by its name, and is started
//! once at most: so whoever asks may crash, and ask again.
//!
//! What is asked for becomes a [`script`], which a shell on the host runs; [`way`] brings it there. The host keeps a folder per
//! command, and nothing of Fenix has to be installed on it.

mod answer;
pub mod script;
pub mod way;

pub use way::{Remote, Way};
