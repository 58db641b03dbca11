use fenix_sdk::action::{Header, HttpError, Request, Response};
use fenix_sdk::testing::{FakeHost, assignment};
use serde_json::Value;

use super::*;

const TOKEN: &str = "gAAAAAB-token";
const DATE: &str = "Tue, 09 Jun 2026 12:30:01 GMT";

fn with(field: &str, value: Value) -> Value {
    let credential = json!({ "id": "7", "secret": "{{secret:vitrage}}" });
    let auth = json!({ "url": "https://keystone.example/identity/v3", "application_credential": credential });
    let mut metadata = json!({ "auth": auth, "say": "down" });
    metadata[field] = value;
    metadata
}

/// What Keystone answers, with that time.
fn token(date: Option<&str>) -> Response {
    let endpoints = json!([{ "interface": "public", "url": "https://rca.example" }]);
    let body = json!({ "token": { "catalog": [{ "type": "rca", "endpoints": endpoints }] } });
    let headers = [("x-subject-token", Some(TOKEN)), ("date", date)];
    let header = |(name, value): (&str, Option<&str>)| {
        value.map(|value| Header { name: name.to_owned(), value: value.to_owned() })
    };
    Response {
        status: 201,
        headers: headers.into_iter().filter_map(header).collect(),
        body: body.to_string().into_bytes(),
    }
}

/// Calls it to its end, and each call twice, as after a crash: Keystone gives a token each time, with that time, Vitrage gives
/// these answers, and `None` is one that got lost. Returns the pauses on the way, the end, and what Vitrage was sent.
fn check(
    metadata: &Value,
    date: Option<&str>,
    answers: &[Option<(u16, &str)>],
) -> (Vec<u32>, Result<String, Failure>, Vec<Request>) {
    let mut host = FakeHost::new("compute-1", &[]);
    let (assignment, mut pauses, mut checkpoint) = (assignment(metadata), Vec::new(), None::<String>);
    let mut answers = answers.iter();
    let end = loop {
        let answer = match answers.next() {
            Some(Some((status, body))) => {
                Ok(Response { status: *status, headers: Vec::new(), body: (*body).into() })
            }
            Some(None) => Err(HttpError::Unclear("cut off".to_owned())),
            None => Err(HttpError::Unreachable("nobody is there".to_owned())),
        };
        let mut call = || {
            host.answers = [Ok(token(date)), answer.clone()].into();
            run(&mut host, &assignment, checkpoint.as_deref())
        };
        let first = call();
        assert_eq!(call(), first, "a repeat");
        match first {
            Ok(Progress::Done(report)) => break Ok(report),
            Ok(Progress::Again(again)) => {
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            Err(failure) => break Err(failure),
        }
    };
    let written = format!("{end:?} {checkpoint:?} {:?}", fenix_sdk::log::take());
    assert!(!written.contains(TOKEN), "{written}");
    host.sent.retain(|request| !request.url.ends_with("/identity/v3/auth/tokens"));
    (pauses, end, host.sent)
}

#[test]
fn vitrage_is_told_with_the_time_of_keystone() {
    let tells = |metadata: &Value, status: &str, severity: &str, url: &str| {
        let (pauses, end, sent) = check(metadata, Some(DATE), &[Some((200, "null"))]);
        assert_eq!(end, Ok(format!("Vitrage was told that compute-1 is {status}")));
        assert!(pauses.is_empty());
        assert_eq!((sent[0].method.as_str(), sent[0].url.as_str()), ("POST", url));
        let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
        let expected = json!({
            "time": "2026-06-09T12:30:01.000000",
            "type": "compute.host.down",
            "details": {
                "hostname": "compute-1", "status": status, "severity": severity, "cause": "maintenance",
                "source": "fenix", "monitor_id": "fenix", "monitor_event_id": "s/compute-1/0",
            },
        });
        assert_eq!(body, expected);
    };
    tells(&with("say", json!("down")), "down", "critical", "https://rca.example/v1/event/");
    tells(&with("say", json!("up")), "up", "critical", "https://rca.example/v1/event/");
    tells(&with("severity", json!("warning")), "down", "warning", "https://rca.example/v1/event/");
    tells(&with("url", json!("http://here/rca/")), "down", "critical", "http://here/rca/v1/event/");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let metadata = with("say", json!("down"));
    let (pauses, end, _) = check(&metadata, Some(DATE), &[None, Some((503, "soon")), Some((204, ""))]);
    assert_eq!((pauses, end.is_ok()), (vec![1_000, 1_500], true));
    let fails = |date: Option<&str>, answers: &[Option<(u16, &str)>], expected: &str| {
        let (pauses, end, sent) = check(&metadata, date, answers);
        assert!(matches!(&end, Err(Failure::Failed(why)) if why.contains(expected)), "{end:?}");
        (pauses.len(), sent.len())
    };
    assert_eq!(
        fails(Some(DATE), &[], "18 attempts, the last one: https://rca.example/v1/event/: nobody"),
        (17, 36)
    );
    assert_eq!(fails(Some(DATE), &[Some((404, "lost"))], "event/ answers 404: lost"), (0, 2));
    assert_eq!(fails(Some(DATE), &[Some((401, TOKEN))], "event/ answers 401: (a token)"), (0, 2));
    for date in [None, Some("now"), Some("Tue, 31 Jun 2026 12:30:01 GMT")] {
        assert_eq!(fails(date, &[], "/auth/tokens answers without the time, which the event needs"), (0, 0));
    }
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_name() {
    let check = |assignment: &Assignment, checkpoint: Option<&str>, expected: &str| {
        let mut host = FakeHost::new("compute-1", &[]);
        match run(&mut host, assignment, checkpoint) {
            Err(Failure::BadMetadata(why) | Failure::Failed(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(host.sent.is_empty());
    };
    check(&assignment(&json!({ "say": "up" })), None, "vitrage: missing field `auth`");
    check(&assignment(&with("say", json!("maybe"))), None, "vitrage: unknown variant `maybe`");
    check(&assignment(&with("host", json!("x"))), None, "vitrage: unknown field `host`");
    check(&assignment(&with("severity", json!(""))), None, "vitrage: severity is a word");
    check(&assignment(&with("url", json!("rca.example"))), None, "vitrage: url is an address");
    check(&assignment(&with("auth", json!({ "url": "https://k" }))), None, "vitrage: auth.url is the base");
    let usual = assignment(&with("say", json!("up")));
    let homeless = Assignment { host: None, stage: "post".to_owned(), ..usual.clone() };
    check(&homeless, None, "vitrage: there is no host in stage post");
    for odd in ["", "saying", "saying x", "calling 0"] {
        check(&usual, Some(odd), "the checkpoint is not one of vitrage's");
    }
}
