//! Reads: what is asked of Nova and Placement for each of the engine's three looks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{self, Host, Instance, Resources};
use fenix_engine::ports::CloudReply;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::client::{Client, Fault, Service::Compute, Service::Placement};
use super::picture::{self, Ends, Groups};
use super::wire::{
    Aggregate, Aggregates, Allocations, Hypervisors, Inventories, Migration, Migrations, OneLive, OneServer,
    Provider, ProviderAllocations, Providers, Server, ServerGroups, Servers, Services,
};

/// Rows of one page; Nova gives no more by default.
const PAGE: usize = 1000;

/// Most pages of one list: more servers than any one cell-less control plane bears.
const MAX_PAGES: usize = 300;

/// Requests at a time for one look: a control plane answers some dozens in parallel.
const AT_A_TIME: usize = 16;

/// How long a layout without a host is believed to be right about that: it may be a new one, or none that runs servers.
const LACKS_FOR: Duration = Duration::from_secs(5);

/// What changes seldom, kept from the last look at everything.
#[derive(Debug)]
struct Layout {
    read_at: Instant,
    /// The host of each node's resource provider.
    host_of: BTreeMap<String, String>,
    aggregates: Vec<Aggregate>,
    groups: Groups,
    /// Servers that were there when the groups were read: of others nobody knows whether they are in one.
    known: BTreeSet<String>,
}

impl Layout {
    fn providers_of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        self.host_of.iter().filter(move |(_, of)| *of == host).map(|(provider, _)| provider.as_str())
    }

    fn knows<'a>(&self, mut servers: impl Iterator<Item = &'a Server>) -> bool {
        servers.all(|server| self.known.contains(&server.id))
    }
}

/// Looks at the cloud through a client.
pub(super) struct Looks {
    client: Arc<Client>,
    /// The key of aggregates that names failure domains.
    zone_key: Option<String>,
    layout: RwLock<Option<Arc<Layout>>>,
    /// What each provider offers, as of one generation of it.
    capacities: Mutex<BTreeMap<String, (u64, Resources)>>,
}

impl Looks {
    pub(super) fn new(client: Arc<Client>, zone_key: Option<String>) -> Looks {
        Looks { client, zone_key, layout: RwLock::default(), capacities: Mutex::default() }
    }

    /// Everything there is.
    pub(super) async fn all(&self) -> Result<CloudReply, Fault> {
        let (services, servers, under_way) =
            tokio::try_join!(self.services(""), self.servers(""), self.under_way(""))?;
        // After the servers: a server is in its group before it can be seen.
        let known = servers.iter().map(|server| server.id.clone()).collect();
        let layout = self.read_layout(known).await?;
        let hosts = self.hosts(&services, &layout).await?;
        let instances = self.instances(servers, &under_way, &layout).await?;
        Ok(CloudReply::All { hosts, instances, groups: layout.groups.backing() })
    }

    /// One host, and every instance that holds capacity on it.
    pub(super) async fn host(&self, id: &HostId) -> Result<CloudReply, Fault> {
        let filter = format!("host={}&", escaped(id.as_str()));
        let layout = self.layout_with(id.as_str()).await?;
        let (services, here, under_way, holders) = tokio::try_join!(
            self.services(&filter),
            self.servers(&filter),
            self.under_way(&filter),
            self.holders(id.as_str(), &layout),
        )?;
        let listed: BTreeSet<String> = here.iter().map(|server| server.id.clone()).collect();
        // Those that come, and those that left something behind.
        let others: BTreeSet<String> =
            holders.iter().chain(&under_way).filter(|id| !listed.contains(*id)).cloned().collect();
        let read = |id: String| async move { self.server(&id).await };
        let others: Vec<Option<Server>> =
            stream::iter(others).map(read).buffered(AT_A_TIME).try_collect().await?;
        let mut servers = here;
        servers.extend(others.into_iter().flatten());
        let layout = self.layout_knowing(layout, &servers).await?;
        let host = self.hosts(&services, &layout).await?.pop();
        let elsewhere = servers.iter().map(|server| &server.id).filter(|id| !listed.contains(*id)).cloned();
        let suspects: BTreeSet<String> = elsewhere.chain(under_way).collect();
        let mut instances = self.instances(servers, &suspects, &layout).await?;
        instances.retain(|instance| instance.ends().any(|end| end == id));
        Ok(CloudReply::Host { host, instances })
    }

