//! A client written to contract 5.1, `vnfm`: the manager of OPNFV Doctor that states what its application bears, against
//! the workflow `vnf`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fenix_core::inventory::Instance;
use fenix_server::demo::truth::judge;
use serde_json::{Value, json};

use crate::alarm::{Inbox, Traits, receive};
use crate::cloud::Cloud;
use crate::http::{call, call_json, get};
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for_end};

/// The id that it makes up for the group of those that are not kept apart.
const NONHA: &str = "9f0dd5c2-7c4e-4d3f-9d56-0b4b4f7d8a11";

/// How many instances Heat's stack update of the test removes.
const SCALE: usize = 2;

/// The manager. It works and answers within the request that brings it the event.
struct Vnfm {
    /// The public endpoint of service type `maintenance`.
    endpoint: String,
    cloud: Cloud,
    removed: Vec<Instance>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Vnfm {
    /// The two groups, then every instance.
    fn start(&self) {
        self.group("doctor-ha", "doctor_ha_app_group", true, 1, 4);
        self.group(NONHA, "doctor_nonha_app_group", false, 0, 2);
        self.cloud.instances(PROJECT).iter().for_each(|instance| self.constrain(instance));
    }

    fn group(&self, id: &str, name: &str, apart: bool, per_host: u32, recovery: u32) {
        let body = json!({"group_id": id, "project_id": PROJECT, "group_name": name, "anti_affinity_group": apart,
            "max_instances_per_host": per_host, "max_impacted_members": 1, "recovery_time": recovery,
            "resource_mitigation": true});
        call_json("PUT", &format!("{}/instance_group/{id}", self.endpoint), &body).good();
    }

    fn constrain(&self, instance: &Instance) {
        let (id, group) = (instance.id.as_str(), instance.group.as_ref().map_or(NONHA, |_| "doctor-ha"));
        let body = json!({"instance_id": id, "project_id": PROJECT, "group_id": group, "instance_name": instance.name,
            "max_interruption_time": 120, "migration_type": "MIGRATE", "resource_mitigation": true, "lead_time": 2});
        call_json("PUT", &format!("{}/instance/{id}", self.endpoint), &body).good();
    }

    /// At its end it takes back what it has stated: instances, then groups.
    fn stop(endpoint: &str, cloud: &Cloud) {
        for instance in cloud.instances(PROJECT) {
            call("DELETE", &format!("{endpoint}/instance/{}", instance.id), b"").good();
        }
        for group in ["doctor-ha", NONHA] {
            call("DELETE", &format!("{endpoint}/instance_group/{group}"), b"").good();
        }
    }

    fn handle(&mut self, event: &Traits) {
        let text = |name: &str| event[name].as_str().unwrap();
        let state = text("state");
        self.seen.lock().unwrap().push(state.to_owned());
        let mut reply = json!({ "state": format!("ACK_{state}") });
        match state {
            "MAINTENANCE" => {
                let asked = get(text("instance_ids")).good()["instance_ids"].clone();
                let own = self.ids();
                if asked.as_array().unwrap().iter().any(|id| !own.contains(id)) {
                    reply["state"] = json!("NACK_MAINTENANCE");
                }
            }
            "SCALE_IN" => self.scale_in(),
            "MAINTENANCE_COMPLETE" => self.scale_out(),
            "PREPARE_MAINTENANCE" | "PLANNED_MAINTENANCE" => {
                let instance = event["instance_ids"][0].as_str().unwrap();
                assert_eq!(event["instance_ids"].as_array().unwrap().len(), 1);
                assert!(text("reply_url").ends_with(&format!("/{PROJECT}/{instance}")));
                assert!(event["allowed_actions"].as_array().unwrap().contains(&json!("MIGRATE")));
                reply["instance_action"] = json!("MIGRATE");
            }
            "INSTANCE_ACTION_DONE" => return,
            other => panic!("unknown state {other}"),
        }
        call_json("PUT", text("reply_url"), &reply).good();
    }

    fn scale_in(&mut self) {
        let alone = |instance: &Instance| instance.group.is_none();
        for instance in self.cloud.instances(PROJECT).into_iter().filter(alone).take(SCALE) {
            self.cloud.delete(&instance);
            call("DELETE", &format!("{}/instance/{}", self.endpoint, instance.id), b"").good();
            self.removed.push(instance);
        }
    }

    fn scale_out(&mut self) {
        for (i, old) in std::mem::take(&mut self.removed).iter().enumerate() {
            self.cloud.boot(&format!("again-{i}"), old);
        }
        self.cloud.instances(PROJECT).iter().for_each(|instance| self.constrain(instance));
    }

    fn ids(&self) -> Vec<Value> {
        self.cloud.instances(PROJECT).iter().map(|instance| json!(instance.id.as_str())).collect()
    }
}

#[test]
fn doctors_vnfm_completes_a_session_of_the_workflow_that_was_made_for_it() {
    let rig = Rig::start(&small_cloud());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut vnfm =
        Vnfm { endpoint: rig.at("/v1"), cloud: rig.cloud.clone(), removed: Vec::new(), seen: seen.clone() };
    vnfm.start();
    rig.subscribe(&receive(move |event| vnfm.handle(&event)));
    let inspector = Inbox::open();
    rig.listen("inspector", "maintenance.host", &inspector.url);

    let mut body = sample_body(&[]);
    body["workflow"] = json!("vnf");
    let session = rig.begin(&body);
    let end = wait_for_end(&session);
    assert_eq!(end["state"], "MAINTENANCE_DONE", "{end}");
    let asks = get(&format!("{session}/detail")).good()["asks"].clone();
    assert!(asks.as_array().unwrap().iter().all(|ask| ask["status"] == "acked"), "{asks}");

    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..10 {
        let event = inspector.next();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        told.entry(text("host")).or_default().push(text("state"));
    }
    assert!(told.values().all(|states| *states == ["IN_MAINTENANCE", "MAINTENANCE_COMPLETE"]), "{told:?}");
    let seen = seen.lock().unwrap();
    for state in ["MAINTENANCE", "SCALE_IN", "PLANNED_MAINTENANCE", "INSTANCE_ACTION_DONE"] {
        assert!(seen.iter().any(|seen| seen == state), "no {state} in {seen:?}");
    }
    assert_eq!(judge(&rig.trace()).problems, Vec::<String>::new());
    Vnfm::stop(&rig.at("/v1"), &rig.cloud);
    assert_eq!(get(&rig.at("/v1/instance_group/doctor-ha")).status, 404);
}
