//! Which calls over HTTP a plug-in asks for, or is granted: one line, which people read and write.
//!
//! `GET,POST https://hooks.example/v1/* with hook-token`: these methods, there and below, and a secret that may go along.
//! Whoever reads an address must have parsed it as whoever calls it does; this compares parts and parses none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::pattern;

/// Longest rule in bytes: it stands in records and on pages.
pub const MAX_RULE: usize = 512;

/// Methods that can be allowed (RFC 9110, 9.3, without those that are no calls; RFC 5789).
pub const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Calls of some methods, to some place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpRule {
    methods: Vec<String>,
    scheme: String,
    host: String,
    /// `None` = the scheme's own.
    port: Option<u16>,
    path: String,
    secrets: Vec<String>,
}

/// A call, in parts as its address was parsed.
#[derive(Clone, Copy, Debug)]
pub struct HttpCall<'a> {
    /// In capitals.
    pub method: &'a str,
    /// In small letters.
    pub scheme: &'a str,
    /// In small letters; an IPv6 address in brackets.
    pub host: &'a str,
    /// `None` if it is the scheme's own.
    pub port: Option<u16>,
    /// Without what follows a `?`; dots are resolved.
    pub path: &'a str,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no rule like \"GET,POST https://hooks.example/v1/* with hook-token\": {why}")]
pub struct HttpRuleError {
    text: String,
    why: &'static str,
}

impl HttpRule {
    /// True if it lets that call be made.
    pub fn allows(&self, call: HttpCall<'_>) -> bool {
        let is_there = match self.host.strip_prefix('*') {
            None => self.host == call.host,
            Some(end) => call.host.ends_with(end),
        };
        self.methods.iter().any(|method| method == call.method)
            && (self.scheme == "*" || self.scheme == call.scheme)
            && is_there
            && (self.port == call.port || self.host == "*")
            && pattern::matches(&self.path, call.path)
    }

    /// The secrets that may go along.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

impl FromStr for HttpRule {
    type Err = HttpRuleError;

    fn from_str(text: &str) -> Result<HttpRule, HttpRuleError> {
        let wrong = |why: &'static str| HttpRuleError { text: text.chars().take(MAX_RULE).collect(), why };
        if text.len() > MAX_RULE {
            return Err(wrong("it is too long"));
        }
        let words: Vec<&str> = text.split(' ').collect();
        let (methods, place, secrets) = match words[..] {
            [methods, place] => (methods, place, ""),
            [methods, place, "with", secrets] => (methods, place, secrets),
            _ => return Err(wrong("methods and an address are expected, one space between them")),
        };
        let methods: Vec<String> = methods.split(',').map(str::to_owned).collect();
        if !methods.iter().all(|method| METHODS.contains(&method.as_str())) {
            return Err(wrong(
                "methods are GET, HEAD, POST, PUT, PATCH and DELETE, with commas between them",
            ));
        }
        let (scheme, rest) =
            place.split_once("://").ok_or_else(|| wrong("there is no :// in its address"))?;
        if !matches!(scheme, "http" | "https" | "*") {
            return Err(wrong("addresses begin with https://, http:// or *://"));
        }
        let (authority, path) = rest
            .find('/')
            .map(|at| rest.split_at(at))
            .ok_or_else(|| wrong("there is no path in its address"))?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| wrong("its port is none"))?))
            }
            Some(_) | None => (authority, None),
        };
        if !is_host(host) {
            return Err(wrong("its host is a name in small letters, an address, * or *.example"));
        }
        if path.contains(['?', '#', '%', '\\']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("its path has only plain letters, and * for anything"));
        }
        let secrets: Vec<String> =
            secrets.split(',').filter(|_| !secrets.is_empty()).map(str::to_owned).collect();
        if !secrets.iter().all(|name| is_secret(name)) {
            return Err(wrong("secrets are names of a-z, 0-9, _ and -, with commas between them"));
        }
        // The scheme's own port is not written.
        let port = port.filter(|port| !matches!((scheme, port), ("http", 80) | ("https", 443)));
        let (scheme, host, path) = (scheme.to_owned(), host.to_owned(), path.to_owned());
        Ok(HttpRule { methods, scheme, host, port, path, secrets })
    }
}

fn is_host(host: &str) -> bool {
    let name = match host.strip_prefix('*') {
        Some("") => return true,
        Some(rest) => match rest.strip_prefix('.') {
            Some(name) => name,
            None => return false,
        },
        None => host,
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    let address = |byte: u8| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase() || byte == b':';
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => name == host && !inner.is_empty() && inner.bytes().all(address),
        None => !name.is_empty() && name.bytes().all(plain),
    }
}

