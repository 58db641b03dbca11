use std::collections::BTreeMap;

use fenix_sdk::action::{Assessment, CommandState, RemoteError};
use fenix_sdk::testing::{FakeHost, assignment};
use serde_json::{Value, json};

use super::*;

fn whole() -> Value {
    json!({
        "package": "kernel",
        "install": ["sudo", "dpkg", "--install", "{{file}}"],
        "reboot": true,
        "verify": ["check-host", "{{host}}", "--of={{package}}"],
    })
}

/// Calls it to its end; each call is made twice, as after a crash.
fn finish(host: &mut FakeHost, metadata: &Value) -> Result<String, Failure> {
    let (assignment, mut checkpoint) = (assignment(metadata), None::<String>);
    for _ in 0..500 {
        let first = run(host, &assignment, checkpoint.as_deref());
        let answer = match first {
            Ok(Progress::Again(_)) => run(host, &assignment, checkpoint.as_deref()),
            end => end,
        };
        match answer? {
            Progress::Done(report) => return Ok(report),
            Progress::Again(again) => checkpoint = Some(again.checkpoint),
        }
    }
    panic!("it has no end: {checkpoint:?}");
}

fn lines(host: &FakeHost) -> BTreeMap<String, String> {
    host.remote.started.iter().map(|(name, command)| (name.clone(), command.argv.join(" "))).collect()
}

#[test]
fn a_package_is_brought_checked_installed_and_the_host_restarted() {
    let mut host = FakeHost::new("compute-1", &["other", "kernel"]);
    let report = finish(&mut host, &whole()).unwrap();
    assert_eq!(report, "compute-1: kernel brought, sudo run, restarted, check-host says that all is well");
    let zeros = "00".repeat(32);
    let file = format!("./fenix-packages/{zeros}/kernel");
    let started: Vec<&str> = host.remote.started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(started, ["fetch-0-0", "check-0-0", "install-0-0", "verify-0-0"], "each once, in their order");
    let lines = lines(&host);
    assert!(lines["fetch-0-0"].ends_with(&format!("--output {file}")));
    assert_eq!(lines["install-0-0"], format!("sudo dpkg --install {file}"));
    assert_eq!(lines["verify-0-0"], "check-host compute-1 --of=kernel");
    let read = |at: usize| host.remote.started[at].1.stdin.as_str();
    assert_eq!(read(0), "url = \"http://fenix.example/kernel\"\n", "nobody on the host sees it");
    assert_eq!(read(1), format!("{zeros}  {file}\n"));
    assert_eq!(host.cloud.reboots, 1);
}

#[test]
fn only_what_is_wanted_is_done() {
    let check = |metadata: Value, expected: &[&str], reboots: u32| {
        let mut host = FakeHost::new("compute-1", &["kernel"]);
        finish(&mut host, &metadata).unwrap();
        assert_eq!(lines(&host).keys().collect::<Vec<_>>(), expected);
        assert_eq!(host.cloud.reboots, reboots);
    };
    check(json!({ "install": ["true"] }), &["install-0-0"], 0);
    check(json!({ "reboot": true }), &[], 1);
    check(json!({ "package": "kernel", "to": "/opt/{{sha256}}" }), &["check-0-0", "fetch-0-0"], 0);
    check(json!({ "verify": ["true"] }), &["verify-0-0"], 0);
}

#[test]
fn a_step_that_fails_ends_it_with_what_was_said() {
    let check = |name: &str, status: u8, expected: &str| {
        let mut host = FakeHost::new("compute-1", &["kernel"]);
        host.remote.ends(name, status, "E: no\n");
        assert_eq!(finish(&mut host, &whole()), Err(Failure::Failed(expected.to_owned())));
        host
    };
    let host = check("check-0-0", 1, "check: sha256sum ended with status 1: E: no");
    assert!(host.remote.line("install-0-0").is_none(), "what is not what it must be is not installed");
    let host = check("install-0-0", 100, "install: sudo ended with status 100: E: no");
    assert_eq!(host.cloud.reboots, 0);
    check("verify-0-0", 2, "verify: check-host ended with status 2: E: no");
}

