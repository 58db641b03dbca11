//! A cloud and a server, each a process, in a directory of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fenix_cloud::sim::Spec;
use fenix_cloud::sim::spec::{Span, Times};
use fenix_cloud::sim::trace::TraceEvent;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::http::{Reply, call_json, get};
use crate::port::Port;
use crate::process::{PATIENCE, Process, fenix_at, run};

/// The project in [`small_cloud`].
pub(crate) const PROJECT: &str = "doctor";

/// Doctor's topology with three computes, and everything done in moments.
pub(crate) fn small_cloud() -> Spec {
    let moment = Span::Fixed(100);
    let times = Times {
        cold_ms: moment,
        live_ms: moment,
        evacuate_ms: moment,
        resize_ms: moment,
        boot_ms: moment,
        reboot_ms: moment,
    };
    Spec { times, ..Spec::doctor(3) }
}

/// A cloud and a server.
pub(crate) struct Rig {
    // The order is that in which they end.
    server: Option<Process>,
    cloud_process: Option<Process>,
    pub(crate) cloud: Cloud,
    /// The server's address, like `http://127.0.0.1:12347`.
    pub(crate) url: String,
    dir: TempDir,
    /// What the server is told beside where things are.
    more: Vec<String>,
    place: Place,
    /// Where the server and the cloud listen.
    ports: [Port; 2],
}

/// Where and how a server runs.
#[derive(Default)]
pub(crate) struct Place {
    /// Its data directory, if not one of the rig's.
    pub(crate) data: Option<PathBuf>,
    /// The program that starts it, with arguments; it is given the server's command line. Files that it names without a
    /// directory are the rig's.
    pub(crate) through: Vec<String>,
    /// The build that it is of, if not the one under test.
    pub(crate) build: Option<String>,
}

impl Rig {
    /// Starts both, and waits until the server has read the cloud.
    pub(crate) fn start(spec: &Spec) -> Rig {
        Rig::start_with(spec, &[])
    }

    /// The same with further arguments for the server.
    pub(crate) fn start_with(spec: &Spec, more: &[&str]) -> Rig {
        Rig::start_in(spec, more, Place::default())
    }

