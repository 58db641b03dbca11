//! The previous build and this one, one after the other, on one data directory and one cloud.
//!
//! `make test-upgrade` builds the previous one and names it in `FENIX_PREVIOUS`; without that there is nothing to hold
//! this build against.

use std::time::Instant;

use fenix_server::demo::truth::judge;
use serde_json::json;

use crate::http::{call, get};
use crate::process::{PATIENCE, fenix_at, run};
use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// What is under way when one build is killed and the other goes on: a question, a scaling, a move, work, giving back.
const MOMENTS: [&str; 5] = ["reached", "SCALE_IN", "MIGRATE", "working", "release"];

fn previous() -> Option<String> {
    std::env::var("FENIX_PREVIOUS").ok()
}

/// Waits until a session has come to a moment.
fn wait_until(session: &str, moment: &str) {
    wait_for(session, |news| {
        let lines = news["lines"].as_array().unwrap();
        lines.iter().any(|line| line["what"].as_str().unwrap().contains(moment))
    });
}

/// A rig whose server is of that build; `None` is the one under test.
fn start(build: Option<&str>) -> Rig {
    Rig::start_in(&small_cloud(), &[], Place { build: build.map(str::to_owned), ..Place::default() })
}

/// Begins a session on all hosts.
fn begin(rig: &Rig) -> String {
    let mut body = sample_body(&[]);
    body["terms"] = json!({ "settle_time": 2 });
    rig.begin(&body)
}

/// What the cloud's account finds wrong but for hosts that were restarted more than once.
fn problems_but_repeats(rig: &Rig) -> Vec<String> {
    let mut problems = judge(&rig.trace()).problems;
    let is_repeat =
        |problem: &str| problem.ends_with("times instead of once") && !problem.contains("restarted 0 times");
    problems.retain(|problem| !is_repeat(problem));
    problems
}

/// Runs a session of the first build, which the next ones take over at the moments.
fn check(builds: &[Option<&str>], moments: &[&str]) {
    let mut rig = start(builds[0]);
    let _manager = rig.manager(&[]);
    let session = begin(&rig);
    for (build, moment) in builds[1..].iter().zip(moments) {
        wait_until(&session, moment);
        rig.go_on_with(*build);
    }
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{moments:?}: {end}");
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new(), "{moments:?}");
}

#[test]
fn what_the_previous_build_left_in_the_middle_is_taken_over() {
    let Some(previous) = previous() else { return };
    MOMENTS.iter().for_each(|moment| check(&[Some(&previous), None], &[moment]));
}

#[test]
fn a_session_that_began_before_the_upgrade_goes_back_with_the_previous_build() {
    let Some(previous) = previous() else { return };
    MOMENTS.windows(2).for_each(|moments| check(&[Some(&previous), None, Some(&previous)], moments));
}

/// The workflow `default` of this build wants `view.session-attr`, which the previous one does not have.
#[test]
fn a_session_of_this_build_is_parked_by_name_under_the_previous_one_and_is_continued_under_this_one() {
    let Some(previous) = previous() else { return };
    for moment in MOMENTS {
        let mut rig = start(None);
        let _manager = rig.manager(&[]);
        let session = begin(&rig);
        wait_until(&session, moment);
        rig.go_on_with(Some(&previous));
        let parked = wait_for_end(&session);
        assert_eq!(parked["condition"], "parked", "{moment}: {parked}");
        let why = parked["reason"].as_str().unwrap();
        assert!(why.starts_with("the workflow cannot run: no plug-in"), "{moment}: {why}");

        rig.go_on_with(None);
        call("PUT", &session, b"").good();
        let end =
            wait_for(&session, |news| news["state"] == "MAINTENANCE_DONE" && news["condition"] == "ended");
        assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new(), "{moment}: {end}");
    }
}

#[test]
fn once_sessions_of_this_build_have_ended_or_are_deleted_the_previous_one_goes_on() {
    let Some(previous) = previous() else { return };
    let mut rig = start(None);
    let _manager = rig.manager(&[]);
    assert_eq!(wait_for_end(&begin(&rig))["state"], "MAINTENANCE_DONE");
    let deleted = begin(&rig);
    wait_until(&deleted, "SCALE_IN");
    call("DELETE", &deleted, b"").good();
    let begun = Instant::now();
    while get(&deleted).status != 404 {
        assert!(begun.elapsed() < PATIENCE);
    }
    rig.go_on_with(Some(&previous));
    assert_eq!(wait_for_end(&begin(&rig))["state"], "MAINTENANCE_DONE");
    assert_eq!(problems_but_repeats(&rig), Vec::<String>::new());
}

#[test]
fn the_way_back_that_is_documented_works() {
    let Some(previous) = previous() else { return };
    let mut rig = start(Some(&previous));
    let _manager = rig.manager(&[]);
    let session = begin(&rig);
    wait_until(&session, "reached");
    let archive = rig.path("before.backup");
    assert!(fenix_at(&previous, &["backup", &archive, "--url", &rig.url]).status().unwrap().success());
    rig.go_on_with(None);
    wait_until(&session, "MIGRATE");
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
    assert_eq!(problems_but_repeats(&rig), Vec::<String>::new());
    assert_eq!(get(&rig.at("/healthz")).status, 200);
}
