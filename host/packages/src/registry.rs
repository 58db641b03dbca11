//! Asks an OCI registry for an artifact: whom it wants to know, its manifest, its layer.
//!
//! All of it goes through [`Fetcher::ask`], as everything else does. Clients for registries have connections and redirects
//! of their own, which could not be held to what is allowed.

use oci_client::secrets::RegistryAuth;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use crate::fetch::{FetchError, Fetcher};
use crate::http::{Fault, Request};
use crate::oci::{self, Artifact, Layer, MANIFESTS, MAX_MANIFEST, OciError};
use crate::source::Source;

/// Largest answer in bytes of what gives tokens. Those with the most in them, signed ones, have some thousand.
const MAX_TOKEN: usize = 1 << 16;

/// A registry that is asked for one artifact.
pub(crate) struct Visit<'a> {
    fetcher: &'a Fetcher,
    artifact: &'a Artifact,
    /// What it wanted to see last.
    auth: RegistryAuth,
}

impl<'a> Visit<'a> {
    /// Begins as a stranger: what nobody wants to know is told to nobody.
    pub(crate) fn new(fetcher: &'a Fetcher, artifact: &'a Artifact) -> Visit<'a> {
        Visit { fetcher, artifact, auth: RegistryAuth::Anonymous }
    }

    /// The layer that is the package.
    pub(crate) async fn layer(&mut self) -> Result<Layer, Fault> {
        let mut headers = HeaderMap::new();
        for kind in MANIFESTS {
            headers.append(ACCEPT, HeaderValue::from_static(kind));
        }
        let mut response = self.ask(self.artifact.manifest_url(), headers).await?;
        self.check(&response, || self.artifact.to_string())?;
        let said = response.headers().get("docker-content-digest").and_then(|digest| digest.to_str().ok());
        // What a server says of what it sends is to be held against it (OCI distribution spec 1.1, "Pulling manifests").
        let said = said.and_then(oci::sha256);
        let expected: Vec<_> = self.artifact.pinned().into_iter().chain(&said).collect();
        let manifest = self.fetcher.body(&mut response, MAX_MANIFEST).await?;
        Ok(Layer::of(&manifest.ok_or(OciError::LargeManifest)?, &expected)?)
    }

    /// The content of a layer, or the part of it that is asked for.
    pub(crate) async fn blob(&mut self, layer: &Layer, headers: HeaderMap) -> Result<Response, Fault> {
        let response = self.ask(self.artifact.blob_url(&layer.digest), headers).await?;
        self.check(&response, || format!("layer sha256:{} of {}", layer.digest, self.artifact))?;
        Ok(response)
    }

    /// Refuses what is none. What is asked too much of, a part that is not there, is for others to see to.
    fn check(&self, response: &Response, what: impl Fn() -> String) -> Result<(), FetchError> {
        match response.status() {
            StatusCode::NOT_FOUND => Err(OciError::Unknown(what()).into()),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(()),
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED if self.wants_to_know(response) => {
                Err(OciError::WrongAccount(self.artifact.registry().to_string()).into())
            }
            status => Err(FetchError::Refused(status)),
        }
    }

    /// Asks for something, once more if the registry wants to know for whom.
    async fn ask(&mut self, url: Url, headers: HeaderMap) -> Result<Response, Fault> {
        let home = Some(self.artifact.home());
        let mut request = Request { url, headers, auth: self.auth.clone(), home };
        let response = self.fetcher.ask(&request).await?;
        if !self.wants_to_know(&response) {
            return Ok(response);
        }
        self.auth = match Challenge::in_headers(response.headers())? {
            Challenge::Basic => self.account().ok_or_else(|| {
                let names = self.artifact.registry().to_string();
                OciError::NoAccount(names)
            })?,
            Challenge::Bearer { realm, service } => self.token(&realm, service).await?,
        };
        request.auth = self.auth.clone();
        self.fetcher.ask(&request).await
    }

    /// True if it is the registry that asks, not a place that it leads to.
    fn wants_to_know(&self, response: &Response) -> bool {
        let is_registry = response.url().origin() == self.artifact.home().origin();
        response.status() == StatusCode::UNAUTHORIZED && is_registry
    }

    fn account(&self) -> Option<RegistryAuth> {
        Some(self.fetcher.policy().account(self.artifact.registry())?.auth())
    }

    /// A token for this repository, to read (<https://distribution.github.io/distribution/spec/auth/token/>). What the
    /// registry would have it be for does not count: whoever gets it could do that with it.
    async fn token(&self, realm: &Url, service: Option<String>) -> Result<RegistryAuth, Fault> {
        if realm.origin() != self.artifact.home().origin() && !self.fetcher.policy().allows(realm) {
            let place: String = realm.as_str().chars().take(200).collect();
            return Err(OciError::ForeignRealm(place).into());
        }
        let mut request = Request::to(realm);
        request.auth = self.account().unwrap_or(RegistryAuth::Anonymous);
        let scope = format!("repository:{}:pull", self.artifact.repository());
        let service = service.iter().map(|service| ("service", service));
        request.url.query_pairs_mut().extend_pairs(service).append_pair("scope", &scope);
        let mut response = self.fetcher.ask(&request).await?;
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(OciError::WrongAccount(self.artifact.registry().to_string()).into());
        }
        let is_good = response.status().is_success();
        let body = self.fetcher.body(&mut response, MAX_TOKEN).await?.filter(|_| is_good);
        let token = body.and_then(|body| serde_json::from_slice::<Token>(&body).ok()?.read());
        Ok(RegistryAuth::Bearer(token.ok_or_else(|| OciError::NoToken(realm.clone()))?))
    }
}

