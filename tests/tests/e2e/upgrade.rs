//! The previous build and this one, one after the other, on one data directory and one cloud.
//!
//! `make test-upgrade` builds the previous one and names it in `FENIX_PREVIOUS`; without that there is nothing to hold
//! this build against.

use fenix_server::demo::truth::judge;
use serde_json::json;

use crate::http::get;
use crate::process::{fenix_at, run};
use crate::rig::{Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// What is under way when one build is killed and the other goes on: a question, a scaling, a move, work, giving back.
const MOMENTS: [&str; 5] = ["reached", "SCALE_IN", "MIGRATE", "working", "release"];

fn previous() -> Option<String> {
    std::env::var("FENIX_PREVIOUS").ok()
}

/// Runs a session that changes hands at one of the moments.
fn check(first: Option<&str>, then: Option<&str>, moment: &str) {
    let mut rig = Rig::start(&small_cloud());
    rig.go_on_with(first);
    let _manager = rig.manager(&[]);
    let mut body = sample_body(&[]);
    body["terms"] = json!({ "settle_time": 2 });
    let session = rig.begin(&body);
    wait_for(&session, |news| {
        let lines = news["lines"].as_array().unwrap();
        lines.iter().any(|line| line["what"].as_str().unwrap().contains(moment))
    });
    rig.go_on_with(then);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{moment}: {end}");
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new(), "{moment}");
}

#[test]
fn what_the_previous_build_left_in_the_middle_is_taken_over() {
    let Some(previous) = previous() else { return };
    MOMENTS.iter().for_each(|moment| check(Some(&previous), None, moment));
}

#[test]
fn the_previous_build_takes_over_what_this_one_left_in_the_middle() {
    let Some(previous) = previous() else { return };
    MOMENTS.iter().for_each(|moment| check(None, Some(&previous), moment));
}

#[test]
fn the_way_back_that_is_documented_works() {
    let Some(previous) = previous() else { return };
    let mut rig = Rig::start(&small_cloud());
    rig.go_on_with(Some(&previous));
    let _manager = rig.manager(&[]);
    let session = rig.begin(&sample_body(&[]));
    let under_way = |moment: &str| {
        wait_for(&session, |news| {
            let lines = news["lines"].as_array().unwrap();
            lines.iter().any(|line| line["what"].as_str().unwrap().contains(moment))
        })
    };
    under_way("reached");
    let archive = rig.path("before.backup");
    assert!(fenix_at(&previous, &["backup", &archive, "--url", &rig.url]).status().unwrap().success());
    rig.go_on_with(None);
    under_way("MIGRATE");
    rig.kill_server();

    // What a newer layout would be is refused by name.
    let data = rig.path("data");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--cloud", &rig.cloud.address];
    let marker = format!("{data}/FORMAT");
    std::fs::write(&marker, "fenix journal 9\n").unwrap();
    let refused = fenix_at(&previous, &serve).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("layout 9, newer than"), "{told}");

    std::fs::rename(&data, format!("{data}.newer")).unwrap();
    let restore = ["restore", &archive, "--data-dir", &data];
    assert!(fenix_at(&previous, &restore).status().unwrap().success());
    assert!(run(&["store", "check", "--data-dir", &data]).status.success());
    rig.go_on(Some(&previous));
    assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
    // What was done since the backup is not known to have been done: it is done again, and the howto says so.
    let mut problems = judge(&rig.trace()).problems;
    problems.retain(|problem| !problem.ends_with("was restarted 2 times instead of once"));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(get(&rig.at("/healthz")).status, 200);
}
