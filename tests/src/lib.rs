//! What the end-to-end tests stand on: a disk that can lose power and fail ([`disk`]), and the order of what a process
//! did ([`syscalls`]).

pub mod disk;
pub mod syscalls;
