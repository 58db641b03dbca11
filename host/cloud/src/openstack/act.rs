//! Changes. Each looks first, and refuses what would not end well: Nova answers most of them with 202 before it has
//! looked itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use fenix_core::id::{HostId, InstanceId};
use fenix_engine::ports::CloudError;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Fault, Service::Compute, Service::Placement};
use super::look::{Looks, escaped};
use super::masakari::{self, Entry, Masakari};
use super::picture::COMPUTE;
use super::wire::{Candidates, Migration, Migrations, Server, Service};

/// Longest reason that Nova keeps beside a service, in characters.
const MAX_REASON: usize = 255;

/// Changes the cloud through a client.
pub(super) struct Acts {
    client: Arc<Client>,
    looks: Arc<Looks>,
    masakari: Masakari,
}

impl Acts {
    pub(super) fn new(client: Arc<Client>, looks: Arc<Looks>) -> Acts {
        Acts { masakari: Masakari::new(client.clone()), client, looks }
    }

    /// No new servers on a host, for that reason; and Masakari leaves it alone.
    pub(super) async fn disable(&self, host: &HostId, reason: &str) -> Result<(), CloudError> {
        let service = self.compute(host).await?;
        let watched = self.watched(host).await?;
        // Also if it was about to be taken back.
        let is_ours = mark_of(&service).is_some();
        let is_off = watched.as_ref().is_some_and(|entry| !entry.on_maintenance);
        let mark = if is_ours || is_off { masakari::SET } else { "" };
        self.set(&service, &disabled(reason, mark)).await?;
        match watched.filter(|_| is_off) {
            Some(entry) => self.masakari.set(&entry, true).await.map_err(unread),
            None => Ok(()),
        }
    }

    /// New servers may come again, and Masakari watches it as before.
    pub(super) async fn enable(&self, host: &HostId) -> Result<(), CloudError> {
        let service = self.compute(host).await?;
        let mark = mark_of(&service);
        if mark == Some(masakari::SET) {
            let (reason, _) = masakari::split(service.disabled_reason.as_deref().unwrap_or_default());
            self.set(&service, &disabled(reason, masakari::CLEARING)).await?;
        }
        if mark.is_some()
            && let Some(entry) = self.watched(host).await?.filter(|entry| entry.on_maintenance)
        {
            self.masakari.set(&entry, false).await.map_err(unread)?;
        }
        self.set(&service, &json!({"status": "enabled"})).await
    }

    /// The host as Masakari has it, if it does.
    async fn watched(&self, host: &HostId) -> Result<Option<Entry>, CloudError> {
        Ok(self.masakari.hosts().await.map_err(unread)?.remove(host.as_str()))
    }

    async fn set(&self, service: &Service, to: &Value) -> Result<(), CloudError> {
        let path = format!("/os-services/{}", service.id);
        let set = self.client.change(Compute, Method::PUT, &path, Some(to)).await;
        set.map_err(|fault| error(fault, || format!("host {}", service.host)))
    }

    /// Starts a cold move.
    pub(super) async fn migrate(&self, instance: &InstanceId, to: &HostId) -> Result<(), CloudError> {
        self.may_move(instance, to).await?;
        self.act(instance, &json!({"migrate": {"host": to}})).await
    }

    /// Starts a live move.
    pub(super) async fn live_migrate(&self, instance: &InstanceId, to: &HostId) -> Result<(), CloudError> {
        self.may_move(instance, to).await?;
        self.act(instance, &json!({"os-migrateLive": {"host": to, "block_migration": "auto"}})).await
    }

    /// Makes an arrived cold move final.
    pub(super) async fn confirm(&self, instance: &InstanceId) -> Result<(), CloudError> {
        self.act(instance, &json!({"confirmResize": null})).await
    }

    /// Takes an arrived cold move back.
    pub(super) async fn revert(&self, instance: &InstanceId) -> Result<(), CloudError> {
        self.act(instance, &json!({"revertResize": null})).await
    }

    /// Gives up a live move.
    pub(super) async fn abort_live(&self, instance: &InstanceId) -> Result<(), CloudError> {
        let (live, path) = self.live(instance).await?;
        let aborted = self.client.change(Compute, Method::DELETE, &path, None).await;
        aborted.map_err(|fault| error(fault, || live))
    }

    /// Lets a live move end with its guest standing still.
    pub(super) async fn complete_live(&self, instance: &InstanceId) -> Result<(), CloudError> {
        let (live, path) = self.live(instance).await?;
        let path = format!("{path}/action");
        let force = json!({"force_complete": null});
        let forced = self.client.change(Compute, Method::POST, &path, Some(&force)).await;
        forced.map_err(|fault| error(fault, || live))
    }

    /// The live migration of a server that is under way: its name and its path.
    async fn live(&self, instance: &InstanceId) -> Result<(String, String), CloudError> {
        self.there(instance).await?;
        let path = format!("/os-migrations?instance_uuid={}&limit=1", escaped(instance.as_str()));
        let read: Result<Migrations, Fault> = self.client.get(Compute, &path).await;
        let Migrations { migrations } = read.map_err(unread)?;
        let Some(live) = migrations.into_iter().find(Migration::is_live_under_way) else {
            return Err(refused(format!("no live migration of server {instance} is under way")));
        };
        let name = format!("live migration {} of server {instance}", live.id);
        Ok((name, format!("/servers/{}/migrations/{}", escaped(instance.as_str()), live.id)))
    }

