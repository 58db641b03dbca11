//! Whole sessions over the four computes, full of two tenants' servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::fenix::{Fenix, Manager, wait_for_end};
use super::listener::Listener;
use super::stack::{COMPUTES, Stack, VCPUS, let_pass};
use crate::http::get;

/// Virtual CPUs of a server of flavor `quarter`.
const QUARTER: usize = 4;

/// Servers that fill every compute.
const FULL: usize = COMPUTES.len() * VCPUS / QUARTER;

/// How often Masakari's flags are looked at meanwhile.
const GLANCE_EVERY: Duration = Duration::from_millis(200);

/// How many of a server's migrations arrived.
fn moves(stack: &Stack, server: &str) -> usize {
    let all = stack.nova(&format!("/os-migrations?instance_uuid={server}"))["migrations"].clone();
    let arrived = |one: &&Value| matches!(one["status"].as_str(), Some("confirmed" | "completed"));
    all.as_array().unwrap().iter().filter(arrived).count()
}

fn ids(stack: &Stack) -> BTreeSet<String> {
    stack.servers().iter().map(|server| server["id"].as_str().unwrap().to_owned()).collect()
}

/// What must hold after a session that ended well, whatever happened in between.
#[track_caller]
pub(crate) fn check_whole(stack: &Stack, servers: usize) {
    let services = stack.computes();
    let odd = |service: &&Value| service["status"] != "enabled" || !service["disabled_reason"].is_null();
    assert_eq!(services.values().find(odd), None);
    let now = stack.servers();
    assert_eq!(now.len(), servers);
    let ill = |server: &&Value| server["status"] != "ACTIVE" || !server["OS-EXT-STS:task_state"].is_null();
    assert_eq!(now.iter().find(ill), None);
    assert_eq!(stack.misheld(), Vec::<String>::new());
}

/// The hosts that Masakari is seen to leave alone until `over`.
fn left_alone(over: &AtomicBool) -> BTreeSet<String> {
    let stack = Stack::admin();
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        seen.extend(stack.watched().into_iter().filter(|(_, alone)| *alone).map(|(host, _)| host));
        let_pass(GLANCE_EVERY);
    }
    seen
}

#[test]
fn a_full_cloud_is_maintained_host_by_host() {
    let stack = Stack::clean();
    stack.watch_computes();
    let mut listener = Listener::start();
    let managers = [("demo", "MIGRATE", "maintenance.scheduled"), ("demo2", "LIVE_MIGRATE", "maintenance.*")];
    let managers = managers.map(|(name, action, event_type)| {
        let tenant = Stack::of(name);
        tenant.boot(FULL / 2, "quarter", &json!({}));
        let manager = Manager::of(name, action, 2);
        manager.raise_alarm(&tenant, event_type);
        manager
    });
    let first = ids(&stack);
    let fenix = Fenix::start();
    let session = fenix.begin(&json!({}));
    let over = AtomicBool::new(false);
    let (end, alone) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| left_alone(&over));
        let end = wait_for_end(&session);
        over.store(true, Ordering::Relaxed);
        (end, watching.join().unwrap())
    });
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    check_whole(&stack, FULL);
    // Nobody evacuated what was being worked on, and everybody is watched again.
    assert_eq!(alone, COMPUTES.map(str::to_owned).into());
    assert_eq!(stack.watched(), COMPUTES.map(|host| (host.to_owned(), false)).into());
    for manager in managers {
        let states = manager.states();
        for state in ["MAINTENANCE", "SCALE_IN", "INSTANCE_ACTION_DONE", "MAINTENANCE_COMPLETE"] {
            assert!(states.contains(state), "{states:?}");
        }
    }
    // Every server that was there all the time left the host on which it was.
    let moved: BTreeMap<String, usize> =
        ids(&stack).intersection(&first).map(|id| (id.clone(), moves(&stack, id))).collect();
    assert!(!moved.is_empty() && moved.values().all(|count| *count >= 1), "{moved:?}");
    check_heard(&mut listener);
}

#[test]
fn servers_go_where_the_cards_are_that_they_need() {
    let stack = Stack::clean();
    let with_cards = &COMPUTES[..3];
    for host in with_cards {
        stack.offer(host, "CUSTOM_CARD", 1);
    }
    let card = stack.flavor_with("card", &json!({"resources:CUSTOM_CARD": "1"}));
    let tenant = Stack::of("demo");
    // The emptiest hosts are those without: plain room is everywhere.
    tenant.boot(4, "quarter", &json!({}));
    let needy = tenant.boot(2, &card, &json!({}));
    let manager = Manager::of("demo", "LIVE_MIGRATE", 1);
    manager.raise_alarm(&tenant, "maintenance.scheduled");
    let fenix = Fenix::start();
    let session = fenix.begin(&json!({}));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    check_whole(&stack, 6);
    for id in needy {
        assert!(with_cards.contains(&stack.host_of(&id).as_str()), "{id}");
        assert!(moves(&stack, &id) >= 1, "{id} never left its host");
    }
    // It was planned so: Nova refused nothing.
    let lines = end["lines"].to_string();
    assert!(!lines.contains("refused"), "{lines}");
}

