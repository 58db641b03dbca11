//! A look at everything leaves nothing behind of what was known before it.

use fenix_core::inventory::{
    Change, Group, Host, HostKind, Instance, InstanceState, Inventory, Movable, Resources, Service,
};
use fenix_core::time::Millis;

/// What the infrastructure lists: hosts as (name, virtual CPUs, enabled), instances as (id, host, virtual CPUs,
/// group), groups.
type Listed = (
    &'static [(&'static str, u32, bool)],
    &'static [(&'static str, &'static str, u32, &'static str)],
    &'static [&'static str],
);

const EMPTY: Listed = (&[], &[], &[]);
const FULL: Listed = (
    &[("h1", 2, true), ("h2", 2, true), ("h3", 2, true)],
    &[("i1", "h1", 2, "g1"), ("i2", "h2", 2, "g1"), ("i3", "h3", 1, "g2")],
    &["g1", "g2"],
);
const SHUFFLED: Listed = (
    &[("h3", 2, true), ("h1", 2, true), ("h2", 2, true)],
    &[("i3", "h3", 1, "g2"), ("i2", "h2", 2, "g1"), ("i1", "h1", 2, "g1")],
    &["g2", "g1"],
);
const MOVED: Listed = (
    &[("h1", 2, false), ("h2", 2, true), ("h4", 4, true)],
    &[("i0", "h4", 1, ""), ("i2", "h4", 2, "g1"), ("i3", "h2", 1, "g2")],
    &["g2", "g3"],
);

fn host((id, vcpus, enabled): (&str, u32, bool)) -> Host {
    let service = match enabled {
        true => Service::Enabled,
        false => Service::Disabled { reason: "why".into() },
    };
    Host {
        id: id.into(),
        kind: HostKind::Compute,
        zone: "z".into(),
        capacity: Resources::of(vcpus, 1024, 10),
        service,
        up: true,
        boot: "b".into(),
        dead: false,
    }
}

fn instance((id, host, vcpus, group): (&str, &str, u32, &str)) -> Instance {
    Instance {
        id: id.into(),
        name: id.into(),
        project: "p".into(),
        group: (!group.is_empty()).then(|| group.into()),
        host: host.into(),
        resources: Resources::of(vcpus, 1, 1),
        state: InstanceState::Active,
        other_end: None,
        movable: Movable::Any,
        progress: None,
    }
}

fn group(id: &str) -> Group {
    Group {
        id: id.into(),
        project: "p".into(),
        name: id.into(),
        anti_affinity: false,
        max_instances_per_host: 0,
        max_impacted_members: 1,
        recovery_time: Millis::ZERO,
    }
}

fn look(inventory: &mut Inventory, (hosts, instances, groups): Listed) -> Vec<Change> {
    let hosts: Vec<Host> = hosts.iter().copied().map(host).collect();
    let instances: Vec<Instance> = instances.iter().copied().map(instance).collect();
    let groups: Vec<Group> = groups.iter().copied().map(group).collect();
    let changes = inventory.differences(&hosts, &instances, &groups);
    changes.iter().for_each(|change| inventory.apply(change));
    changes
}

#[track_caller]
fn check(before: Listed, now: Listed, roomy: &[&str], changes: usize) {
    let (mut seen, mut fresh) = (Inventory::default(), Inventory::default());
    look(&mut seen, before);
    assert_eq!(look(&mut seen, now).len(), changes);
    look(&mut fresh, now);
    assert_eq!(seen, fresh);
    assert_eq!(look(&mut seen, now), []);
    let names: Vec<&str> = seen.roomy().map(|(host, _)| host.as_str()).collect();
    assert_eq!(names, roomy);
}

#[test]
fn what_is_as_known_is_no_difference_in_whatever_order_it_is_listed() {
    check(FULL, FULL, &["h3"], 0);
    check(FULL, SHUFFLED, &["h3"], 0);
}

#[test]
fn what_is_new_different_or_gone_is_taken_over() {
    check(EMPTY, FULL, &["h3"], 8);
    check(FULL, EMPTY, &[], 8);
    check(FULL, MOVED, &["h2", "h4"], 9);
    check(MOVED, FULL, &["h3"], 9);
}

#[test]
fn a_host_has_room_while_it_is_in_service_and_not_full() {
    const OUT: Listed = (&[("h1", 2, false)], &[("i1", "h1", 1, "")], &[]);
    const IN: Listed = (&[("h1", 2, true)], &[("i1", "h1", 1, "")], &[]);
    const TAKEN: Listed = (&[("h1", 2, true)], &[("i1", "h1", 2, "")], &[]);
    check(OUT, IN, &["h1"], 1);
    check(IN, OUT, &[], 1);
    check(IN, TAKEN, &[], 1);
    check(TAKEN, IN, &["h1"], 1);
}