    /// Rebuilds a server of a dead host elsewhere. The host is told to be down first: its nova-compute, if it comes
    /// back, then starts nothing that runs elsewhere.
    pub(super) async fn evacuate(&self, instance: &InstanceId, to: &HostId) -> Result<(), CloudError> {
        let server = self.there(instance).await?;
        let Some(from) = server.host.as_deref().map(HostId::from) else {
            return Err(refused(format!("server {instance} is on no host")));
        };
        if from == *to {
            return Err(refused(format!("server {instance} is on host {to} already")));
        }
        let source = self.compute(&from).await?;
        if source.state == "up" && !source.forced_down {
            return Err(refused(format!(
                "host {from} of server {instance} is up; only a dead one is left so"
            )));
        }
        self.may_come(&server, to).await?;
        if !source.forced_down {
            self.set(&source, &json!({"forced_down": true})).await?;
        }
        self.act(instance, &json!({"evacuate": {"host": to}})).await
    }

    async fn act(&self, instance: &InstanceId, what: &Value) -> Result<(), CloudError> {
        let path = format!("/servers/{}/action", escaped(instance.as_str()));
        let done = self.client.change(Compute, Method::POST, &path, Some(what)).await;
        done.map_err(|fault| error(fault, || format!("server {instance}")))
    }

    async fn there(&self, instance: &InstanceId) -> Result<Server, CloudError> {
        let found = self.looks.server(instance.as_str()).await.map_err(unread)?;
        found.ok_or_else(|| CloudError::NotFound(format!("server {instance}")))
    }

    /// The service on a host that runs servers.
    async fn compute(&self, host: &HostId) -> Result<Service, CloudError> {
        let filter = format!("host={}&binary={COMPUTE}&", escaped(host.as_str()));
        let services = self.looks.services(&filter).await.map_err(unread)?;
        services.into_iter().next().ok_or_else(|| CloudError::NotFound(format!("host {host}")))
    }

    /// Whether a server can leave, and come to a host.
    async fn may_move(&self, instance: &InstanceId, to: &HostId) -> Result<(), CloudError> {
        let server = self.there(instance).await?;
        if let Some(task) = &server.task_state {
            return Err(refused(format!("conflict: server {instance} is {task}")));
        }
        if server.vm_state == "resized" {
            return Err(refused(format!("conflict: a move of server {instance} waits to be confirmed")));
        }
        if server.host.as_deref() == Some(to.as_str()) {
            return Err(refused(format!("conflict: server {instance} is on host {to} already")));
        }
        self.may_come(&server, to).await
    }

    async fn may_come(&self, server: &Server, to: &HostId) -> Result<(), CloudError> {
        let service = self.compute(to).await?;
        if service.status != "enabled" {
            let reason = service.disabled_reason.unwrap_or_default();
            return Err(refused(format!("host {to} is disabled: {reason}")));
        }
        if service.state != "up" || service.forced_down {
            return Err(refused(format!("host {to} is down")));
        }
        self.has_room(server, to).await
    }

    /// Whether Placement would give the server on that host what it holds now, of every class.
    async fn has_room(&self, server: &Server, to: &HostId) -> Result<(), CloudError> {
        let held = self.looks.held_by(&server.id).await.map_err(unread)?;
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        for (class, amount) in held.allocations.into_values().flat_map(|allocation| allocation.resources) {
            *wanted.entry(class).or_default() += amount;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<String> = wanted.iter().map(|(class, amount)| format!("{class}:{amount}")).collect();
        let wanted = wanted.join(",");
        let providers = self.looks.providers_of(to.as_str()).await.map_err(unread)?;
        for provider in providers {
            let path = format!("/allocation_candidates?resources={wanted}&in_tree={provider}&limit=1");
            let read: Result<Candidates, Fault> = self.client.get(Placement, &path).await;
            if !read.map_err(unread)?.allocation_requests.is_empty() {
                return Ok(());
            }
        }
        Err(refused(format!("host {to} has no room for server {}: it needs {wanted}", server.id)))
    }
}

/// The order to disable a service, with the mark behind its reason.
fn disabled(reason: &str, mark: &str) -> Value {
    let most = MAX_REASON - mark.chars().count();
    let reason: String = reason.chars().take(most).collect();
    json!({"status": "disabled", "disabled_reason": format!("{reason}{mark}")})
}

fn mark_of(service: &Service) -> Option<&'static str> {
    masakari::split(service.disabled_reason.as_deref().unwrap_or_default()).1
}

fn refused(why: String) -> CloudError {
    CloudError::Refused(why)
}

/// A change that could not be begun for want of a look: it is not known to have been refused either.
fn unread(fault: Fault) -> CloudError {
    CloudError::Unclear(fault.to_string())
}

/// What a change that was not taken tells the engine; `what` names its subject.
fn error(fault: Fault, what: impl FnOnce() -> String) -> CloudError {
    match fault {
        Fault::Refused { status: 404, .. } => CloudError::NotFound(what()),
        // It is to come back later: as if the answer had been lost.
        Fault::Refused { status: 413 | 429, .. } => CloudError::Unclear(fault.to_string()),
        Fault::Refused { why, .. } => CloudError::Refused(why),
        Fault::NotAsked(why) | Fault::Unclear(why) => CloudError::Unclear(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_no_is_a_refusal() {
        let check = |fault: Fault, expected: CloudError| {
            assert_eq!(error(fault, || "server s".to_owned()), expected);
        };
        let refused = |status| Fault::Refused { status, why: "w".into() };
        for status in [400, 403, 409] {
            check(refused(status), CloudError::Refused("w".into()));
        }
        check(refused(404), CloudError::NotFound("server s".into()));
        check(refused(429), CloudError::Unclear("w (429)".into()));
        check(Fault::Unclear("x".into()), CloudError::Unclear("x".into()));
        check(Fault::NotAsked("y".into()), CloudError::Unclear("y".into()));
    }
}
