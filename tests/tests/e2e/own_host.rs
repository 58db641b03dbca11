//! The host that Fenix itself runs on: maintained as the last one, by a server that goes down with it.

use fenix_cloud::sim::spec::Span;
use fenix_cloud::sim::trace::{Actor, Happening};
use serde_json::json;

use crate::http::get;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

const OWN: &str = "controller-1";

/// The hosts that Fenix restarted, in order.
fn restarted(rig: &Rig) -> Vec<String> {
    let trace = rig.trace();
    let restarts = trace.iter().filter_map(|event| match (&event.what, event.by) {
        (Happening::HostRebooting { host }, Actor::Client) => Some(host.to_string()),
        _ => None,
    });
    restarts.collect()
}

#[test]
fn it_goes_last_and_the_session_goes_on_when_the_server_is_there_again() {
    let mut spec = small_cloud();
    spec.times.reboot_ms = Span::Fixed(1500);
    let mut rig = Rig::start_with(&spec, &["--own-host", OWN]);
    // By name it would be the first.
    let mut body = sample_body(&[OWN, "controller-2"]);
    body["terms"] = json!({ "own_host": true, "settle_time": 2 });
    let session = rig.begin(&body);
    wait_for(&session, |_| restarted(&rig).contains(&OWN.to_owned()));
    // The machine takes the server with it.
    rig.crash_server();
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(restarted(&rig), ["controller-2", OWN], "each once");
}

#[test]
fn a_session_that_may_not_have_it_says_so_or_does_without() {
    let rig = Rig::start_with(&small_cloud(), &["--own-host", OWN]);
    let refused = rig.post(&sample_body(&[OWN]));
    assert_eq!(refused.status, 409);
    let error = &refused.body["error"];
    assert_eq!(error["message"], "Fenix itself runs on controller-1");
    assert!(error["hint"].as_str().unwrap().contains("say `own_host = true`"), "{error}");
    let all = rig.post(&sample_body(&[])).good();
    assert!(all["warnings"].to_string().contains("without controller-1"), "{all}");
    let session = rig.at(&format!("/v1/maintenance/{}", all["session_id"].as_str().unwrap()));
    let detail = get(&format!("{session}/detail")).good()["hosts"].to_string();
    assert!(!detail.contains(OWN) && detail.contains("controller-2"), "{detail}");
}
