//! Plain data and pure functions: what a maintenance session is, what may happen in it, and why.
//!
//! Nothing here does I/O, reads a clock, draws a random number, knows a calendar or a WIT type. State is a fold
//! of [`record`]s ([`state::State::apply`]); a workflow reads it through [`view::View`]; what it wants is a
//! [`decision::Decision`]; [`rules`] admit it as an [`effect::Effect`] or refuse it with the reason.

pub mod grant;
pub mod http_rule;
pub mod id;
mod pattern;
pub mod remote;
pub mod shared;
pub mod time;

mod difference;
pub mod inventory;
pub mod resources;

pub mod ask;
pub mod blocker;
pub mod caller;
pub mod constraint;
pub mod decision;
pub mod effect;
pub mod group;
pub mod hosts;
pub mod message;
pub mod outbox;
pub mod package;
pub mod past;
pub mod policy;
pub mod session;
pub mod standing;
pub mod values;

pub mod finder;
pub mod fold;
mod history;
pub mod record;
pub mod state;

pub mod ledger;
pub mod place;
pub mod preflight;
pub mod rules;
pub mod view;
