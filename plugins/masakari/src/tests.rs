use std::collections::BTreeMap;

use fenix_sdk::action::{Header, HttpError, KvError, Request, Response};
use fenix_sdk::testing::{FakeHost, assignment};

use super::*;

const TOKEN: &str = "gAAAAAB-token";
const LOGIN: &str = "POST https://keystone.example/v3/auth/tokens";
const BASE: &str = "https://ha.example/v1";

fn metadata(what: &str) -> Value {
    let auth = json!({
        "url": "https://keystone.example/v3", "user": "fenix", "project": "admin", "password": "{{secret:pw}}"
    });
    json!({ "auth": auth, "do": what })
}

/// What Keystone answers.
fn token() -> Response {
    let endpoints = json!([{ "interface": "public", "region": "one", "url": "https://ha.example/v1" }]);
    let body = json!({ "token": { "catalog": [{ "type": "instance-ha", "endpoints": endpoints }] } });
    let header = Header { name: "X-Subject-Token".to_owned(), value: TOKEN.to_owned() };
    Response { status: 201, headers: vec![header], body: body.to_string().into_bytes() }
}

/// An answer of Masakari.
fn says(status: u16, body: Value) -> Option<(u16, Value)> {
    Some((status, body))
}

fn segments(ids: &[&str]) -> Option<(u16, Value)> {
    says(200, json!({ "segments": ids.iter().map(|id| json!({ "uuid": id })).collect::<Vec<_>>() }))
}

fn hosts(of: &[(&str, bool)]) -> Option<(u16, Value)> {
    let host = |(name, on): &(&str, bool)| json!({ "uuid": format!("id-of-{name}"), "name": name, "on_maintenance": on });
    says(200, json!({ "hosts": of.iter().map(host).collect::<Vec<_>>() }))
}

/// What came of calling it to its end.
struct Ran {
    pauses: Vec<u32>,
    end: Result<String, Failure>,
    /// Methods and addresses, without those of Keystone.
    calls: Vec<String>,
    kept: Option<String>,
}

