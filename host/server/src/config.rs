//! What `fenix serve` is told: a file, and flags that go before it.
//!
//! Read in two stages: [`Settings`] is what is written, in the file or as flags; [`Config`] is what it means, with
//! every default filled in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use fenix_core::id::HostId;
use fenix_core::policy::Terms;
use serde::Deserialize;

use crate::auth::{KeystoneSettings, Rate};
use crate::bus::BusSettings;
use crate::calls::CallSettings;
use crate::infrastructure::{Driver, Infrastructure, OpenStackSettings};
use crate::log::{Format, LogSettings};
use crate::packages::PackageSettings;
use crate::receivers::Receivers;
use crate::remote::RemoteSettings;
use crate::tls::{self, Trust};
use crate::traces::TraceSettings;
use crate::wire::terms::TermsText;
use written::Problem;

pub mod meaning;
pub mod written;

/// The port of every known deployment of the earlier Fenix.
pub const DEFAULT_PORT: u16 = 12347;

/// The port on which `fenix cloud sim` listens if nothing else is said.
pub const DEFAULT_CLOUD_PORT: u16 = 12390;

/// The file that is read if no other is named, and it is there.
pub const DEFAULT_FILE: &str = "fenix.toml";

/// Calls in a second with one token if nothing else is said: a manager makes some per instance and day, a page or a
/// dashboard some in a second.
pub const DEFAULT_CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// The data directory if no other is named.
pub const DEFAULT_DATA_DIR: &str = "fenix-data";

/// Days for which removed sessions are kept if nothing else is said: last year's maintenance is looked up when this
/// year's is planned.
pub const DEFAULT_RETENTION_DAYS: u32 = 365;

/// Largest configuration file in bytes: some hundred times what one needs.
const MAX_FILE: u64 = 1024 * 1024;

/// A loopback address.
pub const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Reads an address with its port from the command line.
///
/// # Errors
/// Says how one is written.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address is written like 127.0.0.1:12347, in numbers".to_owned())
}

/// What is written, in `fenix.toml` or as flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address to listen on; other than this machine's own only with `tokens` or Keystone's. Port 0 takes a free one
    /// [default: 127.0.0.1:12347]
    #[arg(long, value_name = "ADDRESS", env = "FENIX_LISTEN", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Address under which managers reach this server, for the URLs in events [default: http://LISTEN]
    #[arg(long, value_name = "URL", env = "FENIX_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Directory of the journal, made if it is not there [default: fenix-data]
    #[arg(long, value_name = "DIR", env = "FENIX_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The infrastructure: sim, the simulated cloud, or openstack [default: sim]
    #[arg(long, value_name = "DRIVER", env = "FENIX_DRIVER")]
    pub driver: Option<Driver>,
    /// Address of the simulated cloud [default: 127.0.0.1:12390]
    #[arg(long, value_name = "ADDRESS", env = "FENIX_CLOUD", value_parser = address)]
    pub cloud: Option<SocketAddr>,
    /// Host of the infrastructure that this server itself runs on, "" for none: it is maintained as the last one, where a
    /// session's terms allow it [default: the name of this machine]
    #[arg(long, value_name = "HOST", env = "FENIX_OWN_HOST")]
    pub own_host: Option<String>,
    /// Folder with plug-ins beside those that come with Fenix: every *.wasm file in it
    #[arg(long, value_name = "DIR", env = "FENIX_PLUGIN_DIR")]
    pub plugin_dir: Option<PathBuf>,
    /// Where messages may be sent beside this machine: a host, a host and port, an address, or a network like
    /// 10.0.0.0/8; may be repeated
    #[arg(long, value_name = "HOST")]
    pub deliver_to: Vec<String>,
    /// Certificates of the authorities that receivers with https are believed by, in PEM [default: those that the
    /// system knows]
    #[arg(long, value_name = "FILE", env = "FENIX_DELIVER_CA")]
    pub deliver_ca: Option<PathBuf>,
    /// File of the tokens with which callers say who they are; without it everybody on this machine may do everything.
    /// `fenix token new` makes it
    #[arg(long, value_name = "FILE", env = "FENIX_TOKENS")]
    pub tokens: Option<PathBuf>,
    /// Most calls in a second with one token; ten times as many may come at once [default: 50]
    #[arg(long, value_name = "NUMBER")]
    pub calls_per_second: Option<NonZeroU32>,
    /// Certificate that the server shows, with those up to its authority, in PEM: it then speaks TLS only
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Let others reach the server without TLS: only for a network in which nobody can listen to the tokens, as behind
    /// a proxy that speaks TLS
    #[arg(long)]
    pub plain_http: bool,
    /// OpenStack.
    #[command(flatten)]
    pub openstack: OpenStackSettings,
    /// Whom Keystone lets in. Only in the file.
    #[arg(skip)]
    pub keystone: KeystoneSettings,
    /// The message bus. Only in the file, since its addresses hold passwords.
    #[arg(skip)]
    pub bus: BusSettings,
    /// What sessions may bring. Only in the file.
    #[arg(skip)]
    pub packages: PackageSettings,
    /// Calls of actions. Only in the file.
    #[arg(skip)]
    pub calls: CallSettings,
    /// Commands of actions. Only in the file.
    #[arg(skip)]
    pub remote: RemoteSettings,
    /// The log.
    #[command(flatten)]
    pub log: LogSettings,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// How long what is past is kept. Only in the file.
    #[arg(skip)]
    pub store: StoreText,
    /// The terms of a session that says nothing about them. Only in the file.
    #[arg(skip)]
    pub terms: TermsText,
}

