//! Who may do what: tokens, roles, projects that do not see each other, the audit, TLS.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Reply, call_as, plain_get, read_head};
use crate::process::{PATIENCE, Process, fenix, run};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud};

/// A project with a session's instances belongs to nobody here; this one is somebody else's.
const OTHER: &str = "red";

/// A file of tokens.
struct Tokens {
    dir: TempDir,
}

impl Tokens {
    fn new() -> Tokens {
        Tokens { dir: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self) -> String {
        self.path("tokens.toml")
    }

    /// Makes a token as an administrator does.
    fn make(&self, name: &str, more: &[&str]) -> String {
        let output = run(&[&["token", "new", name, "--file", &self.file(), "--role"], more].concat());
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        std::fs::write(self.path(name), &token).unwrap();
        token
    }
}

/// A server with tokens, one for each role and two projects.
pub(crate) struct Guarded {
    pub(crate) rig: Rig,
    tokens: Tokens,
    pub(crate) administrator: String,
    pub(crate) reader: String,
    pub(crate) project: String,
    stranger: String,
}

impl Guarded {
    pub(crate) fn start() -> Guarded {
        let tokens = Tokens::new();
        let administrator = tokens.make("alice", &["administrator"]);
        let reader = tokens.make("bob", &["reader"]);
        let project = tokens.make("manager", &["project", "--project", PROJECT]);
        let stranger = tokens.make("stranger", &["project", "--project", OTHER]);
        let more = ["--tokens", &tokens.file(), "--calls-per-second", "1000", "--deliver-to", "127.0.0.1"];
        let rig = Rig::start_with(&small_cloud(), &more);
        Guarded { rig, tokens, administrator, reader, project, stranger }
    }

    fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        call_as(Some(token), method, &self.rig.at(path), body.as_bytes())
    }

    /// What the administrator is answered.
    #[track_caller]
    fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(&self.administrator, method, path, body).good()
    }

    /// Something of everybody's: a session, and of [`PROJECT`] a subscription, a stated instance, a stated group.
    pub(crate) fn furnish(&self) -> Furnished {
        let order =
            json!({ "project_id": PROJECT, "event_type": "maintenance.*", "url": "http://127.0.0.1:9/" });
        self.done("PUT", "/v1/subscriptions/theirs", &order);
        let mut body = sample_body(&["compute-1"]);
        body["maintenance_at"] = json!("2099-01-01 00:00:00");
        let session = self.done("POST", "/v1/maintenance", &body)["session_id"].as_str().unwrap().to_owned();
        let instances = self.done("GET", &format!("/v1/maintenance/{session}/{PROJECT}"), &Value::Null);
        let instance = instances["instance_ids"][0].as_str().unwrap().to_owned();
        let group = json!({ "group_id": "g", "project_id": PROJECT, "group_name": "g", "anti_affinity_group": true,
            "max_instances_per_host": 1, "max_impacted_members": 1, "recovery_time": 1, "resource_mitigation": false });
        self.done("PUT", "/v1/instance_group/g", &group);
        self.done("PUT", "/v1/templates/t", &json!({ "session": { "workflow": "default" } }));
        Furnished { session, instance }
    }
}

pub(crate) struct Furnished {
    session: String,
    instance: String,
}

impl Furnished {
    /// A path of the API's description with what there is in its places.
    fn path(&self, template: &str) -> String {
        let pairs = [
            ("{session}", self.session.as_str()),
            ("{project}", PROJECT),
            ("{instance}", &self.instance),
            ("{group}", "g"),
            ("{id}", "theirs"),
            ("{host}", "compute-1"),
            ("{name}", "t"),
            ("{digest}", &"0".repeat(64)),
        ];
        pairs.iter().fold(template.to_owned(), |path, (place, thing)| path.replace(place, thing))
    }

    /// A body that would do for any call that wants one, as somebody of [`PROJECT`] or somebody foreign would send it.
    fn body(&self, project: &str) -> Value {
        json!({ "session_id": self.session, "state": "ACK_MAINTENANCE", "project_id": project,
            "event_type": "maintenance.scheduled", "url": "http://127.0.0.1:9/", "instance_name": "i", "group_name": "g" })
    }
}

/// Every call of the API: method and path template.
fn calls(address: &str) -> Vec<(String, String)> {
    let description = plain_get(address.strip_prefix("http://").unwrap(), "/openapi.json").good();
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.iter().flat_map(of).collect()
}

/// What nobody needs a token for.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];

fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path)
}

/// True for what is answered to whoever has an address that was signed, and to nobody else, with a token or without.
fn is_signed(template: &str) -> bool {
    template == "/v1/packages/{digest}/content"
}

