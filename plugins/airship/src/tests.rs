use std::collections::BTreeMap;

use fenix_sdk::action::{HttpError, KvError, Request, Response};
use fenix_sdk::testing::{FakeHost, assignment};

use super::*;

const TOKEN: &str = "gAAAAAB-token";
const LOGIN: &str = "POST https://keystone.example/v3/auth/tokens";
const ACTIONS: &str = "http://shipyard.example:9000/api/v1.0/actions";
const ID: &str = "01BTTMFVDKZFRJM80FGD7J1AKN";
const KEY: &str = "s/compute-1/0";

fn with(fields: Value) -> Value {
    let auth = json!({
        "url": "https://keystone.example/v3", "user": "fenix", "project": "ucp", "password": "{{secret:pw}}"
    });
    let mut metadata = json!({ "auth": auth, "name": "redeploy_server", "every": 20, "looks": 4 });
    metadata.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    metadata
}

fn usual() -> Value {
    with(json!({}))
}

/// What Keystone answers.
fn token() -> Response {
    let endpoints = json!([{ "interface": "public", "url": "http://shipyard.example:9000/api/v1.0" }]);
    let body = json!({ "token": { "catalog": [{ "type": "shipyard", "endpoints": endpoints }] } });
    let header = Header { name: "X-Subject-Token".to_owned(), value: TOKEN.to_owned() };
    Response { status: 201, headers: vec![header], body: body.to_string().into_bytes() }
}

type Says = Option<(u16, Value)>;

fn says(status: u16, body: Value) -> Says {
    Some((status, body))
}

fn response(status: u16, body: &Value) -> Response {
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    Response { status, headers: Vec::new(), body: body.into_bytes() }
}

/// There are no actions yet, and one is begun.
fn begins() -> [Says; 2] {
    [says(200, json!([])), says(201, json!({ "id": ID, "name": "redeploy_server" }))]
}

fn is(lifecycle: &str) -> Says {
    says(200, json!({ "id": ID, "action_lifecycle": lifecycle }))
}

/// What came of calling it to its end.
struct Ran {
    pauses: Vec<u32>,
    end: Result<String, Failure>,
    /// Methods and addresses, without those of Keystone.
    calls: Vec<String>,
    /// What was sent to begin an action.
    begun: Vec<Request>,
    kept: BTreeMap<String, String>,
}

/// Calls it to its end: Keystone gives a token each time, Shipyard gives these answers, and `None` is one that got lost; with
/// none left nobody is reached. Nothing that is written down has the token in it.
fn check(metadata: &Value, answers: &[Says]) -> Ran {
    let mut host = FakeHost::new("compute-1", &[]);
    let mut shipyard = answers.iter();
    let (assignment, mut pauses, mut checkpoint) = (assignment(metadata), Vec::new(), None::<String>);
    let end = loop {
        let before = host.sent.len();
        host.answers = [Ok(token())].into();
        // A call makes two calls of Shipyard at most; what it did not take is for the next one.
        host.answers.extend(shipyard.clone().take(2).map(|answer| match answer {
            Some((status, body)) => Ok(response(*status, body)),
            None => Err(HttpError::Unclear("cut off".to_owned())),
        }));
        let answer = run(&mut host, &assignment, checkpoint.as_deref());
        for _ in before + 1..host.sent.len() {
            shipyard.next();
        }
        match answer {
            Ok(Progress::Done(report)) => break Ok(report),
            Ok(Progress::Again(again)) => {
                assert!(again.percent < 100 && !again.checkpoint.contains(TOKEN), "{again:?}");
                pauses.push(again.after_ms);
                checkpoint = Some(again.checkpoint);
            }
            Err(failure) => break Err(failure),
        }
    };
    let written = format!("{end:?} {:?} {:?}", fenix_sdk::log::take(), host.values);
    assert!(!written.contains(TOKEN), "{written}");
    let call = |sent: &Request| format!("{} {}", sent.method, sent.url);
    let calls = host.sent.iter().map(call).filter(|call| call != LOGIN).collect();
    host.sent.retain(|sent| sent.method == "POST" && sent.url == ACTIONS);
    Ran { pauses, end, calls, begun: host.sent, kept: host.values }
}

#[track_caller]
fn ends(ran: Ran, expected: Result<&str, &str>) -> Ran {
    match (&ran.end, expected) {
        (Ok(report), Ok(expected)) => assert_eq!(report, expected),
        (Err(Failure::Failed(why) | Failure::BadMetadata(why)), Err(part)) => {
            assert!(why.contains(part), "{why}")
        }
        (end, expected) => panic!("{end:?} is not {expected:?}"),
    }
    ran
}

