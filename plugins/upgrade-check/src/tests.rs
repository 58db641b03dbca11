use fenix_sdk::action::Ending;
use fenix_sdk::testing::{FakeHost, assignment};
use serde_json::{Value, json};

use super::*;

fn metadata(warnings: &str) -> Value {
    json!({ "check": ["keystone-status", "upgrade", "check", "--json"], "warnings": warnings })
}

/// Calls a function to its end from a checkpoint on; each call is made twice, as after a crash, unless it was the last one.
/// Returns the end, the last checkpoint, and the pauses.
fn finish<T>(
    mut checkpoint: Option<String>,
    mut call: impl FnMut(Option<&str>) -> Result<T, Failure>,
    again: impl Fn(&T) -> Option<Again>,
) -> (Result<T, Failure>, Option<String>, Vec<u32>) {
    let mut pauses = Vec::new();
    for _ in 0..1_000 {
        let first = call(checkpoint.as_deref());
        let is_last = first.as_ref().map_or(true, |answer| again(answer).is_none());
        let answer = if is_last { first } else { call(checkpoint.as_deref()) };
        match answer.as_ref().ok().and_then(&again) {
            Some(again) => {
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            None => return (answer, checkpoint, pauses),
        }
    }
    panic!("it has no end: {checkpoint:?}");
}

fn assessed(host: &mut FakeHost, metadata: &Value) -> Result<Assessment, Failure> {
    let assignment = assignment(metadata);
    let again = |verdict: &Assessment| match verdict {
        Assessment::Again(again) => Some(again.clone()),
        _ => None,
    };
    finish(None, |checkpoint| assess(host, &assignment, checkpoint), again).0
}

fn worked(
    host: &mut FakeHost,
    metadata: &Value,
    checkpoint: Option<String>,
) -> (Result<Progress, Failure>, Option<String>, Vec<u32>) {
    let assignment = assignment(metadata);
    let again = |progress: &Progress| match progress {
        Progress::Again(again) => Some(again.clone()),
        Progress::Done(_) => None,
    };
    finish(checkpoint, |checkpoint| run(host, &assignment, checkpoint), again)
}

fn report(checks: &[(&str, u8, Option<&str>)]) -> String {
    let check = |(name, result, details): &(&str, u8, Option<&str>)| json!({ "check": name, "result": result, "details": details });
    json!({ "name": "upgrade check", "checks": checks.iter().map(check).collect::<Vec<_>>() }).to_string()
}

/// A check that ends so is found to be that good, and says this. `assess` and `run` are of one mind about it.
#[track_caller]
fn check(status: u8, output: &str, grade: Grade, expected: &str) -> String {
    let why = |result: Result<String, String>| result.unwrap_or_else(|why| why);
    let mut sentence = String::new();
    for warnings in ["go", "block"] {
        let mut host = FakeHost::new("compute-1", &[]);
        host.remote.ends("check-0", status, output);
        let is_yes = grade == Grade::Good || (grade == Grade::Warns && warnings == "go");
        let verdict = match assessed(&mut host, &metadata(warnings)) {
            Ok(Assessment::Needed(why)) => Ok(why),
            Ok(Assessment::Blocked(why)) => Err(why),
            other => panic!("{other:?}"),
        };
        assert_eq!(verdict.is_ok(), is_yes, "{verdict:?} with {warnings}");
        let mut host = FakeHost::new("compute-1", &[]);
        host.remote.ends("check-0", status, output);
        let end = match worked(&mut host, &metadata(warnings), None).0 {
            Ok(Progress::Done(why)) => Ok(why),
            Err(Failure::Failed(why)) => Err(why),
            other => panic!("{other:?}"),
        };
        assert_eq!(end, verdict);
        assert_eq!(host.remote.line("check-0").as_deref(), Some("keystone-status upgrade check --json"));
        sentence = why(end);
        assert!(sentence.len() <= 1024, "{sentence}");
        match expected.strip_suffix("...") {
            Some(part) => assert!(sentence.starts_with(part), "{sentence}"),
            None => assert_eq!(sentence, expected),
        }
    }
    sentence
}

#[test]
fn the_exit_status_says_how_it_is() {
    check(0, "", Grade::Good, "good: keystone-status ended with status 0");
    check(
        1,
        "old  policy\nfile",
        Grade::Warns,
        "a warning: keystone-status ended with status 1: old policy file",
    );
    check(2, "| no cells |", Grade::Bad, "a failure: keystone-status ended with status 2: | no cells |");
    check(
        255,
        "Traceback",
        Grade::Bad,
        "the check crashed: keystone-status ended with status 255: Traceback",
    );
    check(127, "not found", Grade::Bad, "no check ends so: keystone-status ended with status 127: not found");
    check(137, "", Grade::Bad, "no check ends so: keystone-status ended with status 137");
}

#[test]
fn what_warns_and_what_fails_is_named() {
    let good = report(&[("Cells v2", 0, None), ("Cinder API", 0, Some("fine"))]);
    check(0, &good, Grade::Good, "keystone-status finds nothing in the way");
    let warns =
        report(&[("Cells v2", 0, None), ("Policy", 1, Some("is\nJSON")), ("hw_machine_type", 1, None)]);
    check(1, &warns, Grade::Warns, "keystone-status warns: Policy (is JSON), hw_machine_type");
    let fails = report(&[("Policy", 1, None), ("Cells v2", 2, Some("no cell"))]);
    check(2, &fails, Grade::Bad, "keystone-status fails: Cells v2 (no cell); warns: Policy");
    let noisy = format!("DeprecationWarning: eventlet\n{fails}\nbye\n");
    check(2, &noisy, Grade::Bad, "keystone-status fails: Cells v2 (no cell); warns: Policy");
    // A wrapper may lose the status, or have its own; what is worse counts.
    check(0, &fails, Grade::Bad, "keystone-status fails: Cells v2 (no cell); warns: Policy");
    check(0, &warns, Grade::Warns, "keystone-status warns: Policy...");
    check(2, &warns, Grade::Bad, "keystone-status ended with status 2, a failure, and warns: Policy...");
    check(1, &good, Grade::Warns, "keystone-status ended with status 1, a warning, and names no check");
    check(255, &good, Grade::Bad, "the check crashed: keystone-status ended with status 255: ...");
}

#[test]
fn hostile_output_is_bounded_and_never_better_than_the_status() {
    let many: Vec<(&str, u8, Option<&str>)> = (0..200).map(|_| ("x", 2, None)).collect();
    check(2, &report(&many), Grade::Bad, "keystone-status fails: x, x, x, x, x and 195 more");
    let (name, details) = ("é".repeat(4_000), "🦀\u{0}".repeat(4_000));
    let long: Vec<(&str, u8, Option<&str>)> =
        (0..200).map(|index| (name.as_str(), 1 + index % 2, Some(details.as_str()))).collect();
    check(1, &report(&long), Grade::Bad, "keystone-status fails: éé...");
    check(1, &report(&[("", 1, Some(" "))]), Grade::Warns, "keystone-status warns: a check without a name");
    for output in [
        "{",
        "}{",
        "{}",
        "[]",
        "null",
        "7",
        "\u{fffd}",
        r#"{"checks": 7}"#,
        r#"{"checks": [7]}"#,
        r#"{"checks": [{"check": "x"}]}"#,
        r#"{"checks": [{"check": "x", "result": 3}]}"#,
        r#"{"checks": [{"check": "x", "result": -1}]}"#,
        r#"{"checks": [{"check": "x", "result": true}]}"#,
        r#"{"checks": [{"check": "x", "result": 0, "details": {}}]}"#,
        r#"{"checks": []} {"checks": []}"#,
    ] {
        check(0, output, Grade::Good, "good: keystone-status ended with status 0: ...");
        check(2, output, Grade::Bad, "a failure: keystone-status ended with status 2: ...");
    }
    // Of what was cut in the middle nothing is believed.
    let ending = Ending { status: 0, output: report(&[]), last: "the end".to_owned() };
    let found = Finding::of("x", &ending);
    assert_eq!(found.why, "good: x ended with status 0: the end");
}

#[test]
fn a_check_that_left_no_word_is_made_again() {
    let check = |lost: u32, expected: Result<&str, &str>| {
        let mut host = FakeHost::new("compute-1", &[]);
        for number in 0..lost {
            let gone = if number.is_multiple_of(2) { CommandState::Lost } else { CommandState::Killed };
            host.remote.states.insert(format!("check-{number}"), [CommandState::Running, gone].into());
        }
        match (assessed(&mut host, &metadata("go")), expected) {
            (Ok(Assessment::Needed(why)), Ok(expected)) => assert_eq!(why, expected),
            (Ok(Assessment::Blocked(why)), Err(expected)) => assert!(why.starts_with(expected), "{why}"),
            other => panic!("{other:?}"),
        }
        host.remote.started.len()
    };
    assert_eq!(check(2, Ok("good: keystone-status ended with status 0")), 3);
    assert_eq!(check(9, Err("3 times keystone-status ")), 3);
}

#[test]
fn a_host_that_is_looked_at_again_is_checked_again() {
    let mut host = FakeHost::new("compute-1", &[]);
    host.remote.ends("check-0", 2, "full");
    host.remote.ends("check-1", 1, "old");
    let check = |host: &mut FakeHost, started: usize| {
        let verdict = assessed(host, &metadata("block"));
        assert_eq!(host.remote.started.len(), started);
        verdict.unwrap()
    };
    assert!(matches!(check(&mut host, 1), Assessment::Blocked(why) if why.contains("full")));
    assert!(matches!(check(&mut host, 2), Assessment::Blocked(why) if why.contains("old")));
    assert!(matches!(check(&mut host, 3), Assessment::Needed(_)));
    assert!(host.values.is_empty(), "looking keeps nothing");
}

#[test]
fn a_failure_is_told_once_and_the_next_try_makes_the_check_anew() {
    let mut host = FakeHost::new("compute-1", &[]);
    host.remote.ends("check-0", 2, "full");
    host.remote.ends("check-1", 255, "boom");
    // A failure leaves the checkpoint as it was.
    let mut checkpoint = None;
    for expected in ["full", "boom"] {
        let (end, last, _) = worked(&mut host, &metadata("go"), checkpoint);
        assert!(matches!(&end, Err(Failure::Failed(why)) if why.contains(expected)), "{end:?}");
        checkpoint = last;
    }
    let (end, last, _) = worked(&mut host, &metadata("go"), checkpoint);
    assert!(matches!(end, Ok(Progress::Done(_))), "{end:?}");
    // What was done and not written down is told again, and not made again.
    assert!(matches!(worked(&mut host, &metadata("go"), last).0, Ok(Progress::Done(_))));
    assert_eq!(host.remote.started.len(), 3);
    assert_eq!(host.values.len(), 1);
}

#[test]
fn a_host_that_is_silent_for_a_while_is_waited_for_and_a_refusal_is_not() {
    let unclear = RemoteError::Unclear("connection refused".to_owned());
    let check = |errors: usize, error: &RemoteError| {
        let mut host = FakeHost::new("compute-1", &[]);
        host.remote.errors = (0..errors).map(|_| Some(error.clone())).collect();
        let (end, _, pauses) = worked(&mut host, &metadata("go"), None);
        assert!(host.values.is_empty(), "the check is as it was");
        (end, pauses.len())
    };
    assert!(matches!(check(20, &unclear).0, Ok(Progress::Done(_))));
    let failed = |why: &str| Err(Failure::Failed(why.to_owned()));
    assert_eq!(check(1_000, &unclear), (failed("connection refused"), SILENT_LOOKS as usize));
    let not = RemoteError::NotGranted("remote keystone-status upgrade check --json".to_owned());
    assert_eq!(check(1, &not), (failed("not granted: remote keystone-status upgrade check --json"), 0));
    assert_eq!(check(1, &RemoteError::Refused("key".to_owned())), (failed("key"), 0));
    let mut host = FakeHost::new("compute-1", &[]);
    host.remote.errors = [None, None, None, Some(not)].into();
    assert!(
        matches!(assessed(&mut host, &metadata("go")), Err(Failure::Failed(why)) if why.contains("not granted"))
    );
}

#[test]
fn names_are_filled_in_and_metadata_that_makes_no_sense_is_refused() {
    let mut host = FakeHost::new("compute-1", &[]);
    assessed(&mut host, &json!({ "check": ["sudo", "x-status", "{{host}}-{{session}}"] })).unwrap();
    assert_eq!(host.remote.line("check-0").as_deref(), Some("sudo x-status compute-1-s"));
    let check = |metadata: Value, expected: &str| {
        let mut host = FakeHost::new("compute-1", &[]);
        let ends = [assessed(&mut host, &metadata).map(drop), worked(&mut host, &metadata, None).0.map(drop)];
        for end in ends {
            assert!(matches!(&end, Err(Failure::BadMetadata(why)) if why.contains(expected)), "{end:?}");
        }
        assert!(host.remote.started.is_empty());
    };
    check(json!(null), "upgrade-check: ");
    check(json!({}), "missing field `check`");
    check(json!({ "check": [] }), "check is a program and its arguments");
    check(json!({ "check": [""] }), "check is a program and its arguments");
    check(json!({ "check": "keystone-status" }), "expected a sequence");
    check(json!({ "check": ["x"], "warnings": "stop" }), "unknown variant `stop`");
    check(json!({ "check": ["x"], "hosts": [] }), "unknown field `hosts`");
    check(json!({ "check": ["x", "{{hots}}"] }), "{{hots}} stands for nothing; there are host and session");
    check(json!({ "check": ["x", "{{host"] }), "has a {{ without its }}");
    let nowhere = Assignment { host: None, stage: "pre".to_owned(), ..assignment(&metadata("go")) };
    let end = run(&mut FakeHost::new("x", &[]), &nowhere, None);
    assert_eq!(end, Err(Failure::BadMetadata("upgrade-check: there is no host in stage pre".to_owned())));
}

#[test]
fn odd_checkpoints_do_no_harm() {
    let most = u32::MAX.to_string();
    let assignment = assignment(&metadata("go"));
    for odd in
        ["", "odd", "seek", "seek 0", "seek -1 0", "check 0 0 0", "check 0 0 0 0 0", "seek 99999999999 0"]
    {
        let end = run(&mut FakeHost::new("x", &[]), &assignment, Some(odd));
        assert_eq!(end, Err(Failure::Failed("the checkpoint is not one of upgrade-check's".to_owned())));
    }
    for odd in [format!("seek {most} {most}"), format!("check {most} {most} {most} {most}")] {
        let end = run(&mut FakeHost::new("x", &[]), &assignment, Some(&odd));
        assert!(matches!(&end, Err(Failure::Failed(why)) if why.contains("10000 checks")), "{end:?}");
    }
    let mut host = FakeHost::new("x", &[]);
    host.remote.states.insert("check-0".to_owned(), [CommandState::Running, CommandState::Lost].into());
    let odd = format!("check 0 {most} {most} {most}");
    for _ in 0..2 {
        assert!(matches!(run(&mut host, &assignment, Some(&odd)), Ok(Progress::Again(_))));
    }
    assert!(matches!(run(&mut host, &assignment, Some(&odd)), Err(Failure::Failed(_))));
}
