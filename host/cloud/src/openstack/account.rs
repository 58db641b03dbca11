//! Who Fenix is towards OpenStack: an entry of `clouds.yaml`, or the `OS_` variables that every client reads.
//!
//! The names and places are those of openstacksdk, so that an account which works for the `openstack` command works
//! here. What cannot be honoured is refused by name, never passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Largest `clouds.yaml` in bytes: some hundred accounts.
const MAX_FILE: u64 = 256 * 1024;

/// Where an account is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The name of an entry of `clouds.yaml`; without one `OS_CLOUD` names it, or the `OS_` variables are the account.
    pub cloud: Option<String>,
    /// The file; without one it is looked for where openstacksdk does.
    pub file: Option<PathBuf>,
}

/// An account, complete.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Keystone, with its version: `https://keystone.example/v3`.
    pub auth_url: String,
    /// How to say who one is.
    pub identity: Identity,
    /// The region whose endpoints are called; `None` = there is only one.
    pub region: Option<String>,
    /// Which of a service's endpoints are called: `public`, `internal` or `admin`.
    pub interface: String,
    /// Certificates of the authorities that are believed, in PEM; `None` = those that the system knows.
    pub ca: Option<PathBuf>,
}

/// How to say who one is.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// By name and password, in a project.
    Password {
        /// The user.
        user: Named,
        /// The secret.
        password: String,
        /// The project in which its roles count.
        project: Named,
    },
    /// By an application credential, which has its project in itself.
    ApplicationCredential {
        /// Its id.
        id: String,
        /// The secret.
        secret: String,
    },
}

/// A user or project: an id, or a name in a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name.
    Name {
        /// The name.
        name: String,
        /// The domain in which it is one.
        domain: Domain,
    },
}

/// A domain of users and projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

// Secrets stay out of logs and of panics.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("auth_url", &self.auth_url)
            .field("region", &self.region)
            .field("interface", &self.interface)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

/// Why there is no usable account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no `clouds.yaml`.
    #[error("{path} cannot be understood: {why}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// No file is there.
    #[error("there is no clouds.yaml: looked for {0}; name one as `clouds_file`, or set the OS_ variables")]
    NoFile(String),
    /// The file does not have the entry.
    #[error("{path} has no cloud {cloud:?}; it has {others}")]
    NoCloud {
        /// The file.
        path: PathBuf,
        /// The entry.
        cloud: String,
        /// What it has instead.
        others: String,
    },
    /// Something is missing.
    #[error("{place} does not say {what}")]
    Missing {
        /// Where it should stand.
        place: String,
        /// What is missing.
        what: &'static str,
    },
    /// Something is there that is not done.
    #[error("{place} says {what}, which is not supported: {instead}")]
    Unsupported {
        /// Where it stands.
        place: String,
        /// What it says.
        what: String,
        /// What can be done instead.
        instead: &'static str,
    },
}

#[derive(Debug, Default, Deserialize)]
struct CloudsFile {
    #[serde(default)]
    clouds: BTreeMap<String, Entry>,
}

/// One entry, or what the variables say. Keys that are for others are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Auth,
    auth_type: Option<String>,
    region_name: Option<String>,
    interface: Option<String>,
    cacert: Option<PathBuf>,
    verify: Option<bool>,
    profile: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    password: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_name: Option<String>,
    domain_id: Option<String>,
    application_credential_id: Option<String>,
    application_credential_secret: Option<String>,
    system_scope: Option<String>,
}

impl Account {
    /// Finds an account. `variable` reads an environment variable.
    ///
    /// # Errors
    /// There is none, it is not complete, or it asks for what is not supported.
    pub fn find(search: &Search, variable: impl Fn(&str) -> Option<String>) -> Result<Account, AccountError> {
        // Set and empty is how scripts unset them.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        match search.cloud.clone().or_else(|| variable("OS_CLOUD")) {
            Some(cloud) => {
                let path = file(search.file.as_deref(), variable)?;
                let entry = entry(&path, &cloud)?;
                entry.account(&format!("cloud {cloud:?} of {}", path.display()))
            }
            None => variables(variable).account("the environment (OS_ variables)"),
        }
    }
}

fn file(named: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, AccountError> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = variable("OS_CLIENT_CONFIG_FILE") {
        return Ok(path.into());
    }
    let home = variable("HOME").map(|home| Path::new(&home).join(".config/openstack/clouds.yaml"));
    let places: Vec<PathBuf> = std::iter::once("clouds.yaml".into())
        .chain(home)
        .chain(std::iter::once("/etc/openstack/clouds.yaml".into()))
        .collect();
    match places.iter().find(|place| place.exists()) {
        Some(place) => Ok(place.clone()),
        None => {
            let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            Err(AccountError::NoFile(places.join(", ")))
        }
    }
}