#[test]
fn fetching_is_tried_again_with_a_new_address() {
    let mut host = FakeHost::new("compute-1", &["kernel"]);
    for attempt in 0..2 {
        host.remote.ends(&format!("fetch-0-{attempt}"), 22, "403");
    }
    finish(&mut host, &json!({ "package": "kernel" })).unwrap();
    assert!(host.remote.line("fetch-0-2").is_some() && host.remote.line("fetch-0-3").is_none());
    let mut host = FakeHost::new("compute-1", &["kernel"]);
    for attempt in 0..FETCHES {
        host.remote.ends(&format!("fetch-0-{attempt}"), 22, "403");
    }
    let failed = Failure::Failed("fetch: curl ended with status 22: 403".to_owned());
    assert_eq!(finish(&mut host, &json!({ "package": "kernel" })), Err(failed));
}

#[test]
fn what_left_no_word_is_begun_again_only_if_that_does_no_harm() {
    let check = |step: &str, expected: Result<(), &str>| {
        let mut host = FakeHost::new("compute-1", &["kernel"]);
        host.remote.states.insert(format!("{step}-0-0"), [CommandState::Lost].into());
        match (finish(&mut host, &whole()), expected) {
            (Ok(_), Ok(())) => assert!(host.remote.line(&format!("{step}-0-1")).is_some()),
            (Err(Failure::Failed(why)), Err(part)) => {
                assert!(why.contains(part), "{why}");
                assert!(host.remote.line(&format!("{step}-0-1")).is_none());
            }
            other => panic!("{other:?}"),
        }
    };
    check("fetch", Ok(()));
    check("verify", Ok(()));
    check("install", Err("install: sudo ended without a word"));
}

#[test]
fn a_step_that_failed_is_begun_anew_when_the_action_is_tried_again() {
    let mut host = FakeHost::new("compute-1", &["kernel"]);
    host.remote.ends("install-0-0", 100, "locked");
    host.remote.states.insert("install-1-0".to_owned(), [CommandState::Lost].into());
    let metadata = json!({ "install": ["true"] });
    for expected in ["true ended with status 100: locked", "true ended without a word"] {
        assert!(matches!(finish(&mut host, &metadata), Err(Failure::Failed(why)) if why.contains(expected)));
    }
    finish(&mut host, &metadata).unwrap();
    let names: Vec<&str> = host.remote.started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["install-0-0", "install-1-0", "install-2-0"]);
}

