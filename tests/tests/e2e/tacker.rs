//! A client written to contract 5.2: what Tacker's plug-in does, faults included. Its constraint calls come all at once
//! and in any order, with texts for numbers; every reply is sent twice and holds extra keys; notices are answered too; and
//! one instance is re-created by its own hand, after which the reply goes to the old one's address.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use fenix_core::inventory::Instance;
use fenix_server::demo::truth::judge;
use serde_json::{Value, json};

use crate::alarm::{Traits, receive};
use crate::cloud::Cloud;
use crate::http::{call, call_json, get};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for_end};

/// The group that Tacker makes up for a VNF.
const GROUP: &str = "5c4a1f6e-1111-4222-8333-944455556666";

struct Tacker {
    /// The endpoint of service type `maintenance`.
    endpoint: String,
    cloud: Cloud,
    /// How many instances one step of its scaling policy removes.
    step: usize,
    removed: Vec<Instance>,
    /// The instance that it re-creates by itself.
    own: Option<String>,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Tacker {
    /// All constraints of the VNF, fired at once.
    fn create(&self) {
        std::thread::scope(|scope| {
            for instance in self.cloud.instances(PROJECT) {
                scope.spawn(move || self.constrain(&instance));
            }
            let group = json!({"group_id": GROUP, "project_id": PROJECT, "group_name": "tacker_nonha_app_group_vnf",
                "anti_affinity_group": false, "max_instances_per_host": "0,", "max_impacted_members": "1,",
                "recovery_time": "2,", "resource_mitigation": "True,"});
            let url = format!("{}/instance_group/{GROUP}", self.endpoint);
            scope.spawn(move || call_json("PUT", &url, &group).good());
        });
    }

    fn constrain(&self, instance: &Instance) {
        let id = instance.id.as_str();
        let body = json!({"instance_id": id, "project_id": PROJECT, "group_id": GROUP, "instance_name": instance.name,
            "max_interruption_time": "120,", "migration_type": "MIGRATE", "resource_mitigation": "True,", "lead_time": "1,"});
        call_json("PUT", &format!("{}/instance/{id}", self.endpoint), &body).good();
    }

    fn forget(&self, instance: &str) {
        call("DELETE", &format!("{}/instance/{instance}", self.endpoint), b"").good();
    }

    fn handle(&mut self, event: &Traits) {
        for key in ["instance_ids", "session_id", "state", "reply_url"] {
            assert!(event.contains_key(key), "Tacker refuses an event without {key}");
        }
        let (state, url) = (event["state"].as_str().unwrap(), event["reply_url"].as_str().unwrap());
        self.seen.lock().unwrap().insert(state.to_owned());
        let mut reply = json!({"session_id": event["session_id"], "state": format!("ACK_{state}")});
        match state {
            "MAINTENANCE" => reply["instance_ids"] = self.ids(),
            "SCALE_IN" => {
                self.scale_in();
                reply["instance_ids"] = self.ids();
            }
            "MAINTENANCE_COMPLETE" => {
                self.scale_out();
                reply["instance_ids"] = self.ids();
            }
            "PREPARE_MAINTENANCE" | "PLANNED_MAINTENANCE" => {
                assert!(event["allowed_actions"].as_array().unwrap().contains(&json!("MIGRATE")));
                let instance = event["instance_ids"][0].as_str().unwrap();
                reply["instance_action"] = json!(self.act(instance));
            }
            "INSTANCE_ACTION_DONE" => {}
            other => panic!("Tacker answers 400 to {other}"),
        }
        // Once from its post function, once from the generic path.
        for _ in 0..2 {
            call_json("PUT", url, &reply).good();
        }
    }

    /// One instance is healed: made anew elsewhere, then the reply goes to the old one's address.
    fn act(&mut self, instance: &str) -> &'static str {
        let is_own = self.own.as_deref().is_none_or(|own| own == instance);
        let old = self.cloud.instances(PROJECT).into_iter().find(|known| known.id.as_str() == instance);
        let Some(old) = old.filter(|_| is_own) else { return "MIGRATE" };
        self.own = Some(instance.to_owned());
        self.cloud.delete(&old);
        self.cloud.boot("healed", &old);
        self.cloud
            .instances(PROJECT)
            .iter()
            .filter(|new| new.id.as_str() == "healed")
            .for_each(|new| self.constrain(new));
        self.forget(instance);
        "OWN_ACTION"
    }

    fn scale_in(&mut self) {
        let alone = |instance: &Instance| instance.group.is_none();
        for instance in self.cloud.instances(PROJECT).into_iter().filter(alone).take(self.step) {
            self.cloud.delete(&instance);
            self.forget(instance.id.as_str());
            self.removed.push(instance);
        }
    }

    fn scale_out(&mut self) {
        for (i, old) in std::mem::take(&mut self.removed).iter().enumerate() {
            self.cloud.boot(&format!("again-{i}"), old);
        }
        self.cloud.instances(PROJECT).iter().for_each(|instance| self.constrain(instance));
    }

    fn ids(&self) -> Value {
        self.cloud.instances(PROJECT).iter().map(|instance| json!(instance.id.as_str())).collect()
    }
}

/// Has it go through a session, and returns what it was told, and the questions.
fn check(step: usize, body: &Value) -> (BTreeSet<String>, Vec<Value>) {
    let rig = Rig::start(&small_cloud());
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut tacker = Tacker {
        endpoint: rig.at("/v1"),
        cloud: rig.cloud.clone(),
        step,
        removed: Vec::new(),
        own: None,
        seen: seen.clone(),
    };
    tacker.create();
    rig.subscribe(&receive(move |event| tacker.handle(&event)));

    let session = rig.begin(body);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let asks = get(&format!("{session}/detail")).good()["asks"].clone();
    assert!(asks.as_array().unwrap().iter().all(|ask| ask["status"] == "acked"), "{asks}");
    assert_eq!(get(&rig.at("/v1/instance/healed")).good()["lead_time"], 1);
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new());
    let seen = seen.lock().unwrap().clone();
    let states = ["INSTANCE_ACTION_DONE", "MAINTENANCE", "MAINTENANCE_COMPLETE", "PLANNED_MAINTENANCE"];
    assert!(states.iter().all(|state| seen.contains(*state)), "{seen:?}");
    (seen, asks.as_array().unwrap().clone())
}

#[test]
fn a_client_like_tacker_completes_a_session_unmodified() {
    let mut body = sample_body(&[]);
    // Tacker reads the list with one id that the first Fenix' workflow `vnf` sent.
    body["terms"] = json!({ "ask_per_instance": true });
    check(2, &body);
}

#[test]
fn a_client_like_tacker_completes_a_session_of_the_workflow_that_it_was_made_for_also_in_two_rounds_of_scale_in()
 {
    let mut body = sample_body(&[]);
    body["workflow"] = json!("vnf");
    let rounds = |asks: &[Value]| asks.iter().filter(|ask| ask["state"] == "SCALE_IN").count();
    let (_, asks) = check(2, &body);
    assert_eq!(rounds(&asks), 1, "{asks:?}");
    // Each answer is doubled, and the second one must not be taken for one to the next round.
    let (_, asks) = check(1, &body);
    assert_eq!(rounds(&asks), 2, "{asks:?}");
}
