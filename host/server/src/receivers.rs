//! Where messages may be sent, so that nobody can make the server call an address that only the server can reach.
//!
//! The machine itself, as long as whoever orders messages has it anyway, and what the configuration's `deliver_to` names: hosts, with or without a port, addresses and
//! networks. Checked twice: the URL when it is subscribed and before each attempt, and the address that its name
//! stands for when a connection is made; the connection goes to that very address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Longest receiver URL in bytes: the journal's records stay small.
pub const MAX_URL: usize = 1024;

/// What a name without an entry of its own must know.
const HINT: &str = "the server's `deliver_to` must name it";

/// Where messages may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receivers {
    /// The entries as they were written.
    entries: Vec<String>,
    /// True if the machine itself has to be named too.
    strict: bool,
    /// Hosts by name, with the one port if only that is allowed.
    named: BTreeSet<(String, Option<u16>)>,
    networks: Vec<Network>,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many bits count.
    length: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(drop)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(whole), |text| text.parse().map_err(drop))?;
        if length > whole { Err(()) } else { Ok(Network { address, length }) }
    }
}

/// An address to which nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    name: String,
    address: IpAddr,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forbidden { name, address } = self;
        write!(f, "{name} is {address} now, to which nothing may be sent; {HINT} by its address")
    }
}

impl std::error::Error for Forbidden {}

