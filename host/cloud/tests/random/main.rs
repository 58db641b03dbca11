//! Whatever is done to the simulated cloud, in whatever order, its books stay right and its seed decides.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod inputs;

use std::collections::{BTreeMap, BTreeSet};

use fenix_cloud::sim::trace::{Happening, TraceEvent};
use fenix_cloud::sim::{Durable, FaultyCloud, Target, World};
use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::Resources;
use fenix_core::time::{Millis, Time};
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};
use inputs::{Input, inputs, nasty};
use proptest::prelude::*;

fn put(world: &mut World, now: Time, input: &Input) -> Option<Result<CloudReply, CloudError>> {
    match input {
        Input::Call(call) => Some(world.call(now, call)),
        Input::Act(act) => {
            drop(world.third_party(now, act));
            None
        }
    }
}

/// Follows a cloud by its trace alone.
#[derive(Default)]
struct Follower {
    hosts: BTreeMap<HostId, Resources>,
    instances: BTreeSet<InstanceId>,
    held: BTreeMap<HostId, BTreeMap<InstanceId, Resources>>,
    serving: BTreeSet<InstanceId>,
}

impl Follower {
    fn follow(&mut self, event: &TraceEvent) {
        match &event.what {
            Happening::HostAdded { host } => {
                self.hosts.insert(host.id.clone(), host.capacity.clone());
            }
            Happening::InstanceAdded { instance } => assert!(self.instances.insert(instance.id.clone())),
            Happening::InstanceDeleted { instance } => {
                assert!(self.instances.remove(instance));
                self.serving.remove(instance);
            }
            Happening::ClaimTaken { instance, host, resources } => {
                self.held.entry(host.clone()).or_default().insert(instance.clone(), resources.clone());
                let used = self.held[host].values().fold(Resources::default(), |sum, r| sum.plus(r));
                assert!(self.hosts[host].fits(&used), "{host} is over-committed at {event:?}");
            }
            Happening::ClaimFreed { instance, host } => {
                assert!(self.held.get_mut(host).unwrap().remove(instance).is_some());
            }
            Happening::InService { instance, .. } => assert!(self.serving.insert(instance.clone())),
            Happening::OutOfService { instance, .. } => assert!(self.serving.remove(instance)),
            _ => {}
        }
    }

    /// What readers see, and what is served, agree with what the trace told.
    fn agrees_with(&self, world: &World) {
        let seen: BTreeSet<_> = world.instances().map(|instance| instance.id.clone()).collect();
        assert_eq!(seen, self.instances);
        for instance in world.instances() {
            assert_eq!(world.serves(&instance.id), Some(self.serving.contains(&instance.id)));
            for host in std::iter::once(&instance.host).chain(&instance.other_end) {
                assert!(self.held[host].contains_key(&instance.id));
            }
        }
        let claims: usize = self.held.values().map(BTreeMap::len).sum();
        let ends: usize = world.instances().map(|i| 1 + usize::from(i.other_end.is_some())).sum();
        assert_eq!(claims, ends);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_over_committed_or_lost_and_groups_stay_apart(seed: u64, inputs in inputs(80)) {
        let mut world = World::new(&nasty(), seed, Time(1_000)).unwrap();
        let (mut now, mut follower) = (Time(1_000), Follower::default());
        for (wait, input) in &inputs {
            now = now + Millis(*wait);
            let before: BTreeSet<_> = world.instances().map(|instance| instance.id.clone()).collect();
            put(&mut world, now, input);
            let trace = world.take_trace();
            let gone: BTreeSet<_> = trace.iter().filter_map(|event| match &event.what {
                Happening::InstanceDeleted { instance } => Some(instance.clone()),
                _ => None,
            }).collect();
            for event in &trace {
                follower.follow(event);
            }
            let after: BTreeSet<_> = world.instances().map(|instance| instance.id.clone()).collect();
            prop_assert!(before.difference(&after).all(|id| gone.contains(id)));
            prop_assert_eq!(world.problems(), Vec::<String>::new());
        }
        follower.agrees_with(&world);
    }

    #[test]
    fn what_is_not_accepted_changes_nothing(seed: u64, inputs in inputs(60)) {
        let mut world = World::new(&nasty(), seed, Time(0)).unwrap();
        let mut now = Time(0);
        for (wait, input) in &inputs {
            now = now + Millis(*wait);
            world.advance(now);
            let before = world.call(now, &CloudCall::ReadAll);
            if let Some(Err(_)) = put(&mut world, now, input) {
                prop_assert_eq!(before, world.call(now, &CloudCall::ReadAll));
            }
        }
    }

    #[test]
    fn one_seed_gives_one_trace_however_time_is_cut(seed: u64, inputs in inputs(60), cut in 1u64..10_000) {
        let run = |cut: Option<u64>| {
            let mut world = World::new(&nasty(), seed, Time(0)).unwrap();
            let mut now = Time(0);
            let mut replies = Vec::new();
            for (wait, input) in &inputs {
                let then = now + Millis(*wait);
                while let Some(cut) = cut && now + Millis(cut) < then {
                    now = now + Millis(cut);
                    world.advance(now);
                }
                now = then;
                replies.push(put(&mut world, now, input));
            }
            (serde_json::to_string(&world.take_trace()).unwrap(), replies, world)
        };
        prop_assert_eq!(run(None), run(Some(cut)));
    }
}

proptest! {
    // Each case syncs a file.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_world_read_from_its_file_is_the_world_that_was(
        seed: u64,
        inputs in inputs(60),
        compacted in prop::option::of(0usize..60),
        wire_breaks: bool,
    ) {
        let mut spec = nasty();
        if wire_breaks {
            (spec.wire.lost, spec.wire.late, spec.wire.doubled) = (0.2, 0.3, 0.3);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let (durable, _) = Durable::open(&spec, seed, &path, Time(5)).unwrap();
        let mut cloud = FaultyCloud::new(durable, spec.wire.clone(), seed, 0);
        let mut now = Time(5);
        for (number, (wait, input)) in inputs.iter().enumerate() {
            now = now + Millis(*wait);
            match input {
                Input::Call(call) => drop(cloud.call(now, call)),
                Input::Act(act) => drop(cloud.target_mut().third_party(now, act)),
            }
            if number % 5 == 0 {
                cloud.target_mut().commit().unwrap();
            }
            if Some(number) == compacted {
                cloud.target_mut().compact().unwrap();
            }
        }
        cloud.target_mut().commit().unwrap();
        let (world, trace) = (cloud.target().world().clone(), cloud.target().trace(0, usize::MAX));
        drop(cloud);

        let (mut again, torn) = Durable::open(&spec, seed, &path, Time(999_999)).unwrap();
        again.advance(world.now());
        prop_assert_eq!(torn, 0);
        prop_assert_eq!(again.trace(0, usize::MAX), trace);
        prop_assert_eq!(again.world(), &world);
    }
}
