//! The simulated cloud does what a real one does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use fenix_cloud::sim::trace::{Actor, DIED, Happening, MoveEnd, MoveKind};
use fenix_cloud::sim::{Act, Spec, World};
use fenix_core::inventory::{Host, Instance, InstanceState, Resources, Service};
use fenix_core::time::Time;
use fenix_engine::ports::{CloudCall, CloudError, CloudReply};

/// Long after anything that was begun.
const LATER: u64 = 3_600_000;

/// Three hosts, the first two with one instance each, room for one more on each.
const SMALL: &str = r#"
project = [{ id = "p" }]
rack = [{ count = 3, name = "h{}", capacity = { vcpus = 2, memory_mb = 2, disk_gb = 2 } }]
group = [{ id = "g", project = "p", anti_affinity = true }]

[[instance]]
id = "a"
project = "p"
group = "g"
host = "h1"
resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 }

[[instance]]
id = "b"
project = "p"
group = "g"
host = "h2"
resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 }
"#;

/// A world and a clock that only these tests move.
struct Try {
    world: World,
    now: u64,
}

impl Try {
    fn new(toml: &str) -> Try {
        let world = World::new(&Spec::parse(toml).unwrap(), 1, Time(0)).unwrap();
        Try { world, now: 0 }
    }

    /// [`SMALL`] and more.
    fn with(more: &str) -> Try {
        Try::new(&format!("{SMALL}\n{more}"))
    }

    fn call(&mut self, call: CloudCall) -> Result<CloudReply, CloudError> {
        let result = self.world.call(Time(self.now), &call);
        assert_eq!(self.world.problems(), Vec::<String>::new());
        result
    }

    #[track_caller]
    fn ok(&mut self, call: CloudCall) {
        assert_eq!(self.call(call), Ok(CloudReply::Accepted));
    }

    #[track_caller]
    fn refuses(&mut self, call: CloudCall, why: &str) {
        match self.call(call) {
            Err(CloudError::Refused(said)) => assert!(said.contains(why), "{said:?} does not say {why:?}"),
            other => panic!("not refused: {other:?}"),
        }
    }

    fn act(&mut self, act: Act) {
        self.world.third_party(Time(self.now), &act).unwrap();
        assert_eq!(self.world.problems(), Vec::<String>::new());
    }

    fn wait(&mut self) {
        self.now += LATER;
        self.world.advance(Time(self.now));
        assert_eq!(self.world.problems(), Vec::<String>::new());
    }

    fn instance(&mut self, id: &str) -> Instance {
        match self.call(CloudCall::ReadInstance { instance: id.into() }) {
            Ok(CloudReply::Instance(Some(instance))) => instance,
            other => panic!("{other:?}"),
        }
    }

