//! What sessions bring: where it may come from, and how it gets here.

use std::path::PathBuf;
use std::time::Duration;

use fenix_packages::policy::{MOST_BYTES, Patience, Policy, Proof};
use fenix_packages::signature::Keys;
use serde::Deserialize;

use crate::tls::Trust;

pub mod porter;

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
