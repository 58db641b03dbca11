//! Derived: what all sessions together hold.
