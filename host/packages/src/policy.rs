//! What an installation lets sessions bring.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fenix_core::package::PackageSpec;
use oci_client::secrets::RegistryAuth;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::http;
use crate::oci::{Artifact, Registry};
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
pub struct Allowed(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Web(Url),
    /// A registry, and with what its repositories begin.
    Oci(Registry, String),
}

/// Why a text allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedError {
    /// It is no address of a web server or a registry.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not what others are below of.
    #[error("it must end in /, so that it is seen what is below it, and have no ?")]
    NotAFolder,
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Allowed, AllowedError> {
        if Registry::is_meant_by(text) {
            return registry(text);
        }
        match text.parse()? {
            Source::Web(url) if url.path().ends_with('/') && url.query().is_none() => {
                Ok(Allowed(Place::Web(url)))
            }
            Source::Web(_) | Source::Oci(_) => Err(AllowedError::NotAFolder),
            Source::Folder(_) => Err(SourceError::Scheme("file".to_owned()).into()),
        }
    }
}

fn registry(text: &str) -> Result<Allowed, AllowedError> {
    if !text.ends_with('/') {
        return Err(AllowedError::NotAFolder);
    }
    // A place is one below which something can be.
    format!("{text}any:1").parse::<Artifact>()?;
    let (registry, path) = Registry::before(text)?;
    Ok(Allowed(Place::Oci(registry, path.to_owned())))
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Web(url) => url.fmt(f),
            Place::Oci(registry, path) => write!(f, "{}://{registry}/{path}", registry.scheme()),
        }
    }
}

impl Allowed {
    fn covers(&self, url: &Url) -> bool {
        matches!(&self.0, Place::Web(place) if http::is_below(place, url))
    }

    fn covers_artifact(&self, artifact: &Artifact) -> bool {
        match &self.0 {
            Place::Web(_) => false,
            Place::Oci(registry, path) => {
                registry.is(artifact.registry()) && artifact.repository().starts_with(path)
            }
        }
    }
}

/// Who reads from a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    password: String,
}

/// Why somebody has no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// HTTP cannot say it (RFC 7617, 2).
    #[error("the user has a : or what is no letter in it, or no name")]
    User,
    /// It is none.
    #[error("the password is empty, or has a line break or the like in it")]
    Password,
}

