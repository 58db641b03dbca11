//! What was read, as the engine knows it. Pure: the same answers give the same picture.

use std::collections::{BTreeMap, BTreeSet};

use fenix_core::id::{GroupId, HostId, InstanceId, Zone};
use fenix_core::inventory::{self, Group, Host, HostKind, Instance, InstanceState, Movable, Resources};
use fenix_core::time::Millis;

use super::masakari;
use super::wire::{Aggregate, Flavor, Inventory, Migration, Server, ServerGroup, Service};

/// The process that runs servers.
pub(super) const COMPUTE: &str = "nova-compute";

/// Disk of a host that offers none of its own: its servers are on storage that all hosts share.
const SHARED_DISK: u32 = u32::MAX;

/// Classes with a dimension of their own.
const USUAL: [&str; 3] = ["VCPU", "MEMORY_MB", "DISK_GB"];

/// CPUs that servers have for themselves.
const PINNED: &str = "PCPU";

/// What a provider offers, from its inventories in Placement.
pub(super) fn capacity(inventories: &BTreeMap<String, Inventory>) -> Resources {
    let of = |class: &str| inventories.get(class).map_or(0, offered);
    let other = inventories.keys().filter(|class| !USUAL.contains(&class.as_str()));
    Resources {
        // Pinned ones are CPUs as well; only who needs such a one is bound to their number.
        vcpus: of("VCPU").saturating_add(of(PINNED)),
        memory_mb: of("MEMORY_MB"),
        disk_gb: of("DISK_GB"),
        other: other.map(|class| (class.clone(), of(class))).collect(),
    }
}

/// Placement's own arithmetic.
fn offered(inventory: &Inventory) -> u32 {
    let free = inventory.total.saturating_sub(inventory.reserved) as f64;
    (free * inventory.allocation_ratio) as u32
}

/// All hosts: those that run servers with what they offer, and those that run only Nova's other processes.
///
/// `zone_key` is the key of aggregates whose value is a host's failure domain; without it, that is its zone.
pub(super) fn hosts(
    services: &[Service],
    capacities: &BTreeMap<String, Resources>,
    aggregates: &[Aggregate],
    zone_key: Option<&str>,
) -> Vec<Host> {
    let mut by_host: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
    for service in services {
        by_host.entry(&service.host).or_default().push(service);
    }
    let host = |(id, services): (&&str, &Vec<&Service>)| {
        let compute = services.iter().find(|service| service.binary == COMPUTE);
        let zone = zone_key.and_then(|key| domain(aggregates, id, key));
        let zone = zone.unwrap_or_else(|| compute.unwrap_or(&services[0]).zone.clone());
        Host {
            id: HostId::from(*id),
            kind: if compute.is_some() { HostKind::Compute } else { HostKind::Controller },
            zone: Zone::from(zone),
            capacity: capacities.get(*id).cloned().map(sharing_disk).unwrap_or_default(),
            service: compute.map_or(inventory::Service::Absent, |compute| state_of(compute)),
            // Whether servers run and can leave is its nova-compute's matter alone.
            up: match compute {
                Some(compute) => is_up(compute),
                None => services.iter().all(|service| is_up(service)),
            },
            // Nova knows nothing of boots.
            boot: String::new(),
            // Only people and fencing agents say so, never Nova by itself.
            dead: compute.is_some_and(|compute| compute.forced_down),
        }
    };
    by_host.iter().map(host).collect()
}

fn is_up(service: &Service) -> bool {
    service.state == "up" && !service.forced_down
}

/// Where a node offers no disk, its servers have theirs elsewhere.
fn sharing_disk(capacity: Resources) -> Resources {
    let disk_gb = if capacity.disk_gb == 0 { SHARED_DISK } else { capacity.disk_gb };
    Resources { disk_gb, ..capacity }
}

/// A service with its reason as it was given.
pub(super) fn unmarked(service: &Service) -> Service {
    let reason = service.disabled_reason.as_deref().map(|reason| masakari::split(reason).0.to_owned());
    Service { disabled_reason: reason, ..service.clone() }
}

fn state_of(service: &Service) -> inventory::Service {
    match service.status.as_str() {
        "enabled" => inventory::Service::Enabled,
        _ => inventory::Service::Disabled { reason: service.disabled_reason.clone().unwrap_or_default() },
    }
}

fn domain(aggregates: &[Aggregate], host: &str, key: &str) -> Option<String> {
    let with = aggregates.iter().filter(|aggregate| aggregate.hosts.iter().any(|member| member == host));
    with.filter_map(|aggregate| aggregate.metadata.get(key)).next().cloned()
}

