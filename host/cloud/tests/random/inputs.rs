//! Random things to do to a small cloud.

use fenix_cloud::sim::{Act, Spec};
use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{Instance, InstanceState, Movable, Resources};
use fenix_engine::ports::CloudCall;
use proptest::prelude::*;

/// Four hosts, six instances of two projects, one group of each kind, and all that can fail.
pub(crate) fn nasty() -> Spec {
    Spec::parse(
        r#"
project = [{ id = "p" }, { id = "q" }]
rack = [{ count = 4, name = "h{}", zone = "z{}", zones = 2, capacity = { vcpus = 4, memory_mb = 8, disk_gb = 8, other = { CARD = 1 } } }]
group = [
    { id = "apart", project = "p", anti_affinity = true },
    { id = "pairs", project = "q", max_instances_per_host = 2 },
]
crowd = [
    { count = 3, name = "a{}", project = "p", group = "apart", resources = { vcpus = 1, memory_mb = 2, disk_gb = 1 } },
    { count = 3, name = "b{}", project = "q", group = "pairs", resources = { vcpus = 2, memory_mb = 1, disk_gb = 1 } },
]

[failures]
cold_breaks = 0.1
cold_stays = 0.1
cold_hangs = 0.1
live_breaks = 0.1
live_stays = 0.1
live_hangs = 0.1
live_refused_quietly = 0.5
confirm_refused = 0.1
revert_breaks = 0.1
evacuate_breaks = 0.1
resize_breaks = 0.1
boot_breaks = 0.1
reboot_stays_down = 0.2
guests_resume = false

[others]
boot_per_hour = 6
delete_per_hour = 6
resize_per_hour = 6
move_per_hour = 6
stop_per_hour = 6
disable_per_hour = 6
enable_per_hour = 12
crash_per_hour = 1

[[script]]
at_ms = 30000
op = { crash = { host = "h4" } }
"#,
    )
    .unwrap()
}

/// Something that comes from outside.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Call(CloudCall),
    Act(Act),
}

/// An input, and how long after the one before it comes.
pub(crate) fn inputs(most: usize) -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec((0u64..100_000, input()), 1..most)
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![9 => call().prop_map(Input::Call), 2 => act().prop_map(Input::Act)]
}

fn host() -> impl Strategy<Value = HostId> {
    (1u32..6).prop_map(|n| HostId::from(format!("h{n}")))
}

fn instance() -> impl Strategy<Value = InstanceId> {
    prop_oneof![
        (1u32..5).prop_map(|n| InstanceId::from(format!("a{n}"))),
        (1u32..5).prop_map(|n| InstanceId::from(format!("b{n}"))),
    ]
}

fn resources() -> impl Strategy<Value = Resources> {
    let cards = prop_oneof![3 => Just(0), 1 => Just(1u32)];
    (0u32..4, 0u32..4, 0u32..4, cards).prop_map(|(vcpus, memory_mb, disk_gb, cards)| Resources {
        other: [("CARD".to_owned(), cards)].into_iter().collect(),
        ..Resources::of(vcpus, memory_mb, disk_gb)
    })
}

fn new_instance() -> impl Strategy<Value = Instance> {
    let host = prop_oneof![Just(HostId::from("")), host()];
    (instance(), host, resources(), 0u32..3).prop_map(|(id, host, resources, kind)| {
        let group = match kind {
            0 => Some("apart"),
            1 => Some("pairs"),
            _ => None,
        };
        Instance {
            name: id.to_string(),
            id,
            project: if kind == 0 { "p" } else { "q" }.into(),
            group: group.map(Into::into),
            host,
            resources,
            state: InstanceState::Active,
            other_end: None,
            movable: if kind == 2 { Movable::ColdOnly } else { Movable::Any },
            progress: None,
        }
    })
}

fn call() -> impl Strategy<Value = CloudCall> {
    prop_oneof![
        1 => Just(CloudCall::ReadAll),
        1 => host().prop_map(|host| CloudCall::ReadHost { host }),
        1 => host().prop_map(|host| CloudCall::Disable { host, reason: "test".into() }),
        1 => host().prop_map(|host| CloudCall::Enable { host }),
        4 => (instance(), host()).prop_map(|(instance, to)| CloudCall::Migrate { instance, to }),
        4 => (instance(), host()).prop_map(|(instance, to)| CloudCall::LiveMigrate { instance, to }),
        4 => instance().prop_map(|instance| CloudCall::Confirm { instance }),
        2 => instance().prop_map(|instance| CloudCall::Revert { instance }),
        1 => instance().prop_map(|instance| CloudCall::AbortLive { instance }),
        1 => instance().prop_map(|instance| CloudCall::CompleteLive { instance }),
        2 => (instance(), host()).prop_map(|(instance, to)| CloudCall::Evacuate { instance, to }),
        2 => host().prop_map(|host| CloudCall::Reboot { host, boot: None }),
        1 => host().prop_map(|host| CloudCall::Reboot { boot: Some(format!("{host}-boot-1")), host }),
        2 => new_instance().prop_map(|instance| CloudCall::Boot { instance }),
        1 => instance().prop_map(|instance| CloudCall::Delete { instance }),
        2 => (instance(), resources()).prop_map(|(instance, resources)| CloudCall::Resize { instance, resources }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => call().prop_map(Act::Call),
        1 => host().prop_map(|host| Act::Crash { host }),
        2 => host().prop_map(|host| Act::PowerOn { host }),
        1 => instance().prop_map(|instance| Act::Stop { instance }),
        1 => instance().prop_map(|instance| Act::Start { instance }),
        1 => instance().prop_map(|instance| Act::Break { instance }),
        2 => instance().prop_map(|instance| Act::Reset { instance }),
    ]
}