/// Calls it to its end: Keystone gives a token each time, Masakari gives these answers, and `None` is one that got lost. Nothing
/// that is written down has the token in it, or a secret.
fn check(what: &str, kept: Option<&str>, answers: &[Option<(u16, Value)>]) -> Ran {
    let mut host = FakeHost::new("compute-1", &[]);
    host.values = kept.map(|kept| ("was compute-1".to_owned(), kept.to_owned())).into_iter().collect();
    let mut masakari = answers.iter();
    let (assignment, mut pauses, mut checkpoint) = (assignment(&metadata(what)), Vec::new(), None::<String>);
    let end = loop {
        // A call has one token, and at most five answers of Masakari; what it did not take is for the next one.
        host.answers = [Ok(token())].into();
        let before = host.sent.len();
        host.answers.extend(masakari.clone().take(5).map(|answer| match answer {
            Some((status, body)) => {
                let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
                Ok(Response { status: *status, headers: Vec::new(), body: body.into_bytes() })
            }
            None => Err(HttpError::Unclear("cut off".to_owned())),
        }));
        let answer = run(&mut host, &assignment, checkpoint.as_deref());
        for _ in before + 1..host.sent.len() {
            masakari.next();
        }
        match answer {
            Ok(Progress::Done(report)) => break Ok(report),
            Ok(Progress::Again(again)) => {
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            Err(failure) => break Err(failure),
        }
        assert!(!checkpoint.as_ref().unwrap().contains(TOKEN));
    };
    let written = format!("{end:?} {:?} {:?}", fenix_sdk::log::take(), host.values);
    assert!(!written.contains(TOKEN), "{written}");
    let call = |sent: &Request| format!("{} {}", sent.method, sent.url);
    let calls = host.sent.iter().map(call).filter(|call| call != LOGIN).collect();
    Ran { pauses, end, calls, kept: host.values.remove("was compute-1") }
}

/// It ends so, having kept that.
#[track_caller]
fn ends(ran: Ran, expected: Result<&str, &str>, kept: Option<&str>) -> Ran {
    match (&ran.end, expected) {
        (Ok(report), Ok(expected)) => assert_eq!(report, expected),
        (Err(Failure::Failed(why) | Failure::BadMetadata(why)), Err(part)) => {
            assert!(why.contains(part), "{why}")
        }
        (end, expected) => panic!("{end:?} is not {expected:?}"),
    }
    assert_eq!(ran.kept.as_deref(), kept);
    ran
}

const IS_ON: Result<&str, &str> = Ok("compute-1 is on maintenance in Masakari");
const IS_OFF: Result<&str, &str> = Ok("compute-1 is not on maintenance in Masakari any more");
const NOWHERE: Result<&str, &str> = Ok("compute-1 is in no segment of Masakari, which does nothing about it");

#[test]
fn the_mark_is_set_and_only_ones_own_is_cleared() {
    let (one, off, on) = (segments(&["a"]), hosts(&[("compute-1", false)]), hosts(&[("compute-1", true)]));
    let put = says(200, json!({}));
    let writes = |ran: &Ran| ran.calls.iter().filter(|call| call.starts_with("PUT")).count();
    let set = |kept, answers: &[_], after| {
        let ran = ends(check("set", kept, answers), IS_ON, after);
        writes(&ran)
    };
    assert_eq!(set(None, &[one.clone(), off.clone(), put.clone()], Some("false")), 1);
    assert_eq!(set(None, &[one.clone(), on.clone()], Some("true")), 0);
    assert_eq!(set(Some("false"), &[one.clone(), on.clone()], Some("false")), 0, "a repeat");
    assert_eq!(set(Some("false"), &[one.clone(), off.clone(), put.clone()], Some("false")), 1);
    assert_eq!(set(Some("true"), &[one.clone(), on.clone()], Some("true")), 0);
    let cleared_by_others = [one.clone(), off.clone(), put.clone()];
    assert_eq!(set(Some("true"), &cleared_by_others, Some("false")), 1, "now it is ours");
    let ran = ends(check("clear", Some("false"), &[one.clone(), on, put]), IS_OFF, None);
    assert_eq!(writes(&ran), 1);
    let ran = ends(check("clear", Some("false"), &[one, off]), IS_OFF, None);
    assert_eq!(writes(&ran), 0);
    let before = Ok("compute-1 was on maintenance in Masakari before, and stays so");
    let ran = ends(check("clear", Some("true"), &[]), before, None);
    assert!(ran.calls.is_empty());
    let nothing = Ok("compute-1: nothing of this session's to clear in Masakari");
    assert!(ends(check("clear", None, &[]), nothing, None).calls.is_empty());
}

#[test]
fn the_host_is_looked_for_in_all_segments() {
    let other = hosts(&[("compute-2", false), ("compute-11", true)]);
    let put = says(200, json!({}));
    let found =
        [segments(&["b", "a"]), other.clone(), hosts(&[("x", true), ("compute-1", false)]), put.clone()];
    let ran = ends(check("set", None, &found), IS_ON, Some("false"));
    let expected = [
        format!("GET {BASE}/segments"),
        format!("GET {BASE}/segments/a/hosts"),
        format!("GET {BASE}/segments/b/hosts"),
        format!("PUT {BASE}/segments/b/hosts/id-of-compute-1"),
    ];
    assert_eq!(ran.calls, expected);
    ends(check("set", None, &[segments(&["a", "b"]), other.clone(), other.clone()]), NOWHERE, None);
    ends(check("set", None, &[segments(&[])]), NOWHERE, None);
    ends(check("clear", Some("false"), &[segments(&["a"]), other.clone()]), NOWHERE, None);
    let gone = says(404, json!("no segment a"));
    ends(check("set", None, &[segments(&["a"]), gone]), NOWHERE, None);
    let many = || segments(&["e", "d", "c", "b", "a"]);
    let later = [many(), other.clone(), other.clone(), other.clone(), many(), other.clone(), other];
    let ran = ends(check("set", None, &later), NOWHERE, None);
    assert_eq!(ran.pauses, [0], "a call looks at three");
    let looked: Vec<_> = ran.calls.iter().filter(|call| call.ends_with("/hosts")).collect();
    assert_eq!(
        looked,
        ["a", "b", "c", "d", "e"].map(|id| format!("GET {BASE}/segments/{id}/hosts")).each_ref()
    );
}

#[test]
fn a_recovery_is_waited_for_but_not_for_ever() {
    let (one, off) = (segments(&["a"]), hosts(&[("compute-1", false)]));
    let busy = [one.clone(), off.clone(), says(409, json!("under recovery"))];
    let then = [one, off, says(200, json!({}))];
    let ran = ends(check("set", None, &[busy.clone(), busy.clone(), then].concat()), IS_ON, Some("false"));
    assert_eq!(ran.pauses, [BUSY_WAIT_MS, BUSY_WAIT_MS]);
    let always: Vec<_> = std::iter::repeat_n(busy, BUSY_TRIES as usize).flatten().collect();
    let why =
        "60 attempts, the last one: PUT https://ha.example/v1/segments/a/hosts/id-of-compute-1 answers 409";
    let ran = ends(check("set", None, &always), Err(why), Some("false"));
    assert_eq!(ran.pauses.len(), BUSY_TRIES as usize - 1);
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let (one, off, put) = (segments(&["a"]), hosts(&[("compute-1", false)]), says(200, json!({})));
    let answers = [
        None,
        says(503, json!("soon")),
        one.clone(),
        None,
        one.clone(),
        off.clone(),
        None,
        one.clone(),
        off.clone(),
        put,
    ];
    let ran = ends(check("set", None, &answers), IS_ON, Some("false"));
    assert_eq!(ran.pauses, [1_000, 1_500, 2_250, 3_375]);
    let always: Vec<_> = (0..18).map(|_| None).collect();
    ends(
        check("set", None, &always),
        Err("18 attempts, the last one: https://ha.example/v1/segments: cut off"),
        None,
    );
    let refused = |answers: &[_], part, kept| drop(ends(check("set", None, answers), Err(part), kept));
    refused(&[says(401, json!(TOKEN))], "segments answers 401: (a token)", None);
    refused(&[says(200, json!("<html>"))], "segments answers with what is no JSON: <html>", None);
    refused(&[says(200, json!([]))], "segments answers without a list of segments", None);
    refused(&[says(200, json!({ "segments": [{ "name": "a" }] }))], "a uuid that is none", None);
    for id in ["", "-", "../../x", "a/b", "a?", &"a".repeat(65)] {
        refused(&[segments(&[id])], "a uuid that is none", None);
    }
    refused(&[one.clone(), says(403, json!("no"))], "segments/a/hosts answers 403: no", None);
    refused(&[one.clone(), says(200, json!({ "hosts": 1 }))], "without a list of hosts", None);
    let silent = json!({ "hosts": [{ "name": "compute-1", "uuid": "x" }] });
    refused(
        &[one.clone(), says(200, silent)],
        "does not say of compute-1 whether it is on_maintenance",
        None,
    );
    refused(&[one, off, says(400, json!("no such"))], "answers 400: no such", Some("false"));
}

#[test]
fn a_list_without_an_end_is_left() {
    let round = |number: u32| {
        let ids = (0..4).map(|at| json!({ "uuid": format!("{:06}", number * 3 + at) })).collect::<Vec<_>>();
        let none = || hosts(&[]);
        [says(200, json!({ "segments": ids })), none(), none(), none()]
    };
    let answers: Vec<_> = (0..=MAX_ROUNDS).flat_map(round).collect();
    ends(
        check("set", None, &answers),
        Err("compute-1 is in none of the segments that 400 calls looked at"),
        None,
    );
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
    let with = |field: &str, value: Value| {
        let mut metadata = metadata("set");
        metadata[field] = value;
        assignment(&metadata)
    };
    check(&assignment(&json!({ "do": "set" })), None, "masakari: missing field `auth`");
    check(&with("do", json!("toggle")), None, "masakari: unknown variant `toggle`");
    check(&with("segment", json!("a")), None, "masakari: unknown field `segment`");
    check(&with("url", json!("ha.example")), None, "masakari: url is an address");
    check(&with("auth", json!({ "url": "https://k/v3" })), None, "masakari: auth.user is missing");
    let homeless = Assignment { host: None, stage: "pre".to_owned(), ..assignment(&metadata("set")) };
    check(&homeless, None, "masakari: there is no host in stage pre");
    for odd in ["", "odd", "seeking 0 0 0", "seeking x 0 0 -", "seeking 0 0 0 - -"] {
        check(&assignment(&metadata("set")), Some(odd), "the checkpoint is not one of masakari's");
    }
}

/// Keystone, Masakari and what is kept, until the server is killed: from then on nothing answers.
struct World {
    on_maintenance: bool,
    kept: BTreeMap<String, String>,
    /// Calls that are still carried out; the last one of them without an answer.
    left: usize,
}

impl World {
    fn lives(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}

impl Http for World {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        let unclear = || HttpError::Unclear("killed".to_owned());
        if self.left == 0 {
            return Err(unclear());
        }
        let body = match request.method.as_str() {
            "POST" => return if self.lives() { Ok(token()) } else { Err(unclear()) },
            "PUT" => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                self.on_maintenance = body["host"]["on_maintenance"].as_bool().unwrap();
                json!({})
            }
            _ if request.url.ends_with("/hosts") => {
                json!({ "hosts": [{ "uuid": "x", "name": "compute-1", "on_maintenance": self.on_maintenance }] })
            }
            _ => json!({ "segments": [{ "uuid": "a" }] }),
        };
        let answer = Response { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() };
        if self.lives() { Ok(answer) } else { Err(unclear()) }
    }
}

