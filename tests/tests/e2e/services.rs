//! Actions that tell other services, against small ones written here after what those say of themselves: Keystone, Masakari,
//! Vitrage, Blazar and Shipyard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{self, Asked};
use crate::http::{call, get};
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

const SECRET: &str = "a-tiger-in-the-night";

/// What Keystone gives out.
const TOKEN: &str = "gAAAAAB-a-token";

const SEGMENT: &str = "5fd9f925-0379-40db-a7f8-4a1d5a0a9e34";
const MEMBER: &str = "083a8474-22c0-407f-b89b-c569134c3bfd";
const ACTION: &str = "01BTTMFVDKZFRJM80FGD7J1AKN";

/// The time by Keystone's clock, and when a lease of compute-2 begins: two hours later.
const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const RESERVED: (&str, &str) = ("1994-11-06T10:49:00.000000", "1994-11-06T20:00:00.000000");

/// How the services stand.
#[derive(Default)]
struct Site {
    /// Whether Masakari leaves compute-1 alone, each time that this was set.
    masakari: Vec<bool>,
    /// Events that Vitrage was sent.
    vitrage: Vec<Value>,
    /// What Shipyard was told to do.
    shipyard: Vec<Value>,
    /// Looks at that.
    looks: u32,
}

impl Site {
    /// The services, all of them at one address.
    fn start() -> (SocketAddr, Arc<Mutex<Site>>) {
        let site = Arc::new(Mutex::new(Site::default()));
        let own = Arc::clone(&site);
        let at = api::serve(move |asked| {
            let at = asked.header("host").unwrap().to_owned();
            let (status, headers, body) = own.lock().unwrap().hear(&at, &asked);
            api::answer(status, &headers, &body.to_string())
        });
        (at, site)
    }

    fn hear(&mut self, at: &str, asked: &Asked) -> (u16, String, Value) {
        let plain = |status: u16, body: Value| (status, String::new(), body);
        let words: Vec<&str> = asked.line.split(' ').collect();
        let [method, path, _] = words[..] else { return plain(400, json!({})) };
        let sent = || serde_json::from_str::<Value>(&asked.body).unwrap();
        if (method, path) == ("POST", "/identity/v3/auth/tokens") {
            let password = sent().pointer("/auth/identity/password/user/password").cloned();
            return match password == Some(json!(SECRET)) {
                true => (201, format!("x-subject-token: {TOKEN}\r\ndate: {NOW}\r\n"), catalog(at)),
                false => plain(401, json!({ "error": "who are you?" })),
            };
        }
        if asked.header("x-auth-token") != Some(TOKEN) {
            return plain(401, json!({ "error": "no token" }));
        }
        let host = |name: &str| json!({ "id": 1, "hypervisor_hostname": name });
        let segment = format!("/ha/v1/segments/{SEGMENT}/hosts");
        match (method, path) {
            ("GET", "/ha/v1/segments") => plain(200, json!({ "segments": [{ "uuid": SEGMENT }] })),
            ("GET", path) if path == segment => {
                let on = self.masakari.last().copied().unwrap_or_default();
                let member = json!({ "uuid": MEMBER, "name": "compute-1", "on_maintenance": on });
                plain(200, json!({ "hosts": [member] }))
            }
            ("PUT", path) if path == format!("{segment}/{MEMBER}") => {
                self.masakari.push(sent()["host"]["on_maintenance"].as_bool().unwrap());
                plain(200, json!({ "host": {} }))
            }
            ("POST", "/rca/v1/event/") => {
                self.vitrage.push(sent());
                plain(200, json!({}))
            }
            ("GET", "/reservation/v1/os-hosts") => plain(200, json!({ "hosts": [host("compute-2")] })),
            ("GET", "/reservation/v1/os-hosts/1/allocation") => {
                let (start, end) = RESERVED;
                let lease = json!({ "lease_id": "lease-7", "start_date": start, "end_date": end });
                plain(200, json!({ "allocation": { "reservations": [lease] } }))
            }
            ("GET", "/shipyard/api/v1.0/actions") => plain(200, json!(self.shipyard)),
            ("POST", "/shipyard/api/v1.0/actions") => {
                let mut action = sent();
                action["id"] = json!(ACTION);
                self.shipyard.push(action.clone());
                plain(201, action)
            }
            ("GET", "/shipyard/api/v1.0/actions/01BTTMFVDKZFRJM80FGD7J1AKN") => {
                self.looks += 1;
                let lifecycle = if self.looks < 4 { "Processing" } else { "Complete" };
                plain(200, json!({ "id": ACTION, "action_lifecycle": lifecycle }))
            }
            _ => plain(404, json!({ "error": format!("no {method} {path}") })),
        }
    }
}

fn catalog(at: &str) -> Value {
    let services = [
        ("instance-ha", "ha/v1"),
        ("rca", "rca"),
        ("reservation", "reservation/v1"),
        ("shipyard", "shipyard/api/v1.0"),
    ];
    let entry = |(of, path): (&str, &str)| {
        let url = format!("http://{at}/{path}");
        json!({ "type": of, "endpoints": [{ "interface": "public", "region": "one", "url": url }] })
    };
    json!({ "token": { "catalog": services.map(entry) } })
}

