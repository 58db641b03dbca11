//! A token, and calls with it.

use fenix_sdk::action::{Failure, Header, Http, HttpError, Request, Response};
use serde_json::Value;

use crate::request::{body, check_url, request, versioned, words};
use crate::{Auth, Trouble};

/// Header in which Keystone says the token.
const SAYS_TOKEN: &str = "x-subject-token";

/// Longest token in bytes: what fits into the headers of a call, with others.
const MAX_TOKEN: usize = 12 * 1024;

/// What stands where a token stood.
const HIDDEN: &str = "(a token)";

/// A token, and where services are.
///
/// Not `Debug`: nothing that is printed has the token in it.
pub struct Access {
    token: String,
    catalog: Value,
    interface: String,
    region: Option<String>,
    date: Option<String>,
}

/// Fetches a token.
///
/// # Errors
/// Keystone refuses, or nobody answers.
pub fn login(http: &mut dyn Http, auth: &Auth) -> Result<Access, Trouble> {
    let identity = auth.identity().map_err(Failure::BadMetadata)?;
    let url = format!("{}/auth/tokens", auth.base());
    let request = request("POST", url, Some(&identity));
    let mut answer = sent(http, &request, None)?;
    let token = header(&answer, SAYS_TOKEN).unwrap_or_default();
    hide(&token, &mut answer);
    passing(&request, &answer)?;
    let read = body(&request, &answer)?;
    let is_token =
        (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(Failure::Failed(format!("POST {} answers without a token", request.url)).into());
    }
    Ok(Access {
        token,
        catalog: read.pointer("/token/catalog").cloned().unwrap_or_default(),
        interface: auth.interface.clone(),
        region: auth.region.clone(),
        date: header(&answer, "date"),
    })
}

impl Access {
    /// The time of the answer by Keystone's clock, as it says it: a plug-in has no clock of its own.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// The base of a version of a service's API: where the metadata says, or else where the catalog does.
    ///
    /// # Errors
    /// The catalog does not.
    pub fn endpoint(&self, url: Option<&str>, service: &str, version: &str) -> Result<String, Failure> {
        let found = url.map(str::to_owned).or_else(|| self.listed(service));
        let found = found.ok_or_else(|| {
            let region =
                self.region.as_ref().map(|region| format!(" in region {region}")).unwrap_or_default();
            Failure::Failed(format!(
                "Keystone's catalog has no {} endpoint of type {service}{region}; `url` can say where it is",
                self.interface
            ))
        })?;
        check_url(&format!("the endpoint of type {service}"), &found).map_err(Failure::Failed)?;
        Ok(versioned(&found, version))
    }

    fn listed(&self, service: &str) -> Option<String> {
        let of_type = self.catalog.as_array()?.iter().filter(|entry| entry["type"] == service);
        let is_wanted = |endpoint: &Value| {
            let region = self.region.as_ref();
            endpoint["interface"] == *self.interface
                && region
                    .is_none_or(|region| endpoint["region"] == **region || endpoint["region_id"] == **region)
        };
        let endpoints = of_type.filter_map(|entry| entry["endpoints"].as_array()).flatten();
        endpoints
            .filter(|endpoint| is_wanted(endpoint))
            .find_map(|endpoint| endpoint["url"].as_str())
            .map(str::to_owned)
    }

    /// Makes a call with the token. An answer that means that it may work later is trouble; any other is the caller's to judge.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(&self, http: &mut dyn Http, request: &Request) -> Result<Response, Trouble> {
        let mut answer = sent(http, request, Some(&self.token))?;
        hide(&self.token, &mut answer);
        passing(request, &answer)?;
        Ok(answer)
    }

    /// Makes a call with the token, and reads the JSON of its answer.
    ///
    /// # Errors
    /// There is no answer, or another one than yes, or it is no JSON.
    pub fn read(&self, http: &mut dyn Http, request: &Request) -> Result<Value, Trouble> {
        let answer = self.send(http, request)?;
        Ok(body(request, &answer)?)
    }
}

/// Sends it, with a token if there is one, which is in no error then.
fn sent(http: &mut dyn Http, request: &Request, token: Option<&str>) -> Result<Response, Trouble> {
    let mut whole = request.clone();
    if let Some(token) = token {
        whole.headers.push(Header { name: "x-auth-token".to_owned(), value: token.to_owned() });
    }
    let named = |why: String| {
        let why = token.map_or_else(|| why.clone(), |token| why.replace(token, HIDDEN));
        format!("{}: {why}", request.url)
    };
    http.send(&whole).map_err(|error| {
        Trouble::from(match error {
            HttpError::NotGranted(what) => HttpError::NotGranted(what),
            HttpError::Invalid(why) => HttpError::Invalid(named(why)),
            HttpError::Unreachable(why) => HttpError::Unreachable(named(why)),
            HttpError::Unclear(why) => HttpError::Unclear(named(why)),
        })
    })
}

/// That a server cannot now, if its answer says so.
fn passing(request: &Request, answer: &Response) -> Result<(), Trouble> {
    if !matches!(answer.status, 408 | 425 | 429 | 502..=504) {
        return Ok(());
    }
    // A gateway says so of what stands behind it, which may be at work.
    Err(Trouble::Passing { why: words(request, answer), sent: true })
}

fn header(answer: &Response, name: &str) -> Option<String> {
    let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    found.map(|header| header.value.clone())
}

/// Takes the token out of an answer: a service may say what it was told, and what it says is shown and kept.
fn hide(token: &str, answer: &mut Response) {
    if token.is_empty() {
        return;
    }
    // What is no text is no JSON either.
    answer.body = String::from_utf8_lossy(&answer.body).replace(token, HIDDEN).into_bytes();
    for header in &mut answer.headers {
        header.value = header.value.replace(token, HIDDEN);
    }
}