impl Kv for World {
    fn get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        let value = self.kept.get(key).cloned();
        if self.lives() { Ok(value) } else { Err(KvError::Unclear("killed".to_owned())) }
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), KvError> {
        if self.left > 0 {
            match value {
                Some(value) => self.kept.insert(key.to_owned(), value.to_owned()),
                None => self.kept.remove(key),
            };
        }
        if self.lives() { Ok(()) } else { Err(KvError::Unclear("killed".to_owned())) }
    }
}

#[test]
fn a_server_that_is_killed_anywhere_changes_nothing_of_how_it_ends() {
    for was_on in [false, true] {
        for (at_set, at_clear) in (1..9).flat_map(|set| (1..9).map(move |clear| (set, clear))) {
            let mut world = World { on_maintenance: was_on, kept: BTreeMap::new(), left: 0 };
            let mut twice = |what: &str, killed_after: usize| {
                let assignment = assignment(&metadata(what));
                world.left = killed_after;
                drop(run(&mut world, &assignment, None));
                world.left = usize::MAX;
                // What the first call returned never reached the disk.
                assert!(matches!(run(&mut world, &assignment, None), Ok(Progress::Done(_))));
                world.on_maintenance
            };
            assert!(twice("set", at_set), "{at_set}");
            assert_eq!(twice("clear", at_clear), was_on, "{at_set} {at_clear}");
            assert!(world.kept.is_empty());
        }
    }
}