#[test]
fn a_projects_token_gets_nothing_of_anothers() {
    let guarded = Guarded::start();
    let there = guarded.furnish();
    let mut refused = 0;
    for (method, template) in calls(&guarded.rig.url) {
        let path = there.path(&template);
        // As the owner would send it, and with the stranger's own project in the body: neither gets through.
        for project in [PROJECT, OTHER] {
            let body = if method == "PUT" || method == "POST" { there.body(project) } else { Value::Null };
            let reply = guarded.call(&guarded.stranger, &method, &path, &body);
            match (method.as_str(), template.as_str()) {
                (_, public) if is_public(public) => assert_eq!(reply.status, 200, "{method} {path}"),
                ("GET", "/v1") => assert_eq!(reply.good()["project_id"], OTHER),
                ("GET", "/v1/subscriptions") => assert_eq!(reply.good()["subscriptions"], json!([])),
                // It may order messages for itself.
                ("POST", "/v1/subscriptions") if project == OTHER => {
                    let own = reply.good()["id"].as_str().unwrap().to_owned();
                    let path = format!("/v1/subscriptions/{own}");
                    guarded.call(&guarded.stranger, "DELETE", &path, &Value::Null).good();
                }
                _ => {
                    assert_eq!(reply.status, 403, "{method} {path}: {}", reply.body);
                    refused += 1;
                }
            }
        }
    }
    // Counted, so that a description that says nothing cannot pass.
    assert!(refused > 70, "only {refused} calls were refused");
    let instance = guarded.done("GET", "/v1/hosts/compute-1", &Value::Null);
    assert_eq!(instance["quarantined"], Value::Null);
    assert_eq!(
        guarded.done("GET", "/v1/subscriptions", &Value::Null)["subscriptions"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_projects_token_gets_all_that_is_its_own() {
    let guarded = Guarded::start();
    let there = guarded.furnish();
    let check = |method: &str, path: &str, body: Value, status: u16| {
        let reply = guarded.call(&guarded.project, method, path, &body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
    };
    let (session, instance) = (&there.session, &there.instance);
    check("GET", &format!("/v1/maintenance/{session}/{PROJECT}"), Value::Null, 200);
    check("PUT", &format!("/v1/maintenance/{session}/{PROJECT}"), json!({ "state": "ACK_MAINTENANCE" }), 200);
    check("PUT", &format!("/v1/instance/{instance}"), there.body(PROJECT), 200);
    check("GET", &format!("/v1/instance/{instance}"), Value::Null, 200);
    check("DELETE", &format!("/v1/instance/{instance}"), Value::Null, 200);
    check("GET", &format!("/v1/instance/{instance}"), Value::Null, 404);
    // Managers state what is not there yet, and take back what is gone (contract rule 6).
    check("PUT", "/v1/instance/to-come", there.body(PROJECT), 200);
    check("DELETE", "/v1/instance/never-was", Value::Null, 200);
    check("DELETE", "/v1/instance_group/g", Value::Null, 200);
    check("GET", "/v1/subscriptions/theirs", Value::Null, 200);
    check("DELETE", "/v1/subscriptions/theirs", Value::Null, 200);
    check("GET", "/v1/subscriptions/theirs", Value::Null, 404);
    check("GET", "/v1/maintenance", Value::Null, 403);
}

#[test]
fn a_reader_looks_and_changes_nothing() {
    let guarded = Guarded::start();
    let there = guarded.furnish();
    for (method, template) in calls(&guarded.rig.url) {
        if ["/v1/events", "/v1/maintenance/{session}/events"].contains(&template.as_str()) {
            continue; // They wait for news.
        }
        let body = if method == "GET" { Value::Null } else { there.body(PROJECT) };
        let reply = guarded.call(&guarded.reader, &method, &there.path(&template), &body);
        let closed = ["/v1/audit", "/v1/backup"].contains(&template.as_str()) || is_signed(&template);
        let forbidden = method != "GET" || closed;
        assert_eq!(reply.status == 403, forbidden, "{method} {template}: {}", reply.body);
        assert_ne!(reply.status, 401, "{method} {template}: {}", reply.body);
    }
}

#[test]
fn without_a_token_that_is_known_nothing_is_answered() {
    let guarded = Guarded::start();
    let there = guarded.furnish();
    for (method, template) in calls(&guarded.rig.url) {
        let url = guarded.rig.at(&there.path(&template));
        let expected = match template.as_str() {
            public if is_public(public) => 200,
            signed if is_signed(signed) => 403,
            _ => 401,
        };
        for token in [None, Some("")] {
            let reply = call_as(token, &method, &url, b"");
            assert_eq!(reply.status, expected, "{method} {template}: {}", reply.body);
        }
    }
    let guess = format!("{}x", guarded.administrator);
    assert_eq!(guarded.call(&guess, "GET", "/v1/maintenance", &Value::Null).status, 401);
    // Who tries again and again is slowed down; whoever has a token is not.
    let tried = |_| guarded.call(&guess, "GET", "/v1/maintenance", &Value::Null).status;
    assert!((0..1000).map(tried).any(|status| status == 429));
    guarded.done("GET", "/v1/maintenance", &Value::Null);
}

/// Follows the events with a token; what is left to read ends when the server ends it.
fn follow_events(rig: &Rig, token: &str) -> impl Read {
    let address = rig.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("Host: {address}\r\nConnection: close\r\nX-Auth-Token: {token}\r\n");
    write!(stream, "GET /v1/events HTTP/1.1\r\n{head}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).0, "HTTP/1.1 200 OK");
    reader
}

#[test]
fn tokens_are_taken_and_given_up_while_the_server_runs() {
    let guarded = Guarded::start();
    let carol = guarded.tokens.make("carol", &["reader", "--days", "1"]);
    let status = |token: &str| guarded.call(token, "GET", "/v1/maintenance", &Value::Null).status;
    let until = |token: &str, wanted: u16| {
        let begun = Instant::now();
        while status(token) != wanted {
            assert!(begun.elapsed() < PATIENCE, "{wanted} does not come");
        }
    };
    assert_eq!(status(&carol), 401);
    guarded.rig.server().signal("HUP");
    until(&carol, 200);
    let mut events = follow_events(&guarded.rig, &carol);
    // A file that cannot be used changes nothing.
    let good = std::fs::read_to_string(guarded.tokens.file()).unwrap();
    std::fs::write(guarded.tokens.file(), format!("{good}[[token]]\nname = \"x\"\n")).unwrap();
    guarded.rig.server().signal("HUP");
    assert_eq!(status(&carol), 200);
    let without = good.split("\n[[token]]\nname = \"carol\"").next().unwrap().to_owned();
    std::fs::write(guarded.tokens.file(), without).unwrap();
    guarded.rig.server().signal("HUP");
    until(&carol, 401);
    // Whoever followed the events with it hears no more.
    events.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(status(&guarded.administrator), 200);
}

/// Runs a command against the rig with a token.
fn command(guarded: &Guarded, holder: &str, args: &[&str]) -> Output {
    let token = guarded.tokens.path(holder);
    run(&[args, &["--url", &guarded.rig.url, "--token-file", &token]].concat())
}

#[test]
fn a_session_with_tokens_ends_well_and_the_audit_tells_who_did_what() {
    let guarded = Guarded::start();
    let token = guarded.tokens.path("manager");
    let _manager = guarded.rig.manager(&["--token-file", &token]);
    let started =
        command(&guarded, "alice", &["session", "start", "compute-1", "--action", "noop", "--watch"]);
    assert!(started.status.success(), "{started:?}");
    let started = String::from_utf8(started.stdout).unwrap();
    let session = started.lines().next().unwrap();
    let refused = command(&guarded, "bob", &["session", "delete", session]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("bob may look, and change nothing"));
    assert!(command(&guarded, "alice", &["session", "delete", session]).status.success());

    let audit = command(&guarded, "alice", &["--output", "json", "audit", "--session", session, "--all"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let told: Vec<[&str; 3]> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["name", "command", "about"].map(|key| entry[key].as_str().unwrap()))
        .collect();
    assert_eq!(told.first(), Some(&["alice", "open", "workflow default, host compute-1"]), "{told:?}");
    assert!(told.contains(&["manager", "reply", "ACK_MAINTENANCE for project doctor"]), "{told:?}");
    assert_eq!(told.last(), Some(&["alice", "delete", ""]), "{told:?}");
    assert!(told.iter().all(|[name, ..]| *name != "bob"));
    assert!(audit["entries"].as_array().unwrap().iter().all(|entry| entry["from"] == "127.0.0.1"));
    let all = command(&guarded, "alice", &["audit"]);
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(all.contains("subscribe") && all.lines().count() > told.len(), "{all}");
}

#[test]
fn whoever_calls_too_fast_has_to_wait() {
    let tokens = Tokens::new();
    let (fast, slow) = (tokens.make("fast", &["reader"]), tokens.make("slow", &["reader"]));
    let rig = Rig::start_with(&small_cloud(), &["--tokens", &tokens.file(), "--calls-per-second", "1"]);
    let status = |token: &str| call_as(Some(token), "GET", &rig.at("/v1/maintenance"), b"").status;
    assert!((0..1000).any(|_| status(&fast) == 429));
    assert_eq!(status(&slow), 200);
}

#[test]
fn in_tls_nothing_else_is_spoken() {
    let tokens = Tokens::new();
    tokens.make("alice", &["administrator"]);
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, private] = ["server.pem", "server.key"].map(|name| tokens.path(name));
    std::fs::write(&certificate, key.cert.pem()).unwrap();
    std::fs::write(&private, key.signing_key.serialize_pem()).unwrap();
    let data = tokens.path("data");
    let (file, token) = (tokens.file(), tokens.path("alice"));
    let server = Process::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
        "--cloud",
        "127.0.0.1:9",
        "--tokens",
        &file,
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &private,
    ]);
    let port = server.address.strip_prefix("https://127.0.0.1:").unwrap();
    let list = |url: &str, more: &[&str]| {
        let output = run(&[&["session", "list", "--url", url, "--token-file", &token], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let url = format!("https://localhost:{port}");
    assert_eq!(list(&url, &["--ca-file", &certificate]).0, Some(0));
    let (code, told) = list(&url, &[]);
    assert!(code == Some(3) && told.contains("--ca-file"), "{told}");
    let (code, told) = list(&format!("http://localhost:{port}"), &[]);
    assert!(code == Some(3) && told.contains("https://"), "{told}");
}

#[test]
fn what_is_not_safe_does_not_start() {
    let tokens = Tokens::new();
    tokens.make("alice", &["administrator"]);
    let (data, file) = (tokens.path("data"), tokens.file());
    let check = |more: &[&str], expected: &str| {
        let output = fenix(&[&["serve", "--data-dir", &data], more].concat()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && told.contains(expected), "{more:?}: {told}");
        assert!(!Path::new(&data).exists(), "{more:?}");
    };
    check(&["--listen", "0.0.0.0:0"], "without `tokens`");
    check(&["--listen", "0.0.0.0:0", "--tokens", &file], "without TLS");
    check(&["--listen", "0.0.0.0:0", "--tokens", &file, "--plain-http"], "`public_url` is missing");
    check(&["--tokens", "/nowhere/tokens.toml"], "fenix token new");
    check(&["--tls-certificate", &file], "--tls-key");
    check(&["--tls-certificate", &file, "--tls-key", &file], "no certificate in PEM");
    std::fs::write(&file, "[[token]]\nname = \"a\"\n").unwrap();
    check(&["--tokens", &file], "missing field `role`");
}

#[test]
fn a_project_orders_only_what_is_meant_for_it() {
    let guarded = Guarded::start();
    let order = |token: &str, id: &str, event_type: Option<&str>| {
        let mut body = json!({ "project_id": OTHER, "url": "http://127.0.0.1:9/" });
        if let Some(event_type) = event_type {
            body["event_type"] = json!(event_type);
        }
        guarded.call(token, "PUT", &format!("/v1/subscriptions/{id}"), &body)
    };
    for event_type in ["maintenance.*", "*", "maintenance.host", "*session"] {
        assert_eq!(order(&guarded.stranger, "all", Some(event_type)).status, 403, "{event_type}");
        assert_eq!(order(&guarded.administrator, "all", Some(event_type)).status, 200, "{event_type}");
    }
    assert_eq!(order(&guarded.stranger, "own", None).good()["event_type"], "maintenance.scheduled");
    let more = (0..30).map(|id| order(&guarded.stranger, &id.to_string(), None).status);
    let taken = more.filter(|status| *status == 200).count();
    assert!((10..20).contains(&taken), "{taken}");
    assert_eq!(order(&guarded.stranger, "own", Some("maintenance.scheduled")).status, 200);
    // What listens on the server's own machine is called only if that is named.
    let body = json!({ "project_id": OTHER, "url": "http://localhost:9/" });
    assert_eq!(guarded.call(&guarded.stranger, "PUT", "/v1/subscriptions/own", &body).status, 422);
}

#[test]
fn what_others_state_about_an_instance_neither_counts_nor_bars_its_owner() {
    let guarded = Guarded::start();
    let there = guarded.furnish();
    // Stated by somebody else before the cloud was known to have it: as an administrator may do at any time.
    let path = format!("/v1/instance/{}", there.instance);
    guarded.done("PUT", &path, &there.body(OTHER));
    assert_eq!(guarded.call(&guarded.stranger, "GET", &path, &Value::Null).status, 403);
    assert_eq!(guarded.call(&guarded.stranger, "DELETE", &path, &Value::Null).status, 403);
    let own = guarded.call(&guarded.project, "PUT", &path, &there.body(PROJECT)).good();
    assert_eq!(own["project_id"], PROJECT);
}
