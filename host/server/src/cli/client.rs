//! The HTTP API from the caller's side.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::exit::{Failure, Kind};
use super::print;
use crate::auth::X_AUTH_TOKEN;
use crate::tls::{self, Trust};

/// Longest wait for an answer: the server itself answers a command within 20 s, and a wait for news within 25 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);

/// Longest that a backup or a package may take on its way: the largest ones at the speed of a slow line.
const TRANSFER_WITHIN: Duration = Duration::from_secs(3600);

/// Time to connect to a server on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Largest answer in bytes that is read: the details of 50,000 instances.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A name as one part of a path, whatever is in it.
pub fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

/// Largest file with a token in bytes.
const MAX_TOKEN: usize = 4096;

/// Where the server is, and who calls it.
#[derive(Clone, Debug, clap::Args)]
pub struct At {
    /// Address of the server
    #[arg(long, global = true, env = "FENIX_URL", default_value = "http://127.0.0.1:12347")]
    pub url: String,
    /// File with the token to call with; FENIX_TOKEN may hold the token itself
    #[arg(long, global = true, value_name = "FILE", env = "FENIX_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities whose certificates are believed, instead of those that the system knows
    #[arg(long, global = true, value_name = "FILE", env = "FENIX_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

impl At {
    /// A client for that server.
    ///
    /// # Errors
    /// A part of it cannot be used.
    pub fn connect(&self) -> Result<Fenix, Failure> {
        let token = match &self.token_file {
            Some(path) => Some(read_token(path)?),
            None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
        };
        let trust = match &self.ca_file {
            Some(file) => Trust::File(file.clone()),
            None if self.url.starts_with("https:") => Trust::System,
            None => Trust::Nobody,
        };
        Fenix::new(&self.url, &trust, token.as_deref())
    }
}

/// The environment variable that may hold a token: arguments can be read by everybody on the machine.
const TOKEN: &str = "FENIX_TOKEN";

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| Failure::usage(format!("{} holds no token: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN || token.contains(char::is_whitespace) {
        return Err(wrong("one word is expected".into()));
    }
    Ok(token.to_owned())
}

/// A Fenix server.
#[derive(Clone, Debug)]
pub struct Fenix {
    client: Client,
    base: String,
    has_token: bool,
}

impl Fenix {
    /// The server at that address, like `http://127.0.0.1:12347`, without a token.
    ///
    /// # Errors
    /// It is no address.
    pub fn at(url: &str) -> Result<Fenix, Failure> {
        Fenix::new(url, &Trust::Nobody, None)
    }

    fn new(url: &str, trust: &Trust, token: Option<&str>) -> Result<Fenix, Failure> {
        let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let parsed =
            Url::parse(&base).map_err(|error| Failure::usage(format!("{url:?} is no URL: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Failure::usage(format!("{url:?} must begin with http:// or https://"))
                .hint("write it like http://127.0.0.1:12347"));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            if parsed.scheme() == "http" && !is_this_machine(&parsed) {
                print::note(format!("{base} speaks no TLS: everybody on the way can read the token"));
            }
            let wrong = |_| Failure::usage("the token holds letters that no token has");
            let mut value = HeaderValue::try_from(token).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(X_AUTH_TOKEN, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .tls_backend_preconfigured(tls::client(trust).map_err(|error| Failure::of(&error))?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| Failure::of(&error))?;
        Ok(Fenix { client, base, has_token: token.is_some() })
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Reads something.
    ///
    /// # Errors
    /// See [`Fenix::call`].
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Makes one call. `path` is behind the server's address, or a whole URL as it stands in an event.
    ///
    /// # Errors
    /// The server cannot be reached, or refused, with what it said.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let url = if path.starts_with("http") { self.own(path)? } else { format!("{}{path}", self.base) };
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    /// A whole URL, which came from outside: with a token only this server's own are called, whoever wrote it.
    fn own(&self, url: &str) -> Result<String, Failure> {
        let is_own = url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        if self.has_token && !is_own {
            let shown: String = url.chars().take(128).collect();
            let message = format!("{shown} is not at {}: the token is not sent there", self.base);
            return Err(Failure::failed(message).hint("name the server by its `public_url` with --url"));
        }
        Ok(url.to_owned())
    }

    /// Makes one call with a body that is no JSON.
    ///
    /// # Errors
    /// See [`Fenix::call`].
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        self.answer(request.header(CONTENT_TYPE, "application/octet-stream").body(body)).await
    }

    /// Puts something of any size somewhere, piece by piece.
    ///
    /// # Errors
    /// See [`Fenix::call`].
    pub async fn upload(&self, path: &str, body: Body) -> Result<Value, Failure> {
        let request = self.client.put(format!("{}{path}", self.base)).timeout(TRANSFER_WITHIN);
        self.answer(request.header(CONTENT_TYPE, "application/octet-stream").body(body)).await
    }

    /// Reads an answer of any size, piece by piece.
    ///
    /// # Errors
    /// The server cannot be reached, refused, or breaks off; or what `take` says.
    pub async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = self.client.get(format!("{}{path}", self.base)).timeout(TRANSFER_WITHIN);
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            let status = response.status();
            let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
            return Err(refused(status, &serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            take(&chunk)?;
        }
        Ok(())
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::failed(format!("the answer is larger than {MAX_ANSWER} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        Err(refused(status, &answer))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_timeout() && !error.is_connect() {
            let secs = ANSWER_WITHIN.as_secs();
            return Failure::new(Kind::Unreachable, format!("{base} did not answer within {secs} s"));
        }
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let root = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        let hint = if root.contains("certificate") {
            "name the authority whose certificates it shows with --ca-file or FENIX_CA_FILE"
        } else if root.contains("HTTP version") {
            "it may speak TLS: try an address that begins with https://"
        } else {
            "start it with `fenix serve`, or name another address with --url or FENIX_URL"
        };
        Failure::new(Kind::Unreachable, format!("cannot reach Fenix at {base}: {root}")).hint(hint)
    }
}

/// A refusal, with what the server said about it.
fn refused(status: StatusCode, answer: &Value) -> Failure {
    let message = answer["message"].as_str().map_or_else(|| status.to_string(), ToOwned::to_owned);
    let mut failure = Failure::new(Kind::Refused, message);
    let hint = if status == StatusCode::UNAUTHORIZED {
        Some("name a file that holds one with --token-file, or put it into FENIX_TOKEN")
    } else {
        answer["error"]["hint"].as_str()
    };
    failure.hints.extend(hint.map(as_commands));
    failure
}

/// A hint of the API in the words of the command line.
fn as_commands(hint: &str) -> String {
    let lists = ["hosts", "packages", "plugins", "templates"].map(|what| format!("GET /v1/{what} lists"));
    let commands =
        ["hosts", "package", "plugin", "template"].map(|what| format!("`fenix {what} list` shows"));
    let replaced = |hint: String, (call, command): (&String, &String)| hint.replace(call, command);
    lists.iter().zip(&commands).fold(hint.to_owned(), replaced)
}