fn read(path: &Path) -> Result<CloudsFile, AccountError> {
    let unreadable = |source| AccountError::Read { path: path.to_owned(), source };
    let unusable = |why: String| AccountError::Parse { path: path.to_owned(), why };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(unusable(format!("it is larger than {MAX_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    // Only the place of the fault: the text around it may be a password.
    serde_saphyr::from_str(&text).map_err(|error| match error.location() {
        Some(at) => unusable(format!("line {} is not as it should be", at.line())),
        None => unusable("it is no YAML of that form".to_owned()),
    })
}

fn entry(path: &Path, cloud: &str) -> Result<Entry, AccountError> {
    let mut clouds = read(path)?.clouds;
    let Some(mut entry) = clouds.remove(cloud) else {
        let others: Vec<String> = clouds.into_keys().collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        return Err(AccountError::NoCloud { path: path.to_owned(), cloud: cloud.to_owned(), others });
    };
    // Secrets may stand beside it, in a file that fewer people may read.
    let secure = path.with_file_name("secure.yaml");
    if secure.exists()
        && let Some(secret) = read(&secure)?.clouds.remove(cloud)
    {
        entry.auth.password = secret.auth.password.or(entry.auth.password);
        entry.auth.application_credential_secret =
            secret.auth.application_credential_secret.or(entry.auth.application_credential_secret);
    }
    Ok(entry)
}

fn variables(variable: impl Fn(&str) -> Option<String>) -> Entry {
    let os = |name: &str| variable(&format!("OS_{name}"));
    Entry {
        auth: Auth {
            auth_url: os("AUTH_URL"),
            username: os("USERNAME"),
            user_id: os("USER_ID"),
            user_domain_name: os("USER_DOMAIN_NAME"),
            user_domain_id: os("USER_DOMAIN_ID"),
            password: os("PASSWORD"),
            project_name: os("PROJECT_NAME"),
            project_id: os("PROJECT_ID"),
            project_domain_name: os("PROJECT_DOMAIN_NAME"),
            project_domain_id: os("PROJECT_DOMAIN_ID"),
            domain_name: os("DOMAIN_NAME"),
            domain_id: os("DOMAIN_ID"),
            application_credential_id: os("APPLICATION_CREDENTIAL_ID"),
            application_credential_secret: os("APPLICATION_CREDENTIAL_SECRET"),
            system_scope: os("SYSTEM_SCOPE"),
        },
        auth_type: os("AUTH_TYPE"),
        region_name: os("REGION_NAME"),
        interface: os("INTERFACE").or_else(|| os("ENDPOINT_TYPE")),
        cacert: os("CACERT").map(Into::into),
        verify: os("INSECURE").map(|text| !matches!(text.to_lowercase().as_str(), "1" | "true" | "yes")),
        profile: None,
    }
}

impl Entry {
    fn account(self, place: &str) -> Result<Account, AccountError> {
        let missing = |what| AccountError::Missing { place: place.to_owned(), what };
        let unsupported =
            |what: String, instead| AccountError::Unsupported { place: place.to_owned(), what, instead };
        if self.verify == Some(false) {
            let instead = "name the authority of the certificates as `cacert` (OS_CACERT)";
            return Err(unsupported("that certificates are not checked".to_owned(), instead));
        }
        if let Some(profile) = self.profile {
            return Err(unsupported(format!("profile {profile:?}"), "write its `auth_url` out"));
        }
        if self.auth.system_scope.is_some() {
            let instead = "give the account the role admin in a project, and name that";
            return Err(unsupported("system_scope".to_owned(), instead));
        }
        let interface = self.interface.unwrap_or_else(|| "public".to_owned());
        // The old names of openstackclient end so.
        let interface = interface.trim_end_matches("URL").to_owned();
        if !["public", "internal", "admin"].contains(&interface.as_str()) {
            return Err(unsupported(format!("interface {interface:?}"), "public, internal or admin"));
        }
        let auth = self.auth;
        let identity = match self.auth_type.as_deref() {
            Some("password" | "v3password") => auth.password(missing)?,
            Some("v3applicationcredential") => auth.application_credential(missing)?,
            None if auth.application_credential_id.is_some() => auth.application_credential(missing)?,
            None => auth.password(missing)?,
            Some(other) => {
                let instead = "use password or v3applicationcredential";
                return Err(unsupported(format!("auth_type {other:?}"), instead));
            }
        };
        Ok(Account {
            auth_url: versioned(auth.auth_url.ok_or_else(|| missing("auth_url (OS_AUTH_URL)"))?),
            identity,
            region: self.region_name,
            interface,
            ca: self.cacert,
        })
    }
}

impl Auth {
    fn password(&self, missing: impl Fn(&'static str) -> AccountError) -> Result<Identity, AccountError> {
        let domain = |id: &Option<String>, name: &Option<String>| {
            let id = id.clone().or_else(|| self.domain_id.clone()).map(Domain::Id);
            let name = name.clone().or_else(|| self.domain_name.clone()).map(Domain::Name);
            id.or(name).unwrap_or_else(|| Domain::Id("default".to_owned()))
        };
        let named = |id: &Option<String>, name: &Option<String>, domain| match (id, name) {
            (Some(id), _) => Some(Named::Id(id.clone())),
            (None, Some(name)) => Some(Named::Name { name: name.clone(), domain }),
            (None, None) => None,
        };
        let user_domain = domain(&self.user_domain_id, &self.user_domain_name);
        let project_domain = domain(&self.project_domain_id, &self.project_domain_name);
        Ok(Identity::Password {
            user: named(&self.user_id, &self.username, user_domain)
                .ok_or_else(|| missing("username (OS_USERNAME)"))?,
            password: self.password.clone().ok_or_else(|| missing("password (OS_PASSWORD)"))?,
            project: named(&self.project_id, &self.project_name, project_domain)
                .ok_or_else(|| missing("project_name (OS_PROJECT_NAME)"))?,
        })
    }

    fn application_credential(
        &self,
        missing: impl Fn(&'static str) -> AccountError,
    ) -> Result<Identity, AccountError> {
        Ok(Identity::ApplicationCredential {
            id: self
                .application_credential_id
                .clone()
                .ok_or_else(|| missing("application_credential_id (OS_APPLICATION_CREDENTIAL_ID)"))?,
            secret: self
                .application_credential_secret
                .clone()
                .ok_or_else(|| missing("application_credential_secret (OS_APPLICATION_CREDENTIAL_SECRET)"))?,
        })
    }
}

/// Keystone's address with its version, as it is often written without.
fn versioned(url: String) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, cloud: &str, variables: &[(&str, &str)]) -> Result<Account, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clouds.yaml");
        std::fs::write(&path, text).unwrap();
        let cloud = (!cloud.is_empty()).then(|| cloud.to_owned());
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let search = Search { cloud, file: Some(path) };
        let said = Account::find(&search, variable).map_err(|error| error.to_string());
        said.map_err(|why| why.replace(dir.path().to_str().unwrap(), "DIR"))
    }

    const ENTRY: &str = "
clouds:
  site:
    region_name: North
    interface: internalURL
    auth: {auth_url: 'https://keystone.example/', username: fenix, password: s3cret, project_name: service}
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: 'https://keystone.example/v3', application_credential_id: a1, application_credential_secret: s}
";

    #[test]
    fn an_entry_of_the_file_is_an_account() {
        let account = find(ENTRY, "site", &[]).unwrap();
        let default = || Domain::Id("default".into());
        let expected = Account {
            auth_url: "https://keystone.example/v3".into(),
            identity: Identity::Password {
                user: Named::Name { name: "fenix".into(), domain: default() },
                password: "s3cret".into(),
                project: Named::Name { name: "service".into(), domain: default() },
            },
            region: Some("North".into()),
            interface: "internal".into(),
            ca: None,
        };
        assert!(account == expected, "{account:?}");
        assert!(find(ENTRY, "", &[("OS_CLOUD", "site")]).unwrap() == expected);
        assert!(!format!("{account:?}").contains("s3cret"));
        let robot = find(ENTRY, "robot", &[]).unwrap();
        let identity = Identity::ApplicationCredential { id: "a1".into(), secret: "s".into() };
        assert!(robot.identity == identity);
    }

    #[test]
    fn the_variables_are_an_account() {
        let variables = [
            ("OS_AUTH_URL", "http://127.0.0.1:5000/v3"),
            ("OS_USER_ID", "u1"),
            ("OS_PASSWORD", "p"),
            ("OS_PROJECT_NAME", "service"),
            ("OS_PROJECT_DOMAIN_NAME", "Default"),
            ("OS_CLOUD", ""),
        ];
        let account = find("", "", &variables).unwrap();
        let project = Named::Name { name: "service".into(), domain: Domain::Name("Default".into()) };
        let identity = Identity::Password { user: Named::Id("u1".into()), password: "p".into(), project };
        assert!(account.identity == identity);
        assert_eq!(account.interface, "public");
    }

    #[test]
    fn what_is_missing_or_not_supported_is_named() {
        let check = |text: &str, cloud: &str, expected: &str| {
            let why = find(text, cloud, &[]).unwrap_err();
            assert!(why.contains(expected), "{why}");
            assert!(!why.contains("s3cret"), "{why}");
        };
        let entry = |more: &str| format!("clouds:\n  a:\n{more}");
        check(ENTRY, "nowhere", "DIR/clouds.yaml has no cloud \"nowhere\"; it has robot, site");
        check("clouds: {}", "a", "it has none");
        check("clouds:\n  a:\n    auth: [s3cret\n", "a", "cannot be understood: line ");
        check("", "", "the environment (OS_ variables) does not say username (OS_USERNAME)");
        check(&entry("    verify: false"), "a", "cacert");
        check(&entry("    profile: rackspace"), "a", "profile \"rackspace\"");
        check(&entry("    auth_type: v3oidcpassword"), "a", "auth_type \"v3oidcpassword\"");
        check(&entry("    interface: outside"), "a", "interface \"outside\"");
        check(&entry("    auth: {username: u, password: s3cret}"), "a", "project_name (OS_PROJECT_NAME)");
        check(&entry("    auth: {username: u, password: s3cret, project_id: p}"), "a", "auth_url");
        check(&entry("    auth_type: v3applicationcredential"), "a", "application_credential_id");
    }
}