impl Account {
    /// One with a name and a password; a token for registries is a password too.
    ///
    /// # Errors
    /// They cannot be sent.
    pub fn new(user: &str, password: &str) -> Result<Account, AccountError> {
        if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(AccountError::User);
        }
        if password.is_empty() || password.contains(char::is_control) {
            return Err(AccountError::Password);
        }
        Ok(Account { user: user.to_owned(), password: password.to_owned() })
    }

    pub(crate) fn auth(&self) -> RegistryAuth {
        RegistryAuth::Basic(self.user.clone(), self.password.clone())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
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
    /// Web servers and registries, and where on them.
    pub allow: Vec<Allowed>,
    /// As whom registries are asked, by `HOST` or `HOST:PORT` in small letters; others are asked as nobody.
    pub accounts: BTreeMap<String, Account>,
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
            accounts: BTreeMap::new(),
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
    #[error(transparent)]
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
    /// Nobody answers for it.
    #[error(
        "`signature` is missing: the server takes only what is signed (`packages.proof`), and a signature cannot lie beside an artifact in a registry; name it in the session"
    )]
    NoSignature,
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
            Source::Oci(artifact) if !self.allow.iter().any(|allowed| allowed.covers_artifact(artifact)) => {
                return Err(Forbidden::Place(self.allow.clone()));
            }
            Source::Web(_) | Source::Folder(_) | Source::Oci(_) => {}
        }
        let is_pinned = matches!(&source, Source::Oci(artifact) if artifact.pinned().is_some());
        if self.proof == Proof::Digest && spec.sha256.is_none() && !is_pinned {
            return Err(Forbidden::NoDigest);
        }
        let is_artifact = matches!(source, Source::Oci(_));
        if self.proof == Proof::Signed && spec.signature.is_none() && is_artifact {
            return Err(Forbidden::NoSignature);
        }
        if spec.signature.is_some() && self.keys.is_empty() {
            return Err(Forbidden::NoKeys);
        }
        Ok(source)
    }

    /// True if something may be fetched from there. A place in a registry allows its artifacts, not addresses of the web.
    pub fn allows(&self, url: &Url) -> bool {
        self.allow.iter().any(|allowed| allowed.covers(url))
    }

    /// As whom a registry is asked.
    pub(crate) fn account(&self, registry: &Registry) -> Option<&Account> {
        registry.names().iter().find_map(|name| self.accounts.get(name))
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
                "oci://Registry.Example/team/".parse().unwrap(),
                "oci+http://127.0.0.1:5000/".parse().unwrap(),
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
        check("oci://registry.example/team/upgrade:1.2", true);
        check("oci://REGISTRY.example:443/team/a/b:1.2", true);
        check("oci+http://127.0.0.1:5000/upgrade:1", true);
        check("oci://registry.example/team:1.2", false);
        check("oci://registry.example/teams/upgrade:1.2", false);
        check("oci://registry.example:444/team/upgrade:1.2", false);
        check("oci+http://registry.example/team/upgrade:1.2", false);
        check("oci+http://registry.example:443/team/upgrade:1.2", false);
        check("oci://127.0.0.1:5000/upgrade:1", false);
        check("oci://repo.example/fenix/x:1", false);
        check("https://registry.example/team/upgrade", false);
        check("https://registry.example/v2/team/upgrade/blobs/x", false);
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
    fn what_must_be_known_of_an_artifact_is_asked_for() {
        let pinned = format!("@sha256:{}", "ab".repeat(32));
        let check = |proof: Proof, version: &str, sha256: Option<&str>, expected: Result<(), Forbidden>| {
            let allow = vec!["oci://registry.example/".parse().unwrap()];
            let policy = Policy { allow, proof, ..Policy::default() };
            let spec = PackageSpec {
                name: "p".into(),
                url: format!("oci://registry.example/x{version}"),
                sha256: sha256.map(Into::into),
                signature: None,
            };
            assert_eq!(policy.source(&spec).map(|_| ()), expected);
        };
        check(Proof::None, ":1", None, Ok(()));
        check(Proof::Digest, ":1", None, Err(Forbidden::NoDigest));
        check(Proof::Digest, ":1", Some("d"), Ok(()));
        check(Proof::Digest, &pinned, None, Ok(()));
        check(Proof::Digest, &format!(":1{pinned}"), None, Ok(()));
        check(Proof::Signed, &pinned, Some("d"), Err(Forbidden::NoSignature));
    }

    #[test]
    fn accounts_are_of_a_registry_and_do_not_show_their_password() {
        let account = Account::new("me", "secret").unwrap();
        assert_eq!(format!("{account:?}"), "Account { user: \"me\", .. }");
        for (user, password) in [("", "x"), ("a:b", "x"), ("a\n", "x"), ("a", ""), ("a", "x\r\n")] {
            assert!(Account::new(user, password).is_err(), "{user:?} {password:?}");
        }
        let check = |known: &str, asked: &str, has: bool| {
            let accounts = [(known.to_owned(), account.clone())].into();
            let policy = Policy { accounts, ..Policy::default() };
            let artifact: Artifact = asked.parse().unwrap();
            assert_eq!(policy.account(artifact.registry()).is_some(), has, "{known} {asked}");
        };
        check("registry.example", "oci://registry.example/x:1", true);
        check("registry.example", "oci://registry.example:443/x:1", true);
        check("registry.example:443", "oci://registry.example/x:1", true);
        check("127.0.0.1:5000", "oci+http://127.0.0.1:5000/x:1", true);
        check("registry.example", "oci://registry.example:444/x:1", false);
        check("registry.example:443", "oci+http://registry.example/x:1", false);
        // A password is sent without TLS only where somebody wrote down the port for it.
        check("registry.example", "oci+http://registry.example/x:1", false);
        check("registry.example:80", "oci+http://registry.example/x:1", true);
        check("example", "oci://registry.example/x:1", false);
    }

    #[test]
    fn a_place_is_a_folder_on_a_web_server_or_in_a_registry() {
        let check = |text: &str| assert!(text.parse::<Allowed>().is_err(), "{text}");
        check("https://repo.example/x");
        check("https://repo.example/?x/");
        check("file:x/");
        check("repo.example/");
        check("oci://registry.example");
        check("oci://registry.example/x");
        check("oci://registry.example/x:1");
        check("oci://registry.example/x:1/");
        check("oci://registry.example//");
        check("oci://registry.example/../");
        check("oci://me:secret@registry.example/");
        check("oci://registry/");
        let shown = |text: &str| text.parse::<Allowed>().unwrap().to_string();
        assert_eq!(shown("OCI://Registry.Example/team/"), "oci://registry.example/team/");
        assert_eq!(shown("oci+http://127.0.0.1:5000/"), "oci+http://127.0.0.1:5000/");
    }
}
