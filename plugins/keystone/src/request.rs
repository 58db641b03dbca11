//! Requests without a token, and what is said of them and of their answers.

use fenix_sdk::action::{Failure, Header, Request, Response};
use serde_json::Value;

/// Characters that are shown of a body: services say first what was wrong, and a message has some thousand bytes.
const SHOWN: usize = 600;

/// A call, with a body of JSON if there is one.
pub fn request(method: &str, url: String, body: Option<&Value>) -> Request {
    let header = |name: &str| Header { name: name.to_owned(), value: "application/json".to_owned() };
    let mut headers = vec![header("accept")];
    headers.extend(body.map(|_| header("content-type")));
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Request { method: method.to_owned(), url, headers, body }
}

/// That a service says no, with the beginning of what it says.
pub fn refused(request: &Request, answer: &Response) -> Failure {
    Failure::Failed(words(request, answer))
}

/// What was answered to what, with the beginning of the body.
pub fn words(request: &Request, answer: &Response) -> String {
    let Request { method, url, .. } = request;
    format!("{method} {url} answers {}: {}", answer.status, shown(&answer.body))
}

/// The JSON of an answer that means yes.
///
/// # Errors
/// It means no, or is no JSON.
pub fn body(request: &Request, answer: &Response) -> Result<Value, Failure> {
    if !(200..300).contains(&answer.status) {
        return Err(refused(request, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        let Request { method, url, .. } = request;
        Failure::Failed(format!("{method} {url} answers with what is no JSON: {}", shown(&answer.body)))
    })
}

/// The beginning of a body.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(SHOWN).collect()
}

/// Whether an address can be called, as far as it is seen without calling.
///
/// # Errors
/// Names the field, and what is expected there.
pub fn check_url(field: &str, url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !url.contains(['?', '#', ' ', '{']) => Ok(()),
        Some(_) | None => {
            Err(format!("{field} is an address that begins with https:// or http:// and has no ? in it"))
        }
    }
}

/// The base of a version of an API. Endpoints name the version, and more behind it, or leave it to the caller.
pub fn versioned(endpoint: &str, version: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    let is_named = format!("{endpoint}/").contains(&format!("/{version}/"));
    if is_named { endpoint.to_owned() } else { format!("{endpoint}/{version}") }
}
