//! Tokens: how they are asked for, and what comes with them.

use jiff::{Span, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::{Account, Domain, Identity, Named};

/// A token is renewed so long before it expires: longer than any call with it takes.
const RENEW_BEFORE_SECS: i64 = 120;

/// What Keystone gave us.
pub(super) struct Token {
    /// The token itself.
    pub(super) secret: String,
    /// The project that it is for.
    pub(super) project: Option<String>,
    expires_at: Option<Timestamp>,
    catalog: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    token: Body,
}

#[derive(Debug, Deserialize)]
struct Body {
    expires_at: Option<String>,
    project: Option<Project>,
    user: Option<WithName>,
    #[serde(default)]
    roles: Vec<WithName>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct WithName {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Project {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    url: String,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// The user, for people.
    pub name: String,
    /// The project that the token is for, if it is for one.
    pub project: Option<String>,
    /// The roles that the user has there.
    pub roles: Vec<String>,
    /// When it expires, in milliseconds since 1970.
    pub expires_at: Option<u64>,
}

impl TokenHolder {
    /// Reads Keystone's answer.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<TokenHolder, String> {
        let Answer { token } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let expires_at: Option<Timestamp> = token.expires_at.and_then(|text| text.parse().ok());
        let millis = expires_at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        Ok(TokenHolder {
            name: token.user.map(|user| user.name).unwrap_or_default(),
            project: token.project.map(|project| project.id),
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            expires_at: millis,
        })
    }
}

/// What is sent to `/auth/tokens`.
pub(super) fn question(identity: &Identity) -> Value {
    match identity {
        Identity::Password { user, password, project } => {
            let mut user = named(user);
            user["password"] = json!(password);
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": named(project)},
            }})
        }
        Identity::ApplicationCredential { id, secret } => json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret},
        }}}),
    }
}

fn named(who: &Named) -> Value {
    match who {
        Named::Id(id) => json!({"id": id}),
        Named::Name { name, domain: Domain::Id(id) } => json!({"name": name, "domain": {"id": id}}),
        Named::Name { name, domain: Domain::Name(domain) } => {
            json!({"name": name, "domain": {"name": domain}})
        }
    }
}

impl Token {
    /// Reads Keystone's answer, whose header is the token.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(secret: String, body: &[u8]) -> Result<Token, String> {
        let Answer { token } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let expires_at = token.expires_at.and_then(|text| text.parse().ok());
        let project = token.project.map(|project| project.id);
        Ok(Token { secret, project, expires_at, catalog: token.catalog })
    }

    /// True if it is about to expire.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        let soon = now.checked_add(Span::new().seconds(RENEW_BEFORE_SECS));
        self.expires_at.is_some_and(|at| soon.is_ok_and(|soon| at <= soon))
    }

    /// The address of a service, without a slash at its end.
    ///
    /// # Errors
    /// Says what the catalog lacks.
    pub(super) fn endpoint(&self, kinds: &[&str], account: &Account) -> Result<&str, String> {
        let kind = kinds[0];
        let services = self.catalog.iter().filter(|service| kinds.contains(&service.kind.as_str()));
        let all: Vec<&Endpoint> = services.flat_map(|service| &service.endpoints).collect();
        let there = all.iter().filter(|endpoint| endpoint.interface == account.interface);
        let mut here = there.filter(|endpoint| {
            let of = |region: &Option<String>| region.is_some() && *region == account.region;
            account.region.is_none() || of(&endpoint.region_id) || of(&endpoint.region)
        });
        let lacks = || match &account.region {
            Some(region) => format!(
                "the catalog has no {} endpoint of a service {kind:?} in region {region:?}",
                account.interface
            ),
            None => format!("the catalog has no {} endpoint of a service {kind:?}", account.interface),
        };
        let first = here.next().ok_or_else(lacks)?;
        if here.any(|other| other.url != first.url) {
            return Err(format!(
                "the catalog has several services {kind:?}: name the region (`region_name`, OS_REGION_NAME)"
            ));
        }
        Ok(first.url.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(interface: &str, region: Option<&str>) -> Account {
        let identity = Identity::ApplicationCredential { id: "a".into(), secret: "s".into() };
        Account {
            auth_url: "http://k/v3".into(),
            identity,
            region: region.map(Into::into),
            interface: interface.into(),
            ca: None,
        }
    }

    fn token() -> Token {
        let endpoint = |interface: &str, region: &str, url: &str| json!({"interface": interface, "region_id": region, "url": url});
        let compute = [
            endpoint("public", "North", "http://north/v2.1/"),
            endpoint("public", "South", "http://south/v2.1"),
            endpoint("internal", "North", "http://inside/v2.1"),
        ];
        let body = json!({"token": {"expires_at": "2026-01-01T12:00:00.000000Z", "catalog": [
            {"type": "compute", "endpoints": compute},
            {"type": "instance-ha", "endpoints": [endpoint("public", "North", "http://ha/v1")]},
        ]}});
        Token::read("t".into(), body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_catalog_is_asked_for_interface_and_region() {
        let check = |kinds: &[&str], interface, region, expected: Result<&str, &str>| {
            let token = token();
            let found = token.endpoint(kinds, &account(interface, region));
            match (found, expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url, expected),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(&["compute"], "public", Some("North"), Ok("http://north/v2.1"));
        check(&["compute"], "internal", None, Ok("http://inside/v2.1"));
        check(&["ha", "instance-ha"], "public", None, Ok("http://ha/v1"));
        check(&["compute"], "public", None, Err("several services \"compute\": name the region"));
        check(&["compute"], "admin", Some("North"), Err("no admin endpoint of a service \"compute\""));
        check(&["placement"], "public", Some("North"), Err("in region \"North\""));
    }

    #[test]
    fn a_token_is_old_before_it_expires() {
        let at = |text: &str| token().is_old(text.parse().unwrap());
        assert!(!at("2026-01-01T11:57:00Z"));
        assert!(at("2026-01-01T11:58:30Z"));
        assert!(at("2026-01-01T13:00:00Z"));
    }

    #[test]
    fn a_holder_is_read() {
        let body = json!({"token": {
            "user": {"name": "tacker"}, "project": {"id": "p"}, "roles": [{"name": "member"}, {"name": "reader"}],
            "expires_at": "1970-01-01T00:00:02.500000Z",
        }});
        let holder = TokenHolder::read(body.to_string().as_bytes()).unwrap();
        let expected = TokenHolder {
            name: "tacker".into(),
            project: Some("p".into()),
            roles: vec!["member".into(), "reader".into()],
            expires_at: Some(2500),
        };
        assert_eq!(holder, expected);
    }

    #[test]
    fn what_is_no_answer_of_keystone_is_told() {
        assert!(Token::read("t".into(), b"<html>").is_err());
    }
}