const DONE: Result<&str, &str> = Ok("redeploy_server 01BTTMFVDKZFRJM80FGD7J1AKN of Shipyard is Complete");

#[test]
fn an_action_is_begun_once_and_looked_after_until_it_is_done() {
    // Shipyard itself says nothing of one that Airflow has not taken up.
    let new = says(200, json!({ "id": ID }));
    let answers = [&begins()[..], &[new, is("Processing"), is("Paused"), is("Complete")]].concat();
    let ran = ends(check(&usual(), &answers), DONE);
    assert_eq!(ran.pauses, [0, 20_000, 20_000, 20_000, 20_000]);
    let looked = format!("GET {ACTIONS}/{ID}");
    let expected =
        [&format!("GET {ACTIONS}"), &format!("POST {ACTIONS}"), &looked, &looked, &looked, &looked];
    assert_eq!(ran.calls.iter().collect::<Vec<_>>(), expected);
    assert!(ran.kept.is_empty());
    let ends = |lifecycle: &str, part: &str| {
        drop(ends(check(&usual(), &[&begins()[..], &[is("Pending"), is(lifecycle)]].concat()), Err(part)));
    };
    for lifecycle in ["Failed", "Terminated", "Stopped"] {
        ends(lifecycle, &format!("redeploy_server {ID} of Shipyard is {lifecycle}"));
    }
}

#[test]
fn a_failure_says_where_and_an_action_without_an_end_is_left() {
    let step = |id: &str, state: Value| json!({ "id": id, "state": state });
    let steps = [
        step("preflight", json!("success")),
        step("drydock_build", json!("failed")),
        step("x", json!("failed")),
        json!(7),
        step("armada_build", Value::Null),
    ];
    let failed = says(200, json!({ "id": ID, "action_lifecycle": "Failed", "steps": steps }));
    let answers = [&begins()[..], &[failed]].concat();
    let ran = ends(check(&usual(), &answers), Err("is Failed, at drydock_build, x"));
    assert_eq!(ran.kept, BTreeMap::from([(format!("failures {KEY}"), "1".to_owned())]));
    for lifecycle in ["Processing", "Paused", "Unknown (odd)"] {
        let answers = [&begins()[..], &[(); 4].map(|()| is(lifecycle))].concat();
        let ran = ends(check(&usual(), &answers), Err(&format!("of Shipyard is {lifecycle} after 4 looks")));
        assert!(ran.kept.is_empty(), "it still runs: another try takes it up");
    }
}

#[test]
fn parameters_say_what_they_must() {
    let check = |fields: Value, expected: Value| {
        let answers = [&begins()[..], &[is("Complete")]].concat();
        let ran = check(&with(fields), &answers);
        assert!(ran.end.is_ok(), "{:?}", ran.end);
        let body: Value = serde_json::from_slice(&ran.begun[0].body).unwrap();
        assert_eq!(body["parameters"], expected);
        let marker = ran.begun[0].headers.iter().find(|header| header.name == "x-context-marker").unwrap();
        assert_eq!(marker.value, uuid(KEY));
    };
    let nodes = json!({ "target_nodes": ["compute-1"], "fenix_key": KEY });
    check(json!({}), nodes.clone());
    check(json!({ "name": "relabel_nodes" }), nodes);
    check(json!({ "name": "update_software" }), json!({ "fenix_key": KEY }));
    check(
        json!({ "parameters": { "target_nodes": ["{{host}}.x", 1], "note": { "of": "{{session}} {{key}}" } } }),
        json!({ "target_nodes": ["compute-1.x", 1], "note": { "of": format!("s {KEY}") }, "fenix_key": KEY }),
    );
}