    /// The same somewhere else, or through another program.
    pub(crate) fn start_in(spec: &Spec, more: &[&str], place: Place) -> Rig {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("rack.toml"), toml::to_string(spec).unwrap()).unwrap();
        let ports = [Port::new(), Port::new()];
        let cloud = Cloud { address: ports[1].address() };
        let more = more.iter().map(|arg| (*arg).to_owned()).collect();
        let mut rig =
            Rig { server: None, cloud_process: None, cloud, url: String::new(), dir, more, place, ports };
        rig.start_cloud();
        rig.start_again();
        rig
    }

    fn start_cloud(&mut self) {
        let (file, state) = (self.path("rack.toml"), self.path("cloud.state"));
        let listen = &self.cloud.address;
        let args = ["cloud", "sim", "--listen", listen, "--file", &file, "--state", &state];
        self.cloud_process = Some(Process::start(&args));
    }

    /// Starts the server, at the same address each time.
    pub(crate) fn start_again(&mut self) {
        let listen = &self.ports[0].address();
        let data = self.place.data.as_deref().map_or_else(|| self.path("data"), |data| text(data).to_owned());
        let args = ["serve", "--listen", listen, "--data-dir", &data, "--cloud", &self.cloud.address];
        let more: Vec<&str> = self.more.iter().map(String::as_str).collect();
        let args = [&args[..], &more].concat();
        let build = self.place.build.as_deref().unwrap_or(env!("CARGO_BIN_EXE_fenix-under-test"));
        let server = match self.place.through.split_first() {
            None => Process::spawn(&mut fenix_at(build, &args)),
            Some((program, first)) => {
                let mut command = Command::new(program);
                command.args(first).arg(build).args(&args);
                Process::spawn(command.current_dir(self.dir.path()).stdin(Stdio::null()))
            }
        };
        self.url.clone_from(&server.address);
        self.server = Some(server);
        wait_ready(&self.url);
    }

    /// A file or directory of this rig.
    pub(crate) fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    /// A URL of the server.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Kills the server in the middle of whatever it does, and starts it again at the same address.
    pub(crate) fn crash_server(&mut self) {
        self.kill_server();
        self.start_again();
    }

    /// Kills the server in the middle of whatever it does, and lets another build go on at the same address; `None` is
    /// the one under test.
    pub(crate) fn go_on_with(&mut self, build: Option<&str>) {
        self.kill_server();
        self.go_on(build);
    }

    /// Starts a server of that build at the same address.
    pub(crate) fn go_on(&mut self, build: Option<&str>) {
        self.place.build = build.map(str::to_owned);
        self.start_again();
    }

    /// Kills the server in the middle of whatever it does.
    pub(crate) fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Ends the server as an administrator does.
    pub(crate) fn stop_server(&mut self) {
        assert!(self.server.take().unwrap().stop().success());
    }

    /// Kills the cloud in the middle of whatever it does, and starts it again at the same address.
    pub(crate) fn crash_cloud(&mut self) {
        self.cloud_process.take().unwrap().kill();
        self.start_cloud();
    }

    /// The same with both at once.
    pub(crate) fn crash_both(&mut self) {
        self.kill_server();
        self.crash_cloud();
        self.start_again();
    }

    /// The server's process.
    pub(crate) fn server(&self) -> &Process {
        self.server.as_ref().unwrap()
    }

    /// Starts a manager process.
    pub(crate) fn manager(&self, more: &[&str]) -> Process {
        let base = ["vnfm", "--project", PROJECT, "--url", &self.url, "--cloud", &self.cloud.address];
        Process::start(&[&base, more].concat())
    }

    /// Registers a receiver for what the project's manager is told.
    pub(crate) fn subscribe(&self, url: &str) {
        self.listen("test", "maintenance.scheduled", url);
    }

    /// Registers a receiver for a type of events.
    pub(crate) fn listen(&self, id: &str, event_type: &str, url: &str) {
        self.listen_as(PROJECT, id, event_type, url);
    }

    /// The same for a project.
    pub(crate) fn listen_as(&self, project: &str, id: &str, event_type: &str, url: &str) {
        let body = json!({ "project_id": project, "event_type": event_type, "url": url });
        call_json("PUT", &self.at(&format!("/v1/subscriptions/{id}")), &body).good();
    }

    /// Starts a session, and returns its URL.
    #[track_caller]
    pub(crate) fn begin(&self, body: &Value) -> String {
        let reply = self.post(body).good();
        self.at(&format!("/v1/maintenance/{}", reply["session_id"].as_str().unwrap()))
    }

    pub(crate) fn post(&self, body: &Value) -> Reply {
        call_json("POST", &self.at("/v1/maintenance"), body)
    }

    /// What really happened in the cloud.
    pub(crate) fn trace(&self) -> Vec<TraceEvent> {
        let output = run(&["cloud", "trace", "--cloud", &self.cloud.address]);
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The old API's sample body, on these hosts.
pub(crate) fn sample_body(hosts: &[&str]) -> Value {
    json!({
        "hosts": hosts,
        "state": "MAINTENANCE",
        "maintenance_at": "2020-01-01 00:00:00",
        "metadata": { "openstack_version": "Train" },
        "workflow": "default",
        "actions": [{ "plugin": "reboot", "type": "host", "metadata": {} }],
        "download": [],
    })
}

/// Waits until the server there has read its journal and the cloud: its address is told before.
#[track_caller]
pub(crate) fn wait_ready(url: &str) {
    let begun = Instant::now();
    while get(&format!("{url}/readyz")).status != 200 {
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// Waits for news of a session until they are as wanted, and returns the last ones.
#[track_caller]
pub(crate) fn wait_for(session: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_within(PATIENCE, session, wanted)
}

/// The same with another patience.
#[track_caller]
pub(crate) fn wait_within(patience: Duration, session: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    let mut from = 0;
    loop {
        let news = get(&format!("{session}/events?from={from}&wait=5")).good();
        if wanted(&news) {
            return news;
        }
        from = news["next"].as_u64().unwrap();
        assert!(begun.elapsed() < patience, "{}", get(&format!("{session}/detail")).body);
    }
}

/// Waits until a session has ended.
#[track_caller]
pub(crate) fn wait_for_end(session: &str) -> Value {
    wait_for(session, |news| matches!(news["condition"].as_str(), Some("ended" | "parked")))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
