//! Hostile plug-ins in a running server: each is refused or ended by name, its session waits for somebody to look,
//! and everybody else goes on.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guest::{action, manifest, named, shell, workflow};
use crate::http::{call, get};
use crate::process::run;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

pub(crate) fn forever(body: &str) -> String {
    format!("(loop $again {body} (br $again))")
}

#[test]
fn plug_ins_that_loop_or_eat_are_ended_by_name_and_everybody_else_goes_on() {
    let folder = TempDir::new().unwrap();
    let eat = forever("(drop (memory.grow (i32.const 16)))");
    for (name, component) in [
        ("loopw", workflow(&forever("(nop)"), "")),
        ("eater", workflow(&eat, "")),
        ("loopa", action(&forever("(nop)"), "")),
        ("eatea", action(&eat, "")),
    ] {
        std::fs::write(folder.path().join(format!("{name}.wasm")), named(&component, name)).unwrap();
    }
    let rig = Rig::start_with(&small_cloud(), &["--plugin-dir", folder.path().to_str().unwrap()]);
    let _manager = rig.manager(&[]);

    let parked = |workflow: &str, expected: &str| {
        let mut body = sample_body(&["compute-1"]);
        body["workflow"] = json!(workflow);
        let session = rig.begin(&body);
        let end = wait_for(&session, |news| news["condition"] == "parked");
        assert!(end["reason"].as_str().unwrap().contains(expected), "{end}");
        let blockers = get(&format!("{session}/blockers")).good();
        assert_eq!(blockers["blockers"][0]["what"], "parked", "{blockers}");
        call("DELETE", &session, b"").good();
        wait_until_gone(&session);
    };
    parked("loopw", "loopw: it computed for too long");
    parked("eater", "eater: it wanted more than 64 MiB of memory");

    let failed = |stage: &str, action: &str, expected: &str| {
        call("PUT", &rig.at(&format!("/v1/plugins/{action}/grant")), b"").good();
        let mut body = sample_body(&["controller-1"]);
        body["actions"] = json!([{ "plugin": action, "type": stage }]);
        let session = rig.begin(&body);
        let end = wait_for_end(&session);
        assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
        let history = get(&format!("{session}/decisions")).good()["decisions"].to_string();
        assert!(history.contains(expected), "{history}");
        get(&format!("{session}/detail")).good()["hosts"][0]["stage"].clone()
    };
    // What fails before the first host leaves it alone; what fails on a host leaves it out.
    assert_eq!(failed("pre", "eatea", "eatea: it wanted more than 64 MiB of memory"), "waiting");
    assert_eq!(failed("host", "loopa", "loopa: it computed for too long"), "quarantined");
    let good = rig.begin(&sample_body(&["compute-2"]));
    assert_eq!(wait_for_end(&good)["state"], "MAINTENANCE_DONE");
}

#[test]
fn one_that_takes_long_is_listened_to() {
    let folder = TempDir::new().unwrap();
    let thinks = "(loop $again
         (local.set $i (i32.add (local.get $i) (i32.const 1)))
         (br_if $again (i32.lt_u (local.get $i) (i32.const 1500000))))
         (call $fail (i32.const 100) (i32.const 4))";
    let component = named(&workflow(thinks, r#"(data (i32.const 100) "well")"#), "think");
    std::fs::write(folder.path().join("think.wasm"), component).unwrap();
    let rig = Rig::start_with(&small_cloud(), &["--plugin-dir", folder.path().to_str().unwrap()]);
    for _ in 0..2 {
        let mut body = sample_body(&["compute-1"]);
        body["workflow"] = json!("think");
        let end = wait_for_end(&rig.begin(&body));
        assert_eq!(
            (end["state"].as_str(), end["reason"].as_str()),
            (Some("MAINTENANCE_FAILED"), Some("well"))
        );
    }
}

/// Waits until a deleted session is no longer there.
pub(crate) fn wait_until_gone(session: &str) {
    let mut from = 0;
    loop {
        let news = get(&format!("{session}/events?from={from}&wait=5"));
        if news.status == 404 {
            return;
        }
        from = news.good()["next"].as_u64().unwrap();
    }
}

#[test]
fn a_plug_in_that_is_none_stops_the_start_by_name() {
    let folder = TempDir::new().unwrap();
    let whole = fenix_shipped::component("default").unwrap();
    let export = r#"(instance $i) (export "fenix:plugin/workflow@0.1.0" (instance $i))"#;
    let foreign = format!(r#"(import "wasi:clocks/wall-clock@0.2.0" (instance)) {export}"#);
    let foreign = shell(&manifest("workflow"), &foreign);
    for (name, bytes, expected) in [
        ("torn.wasm", &whole[..whole.len() / 2], "not a whole WebAssembly component"),
        ("text.wasm", b"hello", "not a whole WebAssembly component"),
        ("empty.wasm", b"", "not a whole WebAssembly component"),
        ("clock.wasm", &foreign, "it imports wasi:clocks/wall-clock@0.2.0"),
    ] {
        let said = start_with(folder.path(), name, bytes);
        assert!(said.contains(name) && said.contains("is refused") && said.contains(expected), "{said}");
    }
}

/// What a server says that does not start because of a plug-in.
fn start_with(folder: &Path, name: &str, bytes: &[u8]) -> String {
    std::fs::write(folder.join(name), bytes).unwrap();
    let data = folder.join("data");
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap(), "--plugin-dir"];
    let output = run(&[&args[..], &[folder.to_str().unwrap()]].concat());
    std::fs::remove_file(folder.join(name)).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn names_of_plug_ins_are_looked_up_and_never_run() {
    let rig = Rig::start(&small_cloud());
    for name in ["os.system", "../../etc/passwd", "default\u{0}", "", "fenix.workflow.workflows.default"] {
        let mut body: Value = sample_body(&["compute-1"]);
        body["workflow"] = json!(name);
        let refused = rig.post(&body);
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(refused.body["error"]["hint"].as_str().unwrap().contains("known: default"));
    }
}