/// What is written about the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreText {
    /// Days after which `fenix store compact` may leave out a session that was removed.
    pub retention_days: Option<u32>,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Address under which managers reach this server; `None` = the one listened on.
    pub public_url: Option<String>,
    /// Directory of the journal.
    pub data_dir: PathBuf,
    /// The infrastructure that it maintains.
    pub infrastructure: Infrastructure,
    /// The host that the server itself runs on, if the infrastructure has one of that name.
    pub own_host: Option<HostId>,
    /// Folder with further plug-ins.
    pub plugin_dir: Option<PathBuf>,
    /// Where messages may be sent.
    pub receivers: Receivers,
    /// Whose certificates are believed there.
    pub deliver_trust: Trust,
    /// File of the tokens; `None` = everybody who reaches the server may do everything.
    pub tokens: Option<PathBuf>,
    /// How fast the holder of a token may call.
    pub rate: Rate,
    /// What the server shows in TLS; `None` = it speaks plain HTTP.
    pub tls: Option<tls::Files>,
    /// Whom Keystone lets in.
    pub keystone: KeystoneSettings,
    /// The message bus.
    pub bus: BusSettings,
    /// What sessions may bring.
    pub packages: PackageSettings,
    /// Calls of actions.
    pub calls: CallSettings,
    /// Commands of actions.
    pub remote: RemoteSettings,
    /// Form of the log.
    pub log: Format,
    /// Where traces go; `None` = nowhere.
    pub traces: Option<String>,
    /// True if others may reach it without TLS.
    pub plain_http: bool,
    /// Days after which a session that was removed may be left out of the journal.
    pub retention_days: u32,
    /// The terms of a session that says nothing about them.
    pub terms: Terms,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be one.
    #[error("{path} is larger than {MAX_FILE} bytes, so it is no configuration")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not understood.
    #[error("{path} cannot be understood: {why}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why not.
        why: String,
    },
    /// A term is out of range.
    #[error("{0}")]
    Terms(String),
    /// Others could reach a server that asks nobody who they are.
    #[error(
        "will not listen on {0}, where others reach it, without `tokens`: everybody could do everything; make the file \
         with `fenix token new`, or listen on 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// Others could read the tokens on their way.
    #[error(
        "will not listen on {0}, where others reach it, without TLS: tokens could be read on their way; set \
         `tls_certificate` and `tls_key`, or `plain_http` if a proxy with TLS stands in front"
    )]
    Readable(SocketAddr),
    /// Managers could not be told where to answer.
    #[error(
        "`public_url` is missing: managers cannot answer to {0}, which stands for every address of this machine"
    )]
    NoPublicUrl(SocketAddr),
    /// Nobody can be meant by it.
    #[error("`deliver_to` holds {0:?}: write a host, host:port, an address, or a network like 10.0.0.0/8")]
    NoReceiver(String),
    /// One of the two files of TLS is missing.
    #[error("`tls_certificate` and `tls_key` go together: name both, or none")]
    HalfTls,
    /// Whoever it names could not be asked for.
    #[error("`[keystone]` goes with `driver = \"openstack\"`: Keystone is that of the cloud")]
    NoKeystone,
    /// What is written about calls of actions means nothing.
    #[error("{0}")]
    Calls(String),
    /// What is written about commands of actions means nothing.
    #[error("{0}")]
    Remote(String),
    /// What is written about packages means nothing.
    #[error("{0}")]
    Packages(String),
    /// A default would skip asking.
    #[error(
        "a policy is `force`, which is never a default: name it in the sessions that need it, one by one"
    )]
    Force,
}