/// What gives tokens answers.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    /// Its name in OAuth 2.
    access_token: Option<String>,
}

impl Token {
    /// What it is, if a header can have it in it (RFC 6750, 2.1).
    fn read(self) -> Option<String> {
        let token = self.token.or(self.access_token)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        (!token.is_empty() && token.bytes().all(is_plain)).then_some(token)
    }
}

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    /// A name and a password.
    Basic,
    /// A token, from somebody who gives them.
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    /// The one that tells the registry least: a token, rather than a password.
    fn in_headers(headers: &HeaderMap) -> Result<Challenge, OciError> {
        let mut found = Err(OciError::Challenge("it does not say how".to_owned()));
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let text = header.to_str().unwrap_or_default();
            let shown = || OciError::Challenge(text.chars().take(200).collect());
            for challenge in http_auth::parse_challenges(text).map_err(|_| shown())? {
                let param = |name: &str| {
                    let param = challenge.params.iter().find(|(param, _)| param.eq_ignore_ascii_case(name));
                    param.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let realm = param("realm").and_then(|realm| realm.parse().ok());
                    let Some(Source::Web(realm)) = realm else { return Err(shown()) };
                    return Ok(Challenge::Bearer { realm, service: param("service") });
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    found = Ok(Challenge::Basic);
                } else if found.is_err() {
                    found = Err(shown());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let check = |all: &[&'static str], expected: Result<Challenge, &str>| {
            let mut headers = HeaderMap::new();
            for one in all {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(one));
            }
            let found = Challenge::in_headers(&headers);
            assert_eq!(found, expected.map_err(|why| OciError::Challenge(why.to_owned())));
        };
        let bearer = |service: Option<&str>| Challenge::Bearer {
            realm: "https://auth.example/token".parse().unwrap(),
            service: service.map(str::to_owned),
        };
        let whole =
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="x:y:pull,push""#;
        check(&[whole], Ok(bearer(Some("registry.example"))));
        check(&[r#"bearer Realm="https://auth.example/token""#], Ok(bearer(None)));
        check(&[r#"Basic realm="x""#, whole], Ok(bearer(Some("registry.example"))));
        check(&[r#"Negotiate, Basic realm="x""#], Ok(Challenge::Basic));
        check(&[], Err("it does not say how"));
        for wrong in [
            r#"Digest realm="x""#,
            r#"Bearer service="x""#,
            r#"Bearer realm="file:/etc/passwd""#,
            r#"Bearer realm="https://me:secret@auth.example/""#,
            r#"Bearer realm="cut"#,
        ] {
            check(&[wrong], Err(wrong));
        }
    }

    #[test]
    fn tokens_are_what_a_header_can_have() {
        let check = |text: &str, expected: Option<&str>| {
            let token: Token = serde_json::from_str(text).unwrap();
            assert_eq!(token.read().as_deref(), expected, "{text}");
        };
        check(r#"{"token": "a.b-c_d=", "expires_in": 60}"#, Some("a.b-c_d="));
        check(r#"{"access_token": "x"}"#, Some("x"));
        check(r#"{"token": "x", "access_token": "y"}"#, Some("x"));
        check(r#"{"token": "x\r\nhost: evil"}"#, None);
        check(r#"{"token": ""}"#, None);
        check("{}", None);
    }
}