/// A server with an account, and the services that it may call.
struct Scene {
    rig: Rig,
    at: SocketAddr,
    site: Arc<Mutex<Site>>,
    _folder: TempDir,
}

impl Scene {
    fn new(password: &str) -> Scene {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("password"), password).unwrap();
        let config = format!("[calls]\nsecrets = {{ fenix-password = {:?} }}\n", path("password"));
        std::fs::write(path("fenix.toml"), config).unwrap();
        let rig = Rig::start_with(&small_cloud(), &["--config", &path("fenix.toml")]);
        let (at, site) = Site::start();
        let scene = Scene { rig, at, site, _folder: folder };
        scene.grant("masakari", &["GET /ha/v1/*", "PUT /ha/v1/segments/*"]);
        scene.grant("vitrage", &["POST /rca/v1/event/"]);
        scene.grant("blazar", &["GET /reservation/v1/*"]);
        scene.grant("airship", &["GET,POST /shipyard/api/v1.0/*"]);
        scene
    }

    /// Lets an action call Keystone, and what else is said by method and path.
    fn grant(&self, plugin: &str, calls: &[&str]) {
        let login = format!("POST http://{}/identity/v3/auth/tokens with fenix-password", self.at);
        let full = calls.iter().map(|call| call.replacen(" /", &format!(" http://{}/", self.at), 1));
        let rights: Vec<Value> =
            std::iter::once(login).chain(full).map(|rule| json!({ "http": rule })).collect();
        let body = json!({ "rights": rights }).to_string();
        call("PUT", &self.rig.at(&format!("/v1/plugins/{plugin}/grant")), body.as_bytes()).good();
    }

    /// An entry of a session's list of actions.
    fn action(&self, plugin: &str, stage: &str, says: Value) -> Value {
        let mut metadata = says;
        let url = format!("http://{}/identity/v3", self.at);
        metadata["auth"] = json!({
            "url": url, "user": "fenix", "project": "service", "password": "{{secret:fenix-password}}",
        });
        json!({ "plugin": plugin, "type": stage, "metadata": metadata })
    }

    fn begin(&self, hosts: &[&str], actions: Value) -> String {
        let mut body = sample_body(hosts);
        body["actions"] = actions;
        body["policies"] = json!({ "failed_action": "stop" });
        self.rig.begin(&body)
    }

    fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }
}

#[test]
fn others_are_told_and_asked_about_a_host_whatever_becomes_of_fenix() {
    let mut scene = Scene::new(SECRET);
    let _manager = scene.rig.manager(&[]);
    let actions = json!([
        scene.action("blazar", "assess", json!({ "hours": 4 })),
        scene.action("airship", "compute", json!({ "name": "redeploy_server", "every": 1 })),
        scene.action("masakari", "host", json!({ "do": "set" })),
        scene.action("masakari", "gate", json!({ "do": "clear" })),
        scene.action("vitrage", "host", json!({ "say": "down" })),
        scene.action("vitrage", "gate", json!({ "say": "up" })),
    ]);
    let session = scene.begin(&["compute-1", "compute-2"], actions);
    wait_for(&session, |_| scene.site().looks >= 1);
    scene.rig.crash_server();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let site = scene.site();
    let [told] = &site.shipyard[..] else { panic!("{:?}", site.shipyard) };
    assert_eq!(
        (&told["name"], &told["parameters"]["target_nodes"]),
        (&json!("redeploy_server"), &json!(["compute-1"]))
    );
    assert_eq!(site.masakari, [true, false]);
    let told = |event: &Value| {
        let (details, text) =
            (&event["details"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        assert_eq!(
            (text(&event["type"]), text(&details["hostname"])),
            ("compute.host.down".into(), "compute-1".into())
        );
        assert_eq!(text(&event["time"]), "1994-11-06T08:49:37.000000");
        text(&details["status"])
    };
    assert_eq!(site.vitrage.iter().map(told).collect::<Vec<_>>(), ["down", "up"]);
    let detail = get(&format!("{session}/detail")).good();
    let hosts = detail["hosts"].as_array().unwrap();
    let reserved = hosts.iter().find(|host| host["hostname"] == "compute-2").unwrap();
    assert_eq!(reserved["stage"], "quarantined");
    let why = reserved["details"].as_str().unwrap();
    assert!(why.contains("compute-2 is reserved in Blazar by lease lease-7, which begins at"), "{why}");
    for place in ["detail", "decisions"] {
        let shown = get(&format!("{session}/{place}")).good().to_string();
        assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
    }
}

#[test]
fn an_account_that_keystone_does_not_know_fails_the_action_and_says_so() {
    let scene = Scene::new("another-word");
    let actions = json!([scene.action("vitrage", "host", json!({ "say": "down" }))]);
    let session = scene.begin(&["controller-1"], actions);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
    let shown = get(&format!("{session}/decisions")).good().to_string();
    assert!(shown.contains("/identity/v3/auth/tokens answers 401"), "{shown}");
    assert!(!shown.contains("another-word"), "{shown}");
    assert!(scene.site().vitrage.is_empty());
}
