use fenix_sdk::action::{CommandState, HttpError, RemoteError, Response};
use fenix_sdk::testing::FakeHost;
use serde_json::{Value, json};

use super::*;

fn assignment(metadata: &Value) -> Assignment {
    Assignment { stage: "gate".to_owned(), ..fenix_sdk::testing::assignment(metadata) }
}

/// How it came out: where the gate opens `run` is done, and where it stays closed `run` fails.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Go(String),
    Stop(String),
    Failure(Failure),
}

/// What came of calling it to its end.
struct Came {
    end: End,
    pauses: Vec<u32>,
    reasons: Vec<String>,
    host: FakeHost,
}

/// Calls the gate to its end on that host, and `run` on another one like it, which has to come to the same by the same way.
#[track_caller]
fn check(metadata: &Value, host: &FakeHost) -> Came {
    let assignment = assignment(metadata);
    let (mut as_gate, mut as_run) = (host.clone(), host.clone());
    let (mut pauses, mut reasons, mut checkpoint) = (Vec::new(), Vec::new(), None::<String>);
    for _ in 0..10_000 {
        let opening = gate(&mut as_gate, &assignment, checkpoint.as_deref());
        let progress = run(&mut as_run, &assignment, checkpoint.as_deref());
        let end = match (opening, progress) {
            (Ok(Opening::Wait(Pause { why, again })), Ok(Progress::Again(same))) => {
                assert_eq!(again, same);
                assert!(why.len() <= 1024 && again.percent < 100, "{again:?}: {why}");
                pauses.push(again.after_ms);
                reasons.push(why);
                checkpoint = Some(again.checkpoint);
                continue;
            }
            (Ok(Opening::Go(why)), Ok(Progress::Done(same))) if why == same => End::Go(why),
            (Ok(Opening::Stop(why)), Err(Failure::Failed(same))) if why == same => End::Stop(why),
            (Err(failure), Err(same)) if failure == same => End::Failure(failure),
            other => panic!("{other:?}"),
        };
        assert!(as_gate.values.is_empty(), "the gate keeps nothing");
        assert_eq!(
            (as_gate.sent, as_gate.remote.started),
            (as_run.sent.clone(), as_run.remote.started.clone())
        );
        return Came { end, pauses, reasons, host: as_run };
    }
    panic!("it has no end: {checkpoint:?}");
}

fn compute_1() -> FakeHost {
    FakeHost::new("compute-1", &[])
}

/// Looks at an address that gives these answers, `None` for one that got lost.
#[track_caller]
fn asks(more: Value, answers: &[Option<(u16, &str)>]) -> Came {
    let mut metadata = json!({ "url": "https://health.example/{{host}}?of={{session}}" });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut host = compute_1();
    for answer in answers {
        host.answers.push_back(match answer {
            Some((status, body)) => {
                Ok(Response { status: *status, headers: Vec::new(), body: (*body).into() })
            }
            None => Err(HttpError::Unclear("cut off".to_owned())),
        });
    }
    check(&metadata, &host)
}

const URL: &str = "https://health.example/compute-1?of=s";

fn go(why: &str) -> End {
    End::Go(why.to_owned())
}

fn stop(why: &str) -> End {
    End::Stop(why.to_owned())
}

#[test]
fn an_address_is_asked_until_it_is_well() {
    let came = asks(json!({}), &[Some((503, "later")), None, Some((204, ""))]);
    assert_eq!(came.end, go(&format!("{URL} answers 204")));
    assert_eq!(came.pauses, [10_000, 10_000]);
    assert_eq!(came.reasons, [format!("{URL} answers 503: later"), format!("{URL}: cut off")]);
    let sent = &came.host.sent[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str(), sent.body.len()), ("GET", URL, 0));
    let came = asks(json!({ "every": 60, "looks": 3 }), &[]);
    assert_eq!(came.end, stop(&format!("after 3 looks: {URL}: nobody is there")));
    assert_eq!(came.pauses, [60_000, 60_000]);
    let came = asks(json!({ "looks": 1 }), &[Some((500, ""))]);
    assert_eq!((came.end, came.pauses.len()), (stop(&format!("after 1 looks: {URL} answers 500: ")), 0));
    assert_eq!(asks(json!({}), &[]).pauses.len(), 29);
    let came = asks(json!({ "expect": [200, 429] }), &[Some((204, "")), Some((429, ""))]);
    assert_eq!((came.end, came.pauses.len()), (go(&format!("{URL} answers 429")), 1));
}

