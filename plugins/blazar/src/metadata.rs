//! What the session's list of actions says to it.

use fenix_plugin_keystone::{Auth, check_url};
use fenix_sdk::action::Failure;
use serde::Deserialize;

/// Most hours: a year.
const MAX_HOURS: u32 = 8_784;

/// For how long a host is to be free, and by which account that is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Whose token it uses.
    pub(crate) auth: Auth,
    /// Where Blazar is; where Keystone's catalog says if this is left out.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// Hours, from now on, in which nobody may have reserved the host.
    #[serde(default = "four")]
    pub(crate) hours: u32,
}

fn four() -> u32 {
    4
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let bad = |why: String| Failure::BadMetadata(format!("blazar: {why}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        metadata.auth.check().map_err(bad)?;
        metadata.url.as_ref().map_or(Ok(()), |url| check_url("url", url)).map_err(bad)?;
        match (1..=MAX_HOURS).contains(&metadata.hours) {
            true => Ok(metadata),
            false => Err(bad(format!("hours is 1 to {MAX_HOURS}"))),
        }
    }
}
