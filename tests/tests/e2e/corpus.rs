//! A corpus of hostile plug-ins, each in a session of its own on one server: every one is contained, named and counted, and a
//! session beside them goes on.

use serde_json::{Value, json};

use crate::figures::Figures;
use crate::guest::{action, manifest, named, shell, workflow};
use crate::hostile::{forever, wait_until_gone};
use crate::http::{call, get};
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// What is done with what it brings.
#[derive(Clone, Copy, PartialEq)]
enum As {
    /// It decides; its session is parked.
    Workflow,
    /// It works before the first host; its session fails.
    Action,
    /// It works, and what it does comes to nothing: its session ends well.
    Harmless,
}

/// One of them: a name of five letters, what it is, what it does, further fields of its module, and what is said of it.
type Evil = (&'static str, As, String, &'static str, &'static str);

const DIVE: &str = "(func $dive (param i32) (call $dive (local.get 0)) (call $dive (local.get 0)))";
const BOMB: &str = r#"(memory (export "memory") 2000)"#;
const WIDE: &str = "(table $t 1 funcref)";
const LONG: &str = r#"(memory (export "memory") 200)"#;
const STEERS: &str = r#"(data (i32.const 100) "\1b[2J\1b]0;owned\07\0d\0amore")"#;
const OTHERS: &str = r#"(data (i32.const 100) "compute-3")"#;

/// Those that are ended when they run.
fn corpus() -> Vec<Evil> {
    let eat = || forever("(drop (memory.grow (i32.const 16)))");
    let steer = || "(call $log (i32.const 3) (i32.const 100) (i32.const 21)) (unreachable)".to_owned();
    let flood = || {
        "(loop $again
            (call $log (i32.const 1) (i32.const 0) (i32.const 5000))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 100000))))"
            .to_owned()
    };
    let ask = forever("(call $host (i32.const 100) (i32.const 9) (i32.const 2000))");
    let fence = "(call $fence (i32.const 100) (i32.const 9) (i32.const 100) (i32.const 9))";
    let long = "(call $log (i32.const 1) (i32.const 0) (i32.const 12000000))";
    // A report of 4 GiB.
    let giant = "(i32.store (i32.const 1032) (i32.const -1))";
    let dive = || "(call $dive (i32.const 0))".to_owned();
    let widen = || forever("(drop (table.grow $t (ref.null func) (i32.const 1000)))");
    vec![
        ("wloop", As::Workflow, forever("(nop)"), "", "wloop: it computed for too long"),
        ("weats", As::Workflow, eat(), "", "weats: it wanted more than 64 MiB of memory"),
        ("wbomb", As::Workflow, String::new(), BOMB, "wbomb: it wanted more than 64 MiB of memory"),
        ("wwide", As::Workflow, widen(), WIDE, "wwide: it wanted a table of more than 50000 elements"),
        ("wdive", As::Workflow, dive(), DIVE, "wdive: its functions called each other too deeply"),
        ("wlong", As::Workflow, long.to_owned(), LONG, "wlong: too much data"),
        ("wwild", As::Workflow, "(drop (i32.load (i32.const -16)))".to_owned(), "", "out of bounds"),
        ("wterm", As::Workflow, steer(), STEERS, "wterm: it gave up: \u{fffd}[2J\u{fffd}]0;owned\u{fffd}"),
        (
            "wmany",
            As::Workflow,
            forever("(call $fail (i32.const 16) (i32.const 13))"),
            "",
            "more than 1024 decisions",
        ),
        (
            "wasks",
            As::Workflow,
            forever("(drop (call $work (i32.const 0) (i32.const 0) (i32.const 0)))"),
            "",
            "called the host more than 200000 times",
        ),
        ("wlogs", As::Workflow, format!("{} (unreachable)", flood()), "", "wlogs: it gave up"),
        ("wothe", As::Workflow, fence.to_owned(), OTHERS, "R11: host compute-3 is not of this session"),
        ("aloop", As::Action, forever("(nop)"), "", "aloop: it computed for too long"),
        ("aeats", As::Action, eat(), "", "aeats: it wanted more than 64 MiB of memory"),
        ("abomb", As::Action, String::new(), BOMB, "abomb: it wanted more than 64 MiB of memory"),
        ("awide", As::Action, widen(), WIDE, "awide: it wanted a table of more than 50000 elements"),
        ("adive", As::Action, dive(), DIVE, "adive: its functions called each other too deeply"),
        ("along", As::Action, long.to_owned(), LONG, "along: too much data"),
        ("agian", As::Action, giant.to_owned(), "", "agian: "),
        ("aterm", As::Action, steer(), STEERS, "aterm: it gave up: \u{fffd}[2J\u{fffd}]0;owned\u{fffd}"),
        ("acall", As::Action, ask, OTHERS, "acall: it called the host more than 200000 times"),
        ("alogs", As::Harmless, flood(), "", ""),
        (
            "aothe",
            As::Harmless,
            "(call $host (i32.const 100) (i32.const 9) (i32.const 2000))".to_owned(),
            OTHERS,
            "",
        ),
    ]
}

