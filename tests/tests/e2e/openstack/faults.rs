//! Sessions with something going wrong in the middle. Each ends well, or parks with a reason that names it, and goes
//! on once that is mended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fenix::{Fenix, Manager, SESSION_PATIENCE, wait_for_end};
use super::sessions::check_whole;
use super::stack::{COMPUTES, Stack, kill, knobs, let_pass, up};
use crate::http::{call_json, get};
use crate::rig::wait_for;

/// Servers of the tenant: half of what fits.
const SERVERS: usize = 8;

/// After so long Nova does not begin any more what it says it does: the order was lost with the message bus.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Terms under which nothing takes longer than it must.
fn terms() -> Value {
    json!({"settle_time": 10, "move_within": 120})
}

/// A session whose tenant has its servers moved that way.
struct Scene {
    stack: Stack,
    fenix: Fenix,
    session: String,
    manager: Manager,
}

impl Scene {
    fn begin(action: &'static str) -> Scene {
        Scene::begin_with(action, &terms(), &json!({}))
    }

    /// The same with other terms, on computes with these knobs.
    fn begin_with(action: &'static str, terms: &Value, turned: &Value) -> Scene {
        let stack = Stack::clean();
        let tenant = Stack::of("demo");
        tenant.boot(SERVERS, "quarter", &json!({}));
        let manager = Manager::of("demo", action, 1);
        manager.raise_alarm(&tenant, "maintenance.scheduled");
        turn(turned);
        let fenix = Fenix::start();
        let session = fenix.begin(terms);
        Scene { stack, fenix, session, manager }
    }

    /// Waits until one of the session's lines says that.
    #[track_caller]
    fn wait_until(&self, moment: &str) {
        wait_for(&self.session, |news| {
            let lines = news["lines"].as_array().unwrap();
            let says = |line: &Value, key: &str| line[key].as_str().unwrap().contains(moment);
            lines.iter().any(|line| says(line, "what") || says(line, "why"))
        });
    }

    /// Waits for the end, which must be a good one.
    #[track_caller]
    fn end_well(self) {
        let end = wait_for_end(&self.session);
        assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
        check_whole(&self.stack, SERVERS);
    }

    /// Waits until the session says that this is what it waits for.
    #[track_caller]
    fn wait_blocked(&self, by: &str) {
        let url = format!("{}/blockers", self.session);
        self.stack.wait(&format!("the blocker {by}"), || get(&url).good().to_string().contains(by));
    }

    /// Does what administrators do, to a good end: puts servers right that Nova left in error or forgot, and lets the session go
    /// on whenever it has parked.
    #[track_caller]
    fn tend_to_the_end(self) {
        let mut busy: BTreeMap<String, Instant> = BTreeMap::new();
        self.stack.wait_within(SESSION_PATIENCE, "the session to end", || {
            for server in self.stack.servers() {
                let id = server["id"].as_str().unwrap().to_owned();
                if server["OS-EXT-STS:task_state"].is_null() {
                    busy.remove(&id);
                } else {
                    busy.entry(id.clone()).or_insert_with(Instant::now);
                }
                let is_long = busy.get(&id).is_some_and(|since| since.elapsed() > FORGOTTEN_AFTER);
                let is_forgotten = is_long && !self.stack.is_migrating(&id);
                if server["status"] == "ERROR" || is_forgotten {
                    self.stack.act(&id, &json!({"os-resetState": {"state": "active"}}));
                }
            }
            let condition = get(&self.session).good()["condition"].clone();
            if condition == "parked" {
                call_json("PUT", &self.session, &json!({})).good();
            }
            condition == "ended"
        });
        self.end_well();
    }
}

/// Turns the knobs of every compute.
fn turn(to: &Value) {
    for host in COMPUTES {
        knobs(host, to);
    }
}

#[test]
fn fenix_is_killed_in_the_middle_of_migrations() {
    let mut scene = Scene::begin_with("MIGRATE", &terms(), &json!({"migrate_seconds": 4}));
    for _ in 0..2 {
        scene.wait_until("MIGRATE");
        scene.fenix.crash();
    }
    scene.end_well();
}

#[test]
fn a_migration_that_fails_is_tried_again_once_nova_is_put_right() {
    let scene = Scene::begin_with("MIGRATE", &terms(), &json!({"migrate_fail": true}));
    // Nova leaves them in error; whoever administers it puts them right.
    scene.wait_blocked("is Error");
    turn(&json!({}));
    scene.tend_to_the_end();
}

#[test]
fn a_live_migration_that_hangs_is_aborted() {
    let terms = json!({"settle_time": 30, "move_within": 10});
    let scene = Scene::begin_with("LIVE_MIGRATE", &terms, &json!({"live_migration_seconds": 600}));
    scene.wait_until("the instance came back to its host");
    turn(&json!({}));
    scene.end_well();
}