impl Receivers {
    /// The machine itself, and what these entries name: `host`, `host:port`, an address, or a network like
    /// `10.0.0.0/8`.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn new(entries: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut receivers = Self::default();
        for entry in entries {
            receivers.entries.push(entry.clone());
            if let Ok(network) = entry.parse() {
                receivers.networks.push(network);
            } else {
                receivers.named.insert(host_and_port(&entry).ok_or(entry)?);
            }
        }
        Ok(receivers)
    }

    /// The same; if `strict`, the machine itself may be called only where it is named like any other. Managers of several
    /// projects may then order messages, and none of them shall have the server call what listens beside it.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// The entries, as they were written.
    pub fn entries(&self) -> &[String] {
        &self.entries
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
        if !["http", "https"].contains(&url.scheme()) {
            return Err(format!("`url` must begin with http:// or https://, not {}:", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` must hold no user or password".into());
        }
        let host = url.host_str().unwrap_or_default();
        let allowed = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                (!self.strict && address.is_loopback()) || self.names_address(address)
            }
            Err(_) => self.names_host(host, url.port_or_known_default()),
        };
        let refuse = || format!("`url`: messages may not be sent to {host}; {HINT}");
        if allowed { Ok(()) } else { Err(refuse()) }
    }

    /// Of the addresses that a host's name stands for now, those that may be called.
    ///
    /// A name that is allowed may stand for any address, public or private, but for the machine itself, its own
    /// link, and what is no single machine: those are where clouds keep their secrets, and have to be named
    /// themselves.
    ///
    /// # Errors
    /// None of them may be called.
    pub fn callable(&self, name: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
        let own = is_own(name);
        let may = |address: &IpAddr| {
            let address = address.to_canonical();
            self.names_address(address) || if own { address.is_loopback() } else { is_ordinary(address) }
        };
        let first = addresses.first().copied();
        let good: Vec<IpAddr> = addresses.into_iter().filter(may).collect();
        match first {
            Some(address) if good.is_empty() => Err(Forbidden { name: name.to_owned(), address }),
            _ => Ok(good),
        }
    }

    fn names_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    fn names_host(&self, host: &str, port: Option<u16>) -> bool {
        let host = plain(host);
        (!self.strict && is_own(&host))
            || [None, port].into_iter().any(|port| self.named.contains(&(host.clone(), port)))
    }
}

/// A name as it is compared.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_own(host: &str) -> bool {
    plain(host) == "localhost"
}

/// True for an address that a name may stand for unasked. Metadata services are link-local.
fn is_ordinary(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

fn host_and_port(entry: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match entry.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!host.is_empty() && host.chars().all(allowed)).then(|| (plain(host), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(entries: &[&str]) -> Receivers {
        Receivers::new(entries.iter().map(|entry| (*entry).to_owned())).unwrap()
    }

    #[test]
    fn what_stands_in_the_list_may_stand_in_a_url() {
        let list =
            receivers(&["Manager.example", "ported.example:8443", "10.1.0.0/16", "192.0.2.7", "fd00::/8"]);
        for url in [
            "http://127.0.0.1:1/",
            "http://127.8.9.10/",
            "http://[::1]/",
            "http://localhost:12348/x",
            "https://manager.example/x",
            "http://MANAGER.example.:99/",
            "https://ported.example:8443/",
            "http://10.1.255.1/",
            "http://192.0.2.7:5/",
            "http://[::ffff:192.0.2.7]/",
            "http://[fd12::1]/",
        ] {
            assert_eq!(list.check(url), Ok(()), "{url}");
        }
        for url in [
            "http://manager.example.org/",
            "http://ported.example/",
            "https://ported.example:8444/",
            "http://10.2.0.1/",
            "http://192.0.2.8/",
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0.0.0.0/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "ftp://manager.example/",
            "http://user@manager.example/",
        ] {
            assert!(list.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_strict_list_names_the_machine_itself_too() {
        let check = |entries: &[&str], url: &str, good: bool| {
            assert_eq!(receivers(entries).strict(true).check(url).is_ok(), good, "{entries:?} {url}");
        };
        for url in ["http://127.0.0.1:1/", "http://localhost/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"]
        {
            check(&[], url, false);
        }
        check(&["127.0.0.1"], "http://127.0.0.1:1/", true);
        check(&["127.0.0.1"], "http://127.0.0.2:1/", false);
        check(&["localhost:8080"], "http://localhost:8080/", true);
        check(&["localhost:8080"], "http://localhost:8081/", false);
    }

    #[test]
    fn a_name_may_stand_for_ordinary_addresses_and_for_those_that_are_named_themselves() {
        let check = |entries: &[&str], name: &str, addresses: &[&str], expected: &[&str]| {
            let read =
                |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
            let good = receivers(entries).callable(name, read(addresses)).unwrap_or_default();
            assert_eq!(good, read(expected), "{entries:?} {name}");
        };
        let name = "manager.example";
        check(&[name], name, &["192.0.2.1", "10.0.0.1", "fd00::1"], &["192.0.2.1", "10.0.0.1", "fd00::1"]);
        let special = ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255"];
        check(&[name], name, &special, &[]);
        check(&[name], name, &["::1", "fe80::1", "::", "ff02::1", "::ffff:127.0.0.1"], &[]);
        check(&[name], name, &["127.0.0.1", "192.0.2.1"], &["192.0.2.1"]);
        check(&[name, "127.0.0.1"], name, &["127.0.0.1", "127.0.0.2"], &["127.0.0.1"]);
        check(&[name, "169.254.0.0/16"], name, &["169.254.1.1"], &["169.254.1.1"]);
        check(&[], "localhost", &["127.0.0.1", "::1", "192.0.2.1"], &["127.0.0.1", "::1"]);
    }

    #[test]
    fn networks_are_compared_by_their_first_bits() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("0.0.0.0/0", "192.0.2.1"));
        assert!(contains("192.0.2.0/31", "192.0.2.1"));
        assert!(!contains("192.0.2.0/32", "192.0.2.1"));
        assert!(contains("::/0", "fe80::1"));
        assert!(!contains("::/0", "192.0.2.1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::"));
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for entry in
            ["", "http://manager.example", "manager.example/x", "10.0.0.0/33", "a:b", "a b", "[::1]:80"]
        {
            assert_eq!(Receivers::new([entry.to_owned()]), Err(entry.to_owned()));
        }
    }
}
