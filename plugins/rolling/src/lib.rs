//! What workflows have in common that roll through hosts: how a session begins and ends ([`course`]), how managers are asked
//! ([`consent`]), how a host is emptied ([`drain`]), how it is worked on and given back ([`work`]), and how a decision waits
//! ([`turn`]).
//!
//! What differs is whose turn it is: that is for each workflow to say.

pub mod consent;
pub mod course;
pub mod drain;
pub mod room;
pub mod turn;
pub mod work;