#[test]
fn so_many_good_looks_in_a_row_are_waited_for() {
    let (yes, no) = (Some((200, "")), Some((500, "no")));
    let came = asks(json!({ "in_a_row": 2 }), &[yes, no, yes, yes]);
    assert_eq!(came.end, go(&format!("{URL} answers 200, 2 of 2 times in a row")));
    let first = format!("{URL} answers 200, 1 of 2 times in a row");
    assert_eq!(came.reasons, [first.clone(), format!("{URL} answers 500: no"), first.clone()]);
    let came = asks(json!({ "in_a_row": 2, "looks": 3 }), &[yes, no, yes, yes]);
    assert_eq!(came.end, stop(&format!("after 3 looks: {first}")));
}

#[test]
fn a_value_in_the_answer_says_whether_it_is_well() {
    let check = |value: Value, body: &str, expected: Result<(), &str>| {
        let came = asks(json!({ "value": value, "looks": 1 }), &[Some((200, body))]);
        match (&came.end, expected) {
            (End::Go(why), Ok(())) => assert_eq!(*why, format!("{URL} says that all is well")),
            (End::Stop(why), Err(part)) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        }
    };
    let most = |most: f64| json!({ "at": "/data/0/rate", "at_most": most });
    let rate = |rate: &str| format!(r#"{{"data": [{{"rate": {rate}}}]}}"#);
    check(most(0.5), &rate("0.5"), Ok(()));
    check(most(0.5), &rate("\"0.25\""), Ok(()));
    check(most(0.5), &rate("1"), Err("1 at \"/data/0/rate\" is more than 0.5"));
    check(json!({ "at": "", "at_least": 3 }), "3", Ok(()));
    check(json!({ "at": "", "at_least": 3, "at_most": 4 }), "2.5", Err("2.5 at \"\" is less than 3"));
    check(json!({ "at": "", "at_least": 3, "at_most": 4 }), "5", Err("is more than 4"));
    check(json!({ "at": "/s", "is": "up" }), r#"{"s": "up"}"#, Ok(()));
    check(json!({ "at": "/s", "is": "up" }), r#"{"s": "UP"}"#, Err("\"UP\" at \"/s\" is not \"up\""));
    check(json!({ "at": "/{{host}}", "is": "of {{session}}" }), r#"{"compute-1": "of s"}"#, Ok(()));
    check(json!({ "at": "/s", "is": null }), r#"{"s": null}"#, Ok(()));
    check(json!({ "at": "/s", "is": null }), "{}", Err("there is nothing at \"/s\""));
    check(json!({ "at": "/s", "is": false }), r#"{"s": 0}"#, Err("0 at \"/s\" is not false"));
    check(json!({ "at": "/s", "is": 1 }), r#"{"s": 1.0}"#, Ok(()));
    check(json!({ "at": "/s", "is": [] }), r#"{"s": []}"#, Ok(()));
    for odd in ["null", "true", "[]", "{}", "\"\"", "\"NaN\"", "\"inf\"", "\"-inf\"", "\"1 of 2\""] {
        check(most(9.0), &rate(odd), Err("is no number"));
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for odd in ["", "<html>", "{", "\u{fffd}", "1e999", "NaN", deep.as_str()] {
        check(most(9.0), odd, Err("what is no JSON"));
    }
    check(most(9.0), &"🦀".repeat(100_000), Err("what is no JSON: 🦀"));
    check(most(9.0), &rate(&format!("\"{}\"", "é".repeat(100_000))), Err("\"éé"));
}

#[test]
fn a_command_is_run_anew_for_each_look() {
    let metadata =
        json!({ "command": ["check", "{{host}}", "{{session}}"], "in_a_row": 2, "looks": 5, "every": 7 });
    let mut host = compute_1();
    let running = || CommandState::Running;
    host.remote.states.insert("look-0-0".to_owned(), [running(), running(), CommandState::Lost].into());
    host.remote.ends("look-0-1", 3, "still\nsyncing");
    let came = check(&metadata, &host);
    assert_eq!(came.end, go("check says that all is well, 2 of 2 times in a row"));
    let first_pause = came.pauses.iter().position(|pause| *pause == 7_000).unwrap();
    assert_eq!(came.pauses[..first_pause], [300, 450, 675]);
    let mut reasons = came.reasons.clone();
    reasons.dedup();
    let lost = "check ended without a word: the host was restarted, or it was killed";
    let third = "check says that all is well, 1 of 2 times in a row";
    let runs = "check runs";
    let expected = [runs, lost, runs, "check ended with status 3: still syncing", runs, third, runs];
    assert_eq!(reasons, expected);
    let names: Vec<&str> = came.host.remote.started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["look-0-0", "look-0-1", "look-0-2", "look-0-3"]);
    assert_eq!(came.host.remote.line("look-0-3").as_deref(), Some("check compute-1 s"));
    assert!(came.host.remote.killed.is_empty());
}

#[test]
fn a_command_without_an_end_and_a_host_without_an_answer_are_not_well() {
    let metadata = json!({ "command": ["check"], "looks": 2 });
    let mut host = compute_1();
    for look in 0..2 {
        host.remote.states.insert(format!("look-0-{look}"), [CommandState::Running].into());
    }
    let came = check(&metadata, &host);
    assert_eq!(came.end, stop("after 2 looks: check did not come to an end, and was ended"));
    assert_eq!(came.host.remote.killed, ["look-0-0", "look-0-1"]);
    assert_eq!(came.pauses.len(), 2 * MOST_POLLS as usize + 1);
    let mut host = compute_1();
    host.remote.errors = (0..9).map(|_| Some(RemoteError::Unclear("no route".to_owned()))).collect();
    let came = check(&metadata, &host);
    assert_eq!((came.end, came.pauses.len()), (stop("after 2 looks: no route"), 1));
}

#[test]
fn what_may_not_be_done_ends_it_at_once() {
    let fails = |metadata: Value, host: FakeHost, expected: Failure| {
        let came = check(&metadata, &host);
        assert_eq!((came.end, came.pauses.len()), (End::Failure(expected), 0));
    };
    let failed = |why: &str| Failure::Failed(why.to_owned());
    let (command, url) = (json!({ "command": ["check"] }), json!({ "url": "https://x/" }));
    let mut host = compute_1();
    host.remote.errors = [Some(RemoteError::NotGranted("remote check".to_owned()))].into();
    fails(command.clone(), host, failed("not granted: remote check"));
    let mut host = compute_1();
    host.remote.errors = [Some(RemoteError::Refused("key".to_owned()))].into();
    fails(command, host, failed("key"));
    let mut host = compute_1();
    host.answers.push_back(Err(HttpError::NotGranted("http GET https://x/".to_owned())));
    fails(url.clone(), host, failed("not granted: http GET https://x/"));
    let mut host = compute_1();
    host.answers.push_back(Err(HttpError::Invalid("no address".to_owned())));
    fails(url, host, Failure::BadMetadata("health-gate: no address".to_owned()));
}

#[test]
fn secrets_go_along_in_headers_as_placeholders_and_nowhere_else() {
    let headers = json!({ "authorization": "Bearer {{secret:health}}", "x-host": "{{host}}" });
    let came = asks(json!({ "headers": headers }), &[Some((401, "no: {{secret:health}}")), Some((200, ""))]);
    let sent: Vec<(&str, &str)> = came.host.sent[1]
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    assert_eq!(sent, [("authorization", "Bearer {{secret:health}}"), ("x-host", "compute-1")]);
    assert!(!format!("{:?}", came.end).contains("Bearer"));
}

#[test]
fn what_failed_is_begun_anew_when_the_session_tries_again() {
    let assignment = assignment(&json!({ "command": ["check"], "looks": 1 }));
    let mut host = compute_1();
    host.remote.ends("look-0-0", 1, "full");
    host.remote.ends("look-1-0", 1, "slow");
    let mut checkpoint = None::<String>;
    let mut ends = Vec::new();
    for _ in 0..20 {
        match run(&mut host, &assignment, checkpoint.as_deref()) {
            // A failure leaves the checkpoint as it was.
            Err(Failure::Failed(why)) => ends.push(why),
            Ok(Progress::Again(again)) => checkpoint = Some(again.checkpoint),
            Ok(Progress::Done(why)) => {
                ends.push(why);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let failed = |why: &str| format!("after 1 looks: check ended with status 1: {why}");
    assert_eq!(ends, [failed("full"), failed("slow"), "check says that all is well".to_owned()]);
    let names: Vec<&str> = host.remote.started.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["look-0-0", "look-1-0", "look-2-0"]);
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_name() {
    let check = |metadata: Value, expected: &str| {
        let came = check(&metadata, &compute_1());
        assert!(
            matches!(&came.end, End::Failure(Failure::BadMetadata(why)) if why.contains(expected)),
            "{:?}",
            came.end
        );
        assert!(came.host.sent.is_empty() && came.host.remote.started.is_empty());
    };
    let either = "there is either a command or a url";
    check(json!(null), "health-gate: ");
    check(json!({}), either);
    check(json!({ "command": [] }), either);
    check(json!({ "command": ["x"], "url": "u" }), either);
    check(json!({ "hosts": [] }), "unknown field `hosts`");
    for (field, value) in
        [("headers", json!({ "a": "b" })), ("expect", json!([200])), ("value", json!({ "at": "", "is": 1 }))]
    {
        check(json!({ "command": ["x"], field: value }), "headers, expect and value go with a url");
    }
    let url = |field: &str, value: Value| json!({ "url": "u", field: value });
    check(url("every", json!(0)), "every is 1 to 86400 seconds");
    check(url("every", json!(86_401)), "every is 1 to 86400 seconds");
    check(url("looks", json!(0)), "looks is 1 to 100000");
    check(url("looks", json!(100_001)), "looks is 1 to 100000");
    check(url("in_a_row", json!(0)), "in_a_row is 1 to 30");
    check(url("in_a_row", json!(31)), "in_a_row is 1 to 30");
    check(url("value", json!({ "at": "x", "is": 1 })), "value.at is a JSON pointer");
    check(url("value", json!({ "at": "/x" })), "value says nothing");
    check(url("value", json!({ "at": "", "at_most": 1, "at_least": 2 })), "value.at_most is less");
    check(url("value", json!({ "at": "", "at_most": "1" })), "invalid type");
    check(url("value", json!({ "at": "/{{hots}}", "is": 1 })), "{{hots}} stands for nothing there");
    check(
        json!({ "url": "{{secret:x}}" }),
        "{{secret:x}} stands for nothing there; there are host and session",
    );
    check(json!({ "command": ["{{secret:x}}"] }), "there are host and session");
    check(url("headers", json!({ "a": "{{key}}" })), "there are host, session and secret:NAME");
    check(json!({ "url": "{{host" }), "has a {{ without its }}");
    for metadata in [json!({ "command": ["x"] }), json!({ "url": "https://{{host}}/" })] {
        let nowhere = Assignment { host: None, stage: "post".to_owned(), ..assignment(&metadata) };
        let end = run(&mut compute_1(), &nowhere, None);
        assert_eq!(end, Err(Failure::BadMetadata("health-gate: there is no host in stage post".to_owned())));
    }
    let post = Assignment { host: None, ..assignment(&json!({ "url": "https://x/" })) };
    let mut host = compute_1();
    host.answer(200, "");
    assert_eq!(run(&mut host, &post, None), Ok(Progress::Done("https://x/ answers 200".to_owned())));
}

#[test]
fn odd_checkpoints_do_no_harm() {
    let address = assignment(&json!({ "url": "https://x/", "in_a_row": 3 }));
    for odd in [
        "",
        "odd",
        "looking",
        "looking 0 0 0",
        "looking 0 0 0 0 0",
        "looking 0 -1 0 0",
        "looking 0 0 0 9999999999",
    ] {
        let end = gate(&mut compute_1(), &address, Some(odd));
        assert_eq!(end, Err(Failure::Failed("the checkpoint is not one of health-gate's".to_owned())));
    }
    let most = u32::MAX;
    let all = format!("looking {most} {most} {most} {most}");
    assert!(matches!(gate(&mut compute_1(), &address, Some(&all)), Ok(Opening::Stop(_))));
    let command = assignment(&json!({ "command": ["x"] }));
    assert!(matches!(gate(&mut compute_1(), &command, Some(&all)), Ok(Opening::Stop(_))));
}
