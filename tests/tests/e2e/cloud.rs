//! The simulated cloud from a manager's side: its own socket, a line each way.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fenix_core::inventory::{Instance, InstanceState};
use fenix_engine::ports::{CloudCall, CloudReply};
use serde_json::{Value, json};

use crate::process::PATIENCE;

/// Pause between two looks at the cloud.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// A cloud.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    pub(crate) address: String,
}

impl Cloud {
    pub(crate) fn call(&self, call: &CloudCall) -> CloudReply {
        let answer = self.ask(&json!({ "id": 1, "call": call }));
        serde_json::from_value(answer["ok"].clone()).unwrap_or_else(|_| panic!("{call:?}: {answer}"))
    }

    /// How much has happened in it so far: the number of events in its trace.
    pub(crate) fn happened(&self) -> u64 {
        let answer = self.ask(&json!({ "id": 1, "control": { "trace": { "from": i64::MAX } } }));
        answer["ok"]["end"].as_u64().unwrap()
    }

    fn ask(&self, request: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Everything of a project.
    pub(crate) fn instances(&self, project: &str) -> Vec<Instance> {
        match self.call(&CloudCall::ReadAll) {
            CloudReply::All { instances, .. } => {
                instances.into_iter().filter(|instance| instance.project.as_str() == project).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Removes an instance, and waits until it is gone.
    pub(crate) fn delete(&self, instance: &Instance) {
        let id = &instance.id;
        self.call(&CloudCall::Delete { instance: id.clone() });
        self.until(|instance| instance.is_none(), id);
    }

    /// Creates an instance like this one wherever there is room, and waits until it runs.
    pub(crate) fn boot(&self, id: &str, like: &Instance) {
        let instance = Instance {
            id: id.into(),
            host: "".into(),
            state: InstanceState::Building,
            other_end: None,
            ..like.clone()
        };
        self.call(&CloudCall::Boot { instance });
        self.until(|instance| instance.is_some_and(Instance::is_settled), &id.into());
    }

    fn until(&self, holds: impl Fn(Option<&Instance>) -> bool, id: &fenix_core::id::InstanceId) {
        let begun = Instant::now();
        loop {
            match self.call(&CloudCall::ReadInstance { instance: id.clone() }) {
                CloudReply::Instance(instance) if holds(instance.as_ref()) => return,
                _ => assert!(begun.elapsed() < PATIENCE, "{id}"),
            }
            std::thread::park_timeout(LOOK_PAUSE);
        }
    }
}