#[test]
fn what_was_begun_before_is_found_by_its_key() {
    let action = |id: &str, key: &str, marker: &str, lifecycle: &str| {
        json!({
            "id": id, "parameters": { "fenix_key": key }, "context_marker": marker, "action_lifecycle": lifecycle
        })
    };
    let found = |actions: Value, id: &str| {
        let done = says(200, json!({ "action_lifecycle": "Complete" }));
        let ran = check(&usual(), &[says(200, actions), done]);
        assert!(ran.begun.is_empty());
        assert_eq!(ran.calls, [format!("GET {ACTIONS}"), format!("GET {ACTIONS}/{id}")]);
    };
    let (other, marker) = (action("A1", "s/compute-1/1", "x", "Processing"), uuid(KEY));
    found(json!([other, action("A2", KEY, "x", "Processing")]), "A2");
    found(json!([other, { "id": "A3", "context_marker": marker }]), "A3");
    found(json!([action("A4", KEY, "x", "Failed"), action("A5", KEY, "x", "Complete")]), "A5");
    found(json!([7, null, { "parameters": 7 }, action("A6", KEY, "x", "Failed")]), "A6");
    let none = [says(200, json!([other])), begins()[1].clone(), is("Complete")];
    assert_eq!(ends(check(&usual(), &none), DONE).begun.len(), 1);
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let [no_actions, begun] = begins();
    let ours = says(200, json!([{ "id": ID, "parameters": { "fenix_key": KEY } }]));
    let lost = [None, no_actions.clone(), None, ours, None, says(503, json!("soon")), is("Complete")];
    let ran = ends(check(&usual(), &lost), DONE);
    assert_eq!(ran.pauses, [0, 1_000, SETTLE_MS, 20_000, 1_000, 1_500], "what was sent may arrive late");
    assert_eq!(ran.begun.len(), 1);
    let refused =
        [no_actions.clone(), says(503, json!("Airflow")), no_actions.clone(), begun, is("Complete")];
    let ran = ends(check(&usual(), &refused), DONE);
    assert_eq!((ran.pauses, ran.begun.len()), (vec![0, SETTLE_MS, 20_000], 2));
    let ran = ends(
        check(&usual(), &[]),
        Err("18 attempts, the last one: http://shipyard.example:9000/api/v1.0/actions: "),
    );
    assert_eq!(ran.pauses.len(), 18);
    let fails = |answers: &[Says], part: &str| drop(ends(check(&usual(), answers), Err(part)));
    let start = |answer: Says, part: &str| fails(&[no_actions.clone(), answer], part);
    start(says(409, json!({ "message": "no design" })), r#"answers 409: {"message":"no design"}"#);
    start(says(400, json!("Unsupported Action")), "answers 400: Unsupported Action");
    start(says(201, json!("<html>")), "answers with what is no JSON: <html>");
    for id in [json!(null), json!(""), json!("a/../b"), json!("a b"), json!("a".repeat(65))] {
        start(says(201, json!({ "id": id })), "actions answers without an id");
        let listed = json!([{ "id": id, "parameters": { "fenix_key": KEY } }]);
        fails(&[says(200, listed)], "actions answers without the id of one");
    }
    fails(&[says(401, json!(TOKEN))], "actions answers 401: (a token)");
    fails(&[says(200, json!({}))], "actions answers without a list of actions");
    let watch = |answer: Says, part: &str| fails(&[&begins()[..], &[answer]].concat(), part);
    watch(says(404, json!("no such")), "answers 404: no such");
    watch(says(200, json!([])), "answers with what is no action");
    watch(says(200, json!("")), "answers with what is no JSON");
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
    let wrong = |fields: Value, expected: &str| check(&assignment(&with(fields)), None, expected);
    check(&assignment(&json!({ "name": "x" })), None, "airship: missing field `auth`");
    wrong(json!({ "target_nodes": [] }), "airship: unknown field `target_nodes`");
    wrong(json!({ "name": "" }), "airship: name is an action of Shipyard's");
    wrong(json!({ "every": 0 }), "airship: every is 1 to 86400 seconds");
    wrong(json!({ "every": 86_401 }), "airship: every is 1 to 86400 seconds");
    wrong(json!({ "looks": 0 }), "airship: looks is at least 1");
    wrong(json!({ "url": "shipyard" }), "airship: url is an address");
    wrong(json!({ "auth": { "url": "https://k/v3" } }), "airship: auth.user is missing");
    wrong(json!({ "parameters": [] }), "airship: invalid type");
    wrong(json!({ "parameters": { "fenix_key": "x" } }), "airship: parameters.fenix_key is Fenix's to set");
    wrong(json!({ "parameters": { "a": ["{{hots}}"] } }), "airship: parameters: {{hots}} stands for nothing");
    wrong(json!({ "parameters": { "a": "{{secret:x}}" } }), "{{secret:x}} stands for nothing");
    wrong(json!({ "parameters": { "a": "{{host" } }), "airship: parameters: \"{{host\" has a {{ without");
    let homeless = Assignment { host: None, stage: "pre".to_owned(), ..assignment(&usual()) };
    check(&homeless, None, "airship: parameters: there is no host in stage pre");
    for odd in ["", "starting", "starting x", "watching 0 0", "watching 0 x y", "watching 0 0 a b"] {
        check(&assignment(&usual()), Some(odd), "the checkpoint is not one of airship's");
    }
    let everywhere = Assignment { metadata: with(json!({ "name": "update_site" })).to_string(), ..homeless };
    assert!(run(&mut FakeHost::new("x", &[]), &everywhere, None).is_ok(), "a site has no host");
}

#[test]
fn a_text_has_one_uuid() {
    // The value of `a` by the authors of the hash is d228cb69 6f1a8caf 78912b70 4e4a8964.
    assert_eq!(uuid("a"), "d228cb69-6f1a-8caf-b891-2b704e4a8964");
    assert_ne!(uuid("s/compute-1/0"), uuid("s/compute-1/1"));
}

/// Keystone, Shipyard and what is kept, until the server is killed: from then on nothing answers.
#[derive(Default)]
struct World {
    /// Marks of those that were begun, and how they stand.
    actions: Vec<(String, &'static str)>,
    kept: BTreeMap<String, String>,
    /// Calls that are still carried out; the last one of them without an answer.
    left: usize,
}

impl World {
    fn lives(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn shown(&self, at: usize) -> Value {
        let (mark, lifecycle) = &self.actions[at];
        json!({ "id": at.to_string(), "parameters": { "fenix_key": mark }, "action_lifecycle": lifecycle })
    }
}

impl Http for World {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        let unclear = Err(HttpError::Unclear("killed".to_owned()));
        if self.left == 0 {
            return unclear;
        }
        let answer = match (request.method.as_str(), request.url.rsplit_once('/').unwrap().1) {
            (_, "tokens") => token(),
            ("POST", _) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                self.actions
                    .push((body["parameters"]["fenix_key"].as_str().unwrap().to_owned(), "Processing"));
                response(201, &self.shown(self.actions.len() - 1))
            }
            (_, "actions") => response(200, &(0..self.actions.len()).map(|at| self.shown(at)).collect()),
            (_, id) => response(200, &self.shown(id.parse().unwrap())),
        };
        if self.lives() { Ok(answer) } else { unclear }
    }
}

impl Kv for World {
    fn get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        let value = self.kept.get(key).cloned();
        if self.lives() { Ok(value) } else { Err(KvError::Unclear("killed".to_owned())) }
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), KvError> {
        if self.left > 0 {
            self.kept.insert(key.to_owned(), value.unwrap().to_owned());
        }
        if self.lives() { Ok(()) } else { Err(KvError::Unclear("killed".to_owned())) }
    }
}

