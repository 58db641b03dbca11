//! What an installation lets sessions bring.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fenix_core::package::PackageSpec;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::signature::Keys;
use crate::source::{Source, SourceError};

/// What must be known of a package before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// Nothing: whatever the server sends is taken.
    None,
    /// The digest of its content.
    #[default]
    Digest,
    /// Who signed it: one of the keys of the installation.
    Signed,
}

/// Where packages may come from: an address that ends in `/`, and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Url);

/// Why a text allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedError {
    /// It is no address of a web server.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// It is not what others are below of.
    #[error("it must end in /, so that it is seen what is below it, and have no ?")]
    NotAFolder,
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Allowed, AllowedError> {
        match text.parse()? {
            Source::Web(url) if url.path().ends_with('/') && url.query().is_none() => Ok(Allowed(url)),
            Source::Web(_) => Err(AllowedError::NotAFolder),
            Source::Folder(_) => Err(SourceError::Scheme("file".to_owned()).into()),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Allowed {
    fn covers(&self, url: &Url) -> bool {
        let place = |url: &Url| {
            (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
        };
        place(&self.0) == place(url) && url.path().starts_with(self.0.path())
    }
}

/// How long is waited, and how often something is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts at one package.
    pub tries: u32,
    /// Pause after the first attempt; doubled after each further one.
    pub pause: Duration,
    /// How long a server may send nothing.
    pub silence: Duration,
    /// How long one package may take, with all attempts.
    pub whole: Duration,
}

impl Default for Patience {
    /// Five attempts in half a minute bridge the restart of a web server. A minute of silence is more than a busy one
    /// needs; an hour for a package is 2 GiB at 5 Mbit/s.
    fn default() -> Patience {
        Patience {
            tries: 5,
            pause: Duration::from_secs(2),
            silence: Duration::from_secs(60),
            whole: Duration::from_secs(3600),
        }
    }
}

/// What an installation lets sessions bring.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Web servers, and where on them.
    pub allow: Vec<Allowed>,
    /// The folder of `file:`.
    pub folder: Option<PathBuf>,
    /// What must be known of a package.
    pub proof: Proof,
    /// Whose signatures count.
    pub keys: Keys,
    /// Largest package in bytes.
    pub most_bytes: u64,
    /// How long is waited.
    pub patience: Patience,
}

/// Largest package in bytes, unless the installation says otherwise: an image of a whole host fits.
pub const MOST_BYTES: u64 = 4 << 30;

impl Default for Policy {
    /// Nothing may be brought.
    fn default() -> Policy {
        Policy {
            allow: Vec::new(),
            folder: None,
            proof: Proof::default(),
            keys: Keys::default(),
            most_bytes: MOST_BYTES,
            patience: Patience::default(),
        }
    }
}

/// Why a session may not bring a package; its URL is named by whoever says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It has no address.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// Nothing is fetched from there.
    #[error("no package may come from there; the server's `packages.allow` names {}", allowed(.0))]
    Place(Vec<Allowed>),
    /// There is no folder.
    #[error("the server's `packages.folder` names no folder to take files from")]
    NoFolder,
    /// It may be anything.
    #[error(
        "`sha256` is missing: the server takes no package whose content nobody has named (`packages.proof`)"
    )]
    NoDigest,
    /// Nobody's signature counts.
    #[error("it has a signature, and the server's `packages.keys` has no key to verify it with")]
    NoKeys,
}

fn allowed(all: &[Allowed]) -> String {
    let all: Vec<String> = all.iter().map(Allowed::to_string).collect();
    if all.is_empty() { "no place".to_owned() } else { all.join(", ") }
}

impl Policy {
    /// Where a package is, if it may be brought.
    ///
    /// # Errors
    /// It may not: nothing is fetched.
    pub fn source(&self, spec: &PackageSpec) -> Result<Source, Forbidden> {
        let source: Source = spec.url.parse()?;
        match &source {
            Source::Web(url) if !self.allows(url) => return Err(Forbidden::Place(self.allow.clone())),
            Source::Folder(_) if self.folder.is_none() => return Err(Forbidden::NoFolder),
            Source::Web(_) | Source::Folder(_) => {}
        }
        if self.proof == Proof::Digest && spec.sha256.is_none() {
            return Err(Forbidden::NoDigest);
        }
        if spec.signature.is_some() && self.keys.is_empty() {
            return Err(Forbidden::NoKeys);
        }
        Ok(source)
    }

    /// True if something may be fetched from there.
    pub fn allows(&self, url: &Url) -> bool {
        self.allow.iter().any(|allowed| allowed.covers(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_an_allowed_place_may_come() {
        let policy = Policy {
            allow: vec![
                "https://repo.example/fenix/".parse().unwrap(),
                "http://127.0.0.1:8080/".parse().unwrap(),
            ],
            proof: Proof::None,
            ..Policy::default()
        };
        let check = |url: &str, may: bool| {
            let spec = PackageSpec { name: "p".into(), url: url.into(), sha256: None, signature: None };
            let source = policy.source(&spec);
            assert_eq!(source.is_ok(), may, "{url}: {source:?}");
        };
        check("https://repo.example/fenix/x", true);
        check("https://repo.example:443/fenix/a/b?c", true);
        check("http://127.0.0.1:8080/anything", true);
        check("https://repo.example/fenix", false);
        check("https://repo.example/fenixx/x", false);
        check("https://repo.example/fenix/../x", false);
        check("https://repo.example/fenix/%2e%2e/x", false);
        check("https://repo.example:444/fenix/x", false);
        check("http://repo.example/fenix/x", false);
        check("https://repo.example.evil.example/fenix/x", false);
        check("https://evil.example/https://repo.example/fenix/x", false);
        check("http://127.0.0.1/anything", false);
        check("file:x", false);
    }

    #[test]
    fn what_must_be_known_is_asked_for() {
        let check =
            |proof: Proof, sha256: Option<&str>, signature: Option<&str>, expected: Result<(), Forbidden>| {
                let policy = Policy { folder: Some("/srv".into()), proof, ..Policy::default() };
                let spec = PackageSpec {
                    name: "p".into(),
                    url: "file:x".into(),
                    sha256: sha256.map(Into::into),
                    signature: signature.map(str::to_owned),
                };
                assert_eq!(policy.source(&spec).map(|_| ()), expected);
            };
        check(Proof::None, None, None, Ok(()));
        check(Proof::Digest, Some("d"), None, Ok(()));
        check(Proof::Digest, None, None, Err(Forbidden::NoDigest));
        // It may lie beside the package.
        check(Proof::Signed, None, None, Ok(()));
        check(Proof::Signed, None, Some("s"), Err(Forbidden::NoKeys));
        check(Proof::None, None, Some("s"), Err(Forbidden::NoKeys));
    }

    #[test]
    fn a_place_is_a_folder_on_a_web_server() {
        let check = |text: &str| assert!(text.parse::<Allowed>().is_err(), "{text}");
        check("https://repo.example/x");
        check("https://repo.example/?x/");
        check("file:x/");
        check("repo.example/");
    }
}