/// Reads a file; without one, [`DEFAULT_FILE`] if it is there.
///
/// # Errors
/// It cannot be read or understood; a named one that is not there is an error too.
pub fn read_file(named: Option<&Path>) -> Result<Settings, ConfigError> {
    let Some((path, text)) = read_text(named)? else { return Ok(Settings::default()) };
    parse(&text).map_err(|why| ConfigError::Parse { path, why })
}

/// Reads a file as it is written, and tells which it was; without one, [`DEFAULT_FILE`] if it is there.
///
/// # Errors
/// It cannot be read; a named one that is not there is an error too.
pub fn read_text(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(Some((path.to_owned(), text)))
}

fn parse(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        if error.span().is_some() {
            return error.to_string();
        }
        // The reader gives no place: it is looked for.
        match written::written(text).1.first() {
            Some(Problem { line: Some(line), why, .. }) => format!("line {line}: {why}"),
            Some(_) | None => error.to_string(),
        }
    })
}

impl Settings {
    /// These settings where they say something, else `other`'s.
    #[must_use]
    pub fn or(self, other: Settings) -> Settings {
        let deliver_to = if self.deliver_to.is_empty() { other.deliver_to } else { self.deliver_to };
        Settings {
            listen: self.listen.or(other.listen),
            public_url: self.public_url.or(other.public_url),
            data_dir: self.data_dir.or(other.data_dir),
            driver: self.driver.or(other.driver),
            cloud: self.cloud.or(other.cloud),
            openstack: self.openstack.or(other.openstack),
            own_host: self.own_host.or(other.own_host),
            plugin_dir: self.plugin_dir.or(other.plugin_dir),
            deliver_to,
            deliver_ca: self.deliver_ca.or(other.deliver_ca),
            tokens: self.tokens.or(other.tokens),
            calls_per_second: self.calls_per_second.or(other.calls_per_second),
            tls_certificate: self.tls_certificate.or(other.tls_certificate),
            tls_key: self.tls_key.or(other.tls_key),
            plain_http: self.plain_http || other.plain_http,
            keystone: if self.keystone.is_off() { other.keystone } else { self.keystone },
            bus: if self.bus == BusSettings::default() { other.bus } else { self.bus },
            calls: if self.calls == CallSettings::default() { other.calls } else { self.calls },
            remote: if self.remote == RemoteSettings::default() { other.remote } else { self.remote },
            packages: if self.packages == PackageSettings::default() {
                other.packages
            } else {
                self.packages
            },
            log: self.log.or(other.log),
            traces: self.traces.or(other.traces),
            store: if self.store == StoreText::default() { other.store } else { self.store },
            terms: if self.terms == TermsText::default() { other.terms } else { self.terms },
        }
    }

    /// What they mean.
    ///
    /// # Errors
    /// A term is out of range, or forces; or others could do what they should not.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        if self.terms.policies.forces() {
            return Err(ConfigError::Force);
        }
        let listen = self.listen.unwrap_or(loopback(DEFAULT_PORT));
        let tls = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::Files { certificate, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(ConfigError::HalfTls),
        };
        let is_guarded = self.tokens.is_some() || !self.keystone.is_off();
        if !self.keystone.is_off() && self.driver.unwrap_or_default() != Driver::OpenStack {
            return Err(ConfigError::NoKeystone);
        }
        if !listen.ip().is_loopback() {
            if !is_guarded {
                return Err(ConfigError::OpenToAll(listen));
            }
            if tls.is_none() && !self.plain_http {
                return Err(ConfigError::Readable(listen));
            }
        }
        if listen.ip().is_unspecified() && self.public_url.is_none() {
            return Err(ConfigError::NoPublicUrl(listen));
        }
        self.packages.policy().map_err(ConfigError::Packages)?;
        self.calls.check().map_err(ConfigError::Calls)?;
        self.remote.check().map_err(ConfigError::Remote)?;
        Ok(Config {
            listen,
            tokens: self.tokens,
            rate: Rate::new(self.calls_per_second.unwrap_or(DEFAULT_CALLS_PER_SECOND)),
            tls,
            plain_http: self.plain_http,
            retention_days: self.store.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS),
            public_url: self.public_url,
            data_dir: self.data_dir.unwrap_or(DEFAULT_DATA_DIR.into()),
            infrastructure: Infrastructure {
                driver: self.driver.unwrap_or_default(),
                sim: self.cloud.unwrap_or(loopback(DEFAULT_CLOUD_PORT)),
                openstack: self.openstack,
            },
            own_host: own_host(self.own_host),
            plugin_dir: self.plugin_dir,
            receivers: Receivers::new(self.deliver_to).map_err(ConfigError::NoReceiver)?.strict(is_guarded),
            deliver_trust: self.deliver_ca.map_or(Trust::System, Trust::File),
            keystone: self.keystone,
            bus: self.bus,
            packages: self.packages,
            calls: self.calls,
            remote: self.remote,
            log: self.log.format.unwrap_or_default(),
            traces: self.traces.endpoint,
            terms: self.terms.over(&Terms::default()).map_err(ConfigError::Terms)?,
        })
    }
}

