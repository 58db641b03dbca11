//! Keystone's tokens at Fenix' door, and Fenix in Keystone's catalog.

use serde_json::json;

use super::fenix::{Fenix, configure};
use super::stack::Stack;
use crate::http::{call, call_as};
use crate::process::run;

#[test]
fn tokens_of_keystone_open_the_door_as_far_as_their_roles_go() {
    let (admin, demo) = (Stack::clean(), Stack::of("demo"));
    let server = demo.boot(1, "small", &json!({})).remove(0);
    let roles = "[keystone]\nadministrators = [\"admin\"]\nprojects = [\"member\"]\n";
    let fenix = Fenix::start_with(roles);
    let check = |token: Option<&str>, method: &str, path: &str, body: &[u8], expected: u16| {
        let url = format!("{}{path}", fenix.url);
        let reply = match token {
            Some(token) => call_as(Some(token), method, &url, body),
            None => call(method, &url, body),
        };
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.body);
    };
    let (own, foreign) = (demo.project.as_str(), Stack::of("demo2"));
    let constraint = |project: &str| {
        json!({"instance_id": server, "project_id": project, "group_id": "g", "instance_name": "s",
            "max_interruption_time": 120, "migration_type": "MIGRATE", "resource_mitigation": true, "lead_time": 1})
        .to_string()
    };
    let path = format!("/v1/instance/{server}");
    check(None, "GET", "/v1/maintenance", b"", 401);
    check(Some("gAAAAAB-no-such-token"), "GET", "/v1/maintenance", b"", 401);
    check(Some(&admin.token), "GET", "/v1/maintenance", b"", 200);
    check(Some(&demo.token), "POST", "/v1/maintenance", b"{}", 403);
    check(Some(&demo.token), "PUT", &path, constraint(own).as_bytes(), 200);
    check(Some(&foreign.token), "GET", &path, b"", 403);
    check(Some(&foreign.token), "PUT", &path, constraint(&foreign.project).as_bytes(), 403);
}

/// Runs `fenix openstack`; whether it went well, and what it said.
fn openstack(what: &str, file: &str) -> (bool, String) {
    let output = run(&["openstack", what, "--config", file]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn an_installation_is_registered_and_checked() {
    let stack = Stack::clean();
    stack.unregister("maintenance");
    let dir = tempfile::tempdir().unwrap();
    let file = configure(dir.path(), "127.0.0.1:12347", "");
    let (good, said) = openstack("check", &file);
    assert!(!good && said.contains("MISSING  catalog    it has no service of type maintenance"), "{said}");
    assert_eq!(said.matches("MISSING").count(), 1, "{said}");
    let (good, said) = openstack("register", &file);
    assert!(good && said.contains("service fenix of type maintenance made"), "{said}");
    let url = "http://127.0.0.1:12347/v1".to_owned();
    let everywhere = ["admin", "internal", "public"].map(|interface| (interface.to_owned(), url.clone()));
    assert_eq!(stack.endpoints("maintenance"), everywhere.into());
    let (good, said) = openstack("register", &file);
    assert!(good && said.contains("already"), "{said}");
    let (good, said) = openstack("check", &file);
    assert!(good && said.contains("a notification came back as an alarm"), "{said}");
    assert_eq!(stack.alarms(), 0, "the check leaves nothing behind");
}
