//! Packages that sessions bring: where they may come from, how they are fetched and checked, and where they are kept.
//!
//! A package is nobody's friend: whoever serves it may send anything, for ever, or nothing at all. It counts as here once
//! all of it is on disk under the digest of its content, that digest is the one that the session names, and whoever the
//! installation wants to answer for it did. Before that, nothing reads what is in it.

pub mod archive;
pub mod bundle;
mod collected;
pub mod fetch;
mod http;
pub mod oci;
pub mod policy;
mod registry;
pub mod signature;
pub mod source;
pub mod store;
