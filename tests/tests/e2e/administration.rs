//! What administrators have beside sessions: plug-ins, templates, hosts, standing orders.

use fenix_shipped::SHIPPED;
use serde_json::{Value, json};

use crate::guest::{action, manifest, shell};
use crate::http::{call, call_json, get};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for, wait_for_end};

#[test]
fn a_plug_in_is_attached_used_and_detached_while_the_server_runs() {
    let mut rig = Rig::start(&small_cloud());
    let plugins =
        |rig: &Rig, name: &str| get(&rig.at(&format!("/v1/plugins/{name}"))).good()["plugins"].clone();
    let shipped = get(&rig.at("/v1/plugins")).good();
    assert_eq!(shipped["plugins"].as_array().unwrap().len(), SHIPPED.len(), "{shipped}");
    assert_eq!(plugins(&rig, "default")[0]["kind"], "workflow");
    assert_eq!(get(&rig.at("/v1/plugins/guest")).status, 404);

    let attached = call("POST", &rig.at("/v1/plugins"), &action("", "")).good();
    assert_eq!((&attached["name"], &attached["origin"]), (&json!("guest"), &json!("attached")));
    call("PUT", &rig.at("/v1/plugins/guest/grant"), b"").good();
    let mut body = sample_body(&["controller-1"]);
    body["actions"] = json!([{ "plugin": "guest", "type": "host" }]);
    let session = rig.begin(&body);
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    let id = session.rsplit('/').next().unwrap();
    assert_eq!(plugins(&rig, "guest")[0]["sessions"], json!([id]));

    // A newer one of the name: the session keeps the one that it began with.
    let newer = call("POST", &rig.at("/v1/plugins"), &action("(nop)", "")).good();
    assert_ne!(newer["digest"], attached["digest"]);
    assert_eq!(plugins(&rig, "guest").as_array().unwrap().len(), 2);
    rig.crash_server();
    let digest = attached["digest"].as_str().unwrap();
    assert_eq!(plugins(&rig, digest)[0]["origin"], Value::Null);
    let digest = newer["digest"].as_str().unwrap();
    assert_eq!(plugins(&rig, digest)[0]["origin"], "attached");

    call("DELETE", &rig.at("/v1/plugins/guest"), b"").good();
    call("DELETE", &rig.at("/v1/plugins/guest"), b"").good();
    assert_eq!(rig.post(&body).status, 422);
    assert_eq!(call("DELETE", &rig.at("/v1/plugins/reboot"), b"").status, 409);
}

#[test]
fn an_open_session_keeps_the_plug_in_that_it_began_with_and_a_new_one_gets_the_newer() {
    let mut rig = Rig::start(&small_cloud());
    let attach = |rig: &Rig, does: &str| {
        let attached = call("POST", &rig.at("/v1/plugins"), &action(does, "")).good();
        call("PUT", &rig.at("/v1/plugins/guest/grant"), b"").good();
        attached["digest"].clone()
    };
    let body = |host: &str| {
        let mut body = sample_body(&[host]);
        body["actions"] = json!([{ "plugin": "guest", "type": "host" }]);
        body["policies"] = json!({ "failed_action": "stop", "unmanaged": "wait" });
        body
    };
    let check = |session: &str, state: &str, digest: &Value| {
        let end = wait_for_end(session);
        assert_eq!(end["state"], state, "{end}");
        assert_eq!(get(&format!("{session}/detail")).good()["actions"][0]["digest"], *digest);
    };
    let older = attach(&rig, "");
    // Nobody answers for what is on its host before there is a manager.
    let open = rig.begin(&body("compute-1"));
    let newer = attach(&rig, "(unreachable)");
    rig.crash_server();
    let _manager = rig.manager(&[]);
    check(&open, "MAINTENANCE_DONE", &older);
    check(&rig.begin(&body("controller-1")), "MAINTENANCE_FAILED", &newer);
}

