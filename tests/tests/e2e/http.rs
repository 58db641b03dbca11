//! HTTP as bytes on a socket: the client's side without a library, so that nothing is corrected on the way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than the server's longest wait for news.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of an answer that must be a good one.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }
}

/// Makes one call. `url` is a whole one; `body` goes out as it is.
pub(crate) fn call(method: &str, url: &str, body: &[u8]) -> Reply {
    call_as(None, method, url, body)
}

/// The same with a token.
pub(crate) fn call_as(token: Option<&str>, method: &str, url: &str, body: &[u8]) -> Reply {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
    let token = token.map(|token| format!("X-Auth-Token: {token}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\n{token}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A body that is refused by its length may not be read to its end.
    drop(stream.write_all(body));
    let reply = read_reply(stream);
    crate::description::check(method, address, path, &reply);
    reply
}

/// Reads something without a look at its description, which is read this way itself.
pub(crate) fn plain_get(address: &str, path: &str) -> Reply {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
}

/// Makes one call with a JSON body.
pub(crate) fn call_json(method: &str, url: &str, body: &Value) -> Reply {
    call(method, url, body.to_string().as_bytes())
}

/// Reads something.
pub(crate) fn get(url: &str) -> Reply {
    call("GET", url, b"")
}

/// Sends bytes as they are, and reads an answer.
pub(crate) fn raw(address: &str, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
    stream.write_all(bytes).unwrap();
    read_reply(stream)
}

fn read_reply(stream: TcpStream) -> Reply {
    let mut reader = BufReader::new(stream);
    let (first, headers) = read_head(&mut reader);
    let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {first:?}")).parse().unwrap();
    let body = match content_length(&headers) {
        Some(length) => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            body
        }
        None => {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).unwrap();
            body
        }
    };
    Reply { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// The first line and the headers of a message.
pub(crate) fn read_head(reader: &mut impl BufRead) -> (String, Vec<String>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    assert!(!lines.is_empty(), "the connection was closed without an answer");
    (lines.remove(0), lines)
}

/// What the headers say about the body's length.
pub(crate) fn content_length(headers: &[String]) -> Option<usize> {
    headers.iter().find_map(|header| {
        let (name, value) = header.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    })
}
