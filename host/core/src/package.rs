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

    /// True if one of them has that content, or must have it.
    pub fn bring(&self, digest: &Digest) -> bool {
        self.contents().any(|content| content == digest)
    }

    /// What those that are here consist of, and what the others must consist of, where that is known.
    pub fn contents(&self) -> impl Iterator<Item = &Digest> {
        let fetched = self.fetched.iter().map(|package| &package.digest);
        fetched.chain(self.wanted.iter().filter_map(|package| package.sha256.as_ref()))
    }
}

/// A package that an administrator put here, for sessions at a site that cannot fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPackage {
    /// Its content.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
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
