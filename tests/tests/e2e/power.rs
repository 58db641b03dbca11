//! The server on a disk that loses power and fails: judged by what its clients were told, and by the cloud.

use std::collections::BTreeSet;
use std::time::Instant;

use fenix_cloud::sim::trace::{Happening, MoveKind, TraceEvent};
use fenix_server::demo::truth::{Truth, judge};
use fenix_tests::disk::{Caching, Disk, Errno, Fault, Kind, Which};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::alarm::Inbox;
use crate::http::{call, call_json, get};
use crate::process::PATIENCE;
use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for, wait_for_end, wait_ready};

/// A rig whose server keeps its data on a disk of ours. The disk goes after the server.
struct Powered {
    rig: Rig,
    disk: Disk,
    _dir: TempDir,
}

impl Powered {
    fn start() -> Powered {
        let dir = TempDir::new().unwrap();
        let server = env!("CARGO_BIN_EXE_fenix-test-disk");
        let disk = Disk::mount(server, dir.path(), Caching::None).unwrap();
        let data = Some(disk.path().join("data"));
        let rig = Rig::start_in(&small_cloud(), &[], Place { data, ..Place::default() });
        Powered { rig, disk, _dir: dir }
    }

    /// Cuts the power of disk and server, and gives it back.
    fn cut(&mut self, seed: u64) {
        self.disk.cut(seed).unwrap();
        self.rig.kill_server();
        self.disk.restart(seed).unwrap();
        self.rig.start_again();
    }
}

/// Everything that happened in a session, as its readers are told.
fn lines(session: &str) -> Vec<Value> {
    let news = get(&format!("{session}/events?from=0&wait=0")).good();
    news["lines"].as_array().unwrap().clone()
}

#[test]
fn a_session_goes_on_after_each_cut_with_all_that_its_readers_were_told() {
    let mut powered = Powered::start();
    let _manager = powered.rig.manager(&[]);
    let mut body = sample_body(&[]);
    body["terms"] = json!({ "settle_time": 2 });
    let session = powered.rig.begin(&body);
    for (seed, moment) in (0..).zip(["reached", "SCALE_IN", "MIGRATE", "working", "release", "COMPLETE"]) {
        let known = lines(&session).len();
        wait_for(&session, |news| {
            let is_moment = |line: &Value| line["what"].as_str().unwrap().contains(moment);
            news["condition"] == "ended" || lines(&session).iter().skip(known).any(is_moment)
        });
        let told = lines(&session);
        powered.cut(seed);
        let kept = lines(&session);
        assert!(kept.starts_with(&told), "after {moment}: {told:#?} became {kept:#?}");
    }
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    assert_eq!(judge(&powered.rig.trace()).problems, Vec::<String>::new());
}

/// Waits until `/readyz` says no for that reason.
#[track_caller]
fn wait_until_not_ready(rig: &Rig, why: &str) {
    let begun = Instant::now();
    loop {
        let ready = get(&rig.at("/readyz"));
        if ready.status == 503 && ready.body.to_string().contains(why) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} instead of {why}", ready.body);
    }
}

/// With a disk that fails so, nothing new is taken or done, `/readyz` says why, and the process stays.
fn check(fail: impl Fn(&Disk), why: &str) {
    let powered = Powered::start();
    let rig = &powered.rig;
    let before = rig.trace();
    fail(&powered.disk);
    for _ in 0..3 {
        let refused = rig.post(&sample_body(&["compute-1"]));
        assert_eq!(refused.status, 503, "{}", refused.body);
    }
    wait_until_not_ready(rig, why);
    let url = rig.at("/v1/subscriptions/late");
    let late = json!({ "project_id": "p", "event_type": "x", "url": "http://127.0.0.1:1/" });
    assert_eq!(call_json("PUT", &url, &late).status, 503);
    assert_eq!(rig.trace(), before);
    assert_eq!(get(&rig.at("/healthz")).status, 200);
}

#[test]
fn with_a_disk_that_cannot_sync_nothing_is_done() {
    let fault = Fault::Error(Errno::IO);
    check(|disk| disk.fail(Which::every(Kind::Sync, "sled/db"), fault), "Input/output error");
}

#[test]
fn with_a_disk_that_takes_no_writes_nothing_is_done() {
    let fault = Fault::Error(Errno::FULL);
    check(|disk| disk.fail(Which::every(Kind::Write, "sled/db"), fault), "No space left");
}

/// What a disk cannot do any more, and what is said of it.
struct Failure {
    begin: fn(&Disk),
    why: &'static str,
    /// What becomes possible again, so that the journal can be opened.
    ease: fn(&Disk),
    /// What is said of it then.
    then: &'static str,
}

/// No sync succeeds; then the disk is well again, but nobody knows whether it stays so.
const CANNOT_SYNC: Failure = Failure {
    begin: |disk| disk.fail(Which::every(Kind::Sync, "sled/db"), Fault::Error(Errno::IO)),
    why: "Input/output error",
    ease: Disk::mend,
    then: "start the server again",
};

