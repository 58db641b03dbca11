//! What Nova and Placement answer, as far as it is read.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `GET /os-services`
#[derive(Debug, Deserialize)]
pub(super) struct Services {
    pub(super) services: Vec<Service>,
}

/// One of Nova's processes on a host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) binary: String,
    pub(super) host: String,
    /// Missing, as much else, while its cell cannot be reached.
    #[serde(default)]
    pub(super) zone: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) disabled_reason: Option<String>,
    #[serde(default)]
    pub(super) forced_down: bool,
}

/// `GET /os-hypervisors/detail`
#[derive(Debug, Deserialize)]
pub(super) struct Hypervisors {
    pub(super) hypervisors: Vec<Hypervisor>,
}

/// A node of a compute service; its id is that of its resource provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Hypervisor {
    pub(super) id: String,
    pub(super) service: HypervisorService,
}

/// The compute service of a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct HypervisorService {
    pub(super) host: String,
}

/// `GET /os-aggregates`
#[derive(Debug, Deserialize)]
pub(super) struct Aggregates {
    pub(super) aggregates: Vec<Aggregate>,
}

/// Hosts that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Aggregate {
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

/// `GET /servers/detail`
#[derive(Debug, Deserialize)]
pub(super) struct Servers {
    pub(super) servers: Vec<Server>,
    #[serde(default)]
    servers_links: Vec<serde_json::Value>,
}

impl Servers {
    /// True if another page follows.
    pub(super) fn has_more(&self) -> bool {
        self.servers_links.iter().any(|link| link["rel"] == "next")
    }
}

/// `GET /servers/{id}`
#[derive(Debug, Deserialize)]
pub(super) struct OneServer {
    pub(super) server: Server,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) tenant_id: String,
    pub(super) flavor: Flavor,
    /// `""` if it was booted from a volume.
    #[serde(default)]
    image: serde_json::Value,
    /// Where it is; nowhere before it was scheduled, and while it is shelved.
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    pub(super) host: Option<String>,
    #[serde(rename = "OS-EXT-STS:vm_state")]
    pub(super) vm_state: String,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(super) task_state: Option<String>,
}

impl Server {
    /// True if its root disk is a volume, and takes nothing from its host.
    pub(super) fn is_on_volume(&self) -> bool {
        self.image.as_str() == Some("")
    }
}

/// What a server was booted with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Flavor {
    pub(super) vcpus: u32,
    /// MiB.
    pub(super) ram: u32,
    /// GB, of the root disk.
    pub(super) disk: u32,
    /// GB.
    #[serde(default)]
    pub(super) ephemeral: u32,
    /// MiB.
    #[serde(default)]
    pub(super) swap: u32,
    #[serde(default)]
    pub(super) extra_specs: BTreeMap<String, String>,
}

/// `GET /os-migrations`
#[derive(Debug, Deserialize)]
pub(super) struct Migrations {
    pub(super) migrations: Vec<Migration>,
}

/// A move of a server, or its resize.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Migration {
    pub(super) id: u64,
    /// Under this name Placement books what the source holds.
    pub(super) uuid: String,
    pub(super) instance_uuid: String,
    #[serde(default)]
    pub(super) source_compute: Option<String>,
    #[serde(default)]
    pub(super) dest_compute: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) migration_type: Option<String>,
}

impl Migration {
    /// True once nothing of it is under way, nor waits to be confirmed. Nova's own list of what is not in progress.
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.status.as_str(),
            "confirmed" | "reverted" | "error" | "failed" | "completed" | "cancelled" | "done"
        )
    }

    /// True for a live one that is not over.
    pub(super) fn is_live_under_way(&self) -> bool {
        !self.is_over() && self.migration_type.as_deref() == Some("live-migration")
    }

    /// The host that its server was rebuilt from, if it was: until that host starts again Placement books the server there,
    /// too, and nothing of it runs there.
    pub(super) fn left_dead(&self) -> Option<&str> {
        let is_evacuation = self.migration_type.as_deref() == Some("evacuation") && self.is_over();
        self.source_compute.as_deref().filter(|_| is_evacuation)
    }
}

/// `GET /servers/{id}/migrations/{id}`: a live one that is under way.
#[derive(Debug, Deserialize)]
pub(super) struct OneLive {
    pub(super) migration: Live,
}

/// How far a live migration is; nothing of it is known before its hypervisor has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Live {
    #[serde(default)]
    memory_total_bytes: Option<u64>,
    #[serde(default)]
    memory_remaining_bytes: Option<u64>,
    #[serde(default)]
    disk_total_bytes: Option<u64>,
    #[serde(default)]
    disk_remaining_bytes: Option<u64>,
}

impl Live {
    /// Bytes copied, and in all.
    pub(super) fn copied(&self) -> Option<(u64, u64)> {
        let sum = |memory: Option<u64>, disk: Option<u64>| Some(memory?.saturating_add(disk.unwrap_or(0)));
        let all = sum(self.memory_total_bytes, self.disk_total_bytes).filter(|all| *all > 0)?;
        let left = sum(self.memory_remaining_bytes, self.disk_remaining_bytes)?;
        Some((all.saturating_sub(left), all))
    }
}

/// `GET /os-server-groups`
#[derive(Debug, Deserialize)]
pub(super) struct ServerGroups {
    pub(super) server_groups: Vec<ServerGroup>,
}

/// Servers that are to be apart, or together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ServerGroup {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) policy: String,
    #[serde(default)]
    pub(super) rules: GroupRules,
    #[serde(default)]
    pub(super) members: Vec<String>,
    pub(super) project_id: String,
}

/// What a policy says more exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct GroupRules {
    #[serde(default)]
    pub(super) max_server_per_host: Option<u32>,
}

/// `GET /resource_providers`
#[derive(Debug, Deserialize)]
pub(super) struct Providers {
    pub(super) resource_providers: Vec<Provider>,
}

/// What offers resources; a node is one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Provider {
    pub(super) uuid: String,
    /// Another one whenever what it offers was changed.
    pub(super) generation: u64,
    /// The node that it is a part of: itself, or the one that has it, as a graphics card is had.
    pub(super) root_provider_uuid: String,
}

/// `GET /resource_providers/{id}/inventories`
#[derive(Debug, Deserialize)]
pub(super) struct Inventories {
    pub(super) inventories: BTreeMap<String, Inventory>,
}

/// How much of a class is offered.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Inventory {
    pub(super) total: u64,
    #[serde(default)]
    pub(super) reserved: u64,
    pub(super) allocation_ratio: f64,
}

/// `GET /allocations/{consumer}`: by provider.
#[derive(Debug, Deserialize)]
pub(super) struct Allocations {
    pub(super) allocations: BTreeMap<String, Allocation>,
}

/// `GET /resource_providers/{id}/allocations`: by consumer.
#[derive(Debug, Deserialize)]
pub(super) struct ProviderAllocations {
    pub(super) allocations: BTreeMap<String, Allocation>,
}

/// What somebody holds, by class.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Allocation {
    pub(super) resources: BTreeMap<String, u64>,
}

/// `GET /allocation_candidates`
#[derive(Debug, Deserialize)]
pub(super) struct Candidates {
    pub(super) allocation_requests: Vec<serde_json::Value>,
}
