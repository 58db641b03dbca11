//! Fenix before the OpenStack of the tests, and managers of its tenants' applications.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stack::{BROKER_TLS, Stack, clouds_file, rig_dir};
use crate::alarm::{Traits, receive};
use crate::http::call_json;
use crate::port::Port;
use crate::process::Process;
use crate::rig::{wait_ready, wait_within};

/// Longest that a session may take, with something going wrong in it.
pub(crate) const SESSION_PATIENCE: Duration = Duration::from_secs(600);

/// A server with the account of the rig's Fenix.
pub(crate) struct Fenix {
    process: Option<Process>,
    /// Its address.
    pub(crate) url: String,
    dir: TempDir,
    more: String,
    port: Port,
}

/// Writes the configuration of a server in that directory, and returns its file.
pub(crate) fn configure(dir: &Path, listen: &str, more: &str) -> String {
    let file = dir.join("fenix.toml");
    let (data, clouds, ca) = (dir.join("data"), clouds_file(), rig_dir().join("ca.pem"));
    let text = format!(
        "listen = {listen:?}\ndata_dir = {data:?}\ndriver = \"openstack\"\n\
         [openstack]\ncloud = \"fenix-tls\"\nclouds_file = {clouds:?}\n\
         [bus]\nbrokers = [{BROKER_TLS:?}]\nca = {ca:?}\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

impl Fenix {
    /// Starts one with an empty journal, and waits until it has read the cloud.
    pub(crate) fn start() -> Fenix {
        Fenix::start_with("")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(more: &str) -> Fenix {
        let dir = TempDir::new().unwrap();
        let port = Port::new();
        let mut fenix = Fenix { process: None, url: String::new(), dir, more: more.to_owned(), port };
        fenix.go_on();
        fenix
    }

    /// At the same address each time.
    fn go_on(&mut self) {
        let file = configure(self.dir.path(), &self.port.address(), &self.more);
        let process = Process::start(&["serve", "--config", &file]);
        self.url.clone_from(&process.address);
        self.process = Some(process);
        wait_ready(&self.url);
    }

    /// Kills it in the middle of whatever it does, and starts it again at the same address.
    pub(crate) fn crash(&mut self) {
        self.process.take().unwrap().kill();
        self.go_on();
    }

    /// Starts a session of `default` on all computes; its URL.
    pub(crate) fn begin(&self, terms: &Value) -> String {
        self.begin_of("default", terms)
    }

    /// The same of another workflow.
    pub(crate) fn begin_of(&self, workflow: &str, terms: &Value) -> String {
        let body = json!({
            "hosts": super::stack::COMPUTES,
            "state": "MAINTENANCE",
            "maintenance_at": "2020-01-01 00:00:00",
            "metadata": {"openstack_version": "2026.2"},
            "workflow": workflow,
            "actions": [{"plugin": "noop", "type": "host"}],
            "terms": terms,
        });
        let reply = call_json("POST", &format!("{}/v1/maintenance", self.url), &body).good();
        format!("{}/v1/maintenance/{}", self.url, reply["session_id"].as_str().unwrap())
    }
}

/// Waits until a session has ended or parked: Nova gives up some things after minutes only.
#[track_caller]
pub(crate) fn wait_for_end(session: &str) -> Value {
    wait_within(SESSION_PATIENCE, session, |news| {
        matches!(news["condition"].as_str(), Some("ended" | "parked"))
    })
}

/// The manager of a tenant's application: it agrees to everything, has its servers moved as it was made to, and makes
/// room by deleting them.
pub(crate) struct Manager {
    /// Where it wants to be told.
    pub(crate) url: String,
    /// What it was told, in order.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    /// While somebody else has it, it does not say what is to become of its servers.
    pub(crate) word: Arc<Mutex<()>>,
}

impl Manager {
    /// One that has its servers moved by `action`, and deletes `step` of them whenever it is to scale in.
    pub(crate) fn of(tenant: &'static str, action: &'static str, step: usize) -> Manager {
        let told = Arc::new(Mutex::new(Vec::new()));
        let word = Arc::new(Mutex::new(()));
        let mut application =
            Application { stack: Stack::of(tenant), action, step, removed: 0, word: word.clone() };
        let heard = told.clone();
        let url = receive(move |event| {
            heard.lock().unwrap().push(event["state"].as_str().unwrap().to_owned());
            application.handle(&event);
        });
        Manager { url, told, word }
    }

    /// Has Aodh tell it, as managers of OpenStack do.
    pub(crate) fn raise_alarm(&self, tenant: &Stack, event_type: &str) {
        tenant.create_alarm(event_type, &self.url);
    }

    /// What it was told, each once.
    pub(crate) fn states(&self) -> BTreeSet<String> {
        self.told.lock().unwrap().iter().cloned().collect()
    }
}

struct Application {
    stack: Stack,
    action: &'static str,
    step: usize,
    removed: usize,
    word: Arc<Mutex<()>>,
}

impl Application {
    fn handle(&mut self, event: &Traits) {
        let text = |name: &str| event[name].as_str().unwrap();
        // An alarm may be for more than is meant for managers.
        if text("event_type") != "maintenance.scheduled" {
            return;
        }
        let state = text("state");
        let mut reply = json!({"session_id": text("session_id"), "state": format!("ACK_{state}")});
        match state {
            "MAINTENANCE" => {}
            "SCALE_IN" => self.scale_in(),
            "PREPARE_MAINTENANCE" | "PLANNED_MAINTENANCE" => {
                drop(self.word.lock().unwrap());
                if event["instance_ids"].is_array() {
                    reply["instance_action"] = json!(self.action);
                    self.told(Method::PUT, text("reply_url"), Some(&reply));
                    return;
                }
                let ids = self.told(Method::GET, text("instance_ids"), None)["instance_ids"].clone();
                let each = ids.as_array().unwrap().iter();
                let actions = each.map(|id| (id.as_str().unwrap().to_owned(), json!(self.action)));
                reply["instance_actions"] = Value::Object(actions.collect());
            }
            "MAINTENANCE_COMPLETE" => {
                self.stack.boot(std::mem::take(&mut self.removed), "quarter", &json!({}));
            }
            "INSTANCE_ACTION_DONE" | "INSTANCE_ACTION_FALLBACK" => return,
            other => panic!("unknown state {other}"),
        }
        self.told(Method::PUT, text("reply_url"), Some(&reply));
    }

    /// What Fenix answers, again and again until it does: it may be killed meanwhile, and managers know how to wait.
    fn told(&self, method: Method, url: &str, body: Option<&Value>) -> Value {
        let mut told = Value::Null;
        self.stack.wait(&format!("{url} to answer"), || {
            match self.stack.try_to_ask(method.clone(), url, body) {
                Some((200, answer)) => {
                    told = answer;
                    true
                }
                Some((status, answer)) => panic!("{url}: {status} {answer}"),
                None => false,
            }
        });
        told
    }

    fn scale_in(&mut self) {
        let all = self.stack.servers();
        let quiet = all.iter().filter(|server| server["OS-EXT-STS:task_state"].is_null());
        for server in quiet.take(self.step) {
            self.stack.delete(server["id"].as_str().unwrap());
            self.removed += 1;
        }
    }
}
