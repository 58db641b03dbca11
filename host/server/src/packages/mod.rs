//! What sessions bring: where it may come from, how it gets here, and how hosts get it from here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fenix_engine::ports::Clock;
use fenix_packages::fetch::Fetcher;
use fenix_packages::policy::{Account, MOST_BYTES, Patience, Policy, Proof};
use fenix_packages::signature::Keys;
use fenix_packages::store::Store;
use serde::Deserialize;

use crate::sandbox::Signer;
use crate::secret;
use crate::tls::Trust;
use crate::wire::payload::Base;

pub mod address;
pub mod porter;

use address::Addresses;
use porter::UnderWay;

/// What callers of the API can learn of packages, and get.
pub struct Shelf {
    /// What sessions may bring.
    pub policy: Policy,
    /// What is here.
    pub store: Store,
    /// How far that is which is on its way.
    pub under_way: UnderWay,
    /// Signs the addresses that hosts get.
    pub addresses: Addresses,
}

impl Shelf {
    /// What is known of the packages of a data directory, which are fetched by that.
    ///
    /// # Errors
    /// The key for addresses cannot be read or written.
    pub fn open(data_dir: &Path, fetcher: &Fetcher) -> io::Result<Shelf> {
        Ok(Shelf {
            policy: fetcher.policy().clone(),
            store: fetcher.store().clone(),
            under_way: UnderWay::default(),
            addresses: Addresses::open(data_dir)?,
        })
    }

    /// Signs addresses for actions.
    pub fn signer(&self, base: &Base, clock: &Arc<dyn Clock + Send + Sync>) -> Signer {
        let (addresses, base, clock) = (self.addresses.clone(), base.clone(), clock.clone());
        Box::new(move |package, host| addresses.sign(&base, package, host.as_str(), clock.now()).0)
    }
}

/// What is written about packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackageSettings {
    /// Addresses that end in `/`: what lies below them may be brought.
    pub allow: Vec<String>,
    /// The folder of `file:`.
    pub folder: Option<PathBuf>,
    /// What must be known of a package.
    pub proof: Option<Proof>,
    /// Public keys of minisign whose signatures count.
    pub keys: Vec<String>,
    /// Size of the largest package in MiB.
    pub most_mb: Option<u32>,
    /// Seconds in which a package must be here.
    pub within: Option<u32>,
    /// Certificates of the authorities by which servers are believed, in PEM.
    pub ca: Option<PathBuf>,
    /// As whom registries are asked, by `HOST` or `HOST:PORT`.
    pub accounts: BTreeMap<String, AccountSettings>,
}

/// An account of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Its name.
    pub user: String,
    /// The file in which its password stands, alone; a line break at its end is none of it.
    pub password_file: PathBuf,
}

impl AccountSettings {
    fn read(&self) -> Result<Account, String> {
        let password = secret::read(&self.password_file).map_err(|why| {
            format!("`password_file` {} cannot be read: {why}", self.password_file.display())
        })?;
        Account::new(&self.user, &password).map_err(|why| why.to_string())
    }
}

impl PackageSettings {
    /// Whom servers of packages must have their certificates from.
    pub fn trust(&self) -> Trust {
        self.ca.clone().map_or(Trust::System, Trust::File)
    }

    /// What it means.
    ///
    /// # Errors
    /// Says which key is wrong, and how.
    pub fn policy(&self) -> Result<Policy, String> {
        let allowed =
            |text: &String| text.parse().map_err(|why| format!("`packages.allow` holds {text:?}: {why}"));
        let keys = Keys::read(&self.keys).map_err(|(number, why)| {
            format!("key {number} of `packages.keys` is no public key of minisign: {why}")
        })?;
        let proof = self.proof.unwrap_or_default();
        if proof == Proof::Signed && keys.is_empty() {
            return Err("`packages.proof` is \"signed\", and `packages.keys` names no key".to_owned());
        }
        let account = |(registry, account): (&String, &AccountSettings)| {
            let wrong = |why| format!("`packages.accounts.{registry:?}`: {why}");
            if registry.is_empty() || registry.contains('/') {
                return Err(wrong("it must be a HOST or HOST:PORT, as in oci://HOST:PORT/..".to_owned()));
            }
            Ok((registry.to_ascii_lowercase(), account.read().map_err(wrong)?))
        };
        let patience = Patience::default();
        Ok(Policy {
            allow: self.allow.iter().map(allowed).collect::<Result<_, _>>()?,
            accounts: self.accounts.iter().map(account).collect::<Result<_, _>>()?,
            folder: self.folder.clone(),
            proof,
            keys,
            most_bytes: self.most_mb.map_or(MOST_BYTES, |mb| u64::from(mb) << 20),
            patience: Patience {
                whole: self.within.map_or(patience.whole, |secs| Duration::from_secs(secs.into())),
                ..patience
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn accounts_have_their_passwords_in_files() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let text = format!("[accounts.\"Registry.Example:5000\"]\nuser = \"me\"\npassword_file = {file:?}\n");
        let settings: PackageSettings = toml::from_str(&text).unwrap();
        let expected = Account::new("me", "secret").unwrap();
        let accounts = settings.policy().unwrap().accounts;
        assert_eq!(accounts, BTreeMap::from([("registry.example:5000".to_owned(), expected)]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |settings: PackageSettings, expected: &str| {
            let why = settings.policy().map(|_| ()).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        let none = PackageSettings::default;
        check(
            PackageSettings { allow: vec!["https://x/y".into()], ..none() },
            "`packages.allow` holds \"https://x/y\": it must end",
        );
        check(
            PackageSettings { allow: vec!["oci://registry.example/x:1".into()], ..none() },
            "`packages.allow` holds \"oci://registry.example/x:1\": it must end",
        );
        let of = |registry: &str, user: &str, file: &Path| {
            let account = AccountSettings { user: user.into(), password_file: file.into() };
            PackageSettings { accounts: [(registry.to_owned(), account)].into(), ..none() }
        };
        let scratch = tempfile::tempdir().unwrap();
        let (empty, missing) = (scratch.path().join("empty"), scratch.path().join("missing"));
        std::fs::write(&empty, "\n").unwrap();
        let at = "`packages.accounts.\"registry.example\"`";
        check(of("https://registry.example/", "me", &empty), "it must be a HOST or HOST:PORT");
        check(of("registry.example", "me", &missing), &format!("{at}: `password_file` "));
        let said = format!("{at}: `password_file` {} cannot be read: it is empty", empty.display());
        check(of("registry.example", "me", &empty), &said);
        std::fs::write(&empty, "secret").unwrap();
        check(of("registry.example", "m:e", &empty), &format!("{at}: the user has a :"));
        check(PackageSettings { keys: vec!["secret".into()], ..none() }, "key 1 of `packages.keys`");
        check(PackageSettings { proof: Some(Proof::Signed), ..none() }, "`packages.keys` names no key");
    }
}
