//! Asks servers for things: within the limits of patience, and only where packages may come from.

use oci_client::secrets::RegistryAuth;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Response, StatusCode, Url};

use crate::fetch::{FetchError, Fetcher};

/// Most redirects that are followed for one package.
pub(crate) const MAX_REDIRECTS: usize = 5;

/// What became of an attempt that did not bring the package.
pub(crate) enum Fault {
    /// Another one will not either.
    Final(FetchError),
    /// Another one may.
    Passing(String),
}

impl<E: Into<FetchError>> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Final(error.into())
    }
}

/// What is asked for.
pub(crate) struct Request {
    /// Where. It was looked at already: something may be asked for there.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Who asks. Only the server of `url` is told: a redirect to another one, or to the same without TLS, ends it.
    pub(crate) auth: RegistryAuth,
    /// An address that ends in `/`, whereunder a redirect may lead beside the places of the policy.
    pub(crate) home: Option<Url>,
}

impl Request {
    /// One of a stranger.
    pub(crate) fn to(url: &Url) -> Request {
        Request { url: url.clone(), headers: HeaderMap::new(), auth: RegistryAuth::Anonymous, home: None }
    }
}

impl Fetcher {
    /// The answer to a request, also from where a redirect leads, if packages may come from there. It is good, or a
    /// refusal that another attempt will not change.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response, Fault> {
        let (mut url, mut auth) = (request.url.clone(), &request.auth);
        for _ in 0..=MAX_REDIRECTS {
            let asked = self.client.get(url.clone()).headers(request.headers.clone());
            let asked = match auth {
                RegistryAuth::Anonymous => asked,
                RegistryAuth::Basic(user, password) => asked.basic_auth(user, Some(password)),
                RegistryAuth::Bearer(token) => asked.bearer_auth(token),
            };
            let response = match tokio::time::timeout(self.policy.patience.silence, asked.send()).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(Fault::Passing(words(&error))),
                Err(_) => return Err(self.silent()),
            };
            let status = response.status();
            if !status.is_redirection() {
                let passes = || Fault::Passing(format!("the server answers {status}"));
                return if may_pass(status) { Err(passes()) } else { Ok(response) };
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            url = to.and_then(|to| url.join(to).ok()).ok_or(FetchError::Redirects)?;
            let is_home = request.home.as_ref().is_some_and(|home| is_below(home, &url));
            if !is_home && !self.policy.allows(&url) {
                let place: String = url.as_str().chars().take(200).collect();
                return Err(FetchError::ForeignRedirect(place).into());
            }
            if url.origin() != request.url.origin() {
                auth = &RegistryAuth::Anonymous;
            }
        }
        Err(FetchError::Redirects.into())
    }

    /// The answer of a server that has what it is asked for.
    pub(crate) async fn get(&self, request: &Request) -> Result<Response, Fault> {
        let response = self.ask(request).await?;
        let status = response.status();
        if status.is_success() { Ok(response) } else { Err(FetchError::Refused(status).into()) }
    }

    /// The next part of a body; `None` at its end.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Fault> {
        let chunk = tokio::time::timeout(self.policy.patience.silence, response.chunk()).await;
        match chunk {
            Ok(Ok(chunk)) => Ok(chunk.map(Into::into)),
            Ok(Err(error)) => Err(Fault::Passing(words(&error))),
            Err(_) => Err(self.silent()),
        }
    }

    /// All of a body; `None` if it is larger.
    pub(crate) async fn body(&self, response: &mut Response, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(response).await? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(body))
    }

    fn silent(&self) -> Fault {
        Fault::Passing(format!("the server sent nothing for {} s", self.policy.patience.silence.as_secs()))
    }
}

/// True if an address lies on the same server and below a path that ends in `/`.
pub(crate) fn is_below(place: &Url, url: &Url) -> bool {
    place.origin() == url.origin() && url.path().starts_with(place.path())
}

/// Whether a server that refuses may think better of it: when it is overloaded, being started, or broken.
fn may_pass(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error()
}

/// An error with what caused it. The address is not in it: it may be signed.
fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    if words.is_empty() { "the connection broke".to_owned() } else { words.join(": ") }
}
