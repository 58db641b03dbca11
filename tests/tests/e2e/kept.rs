//! Packages that administrators put on a server: for sessions at a site without a network, and for hosts under maintenance.

use std::io::Write;

use serde_json::{Value, json};

use crate::http::{Reply, call, call_json, get, raw};
use crate::packages::{Scene, component, sha256};
use crate::process::run;
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

/// Content that is JSON: what reads answers here reads nothing else.
const CONTENT: &[u8] = b"1234567890";

/// Fetches a part of something as a host does it.
fn fetch(url: &str, range: Option<&str>) -> Reply {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_at(rest.find('/').unwrap());
    let range = range.map(|range| format!("Range: bytes={range}\r\n")).unwrap_or_default();
    raw(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{range}Connection: close\r\n\r\n").as_bytes(),
    )
}

#[test]
fn a_package_that_was_put_there_is_fetched_by_hosts_at_addresses_that_were_signed() {
    let mut rig = Rig::start(&small_cloud());
    let digest = sha256(CONTENT);
    let place = |rig: &Rig| rig.at(&format!("/v1/packages/{digest}"));
    let ask = |rig: &Rig, body: Value| call_json("POST", &format!("{}/address", place(rig)), &body);
    assert_eq!(ask(&rig, json!({ "host": "compute-1" })).status, 404, "it is not here yet");
    for _ in 0..2 {
        let here = call("PUT", &place(&rig), CONTENT).good();
        assert_eq!((&here["bytes"], &here["kept"]), (&json!(10), &json!(true)));
    }
    for (name, body, status, expected) in [
        ("00".repeat(32), CONTENT, 422, "what came has 10 bytes and the digest"),
        (digest[1..].to_owned(), CONTENT, 422, "the path names no package"),
    ] {
        let reply = call("PUT", &rig.at(&format!("/v1/packages/{name}")), body);
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(reply.body.to_string().contains(expected), "{}", reply.body);
    }
    for body in [json!({}), json!({ "host": "" }), json!({ "host": "x", "for": 1 })] {
        assert_eq!(ask(&rig, body).status, 422);
    }
    let url = ask(&rig, json!({ "host": "compute-1" })).good()["url"].as_str().unwrap().to_owned();
    let check = |url: &str, range: Option<&str>, status: u16, expected: Value| {
        let reply = fetch(url, range);
        assert_eq!(reply.status, status, "{}", reply.body);
        if status < 300 {
            assert_eq!(reply.body, expected);
        }
    };
    check(&url, None, 200, json!(1_234_567_890));
    check(&url, Some("5-"), 206, json!(67_890));
    check(&url.replace("compute-1", "compute-2"), None, 403, Value::Null);
    check(&url.replace("until=1", "until=2"), None, 403, Value::Null);
    check(url.split('?').next().unwrap(), None, 403, Value::Null);
    // A crash of the server in the middle of a download changes nothing for the host.
    rig.crash_server();
    check(&url, Some("5-"), 206, json!(67_890));
    let listed = get(&rig.at("/v1/packages")).good();
    assert_eq!(listed["packages"][0]["sha256"], digest);
    let audit = get(&rig.at("/v1/audit")).good();
    assert!(audit.to_string().contains("\"keep-package\""), "{audit}");
    // What a backup does not hold is put there again.
    rig.kill_server();
    std::fs::remove_file(format!("{}/packages/{digest}", rig.path("data"))).unwrap();
    rig.start_again();
    check(&url, None, 404, Value::Null);
    call("PUT", &place(&rig), CONTENT).good();
    check(&url, None, 200, json!(1_234_567_890));
    call("DELETE", &place(&rig), b"").good();
    check(&url, None, 404, Value::Null);
    assert_eq!(get(&rig.at("/v1/packages")).good()["packages"], json!([]));
}

#[test]
fn packages_are_carried_to_a_site_without_a_network() {
    let scene = Scene::new("");
    let packages = scene.components();
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("download.json"), json!(packages).to_string()).unwrap();
    let fenix = |args: &[&str], expected: &str| {
        let output = run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let export = |name: &str, expected: &str| {
        let (dest, list, config) = (path(name), path("download.json"), scene.config());
        fenix(&["bundle", "export", &dest, "--download", &list, "--config", &config], expected).0
    };
    assert_eq!(export("all.bundle", "holds 2 packages"), Some(0));
    assert_eq!(export("all.bundle", "cannot write"), Some(1), "it is there already");
    std::fs::write(
        path("download.json"),
        json!([{ "url": packages[0]["url"], "sha256": packages[1]["sha256"] }]).to_string(),
    )
    .unwrap();
    assert_eq!(export("wrong.bundle", "its content has the digest"), Some(1));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "nothing is left of what failed");

    // There, the repository's address leads nowhere.
    std::fs::write(path("fenix.toml"), format!("[packages]\nallow = [{:?}]\n", scene.repository.url("")))
        .unwrap();
    scene.repository.close();
    let mut site = Rig::start_with(&small_cloud(), &["--config", &path("fenix.toml")]);
    let _manager = site.manager(&[]);
    let import = |site: &Rig, expected: &str| {
        fenix(&["bundle", "import", &path("all.bundle"), "--url", &site.url], expected)
    };
    let (code, list) = import(&site, "is sent");
    assert_eq!(code, Some(0));
    site.crash_server();
    assert_eq!(import(&site, "is there").0, Some(0), "what is there is not sent again");
    let list: Value = serde_json::from_str(&list).unwrap();
    let session = site.begin(&scene.body(list.as_array().unwrap()));
    let removed =
        call("DELETE", &site.at(&format!("/v1/packages/{}", list[0]["sha256"].as_str().unwrap())), b"");
    assert_eq!(removed.status, 409, "{}", removed.body);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

#[test]
fn what_is_no_bundle_is_said_and_nothing_of_it_is_kept() {
    let rig = Rig::start(&small_cloud());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("x");
    let check = |content: &[u8], expected: &str| {
        std::fs::File::create(&file).unwrap().write_all(content).unwrap();
        let output = run(&["bundle", "import", file.to_str().unwrap(), "--url", &rig.url]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains(expected)), (Some(2), true), "{said}");
    };
    check(b"", "is no bundle: its first file must be download.json");
    check(&component("noop", "mine"), "is no bundle");
    assert_eq!(get(&rig.at("/v1/packages")).good()["packages"], json!([]));
    let mut body = sample_body(&["compute-1"]);
    body["download"] = json!([{ "url": "http://127.0.0.1/x", "sha256": sha256(b"x") }]);
    assert_eq!(rig.post(&body).status, 422);
}
