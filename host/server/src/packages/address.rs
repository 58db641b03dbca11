//! Addresses under which hosts under maintenance fetch packages.
//!
//! A host has no token of Fenix's, and shall have none. Whoever sends it to work gives it an address that is good for one
//! package and a quarter of an hour, because only this server can have signed it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fenix_core::id::Digest;
use fenix_core::time::{Millis, Time};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use serde::Deserialize;
use sha2::Sha256;

use crate::wire::payload::Base;

/// How long an address is good, from when it is given: a host that is told of it begins at once, and a download that has
/// begun goes on.
pub const GOOD_FOR: Millis = Millis(15 * 60 * 1000);

/// The file in the data directory with the key. Whoever removes it makes all addresses worthless that are out.
const KEY: &str = "address.key";

/// What stands in an address behind its path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Signed {
    /// Until when it is good, in seconds since 1970.
    pub until: u64,
    /// Whom it was given: a host's name, which stands in the log with each download.
    pub host: String,
    /// Who says so.
    pub signature: String,
}

/// Why nothing is served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was not signed here, or was changed.
    #[error("this address was not signed by this server")]
    Forged,
    /// It is too old.
    #[error("this address was good until a while ago")]
    Old,
}

/// Signs addresses, and knows its own again.
#[derive(Clone)]
pub struct Addresses {
    key: Hmac<Sha256>,
}

impl Addresses {
    /// One with the key of a data directory, which is drawn if there is none: addresses that were given before a restart are
    /// good after it.
    ///
    /// # Errors
    /// The key cannot be read or written.
    pub fn open(data_dir: &Path) -> io::Result<Addresses> {
        let path = data_dir.join(KEY);
        let key = match std::fs::read_to_string(&path) {
            Ok(key) if !key.is_empty() => key,
            Ok(_) => draw(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => draw(&path)?,
            Err(error) => return Err(error),
        };
        Ok(Addresses { key: Hmac::new_from_slice(key.as_bytes()).map_err(io::Error::other)? })
    }

    /// The address of a package for a host.
    pub fn sign(&self, base: &Base, package: &Digest, host: &str, now: Time) -> (String, Time) {
        let until = Time(now.0 + GOOD_FOR.0);
        let secs = until.0.div_ceil(1000);
        let signature = hex::encode(self.mac(package, secs, host).finalize().into_bytes());
        let place = format!("{}/v1/packages/{package}/content", base.as_str());
        let query = [("until", &*secs.to_string()), ("host", host), ("signature", &signature)];
        let url = Url::parse_with_params(&place, query).expect("invariant: a base is the beginning of URLs");
        (url.into(), until)
    }

    /// Whether an address was signed here, for that package, and is still good.
    ///
    /// # Errors
    /// It was not, or is not.
    pub fn check(&self, package: &Digest, signed: &Signed, now: Time) -> Result<(), Refusal> {
        let signature = hex::decode(&signed.signature).map_err(|_| Refusal::Forged)?;
        let mac = self.mac(package, signed.until, &signed.host);
        mac.verify_slice(&signature).map_err(|_| Refusal::Forged)?;
        if now.0 > signed.until.saturating_mul(1000) { Err(Refusal::Old) } else { Ok(()) }
    }

    fn mac(&self, package: &Digest, until: u64, host: &str) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        // The name is last: nothing in it can be taken for what stands before it.
        mac.update(format!("{package}\n{until}\n{host}").as_bytes());
        mac
    }
}

fn draw(path: &Path) -> io::Result<String> {
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_764_200_000_500);

    /// As it is read from a call.
    fn signed(url: &str) -> Signed {
        let uri = url.parse().unwrap();
        axum::extract::Query::<Signed>::try_from_uri(&uri).unwrap().0
    }

    #[test]
    fn an_address_is_good_for_its_package_and_its_time_and_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = Addresses::open(folder.path()).unwrap();
        let base = Base::new("https://fenix.example").unwrap();
        let digest = Digest::from("ab".repeat(32));
        let (url, until) = addresses.sign(&base, &digest, "compute-1&until=9", NOW);
        assert!(
            url.starts_with(&format!("https://fenix.example/v1/packages/{digest}/content?until=")),
            "{url}"
        );
        let good = signed(&url);
        assert_eq!(good.host, "compute-1&until=9");
        let check = |addresses: &Addresses, digest: &Digest, signed: &Signed, now: Time, expected| {
            assert_eq!(addresses.check(digest, signed, now), expected);
        };
        check(&addresses, &digest, &good, NOW, Ok(()));
        check(&addresses, &digest, &good, until, Ok(()));
        check(&addresses, &digest, &good, Time(until.0 + 1000), Err(Refusal::Old));
        check(&addresses, &"cd".repeat(32).into(), &good, NOW, Err(Refusal::Forged));
        let changed = [
            Signed { until: good.until + 1, ..good.clone() },
            Signed { host: "compute-2".into(), ..good.clone() },
            Signed { signature: good.signature[2..].into(), ..good.clone() },
            Signed { signature: "none".into(), ..good.clone() },
        ];
        for signed in changed {
            check(&addresses, &digest, &signed, NOW, Err(Refusal::Forged));
        }
        check(&Addresses::open(folder.path()).unwrap(), &digest, &good, NOW, Ok(()));
        let other = tempfile::tempdir().unwrap();
        check(&Addresses::open(other.path()).unwrap(), &digest, &good, NOW, Err(Refusal::Forged));
    }
}
