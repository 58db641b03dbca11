//! Where instances could go.