/// Server groups by their members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    groups: Vec<ServerGroup>,
    of: BTreeMap<String, usize>,
}

impl Groups {
    pub(super) fn new(groups: Vec<ServerGroup>) -> Groups {
        let members = groups.iter().enumerate();
        let of =
            members.flat_map(|(at, group)| group.members.iter().map(move |id| (id.clone(), at))).collect();
        Groups { groups, of }
    }

    /// Those that say that servers back each other up. One member may be out at a time, unless a constraint of the
    /// project says something else: Nova has no such limit.
    pub(super) fn backing(&self) -> Vec<Group> {
        let backing = self.groups.iter().filter(|group| is_apart(group));
        backing
            .map(|group| {
                let most = group.rules.max_server_per_host.unwrap_or(1);
                let strict = group.policy == "anti-affinity";
                Group {
                    id: GroupId::from(group.id.as_str()),
                    project: group.project_id.as_str().into(),
                    name: group.name.clone(),
                    anti_affinity: strict && most == 1,
                    max_instances_per_host: if strict { most } else { 0 },
                    max_impacted_members: 1,
                    recovery_time: Millis::ZERO,
                }
            })
            .collect()
    }

    fn group_of(&self, server: &str) -> Option<&ServerGroup> {
        self.of.get(server).and_then(|at| self.groups.get(*at))
    }
}

fn is_apart(group: &ServerGroup) -> bool {
    matches!(group.policy.as_str(), "anti-affinity" | "soft-anti-affinity")
}

/// What is known of a server's second end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// Its last migration, if that was asked for.
    pub(super) migration: Option<Migration>,
    /// The hosts on which it holds something, under its own name or its migration's; `None` = not asked.
    pub(super) held: Option<BTreeSet<String>>,
    /// How far its live migration is.
    pub(super) progress: Option<u8>,
}

impl Ends {
    fn under_way(&self) -> Option<&Migration> {
        self.migration.as_ref().filter(|migration| !migration.is_over())
    }

    /// The end that is not the server's host, if there is one. Where Placement holds nothing, a migration's word counts only
    /// while something is done to the server: clouds have migrations that were never closed.
    fn other(&self, host: &str, is_quiet: bool) -> Option<HostId> {
        let left = self.migration.as_ref().and_then(Migration::left_dead);
        let held =
            self.held.iter().flatten().map(String::as_str).find(|end| *end != host && Some(*end) != left);
        let named = || {
            let migration = self.under_way().filter(|_| !is_quiet || self.held.is_none())?;
            let ends = [migration.dest_compute.as_deref(), migration.source_compute.as_deref()];
            ends.into_iter().flatten().find(|end| *end != host)
        };
        held.or_else(named).map(HostId::from)
    }
}

/// A server as an instance; `None` while it is on no host.
pub(super) fn instance(server: &Server, ends: &Ends, groups: &Groups) -> Option<Instance> {
    let host = server.host.as_deref().filter(|host| !host.is_empty())?;
    let group = groups.group_of(&server.id);
    let other_end = ends.other(host, is_quiet(server));
    Some(Instance {
        id: InstanceId::from(server.id.as_str()),
        name: server.name.clone(),
        project: server.tenant_id.as_str().into(),
        group: group.filter(|group| is_apart(group)).map(|group| GroupId::from(group.id.as_str())),
        host: HostId::from(host),
        resources: needs(server),
        state: state(server, ends, other_end.is_some()),
        other_end,
        movable: movable(server, group),
        progress: ends.progress,
    })
}

fn state(server: &Server, ends: &Ends, has_other_end: bool) -> InstanceState {
    if server.vm_state == "error" {
        return InstanceState::Error;
    }
    if server.vm_state == "building" {
        return InstanceState::Building;
    }
    // Anything that Nova does to it: a move, or a restart by its owner.
    if server.task_state.is_some() {
        return InstanceState::Moving;
    }
    if server.vm_state == "resized" {
        let waits = ends.under_way().is_none_or(|migration| migration.status == "finished");
        return if waits && has_other_end { InstanceState::Moved } else { InstanceState::Moving };
    }
    // Its record may say that it has arrived while its source still holds something for it.
    if has_other_end {
        return InstanceState::Moving;
    }
    match server.vm_state.as_str() {
        "active" => InstanceState::Active,
        _ => InstanceState::Stopped,
    }
}

