//! Whatever is sent, the server says what is wrong with it, and lives.

use fenix_server::api::body::MAX_BODY;
use serde_json::{Value, json};

use crate::alarm::Inbox;
use crate::http::{Reply, call, get, raw};
use crate::rig::{Rig, sample_body, small_cloud};

/// Checks the status and that the message and hint say `expected`, in the form that old and new clients read.
#[track_caller]
fn check(reply: &Reply, status: u16, expected: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    let body = &reply.body;
    assert_eq!(body["status"], status);
    assert_eq!(body["message"], body["error"]["message"]);
    let said = format!("{} {}", body["message"], body["error"]["hint"]);
    assert!(said.contains(expected), "{said}");
}

fn body_with(key: &str, value: Value) -> Vec<u8> {
    let mut body = sample_body(&["compute-1"]);
    body[key] = value;
    body.to_string().into_bytes()
}

#[test]
fn a_bad_body_is_refused_by_what_is_wrong_with_it() {
    let rig = Rig::start(&small_cloud());
    let post = |body: &[u8], status: u16, expected: &str| {
        check(&call("POST", &rig.at("/v1/maintenance"), body), status, expected);
        assert_eq!(get(&rig.at("/healthz")).status, 200);
    };
    post(b"", 400, "the body is empty");
    post(b"{", 400, "no JSON");
    post(b"\xff\xfe", 400, "no JSON");
    post(b"{\"a\": NaN}", 400, "no JSON");
    post("[".repeat(10_000).as_bytes(), 400, "deeper than 128");
    let deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    post(deep.as_bytes(), 400, "deeper than 128");
    post(&vec![b' '; MAX_BODY + 1], 413, "larger than 4194304 bytes");
    post(b"[]", 422, "must be a JSON object");
    post(b"{}", 422, "`maintenance_at` is missing");
    post(&body_with("maintenance_at", json!(5)), 422, "`maintenance_at` must be a text");
    post(&body_with("maintenance_at", json!("soon")), 422, "YYYY-MM-DD HH:MM:SS");
    post(&body_with("hosts", json!({"a": 1})), 422, "`hosts` must be a list");
    post(&body_with("hosts", json!(["compute-99"])), 422, "no host compute-99");
    post(&body_with("workflow", json!("os.system")), 422, "known: default");
    post(&body_with("actions", json!([{"plugin": "rm", "type": "host"}])), 422, "known: airship, blazar");
    post(&body_with("actions", json!([{"plugin": "noop", "type": 1}])), 422, "`type` must be a text");
    post(&body_with("download", json!(["http://example.org/x.tar"])), 422, "`packages.allow` names no place");
    post(&body_with("metadata", json!({"k": "x".repeat(300)})), 422, "as Python text");
    post(&body_with("policies", json!({"nack": "argue"})), 422, "`policies`");
    post(&body_with("terms", json!({"rounds": 0})), 422, "terms.rounds");
    assert_eq!(get(&rig.at("/v1/maintenance")).good()["sessions"], json!([]));
}

#[test]
fn a_bad_call_is_refused_by_what_is_wrong_with_it() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1"]));
    let event = inbox.next();
    let reply_url = event["reply_url"].as_str().unwrap();

    check(&rig.post(&sample_body(&["compute-1"])), 409, "compute-1 is held by session");
    check(&get(&rig.at("/v1/maintenance/nobody")), 404, "no session nobody");
    check(&get(&rig.at("/v1/maintenance/nobody/decisions")), 404, "no session nobody");
    check(&get(&rig.at("/v1/maintenance/%ff")), 400, "path");
    check(&get(&rig.at("/v2/maintenance")), 404, "/v2/maintenance");
    check(&call("PATCH", &session, b"{}"), 405, "takes no PATCH");
    check(&call("PUT", &session, b"{\"condition\": \"happy\"}"), 422, "`condition` must be");
    check(&call("PUT", &session, b"{\"state\": 5}"), 422, "`state` must be a text");
    check(&get(&format!("{session}/events?from=x")), 400, "from");
    check(&get(&format!("{session}/stranger")), 404, "has no project stranger");
    check(
        &call("PUT", &format!("{session}/stranger"), b"{\"state\":\"ACK_MAINTENANCE\"}"),
        404,
        "no project",
    );
    check(&call("PUT", reply_url, b"{}"), 422, "`state` is missing");
    check(&call("PUT", reply_url, b"{\"state\": \"MAYBE\"}"), 422, "ACK_ or NACK_");
    check(&call("PUT", reply_url, b"not JSON"), 400, "no JSON");
    check(&call("PUT", &rig.at("/v1/subscriptions/x"), b"{\"project_id\": \"p\"}"), 422, "`url` is missing");
    let far = json!({"project_id": "p", "url": "http://169.254.169.254/"}).to_string();
    check(&call("PUT", &rig.at("/v1/subscriptions/x"), far.as_bytes()), 422, "deliver_to");
    check(&get(&rig.at("/v1/subscriptions/x")), 404, "no subscription x");

    let address = rig.url.strip_prefix("http://").unwrap();
    assert_eq!(raw(address, b"nonsense\r\n\r\n").status, 400);
    assert_eq!(get(&session).good()["condition"], "running");
}