#[test]
fn a_live_migration_that_hangs_is_completed_where_the_terms_say_so() {
    let terms = json!({"settle_time": 30, "move_within": 10, "policies": {"slow_live": "complete"}});
    let scene = Scene::begin_with("LIVE_MIGRATE", &terms, &json!({"live_migration_seconds": 600}));
    scene.wait_blocked("0 % done");
    let stack = Stack::admin();
    scene.end_well();
    // Nothing was given up, and nothing went another way.
    let migrations = stack.nova("/os-migrations?limit=20")["migrations"].clone();
    for migration in migrations.as_array().unwrap().iter().take(SERVERS) {
        let text = |key: &str| migration[key].as_str().unwrap();
        assert_eq!((text("migration_type"), text("status")), ("live-migration", "completed"), "{migration}");
    }
}

#[test]
fn the_host_in_hand_dies_and_what_was_on_it_is_rebuilt() {
    let scene = Scene::begin("MIGRATE");
    let word = scene.manager.word.clone();
    let silence = word.lock().unwrap();
    let in_hand = || {
        let computes = scene.stack.computes();
        computes.into_iter().find(|(_, service)| service["status"] == "disabled").map(|(host, _)| host)
    };
    scene.stack.wait("a host to be fenced", || in_hand().is_some());
    let host = in_hand().unwrap();
    kill(&format!("nova-{host}"));
    // Whoever cut its power says so.
    scene.stack.set_compute(&host, &json!({"forced_down": true}));
    drop(silence);
    // Nothing begins on it, and nothing is left on it.
    scene.wait_blocked(&format!("{host} is down"));
    let servers = scene.stack.servers();
    assert!(servers.iter().all(|server| server["OS-EXT-SRV-ATTR:host"] != host.as_str()), "{servers:?}");
    up();
    scene.stack.take_back(&host);
    scene.end_well();
}

#[test]
fn the_message_bus_is_away_for_a_while() {
    let scene = Scene::begin("LIVE_MIGRATE");
    scene.wait_until("LIVE_MIGRATE");
    kill("rabbitmq");
    let_pass(Duration::from_secs(10));
    up();
    // Orders that Nova's own services had given each other may be lost with it.
    scene.tend_to_the_end();
}

#[test]
fn nova_is_away_for_a_while() {
    let scene = Scene::begin("MIGRATE");
    scene.wait_until("MIGRATE");
    kill("nova-api");
    let_pass(Duration::from_secs(60));
    up();
    scene.end_well();
}

#[test]
fn the_token_becomes_worthless_in_the_middle() {
    let scene = Scene::begin("MIGRATE");
    scene.wait_until("MIGRATE");
    scene.stack.revoke_tokens("fenix");
    scene.end_well();
}

#[test]
fn a_compute_dies_and_its_operators_evacuate_it() {
    let scene = Scene::begin("MIGRATE");
    // The one that comes first is the emptiest; its neighbour dies meanwhile.
    scene.wait_until("fenced");
    let servers = scene.stack.servers();
    let host = servers[0]["OS-EXT-SRV-ATTR:host"].as_str().unwrap().to_owned();
    kill(&format!("nova-{host}"));
    scene.stack.set_compute(&host, &json!({"forced_down": true}));
    scene.stack.wait("it to show as down", || scene.stack.computes()[&host]["state"] == "down");
    for server in scene.stack.servers() {
        let id = server["id"].as_str().unwrap();
        let is_there = scene.stack.host_of(id) == host;
        // What was on its way from it waits for it; what rests there is rebuilt.
        if is_there && server["OS-EXT-STS:task_state"].is_null() && server["status"] == "ACTIVE" {
            scene.stack.act(id, &json!({"evacuate": {}}));
            // As Nova leaves it.
            scene.stack.wait("it to be rebuilt", || scene.stack.server(id)["status"] == "SHUTOFF");
            scene.stack.act(id, &json!({"os-start": null}));
        }
    }
    up();
    scene.stack.take_back(&host);
    scene.tend_to_the_end();
}

#[test]
fn a_tenant_deletes_and_boots_servers_all_the_while() {
    let scene = Scene::begin("MIGRATE");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let tenant = Stack::of("demo");
            while !over.load(Ordering::Relaxed) {
                let servers = tenant.servers();
                let quiet = servers
                    .iter()
                    .find(|server| server["status"] == "ACTIVE" && server["OS-EXT-STS:task_state"].is_null());
                if let Some(server) = quiet {
                    tenant.delete(server["id"].as_str().unwrap());
                    tenant.boot(1, "quarter", &json!({}));
                }
            }
        });
        let end = wait_for_end(&scene.session);
        over.store(true, Ordering::Relaxed);
        assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    });
    check_whole(&scene.stack, SERVERS);
}
