//! Where messages may be sent.

use std::collections::BTreeSet;
use std::net::IpAddr;

use reqwest::Url;

/// Longest receiver URL in bytes: the journal's records stay small.
pub const MAX_URL: usize = 1024;

/// Where messages may be sent: the machine itself, and hosts that the configuration names. So nobody can make the
/// server call an address that only the server can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receivers {
    named: BTreeSet<String>,
}

impl Receivers {
    /// The machine itself and these hosts, as they stand in URLs.
    pub fn new(named: impl IntoIterator<Item = String>) -> Self {
        Self { named: named.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Checks where a subscription wants its messages.
    ///
    /// # Errors
    /// A sentence that says what may stand there.
    pub fn check(&self, text: &str) -> Result<(), String> {
        if text.len() > MAX_URL {
            return Err(format!("`url` is longer than {MAX_URL} bytes"));
        }
        let url = Url::parse(text).map_err(|error| format!("`url` is no URL: {error}"))?;
        if url.scheme() != "http" {
            return Err(format!("`url` must begin with http://, not {}:", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` must hold no user or password".into());
        }
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let own = host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if own || self.named.contains(bare) {
            return Ok(());
        }
        Err(format!("`url`: messages may not be sent to {host}; the server's `deliver_to` must name it"))
    }
}
