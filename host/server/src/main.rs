//! The `fenix` binary.
fn main() {}
