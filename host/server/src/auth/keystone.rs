//! Tokens of Keystone's: who holds one is what Keystone says, and what they may do their roles.
//!
//! Keystone is asked once for a token in a while; in between its answer is kept, but never the token, only its hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fenix_cloud::openstack::{OpenStack, TokenHolder};
use fenix_core::caller::Role;
use fenix_core::id::ProjectId;
use fenix_core::time::{Millis, Time};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::wire::constraint::check_id;

/// How long an answer is believed: as long as other services keep one at most, so that a token that was revoked is of
/// no use after that. A clear no is kept so long, too.
const BELIEVED_FOR: Millis = Millis::from_secs(60);

/// Most answers kept: some for each project of a large cloud.
const MAX_KEPT: usize = 10_000;

/// Longest token in bytes: a fernet token has some hundred, one of the largest kinds a few thousand.
const MAX_TOKEN: usize = 8 * 1024;

/// Which of Keystone's roles count, and as what. A user with several is what comes first here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeystoneSettings {
    /// Roles that administer Fenix, in whatever project.
    pub administrators: Vec<String>,
    /// Roles that see everything.
    pub readers: Vec<String>,
    /// Roles that speak for the project that the token is for.
    pub projects: Vec<String>,
}

impl KeystoneSettings {
    /// True if no role counts, so that nobody is let in by Keystone.
    pub fn is_off(&self) -> bool {
        *self == KeystoneSettings::default()
    }

    /// What the holder of a token may do; `None` = nothing.
    fn role(&self, holder: &TokenHolder) -> Option<Role> {
        let has = |wanted: &[String]| wanted.iter().any(|role| holder.roles.contains(role));
        if has(&self.administrators) {
            return Some(Role::Administrator);
        }
        if has(&self.readers) {
            return Some(Role::Reader);
        }
        let project = holder.project.as_deref().filter(|_| has(&self.projects))?;
        check_id("project", project).is_ok().then(|| Role::Project(ProjectId::from(project)))
    }
}

/// Asks Keystone who calls.
pub struct Keystone {
    openstack: Arc<OpenStack>,
    settings: KeystoneSettings,
    kept: Mutex<HashMap<[u8; 32], Kept>>,
}

#[derive(Clone)]
struct Kept {
    who: Option<(String, Role)>,
    until: Time,
}

impl Keystone {
    /// By that cloud's Keystone, with these roles.
    pub fn new(openstack: Arc<OpenStack>, settings: KeystoneSettings) -> Keystone {
        Keystone { openstack, settings, kept: Mutex::default() }
    }

    /// The name and role of a token's holder; `None` if Keystone does not know it, or none of its roles counts.
    ///
    /// # Errors
    /// Says why Keystone cannot be asked.
    pub(super) async fn who(&self, token: &[u8], now: Time) -> Result<Option<(String, Role)>, String> {
        let Some(text) = std::str::from_utf8(token).ok().filter(|text| text.len() <= MAX_TOKEN) else {
            return Ok(None);
        };
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(kept) = self.kept().get(&hash).filter(|kept| kept.until > now).cloned() {
            return Ok(kept.who);
        }
        let holder = self.openstack.holder(text).await?;
        let expires = holder.as_ref().and_then(|holder| holder.expires_at).map(Time);
        let until = expires.unwrap_or(Time(u64::MAX)).min(now + BELIEVED_FOR);
        let who = holder.and_then(|holder| Some((holder.name.clone(), self.settings.role(&holder)?)));
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| kept.until > now);
        }
        // Still full: somebody tries tokens. Those who have one are asked about again.
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(hash, Kept { who: who.clone(), until });
        Ok(who)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        // Each use leaves the map whole, whatever panics in between.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_counts_as_what_the_configuration_says() {
        let settings = KeystoneSettings {
            administrators: vec!["admin".into()],
            readers: vec!["auditor".into()],
            projects: vec!["member".into()],
        };
        let check = |roles: &[&str], project: Option<&str>, expected: Option<Role>| {
            let holder = TokenHolder {
                name: "n".into(),
                project: project.map(Into::into),
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
                expires_at: None,
            };
            assert_eq!(settings.role(&holder), expected, "{holder:?}");
        };
        let own = || Some(Role::Project("p".into()));
        check(&["admin", "member"], Some("p"), Some(Role::Administrator));
        check(&["auditor", "member"], Some("p"), Some(Role::Reader));
        check(&["member"], Some("p"), own());
        check(&["member"], None, None);
        check(&["member"], Some("a/b"), None);
        check(&["reader"], Some("p"), None);
        check(&[], Some("p"), None);
    }
}