#[test]
fn a_host_that_is_silent_for_a_while_is_waited_for() {
    let unclear = || Some(RemoteError::Unclear("connection refused".to_owned()));
    let mut host = FakeHost::new("compute-1", &["kernel"]);
    host.remote.errors = (0..20).map(|_| unclear()).collect();
    finish(&mut host, &whole()).unwrap();
    let mut host = FakeHost::new("compute-1", &["kernel"]);
    host.remote.errors = (0..1000).map(|_| unclear()).collect();
    let failed = Failure::Failed("verify: connection refused".to_owned());
    assert_eq!(finish(&mut host, &json!({ "verify": ["true"] })), Err(failed));
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_name() {
    let check = |metadata: Value, expected: &str| {
        let mut host = FakeHost::new("compute-1", &["kernel"]);
        match finish(&mut host, &metadata) {
            Err(Failure::BadMetadata(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(host.remote.started.is_empty());
    };
    check(json!({}), "there is nothing to do in it");
    check(json!({ "packages": "kernel" }), "unknown field `packages`");
    check(json!({ "to": "/x", "reboot": true }), "`to` says where");
    check(json!({ "package": "colonel" }), "no package \"colonel\"; it brought kernel");
    check(json!({ "install": ["dpkg", "{{file}}"] }), "{{file}} goes with a `package`");
    check(json!({ "install": ["dpkg", "{{flie}}"] }), "{{flie}} stands for nothing");
    check(json!({ "install": ["dpkg", "{{file"] }), "has a {{ without its }}");
    let odd = run(&mut FakeHost::new("x", &[]), &assignment(&whole()), Some("odd"));
    assert_eq!(odd, Err(Failure::Failed("the checkpoint is not one of ssh-upgrade's".to_owned())));
}

/// Calls a function with a checkpoint to its end; each call is made twice, as after a crash.
fn finish_beside<T, A>(
    host: &mut FakeHost,
    call: impl Fn(&mut FakeHost, Option<&str>) -> Result<T, Failure>,
    again: impl Fn(T) -> Result<String, A>,
) -> Result<A, Failure> {
    let mut checkpoint = None::<String>;
    for _ in 0..500 {
        call(host, checkpoint.as_deref())?;
        match again(call(host, checkpoint.as_deref())?) {
            Ok(next) => checkpoint = Some(next),
            Err(end) => return Ok(end),
        }
    }
    panic!("it has no end: {checkpoint:?}");
}

fn assessed(host: &mut FakeHost, metadata: &Value) -> Result<Assessment, Failure> {
    let assignment = assignment(metadata);
    finish_beside(
        host,
        |host, checkpoint| assess(host, &assignment, checkpoint),
        |verdict| match verdict {
            Assessment::Again(again) => Ok(again.checkpoint),
            other => Err(other),
        },
    )
}

#[test]
fn a_host_is_left_as_it_is_if_a_command_says_so() {
    let metadata = json!({ "unless": ["test-kernel", "{{host}}"] });
    let check = |prepare: fn(&mut FakeHost), expected: Result<Assessment, Failure>| {
        let mut host = FakeHost::new("compute-1", &[]);
        prepare(&mut host);
        assert_eq!(assessed(&mut host, &metadata), expected);
        assert_eq!(host.remote.line("unless-0").as_deref(), Some("test-kernel compute-1"));
    };
    let nothing = || Ok(Assessment::NotNeeded("test-kernel says that there is nothing to do".to_owned()));
    check(|_| {}, nothing());
    check(
        |host| host.remote.ends("unless-0", 1, "5.10"),
        Ok(Assessment::Needed("test-kernel ended with status 1: 5.10".to_owned())),
    );
    check(
        |host| drop(host.remote.states.insert("unless-0".to_owned(), [CommandState::Lost].into())),
        nothing(),
    );
    let mut host = FakeHost::new("compute-1", &[]);
    assert!(matches!(assessed(&mut host, &json!({})), Ok(Assessment::Needed(_))));
    assert!(host.remote.started.is_empty());
}

fn undone(host: &mut FakeHost, metadata: &Value, forward: Option<&str>) -> Result<String, Failure> {
    let assignment = assignment(metadata);
    finish_beside(
        host,
        |host, checkpoint| undo(host, &assignment, checkpoint, forward),
        |progress| match progress {
            Progress::Again(again) => Ok(again.checkpoint),
            Progress::Done(report) => Err(report),
        },
    )
}

#[test]
fn what_runs_is_ended_and_what_was_done_taken_back_and_begun_anew_later() {
    let metadata = json!({ "install": ["apply"], "undo": ["revert", "{{host}}"] });
    let mut host = FakeHost::new("compute-1", &[]);
    host.remote.states.insert("install-0-0".to_owned(), [CommandState::Running].into());
    let assignment = assignment(&metadata);
    let mut forward = None::<String>;
    for _ in 0..3 {
        match run(&mut host, &assignment, forward.as_deref()) {
            Ok(Progress::Again(again)) => forward = Some(again.checkpoint),
            other => panic!("{other:?}"),
        }
    }
    host.remote.states.insert("undo-0".to_owned(), [CommandState::Running].into());
    host.remote.ends("undo-0", 0, "");
    assert_eq!(undone(&mut host, &metadata, forward.as_deref()), Ok("revert has taken it back".to_owned()));
    assert!(host.remote.killed.iter().all(|name| name == "install-0-0") && !host.remote.killed.is_empty());
    assert_eq!(host.remote.line("undo-0").as_deref(), Some("revert compute-1"));
    finish(&mut host, &metadata).unwrap();
    assert!(host.remote.line("install-1-0").is_some(), "what ran before counts no longer");

    let mut host = FakeHost::new("compute-1", &[]);
    host.remote.ends("undo-0", 9, "stuck");
    let failed = Failure::Failed("revert ended with status 9: stuck".to_owned());
    assert_eq!(undone(&mut host, &metadata, None), Err(failed));
    let nothing = undone(&mut FakeHost::new("compute-1", &[]), &json!({ "install": ["apply"] }), None);
    assert_eq!(nothing, Ok("nothing is said by which it could be taken back".to_owned()));
}
