//! Helpful and unhelpful managers, as `fenix vnfm` plays them: what becomes of a session with each.

use fenix_server::demo::truth::{Truth, judge};
use serde_json::{Value, json};

use crate::alarm::{Inbox, SECRET};
use crate::http::{call_json, get};
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

/// Runs a session on one host with a manager; returns how it ended, and the cloud's account.
fn end_with(manager: &[&str], terms: &Value) -> (Value, Truth) {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(manager);
    let mut body = sample_body(&["compute-1"]);
    body["terms"] = terms.clone();
    let session = rig.begin(&body);
    let end = wait_for_end(&session);
    (end, judge(&rig.trace()))
}

/// A session that must end well: the host restarted with nothing on it, everything else untouched and at work.
#[track_caller]
fn check_done(manager: &[&str]) -> Truth {
    let (end, truth) = end_with(manager, &json!({}));
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let others = |problem: &&String| !problem.contains("was restarted 0 times");
    assert_eq!(truth.problems.iter().find(others), None);
    assert_eq!(truth.hosts[&"compute-1".into()].restarts.len(), 1);
    truth
}

/// A session that must fail with a reason, and leave everything as it was.
#[track_caller]
fn check_failed(manager: &[&str], terms: &Value, expected: &str) {
    let (end, truth) = end_with(manager, terms);
    assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
    assert!(end["reason"].as_str().unwrap().contains(expected), "{end}");
    let harm = |problem: &&String| !problem.contains("was restarted 0 times");
    assert_eq!(truth.problems.iter().find(harm), None);
}

#[test]
fn a_manager_that_moves_its_instances_by_itself_is_waited_for() {
    let truth = check_done(&["--mode", "own-action"]);
    assert!(truth.instances.values().all(|story| story.moves() == 0));
}

#[test]
fn a_manager_may_have_its_instances_moved_live() {
    let truth = check_done(&["--move", "live-migrate"]);
    assert!(truth.instances.values().any(|story| story.moves() == 1));
}

#[test]
fn a_manager_may_have_signed_cloud_events() {
    check_done(&["--format", "cloudevents"]);
}

#[test]
fn a_manager_to_which_an_alarm_points_already_subscribes_to_nothing() {
    let rig = Rig::start(&small_cloud());
    let manager = rig.manager(&["--no-subscription"]);
    assert_eq!(get(&rig.at("/v1/subscriptions")).good()["subscriptions"], json!([]));
    // Stands for the alarm.
    rig.subscribe(&manager.address);
    let end = wait_for_end(&rig.begin(&sample_body(&["compute-1"])));
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

#[test]
fn a_slow_manager_gets_its_time() {
    check_done(&["--mode", "slow", "--delay", "1"]);
}

#[test]
fn a_manager_that_says_no_stops_the_session() {
    check_failed(&["--mode", "nack"], &json!({}), "said no to MAINTENANCE");
}

#[test]
fn a_silent_manager_is_asked_again_and_then_stops_the_session() {
    let terms = json!({ "maintenance_reply": 1, "scale_in_reply": 1, "min_reply": 1, "rounds": 2 });
    check_failed(&["--mode", "silent"], &terms, "doctor");
}

#[test]
fn a_manager_that_lies_about_making_room_is_not_believed() {
    check_failed(&["--mode", "lying"], &json!({ "scale_in_rounds": 2 }), "doctor");
}

#[test]
fn listeners_hear_of_hosts_and_progress_in_signed_cloud_events() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let inbox = Inbox::open();
    let order =
        json!({ "project_id": "operations", "url": inbox.url, "format": "cloudevents", "secret": SECRET });
    let subscription = rig.at("/v1/subscriptions/page");
    let mut answers = vec![call_json("PUT", &subscription, &order).good()];
    let session = rig.begin(&sample_body(&["compute-1"]));
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    let (mut hosts, mut percents) = (Vec::new(), Vec::new());
    while percents.last() != Some(&100) {
        let event = inbox.next();
        assert_eq!(event["signed"], true);
        match event["event_type"].as_str().unwrap() {
            "maintenance.host" => hosts.push(event["state"].as_str().unwrap().to_owned()),
            "maintenance.session" => percents.push(event["percent_done"].as_u64().unwrap()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(hosts, ["IN_MAINTENANCE", "MAINTENANCE_COMPLETE"]);
    assert!(percents.is_sorted() && percents.contains(&99), "{percents:?}");
    answers.extend([get(&subscription).good(), get(&rig.at("/v1/subscriptions")).good()]);
    answers.push(get(&format!("{session}/decisions")).good());
    assert!(answers.iter().all(|answer| !answer.to_string().contains(SECRET)), "{answers:?}");
}
