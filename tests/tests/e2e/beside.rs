//! What stands beside the work: hosts are assessed before anybody is asked, a gate stands behind each, and what is given up is
//! taken back. By the actions that come with Fenix, with commands that really run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fenix_cloud::sim::trace::{Actor, Happening};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{answer, serve};
use crate::http::{call, get};
use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// A server that runs commands here, whatever the host is.
struct Scene {
    rig: Rig,
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("fenix.toml"), "[remote]\nway = \"local\"\n").unwrap();
        let home = format!("HOME={}", folder.path().display());
        let place = Place { through: vec!["env".to_owned(), home], ..Place::default() };
        let rig = Rig::start_in(&small_cloud(), &["--config", &path("fenix.toml")], place);
        let scene = Scene { rig, folder };
        scene.grant("ssh-upgrade", &[json!({ "remote": "sh -c * x *" })]);
        scene.grant("upgrade-check", &[json!({ "remote": "sh -c * x *" })]);
        // A component asks for all that its code calls: of what no session here uses it is granted what does no harm.
        scene.grant(
            "health-gate",
            &[json!({ "remote": "grep --quiet * *" }), json!({ "http": "GET http://127.0.0.1:1/*" })],
        );
        scene
    }

    fn grant(&self, plugin: &str, rights: &[Value]) {
        let body = json!({ "rights": rights }).to_string();
        call("PUT", &self.rig.at(&format!("/v1/plugins/{plugin}/grant")), body.as_bytes()).good();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A program that does that with a host's name as `$1`.
    fn script(does: &str) -> Value {
        json!(["sh", "-c", does, "x", "{{host}}"])
    }

    /// What writes a word and a host's name down.
    fn notes(&self, word: &str) -> Value {
        Scene::script(&format!("echo {word} $1 >>'{}'", self.path("notes")))
    }

    fn begin(&self, hosts: &[&str], actions: &Value) -> String {
        let mut body = sample_body(hosts);
        body["actions"] = actions.clone();
        body["policies"] = json!({ "failed_action": "stop" });
        self.rig.begin(&body)
    }

    /// The hosts that Fenix took out.
    fn taken_out(&self) -> BTreeSet<String> {
        let trace = self.rig.trace();
        let hosts = trace.iter().filter_map(|event| match (&event.what, event.by) {
            (Happening::HostDisabled { host, .. }, Actor::Client) => Some(host.to_string()),
            _ => None,
        });
        hosts.collect()
    }
}

fn action(plugin: &str, stage: &str, metadata: Value) -> Value {
    json!({ "plugin": plugin, "type": stage, "metadata": metadata })
}

#[test]
fn hosts_that_need_nothing_or_cannot_be_upgraded_are_not_touched_and_nobody_is_asked_about_them() {
    let scene = Scene::new();
    let _manager = scene.rig.manager(&[]);
    let metadata = json!({
        "unless": Scene::script("test $1 = compute-2"),
        "install": scene.notes("installed"),
    });
    let check = json!({ "check": Scene::script("test $1 != compute-3 || exit 2") });
    let actions = json!([
        action("ssh-upgrade", "assess", metadata.clone()),
        action("upgrade-check", "assess", check),
        action("ssh-upgrade", "compute", metadata),
    ]);
    let session = scene.begin(&["compute-1", "compute-2", "compute-3"], &actions);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(scene.lines("notes"), ["installed compute-1"]);
    assert_eq!(scene.taken_out(), ["compute-1".to_owned()].into());
    let detail = get(&format!("{session}/detail")).good();
    let host = |name: &str| {
        let hosts = detail["hosts"].as_array().unwrap();
        hosts.iter().find(|host| host["hostname"] == name).unwrap().clone()
    };
    assert_eq!(host("compute-2")["stage"], "maintained", "{detail}");
    assert_eq!(host("compute-2")["details"], "not needed: sh says that there is nothing to do", "{detail}");
    let left_out = host("compute-3").to_string();
    assert!(left_out.contains("quarantined") && left_out.contains("upgrade-check"), "{left_out}");
    let asked: BTreeSet<&str> =
        detail["asks"].as_array().unwrap().iter().filter_map(|ask| ask["host"].as_str()).collect();
    assert_eq!(asked, ["compute-1"].into(), "{detail}");
}

#[test]
fn a_session_stands_still_behind_a_gate_that_says_stop_until_somebody_has_looked() {
    let mut scene = Scene::new();
    let health = scene.path("health");
    std::fs::write(&health, "ill").unwrap();
    let gate = json!({ "command": ["grep", "--quiet", "well", health], "every": 1, "looks": 2 });
    let work = json!({ "install": scene.notes("installed") });
    let actions = json!([action("ssh-upgrade", "host", work), action("health-gate", "gate", gate)]);
    let session = scene.begin(&["controller-1", "controller-2"], &actions);
    wait_for(&session, |_| scene.lines("notes").len() == 1);
    // Whatever becomes of the server meanwhile.
    scene.rig.crash_server();
    let parked = wait_for_end(&session);
    assert_eq!(parked["condition"], "parked", "{parked}");
    let detail = get(&format!("{session}/detail")).good().to_string();
    assert!(detail.contains("health-gate: after 2 looks"), "{detail}");
    assert_eq!(scene.lines("notes").len(), 1, "{detail}");
    std::fs::write(&health, "well").unwrap();
    call("PUT", &session, br#"{"state": "CONTINUE"}"#);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(scene.lines("notes").len(), 2);
}

#[test]
fn a_session_goes_on_once_an_address_has_said_often_enough_that_all_is_well() {
    let scene = Scene::new();
    let looks = Arc::new(AtomicUsize::new(0));
    let looked = Arc::clone(&looks);
    // Not well, well, not well again; then well whenever it is asked.
    let at = serve(move |_| {
        let rate = [0.5, 0.001, 0.5].get(looked.fetch_add(1, Ordering::SeqCst)).unwrap_or(&0.001);
        answer(200, "", &json!({ "data": { "rate": rate } }).to_string())
    });
    let asks = json!({ "http": format!("GET http://{at}/*") });
    scene.grant("health-gate", &[asks, json!({ "remote": "true" })]);
    let gate = json!({
        "url": format!("http://{at}/query"), "value": { "at": "/data/rate", "at_most": 0.01 }, "every": 1, "in_a_row": 2,
    });
    let work = json!({ "install": scene.notes("installed") });
    let actions = json!([action("ssh-upgrade", "host", work), action("health-gate", "gate", gate)]);
    let end = wait_for_end(&scene.begin(&["controller-1", "controller-2"], &actions));
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!((scene.lines("notes").len(), looks.load(Ordering::SeqCst)), (2, 5 + 2));
}

#[test]
fn what_was_begun_on_a_host_is_taken_back_once_when_the_session_fails() {
    let mut scene = Scene::new();
    let metadata = json!({
        "install": scene.notes("installed"),
        "verify": Scene::script("exit 1"),
        "undo": Scene::script(&format!("echo undone $1 >>'{}'; sleep 3", scene.path("notes"))),
    });
    let session = scene.begin(&["controller-1"], &json!([action("ssh-upgrade", "host", metadata)]));
    wait_for(&session, |_| scene.lines("notes").len() == 2);
    scene.rig.crash_server();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
    assert_eq!(scene.lines("notes"), ["installed controller-1", "undone controller-1"]);
    // It is still for somebody to look at.
    let detail = get(&format!("{session}/detail")).good().to_string();
    assert!(detail.contains("quarantined"), "{detail}");
}
