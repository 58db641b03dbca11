//! Calls to OpenStack's services: one at a time, with a token that is renewed when need be.
//!
//! A read may be tried again; a change never is, except where it is certain that nobody has seen it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::account::Account;
use super::keystone::{Token, TokenHolder, question};

/// Time to connect: longer means that nobody is there.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Time that one request may take, from being sent to its last byte. Shorter than the engine waits for a call, so
/// that what went wrong is told in the words of who saw it.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Times that a read is tried, if services are just being restarted.
const READ_TRIES: u32 = 3;

/// Pause between two of them.
const READ_PAUSE: Duration = Duration::from_millis(400);

/// Largest answer in bytes: a page of a thousand servers has some four million.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Bytes of a refusal that are kept for people.
const MAX_REFUSAL: usize = 300;

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// A service of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Compute,
    Placement,
    Alarming,
    InstanceHa,
    Identity,
}

impl Service {
    /// Its types in the catalog; the usual one first.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Service::Compute => &["compute"],
            Service::Placement => &["placement"],
            Service::Alarming => &["alarming", "alarm"],
            Service::InstanceHa => &["instance-ha", "ha"],
            Service::Identity => &["identity"],
        }
    }

    /// The one microversion that is spoken with it, so that answers mean the same everywhere.
    ///
    /// Nova 2.87 (Ussuri) is the last whose hypervisors are listed without asking every host for its uptime, knows
    /// a destination for cold migrations (2.56), no forced live migrations (2.68), limits of server groups (2.64),
    /// and leaves an evacuated server running (until 2.95). Placement 1.36 (Train) can ask for one host's tree.
    fn version(self) -> Option<&'static str> {
        match self {
            Service::Compute => Some("compute 2.87"),
            Service::Placement => Some("placement 1.36"),
            Service::Alarming | Service::InstanceHa | Service::Identity => None,
        }
    }
}

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing was asked of the service: Keystone let nobody in, or its catalog lacks the service.
    NotAsked(String),
    /// The service answered no.
    Refused { status: u16, why: String },
    /// No answer, or none that can be understood.
    Unclear(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::NotAsked(why) | Fault::Unclear(why) => f.write_str(why),
            Fault::Refused { status, why } => write!(f, "{why} ({status})"),
        }
    }
}

/// Whether a request changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Change,
}

/// What is asked.
#[derive(Clone, Debug)]
struct Request<'a> {
    service: Service,
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
}

/// A client with one account.
pub(super) struct Client {
    http: reqwest::Client,
    account: Account,
    token: RwLock<Option<Arc<Token>>>,
    /// Held while a token is asked for, so that one is asked for at a time.
    asking: tokio::sync::Mutex<()>,
}