/// True if a secret can have that name.
pub fn is_secret(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}", self.methods.join(","), self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        if !self.secrets.is_empty() {
            write!(f, " with {}", self.secrets.join(","))?;
        }
        Ok(())
    }
}

impl TryFrom<String> for HttpRule {
    type Error = HttpRuleError;

    fn try_from(text: String) -> Result<HttpRule, HttpRuleError> {
        text.parse()
    }
}

impl From<HttpRule> for String {
    fn from(rule: HttpRule) -> String {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_it_was_read() {
        let check =
            |text: &str, shown: &str| assert_eq!(text.parse::<HttpRule>().unwrap().to_string(), shown);
        for text in [
            "GET https://hooks.example/",
            "GET,POST https://hooks.example:8443/v1/* with hook-token,other",
            "DELETE http://[::1]:9/x",
            "GET *://*/*",
            "PUT https://*.example/a*b",
        ] {
            check(text, text);
        }
        check("GET https://hooks.example:443/", "GET https://hooks.example/");
        check("GET http://hooks.example:443/", "GET http://hooks.example:443/");
    }

    #[test]
    fn what_is_no_rule_is_said() {
        let check = |text: &str, expected: &str| {
            let why = text.parse::<HttpRule>().unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
        };
        check("", "methods and an address");
        check("GET  https://x/", "methods and an address");
        check("GET https://x/ with", "methods and an address");
        check("GET https://x/ without y", "methods and an address");
        check("get https://x/", "methods are GET");
        check("CONNECT https://x/", "methods are GET");
        check("GET, https://x/", "methods are GET");
        check("GET x/", "no ://");
        check("GET ftp://x/", "begin with https://");
        check("GET https://x", "no path");
        check("GET https:///", "its host");
        check("GET https://X/", "its host");
        check("GET https://*x/", "its host");
        check("GET https://me@x/", "its host");
        check("GET https://[x]/", "its host");
        check("GET https://*.[::1]/", "its host");
        check("GET https://x:y/", "its port");
        check("GET https://x:70000/", "its port");
        check("GET https://x/%2e", "its path");
        check("GET https://x/?a", "its path");
        check("GET https://x/ with a,,b", "secrets are names");
        check("GET https://x/ with A", "secrets are names");
        check(&format!("GET https://x/{}", "x".repeat(MAX_RULE)), "too long");
    }

    #[test]
    fn a_rule_lets_pass_what_it_says() {
        let check = |rule: &str,
                     method: &str,
                     (scheme, host, port, path): (&str, &str, Option<u16>, &str),
                     expected: bool| {
            let call = HttpCall { method, scheme, host, port, path };
            assert_eq!(rule.parse::<HttpRule>().unwrap().allows(call), expected, "{rule}: {call:?}");
        };
        let rule = "GET,POST https://hooks.example/v1/*";
        check(rule, "GET", ("https", "hooks.example", None, "/v1/"), true);
        check(rule, "POST", ("https", "hooks.example", None, "/v1/a/b"), true);
        check(rule, "PUT", ("https", "hooks.example", None, "/v1/a"), false);
        check(rule, "GET", ("http", "hooks.example", None, "/v1/a"), false);
        check(rule, "GET", ("https", "hooks.example", Some(8443), "/v1/a"), false);
        check(rule, "GET", ("https", "evil.hooks.example", None, "/v1/a"), false);
        check(rule, "GET", ("https", "hooks.example.evil", None, "/v1/a"), false);
        check(rule, "GET", ("https", "hooks.example", None, "/v1"), false);
        check(rule, "GET", ("https", "hooks.example", None, "/v2/v1/"), false);
        check("GET https://*.example/x", "GET", ("https", "a.b.example", None, "/x"), true);
        check("GET https://*.example/x", "GET", ("https", "example", None, "/x"), false);
        check("GET https://*.example/x", "GET", ("https", "evilexample", None, "/x"), false);
        check("GET https://*.example/x", "GET", ("https", "a.example", None, "/xy"), false);
        check("GET *://*/*", "GET", ("http", "anybody", Some(1), "/"), true);
        check("GET https://x/a*c*e", "GET", ("https", "x", None, "/abcde"), true);
        check("GET https://x/a*c*e", "GET", ("https", "x", None, "/ace"), true);
        check("GET https://x/a*c*e", "GET", ("https", "x", None, "/abde"), false);
        check("GET https://x/a*a", "GET", ("https", "x", None, "/a"), false);
    }
}
