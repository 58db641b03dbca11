//! Actions that tell services of OpenStack and ask them, with the real ones. The hosts are those of a simulated cloud that have
//! the same names.

use fenix_cloud::sim::spec::Span;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stack::{KEYSTONE, MASAKARI, Stack, rig_dir};
use crate::hostile::wait_until_gone;
use crate::http::{call, get};
use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for_end};

const HOST: &str = "compute-1";

/// A server that knows the rig's password and runs commands on this machine.
struct Scene {
    rig: Rig,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("password"), "rigpass").unwrap();
        let config =
            format!("[calls]\nsecrets = {{ rig = {:?} }}\n[remote]\nway = \"local\"\n", path("password"));
        std::fs::write(path("fenix.toml"), config).unwrap();
        let mut spec = small_cloud();
        // Long enough to be seen.
        spec.times.reboot_ms = Span::Fixed(4000);
        let home = format!("HOME={}", folder.path().display());
        let place = Place { through: vec!["env".to_owned(), home], ..Place::default() };
        Scene { rig: Rig::start_in(&spec, &["--config", &path("fenix.toml")], place), _folder: folder }
    }

    fn grant(&self, plugin: &str, rights: &[Value]) {
        let body = json!({ "rights": rights }).to_string();
        call("PUT", &self.rig.at(&format!("/v1/plugins/{plugin}/grant")), body.as_bytes()).good();
    }

    fn begin(&self, actions: Value) -> String {
        let mut body = sample_body(&[HOST]);
        body["actions"] = actions;
        self.rig.begin(&body)
    }
}

#[test]
fn the_action_has_masakari_leave_a_host_alone_until_it_is_back() {
    let stack = Stack::clean();
    stack.watch_computes();
    let scene = Scene::new();
    let _manager = scene.rig.manager(&[]);
    let rules = [
        format!("POST {KEYSTONE}/auth/tokens with rig"),
        format!("GET {MASAKARI}/*"),
        format!("PUT {MASAKARI}/segments/*"),
    ];
    scene.grant("masakari", &rules.map(|rule| json!({ "http": rule })));
    let masakari = |stage: &str, what: &str| {
        let auth =
            json!({ "url": KEYSTONE, "user": "admin", "project": "admin", "password": "{{secret:rig}}" });
        json!({ "plugin": "masakari", "type": stage, "metadata": { "auth": auth, "do": what } })
    };
    let work = json!({ "plugin": "reboot", "type": "compute" });
    let session = scene.begin(json!([masakari("host", "set"), work, masakari("gate", "clear")]));
    stack.wait("the host to be left alone", || stack.watched()[HOST]);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert!(stack.watched().values().all(|alone| !alone), "{:?}", stack.watched());
}

#[test]
fn the_upgrade_checks_of_services_say_whether_a_host_is_worked_on() {
    let scene = Scene::new();
    let _manager = scene.rig.manager(&[]);
    let path = |name: &str| rig_dir().join(name).display().to_string();
    let nova =
        [&path("venv/bin/nova-status"), "--config-file", &path("etc/nova/nova.conf"), "upgrade", "check"];
    let config = path("etc/keystone");
    // Nova's has no such flag, and ends as one that failed if it is given.
    let keystone = [&path("venv/bin/keystone-status"), "--config-dir", &config, "upgrade", "check", "--json"];
    let with_flag = [&nova[..], &["--json"]].concat();
    let rules = [nova.join(" "), keystone.join(" "), with_flag.join(" ")];
    scene.grant("upgrade-check", &rules.map(|rule| json!({ "remote": rule })));
    let check = |argv: &[&str], stage: &str, report: &str| {
        let session = scene.begin(json!([
            { "plugin": "upgrade-check", "type": "assess", "metadata": { "check": argv } },
            { "plugin": "noop", "type": "host" },
        ]));
        let end = wait_for_end(&session);
        assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
        let detail = get(&format!("{session}/detail")).good();
        assert_eq!(detail["hosts"][0]["stage"], stage, "{detail}");
        let calls = detail["action_plugin_instances"].as_array().unwrap();
        let check = calls.iter().find(|call| call["plugin"] == "upgrade-check").unwrap();
        assert!(check["report"].as_str().unwrap().contains(report), "{check}");
        call("DELETE", &session, b"").good();
        wait_until_gone(&session);
    };
    check(&nova, "maintained", "nova-status ended with status 0");
    check(&keystone, "maintained", "keystone-status finds nothing in the way");
    check(&with_flag, "quarantined", "nova-status ended with status 2");
}
