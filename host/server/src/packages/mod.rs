//! What sessions bring: where it may come from, how it gets here, and how hosts get it from here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fenix_engine::ports::Clock;
use fenix_packages::fetch::Fetcher;
use fenix_packages::policy::{MOST_BYTES, Patience, Policy, Proof};
use fenix_packages::signature::Keys;
use fenix_packages::store::Store;
use serde::Deserialize;

use crate::sandbox::Signer;
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
        let patience = Patience::default();
        Ok(Policy {
            allow: self.allow.iter().map(allowed).collect::<Result<_, _>>()?,
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
    use super::*;

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
        check(PackageSettings { keys: vec!["secret".into()], ..none() }, "key 1 of `packages.keys`");
        check(PackageSettings { proof: Some(Proof::Signed), ..none() }, "`packages.keys` names no key");
    }
}
