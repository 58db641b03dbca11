//! The forms that data takes outside: the only place that knows them.
//!
//! Managers written for the earlier Fenix hear from it through Ceilometer and Aodh, which turn lists and maps into
//! Python text ([`python`]) and wrap everything as an alarm ([`aodh`]); on OpenStack's own bus that is left to those two
//! ([`oslo`]). What stands inside is made by [`payload`].
//! What managers and administrators send is read by [`reply`], [`session`], [`packages`] and [`constraint`]; calendar times by [`time`].

pub mod aodh;
pub mod cloudevents;
pub mod constraint;
pub mod oslo;
pub mod packages;
pub mod payload;
pub mod python;
pub mod reply;
pub mod session;
pub mod terms;
pub mod time;
