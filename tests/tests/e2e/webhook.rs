//! Calls of actions to others: made as far as they were granted, with secrets that no plug-in sees.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{Asked, answer, serve};
use crate::hostile::wait_until_gone;
use crate::http::{call, get};
use crate::rig::{Rig, sample_body, small_cloud, wait_for_end};

const SECRET: &str = "a-tiger-in-the-night";

/// An API of somebody else's, which answers as the test says.
struct Api {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Api {
    fn start() -> Api {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::<String>::new()));
        let (notes, says) = (Arc::clone(&asked), Arc::clone(&answers));
        let at = serve(move |asked| {
            notes.lock().unwrap().push(asked);
            let planned = says.lock().unwrap().pop_front();
            planned.unwrap_or_else(|| answer(500, "", "nothing is planned"))
        });
        Api { at, asked, answers }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    fn says(&self, answers: &[String]) {
        self.answers.lock().unwrap().extend(answers.iter().cloned());
    }

    /// What was asked since the last time.
    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// A server with a secret, and an API that it may call.
struct Scene {
    rig: Rig,
    api: Api,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("secret"), format!("{SECRET}\n")).unwrap();
        let secret = path("secret").display().to_string();
        let config = format!("[calls]\nsecrets = {{ hook-token = {secret:?}, other = {secret:?} }}\n");
        std::fs::write(path("fenix.toml"), config).unwrap();
        let rig = Rig::start_with(&small_cloud(), &["--config", path("fenix.toml").to_str().unwrap()]);
        Scene { rig, api: Api::start(), _folder: folder }
    }

    fn body(&self, metadata: &Value) -> Value {
        let mut body = sample_body(&["controller-1"]);
        body["actions"] = json!([{ "plugin": "webhook", "type": "host", "metadata": metadata }]);
        body
    }

    fn grant(&self, rules: &[String]) {
        let rights: Vec<Value> = rules.iter().map(|rule| json!({ "http": rule })).collect();
        let body = json!({ "rights": rights }).to_string();
        call("PUT", &self.rig.at("/v1/plugins/webhook/grant"), body.as_bytes()).good();
    }

    /// A session with that call fails, and its history says why.
    #[track_caller]
    fn check_fails(&self, metadata: &Value, expected: &str) {
        let mut body = self.body(metadata);
        body["policies"] = json!({ "failed_action": "stop" });
        let session = self.rig.begin(&body);
        let end = wait_for_end(&session);
        assert_eq!(end["state"], "MAINTENANCE_FAILED", "{end}");
        let history = get(&format!("{session}/decisions")).good().to_string();
        assert!(history.contains(expected), "{expected:?} is not in {history}");
        assert!(!history.contains(SECRET), "{history}");
        call("DELETE", &self.rig.at("/v1/hosts/controller-1/quarantine"), b"");
        call("DELETE", &session, b"").good();
        wait_until_gone(&session);
    }
}

#[test]
fn an_external_api_is_called_and_looked_after_until_it_is_done() {
    let scene = Scene::new();
    let metadata = json!({
        "url": scene.api.url("/v1/jobs"),
        "headers": { "authorization": "Bearer {{secret:hook-token}}" },
        "body": { "host": "{{host}}" },
        "poll": { "url": scene.api.url("/v1/jobs/{{answer/id}}"), "state": "/state", "done": ["done"], "every": 1 },
    });
    let body = scene.body(&metadata);
    let refused = scene.rig.post(&body);
    assert_eq!(refused.status, 422);
    assert!(refused.body.to_string().contains("webhook asks for http GET,POST"), "{}", refused.body);
    scene.grant(&[
        format!("POST {} with hook-token", scene.api.url("/v1/jobs")),
        format!("GET {} with hook-token", scene.api.url("/v1/jobs/*")),
    ]);
    // It says what it was told, as some do.
    let echo = format!("{{\"id\": 7, \"you\": \"{SECRET}\"}}");
    scene.api.says(&[
        answer(201, "", &echo),
        answer(503, "", "soon"),
        answer(200, "", "{\"state\": \"runs\"}"),
        answer(200, "", "{\"state\": \"done\"}"),
    ]);
    let session = scene.rig.begin(&body);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let asked = scene.api.take();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let look = "GET /v1/jobs/7 HTTP/1.1";
    assert_eq!(lines, ["POST /v1/jobs HTTP/1.1", look, look, look]);
    assert_eq!(asked[0].body, r#"{"host":"controller-1"}"#);
    for asked in &asked {
        assert!(asked.headers.contains(&format!("authorization: Bearer {SECRET}")), "{:?}", asked.headers);
    }
    let id = session.rsplit('/').next().unwrap();
    let key = format!("idempotency-key: {id}/controller-1/0");
    assert!(asked[0].headers.contains(&key), "{:?}", asked[0].headers);
    for place in ["detail", "decisions"] {
        let shown = get(&format!("{session}/{place}")).good().to_string();
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn what_was_not_granted_is_not_called() {
    let scene = Scene::new();
    let api = &scene.api;
    scene.grant(&[format!("POST {} with hook-token", api.url("/v1/*"))]);
    let plain = |path: &str| json!({ "url": api.url(path) });
    let check = |metadata: Value, expected: &str| {
        scene.check_fails(&metadata, expected);
        assert!(api.take().is_empty(), "{expected}");
    };
    check(plain("/v2/jobs"), "no administrator has granted it");
    check(plain("/v1/../v2"), "no administrator has granted it");
    check(plain("/v1/%2e%2e%2fv2"), "which servers do not agree about");
    check(json!({ "url": api.url("/v1/x"), "method": "DELETE" }), "no administrator has granted it");
    check(json!({ "url": "http://127.0.0.1:1/v1/x" }), "no administrator has granted it");
    check(json!({ "url": "http://me:x@127.0.0.1/v1/x" }), "it has an account in it");
    check(json!({ "url": "file:///etc/passwd" }), "calls go by http: and https:");
    let with = |secret: &str| json!({ "url": api.url("/v1/x"), "headers": { "x": secret } });
    check(with("{{secret:other}}"), "may not be sent there");
    check(json!({ "url": api.url("/v1/x"), "body": "{{secret:other}}" }), "may not be sent there");
    check(
        json!({ "url": api.url("/v1/x"), "headers": { "Host": "other" } }),
        "header host is the host's to set",
    );
    // A redirect is an answer like any other: it leads nowhere by itself.
    api.says(&[answer(302, &format!("location: {}\r\n", api.url("/v2")), "")]);
    scene.check_fails(&plain("/v1/x"), "answers 302");
    assert_eq!(api.take().len(), 1);
}
