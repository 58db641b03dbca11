//! Actions: what they may touch, what they return, and how they are ended.

use fenix_core::grant::Right;
use fenix_core::id::{Digest, HostId};
use fenix_core::remote::{RemoteCall, RemoteError, RemoteState};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fenix_core::inventory::{Host, HostKind, Resources, Service};
use fenix_core::package::Package;
use fenix_core::time::Millis;
use fenix_engine::ports::{ActionCall, ActionError, Assignment, CloudCall, CloudError, CloudReply, Progress};
use fenix_wasm::http::{HttpError, HttpRequest, HttpResponse};
use fenix_wasm::{ActionRunner, Capabilities, Level, Plugins, ValueError};

use crate::guest::{action, action_with, workflow};

/// A cloud of one host, which writes down what it was asked.
#[derive(Default)]
struct Fake {
    boot: u32,
    calls: Vec<CloudCall>,
    lines: Vec<(Level, String)>,
    requests: Vec<HttpRequest>,
    answer: Option<Result<CloudReply, CloudError>>,
    commands: Vec<(HostId, RemoteCall)>,
    values: BTreeMap<String, String>,
}

impl Capabilities for Fake {
    fn cloud(&mut self, call: CloudCall) -> Result<CloudReply, CloudError> {
        self.calls.push(call.clone());
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        match call {
            CloudCall::ReadHost { host } => Ok(CloudReply::Host {
                host: Some(Host {
                    id: host,
                    kind: HostKind::Compute,
                    zone: "z".into(),
                    capacity: Resources::default(),
                    service: Service::Enabled,
                    up: true,
                    boot: format!("boot-{}", self.boot),
                    dead: false,
                }),
                instances: Vec::new(),
            }),
            CloudCall::Reboot { .. } => {
                self.boot += 1;
                Ok(CloudReply::Accepted)
            }
            other => panic!("{other:?}"),
        }
    }

    fn address(&mut self, package: &Digest, host: &HostId) -> String {
        format!("http://fenix/{package}?host={host}")
    }

    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.push(request);
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        Ok(HttpResponse { status: 201, headers, body: b"done".to_vec() })
    }

    fn remote(&mut self, host: &HostId, call: RemoteCall) -> Result<RemoteState, RemoteError> {
        let is_there = self.commands.iter().any(|(_, known)| matches!(known, RemoteCall::Start { .. }));
        self.commands.push((host.clone(), call));
        Ok(if is_there { RemoteState::Running } else { RemoteState::None })
    }

    fn value(&mut self, plugin: &str, key: &str) -> Option<String> {
        self.values.get(&format!("{plugin}/{key}")).cloned()
    }

    fn keep_value(&mut self, plugin: &str, key: &str, value: Option<String>) -> Result<(), ValueError> {
        self.values.insert(format!("{plugin}/{key}"), value.unwrap_or_default());
        Ok(())
    }

    fn log(&mut self, level: Level, line: &str) {
        self.lines.push((level, line.to_owned()));
    }
}

struct Bench {
    runner: ActionRunner,
    assignment: Assignment,
    cloud: Fake,
}

impl Bench {
    fn new(component: &[u8]) -> Self {
        let plugins = Plugins::new(None).unwrap();
        let plugin = plugins.attach(component).unwrap().digest;
        let assignment = Assignment {
            plugin,
            key: "s/a/0".to_owned(),
            session: "s".to_owned(),
            stage: "host".to_owned(),
            call: ActionCall::Run,
            host: Some("a".into()),
            metadata: String::new(),
            checkpoint: None,
            granted: Right::PLAIN.to_vec(),
            packages: Vec::new(),
        };
        Bench { runner: ActionRunner::new(&plugins), assignment, cloud: Fake::default() }
    }

    fn shipped(name: &str) -> Self {
        Self::new(fenix_shipped::component(name).unwrap())
    }

    fn run(&mut self) -> Result<Progress, ActionError> {
        self.runner.run(&self.assignment, &mut self.cloud)
    }

