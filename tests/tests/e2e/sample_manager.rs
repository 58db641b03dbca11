//! The `sample` application manager of OPNFV Doctor, as contract 5.1 describes it, against today's Fenix.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fenix_core::inventory::Instance;
use fenix_server::demo::truth::judge;
use serde_json::{Value, json};

use crate::alarm::{Inbox, Traits, receive};
use crate::cloud::Cloud;
use crate::http::{call, call_json, get};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for_end};

/// It removes two instances, Heat's stack update of the test.
const SCALE: usize = 2;

/// The manager. It works and answers within the request that brings it the event.
struct Manager {
    cloud: Cloud,
    removed: Vec<Instance>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn handle(&mut self, event: &Traits) {
        let text = |name: &str| event[name].as_str().unwrap();
        let state = text("state");
        self.seen.lock().unwrap().push(state.to_owned());
        let ids = match state {
            "MAINTENANCE" => self.ask(text("instance_ids")),
            "SCALE_IN" => self.scale_in(),
            "PREPARE_MAINTENANCE" | "PLANNED_MAINTENANCE" => self.ask(text("instance_ids")),
            "MAINTENANCE_COMPLETE" => self.scale_out(),
            "INSTANCE_ACTION_DONE" => {
                assert_eq!(event["instance_ids"].as_array().unwrap().len(), 1);
                return;
            }
            other => panic!("unknown state {other}"),
        };
        let mut reply = json!({
            "session_id": text("session_id"),
            "state": format!("ACK_{state}"),
            "instance_ids": ids,
        });
        let allowed = event["allowed_actions"].as_array().unwrap();
        if state.ends_with("E_MAINTENANCE") || state.starts_with("PLANNED") {
            assert!(allowed.contains(&json!("MIGRATE")));
            let actions = ids.iter().map(|id| (id.clone(), json!("MIGRATE"))).collect();
            reply["instance_actions"] = Value::Object(actions);
            reply.as_object_mut().unwrap().remove("instance_ids");
        } else {
            assert!(allowed.is_empty());
        }
        crate::messages::check_reply(&reply);
        call_json("PUT", text("reply_url"), &reply).good();
    }

    fn ask(&self, url: &str) -> Vec<String> {
        serde_json::from_value(get(url).good()["instance_ids"].clone()).unwrap()
    }

    fn scale_in(&mut self) -> Vec<String> {
        let alone = |instance: &Instance| instance.group.is_none();
        let go: Vec<Instance> = self.cloud.instances(PROJECT).into_iter().filter(alone).take(SCALE).collect();
        go.iter().for_each(|instance| self.cloud.delete(instance));
        self.removed.extend(go);
        self.ids()
    }

    fn scale_out(&mut self) -> Vec<String> {
        for (i, old) in self.removed.drain(..).enumerate() {
            self.cloud.boot(&format!("again-{i}"), &old);
        }
        self.ids()
    }

    fn ids(&self) -> Vec<String> {
        self.cloud.instances(PROJECT).iter().map(|instance| instance.id.to_string()).collect()
    }
}

#[test]
fn doctors_sample_manager_completes_a_session_of_the_old_sample_body() {
    let rig = Rig::start(&small_cloud());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut manager = Manager { cloud: rig.cloud.clone(), removed: Vec::new(), seen: seen.clone() };
    rig.subscribe(&receive(move |event| manager.handle(&event)));
    let inspector = Inbox::open();
    rig.listen("inspector", "maintenance.host", &inspector.url);

    let session =
        rig.begin(&sample_body(&["compute-1", "compute-2", "compute-3", "controller-1", "controller-2"]));
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");

    // The administrator's side polls the state, then deletes; an answer other than 200 would fail it.
    assert_eq!(get(&session).good()["state"], "MAINTENANCE_DONE");
    assert_eq!(call("DELETE", &session, b"").good(), json!({}));
    assert_eq!(get(&session).status, 404);
    let history = get(&format!("{session}/decisions")).good();
    assert_eq!(history["decisions"].as_array().unwrap().last().unwrap()["what"], "ended", "{history}");

    let mut told = BTreeMap::new();
    for _ in 0..10 {
        let event = inspector.next();
        assert_eq!(event["project_id"], PROJECT);
        let host = event["host"].as_str().unwrap().to_owned();
        told.entry(host).or_insert_with(Vec::new).push(event["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(told.len(), 5);
    assert!(told.values().all(|states| *states == ["IN_MAINTENANCE", "MAINTENANCE_COMPLETE"]), "{told:?}");

    let seen = seen.lock().unwrap();
    assert_eq!(seen.first().map(String::as_str), Some("MAINTENANCE"));
    assert_eq!(seen.last().map(String::as_str), Some("MAINTENANCE_COMPLETE"));
    assert!(seen.iter().any(|state| state == "SCALE_IN"), "{seen:?}");
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new());
}