/// Two tenants, each with two servers that are to be apart and two that need not, on computes of which two may be out at once.
/// One tenant states that its pair bears nothing, and thinks better of it in the middle.
#[test]
fn applications_with_limits_are_maintained_two_hosts_at_a_time() {
    let stack = Stack::clean();
    let fenix = Fenix::start();
    let mut pairs = Vec::new();
    let mut managers = Vec::new();
    for (name, action) in [("demo", "MIGRATE"), ("demo2", "LIVE_MIGRATE")] {
        let tenant = Stack::of(name);
        let group = tenant.group("pair", "anti-affinity");
        let pair = tenant.boot(2, "quarter", &json!({"os:scheduler_hints": {"group": group}}));
        tenant.boot(2, "quarter", &json!({}));
        let manager = Manager::of(name, action, 1);
        manager.raise_alarm(&tenant, "maintenance.scheduled");
        pairs.push((tenant, group, pair));
        managers.push(manager);
    }
    let bears = |(tenant, group, _): &(Stack, String, Vec<String>), most: u32| {
        let url = format!("{}/v1/instance_group/{group}", fenix.url);
        let body = json!({"group_id": group, "project_id": tenant.project, "group_name": "pair",
            "anti_affinity_group": true, "max_instances_per_host": 1, "max_impacted_members": most, "recovery_time": 2,
            "resource_mitigation": true});
        assert_eq!(tenant.ask(Method::PUT, &url, Some(&body)).0, 200);
    };
    bears(&pairs[0], 0);
    bears(&pairs[1], 1);
    let begun = fenix.begin_of("vnf", &json!({"hosts_at_once": 2}));
    let over = AtomicBool::new(false);
    let (end, most_out) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| most_out(&over));
        let maintained = || {
            let hosts = get(&format!("{begun}/detail")).good()["hosts"].clone();
            hosts.as_array().unwrap().iter().filter(|host| host["stage"] == "maintained").count()
        };
        stack.wait("the hosts without the pair that bears nothing", || maintained() == 2);
        assert!(pairs[0].2.iter().all(|server| moves(&stack, server) == 0), "a member of it was moved");
        bears(&pairs[0], 1);
        let end = wait_for_end(&begun);
        over.store(true, Ordering::Relaxed);
        (end, watching.join().unwrap())
    });
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(most_out, 2);
    check_whole(&stack, 8);
    for (_, _, pair) in &pairs {
        assert!(pair.iter().all(|server| moves(&stack, server) >= 1));
        assert_ne!(stack.host_of(&pair[0]), stack.host_of(&pair[1]));
    }
    for manager in managers {
        // There was room all the time.
        assert!(!manager.states().contains("SCALE_IN"));
    }
}

/// The most computes that were seen out of service at once until `over`.
fn most_out(over: &AtomicBool) -> usize {
    let stack = Stack::admin();
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        let out = stack.computes().values().filter(|service| service["status"] != "enabled").count();
        most = most.max(out);
        let_pass(GLANCE_EVERY);
    }
    most
}

/// What a listener with oslo.messaging must have heard: each host went out of service once and came back.
fn check_heard(listener: &mut Listener) {
    let is_last = |event: &Value| {
        event["event_type"] == "maintenance.session" && event["payload"]["state"] == "MAINTENANCE_DONE"
    };
    let heard = listener.until(is_last);
    let foreign = |event: &&Value| event["publisher_id"] != "fenix" || event["payload"]["service"] != "fenix";
    assert_eq!(heard.iter().find(foreign), None);
    let own = heard.last().unwrap()["payload"]["project_id"].clone();
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mine =
        |event: &&Value| event["event_type"] == "maintenance.host" && event["payload"]["project_id"] == own;
    for event in heard.iter().filter(mine) {
        let text = |name: &str| event["payload"][name].as_str().unwrap().to_owned();
        hosts.entry(text("host")).or_default().push(text("state"));
    }
    let expected = COMPUTES.map(|host| {
        (host.to_owned(), ["IN_MAINTENANCE", "MAINTENANCE_COMPLETE"].map(str::to_owned).to_vec())
    });
    assert_eq!(hosts, expected.into());
}
