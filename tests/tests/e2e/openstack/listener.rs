//! Somebody who listens to the message bus with OpenStack's own library.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use super::stack::{BROKER, STACK_PATIENCE, rig_dir};

/// A listener on the exchange that Fenix publishes on.
pub(crate) struct Listener {
    child: Child,
    heard: mpsc::Receiver<String>,
}

impl Listener {
    /// Starts one; on return it hears everything.
    pub(crate) fn start() -> Listener {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openstack/listener.py");
        let mut child = Command::new(rig_dir().join("venv/bin/python"))
            .arg(script)
            .args([BROKER, "openstack"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, heard) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        assert_eq!(heard.recv_timeout(STACK_PATIENCE).unwrap(), "ready");
        Listener { child, heard }
    }

    /// What it has heard, up to the first event of which that holds.
    pub(crate) fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let line = self.heard.recv_timeout(STACK_PATIENCE).unwrap_or_else(|_| panic!("only {events:?}"));
            events.push(serde_json::from_str(&line).unwrap());
            if events.last().is_some_and(&last) {
                return events;
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The end of its input lets it remove its queue.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
