//! What the session's list of actions says to it.

use fenix_plugin_keystone::{Auth, check_url};
use fenix_sdk::action::Failure;
use serde::Deserialize;

/// What to do, and by which account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Whose token it uses.
    pub(crate) auth: Auth,
    /// Where Masakari is; where Keystone's catalog says if this is left out.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// What to do with the mark `on_maintenance`.
    #[serde(rename = "do")]
    pub(crate) what: What,
}

/// What to do with the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Set it.
    Set,
    /// Clear it if it was set here.
    Clear,
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let bad = |why: String| Failure::BadMetadata(format!("masakari: {why}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        metadata.auth.check().map_err(bad)?;
        metadata.url.as_ref().map_or(Ok(()), |url| check_url("url", url)).map_err(bad)?;
        Ok(metadata)
    }
}
