//! Clouds: hosts, applications, and how full it is.

use std::collections::BTreeMap;

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{GroupSpec, HostSpec, InstanceSpec, ProjectSpec, Span, Times};
use fenix_core::id::{HostId, InstanceId, ProjectId};
use fenix_core::inventory::{HostKind, Movable, Resources};

use crate::dice::Dice;

/// What one host offers: room for four small instances, or two large ones.
const HOST: Resources = Resources::of(8, 16_384, 160);

/// A quarter of a host.
pub(super) const SMALL: Resources = Resources::of(2, 4096, 40);

/// Half a host.
const LARGE: Resources = Resources::of(4, 8192, 80);

/// Seconds instead of minutes, so that less is polled for; whole sessions stay as entangled as they are.
pub(super) fn times() -> Times {
    Times {
        cold_ms: Span::Between { min: 2_000, max: 10_000 },
        live_ms: Span::Between { min: 1_000, max: 8_000 },
        evacuate_ms: Span::Between { min: 2_000, max: 10_000 },
        resize_ms: Span::Between { min: 2_000, max: 8_000 },
        boot_ms: Span::Between { min: 1_000, max: 4_000 },
        reboot_ms: Span::Between { min: 8_000, max: 40_000 },
    }
}

pub(super) fn compute(number: usize, zone: &str) -> HostSpec {
    HostSpec {
        id: HostId::from(format!("compute-{number}")),
        kind: HostKind::Compute,
        zone: zone.into(),
        capacity: HOST,
        disabled: None,
        down: false,
    }
}

pub(super) fn hosts(cloud: &mut Spec, computes: usize, controllers: usize, zones: u64, dice: &mut Dice) {
    for number in 1..=computes {
        let mut host = compute(number, &format!("zone-{}", dice.between(1, zones)));
        if number > 2 && dice.chance(50) {
            host.disabled = Some("found so".into());
        }
        cloud.host.push(host);
    }
    for number in 1..=controllers {
        let host = compute(number, "internal");
        let id = HostId::from(format!("controller-{number}"));
        let capacity = Resources::default();
        cloud.host.push(HostSpec { id, kind: HostKind::Controller, capacity, ..host });
    }
}

pub(super) fn group(id: &str, project: &ProjectId, anti_affinity: bool, recovery_ms: u64) -> GroupSpec {
    GroupSpec {
        id: id.into(),
        project: project.clone(),
        name: String::new(),
        anti_affinity,
        max_instances_per_host: 0,
        max_impacted_members: 1,
        recovery_ms,
    }
}

pub(super) fn projects(cloud: &mut Spec, dice: &mut Dice) -> Vec<ProjectId> {
    let count = dice.between(1, 4);
    let projects: Vec<ProjectId> = (1..=count).map(|n| ProjectId::from(format!("app-{n}"))).collect();
    for project in &projects {
        cloud.project.push(ProjectSpec { id: project.clone() });
        for number in 0..dice.below(3) {
            let mut spec =
                group(&format!("{project}-ha-{number}"), project, dice.chance(500), dice.between(0, 20_000));
            spec.max_impacted_members = dice.weighted(&[(8, 1), (2, 2)]);
            if dice.chance(200) {
                spec.max_instances_per_host = 2;
            }
            cloud.group.push(spec);
        }
    }
    projects
}

pub(super) fn instance(id: &str, project: &ProjectId, resources: Resources) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::from(id),
        name: String::new(),
        project: project.clone(),
        group: None,
        host: None,
        resources,
        movable: Movable::Any,
        stopped: false,
    }
}

/// Puts instances on the computes until so many quarters of hosts are taken.
pub(super) fn fill(cloud: &mut Spec, projects: &[ProjectId], quarters: u64, dice: &mut Dice) {
    let open: Vec<HostId> = cloud
        .host
        .iter()
        .filter(|host| host.kind == HostKind::Compute && host.disabled.is_none())
        .map(|host| host.id.clone())
        .collect();
    let mut free: BTreeMap<HostId, u64> = open.iter().map(|host| (host.clone(), 4)).collect();
    let mut members: BTreeMap<(String, HostId), u32> = BTreeMap::new();
    let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
    let quarters = quarters.min(open.len() as u64 * 4);
    let mut taken = 0;
    let mut number = 0;
    while taken < quarters {
        let need = if quarters - taken >= 2 && dice.chance(250) { 2 } else { 1 };
        let roomy: Vec<&HostId> =
            free.iter().filter(|(_, free)| **free >= need).map(|(host, _)| host).collect();
        let Some(host) = dice.pick(&roomy).map(|host| (*host).clone()) else {
            if need == 1 { break } else { continue }
        };
        let Some(project) = dice.pick(projects) else { break };
        let own: Vec<&GroupSpec> = cloud.group.iter().filter(|group| group.project == *project).collect();
        let group = if dice.chance(400) { dice.pick(&own).copied() } else { None };
        let group = group.filter(|group| {
            let most = match (group.anti_affinity, group.max_instances_per_host) {
                (true, _) => 1,
                (false, 0) => u32::MAX,
                (false, most) => most,
            };
            let here = members.get(&(group.id.to_string(), host.clone())).copied().unwrap_or_default();
            let size = sizes.get(group.id.as_str()).copied().unwrap_or_default();
            // An anti-affinity group as large as the cloud could never move.
            here < most && (!group.anti_affinity || (size as usize) + 1 < open.len())
        });
        number += 1;
        let mut spec = instance(&format!("vm-{number:02}"), project, if need == 2 { LARGE } else { SMALL });
        if let Some(group) = group {
            *members.entry((group.id.to_string(), host.clone())).or_default() += 1;
            *sizes.entry(group.id.to_string()).or_default() += 1;
            spec.group = Some(group.id.clone());
        }
        if dice.chance(60) {
            spec.movable = Movable::ColdOnly;
        }
        spec.stopped = dice.chance(30);
        if let Some(free) = free.get_mut(&host) {
            *free -= need;
        }
        spec.host = Some(host);
        taken += need;
        cloud.instance.push(spec);
    }
}