    /// One instance, wherever it is.
    pub(super) async fn instance(&self, id: &InstanceId) -> Result<CloudReply, Fault> {
        let Some(server) = self.server(id.as_str()).await? else { return Ok(CloudReply::Instance(None)) };
        let layout = self.layout_with(server.host.as_deref().unwrap_or_default()).await?;
        let layout = self.layout_knowing(layout, std::slice::from_ref(&server)).await?;
        let ends = self.ends(&server, &layout).await?;
        Ok(CloudReply::Instance(picture::instance(&server, &ends, &layout.groups)))
    }

    /// A server, if it is there.
    pub(super) async fn server(&self, id: &str) -> Result<Option<Server>, Fault> {
        let found: Option<OneServer> =
            self.client.find(Compute, &format!("/servers/{}", escaped(id))).await?;
        Ok(found.map(|one| one.server).filter(|server| !picture::is_gone(server)))
    }

    /// Nova's processes; `filter` is empty or ends in `&`.
    pub(super) async fn services(&self, filter: &str) -> Result<Vec<super::wire::Service>, Fault> {
        let Services { mut services } = self.client.get(Compute, &format!("/os-services?{filter}")).await?;
        // Those of cells that cannot be reached are minimal; Fenix does nothing with hosts of which it knows nothing.
        services.retain(|service| service.status != "UNKNOWN");
        Ok(services)
    }

    /// The nodes of a host.
    pub(super) async fn providers_of(&self, host: &str) -> Result<Vec<String>, Fault> {
        let layout = self.layout_with(host).await?;
        Ok(layout.providers_of(host).map(ToOwned::to_owned).collect())
    }

    /// What a consumer holds, by provider.
    pub(super) async fn held_by(&self, consumer: &str) -> Result<Allocations, Fault> {
        self.client.get(Placement, &format!("/allocations/{}", escaped(consumer))).await
    }

    async fn servers(&self, filter: &str) -> Result<Vec<Server>, Fault> {
        let mut all: Vec<Server> = Vec::new();
        for _ in 0..MAX_PAGES {
            let marker = all.last().map(|last| format!("&marker={}", last.id)).unwrap_or_default();
            let path = format!("/servers/detail?{filter}all_tenants=1&limit={PAGE}{marker}");
            let page: Servers = self.client.get(Compute, &path).await?;
            let has_more = page.has_more();
            all.extend(page.servers);
            if !has_more {
                all.retain(|server| !picture::is_gone(server));
                return Ok(all);
            }
        }
        Err(Fault::Unclear(format!("there are more than {} servers", MAX_PAGES * PAGE)))
    }

    /// Servers whose last migration is under way, or waits to be confirmed.
    ///
    /// The newest of all migrations, and all that wait: those may have done so for long.
    async fn under_way(&self, filter: &str) -> Result<BTreeSet<String>, Fault> {
        let (newest, waiting) = (
            format!("/os-migrations?{filter}limit={PAGE}"),
            format!("/os-migrations?{filter}status=finished&limit={PAGE}"),
        );
        let (newest, waiting): (Migrations, Migrations) =
            tokio::try_join!(self.client.get(Compute, &newest), self.client.get(Compute, &waiting))?;
        let mut last: BTreeMap<String, Migration> = BTreeMap::new();
        for migration in newest.migrations.into_iter().chain(waiting.migrations) {
            let known = last.entry(migration.instance_uuid.clone()).or_insert_with(|| migration.clone());
            if known.id < migration.id {
                *known = migration;
            }
        }
        Ok(last.into_iter().filter(|(_, migration)| !migration.is_over()).map(|(id, _)| id).collect())
    }