    /// Calls it until it is done; returns the percents on the way, and the end.
    fn finish(&mut self) -> (Vec<u8>, Result<String, ActionError>) {
        let mut percents = Vec::new();
        loop {
            match self.run() {
                Ok(Progress::Done { report }) => return (percents, Ok(report)),
                Ok(Progress::Again { checkpoint, percent, .. }) => {
                    percents.push(percent);
                    self.assignment.checkpoint = Some(checkpoint);
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => return (percents, Err(error)),
            }
        }
    }
}

#[test]
fn noop_reports_its_progress_and_fails_when_told_to() {
    let mut bench = Bench::shipped("noop");
    assert_eq!(bench.finish(), (vec![], Ok("did nothing on a".to_owned())));
    bench.assignment.metadata = r#"{"percent_calls": 1, "fail": "as told"}"#.to_owned();
    assert_eq!(bench.finish(), (vec![50], Err(ActionError::Failed("as told".to_owned()))));
    bench.assignment.metadata = "{".to_owned();
    match bench.finish() {
        (_, Err(ActionError::Failed(why))) => assert!(why.contains("metadata cannot be understood"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reboot_looks_first_and_restarts_once() {
    let mut bench = Bench::shipped("reboot");
    let first = bench.run().unwrap();
    let (after, checkpoint) = (Millis::ZERO, "seen 0 boot-0".to_owned());
    assert_eq!(first, Progress::Again { after, checkpoint, percent: 5 });
    assert_eq!(bench.cloud.boot, 0);
    let (_, report) = bench.finish();
    assert_eq!(report, Ok("restarted a: boot boot-0 ended, boot-1 runs".to_owned()));
    let orders = bench.cloud.calls.iter().filter(|call| matches!(call, CloudCall::Reboot { .. }));
    assert_eq!(orders.count(), 1);
}

#[test]
fn an_action_touches_no_host_but_its_own() {
    let mut bench = Bench::shipped("reboot");
    // It was written for `b`; the assignment is read by the plug-in, the grant by the host.
    let ask = r#"(data (i32.const 100) "b")"#;
    let other = "(call $reboot (i32.const 100) (i32.const 1) (i32.const 100) (i32.const 1) (i32.const 2000))
        (if (i32.eqz (i32.load8_u (i32.const 2000))) (then (unreachable)))
        (if (i32.load8_u (i32.const 2004)) (then (unreachable)))
        (call $log (i32.const 2) (i32.load (i32.const 2008)) (i32.load (i32.const 2012)))";
    let mut stranger = Bench::new(&action(other, ask));
    assert_eq!(stranger.run(), Ok(Progress::Done { report: String::new() }));
    assert!(stranger.cloud.calls.is_empty());
    let line = "cloud.reboot of host b: it is not the host of this assignment".to_owned();
    assert_eq!(stranger.cloud.lines, [(Level::Warn, line)]);

    bench.assignment.host = None;
    match bench.run() {
        Err(ActionError::Failed(why)) => assert!(why.contains("no host to restart"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_cloud_answers_reaches_the_action() {
    for (answer, names) in [
        (Err(CloudError::Refused("locked".to_owned())), "the cloud refused: locked"),
        (Err(CloudError::NotFound("host a".to_owned())), "the cloud knows no host a"),
        (Err(CloudError::Unclear("timeout".to_owned())), "no answer from the cloud: timeout"),
        (Ok(CloudReply::Host { host: None, instances: Vec::new() }), "the cloud knows no host a"),
        (Ok(CloudReply::Accepted), "the cloud answered something else"),
    ] {
        let mut bench = Bench::shipped("reboot");
        bench.cloud.answer = Some(answer);
        // The last call in which it waits for a cloud that does not answer.
        bench.assignment.checkpoint = Some("blind 96".to_owned());
        match bench.run() {
            Err(ActionError::Failed(why)) => assert!(why.contains(names), "{names}: {why}"),
            other => panic!("{names}: {other:?}"),
        }
    }
}

#[test]
fn hostile_actions_are_ended_and_named() {
    let again = |bytes: u32| {
        format!(
            "(i32.store8 (i32.const 1028) (i32.const 1)) (i32.store (i32.const 1036) (i32.const 0))
            (i32.store (i32.const 1040) (i32.const {bytes})) (i32.store8 (i32.const 1044) (i32.const 250))"
        )
    };
    for (body, names) in [
        ("(loop $again (br $again))".to_owned(), "computed for too long"),
        ("(loop $again (drop (memory.grow (i32.const 16))) (br $again))".to_owned(), "64 MiB of memory"),
        ("(unreachable)".to_owned(), "gave up"),
        ("(i32.store8 (i32.const 1024) (i32.const 9))".to_owned(), "guest: "),
        (again(1025), "checkpoint has 1025 bytes; at most 1024"),
    ] {
        match Bench::new(&action(&body, "")).run() {
            Err(ActionError::Trapped(why)) => assert!(why.contains(names), "{names}: {why}"),
            other => panic!("{names}: {other:?}"),
        }
    }
    match Bench::new(&action(&again(1024), "")).run() {
        Ok(Progress::Again { after, checkpoint, percent }) => {
            assert_eq!((after, checkpoint.len(), percent), (Millis::ZERO, 1024, 100));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_action_that_cannot_be_started_says_why() {
    let mut bench = Bench::new(&workflow("", ""));
    match bench.run() {
        Err(ActionError::Unusable(why)) => assert!(why.contains("kind workflow"), "{why}"),
        other => panic!("{other:?}"),
    }
    bench.assignment.plugin = "00".into();
    match bench.run() {
        Err(ActionError::Unusable(why)) => assert!(why.contains("no plug-in 00 is attached"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_capability_that_panics_ends_the_action_too() {
    struct Broken;
    impl Capabilities for Broken {
        fn cloud(&mut self, _: CloudCall) -> Result<CloudReply, CloudError> {
            panic!("as in a bug of the host");
        }
        fn address(&mut self, _: &Digest, _: &HostId) -> String {
            panic!("as in a bug of the host");
        }
        fn http(&mut self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            panic!("as in a bug of the host");
        }
        fn remote(&mut self, _: &HostId, _: RemoteCall) -> Result<RemoteState, RemoteError> {
            panic!("as in a bug of the host");
        }
        fn value(&mut self, _: &str, _: &str) -> Option<String> {
            panic!("as in a bug of the host");
        }
        fn keep_value(&mut self, _: &str, _: &str, _: Option<String>) -> Result<(), ValueError> {
            panic!("as in a bug of the host");
        }
        fn log(&mut self, _: Level, _: &str) {}
    }
    let bench = Bench::shipped("reboot");
    let panicked = catch_unwind(AssertUnwindSafe(|| bench.runner.run(&bench.assignment, &mut Broken)));
    assert!(panicked.is_err(), "and did not wait for ever");
}

/// An action that asks for the address of package `x`, and logs what it is told.
fn fetching() -> Bench {
    let import = r#"(import "fenix:plugin/packages@0.1.0" "address" (func $address (param i32 i32 i32)))"#;
    let text = |at: u32| format!("(i32.load (i32.const {at})) (i32.load (i32.const {}))", at + 4);
    let body = format!(
        "(call $address (i32.const 100) (i32.const 1) (i32.const 2000))
        (if (i32.load8_u (i32.const 2000))
            (then (call $log (i32.const 2) {}))
            (else (call $log (i32.const 1) {})))",
        text(2008),
        text(2004)
    );
    let mut bench = Bench::new(&action_with(import, &body, r#"(data (i32.const 100) "x")"#));
    let package = |name: &str| Package { name: name.into(), digest: "d".into(), bytes: 1, plugins: vec![] };
    bench.assignment.packages = vec![package("w"), package("x")];
    bench
}

#[test]
fn a_package_is_fetched_by_the_host_of_the_assignment_if_that_was_granted() {
    let check = |change: fn(&mut Assignment), level: Level, expected: &str| {
        let mut bench = fetching();
        change(&mut bench.assignment);
        assert_eq!(bench.run(), Ok(Progress::Done { report: String::new() }));
        let [(found, line)] = &bench.cloud.lines[..] else { panic!("{:?}", bench.cloud.lines) };
        assert!(*found == level && line.starts_with(expected), "{expected}: {line}");
    };
    check(|_| {}, Level::Info, "http://fenix/d?host=a");
    check(|assignment| assignment.packages.truncate(1), Level::Warn, "package x");
    check(|assignment| assignment.host = None, Level::Warn, "packages.address: the assignment has no host");
    check(
        |assignment| assignment.granted = vec![Right::Cloud],
        Level::Warn,
        "packages.address: no administrator has granted packages to it",
    );
}

#[test]
fn what_was_not_granted_is_refused_by_name() {
    let mut bench = Bench::shipped("reboot");
    bench.assignment.granted = vec![Right::Packages];
    match bench.run() {
        Err(ActionError::Failed(why)) => {
            assert!(why.contains("not granted: cloud.host: no administrator has granted cloud"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.cloud.calls.is_empty());
}

#[test]
fn to_import_a_capability_is_to_ask_for_it() {
    let plugins = Plugins::new(None).unwrap();
    let check = |component: &[u8], expected: &[Right]| {
        assert_eq!(plugins.attach(component).unwrap().asks, expected);
    };
    check(fenix_shipped::component("reboot").unwrap(), &[Right::Cloud]);
    check(fenix_shipped::component("noop").unwrap(), &[]);
    check(fenix_shipped::component("default").unwrap(), &[]);
    let any = "GET,POST,PUT,PATCH,DELETE *://*/*".parse().unwrap();
    check(fenix_shipped::component("webhook").unwrap(), &[Right::Http(any)]);
}

#[test]
fn a_command_is_run_if_it_was_granted_under_a_name_of_its_own() {
    let check = |argv: &[&str], rule: &str, expected: Result<(), &str>| {
        let mut bench = Bench::shipped("ssh-upgrade");
        bench.assignment.metadata = serde_json::json!({ "install": argv }).to_string();
        bench.assignment.granted = vec![Right::Kv, Right::Remote(rule.parse().unwrap())];
        let answers = (bench.run(), bench.run());
        match (answers, expected) {
            ((Ok(Progress::Again { .. }), Ok(Progress::Again { .. })), Ok(())) => {
                let id = "1b080f6edbf1d44a3fd5fbaa058fa666".to_owned();
                let started = RemoteCall::Start {
                    id: id.clone(),
                    argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
                    stdin: String::new(),
                };
                let poll = || RemoteCall::Poll { id: id.clone() };
                let expected = [poll(), started, poll()].map(|call| (HostId::from("a"), call));
                assert_eq!(bench.cloud.commands, expected);
            }
            ((Err(ActionError::Failed(why)), _), Err(part)) => {
                assert!(why.contains(part), "{argv:?}: {why}");
                assert!(bench.cloud.commands.iter().all(|(_, call)| matches!(call, RemoteCall::Poll { .. })));
            }
            other => panic!("{argv:?}: {other:?}"),
        }
    };
    check(&["apt-get", "update"], "apt-get update", Ok(()));
    check(&["apt-get", "install", "a b"], "apt-get install *", Ok(()));
    check(
        &["apt-get", "remove", "x"],
        "apt-get install *",
        Err("remote.start of apt-get remove x: no admin"),
    );
    check(&["x\u{1b}[31m"], "y", Err("remote.start of x\u{fffd}[31m: no administrator"));
    check(&["a\0b"], "**", Err("zero byte"));
    check(&["x"; 129], "**", Err("at most 127 arguments"));
    let long = "x".repeat(70_000);
    check(&[&long], "**", Err("at most 65536 bytes"));
    let mut bench = Bench::shipped("ssh-upgrade");
    bench.assignment.metadata = r#"{"install": ["true"]}"#.to_owned();
    bench.assignment.granted = vec![Right::Kv, Right::Remote("**".parse().unwrap())];
    bench.assignment.host = None;
    assert!(
        matches!(bench.run(), Err(ActionError::Failed(why)) if why.contains("no host to run anything on"))
    );
}

/// An action that keeps `v` as the value `key`, and says as its report what it reads then.
fn keeping(key_bytes: u32) -> Bench {
    let imports = r#"
        (import "fenix:plugin/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
        (import "fenix:plugin/kv@0.1.0" "get" (func $get (param i32 i32 i32)))"#;
    let body = format!(
        "(call $set (i32.const 100) (i32.const {key_bytes}) (i32.const 1) (i32.const 104) (i32.const 1) (i32.const 2000))
        (if (i32.load8_u (i32.const 2000))
            (then (call $log (i32.const 2) (i32.load (i32.const 2008)) (i32.load (i32.const 2012))))
            (else
                (call $get (i32.const 100) (i32.const {key_bytes}) (i32.const 2000))
                (call $log (i32.const 1) (i32.load (i32.const 2008)) (i32.load (i32.const 2012)))))"
    );
    Bench::new(&action_with(imports, &body, r#"(data (i32.const 100) "key v")"#))
}

#[test]
fn a_value_is_kept_for_the_plug_in_that_keeps_it() {
    let check = |bench: &mut Bench, expected: (Level, &str)| {
        assert_eq!(bench.run(), Ok(Progress::Done { report: String::new() }));
        let [(level, line)] = &bench.cloud.lines[..] else { panic!("{:?}", bench.cloud.lines) };
        assert!(*level == expected.0 && line.contains(expected.1), "{line}");
    };
    let mut bench = keeping(3);
    check(&mut bench, (Level::Info, "v"));
    assert_eq!(bench.cloud.values, BTreeMap::from([("guest/key".to_owned(), "v".to_owned())]));
    let mut bench = keeping(3);
    bench.assignment.granted = vec![Right::Cloud];
    check(&mut bench, (Level::Warn, "kv.set: no administrator has granted kv to it"));
    check(&mut keeping(0), (Level::Warn, "a key has 1 to 320 bytes"));
    check(&mut keeping(321), (Level::Warn, "a key has 1 to 320 bytes"));
}

#[test]
fn a_call_is_made_if_it_was_asked_for_and_granted() {
    let check = |url: &str, rule: &str, expected: Result<&str, &str>| {
        let mut bench = Bench::shipped("webhook");
        bench.assignment.metadata = format!(r#"{{"url": {url:?}, "body": "{{{{secret:token}}}}"}}"#);
        bench.assignment.granted = vec![Right::Http(rule.parse().unwrap())];
        match (bench.run(), expected) {
            (Ok(Progress::Done { .. }), Ok(shown)) => {
                let [request] = &bench.cloud.requests[..] else { panic!("{:?}", bench.cloud.requests) };
                assert_eq!((request.url.as_str(), request.method.as_str()), (shown, "POST"));
                assert_eq!(request.secrets, ["token"]);
                assert_eq!(request.body, b"\"{{secret:token}}\"", "whoever sends it fills it in");
            }
            (Err(ActionError::Failed(why)), Err(part)) => {
                assert!(why.contains(part), "{url}: {why}");
                assert!(bench.cloud.requests.is_empty());
            }
            other => panic!("{url}: {other:?}"),
        }
    };
    let rule = "POST https://hooks.example/v1/* with token";
    check("https://hooks.example/v1/x?y=1#z", rule, Ok("https://hooks.example/v1/x?y=1"));
    check("HTTPS://Hooks.Example:443/v1/a/../b", rule, Ok("https://hooks.example/v1/b"));
    let ungranted = Err("no administrator has granted it");
    check("https://hooks.example/v1/../v2", rule, ungranted);
    check("https://hooks.example/v1/%2e%2e/v2", rule, ungranted);
    check("https://hooks.example:8443/v1/x", rule, ungranted);
    check("https://hooks.example.evil/v1/x", rule, ungranted);
    check("http://hooks.example/v1/x", rule, ungranted);
    check("https://hooks.example\\@evil.example/v1/x", rule, ungranted);
    check("https://hooks.example/v1/a%2Fb", rule, Err("which servers do not agree about"));
    check("https://me:pw@hooks.example/v1/x", rule, Err("it has an account in it"));
    check("ftp://hooks.example/v1/x", rule, Err("calls go by http: and https:"));
    check("hooks", rule, Err("relative URL"));
}
