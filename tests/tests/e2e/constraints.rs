//! What managers state is followed, from the moment in which they state it.

use fenix_cloud::sim::trace::Happening;
use serde_json::json;

use crate::http::{call_json, get};
use crate::process::run;
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// The group that the cloud of Doctor has, and what its owner states about it.
fn bears(rig: &Rig, members: u32) {
    let stated = json!({"group_id": "doctor-ha", "project_id": PROJECT, "max_impacted_members": members});
    call_json("PUT", &rig.at("/v1/instance_group/doctor-ha"), &stated).good();
}

/// Waits until the session says that this is what it waits for.
#[track_caller]
fn wait_blocked(session: &str, by: &str) {
    wait_for(session, |_| get(&format!("{session}/blockers")).body.to_string().contains(by));
}

#[test]
fn a_group_that_bears_nobody_out_is_named_at_the_start_and_waited_for_until_it_does() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    bears(&rig, 0);
    let reply = rig.post(&sample_body(&["compute-1"])).good();
    let why = "it bears no member out, and 1 are on hosts of the session";
    let expected = json!([{"project_id": PROJECT, "group_id": "doctor-ha", "why": why}]);
    assert_eq!(reply["unmet"], expected);
    let session = rig.at(&format!("/v1/maintenance/{}", reply["session_id"].as_str().unwrap()));
    assert_eq!(get(&format!("{session}/constraints")).good()["unmet"], expected);
    wait_blocked(&session, "bears 0 members out");
    bears(&rig, 1);
    assert_eq!(get(&format!("{session}/constraints")).good()["unmet"], json!([]));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
}

#[test]
fn the_command_line_tells_what_cannot_be_met() {
    let rig = Rig::start(&small_cloud());
    bears(&rig, 0);
    let output = run(&["session", "start", "compute-1", "--url", &rig.url]);
    let told = String::from_utf8(output.stderr).unwrap();
    let expected =
        format!("a constraint of project {PROJECT} cannot be met: group doctor-ha: it bears no member out");
    assert!(output.status.success() && told.contains(&expected), "{told}");
}

#[test]
fn lead_time_is_given_as_far_as_the_ceiling_lets_it() {
    let rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let year = 365 * 24 * 3600;
    let instances = rig.trace().into_iter().filter_map(|event| match event.what {
        Happening::InstanceAdded { instance } => Some(instance.id),
        _ => None,
    });
    for id in instances {
        let stated = json!({"project_id": PROJECT, "lead_time": year});
        let kept = call_json("PUT", &rig.at(&format!("/v1/instance/{id}")), &stated).good();
        assert_eq!((&kept["lead_time"], &kept["applied"]), (&json!(year), &json!({"lead_time": 3600})));
    }
    let mut body = sample_body(&["compute-1"]);
    body["terms"] = json!({"ceilings": {"lead_time": 4}});
    let session = rig.begin(&body);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let lines = get(&format!("{session}/decisions?from=0")).good()["decisions"].clone();
    let at = |says: &dyn Fn(&str) -> bool| {
        let line = lines.as_array().unwrap().iter().find(|line| says(line["what"].as_str().unwrap()));
        line.unwrap_or_else(|| panic!("{lines}"))["at_ms"].as_u64().unwrap()
    };
    let asked = at(&|what| what.starts_with("ask doctor PREPARE_MAINTENANCE"));
    let moved = at(&|what| what.starts_with("MIGRATE "));
    assert!(moved >= asked + 4_000, "{lines}");
}
