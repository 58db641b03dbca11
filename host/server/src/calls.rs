//! Calls over HTTP that actions make, after the gate has let them pass: secrets are filled in on the way out, and taken out of
//! what comes back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fenix_core::http_rule::is_secret;
use fenix_wasm::http::{HEADER_BYTES, HttpError, HttpRequest, HttpResponse, RESPONSE_BYTES};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response};
use serde::Deserialize;

use crate::secret;
use crate::tls::Trust;

/// How long a call may take in all: no capability blocks its action for longer.
const WITHIN: Duration = Duration::from_secs(10);

/// Headers that say where a request goes and where it ends: what was allowed must be what is understood (RFC 9110, 7.2 and 7.6;
/// RFC 9112, 6).
const OURS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
];

/// What a placeholder begins and ends with.
const PLACEHOLDER: (&str, &str) = ("{{secret:", "}}");

/// What is written about calls of actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSettings {
    /// Certificates of the authorities by which servers are believed, in PEM.
    pub ca: Option<PathBuf>,
    /// Files with secrets, by name.
    pub secrets: BTreeMap<String, PathBuf>,
}

impl CallSettings {
    /// Whom servers must have their certificates from.
    pub fn trust(&self) -> Trust {
        self.ca.clone().map_or(Trust::System, Trust::File)
    }

    /// Whether all of it means something.
    ///
    /// # Errors
    /// Names what does not.
    pub fn check(&self) -> Result<(), String> {
        match self.secrets.keys().find(|name| !is_secret(name)) {
            None => Ok(()),
            Some(name) => {
                Err(format!("`calls.secrets` holds {name:?}: names are 1 to 64 of a-z, 0-9, _ and -"))
            }
        }
    }
}

/// Makes calls.
pub struct Caller {
    client: Client,
    secrets: BTreeMap<String, PathBuf>,
}

impl Caller {
    /// One with a client that follows no redirects, and with secrets in files, which are read when they are needed: one that
    /// was changed counts at once.
    pub fn new(client: Client, secrets: BTreeMap<String, PathBuf>) -> Caller {
        Caller { client, secrets }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let secrets = self.wanted(&request)?;
        let HttpRequest { method, url, headers, body, .. } = request;
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| invalid(&error))?;
        let mut filled = HeaderMap::new();
        for (name, value) in headers {
            let header =
                HeaderName::try_from(&name).map_err(|_| invalid(&format!("{name:?} is no header's name")))?;
            if OURS.contains(&header.as_str()) {
                return Err(invalid(&format!("header {header} is the host's to set")));
            }
            let value = secrets.fill(value.as_bytes());
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| invalid(&format!("what header {name} holds can stand in none")))?;
            value.set_sensitive(true);
            filled.append(header, value);
        }
        let body = if is_json(&filled) { secrets.fill_json(&body) } else { secrets.fill(&body) };
        let sent = self.client.request(method, url).headers(filled).body(body).send();
        let answered = async { read(sent.await.map_err(|error| failed(&error))?).await };
        let mut response = tokio::time::timeout(WITHIN, answered).await.unwrap_or_else(|_| {
            Err(HttpError::Unclear(format!("there was no whole answer within {} s", WITHIN.as_secs())))
        })?;
        secrets.hide(&mut response);
        Ok(response)
    }

    /// The secrets that a request names, if they may go along.
    fn wanted(&self, request: &HttpRequest) -> Result<Secrets, HttpError> {
        let values = request.headers.iter().map(|(_, value)| value.as_bytes());
        let mut secrets = BTreeMap::new();
        for name in values.chain([&*request.body]).flat_map(placeholders) {
            if !request.secrets.contains(&name) {
                return Err(HttpError::NotGranted(format!("secret {name:?} may not be sent there")));
            }
            let path = self.secrets.get(&name).ok_or_else(|| {
                HttpError::NotGranted(format!("the server's `calls.secrets` names no file for {name}"))
            })?;
            let secret = secret::read(path).map_err(|why| {
                tracing::error!(name, path = %path.display(), why, "a secret cannot be read");
                HttpError::NotGranted(format!("secret {name} cannot be read; see the server's log"))
            })?;
            secrets.insert(name, secret);
        }
        Ok(Secrets(secrets))
    }
}

/// True if a body is JSON by its headers (RFC 8259, 11; RFC 6839, 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media =
        media.and_then(|media| media.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || media.ends_with("+json")
}

fn invalid(why: &dyn std::fmt::Display) -> HttpError {
    HttpError::Invalid(why.to_string())
}

/// The names in the placeholders of a text.
fn placeholders(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let ends = text.split(PLACEHOLDER.0).skip(1);
    ends.filter_map(|rest| rest.split_once(PLACEHOLDER.1)).map(|(name, _)| name.to_owned()).collect()
}

