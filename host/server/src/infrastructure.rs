//! Which infrastructure the server maintains: the simulated cloud, or OpenStack.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use fenix_cloud::Cloud;
use fenix_cloud::openstack::account::{Account, AccountError, Search};
use fenix_cloud::openstack::{OpenStack, Site};
use fenix_cloud::sim::{Patience, SimClient};
use rustls::ClientConfig;
use serde::Deserialize;

use crate::tls::{self, TlsError, Trust};

/// The drivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// The simulated cloud, `fenix cloud sim`.
    #[default]
    Sim,
    /// Nova, Placement and what belongs to them.
    #[value(name = "openstack")]
    OpenStack,
}

/// What is written about OpenStack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct OpenStackSettings {
    /// The account: an entry of clouds.yaml [default: the one that OS_CLOUD names, or the OS_ variables]
    #[arg(long = "openstack-cloud", id = "openstack-cloud", value_name = "NAME")]
    pub cloud: Option<String>,
    /// The file of accounts [default: clouds.yaml where the openstack command looks for it]
    #[arg(long = "openstack-clouds-file", id = "openstack-clouds-file", value_name = "FILE")]
    pub clouds_file: Option<PathBuf>,
    /// Key of host aggregates whose value names a host's failure domain [default: its availability zone]
    #[arg(long = "openstack-zone-key", id = "openstack-zone-key", value_name = "KEY")]
    pub zone_key: Option<String>,
}

impl OpenStackSettings {
    /// These settings where they say something, else `other`'s.
    #[must_use]
    pub fn or(self, other: OpenStackSettings) -> OpenStackSettings {
        OpenStackSettings {
            cloud: self.cloud.or(other.cloud),
            clouds_file: self.clouds_file.or(other.clouds_file),
            zone_key: self.zone_key.or(other.zone_key),
        }
    }
}

/// Which infrastructure it is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Infrastructure {
    /// The driver.
    pub driver: Driver,
    /// Address of the simulated cloud.
    pub sim: SocketAddr,
    /// What is said about OpenStack.
    pub openstack: OpenStackSettings,
}

/// Why an infrastructure cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum InfrastructureError {
    /// There is no account.
    #[error("no account for OpenStack: {0}")]
    Account(#[from] AccountError),
    /// Its certificates cannot be checked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client cannot be made.
    #[error("OpenStack cannot be called")]
    Client(#[from] reqwest::Error),
}

/// An infrastructure, ready.
pub struct Connected {
    /// What the engine calls.
    pub cloud: Arc<dyn Cloud>,
    /// The same, if it is OpenStack.
    pub openstack: Option<Arc<OpenStack>>,
}

impl Infrastructure {
    /// The driver, ready; it calls nobody yet.
    ///
    /// # Errors
    /// The account is not complete, or cannot be used.
    pub fn connect(&self) -> Result<Connected, InfrastructureError> {
        match self.driver {
            Driver::Sim => {
                let cloud = Arc::new(SimClient::new(self.sim, Patience::default()));
                Ok(Connected { cloud, openstack: None })
            }
            Driver::OpenStack => {
                let account = self.account()?;
                let tls = believed(&account)?;
                let site = Site { zone_key: self.openstack.zone_key.clone() };
                let openstack = Arc::new(OpenStack::new(account, site, tls)?);
                Ok(Connected { cloud: openstack.clone(), openstack: Some(openstack) })
            }
        }
    }

    /// The account for OpenStack.
    ///
    /// # Errors
    /// There is none, or it is not complete.
    pub fn account(&self) -> Result<Account, AccountError> {
        let OpenStackSettings { cloud, clouds_file, zone_key: _ } = self.openstack.clone();
        Account::find(&Search { cloud, file: clouds_file }, |name| std::env::var(name).ok())
    }
}

/// Whom calls with that account believe. A machine that knows no authorities can still speak without TLS.
fn believed(account: &Account) -> Result<ClientConfig, TlsError> {
    let trust = account.ca.clone().map_or(Trust::System, Trust::File);
    match tls::client(&trust) {
        Err(TlsError::System(_)) if account.auth_url.starts_with("http:") => tls::client(&Trust::Nobody),
        made => made,
    }
}
