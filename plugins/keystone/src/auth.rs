//! What the metadata of an action says of its account.

use serde::Deserialize;
use serde_json::{Value, json};

/// Whose token it is: a user's in a project, or that of an application credential.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The base of Keystone's API, with `/v3` at its end.
    pub url: String,
    /// The user's name.
    #[serde(default)]
    pub user: Option<String>,
    /// The name of the user's domain; `Default` if it is left out.
    #[serde(default)]
    pub user_domain: Option<String>,
    /// The project's name.
    #[serde(default)]
    pub project: Option<String>,
    /// The name of the project's domain; the user's if it is left out.
    #[serde(default)]
    pub project_domain: Option<String>,
    /// `{{secret:NAME}}`.
    #[serde(default)]
    pub password: Option<String>,
    /// Instead of all that is a user's.
    #[serde(default)]
    pub application_credential: Option<ApplicationCredential>,
    /// Which endpoints count; those of any region if it is left out.
    #[serde(default)]
    pub region: Option<String>,
    /// Which endpoints count: `public`, `internal` or `admin`.
    #[serde(default = "public")]
    pub interface: String,
}

/// An application credential.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationCredential {
    /// Its id.
    pub id: String,
    /// `{{secret:NAME}}`.
    pub secret: String,
}

fn public() -> String {
    "public".to_owned()
}

impl Auth {
    /// The base of Keystone's API.
    pub fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Whether all of it means something.
    ///
    /// # Errors
    /// Names the field that does not.
    pub fn check(&self) -> Result<(), String> {
        crate::check_url("auth.url", &self.url)?;
        if !self.base().ends_with("/v3") {
            return Err("auth.url is the base of Keystone's API and ends with /v3".to_owned());
        }
        if !matches!(self.interface.as_str(), "public" | "internal" | "admin") {
            return Err("auth.interface is public, internal or admin".to_owned());
        }
        self.identity().map(drop)
    }

    /// What Keystone is sent (Identity API v3, "Password authentication with scoped authorization", and "Authenticating with an
    /// Application Credential").
    pub(crate) fn identity(&self) -> Result<Value, String> {
        if let Some(ApplicationCredential { id, secret }) = &self.application_credential {
            let of_a_user =
                [&self.user, &self.user_domain, &self.project, &self.project_domain, &self.password];
            if of_a_user.iter().any(|field| field.is_some()) {
                // It is bound to its user and project: Keystone would refuse a scope beside it.
                return Err(
                    "auth.application_credential stands without user, project and password".to_owned()
                );
            }
            let secret = placeholder("auth.application_credential.secret", secret)?;
            return Ok(json!({ "auth": { "identity": {
                "methods": ["application_credential"],
                "application_credential": { "id": id, "secret": secret },
            } } }));
        }
        let user = needed("auth.user", self.user.as_ref())?;
        let project = needed("auth.project", self.project.as_ref())?;
        let password = placeholder("auth.password", needed("auth.password", self.password.as_ref())?)?;
        let user_domain = self.user_domain.as_deref().unwrap_or("Default");
        let project_domain = self.project_domain.as_deref().unwrap_or(user_domain);
        Ok(json!({ "auth": {
            "identity": {
                "methods": ["password"],
                "password": { "user": { "name": user, "domain": { "name": user_domain }, "password": password } },
            },
            "scope": { "project": { "name": project, "domain": { "name": project_domain } } },
        } }))
    }
}

fn needed<'a>(field: &str, value: Option<&'a String>) -> Result<&'a str, String> {
    value.map(String::as_str).ok_or_else(|| {
        format!("{field} is missing; there are user, project and password, or application_credential")
    })
}

/// Metadata is kept and shown with the session: a password in it would be, too. What stands there instead is not repeated.
fn placeholder<'a>(field: &str, value: &'a str) -> Result<&'a str, String> {
    let name = value.strip_prefix("{{secret:").and_then(|rest| rest.strip_suffix("}}"));
    match name {
        Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(value),
        Some(_) | None => {
            Err(format!("{field} is written as {{{{secret:NAME}}}}: metadata is kept and shown"))
        }
    }
}