/// Secrets that go along with one call, by name.
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Placeholders and what they stand for, the longest secret first: one may begin as another does.
    fn pairs(&self) -> Vec<(Vec<u8>, &[u8])> {
        let (begin, end) = PLACEHOLDER;
        let mut pairs: Vec<(Vec<u8>, &[u8])> = self
            .0
            .iter()
            .map(|(name, secret)| (format!("{begin}{name}{end}").into_bytes(), secret.as_bytes()))
            .collect();
        pairs.sort_by_key(|(_, secret)| std::cmp::Reverse(secret.len()));
        pairs
    }

    /// The text with secrets in the place of their placeholders.
    fn fill(&self, text: &[u8]) -> Vec<u8> {
        let pairs = self.pairs();
        replaced(text, pairs.iter().map(|(placeholder, secret)| (&**placeholder, *secret)))
    }

    /// The same in a text of JSON, where a secret may need escaping. What may stand in it so is taken out of answers, too.
    fn fill_json(&self, text: &[u8]) -> Vec<u8> {
        self.escaped().fill(text)
    }

    /// Secrets as they stand between the quotes of JSON.
    fn escaped(&self) -> Secrets {
        let escape = |secret: &String| {
            let quoted = serde_json::Value::from(secret.as_str()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        Secrets(self.0.iter().map(|(name, secret)| (name.clone(), escape(secret))).collect())
    }

    /// Takes them out of an answer: a server may say what it was told.
    fn hide(&self, response: &mut HttpResponse) {
        let escaped = self.escaped();
        let mut pairs = [self.pairs(), escaped.pairs()].concat();
        pairs.sort_by_key(|(_, secret)| std::cmp::Reverse(secret.len()));
        let hidden =
            |text: &[u8]| replaced(text, pairs.iter().map(|(placeholder, secret)| (*secret, &**placeholder)));
        response.body = hidden(&response.body);
        for (_, value) in &mut response.headers {
            *value = String::from_utf8_lossy(&hidden(value.as_bytes())).into_owned();
        }
    }
}

/// The text with each first part of a pair replaced by the second one. What was put in is not looked at again.
fn replaced<'a>(text: &[u8], pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        let found = pairs.clone().find_map(|(what, with)| Some((rest.strip_prefix(what)?, with)));
        match found {
            Some((after, with)) => {
                out.extend_from_slice(with);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = others;
            }
        }
    }
    out
}

/// Reads a whole answer.
async fn read(mut response: Response) -> Result<HttpResponse, HttpError> {
    let (status, mut size) = (response.status().as_u16(), 0);
    let mut headers = Vec::new();
    for (name, value) in response.headers() {
        size += name.as_str().len() + value.len();
        if size > HEADER_BYTES {
            return Err(HttpError::Unclear(format!("its headers are longer than {HEADER_BYTES} bytes")));
        }
        headers.extend(value.to_str().ok().map(|value| (name.to_string(), value.to_owned())));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + piece.len() > RESPONSE_BYTES {
            return Err(HttpError::Unclear(format!("its body is longer than {RESPONSE_BYTES} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(HttpResponse { status, headers, body })
}

fn failed(error: &reqwest::Error) -> HttpError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    match error {
        error if error.is_builder() => HttpError::Invalid(why),
        error if error.is_connect() => HttpError::Unreachable(why),
        _ => HttpError::Unclear(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_out_in_the_place_of_their_placeholders_and_never_come_back() {
        let all = [("a", "tiger"), ("b", "tigers"), ("c", "{{secret:a}}")];
        let secrets = Secrets(all.map(|(name, secret)| (name.to_owned(), secret.to_owned())).into());
        let check = |text: &str, expected: &str| {
            assert_eq!(String::from_utf8(secrets.fill(text.as_bytes())).unwrap(), expected);
        };
        check("Bearer {{secret:a}}", "Bearer tiger");
        check("{{secret:a}}{{secret:b}} {{secret:d}}", "tigertigers {{secret:d}}");
        check("{{secret:c}}", "{{secret:a}}");
        check("{{secret:a", "{{secret:a");
        let mut response = HttpResponse {
            status: 200,
            headers: vec![("x-echo".into(), "tiger!".into())],
            body: b"you said tiger, tigers\xff".to_vec(),
        };
        secrets.hide(&mut response);
        assert_eq!(response.headers[0].1, "{{secret:a}}!");
        assert_eq!(response.body, b"you said {{secret:a}}, {{secret:b}}\xff");
    }

    #[test]
    fn a_secret_stands_in_json_as_json_has_it() {
        let secrets = Secrets([("a".to_owned(), "t\"i\\ger\n".to_owned())].into());
        let body = secrets.fill_json(br#"{"password": "{{secret:a}}"}"#);
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read["password"], "t\"i\\ger\n");
        let mut response = HttpResponse { status: 200, headers: Vec::new(), body };
        secrets.hide(&mut response);
        assert_eq!(response.body, br#"{"password": "{{secret:a}}"}"#);
        let check = |media: &str, expected: bool| {
            let headers = [(reqwest::header::CONTENT_TYPE, HeaderValue::try_from(media).unwrap())];
            assert_eq!(is_json(&headers.into_iter().collect()), expected, "{media}");
        };
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/merge-patch+json", true);
        check("text/plain", false);
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn placeholders_are_found() {
        let check =
            |text: &str, expected: &[&str]| assert_eq!(placeholders(text.as_bytes()), expected, "{text}");
        check("", &[]);
        check("x {{secret:a}} {{secret:b-1}} y", &["a", "b-1"]);
        check("{{secret:a", &[]);
        check("{{secret:{{secret:a}}", &["a"]);
    }

    #[test]
    fn a_name_that_no_rule_can_hold_is_refused() {
        let secrets = BTreeMap::from([("A".to_owned(), PathBuf::from("x"))]);
        let settings = CallSettings { secrets, ..CallSettings::default() };
        assert!(settings.check().unwrap_err().contains("`calls.secrets` holds \"A\""));
    }
}