#[test]
fn what_is_no_plug_in_is_refused_by_a_running_server() {
    let rig = Rig::start(&small_cloud());
    let whole = fenix_shipped::component("default").unwrap();
    let export = r#"(instance $i) (export "fenix:plugin/workflow@0.1.0" (instance $i))"#;
    let foreign = format!(r#"(import "wasi:clocks/wall-clock@0.2.0" (instance)) {export}"#);
    let foreign = shell(&manifest("workflow"), &foreign);
    for (bytes, expected) in [
        (&whole[..whole.len() / 2], "not a whole WebAssembly component"),
        (b"hello", "not a whole WebAssembly component"),
        (b"", "not a whole WebAssembly component"),
        (&foreign, "it imports wasi:clocks/wall-clock@0.2.0"),
    ] {
        let refused = call("POST", &rig.at("/v1/plugins"), bytes);
        assert_eq!(refused.status, 422);
        assert!(refused.body["message"].as_str().unwrap().contains(expected), "{}", refused.body);
    }
    let large = vec![0; 33 * 1024 * 1024];
    assert_eq!(call("POST", &rig.at("/v1/plugins"), &large).status, 413);
    assert_eq!(get(&rig.at("/v1/plugins")).good()["plugins"].as_array().unwrap().len(), SHIPPED.len());
}

#[test]
fn an_action_uses_what_it_asks_for_once_that_was_granted() {
    let mut rig = Rig::start(&small_cloud());
    let attached = call("POST", &rig.at("/v1/plugins"), &action("", "")).good();
    assert_eq!((&attached["asks"], &attached["granted"]), (&json!(["cloud"]), &json!([])));
    let mut body = sample_body(&["controller-1"]);
    body["actions"] = json!([{ "plugin": "guest", "type": "host" }]);
    let refused = |rig: &Rig| {
        let reply = rig.post(&body);
        assert_eq!(reply.status, 422, "{}", reply.body);
        assert!(
            reply.body.to_string().contains("guest asks for cloud, which nobody has granted"),
            "{}",
            reply.body
        );
    };
    refused(&rig);
    let grant = |rig: &Rig, name: &str, body: Value| {
        call("PUT", &rig.at(&format!("/v1/plugins/{name}/grant")), body.to_string().as_bytes())
    };
    for (name, body, status, expected) in [
        ("guest", json!({ "rights": ["packages"] }), 422, "guest does not ask for packages"),
        ("guest", json!({ "rights": ["all"] }), 422, "`rights` holds"),
        ("guest", json!({ "right": [] }), 422, "`rights` must be a list"),
        ("nobody", json!({}), 404, "no plug-in nobody"),
        (&"0".repeat(64), json!({}), 422, "name what it may use"),
    ] {
        let reply = grant(&rig, name, body);
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(reply.body.to_string().contains(expected), "{}", reply.body);
    }
    let granted = grant(&rig, "guest", json!({ "rights": [] })).good();
    assert_eq!(granted["granted"], json!([]));
    refused(&rig);
    assert_eq!(grant(&rig, "guest", json!({})).good()["granted"], json!(["cloud"]));
    rig.crash_server();
    let session = rig.begin(&body);
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    // Another component of the same name is another one.
    call("POST", &rig.at("/v1/plugins"), &action("(nop)", "")).good();
    refused(&rig);
    call("POST", &rig.at("/v1/plugins"), &action("", "")).good();
    call("DELETE", &rig.at("/v1/plugins/guest/grant"), b"").good();
    refused(&rig);
    let audit = get(&rig.at("/v1/audit")).good().to_string();
    assert!(audit.contains("cloud to guest") && audit.contains("\"revoke\""), "{audit}");
    let shipped = get(&rig.at("/v1/plugins/reboot")).good();
    assert_eq!(shipped["plugins"][0]["granted"], json!(["cloud"]), "it comes with Fenix");
}

#[test]
fn a_template_is_a_session_that_starts_with_one_call() {
    let mut rig = Rig::start(&small_cloud());
    let put = |rig: &Rig, body: &Value| call_json("PUT", &rig.at("/v1/templates/nightly"), body);
    let mut session = sample_body(&["compute-1"]);
    session.as_object_mut().unwrap().remove("maintenance_at");
    let template = json!({ "description": "the first host", "session": session });
    let saved = put(&rig, &template).good();
    assert_eq!((&saved["name"], &saved["session"]), (&json!("nightly"), &session));
    assert_eq!(put(&rig, &json!({ "session": { "workflow": "none" } })).status, 422);
    assert_eq!(put(&rig, &json!({ "session": [] })).status, 422);
    assert_eq!(put(&rig, &json!({})).status, 422);

    rig.crash_server();
    assert_eq!(get(&rig.at("/v1/templates")).good()["templates"], json!([saved]));
    assert_eq!(get(&rig.at("/v1/templates/nightly")).good(), saved);
    let begun = call("POST", &rig.at("/v1/templates/nightly"), b"").good();
    let first = rig.at(&format!("/v1/maintenance/{}", begun["session_id"].as_str().unwrap()));
    assert_eq!(get(&format!("{first}/detail")).good()["hosts"][0]["hostname"], "compute-1");
    assert_eq!(call("POST", &rig.at("/v1/templates/nightly"), b"").status, 409, "its host is held");
    let other =
        call_json("POST", &rig.at("/v1/templates/nightly"), &json!({ "hosts": ["compute-2"] })).good();
    assert_ne!(other["session_id"], begun["session_id"]);
    call("DELETE", &rig.at("/v1/templates/nightly"), b"").good();
    call("DELETE", &rig.at("/v1/templates/nightly"), b"").good();
    assert_eq!(call("POST", &rig.at("/v1/templates/nightly"), b"").status, 404);
}

#[test]
fn a_host_tells_what_became_of_it_over_all_sessions() {
    let rig = Rig::start(&small_cloud());
    let host = |name: &str| get(&rig.at(&format!("/v1/hosts/{name}"))).good();
    assert_eq!(host("controller-1")["maintained"], Value::Null);
    assert_eq!(get(&rig.at("/v1/hosts")).good()["hosts"].as_array().unwrap().len(), 5);
    assert_eq!(get(&rig.at("/v1/hosts/nowhere")).status, 404);
    assert_eq!(host("compute-1")["instance_list"].as_array().unwrap().len(), 2);

    let done = rig.begin(&sample_body(&["controller-1"]));
    assert_eq!(wait_for_end(&done)["state"], "MAINTENANCE_DONE");
    call("DELETE", &done, b"").good();
    let maintained = host("controller-1")["maintained"].clone();
    assert_eq!(maintained["session_id"], done.rsplit('/').next().unwrap());
    assert_eq!(maintained["actions"][0]["name"], "reboot");

    // An action that fails leaves the host out; somebody puts it right, and says so.
    call("POST", &rig.at("/v1/plugins"), &action("(unreachable)", "")).good();
    call("PUT", &rig.at("/v1/plugins/guest/grant"), b"").good();
    let mut body = sample_body(&["controller-2"]);
    body["actions"] = json!([{ "plugin": "guest", "type": "host" }]);
    let failed = rig.begin(&body);
    assert_eq!(wait_for_end(&failed)["state"], "MAINTENANCE_FAILED");
    let left_out = host("controller-2");
    assert_eq!(
        (&left_out["stage"], &left_out["quarantined"]["begun"]),
        (&json!("quarantined"), &json!(true))
    );
    let cleared = call("DELETE", &rig.at("/v1/hosts/controller-2/quarantine"), b"").good();
    assert_eq!(cleared["quarantined"], Value::Null);
    wait_for(&failed, |_| host("controller-2")["maintained"] != Value::Null);
    call("DELETE", &rig.at("/v1/hosts/controller-2/quarantine"), b"").good();
    assert_eq!(call("DELETE", &rig.at("/v1/hosts/nowhere/quarantine"), b"").status, 404);
}

#[test]
fn an_order_without_an_id_gets_one() {
    let rig = Rig::start(&small_cloud());
    let body = json!({ "project_id": PROJECT, "url": "http://127.0.0.1:9/" });
    let order = call_json("POST", &rig.at("/v1/subscriptions"), &body).good();
    assert_eq!((&order["event_type"], &order["waiting"]), (&json!("maintenance.*"), &json!(0)));
    rig.begin(&sample_body(&["compute-1"]));
    let shown = get(&rig.at(&format!("/v1/subscriptions/{}", order["id"].as_str().unwrap()))).good();
    assert!(shown["waiting"].as_u64().unwrap() > 0, "nobody listens there: {shown}");
}

#[test]
fn the_description_tells_of_every_call_and_only_of_those() {
    let rig = Rig::start(&small_cloud());
    let description = get(&rig.at("/openapi.json")).good();
    let mut calls = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete"] {
            if path == "/v1/events" && method == "get" {
                continue;
            }
            let url = rig.at(&path.replace(['{', '}'], ""));
            // Nothing is sent, so nothing is done: what is not there is 404 or 422, what is no call is 405.
            let reply = call(&method.to_uppercase(), &url.replace("/events", "/events?wait=0"), b"");
            assert_eq!(reply.status == 405, item[method].is_null(), "{method} {path}: {}", reply.status);
            calls += usize::from(!item[method].is_null());
        }
    }
    assert!(calls > 30, "{calls}");
}