/// What a server takes from its host, as Nova asks Placement for it.
fn needs(server: &Server) -> Resources {
    let Flavor { vcpus, ram, disk, ephemeral, swap, extra_specs } = &server.flavor;
    let root = if server.is_on_volume() { 0 } else { *disk };
    let said =
        |class: &str| extra_specs.get(&format!("resources:{class}")).and_then(|text| text.parse().ok());
    let vcpus = said("VCPU").unwrap_or(*vcpus);
    let mut other: BTreeMap<String, u32> = BTreeMap::new();
    if extra_specs.get("hw:cpu_policy").is_some_and(|policy| policy == "dedicated") {
        other.insert(PINNED.to_owned(), vcpus);
    }
    for (class, amount) in extra_specs.iter().filter_map(|(key, text)| amount_of(key, text)) {
        let sum = other.entry(class.to_owned()).or_default();
        *sum = sum.saturating_add(amount);
    }
    Resources {
        vcpus,
        memory_mb: said("MEMORY_MB").unwrap_or(*ram),
        disk_gb: said("DISK_GB")
            .unwrap_or(root.saturating_add(*ephemeral).saturating_add(swap.div_ceil(1024))),
        other: other.into_iter().collect(),
    }
}

/// What an extra spec asks for of a class without a dimension of its own: `resources:CLASS`, or `resources1:CLASS` for
/// one of several groups of them.
fn amount_of<'a>(key: &'a str, text: &str) -> Option<(&'a str, u32)> {
    let (prefix, class) = key.split_once(':')?;
    let is_asked = prefix.starts_with("resources") && !USUAL.contains(&class);
    Some((class, text.parse().ok()?)).filter(|_| is_asked)
}

/// Whether Nova would move a server, and how.
fn movable(server: &Server, group: Option<&ServerGroup>) -> Movable {
    let no = |reason: String| Movable::No { reason };
    if let Some(group) = group.filter(|group| group.policy == "affinity" && group.members.len() > 1) {
        return no(format!("server group {} wants its members on one host", group.id));
    }
    match server.vm_state.as_str() {
        "active" | "stopped" | "resized" | "error" | "building" => {}
        other => return no(format!("it is {other}; Nova moves active and stopped servers")),
    }
    let tied = |key: &&String| {
        key.starts_with("pci_passthrough:") || key.starts_with("resources") && key.ends_with("VGPU")
    };
    let specs = &server.flavor.extra_specs;
    let is_encrypted = specs.get("hw:mem_encryption").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    match specs.keys().any(|key| tied(&key)) || is_encrypted {
        true => Movable::ColdOnly,
        false => Movable::Any,
    }
}

/// True for a server that is deleted and shows all the same: Nova says so first, and takes it from its lists a moment later.
/// Its guest is gone by then.
pub(super) fn is_gone(server: &Server) -> bool {
    server.vm_state == "deleted"
}

