//! What clients of the earlier Fenix rely on (contract 0), and what stands beside it.

use serde_json::{Value, json};

use crate::alarm::Inbox;
use crate::http::{call, call_json, get};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for, wait_for_end};

#[test]
fn a_session_is_listed_and_shown_under_old_and_new_names() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1", "compute-2"]));
    let id = session.rsplit('/').next().unwrap();
    inbox.next();

    let list = get(&rig.at("/v1/maintenance/")).good();
    assert_eq!((&list["sessions"], &list["session_id"]), (&json!([id]), &json!([id])));
    let shown = get(&format!("{session}/")).good();
    assert_eq!((&shown["session_id"], &shown["state"]), (&json!(id), &json!("MAINTENANCE")));

    let detail = get(&format!("{session}/detail")).good();
    assert_eq!(detail["session"]["meta"], json!({"openstack_version": "Train"}));
    assert_eq!(detail["hosts"].as_array().unwrap().len(), 2);
    assert_eq!(detail["hosts"][0]["hostname"], "compute-1");
    assert_eq!(detail["hosts"][0]["maintained"], false);
    assert_eq!(detail["instances"].as_array().unwrap().len(), 4);
    assert_eq!(detail["asks"][0]["status"], "open");
    assert_eq!(detail["session"]["maintenance_at"], "2020-01-01T00:00:00");

    wait_for(&session, |news| news["lines"].to_string().contains("reached doctor"));
    let blockers = get(&format!("{session}/blockers/")).good();
    assert_eq!(blockers["blockers"][0]["what"], "reply", "{blockers}");
    assert!(blockers["blockers"][0]["seconds_left"].as_u64().unwrap() > 0);
    let decisions = get(&format!("{session}/decisions")).good();
    assert!(decisions["decisions"].to_string().contains("ask doctor MAINTENANCE"), "{decisions}");
}

#[test]
fn answers_may_be_doubled_late_foreign_or_about_mere_notices() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1"]));
    let event = inbox.next();
    let url = event["reply_url"].as_str().unwrap();
    assert_eq!(url, format!("{session}/{PROJECT}"));
    assert_eq!(event["instance_ids"], url);
    let mine = get(url).good();
    assert_eq!(mine["instance_ids"].as_array().unwrap().len(), 2);

    let answer = |state: &str| {
        let body = json!({"session_id": "x", "state": state, "instance_ids": ["i"], "extra": {"a": [1]}});
        assert_eq!(call_json("PUT", &format!("{url}/"), &body).good(), body);
    };
    answer("ACK_INSTANCE_ACTION_DONE");
    answer("NACK_INSTANCE_ACTION_DONE");
    answer("ACK_MAINTENANCE_COMPLETE");
    answer("ACK_MAINTENANCE");
    answer("ACK_MAINTENANCE");
    let gone =
        call_json("PUT", &format!("{url}/no-such-instance"), &json!({"state": "ACK_PREPARE_MAINTENANCE"}));
    gone.good();
    wait_for(&session, |news| news["state"] != "MAINTENANCE");
}

#[test]
fn delete_answers_at_once_works_twice_and_gives_the_manager_the_end() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1"]));
    assert_eq!(inbox.next()["state"], "MAINTENANCE");
    assert_eq!(call("DELETE", &session, b"").good(), json!({}));
    assert_eq!(call("DELETE", &format!("{session}/"), b"").good(), json!({}));
    assert_eq!(inbox.next()["state"], "MAINTENANCE_COMPLETE");
    assert_eq!(call("DELETE", &rig.at("/v1/maintenance/nobody"), b"").good(), json!({}));
}

#[test]
fn a_paused_session_waits_and_a_continued_one_goes_on() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1"]));
    let event = inbox.next();
    call_json("PUT", &session, &json!({"condition": "paused"})).good();
    assert_eq!(get(&session).good()["condition"], "paused");
    let url = event["reply_url"].as_str().unwrap();
    call_json("PUT", url, &json!({"state": "ACK_MAINTENANCE"})).good();
    assert_eq!(get(&session).good()["state"], "MAINTENANCE");
    let reply = call("PUT", &session, b"").good();
    assert_eq!(reply["maintenance"], session);
    wait_for(&session, |news| news["state"] != "MAINTENANCE");
}

#[test]
fn a_refusal_fails_the_session_with_the_reason_and_continue_asks_again() {
    let rig = Rig::start(&small_cloud());
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = rig.begin(&sample_body(&["compute-1"]));
    let url = inbox.next()["reply_url"].as_str().unwrap().to_owned();
    call_json("PUT", &url, &json!({"state": "NACK_MAINTENANCE"})).good();
    assert_eq!(inbox.next()["state"], "MAINTENANCE_COMPLETE");
    call_json("PUT", &url, &json!({"state": "ACK_MAINTENANCE_COMPLETE"})).good();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_FAILED");
    assert!(end["reason"].as_str().unwrap().contains(PROJECT), "{end}");
    call_json("PUT", &session, &json!({"state": "MAINTENANCE"})).good();
    assert_eq!(inbox.next()["state"], "MAINTENANCE");
}

#[test]
fn a_subscription_is_kept_through_a_crash() {
    let mut rig = Rig::start(&small_cloud());
    let body = json!({"project_id": "p1", "event_type": "maintenance.*", "url": "http://localhost:9/x"});
    let shown: Value = call_json("PUT", &rig.at("/v1/subscriptions/s1/"), &body).good();
    assert_eq!(shown["project_id"], "p1");
    call_json("PUT", &rig.at("/v1/subscriptions/s1"), &body).good();
    rig.crash_server();
    assert_eq!(get(&rig.at("/v1/subscriptions/s1")).good(), shown);
    assert_eq!(get(&rig.at("/v1/subscriptions")).good()["subscriptions"], json!([shown]));
    call("DELETE", &rig.at("/v1/subscriptions/s1"), b"").good();
    call("DELETE", &rig.at("/v1/subscriptions/s1"), b"").good();
    assert_eq!(get(&rig.at("/v1/subscriptions/s1")).status, 404);
}