    /// Who holds something on a host, under a server's name.
    async fn holders(&self, host: &str, layout: &Layout) -> Result<Vec<String>, Fault> {
        let mut holders = Vec::new();
        for provider in layout.providers_of(host) {
            let path = format!("/resource_providers/{provider}/allocations");
            let held: Option<ProviderAllocations> = self.client.find(Placement, &path).await?;
            holders.extend(held.into_iter().flat_map(|held| held.allocations.into_keys()));
        }
        Ok(holders)
    }

    /// What is known of both ends of a server that may be on its way.
    async fn ends(&self, server: &Server, layout: &Layout) -> Result<Ends, Fault> {
        let path = format!("/os-migrations?instance_uuid={}&limit=1", server.id);
        let (migrations, own): (Migrations, Allocations) =
            tokio::try_join!(self.client.get(Compute, &path), self.held_by(&server.id))?;
        let migration = migrations.migrations.into_iter().next();
        let mut providers: BTreeSet<String> = own.allocations.into_keys().collect();
        if let Some(migration) = &migration {
            providers.extend(self.held_by(&migration.uuid).await?.allocations.into_keys());
        }
        let held = providers.iter().filter_map(|provider| layout.host_of.get(provider)).cloned().collect();
        let progress = match migration.as_ref().filter(|migration| migration.is_live_under_way()) {
            Some(live) => self.progress(&server.id, live).await?,
            None => None,
        };
        Ok(Ends { migration, held: Some(held), progress })
    }

