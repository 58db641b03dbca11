use fenix_sdk::testing::{FakeHost, assignment};
use serde_json::json;

use super::*;

/// Calls it to its end against these answers; returns the pauses on the way in milliseconds, the end, and what was sent.
fn check(
    metadata: &Value,
    answers: &[Option<(u16, &str)>],
) -> (Vec<u32>, Result<String, Failure>, Vec<Request>) {
    let mut host = FakeHost::new("compute-1", &[]);
    for answer in answers {
        match answer {
            Some((status, body)) => host.answer(*status, body),
            None => host.answers.push_back(Err(HttpError::Unclear("cut off".to_owned()))),
        }
    }
    let (assignment, mut pauses, mut checkpoint) = (assignment(metadata), Vec::new(), None);
    loop {
        match run(&mut host, &assignment, checkpoint.as_deref()) {
            Ok(Progress::Done(report)) => return (pauses, Ok(report), host.sent),
            Ok(Progress::Again(again)) => {
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            Err(failure) => return (pauses, Err(failure), host.sent),
        }
    }
}

#[test]
fn a_call_is_made_with_what_the_metadata_says_and_may_be_known_again() {
    let metadata = json!({
        "url": "https://hooks.example/v1/{{host}}",
        "headers": { "authorization": "Bearer {{secret:hook-token}}" },
        "body": { "session": "{{session}}", "hosts": ["{{host}}"], "key": "{{key}}", "tries": 3 },
    });
    let (pauses, end, sent) = check(&metadata, &[Some((202, ""))]);
    assert_eq!(end, Ok("POST https://hooks.example/v1/compute-1 answers 202".to_owned()));
    assert!(pauses.is_empty());
    let header =
        |name: &str| sent[0].headers.iter().find(|header| header.name == name).unwrap().value.clone();
    assert_eq!(header("authorization"), "Bearer {{secret:hook-token}}", "the host fills it in");
    assert_eq!(header("idempotency-key"), "s/compute-1/0");
    assert_eq!(header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body, json!({ "session": "s", "hosts": ["compute-1"], "key": "s/compute-1/0", "tries": 3 }));
}

fn polled() -> Value {
    json!({
        "url": "https://jobs.example/",
        "expect": [201],
        "poll": { "url": "https://jobs.example/{{answer/id}}", "state": "/state", "done": ["done"], "failed": ["dead", false],
            "every": 30, "looks": 3 },
    })
}

#[test]
fn what_was_begun_is_looked_after_until_it_is_done() {
    let begun = Some((201, r#"{"id": 7}"#));
    let says = |state: &'static str| Some((200, state));
    let ends = |answers: &[Option<(u16, &str)>], expected: Result<&str, &str>| {
        let (pauses, end, sent) = check(&polled(), answers);
        match (&end, expected) {
            (Ok(report), Ok(expected)) => assert_eq!(report, expected),
            (Err(Failure::Failed(why)), Err(part)) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(sent[1..].iter().all(|request| request.method == "GET" && request.url.ends_with("/7")));
        pauses
    };
    let (runs, done) = (says(r#"{"state": "runs"}"#), says(r#"{"state": "done"}"#));
    let pauses = ends(&[begun, runs, done], Ok("https://jobs.example/7 says \"done\""));
    assert_eq!(pauses, [30_000, 30_000]);
    ends(&[begun, says(r#"{"state": "dead"}"#)], Err("says \"dead\""));
    ends(&[begun, says(r#"{"state": false}"#)], Err("says false"));
    ends(&[begun, runs, runs, runs], Err("still says \"runs\" after 3 looks"));
    ends(&[begun, says("{}")], Err("without a state at \"/state\": {}"));
    ends(&[begun, Some((404, "no such job"))], Err("answers 404: no such job"));
    let pauses = ends(&[begun, None, Some((503, "")), done], Ok("https://jobs.example/7 says \"done\""));
    assert_eq!(pauses, [30_000, 1_000, 1_500]);
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let metadata = json!({ "url": "https://hooks.example/" });
    let (pauses, end, sent) = check(&metadata, &[None, Some((503, "soon")), Some((200, ""))]);
    assert_eq!((pauses, end.is_ok(), sent.len()), (vec![1_000, 1_500], true, 3));
    assert!(sent.iter().all(|request| request == &sent[0]), "the same, by which it is known again");
    let (_, end, sent) = check(&metadata, &[]);
    assert!(
        matches!(end, Err(Failure::Failed(why)) if why.starts_with("18 attempts, the last one: https://hooks.example/: "))
    );
    assert_eq!(sent.len(), 18);
    let (_, end, sent) = check(&metadata, &[Some((403, "go away"))]);
    assert_eq!(end, Err(Failure::Failed("POST https://hooks.example/ answers 403: go away".to_owned())));
    assert_eq!(sent.len(), 1);
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_name() {
    let fails = |metadata: &Value, expected: &str| {
        let (_, end, sent) = check(metadata, &[Some((200, "{}"))]);
        match end {
            Err(Failure::BadMetadata(why) | Failure::Failed(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
        sent.len()
    };
    let poll = |every: u32, done: Value| json!({ "url": "u", "poll": { "url": "p", "state": "", "done": done, "every": every } });
    for (metadata, expected) in [
        (json!({}), "missing field `url`"),
        (json!({ "url": "u", "hosts": [] }), "unknown field `hosts`"),
        (poll(0, json!([1])), "poll.every is 1 to 86400"),
        (poll(1, json!([])), "poll.done names no state"),
        (json!({ "url": "{{hots}}" }), "{{hots}} stands for nothing; there are host,"),
        (json!({ "url": "{{host" }), "has a {{ without its }}"),
        (json!({ "url": "{{answer/id}}" }), "stands for nothing"),
    ] {
        assert_eq!(fails(&metadata, expected), 0);
    }
    let unnamed = json!({ "url": "u", "poll": { "url": "{{answer/id}}", "state": "", "done": [1] } });
    assert_eq!(fails(&unnamed, "the answer has no text or number at \"/id\""), 1);
    assert!(run(&mut FakeHost::new("x", &[]), &assignment(&json!({ "url": "u" })), Some("odd")).is_err());
}
