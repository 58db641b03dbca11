//! The driver for OpenStack: Nova tells where servers are and moves them, Placement what hosts offer and who holds it.
//!
//! [`account`] says who calls, `keystone` and `client` how; `look` reads, `picture` turns what was read into what the
//! engine knows, `act` changes. Nova is believed only as far as Placement agrees: a server has left a host when
//! nothing is held there for it any more.
//!
//! It is a client of its own: of the SDK's sixty further crates most are for what a server never does, and none tells
//! a change that was refused from one that may have been done.

pub mod account;
mod act;
mod alarms;
mod client;
mod keystone;
mod look;
mod masakari;
mod picture;
mod register;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use rustls::ClientConfig;

use self::account::Account;
use self::act::Acts;
pub use self::alarms::EventAlarm;
use self::client::{Client, Fault};
pub use self::keystone::TokenHolder;
use self::look::Looks;
use self::masakari::Masakari;
use crate::driver::{Answering, Cloud};

/// Time for one call of the engine, whatever requests it takes: a second less than the engine waits.
const CALL_WITHIN: Duration = Duration::from_secs(9);

/// What an installation says about its cloud beside the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The key of host aggregates whose value names a host's failure domain; `None` = the availability zone.
    pub zone_key: Option<String>,
}

/// An OpenStack cloud, by one account.
pub struct OpenStack {
    client: Arc<Client>,
    looks: Arc<Looks>,
    acts: Acts,
}

impl OpenStack {
    /// A driver with that account, which must administer Nova and read Placement. Calls nobody yet.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(account: Account, site: Site, tls: ClientConfig) -> Result<OpenStack, reqwest::Error> {
        let client = Arc::new(Client::new(account, tls)?);
        let looks = Arc::new(Looks::new(client.clone(), site.zone_key));
        Ok(OpenStack { acts: Acts::new(client.clone(), looks.clone()), client, looks })
    }

    /// The event alarms of all projects that are in force in Aodh.
    ///
    /// # Errors
    /// Says why they cannot be read.
    pub async fn event_alarms(&self) -> Result<Vec<EventAlarm>, String> {
        alarms::event_alarms(&self.client).await.map_err(|fault| fault.to_string())
    }

    /// Has Keystone's catalog say that Fenix is at `url`, as service type `maintenance`; returns what was changed, a line
    /// each. Done twice, it changes nothing.
    ///
    /// # Errors
    /// Says why not; some of it may be done.
    pub async fn register(&self, url: &str) -> Result<Vec<String>, String> {
        register::register(&self.client, url).await.map_err(|fault| fault.to_string())
    }

    /// Where the catalog says that Fenix is.
    ///
    /// # Errors
    /// Says why Keystone does not tell.
    pub async fn registered(&self) -> Result<Option<String>, String> {
        register::registered(&self.client).await.map_err(|fault| fault.to_string())
    }

    /// Who the account is, and what it may do.
    ///
    /// # Errors
    /// Says why Keystone does not tell.
    pub async fn own(&self) -> Result<TokenHolder, String> {
        self.client.own().await.map_err(|fault| fault.to_string())
    }

    /// The hosts that Masakari watches, true for those that it leaves alone; empty if the cloud has none.
    ///
    /// # Errors
    /// Says why Masakari does not tell.
    pub async fn watched(&self) -> Result<Vec<(String, bool)>, String> {
        let hosts = Masakari::new(self.client.clone()).hosts().await.map_err(|fault| fault.to_string())?;
        Ok(hosts.into_iter().map(|(name, entry)| (name, entry.on_maintenance)).collect())
    }

    /// Has Aodh post the account's own project's events of that type to `url`; returns the alarm's id.
    ///
    /// # Errors
    /// Says why not.
    pub async fn create_alarm(&self, event_type: &str, url: &str) -> Result<String, String> {
        alarms::create(&self.client, event_type, url).await.map_err(|fault| fault.to_string())
    }

    /// Removes an alarm.
    ///
    /// # Errors
    /// Says why not.
    pub async fn remove_alarm(&self, id: &str) -> Result<(), String> {
        alarms::remove(&self.client, id).await.map_err(|fault| fault.to_string())
    }

    /// Whose that token of Keystone's is; `None` if it does not know it, or it has expired.
    ///
    /// # Errors
    /// Says why Keystone does not tell.
    pub async fn holder(&self, token: &str) -> Result<Option<TokenHolder>, String> {
        self.client.holder(token).await.map_err(|fault| fault.to_string())
    }

    /// The project of the account.
    ///
    /// # Errors
    /// Says why Keystone does not tell.
    pub async fn own_project(&self) -> Result<String, String> {
        self.client.own_project().await.map_err(|fault| fault.to_string())
    }

    async fn carry_out(&self, call: &CloudCall) -> Result<CloudReply, CloudError> {
        let unread = |fault: Fault| CloudError::Unclear(fault.to_string());
        let acts = &self.acts;
        let done = match call {
            CloudCall::ReadAll => return self.looks.all().await.map_err(unread),
            CloudCall::ReadHost { host } => return self.looks.host(host).await.map_err(unread),
            CloudCall::ReadInstance { instance } => {
                return self.looks.instance(instance).await.map_err(unread);
            }
            CloudCall::Disable { host, reason } => acts.disable(host, reason).await,
            CloudCall::Enable { host } => acts.enable(host).await,
            CloudCall::Migrate { instance, to } => acts.migrate(instance, to).await,
            CloudCall::LiveMigrate { instance, to } => acts.live_migrate(instance, to).await,
            CloudCall::Confirm { instance } => acts.confirm(instance).await,
            CloudCall::Revert { instance } => acts.revert(instance).await,
            CloudCall::AbortLive { instance } => acts.abort_live(instance).await,
            CloudCall::CompleteLive { instance } => acts.complete_live(instance).await,
            CloudCall::Evacuate { instance, to } => acts.evacuate(instance, to).await,
            CloudCall::Reboot { host, .. } => Err(CloudError::Refused(format!(
                "Nova restarts no machines; host {host} needs an action that does"
            ))),
            CloudCall::Boot { .. } | CloudCall::Delete { .. } | CloudCall::Resize { .. } => {
                Err(CloudError::Refused("servers come and go by their owners' orders to Nova".to_owned()))
            }
        };
        done.map(|()| CloudReply::Accepted)
    }
}

impl Cloud for OpenStack {
    fn call<'a>(&'a self, call: &'a CloudCall) -> Answering<'a> {
        Box::pin(async move {
            let answer = tokio::time::timeout(CALL_WITHIN, self.carry_out(call)).await;
            let late =
                || CloudError::Unclear(format!("OpenStack took more than {} s", CALL_WITHIN.as_secs()));
            answer.unwrap_or_else(|_| Err(late()))
        })
    }
}