/// Calls it until it ends, or Shipyard is at work. Each call is made twice: in the first one the server is killed after so many
/// calls, and what that one returned never reaches the disk.
fn go_on(
    world: &mut World,
    checkpoint: &mut Option<String>,
    killed_after: usize,
) -> Option<Result<String, Failure>> {
    let assignment = assignment(&usual());
    loop {
        world.left = killed_after;
        drop(run(world, &assignment, checkpoint.as_deref()));
        world.left = usize::MAX;
        match run(world, &assignment, checkpoint.as_deref()) {
            Ok(Progress::Done(report)) => return Some(Ok(report)),
            Err(failure) => return Some(Err(failure)),
            Ok(Progress::Again(again)) => {
                let was = checkpoint.replace(again.checkpoint);
                if was.is_some_and(|was| was.starts_with("watching")) {
                    return None;
                }
            }
        }
    }
}

#[test]
fn a_server_that_is_killed_anywhere_begins_nothing_twice() {
    for killed_after in 1..8 {
        let (mut world, mut checkpoint) = (World::default(), None);
        assert_eq!(go_on(&mut world, &mut checkpoint, killed_after), None);
        assert_eq!(world.actions.len(), 1, "{killed_after}");
        world.actions[0].1 = "Failed";
        assert!(matches!(go_on(&mut world, &mut checkpoint, killed_after), Some(Err(_))));
        assert_eq!(world.actions.len(), 1, "{killed_after}");
        // The session tries again, as its terms may say.
        checkpoint = None;
        assert_eq!(go_on(&mut world, &mut checkpoint, killed_after), None);
        assert_eq!(world.actions.len(), 2, "{killed_after}");
        world.actions[1].1 = "Complete";
        let done = "redeploy_server 1 of Shipyard is Complete".to_owned();
        assert_eq!(go_on(&mut world, &mut checkpoint, killed_after), Some(Ok(done)));
    }
}
