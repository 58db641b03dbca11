//! The server on a disk that loses power and fails: judged by what its clients were told, and by the cloud.

use std::time::Instant;

use fenix_server::demo::truth::judge;
use fenix_tests::disk::{Caching, Disk, Errno, Fault, Kind, Which};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{call_json, get};
use crate::process::PATIENCE;
use crate::rig::{Place, Rig, sample_body, small_cloud, wait_for, wait_for_end};

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
    let begun = Instant::now();
    let ready = loop {
        let ready = get(&rig.at("/readyz"));
        if ready.status != 200 {
            break ready;
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    assert!(ready.body.to_string().contains(why), "{}", ready.body);
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