/// The host that this machine is, as somebody says; else it may be the one of its name, as where Nova takes hosts' names from.
fn own_host(said: Option<String>) -> Option<HostId> {
    let name = said.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| HostId::from(name))
}

#[cfg(test)]
mod tests {
    use fenix_core::policy::Policy;
    use fenix_core::time::Millis;

    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = parse("").unwrap().resolve().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:12347");
        assert_eq!(config.terms, Terms::default());
    }

    #[test]
    fn what_the_reader_of_toml_gives_no_place_for_is_refused_with_its_line() {
        let text = format!("cloud = \"127.0.0.1:1\"\n{} = 1", vec!["a"; 100].join("."));
        let why = parse(&text).unwrap_err();
        assert!(why.starts_with("line 2: a key has too many parts"), "{why}");
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = parse(include_str!("../fenix.example.toml")).unwrap().resolve().unwrap();
        assert_eq!(example, Settings::default().resolve().unwrap());
    }

    #[test]
    fn flags_go_before_the_file() {
        let file = parse(
            r#"
            listen = "127.0.0.1:1"
            data_dir = "/var/lib/fenix"
            deliver_to = ["manager.example"]
            [terms]
            maintenance_reply = 20
            policies = { silence = "skip" }
            "#,
        )
        .unwrap();
        let flags = Settings { listen: Some(loopback(2)), ..Settings::default() };
        let config = flags.or(file).resolve().unwrap();
        assert_eq!(config.listen, loopback(2));
        assert_eq!(config.data_dir, Path::new("/var/lib/fenix"));
        assert_eq!(config.terms.maintenance_reply, Millis::from_secs(20));
        assert_eq!(config.terms.policies.silence, Policy::Skip);
        assert!(config.receivers.check("http://manager.example/").is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expected: &str| {
            let error = match parse(text) {
                Err(error) => error,
                Ok(settings) => settings.resolve().expect_err(expected).to_string(),
            };
            assert!(error.contains(expected), "{error}");
        };
        check("listne = \"127.0.0.1:1\"", "unknown field `listne`");
        check("listen = \"localhost\"", "invalid socket address");
        check("listen = \"192.0.2.1:1\"", "without `tokens`");
        check("listen = \"192.0.2.1:1\"\ntokens = \"t\"", "without TLS");
        check("listen = \"0.0.0.0:1\"\ntokens = \"t\"\nplain_http = true", "`public_url` is missing");
        check("tls_key = \"k\"", "name both, or none");
        check("calls_per_second = 0", "nonzero");
        check("[keystone]\nreaders = [\"auditor\"]", "goes with `driver");
        check("[calls.secrets]\nA = \"x\"", "`calls.secrets` holds \"A\"");
        check("[remote]\nway = \"telnet\"", "unknown variant `telnet`");
        check("[remote]\nssh_config = \"x\"", "goes with `way = \"ssh\"`");
        check("[remote]\nway = \"ssh\"\nseconds = 1", "goes with `way = \"sim\"`");
        check("[packages]\nproof = \"signed\"", "`packages.keys` names no key");
        check("deliver_to = [\"http://manager.example\"]", "holds \"http://manager.example\"");
        check("[terms]\nrounds = 0", "terms.rounds is 0");
        check("[terms.policies]\nnack = \"force\"", "never a default");
        check("[terms.policies]\nnack = \"maybe\"", "unknown variant `maybe`");
    }
}
