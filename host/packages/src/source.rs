//! Where a package is.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::oci::{Artifact, Registry};

/// Longest address of a package in bytes: it stands in records and messages.
pub const MAX_URL: usize = 1024;

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// On a web server: `http://..` or `https://..`.
    Web(Url),
    /// In the configured folder: `file:NAME`, where the name may have folders of its own.
    Folder(String),
    /// In an OCI registry: `oci://..` or `oci+http://..`.
    Oci(Artifact),
}

/// Why a text is no address of a package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It is too long.
    #[error("it is longer than {MAX_URL} bytes")]
    TooLong,
    /// It is no address.
    #[error("it is no address: {0}")]
    NotAnAddress(String),
    /// Nothing is fetched that way.
    #[error("packages come by https:, http:, oci:, oci+http: and file:, not by {0}:")]
    Scheme(String),
    /// It has a user or a password in it.
    #[error(
        "it has an account in it, which would stand in the journal and in every log; serve it without, or sign its address"
    )]
    Account,
    /// It says where in a page to look.
    #[error("what follows its # is not sent to a server")]
    Fragment,
    /// Two servers may understand it differently.
    #[error("its path has an encoded / or \\ in it, which servers do not agree about")]
    Ambiguous,
    /// It does not say which artifact is meant.
    #[error(
        "it names no artifact: {0}; write oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST"
    )]
    Reference(String),
    /// It leads out of the folder.
    #[error("{0:?} is no name in a folder: parts between / that are neither empty, . nor ..")]
    Name(String),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        if text.len() > MAX_URL {
            return Err(SourceError::TooLong);
        }
        if let Some(name) = text.strip_prefix("file:") {
            return folder(name);
        }
        if Registry::is_meant_by(text) {
            return text.parse().map(Source::Oci);
        }
        let url = Url::parse(text).map_err(|error| SourceError::NotAnAddress(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SourceError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Account);
        }
        if url.fragment().is_some() {
            return Err(SourceError::Fragment);
        }
        let path = url.path().to_ascii_lowercase();
        if path.contains("%2f") || path.contains("%5c") {
            return Err(SourceError::Ambiguous);
        }
        Ok(Source::Web(url))
    }
}

fn folder(name: &str) -> Result<Source, SourceError> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if name.split('/').all(is_plain) {
        Ok(Source::Folder(name.to_owned()))
    } else {
        Err(SourceError::Name(name.to_owned()))
    }
}

impl Source {
    /// What the thing there is called: the last part of its path, of an artifact that of its repository; `""` if it has
    /// none.
    pub fn file_name(&self) -> &str {
        let path = match self {
            Source::Web(url) => url.path(),
            Source::Folder(name) => name,
            Source::Oci(artifact) => artifact.name(),
        };
        path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Web(url) => write!(f, "{url}"),
            Source::Folder(name) => write!(f, "file:{name}"),
            Source::Oci(artifact) => artifact.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, shown: &str, name: &str| {
            let source: Source = text.parse().unwrap();
            assert_eq!((source.to_string().as_str(), source.file_name()), (shown, name));
        };
        check("https://repo.example/a/b-1.wasm", "https://repo.example/a/b-1.wasm", "b-1.wasm");
        check("HTTPS://Repo.Example:443/a/../b", "https://repo.example/b", "b");
        check("http://127.0.0.1:8080/x?version=1", "http://127.0.0.1:8080/x?version=1", "x");
        check("http://repo.example", "http://repo.example/", "");
        check("file:upgrade/1.2/all.tar.gz", "file:upgrade/1.2/all.tar.gz", "all.tar.gz");
        check("oci://Repo.Example/team/upgrade:1.2", "oci://repo.example/team/upgrade:1.2", "upgrade");
    }

    #[test]
    fn what_is_none_is_said() {
        let check = |text: &str, expected: &SourceError| {
            assert_eq!(text.parse::<Source>().as_ref(), Err(expected), "{text}");
        };
        check("ftp://repo.example/x", &SourceError::Scheme("ftp".into()));
        check("https://me:secret@repo.example/x", &SourceError::Account);
        check("https://me@repo.example/x", &SourceError::Account);
        check("oci://me@repo.example/x:1", &SourceError::Account);
        check("https://repo.example/x#y", &SourceError::Fragment);
        check("https://repo.example/a%2F..%2fb", &SourceError::Ambiguous);
        check("https://repo.example/a%5cb", &SourceError::Ambiguous);
        for name in ["", "/etc/passwd", "//host/x", "a//b", "../x", "a/../x", "a/.", "a\\b", "a\0b"] {
            check(&format!("file:{name}"), &SourceError::Name(name.into()));
        }
        check(&format!("file:{}", "x".repeat(MAX_URL)), &SourceError::TooLong);
        assert!(matches!("upgrade.tar.gz".parse::<Source>(), Err(SourceError::NotAnAddress(_))));
    }
}