/// True if nothing about a server calls for a look at its second end.
pub(super) fn is_quiet(server: &Server) -> bool {
    server.task_state.is_none() && server.vm_state != "resized"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn server(change: impl FnOnce(&mut Value)) -> Server {
        let mut value = json!({
            "id": "s1", "name": "web", "tenant_id": "p1", "image": {"id": "i"},
            "flavor": {"vcpus": 2, "ram": 512, "disk": 10, "ephemeral": 1, "swap": 100, "extra_specs": {}},
            "OS-EXT-SRV-ATTR:host": "a", "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": null,
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn migration(status: &str) -> Migration {
        serde_json::from_value(json!({
            "id": 1, "uuid": "m1", "instance_uuid": "s1", "source_compute": "a", "dest_compute": "b", "status": status,
        }))
        .unwrap()
    }

    fn group(policy: &str, members: &[&str]) -> ServerGroup {
        serde_json::from_value(json!({
            "id": "g1", "name": "g", "policy": policy, "rules": {}, "members": members, "project_id": "p1",
        }))
        .unwrap()
    }

    fn seen(server: &Server, ends: &Ends) -> (InstanceState, String, Option<String>) {
        let seen = instance(server, ends, &Groups::default()).unwrap();
        (seen.state, seen.host.to_string(), seen.other_end.map(|end| end.to_string()))
    }

    #[test]
    fn a_server_is_at_rest_only_when_everybody_says_so() {
        let ends = |status: &str, held: &[&str]| Ends {
            migration: (!status.is_empty()).then(|| migration(status)),
            held: Some(held.iter().map(|host| (*host).to_owned()).collect()),
            progress: None,
        };
        let evacuated = |status: &str| {
            let mut ends = ends(status, &["a", "b"]);
            ends.migration.as_mut().unwrap().migration_type = Some("evacuation".to_owned());
            ends
        };
        let check = |vm: &str, task: Option<&str>, host: &str, ends: Ends, state, other: Option<&str>| {
            let server = server(|value| {
                value["OS-EXT-STS:vm_state"] = json!(vm);
                value["OS-EXT-STS:task_state"] = json!(task);
                value["OS-EXT-SRV-ATTR:host"] = json!(host);
            });
            let expected = (state, host.to_owned(), other.map(ToOwned::to_owned));
            assert_eq!(seen(&server, &ends), expected, "{vm} {task:?} {ends:?}");
        };
        use InstanceState::*;
        check("active", None, "a", Ends::default(), Active, None);
        check("active", None, "a", ends("", &["a"]), Active, None);
        check("stopped", None, "a", ends("confirmed", &["a"]), Stopped, None);
        // A cold move, from its order to its confirmation.
        check("active", Some("resize_prep"), "a", ends("", &["a"]), Moving, None);
        check("active", Some("resize_migrating"), "a", ends("migrating", &["a", "b"]), Moving, Some("b"));
        check("active", Some("resize_finish"), "b", ends("post-migrating", &["a", "b"]), Moving, Some("a"));
        check("resized", None, "b", ends("finished", &["a", "b"]), Moved, Some("a"));
        check("resized", None, "b", ends("confirming", &["a", "b"]), Moving, Some("a"));
        check("resized", Some("resize_reverting"), "b", ends("reverting", &["a", "b"]), Moving, Some("a"));
        // A live one: the migration and the server's record are over at different moments.
        check("active", Some("migrating"), "a", ends("running", &["a", "b"]), Moving, Some("b"));
        check("active", None, "b", ends("running", &["a", "b"]), Moving, Some("a"));
        check("active", None, "b", ends("completed", &["a", "b"]), Moving, Some("a"));
        check("active", None, "b", ends("completed", &["b"]), Active, None);
        check("active", None, "a", ends("failed", &["a"]), Active, None);
        // One that was never closed, of a server at rest; and one that has just begun.
        check("active", None, "a", ends("running", &["a"]), Active, None);
        check("active", Some("migrating"), "a", ends("preparing", &["a"]), Moving, Some("b"));
        // Rebuilt from a dead host: that still counts it, until it starts again.
        check("active", Some("rebuilding"), "b", evacuated("accepted"), Moving, Some("a"));
        check("active", None, "b", evacuated("done"), Active, None);
        check("stopped", None, "b", evacuated("completed"), Stopped, None);
        // Other things.
        check("error", None, "a", ends("error", &["a", "b"]), Error, Some("b"));
        check("building", Some("spawning"), "a", Ends::default(), Building, None);
        check("active", Some("rebooting"), "a", Ends::default(), Moving, None);
        check("paused", None, "a", Ends::default(), Stopped, None);
    }

    #[test]
    fn a_server_without_a_host_is_nowhere() {
        let nowhere = server(|value| value["OS-EXT-SRV-ATTR:host"] = Value::Null);
        assert_eq!(instance(&nowhere, &Ends::default(), &Groups::default()), None);
    }

    #[test]
    fn a_server_takes_what_nova_asks_placement_for() {
        let check = |change: fn(&mut Value), expected: Resources| {
            assert_eq!(needs(&server(change)), expected);
        };
        let with = |vcpus: u32, other: &[(&str, u32)]| Resources {
            other: other.iter().map(|(class, amount)| ((*class).to_owned(), *amount)).collect(),
            ..Resources::of(vcpus, 512, 12)
        };
        check(|_| {}, with(2, &[]));
        check(|value| value["image"] = json!(""), Resources::of(2, 512, 2));
        check(|value| value["flavor"]["extra_specs"] = json!({"resources:VCPU": "0"}), with(0, &[]));
        check(
            |value| value["flavor"]["extra_specs"] = json!({"hw:cpu_policy": "dedicated"}),
            with(2, &[("PCPU", 2)]),
        );
        check(
            |value| {
                value["flavor"]["extra_specs"] = json!({"resources:CUSTOM_FPGA": "1", "resources2:CUSTOM_FPGA": "2", "hw:resources:VGPU": "1"});
            },
            with(2, &[("CUSTOM_FPGA", 3)]),
        );
    }

    #[test]
    fn what_nova_would_not_move_says_why() {
        let check = |vm: &str, specs: Value, group: Option<ServerGroup>, expected: &str| {
            let server = server(|value| {
                value["OS-EXT-STS:vm_state"] = json!(vm);
                value["flavor"]["extra_specs"] = specs;
            });
            let text = match movable(&server, group.as_ref()) {
                Movable::Any => "any".to_owned(),
                Movable::ColdOnly => "cold only".to_owned(),
                Movable::No { reason } => reason,
            };
            assert!(text.contains(expected), "{text}");
        };
        check("active", json!({}), None, "any");
        check("active", json!({}), Some(group("anti-affinity", &["s1", "s2"])), "any");
        check("active", json!({}), Some(group("affinity", &["s1"])), "any");
        check("active", json!({}), Some(group("affinity", &["s1", "s2"])), "wants its members on one host");
        check("paused", json!({}), None, "it is paused");
        check("active", json!({"pci_passthrough:alias": "gpu:1"}), None, "cold only");
        check("active", json!({"resources:VGPU": "1"}), None, "cold only");
        check("active", json!({"hw:mem_encryption": "True"}), None, "cold only");
    }

    #[test]
    fn what_nova_has_deleted_is_gone_and_what_it_could_bring_back_is_not() {
        for (vm, gone) in [("deleted", true), ("soft-delete", false), ("active", false), ("error", false)] {
            let server = server(|value| value["OS-EXT-STS:vm_state"] = json!(vm));
            assert_eq!(is_gone(&server), gone, "{vm}");
        }
    }

    #[test]
    fn servers_that_are_to_be_apart_back_each_other_up() {
        let groups = Groups::new(vec![group("anti-affinity", &["s1"]), group("affinity", &["s2"])]);
        let backing = groups.backing();
        assert_eq!(backing.len(), 1);
        assert_eq!((backing[0].most_per_host(), backing[0].max_impacted_members), (1, 1));
        let seen = instance(&server(|_| {}), &Ends::default(), &groups).unwrap();
        assert_eq!(seen.group, Some("g1".into()));
        let mut two = group("anti-affinity", &[]);
        two.rules.max_server_per_host = Some(2);
        assert_eq!(Groups::new(vec![two]).backing()[0].most_per_host(), 2);
        let soft = Groups::new(vec![group("soft-anti-affinity", &["s1"])]);
        assert_eq!(soft.backing()[0].most_per_host(), u32::MAX);
    }

    #[test]
    fn hosts_are_told_by_their_services() {
        let service = |binary: &str, host: &str, state: &str, status: &str| -> Service {
            serde_json::from_value(json!({
                "id": "1", "binary": binary, "host": host, "zone": "nova", "status": status, "state": state,
                "disabled_reason": null,
            }))
            .unwrap()
        };
        let services = [
            service("nova-conductor", "c", "up", "enabled"),
            service("nova-scheduler", "c", "down", "enabled"),
            service(COMPUTE, "a", "up", "disabled"),
            service(COMPUTE, "b", "up", "enabled"),
        ];
        let capacities = BTreeMap::from([("a".to_owned(), Resources::of(16, 1, 1))]);
        let rack = Aggregate {
            hosts: vec!["b".into()],
            metadata: BTreeMap::from([("rack".to_owned(), "r7".to_owned())]),
        };
        let seen = hosts(&services, &capacities, &[rack], Some("rack"));
        let text = |host: &Host| {
            format!(
                "{} {:?} {} {:?} {} {}",
                host.id, host.kind, host.zone, host.service, host.up, host.capacity.vcpus
            )
        };
        let seen: Vec<String> = seen.iter().map(text).collect();
        assert_eq!(
            seen,
            [
                "a Compute nova Disabled { reason: \"\" } true 16",
                "b Compute r7 Enabled true 0",
                "c Controller nova Absent false 0",
            ]
        );
    }

    #[test]
    fn capacity_is_what_placement_would_give() {
        let inventories: BTreeMap<String, Inventory> = serde_json::from_value(json!({
            "VCPU": {"total": 16, "reserved": 2, "allocation_ratio": 1.5},
            "PCPU": {"total": 4, "reserved": 0, "allocation_ratio": 1.0},
            "MEMORY_MB": {"total": 32768, "reserved": 512, "allocation_ratio": 1.0},
            "CUSTOM_FPGA": {"total": 2, "reserved": 0, "allocation_ratio": 1.0},
        }))
        .unwrap();
        let other = [("PCPU".to_owned(), 4), ("CUSTOM_FPGA".to_owned(), 2)].into_iter().collect();
        let expected = Resources { other, ..Resources::of(25, 32256, 0) };
        assert_eq!(capacity(&inventories), expected);
        assert_eq!(sharing_disk(expected).disk_gb, SHARED_DISK);
    }
}