fn component((name, kind, body, more, _): &Evil) -> Vec<u8> {
    let made = match kind {
        As::Workflow => workflow(body, more),
        As::Action | As::Harmless => action(body, more),
    };
    named(&made, name)
}

/// What a session is told that runs one of them.
fn body(host: &str, (name, kind, ..): &Evil) -> Value {
    let mut body = sample_body(&[host]);
    match kind {
        As::Workflow => body["workflow"] = json!(name),
        As::Action | As::Harmless => body["actions"] = json!([{ "plugin": name, "type": "pre" }]),
    }
    body
}

#[test]
fn every_one_is_contained_named_and_counted_and_a_session_beside_them_goes_on() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let good = rig.begin(&sample_body(&["compute-2"]));
    for evil in &corpus() {
        let (name, kind, .., expected) = evil;
        call("POST", &rig.at("/v1/plugins"), &component(evil)).good();
        call("PUT", &rig.at(&format!("/v1/plugins/{name}/grant")), b"").good();
        let session = rig.begin(&body("compute-1", evil));
        let end = wait_for_end(&session);
        let history = get(&format!("{session}/decisions")).good().to_string();
        let told = format!("{end}{history}{}", get(&format!("{session}/blockers")).good());
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains('\u{1b}') && !told.contains("\\u001b"), "{name}: {told}");
        let ended = match kind {
            As::Workflow => end["condition"] == "parked",
            As::Action => end["state"] == "MAINTENANCE_FAILED",
            As::Harmless => end["state"] == "MAINTENANCE_DONE",
        };
        assert!(ended, "{name}: {end}");
        call("DELETE", &session, b"").good();
        wait_until_gone(&session);
    }
    let end = wait_for_end(&good);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let figures = Figures::read(&rig);
    for (name, kind, ..) in &corpus() {
        let counted = match kind {
            // What it wanted was refused by a rule: it was not ended.
            As::Workflow if *name == "wothe" => continue,
            As::Workflow => format!("fenix_workflow_errors_total{{plugin=\"{name}\",why=\"trapped\"}}"),
            As::Action => format!("fenix_action_errors_total{{plugin=\"{name}\",why=\"trapped\"}}"),
            As::Harmless if *name == "aothe" => format!("fenix_plugin_refusals_total{{plugin=\"{name}\"}}"),
            As::Harmless => format!("fenix_plugin_fuel_total{{plugin=\"{name}\"}}"),
        };
        assert!(figures.get(&counted) >= 1.0, "{counted}");
    }
}

#[test]
fn what_cannot_be_a_plug_in_is_refused_by_name_and_nothing_of_it_stays() {
    let rig = Rig::start(&small_cloud());
    let whole = fenix_shipped::component("default").unwrap();
    let exports = |kind: &str| format!(r#"(instance $i) (export "fenix:plugin/{kind}@0.1.0" (instance $i))"#);
    let imports = |import: &str, kind: &str| {
        shell(&manifest(kind), &format!(r#"(import "{import}" (instance)) {}"#, exports(kind)))
    };
    let contract = manifest("action").replace("0.1.0\"}", "0.2.0\"}");
    let before = get(&rig.at("/v1/plugins")).good();
    for (bytes, expected) in [
        (b"hello".to_vec(), "it is not a whole WebAssembly component"),
        (whole[..whole.len() / 2].to_vec(), "it is not a whole WebAssembly component"),
        (wat::parse_str("(module)").unwrap(), "it is a core module"),
        (wat::parse_str("(component)").unwrap(), "it has no section fenix:plugin"),
        (imports("wasi:filesystem/types@0.2.0", "action"), "it imports wasi:filesystem/types@0.2.0, which"),
        (imports("wasi:sockets/tcp@0.2.0", "workflow"), "it imports wasi:sockets/tcp@0.2.0, which"),
        (
            imports("fenix:plugin/http@0.1.0", "workflow"),
            "it imports fenix:plugin/http@0.1.0, which a plug-in of kind workflow",
        ),
        (
            imports("fenix:plugin/remote@0.1.0", "action"),
            "it imports remote and its manifest does not say for what",
        ),
        (shell(&contract, &exports("action")), "it was made for version 0.2.0 of the contract"),
        (
            shell(&manifest("action"), &exports("workflow")),
            "it says that it is of kind action and exports none of",
        ),
        (shell(&manifest("action"), &exports("action")), "the component does not fit the contract"),
        (vec![0; 33 * 1024 * 1024], "larger than"),
    ] {
        let reply = call("POST", &rig.at("/v1/plugins"), &bytes);
        assert!(matches!(reply.status, 413 | 422), "{expected}: {} {}", reply.status, reply.body);
        assert!(reply.body.to_string().contains(expected), "{expected}: {}", reply.body);
    }
    assert_eq!(get(&rig.at("/v1/plugins")).good(), before);
    let session = rig.begin(&sample_body(&["controller-1"]));
    wait_for(&session, |news| news["state"] == "MAINTENANCE_DONE");
}
