//! What a session brings: packages, fetched before anything is touched.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::standing::Attached;

/// A package as a session asks for it (contract 1.1 `download`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSpec {
    /// Under which its session knows it; no other package of the session has this name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it must be; `None` if whatever is there is taken.
    pub sha256: Option<Digest>,
    /// Who answers for it: the text of a minisign signature.
    pub signature: Option<String>,
}

/// What a session brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// What was asked for.
    pub wanted: Vec<PackageSpec>,
    /// What is here: all of them, in that order, or none.
    pub fetched: Vec<Package>,
}

impl Packages {
    /// True while not all of them are here: until then the session's plug-ins are names, and nothing is decided.
    pub fn are_missing(&self) -> bool {
        self.fetched.len() < self.wanted.len()
    }
}

/// A package that was fetched, and is what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Under which its session knows it.
    pub name: String,
    /// Its content.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// The plug-ins in it.
    pub plugins: Vec<Attached>,
}