    /// How far a live migration is; Nova says so only while it runs.
    async fn progress(&self, server: &str, live: &Migration) -> Result<Option<u8>, Fault> {
        let path = format!("/servers/{server}/migrations/{}", live.id);
        match self.client.find::<OneLive>(Compute, &path).await {
            Ok(found) => {
                let copied = found.and_then(|found| found.migration.copied());
                Ok(copied.map(|(done, all)| inventory::progress(done, all)))
            }
            // It ended in between.
            Err(Fault::Refused { .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Servers as instances; `suspects` are looked at closely also if they seem to be at rest.
    async fn instances(
        &self,
        servers: Vec<Server>,
        suspects: &BTreeSet<String>,
        layout: &Layout,
    ) -> Result<Vec<Instance>, Fault> {
        let picture = |server: Server| async move {
            let is_quiet = picture::is_quiet(&server) && !suspects.contains(&server.id);
            let ends = if is_quiet { Ends::default() } else { self.ends(&server, layout).await? };
            Ok(picture::instance(&server, &ends, &layout.groups))
        };
        let seen: Vec<Option<Instance>> =
            stream::iter(servers).map(picture).buffered(AT_A_TIME).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    async fn hosts(&self, services: &[super::wire::Service], layout: &Layout) -> Result<Vec<Host>, Fault> {
        let computes = services.iter().filter(|service| service.binary == picture::COMPUTE);
        let nodes: BTreeMap<&str, &str> = computes
            .flat_map(|service| layout.providers_of(&service.host).map(|node| (node, service.host.as_str())))
            .collect();
        let of_a_node = |provider: Provider| {
            let host = nodes.get(provider.root_provider_uuid.as_str())?;
            Some(((*host).to_owned(), provider))
        };
        let providers: Vec<(String, Provider)> =
            self.trees(&nodes).await?.into_iter().filter_map(of_a_node).collect();
        let capacity =
            |(host, provider): (String, Provider)| async move { Ok((host, self.capacity(&provider).await?)) };
        let each: Vec<(String, Resources)> =
            stream::iter(providers).map(capacity).buffered(AT_A_TIME).try_collect().await?;
        let mut capacities: BTreeMap<String, Resources> = BTreeMap::new();
        for (host, resources) in each {
            let sum = capacities.entry(host).or_default();
            *sum = sum.plus(&resources);
        }
        let services: Vec<super::wire::Service> = services.iter().map(picture::unmarked).collect();
        Ok(picture::hosts(&services, &capacities, &layout.aggregates, self.zone_key.as_deref()))
    }

    /// The providers of nodes with all their parts; perhaps others too, if more than one node is wanted.
    async fn trees(&self, nodes: &BTreeMap<&str, &str>) -> Result<Vec<Provider>, Fault> {
        let path = match nodes.keys().collect::<Vec<_>>().as_slice() {
            [] => return Ok(Vec::new()),
            [one] => format!("/resource_providers?in_tree={one}"),
            _ => "/resource_providers".to_owned(),
        };
        let Providers { resource_providers } = self.client.get(Placement, &path).await?;
        Ok(resource_providers)
    }

    /// What a provider offers, asked for again only after it changed.
    async fn capacity(&self, provider: &Provider) -> Result<Resources, Fault> {
        let kept = || self.capacities.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().get(&provider.uuid).cloned();
        if let Some((_, resources)) = known.filter(|(of, _)| *of == provider.generation) {
            return Ok(resources);
        }
        let path = format!("/resource_providers/{}/inventories", provider.uuid);
        let Inventories { inventories } = self.client.get(Placement, &path).await?;
        let resources = picture::capacity(&inventories);
        kept().insert(provider.uuid.clone(), (provider.generation, resources.clone()));
        Ok(resources)
    }

    fn kept_layout(&self) -> Option<Arc<Layout>> {
        self.layout.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The layout, read again if it does not have that host.
    async fn layout_with(&self, host: &str) -> Result<Arc<Layout>, Fault> {
        match self.kept_layout() {
            Some(kept) if kept.providers_of(host).next().is_some() => Ok(kept),
            Some(kept) if kept.read_at.elapsed() < LACKS_FOR => Ok(kept),
            Some(kept) => self.read_layout(kept.known.clone()).await,
            None => self.read_layout(BTreeSet::new()).await,
        }
    }

    /// The layout, read again if it is older than one of the servers.
    async fn layout_knowing(&self, layout: Arc<Layout>, servers: &[Server]) -> Result<Arc<Layout>, Fault> {
        if layout.knows(servers.iter()) {
            return Ok(layout);
        }
        let seen = servers.iter().map(|server| server.id.clone());
        self.read_layout(layout.known.iter().cloned().chain(seen).collect()).await
    }

    /// Reads the layout again, as it is after those servers were seen.
    async fn read_layout(&self, known: BTreeSet<String>) -> Result<Arc<Layout>, Fault> {
        let read_at = Instant::now();
        let aggregates = async {
            match &self.zone_key {
                Some(_) => self.client.get::<Aggregates>(Compute, "/os-aggregates").await,
                None => Ok(Aggregates { aggregates: Vec::new() }),
            }
        };
        let (Hypervisors { hypervisors }, Aggregates { aggregates }, groups) =
            tokio::try_join!(self.client.get(Compute, "/os-hypervisors/detail"), aggregates, self.groups())?;
        let host_of = hypervisors.into_iter().map(|node| (node.id, node.service.host)).collect();
        let layout = Arc::new(Layout { read_at, host_of, aggregates, groups, known });
        *self.layout.write().unwrap_or_else(PoisonError::into_inner) = Some(layout.clone());
        Ok(layout)
    }

    async fn groups(&self) -> Result<Groups, Fault> {
        let mut all = Vec::new();
        for page in 0..MAX_PAGES {
            let offset = page * PAGE;
            let path = format!("/os-server-groups?all_projects=True&limit={PAGE}&offset={offset}");
            let ServerGroups { server_groups } = self.client.get(Compute, &path).await?;
            let is_last = server_groups.is_empty();
            all.extend(server_groups);
            if is_last {
                return Ok(Groups::new(all));
            }
        }
        Err(Fault::Unclear(format!("there are more than {} server groups", MAX_PAGES * PAGE)))
    }
}

/// A name as part of a path or a query: an id of ours may hold anything.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reaches_no_other_path() {
        assert_eq!(escaped("compute-1.example_x~"), "compute-1.example_x~");
        assert_eq!(escaped("../é?host=&"), "..%2F%C3%A9%3Fhost%3D%26");
    }
}