impl Client {
    /// A client that believes whom `tls` says.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub(super) fn new(account: Account, tls: ClientConfig) -> Result<Client, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Client { http, account, token: RwLock::new(None), asking: tokio::sync::Mutex::new(()) })
    }

    /// Reads something; `None` if it is not there.
    ///
    /// # Errors
    /// There is no answer, or another one.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &str,
    ) -> Result<Option<T>, Fault> {
        match self.get(service, path).await {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Refused { status: 404, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads something.
    ///
    /// # Errors
    /// There is no answer, or another one.
    pub(super) async fn get<T: DeserializeOwned>(&self, service: Service, path: &str) -> Result<T, Fault> {
        let request = Request { service, method: Method::GET, path, body: None };
        let mut tries = 1;
        let bytes = loop {
            match self.ask(&request, Kind::Read).await {
                Err(fault) if tries < READ_TRIES && passes(&fault) => tries += 1,
                result => break result?,
            }
            tokio::time::sleep(READ_PAUSE).await;
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| Fault::Unclear(format!("GET {path} was answered with something else: {error}")))
    }

    /// Has something changed.
    ///
    /// # Errors
    /// `Refused` and `NotAsked` promise that nothing was changed.
    pub(super) async fn change(
        &self,
        service: Service,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), Fault> {
        self.ask(&Request { service, method, path, body }, Kind::Change).await.map(|_| ())
    }

    /// Whose that token is; `None` if Keystone does not know it, or it has expired.
    ///
    /// # Errors
    /// Keystone does not answer.
    pub(super) async fn holder(&self, subject: &str) -> Result<Option<TokenHolder>, Fault> {
        let Ok(mut subject) = HeaderValue::from_str(subject) else { return Ok(None) };
        subject.set_sensitive(true);
        let mut own = self.token(None).await?;
        let mut renewed = false;
        loop {
            let url = format!("{}/auth/tokens?nocatalog", self.account.auth_url);
            let request = self.http.get(url).header(AUTH_TOKEN, own.header()?);
            let response = request.header(SUBJECT_TOKEN, subject.clone()).send().await;
            let response = response.map_err(|error| silent("Keystone", &error))?;
            let status = response.status();
            let bytes = read(response).await.map_err(Fault::Unclear)?;
            match status {
                StatusCode::NOT_FOUND => return Ok(None),
                // Our own is not known any more.
                StatusCode::UNAUTHORIZED if !renewed => {
                    own = self.token(Some(&own)).await?;
                    renewed = true;
                }
                _ if status.is_success() => {
                    return TokenHolder::read(&bytes).map(Some).map_err(Fault::Unclear);
                }
                _ => {
                    let why = message(&bytes).unwrap_or_else(|| "Keystone says no".to_owned());
                    return Err(Fault::Refused { status: status.as_u16(), why });
                }
            }
        }
    }

    /// True if the catalog has a service.
    ///
    /// # Errors
    /// Keystone lets nobody in.
    pub(super) async fn offers(&self, service: Service) -> Result<bool, Fault> {
        Ok(self.token(None).await?.endpoint(service.kinds(), &self.account).is_ok())
    }

    /// The region whose endpoints are called.
    pub(super) fn region(&self) -> Option<&str> {
        self.account.region.as_deref()
    }

    /// The public address of a service, as the catalog has it now.
    ///
    /// # Errors
    /// Keystone lets nobody in.
    pub(super) async fn public_url(&self, kind: &str) -> Result<Option<String>, Fault> {
        let account = Account { interface: "public".to_owned(), ..self.account.clone() };
        // Not from the token in use: its catalog is as old as it is.
        Ok(self.new_token().await?.endpoint(&[kind], &account).ok().map(ToOwned::to_owned))
    }

    /// Who the account is, and what it may do.
    ///
    /// # Errors
    /// Keystone lets nobody in.
    pub(super) async fn own(&self) -> Result<TokenHolder, Fault> {
        let secret = self.token(None).await?.secret.clone();
        let unknown = || Fault::NotAsked("Keystone does not know its own token".to_owned());
        self.holder(&secret).await?.ok_or_else(unknown)
    }

    /// The project in which the account's roles count.
    ///
    /// # Errors
    /// Keystone lets nobody in.
    pub(super) async fn own_project(&self) -> Result<String, Fault> {
        let token = self.token(None).await?;
        token.project.clone().ok_or_else(|| Fault::NotAsked("the token is for no project".to_owned()))
    }

    async fn ask(&self, request: &Request<'_>, kind: Kind) -> Result<Vec<u8>, Fault> {
        let token = self.token(None).await?;
        match self.send(request, &token, kind).await {
            // Who does not know the token has done nothing: it may have been revoked, or its keys are gone.
            Err(Fault::Refused { status: 401, .. }) => {
                let renewed = self.token(Some(&token)).await?;
                self.send(request, &renewed, kind).await
            }
            result => result,
        }
    }

    async fn send(&self, request: &Request<'_>, token: &Token, kind: Kind) -> Result<Vec<u8>, Fault> {
        let Request { service, method, path, body } = request;
        let base = match service {
            // The catalog may name it without a version; the account has it with one.
            Service::Identity => &self.account.auth_url,
            _ => token.endpoint(service.kinds(), &self.account).map_err(Fault::NotAsked)?,
        };
        let mut http =
            self.http.request(method.clone(), format!("{base}{path}")).header(AUTH_TOKEN, token.header()?);
        if let Some(version) = service.version() {
            http = http.header(API_VERSION, version);
        }
        if let Some(body) = body {
            http = http.json(body);
        }
        let what = format!("{method} {path} of {}", service.kinds()[0]);
        let response = http.send().await.map_err(|error| silent(&what, &error))?;
        let status = response.status();
        let bytes = read(response).await.map_err(|why| Fault::Unclear(format!("{what}: {why}")))?;
        if status.is_success() {
            return Ok(bytes);
        }
        let why = message(&bytes).unwrap_or_else(|| format!("{what} was answered {status}"));
        match kind {
            // A proxy, or a service that gave up in the middle: it may have been done.
            Kind::Change if status.is_server_error() || status.is_redirection() => {
                Err(Fault::Unclear(format!("{why} ({status})")))
            }
            Kind::Change | Kind::Read => Err(Fault::Refused { status: status.as_u16(), why }),
        }
    }

    /// The token in force; a new one if it is about to expire, or is the one that was refused.
    async fn token(&self, refused: Option<&Token>) -> Result<Arc<Token>, Fault> {
        let usable = || {
            let known = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
            known.filter(|token| {
                !token.is_old(Timestamp::now())
                    && refused.is_none_or(|refused| refused.secret != token.secret)
            })
        };
        if let Some(token) = usable() {
            return Ok(token);
        }
        let _asking = self.asking.lock().await;
        if let Some(token) = usable() {
            return Ok(token);
        }
        let token = Arc::new(self.new_token().await?);
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    async fn new_token(&self) -> Result<Token, Fault> {
        let url = format!("{}/auth/tokens", self.account.auth_url);
        let what = format!("Keystone at {}", self.account.auth_url);
        let not_asked = |why: String| Fault::NotAsked(format!("{what}: {why}"));
        let request = self.http.post(url).json(&question(&self.account.identity));
        let response = request.send().await.map_err(|error| not_asked(root(&error)))?;
        let status = response.status();
        let secret = response.headers().get(SUBJECT_TOKEN).and_then(|value| value.to_str().ok());
        let secret = secret.map(ToOwned::to_owned);
        let bytes = read(response).await.map_err(not_asked)?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(not_asked("it does not know the account, or its password is another one".to_owned()));
        }
        if !status.is_success() {
            return Err(not_asked(message(&bytes).unwrap_or_else(|| status.to_string())));
        }
        let secret = secret.ok_or_else(|| not_asked("its answer holds no token".to_owned()))?;
        Token::read(secret, &bytes).map_err(not_asked)
    }
}

impl Token {
    /// As it stands in a request.
    fn header(&self) -> Result<HeaderValue, Fault> {
        let mut secret = HeaderValue::from_str(&self.secret)
            .map_err(|_| Fault::NotAsked("the token of Keystone fits in no header".to_owned()))?;
        secret.set_sensitive(true);
        Ok(secret)
    }
}

/// True if it may pass by itself within a second.
fn passes(fault: &Fault) -> bool {
    match fault {
        Fault::NotAsked(_) => false,
        Fault::Refused { status, .. } => matches!(status, 429 | 500 | 502..=504),
        Fault::Unclear(_) => true,
    }
}

fn silent(what: &str, error: &reqwest::Error) -> Fault {
    let why = format!("{what}: {}", root(error));
    // Without a connection nothing was sent.
    if error.is_connect() { Fault::NotAsked(why) } else { Fault::Unclear(why) }
}

/// What went wrong, without the address.
fn root(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let root = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
        (true, false) => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
        (false, _) => root,
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root(&error))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What a service says about its refusal, fit for a log: each has a form of its own.
fn message(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    // Placement: {"errors": [{"detail": ..}]}; Nova: {"badRequest": {"message": ..}}; Keystone: {"error": {..}}.
    let placement = value["errors"][0]["detail"].as_str();
    let other = value.as_object().into_iter().flat_map(|object| object.values());
    let text = placement.or_else(|| other.filter_map(|inner| inner["message"].as_str()).next())?;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_REFUSAL).last()?;
    Some(if text.len() > MAX_REFUSAL { text[..end].to_owned() } else { text }.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_the_form_of_each_service() {
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(message(body.as_bytes()).as_deref(), expected, "{body}");
        };
        check(r#"{"conflictingRequest": {"code": 409, "message": "no\nway"}}"#, Some("no way"));
        check(r#"{"errors": [{"status": 404, "detail": "No provider. "}]}"#, Some("No provider."));
        check(r#"{"error": {"code": 403, "message": "You may not"}}"#, Some("You may not"));
        check("<html>502</html>", None);
        check("[]", None);
        let long = "é".repeat(1000);
        let cut = message(format!(r#"{{"e": {{"message": "{long}"}}}}"#).as_bytes()).unwrap();
        assert!(cut.len() <= MAX_REFUSAL && cut.chars().all(|c| c == 'é'), "{cut}");
    }

    #[test]
    fn what_may_pass_is_read_again() {
        let refused = |status| Fault::Refused { status, why: String::new() };
        for status in [429, 500, 502, 503, 504] {
            assert!(passes(&refused(status)), "{status}");
        }
        for status in [400, 401, 403, 404, 409] {
            assert!(!passes(&refused(status)), "{status}");
        }
    }
}
