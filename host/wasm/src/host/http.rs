//! The interface `http`: calls to others, as far as they were asked for and granted.

use fenix_core::http_rule::{HttpCall, METHODS};
use url::Url;

use crate::action::Acting;
use crate::bindings::action::fenix::plugin::http as wit;
use crate::http::{HEADER_BYTES, HEADERS, HttpError, HttpRequest, HttpResponse, REQUEST_BYTES};
use crate::text::clean;

/// Bytes of an address that are shown.
const SHOWN: usize = 200;

/// Reads an address, as whoever calls it will. It has no account in it, and its path means one thing to everybody.
fn address(text: &str) -> Result<Url, wit::Error> {
    let wrong = |why: &str| wit::Error::Invalid(format!("{}: {why}", clean(text, SHOWN)));
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("calls go by http: and https:"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it has an account in it; send a header with a secret"));
    }
    let path = url.path().to_ascii_lowercase();
    if path.contains("%2f") || path.contains("%5c") || path.contains("%2e") {
        return Err(wrong("its path has an encoded /, \\ or ., which servers do not agree about"));
    }
    url.set_fragment(None);
    Ok(url)
}

impl Acting {
    /// The call, if it was asked for and granted.
    fn allowed(&self, request: wit::Request) -> Result<HttpRequest, wit::Error> {
        let url = address(&request.url)?;
        if !METHODS.contains(&request.method.as_str()) {
            let method = clean(&request.method, SHOWN);
            return Err(wit::Error::Invalid(format!(
                "{method} is no method; there are {}",
                METHODS.join(", ")
            )));
        }
        let bytes: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        if request.headers.len() > HEADERS || bytes > HEADER_BYTES || request.body.len() > REQUEST_BYTES {
            return Err(wit::Error::Invalid(format!(
                "a request has at most {HEADERS} headers of {HEADER_BYTES} bytes in all, and a body of {REQUEST_BYTES}"
            )));
        }
        let call = HttpCall {
            method: &request.method,
            scheme: url.scheme(),
            host: url.host_str().unwrap_or_default(),
            port: url.port(),
            path: url.path(),
        };
        let secrets = self.gate.open_http(call).map_err(wit::Error::NotGranted)?;
        Ok(HttpRequest {
            method: request.method,
            url: url.into(),
            headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: request.body,
            secrets,
        })
    }
}

fn response(response: HttpResponse) -> wit::Response {
    let header = |(name, value)| wit::Header { name, value };
    wit::Response {
        status: response.status,
        headers: response.headers.into_iter().map(header).collect(),
        body: response.body,
    }
}

fn error(error: HttpError) -> wit::Error {
    match error {
        HttpError::NotGranted(what) => wit::Error::NotGranted(what),
        HttpError::Invalid(why) => wit::Error::Invalid(why),
        HttpError::Unreachable(why) => wit::Error::Unreachable(why),
        HttpError::Unclear(why) => wit::Error::Unclear(why),
    }
}

impl wit::Host for Acting {
    fn send(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        self.count()?;
        let request = match self.allowed(request) {
            Ok(request) => request,
            Err(refused) => return Ok(Err(refused)),
        };
        let of_headers = |headers: &[(String, String)]| {
            headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        };
        self.sent += request.url.len() + of_headers(&request.headers) + request.body.len();
        let answer = self.ask(|lent| lent.http(request))?;
        if let Ok(answer) = &answer {
            self.received += of_headers(&answer.headers) + answer.body.len();
        }
        Ok(answer.map(response).map_err(error))
    }
}
