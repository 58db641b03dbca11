//! Actions: what they may touch, what they return, and how they are ended.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fenix_core::inventory::{Host, HostKind, Resources, Service};
use fenix_core::time::Millis;
use fenix_engine::ports::{ActionError, Assignment, CloudCall, CloudError, CloudReply, Progress};
use fenix_wasm::{ActionRunner, Capabilities, Level, Plugins};

use crate::guest::{action, workflow};

/// A cloud of one host, which writes down what it was asked.
#[derive(Default)]
struct Fake {
    boot: u32,
    calls: Vec<CloudCall>,
    lines: Vec<(Level, String)>,
    answer: Option<Result<CloudReply, CloudError>>,
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
            host: Some("a".into()),
            metadata: String::new(),
            checkpoint: None,
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
        fn log(&mut self, _: Level, _: &str) {}
    }
    let bench = Bench::shipped("reboot");
    let panicked = catch_unwind(AssertUnwindSafe(|| bench.runner.run(&bench.assignment, &mut Broken)));
    assert!(panicked.is_err(), "and did not wait for ever");
}