    fn host(&mut self, id: &str) -> Host {
        match self.call(CloudCall::ReadHost { host: id.into() }) {
            Ok(CloudReply::Host { host: Some(host), .. }) => host,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn is(&mut self, id: &str, state: InstanceState, host: &str, other_end: Option<&str>) {
        let seen = self.instance(id);
        assert_eq!((seen.state, seen.host.as_str()), (state, host));
        assert_eq!(seen.other_end.as_ref().map(|host| host.as_str()), other_end);
    }

    fn happened(&mut self) -> Vec<Happening> {
        self.world.take_trace().into_iter().map(|event| event.what).collect()
    }
}

fn migrate(instance: &str, to: &str) -> CloudCall {
    CloudCall::Migrate { instance: instance.into(), to: to.into() }
}

fn live(instance: &str, to: &str) -> CloudCall {
    CloudCall::LiveMigrate { instance: instance.into(), to: to.into() }
}

fn confirm(instance: &str) -> CloudCall {
    CloudCall::Confirm { instance: instance.into() }
}

#[test]
fn a_cold_move_claims_both_ends_until_it_is_confirmed() {
    let mut t = Try::new(SMALL);
    t.ok(migrate("a", "h3"));
    t.is("a", InstanceState::Moving, "h1", Some("h3"));
    assert_eq!(t.world.serves(&"a".into()), Some(false));
    t.wait();
    t.is("a", InstanceState::Moved, "h3", Some("h1"));
    assert_eq!(t.world.serves(&"a".into()), Some(true));
    t.ok(confirm("a"));
    t.is("a", InstanceState::Active, "h3", None);
    t.refuses(confirm("a"), "no move of instance a waits");
}

#[test]
fn a_reverted_move_ends_where_it_began() {
    let mut t = Try::new(SMALL);
    t.ok(migrate("a", "h3"));
    t.wait();
    t.ok(CloudCall::Revert { instance: "a".into() });
    t.is("a", InstanceState::Moving, "h3", Some("h1"));
    t.wait();
    t.is("a", InstanceState::Active, "h1", None);
}

#[test]
fn a_live_move_serves_all_the_time() {
    let mut t = Try::new(SMALL);
    t.happened();
    t.ok(live("a", "h3"));
    t.is("a", InstanceState::Moving, "h1", Some("h3"));
    t.wait();
    t.is("a", InstanceState::Active, "h3", None);
    let out = |what: &Happening| matches!(what, Happening::OutOfService { .. });
    assert!(!t.happened().iter().any(out));
}

#[test]
fn an_aborted_live_move_stays() {
    let mut t = Try::new(SMALL);
    t.ok(live("a", "h3"));
    t.ok(CloudCall::AbortLive { instance: "a".into() });
    t.is("a", InstanceState::Active, "h1", None);
    assert_eq!(t.world.next_event(), None);
    t.refuses(CloudCall::AbortLive { instance: "a".into() }, "no live move");
}

#[test]
fn a_live_move_tells_how_far_it_is() {
    let mut t = Try::with("[times]\nlive_ms = 10000");
    t.ok(live("a", "h3"));
    for (at, progress) in [(0, 0), (999, 0), (1_000, 10), (9_999, 90)] {
        t.now = at;
        assert_eq!(t.instance("a").progress, Some(progress), "after {at} ms");
    }
    t.wait();
    assert_eq!(t.instance("a").progress, None);
}

#[test]
fn a_live_move_can_be_completed_however_it_hangs() {
    for hangs in ["0", "1"] {
        let mut t = Try::with(&format!("[failures]\nlive_hangs = {hangs}"));
        t.refuses(CloudCall::CompleteLive { instance: "a".into() }, "no live move");
        t.ok(live("a", "h3"));
        t.ok(CloudCall::CompleteLive { instance: "a".into() });
        t.is("a", InstanceState::Active, "h3", None);
        assert_eq!(t.world.next_event(), None);
    }
}

#[test]
fn every_class_of_resources_has_to_fit() {
    let mut t = Try::new(SMALL);
    let card = [("CARD".to_owned(), 1)].into_iter().collect();
    let resources = Resources { other: card, ..Resources::of(1, 1, 1) };
    t.refuses(CloudCall::Resize { instance: "a".into(), resources }, "no host has room for instance a");
}

#[test]
fn moves_that_cannot_be_are_refused_by_name() {
    let mut t = Try::new(SMALL);
    t.refuses(migrate("a", "h1"), "on host h1 already");
    t.refuses(migrate("a", "h2"), "has 1 of group g already");
    t.ok(migrate("a", "h3"));
    t.refuses(migrate("a", "h2"), "conflict: instance a is being moved");
    t.refuses(migrate("b", "h3"), "has 1 of group g already");
    t.refuses(CloudCall::Evacuate { instance: "b".into(), to: "h3".into() }, "host h2 of instance b is up");
    assert_eq!(t.call(migrate("x", "h1")), Err(CloudError::NotFound("instance x".into())));
    assert_eq!(t.call(migrate("b", "h9")), Err(CloudError::NotFound("host h9".into())));
    t.ok(CloudCall::Disable { host: "h1".into(), reason: "M-1".into() });
    t.refuses(migrate("b", "h1"), "host h1 is disabled: M-1");
}

#[test]
fn a_live_move_that_the_scheduler_refuses_is_accepted_and_stays() {
    let mut t = Try::new(SMALL);
    t.happened();
    t.ok(live("a", "h2"));
    t.is("a", InstanceState::Active, "h1", None);
    assert!(matches!(&t.happened()[..], [Happening::Refused { quietly: true, .. }]));
    let mut t = Try::with("[failures]\nlive_refused_quietly = 0");
    t.refuses(live("a", "h2"), "has 1 of group g already");
}

#[test]
fn failures_end_as_the_specification_says() {
    let check = |failure: &str, call: CloudCall, state, other_end: Option<&str>, end| {
        let mut t = Try::with(&format!("[failures]\n{failure} = 1"));
        t.ok(call);
        t.wait();
        t.is("a", state, "h1", other_end);
        let ends: Vec<_> = t
            .happened()
            .into_iter()
            .filter_map(|what| match what {
                Happening::MoveEnded { end, .. } => Some(end),
                _ => None,
            })
            .collect();
        assert_eq!(ends, Vec::from_iter(end), "{failure}");
    };
    use InstanceState::{Active, Error, Moving};
    check("cold_breaks", migrate("a", "h3"), Error, None, Some(MoveEnd::Broke));
    check("cold_stays", migrate("a", "h3"), Active, None, Some(MoveEnd::Stayed));
    check("cold_hangs", migrate("a", "h3"), Moving, Some("h3"), None);
    check("live_breaks", live("a", "h3"), Error, None, Some(MoveEnd::Broke));
    check("live_stays", live("a", "h3"), Active, None, Some(MoveEnd::Stayed));
    check("live_hangs", live("a", "h3"), Moving, Some("h3"), None);
}

#[test]
fn a_reboot_takes_the_instances_down_and_names_a_new_boot() {
    let mut t = Try::new(SMALL);
    let before = t.host("h1").boot;
    t.happened();
    t.ok(CloudCall::Reboot { host: "h1".into(), boot: None });
    assert!(!t.host("h1").up);
    t.refuses(CloudCall::Reboot { host: "h1".into(), boot: None }, "being rebooted already");
    t.refuses(migrate("a", "h3"), "host h1 of instance a is down");
    t.refuses(migrate("b", "h1"), "host h1 is down");
    t.wait();
    let host = t.host("h1");
    assert!(host.up && host.boot != before);
    let (a, g) = ("a".into(), Some("g".into()));
    let service = t.happened();
    assert!(service.contains(&Happening::OutOfService { instance: a, group: g.clone() }));
    assert!(service.contains(&Happening::InService { instance: "a".into(), group: g }));
}

#[test]
fn an_order_to_end_a_boot_ends_that_one_and_no_other() {
    let mut t = Try::new(SMALL);
    let boot = t.host("h1").boot;
    let order = || CloudCall::Reboot { host: "h1".into(), boot: Some(boot.clone()) };
    t.ok(order());
    t.refuses(order(), "being rebooted already");
    t.wait();
    let second = t.host("h1").boot;
    t.refuses(order(), "h1 runs boot h1-boot-2, and h1-boot-1 was to end");
    let host = t.host("h1");
    assert!(host.up && host.boot == second);
}

#[test]
fn a_machine_that_stays_down_comes_back_with_another_reboot_or_its_operators() {
    let mut t = Try::with("[failures]\nreboot_stays_down = 1\nguests_resume = false");
    t.ok(CloudCall::Reboot { host: "h1".into(), boot: None });
    t.wait();
    assert!(!t.host("h1").up);
    t.ok(CloudCall::Reboot { host: "h1".into(), boot: None });
    t.wait();
    t.act(Act::PowerOn { host: "h1".into() });
    assert!(t.host("h1").up);
    t.is("a", InstanceState::Stopped, "h1", None);
}

#[test]
fn a_machine_that_died_comes_back_for_nobody() {
    let mut rebooted = Try::with("[failures]\nreboot_kills = 1");
    rebooted.ok(CloudCall::Reboot { host: "h1".into(), boot: None });
    let mut crashed = Try::with("[failures]\ncrash_kills = 1");
    crashed.act(Act::Crash { host: "h1".into() });
    for mut t in [rebooted, crashed] {
        t.wait();
        t.refuses(CloudCall::Reboot { host: "h1".into(), boot: None }, "does not answer");
        assert!(t.world.third_party(Time(t.now), &Act::PowerOn { host: "h1".into() }).is_err());
        t.wait();
        assert!(!t.host("h1").up);
        assert!(t.happened().contains(&Happening::HostDown { host: "h1".into(), why: DIED.to_owned() }));
    }
}

#[test]
fn a_move_that_shows_as_over_is_on_its_source_for_readers_and_on_its_way_for_the_cloud() {
    let check = |call: CloudCall, state, other_end: Option<&str>| {
        let mut t = Try::with("[failures]\nmove_shows_early = 1\n[times]\ncold_ms = 9000\nlive_ms = 9000");
        t.ok(call);
        t.is("a", InstanceState::Moving, "h1", Some("h3"));
        t.now += 8_800;
        t.world.advance(Time(t.now));
        t.is("a", InstanceState::Active, "h1", None);
        t.refuses(migrate("a", "h3"), "is being moved");
        t.wait();
        t.is("a", state, "h3", other_end);
    };
    check(migrate("a", "h3"), InstanceState::Moved, Some("h1"));
    check(live("a", "h3"), InstanceState::Active, None);
}

#[test]
fn a_dead_host_is_evacuated_and_its_instances_are_left_stopped() {
    let mut t = Try::new(SMALL);
    t.act(Act::Crash { host: "h1".into() });
    assert!(t.host("h1").dead);
    t.ok(CloudCall::Evacuate { instance: "a".into(), to: "h3".into() });
    t.is("a", InstanceState::Moving, "h1", Some("h3"));
    t.wait();
    t.is("a", InstanceState::Stopped, "h3", None);
    t.act(Act::Start { instance: "a".into() });
    assert_eq!(t.world.serves(&"a".into()), Some(true));
}

#[test]
fn a_host_that_goes_down_breaks_off_what_it_takes_part_in() {
    let check = |call: CloudCall, crashed: &str, state, serves| {
        let mut t = Try::new(SMALL);
        t.ok(call);
        t.act(Act::Crash { host: crashed.into() });
        t.is("a", state, "h1", None);
        assert_eq!(t.world.serves(&"a".into()), Some(serves));
        assert_eq!(t.world.next_event(), None);
    };
    check(migrate("a", "h3"), "h1", InstanceState::Error, false);
    check(migrate("a", "h3"), "h3", InstanceState::Error, false);
    check(live("a", "h3"), "h1", InstanceState::Active, false);
    check(live("a", "h3"), "h3", InstanceState::Active, true);
}

#[test]
fn instances_come_where_there_is_most_room_and_go() {
    let mut t = Try::new(SMALL);
    let like = t.instance("a");
    let boot = |id: &str, host: &str| {
        let (id, host) = (id.into(), host.into());
        CloudCall::Boot { instance: Instance { id, host, group: None, ..like.clone() } }
    };
    t.ok(boot("c", ""));
    t.is("c", InstanceState::Building, "h3", None);
    t.wait();
    t.is("c", InstanceState::Active, "h3", None);
    t.refuses(boot("c", ""), "there is an instance c already");
    t.ok(boot("d", "h3"));
    t.refuses(boot("e", "h3"), "host h3 has no room for e");
    t.ok(CloudCall::Delete { instance: "d".into() });
    t.ok(boot("e", "h3"));
    assert_eq!(
        t.call(CloudCall::Delete { instance: "d".into() }),
        Err(CloudError::NotFound("instance d".into()))
    );
}

#[test]
fn a_resize_takes_place_here_or_elsewhere() {
    let two = Resources::of(2, 2, 2);
    let mut t = Try::new(SMALL);
    t.ok(CloudCall::Resize { instance: "a".into(), resources: two.clone() });
    t.is("a", InstanceState::Moving, "h1", None);
    t.wait();
    t.is("a", InstanceState::Active, "h1", None);
    assert_eq!(t.instance("a").resources, two);

    let mut t = Try::new(SMALL);
    let like = t.instance("a");
    let instance = Instance { id: "c".into(), group: None, host: "h1".into(), ..like };
    t.ok(CloudCall::Boot { instance });
    t.wait();
    t.ok(CloudCall::Resize { instance: "c".into(), resources: two.clone() });
    t.is("c", InstanceState::Moving, "h1", Some("h3"));
    t.wait();
    t.is("c", InstanceState::Active, "h3", None);
    assert_eq!(t.instance("c").resources, two);
}

#[test]
fn services_are_disabled_and_enabled_as_often_as_one_likes() {
    let mut t = Try::new(SMALL);
    t.happened();
    for _ in 0..2 {
        t.ok(CloudCall::Disable { host: "h1".into(), reason: "M-1".into() });
    }
    assert_eq!(t.host("h1").service, Service::Disabled { reason: "M-1".into() });
    for _ in 0..2 {
        t.ok(CloudCall::Enable { host: "h1".into() });
    }
    assert_eq!(t.host("h1").service, Service::Enabled);
    assert_eq!(t.happened().len(), 2);
}

#[test]
fn the_script_is_played_by_others_at_its_time() {
    let mut t = Try::with(
        r#"
[[script]]
at_ms = 500
op = { call = { delete = { instance = "b" } } }

[[script]]
at_ms = 1000
op = { crash = { host = "h1" } }
"#,
    );
    t.world.take_trace();
    assert_eq!(t.world.next_event(), Some(Time(500)));
    t.wait();
    let trace = t.world.take_trace();
    assert!(trace.iter().all(|event| event.by == Actor::Other));
    assert!(
        trace.iter().any(|event| event.at == Time(500)
            && event.what == Happening::InstanceDeleted { instance: "b".into() })
    );
    assert!(!t.host("h1").up);
}

#[test]
fn the_doctor_topology_is_full_and_its_pair_is_apart() {
    for computes in [2, 3, 10] {
        let world = World::new(&Spec::doctor(computes), 1, Time(0)).unwrap();
        let summary = world.summary();
        assert_eq!(summary.problems, Vec::<String>::new());
        assert_eq!(summary.instances, computes as usize * 2);
        let computes: Vec<_> = summary.hosts.iter().filter(|h| h.host.service == Service::Enabled).collect();
        assert!(computes.iter().all(|host| host.used == host.host.capacity));
    }
}

#[test]
fn others_do_things_by_chance_and_never_break_the_books() {
    let habits = r#"
project = [{ id = "p" }]
rack = [{ count = 8, name = "h{}", capacity = { vcpus = 16, memory_mb = 16, disk_gb = 16 } }]
crowd = [{ count = 16, name = "i{}", project = "p", resources = { vcpus = 1, memory_mb = 1, disk_gb = 1 } }]

[others]
boot_per_hour = 30
delete_per_hour = 30
resize_per_hour = 10
move_per_hour = 60
stop_per_hour = 30
disable_per_hour = 10
enable_per_hour = 20
crash_per_hour = 2
"#;
    let mut t = Try::new(habits);
    for _ in 0..20 {
        t.wait();
    }
    let trace = t.world.take_trace();
    let seen = |what: &str, is: fn(&Happening) -> bool| {
        assert!(trace.iter().any(|event| event.by == Actor::Other && is(&event.what)), "never {what}");
    };
    seen("created", |what| matches!(what, Happening::InstanceBooted { .. }));
    seen("deleted", |what| matches!(what, Happening::InstanceDeleted { .. }));
    seen("resized", |what| matches!(what, Happening::InstanceResized { .. }));
    seen("confirmed", |what| matches!(what, Happening::MoveConfirmed { .. }));
    seen("moved live", |what| matches!(what, Happening::MoveEnded { kind: MoveKind::Live, .. }));
    seen("enabled", |what| matches!(what, Happening::HostEnabled { .. }));
    seen("up", |what| matches!(what, Happening::HostUp { .. }));
}
