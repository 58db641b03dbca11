//! The server dies in the middle of a session, again and again; the cloud says that all ended well.

use fenix_server::demo::truth::judge;
use serde_json::json;

use crate::http::get;
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

#[test]
fn a_session_goes_on_where_a_killed_server_left_it() {
    let mut rig = Rig::start(&small_cloud());
    let _manager = rig.manager(&[]);
    let mut body = sample_body(&[]);
    // What was being sent when the server died is looked after for this long, since it may still arrive.
    body["terms"] = json!({ "settle_time": 2 });
    let session = rig.begin(&body);
    // Each time another thing is under way: a question, a scaling, a move, a restart, the giving back.
    for moment in ["reached", "SCALE_IN", "MIGRATE", "working", "release", "working", "COMPLETE"] {
        let from = get(&format!("{session}/events?wait=0")).good()["next"].as_u64().unwrap();
        wait_for(&session, |news| {
            let lines = news["lines"].as_array().unwrap();
            let newer = lines.iter().filter(|line| line["seq"].as_u64().unwrap() > from);
            news["condition"] == "ended"
                || newer.map(|line| line["what"].as_str().unwrap()).any(|what| what.contains(moment))
        });
        rig.crash_server();
    }
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new());
}

#[test]
fn a_stopped_server_says_goodbye_and_goes_on_later() {
    let rig = Rig::start(&small_cloud());
    let data = rig.path("other");
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--cloud", &rig.cloud.address];
    for _ in 0..2 {
        let server = crate::process::Process::start(&args);
        assert_eq!(get(&format!("{}/healthz", server.address)).status, 200);
        assert!(server.stop().success());
    }
}
