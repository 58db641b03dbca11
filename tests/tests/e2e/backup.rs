//! Backups of a running server, and what comes of them.

use serde_json::{Value, json};

use crate::http::get;
use crate::process::{Process, run};
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end, wait_ready};

#[track_caller]
fn check(args: &[&str], code: i32, expected: &str) -> String {
    let output = run(args);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(format!("{out}{err}").contains(expected), "{expected:?} is not in {out}{err}");
    out
}

#[test]
fn a_backup_of_a_running_session_is_restored_and_the_session_goes_on() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let component = rig.path("guest.wasm");
    std::fs::write(&component, crate::guest::action("", "")).unwrap();
    check(&["plugin", "attach", &component, "--url", &rig.url], 0, "attached");
    let session = rig.begin(&sample_body(&[]));
    wait_for(&session, |news| {
        news["lines"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["what"].as_str().unwrap().contains("working"))
    });
    let archive = rig.path("fenix.backup");
    let made = check(&["backup", &archive, "--url", &rig.url, "--output", "json"], 0, "sha256");
    let made: Value = serde_json::from_str(&made).unwrap();
    check(&["backup", &archive, "--url", &rig.url], 2, "is there already");

    // What was then is found in the restored directory: the same records, and every component.
    let restored = rig.path("restored");
    let told = check(&["restore", &archive, "--data-dir", &restored, "--output", "json"], 0, "sha256");
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), made);
    check(&["restore", &archive, "--data-dir", &restored], 1, "is not empty");
    check(&["store", "check", "--data-dir", &restored], 0, "nothing is hurt");
    let again = rig.path("again.backup");
    let same = check(&["backup", &again, "--data-dir", &restored, "--output", "json"], 0, "sha256");
    let same: Value = serde_json::from_str(&same).unwrap();
    for key in ["last_seq", "records"] {
        assert_eq!(same[key], made[key], "{key}");
    }

    // The first server ends its session; one on the restored directory finds the cloud as it is now, and ends it too.
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    let server = Process::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &restored,
        "--cloud",
        &rig.cloud.address,
    ]);
    wait_ready(&server.address);
    let id = session.rsplit('/').next().unwrap();
    let old = format!("{}/v1/maintenance/{id}", server.address);
    let plugins = get(&format!("{}/v1/plugins", server.address)).good();
    assert!(
        plugins["plugins"].as_array().unwrap().iter().any(|plugin| plugin["name"] == "guest"),
        "{plugins}"
    );
    let detail = get(&format!("{old}/detail")).good();
    assert_eq!(detail["hosts"].as_array().unwrap().len(), 5, "{detail}");
}

#[test]
fn what_is_no_whole_backup_is_refused_by_name() {
    let rig = Rig::start(&small_cloud());
    let archive = rig.path("fenix.backup");
    check(&["backup", &archive, "--url", &rig.url], 0, "holds");
    let bytes = std::fs::read(&archive).unwrap();
    let cut = rig.path("cut.backup");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let dir = rig.path("new");
    check(&["restore", &cut, "--data-dir", &dir], 1, "it was cut off after record");
    let mut altered = bytes.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    std::fs::write(&cut, altered).unwrap();
    check(&["restore", &cut, "--data-dir", &dir], 1, "use another one");
    check(&["restore", &component_like(&rig), "--data-dir", &dir], 1, "no backup that Fenix made");
    check(&["restore", "/nowhere/at/all", "--data-dir", &dir], 2, "cannot read /nowhere/at/all");
    assert!(!std::path::Path::new(&dir).exists());
    // A directory that a server has open is its own to back up.
    let data = rig.path("data");
    let offline = rig.path("offline.backup");
    check(&["backup", &offline, "--data-dir", &data], 1, "the server makes the backup while it runs");
    check(&["store", "check", "--data-dir", &data], 1, "in use");
    check(&["store", "compact", "--data-dir", &data], 1, "in use");
    check(&["store", "check", "--data-dir", "/nowhere/at/all"], 2, "no Fenix data directory");
    check(&["backup", "/nowhere/at/all", "--url", &rig.url], 1, "cannot write /nowhere/at/all");
    check(&["backup", &offline, "--url", "http://127.0.0.1:9"], 3, "fenix serve");
    assert!(!std::path::Path::new(&offline).exists());
}

fn component_like(rig: &Rig) -> String {
    let path = rig.path("something.wasm");
    std::fs::write(&path, "not a backup").unwrap();
    path
}

#[test]
fn a_journal_is_compacted_and_everything_goes_on() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let session = rig.begin(&sample_body(&[]));
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    crate::http::call("DELETE", &session, b"").good();
    let hosts = get(&rig.at("/v1/hosts")).good();
    let archive = rig.path("fenix.backup");
    check(&["backup", &archive, "--url", &rig.url], 0, "holds");
    let dir = rig.path("small");
    check(&["restore", &archive, "--data-dir", &dir], 0, "holds");
    check(&["store", "compact", "--data-dir", &dir], 0, "sessions without all of theirs: 0");
    let json = ["--retention-days", "0", "--output", "json"];
    let dry: Value = serde_json::from_str(&check(
        &[&["store", "compact", "--data-dir", &dir, "--dry-run"], &json[..]].concat(),
        0,
        "records",
    ))
    .unwrap();
    let done: Value = serde_json::from_str(&check(
        &[&["store", "compact", "--data-dir", &dir], &json[..]].concat(),
        0,
        "records",
    ))
    .unwrap();
    assert_eq!(done["records_after"], dry["records_after"]);
    assert!(
        done["records_after"].as_u64() < done["records_before"].as_u64().map(|before| before / 2),
        "{done}"
    );
    let id = session.rsplit('/').next().unwrap();
    assert_eq!(done["sessions"], json!([id]));
    let text = std::fs::read_to_string(format!("{dir}/archive/{id}.jsonl")).unwrap();
    assert!(text.contains("PLANNED_MAINTENANCE") || text.contains("planned_maintenance"), "{text}");
    check(&["store", "check", "--data-dir", &dir], 0, "left out by `fenix store compact`");

    // A server finds everything that was known, and a new session rolls.
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &dir, "--cloud", &rig.cloud.address];
    let server = Process::start(&args);
    wait_ready(&server.address);
    let now = get(&format!("{}/v1/hosts", server.address)).good();
    let maintained = |hosts: &Value| -> Vec<Value> {
        hosts["hosts"].as_array().unwrap().iter().map(|host| host["maintained"].clone()).collect()
    };
    assert_eq!(maintained(&now), maintained(&hosts));
    assert!(maintained(&now).iter().all(Value::is_object), "{now}");
    let url = format!("{}/v1/maintenance", server.address);
    let reply = crate::http::call_json("POST", &url, &sample_body(&["controller-1"])).good();
    let session = format!("{url}/{}", reply["session_id"].as_str().unwrap());
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
}