/// Nothing fits any more: it is so from a write in the middle of the database on, and stays so.
const FULL: Failure = Failure {
    begin: |disk| {
        disk.limit(Some(disk.used()));
        disk.fail(Which::every(Kind::Write, "sled/db"), Fault::Error(Errno::FULL));
    },
    why: "No space left",
    ease: Disk::mend,
    then: "goes on by itself when there is room",
};

/// What Fenix began in the cloud: hosts that it took out of service or restarted, and moves there.
fn begun(rig: &Rig) -> Vec<TraceEvent> {
    let is_begun = |event: &TraceEvent| match &event.what {
        Happening::HostDisabled { .. } | Happening::HostRebooting { .. } => true,
        Happening::MoveStarted { kind, .. } => *kind != MoveKind::Revert,
        _ => false,
    };
    rig.trace().into_iter().filter(is_begun).collect()
}

/// A session on all hosts whose disk failed at a moment: everything that had been ordered by then is back.
fn fail_at(powered: &Powered, moment: &str, failure: &Failure) -> String {
    let rig = &powered.rig;
    let session = rig.begin(&sample_body(&[]));
    wait_for(&session, |news| {
        let lines = news["lines"].as_array().unwrap();
        lines.iter().any(|line| line["what"].as_str().unwrap().contains(moment))
    });
    (failure.begin)(&powered.disk);
    wait_until_not_ready(rig, failure.why);
    assert_eq!(rig.post(&sample_body(&["compute-1"])).status, 503, "{moment}");
    (failure.ease)(&powered.disk);
    wait_until_not_ready(rig, failure.then);
    session
}

/// The cloud's account once every instance serves, or was removed by its manager: one that got its capacity back uses it.
fn at_peace(rig: &Rig) -> Truth {
    let begun = Instant::now();
    loop {
        let truth = judge(&rig.trace());
        if truth.instances.values().all(|instance| instance.serves || instance.removed) {
            return truth;
        }
        assert!(begun.elapsed() < PATIENCE, "{truth:?}");
    }
}

/// The hosts on which a session's work was begun and is not finished, as it tells itself.
fn in_work(session: &str) -> BTreeSet<String> {
    let news = get(&format!("{session}/events?wait=0")).good();
    let lines: Vec<&str> =
        news["lines"].as_array().unwrap().iter().filter_map(|line| line["what"].as_str()).collect();
    let that_are = |word: &str| -> BTreeSet<String> {
        lines.iter().filter_map(|line| line.strip_suffix(word)).map(str::to_owned).collect()
    };
    &that_are(" working") - &that_are(" worked")
}

/// A session that a disk failed is closed when it is deleted, and nothing is begun meanwhile.
fn check_closing(moment: &str, failure: &Failure) -> Powered {
    let powered = Powered::start();
    let rig = &powered.rig;
    let _manager = rig.manager(&[]);
    let inbox = Inbox::open();
    rig.subscribe(&inbox.url);
    let session = fail_at(&powered, moment, failure);
    let before = begun(rig);
    assert!(!before.is_empty(), "{moment}");
    // By the time that the disk failed it may have come further than that.
    let in_work = in_work(&session);
    assert!(moment != "working" || in_work.len() == 1, "{in_work:?}");
    call("DELETE", &session, b"").good();
    let asked = Instant::now();
    while get(&session).status != 404 {
        assert!(asked.elapsed() < PATIENCE, "{moment}: {}", get(&format!("{session}/detail")).body);
    }
    while inbox.next()["state"] != "MAINTENANCE_COMPLETE" {}
    assert_eq!(begun(rig), before, "{moment}");
    let truth = at_peace(rig);
    for (id, host) in &truth.hosts {
        // One that was being worked on stays out: nobody knows how far that came.
        let is_back = host.service == host.found;
        assert!(host.up && is_back != in_work.contains(id.as_str()), "{moment}: {id}: {host:?}");
    }
    assert_eq!(get(&rig.at("/healthz")).status, 200);
    wait_until_not_ready(rig, failure.then);
    powered
}

/// When a disk fails: a host is empty, or being emptied, or worked on.
const MOMENTS: [&str; 3] = ["fenced", "MIGRATE", "working"];

#[test]
fn a_session_whose_disk_cannot_sync_any_more_begins_nothing_and_can_be_deleted() {
    for moment in MOMENTS {
        let mut powered = check_closing(moment, &CANNOT_SYNC);
        powered.rig.crash_server();
    }
}

#[test]
fn a_session_whose_disk_is_full_begins_nothing_and_can_be_deleted() {
    for moment in MOMENTS {
        let powered = check_closing(moment, &FULL);
        powered.disk.limit(None);
        wait_ready(&powered.rig.url);
    }
}

#[test]
fn a_session_whose_disk_was_full_completes_by_itself() {
    for moment in MOMENTS {
        let powered = Powered::start();
        let _manager = powered.rig.manager(&[]);
        let session = fail_at(&powered, moment, &FULL);
        powered.disk.limit(None);
        let end = wait_for_end(&session);
        assert_eq!(end["state"], "MAINTENANCE_DONE", "{moment}: {end}");
        assert_eq!(judge(&powered.rig.trace()).problems, Vec::<String>::new(), "{moment}");
    }
}
