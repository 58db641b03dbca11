//! The 21 rules that keep every known client working (contract 0), a line each in one table. Each becomes a test that is
//! named after its rule and has a cloud and a server of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::alarm::{Inbox, Traits};
use crate::http::{Reply, call, call_json, get};
use crate::process::run;
use crate::rig::{PROJECT, Rig, sample_body, small_cloud, wait_for, wait_for_end};

/// A cloud, a server, and what clients do with them.
struct Bench {
    rig: Rig,
}

/// Gives a rule its bench.
fn check(rule: fn(&Bench)) {
    rule(&Bench { rig: Rig::start(&small_cloud()) });
}

macro_rules! rules {
    ($($name:ident: $rule:expr,)*) => {$(
        #[test]
        fn $name() {
            check($rule);
        }
    )*};
}

rules! {
    rule_01_every_good_call_is_answered_200: every_good_call_is_answered_200,
    rule_02_unknown_keys_in_replies_are_ignored: unknown_keys_in_replies_are_ignored,
    rule_03_replies_may_be_repeated_and_late: replies_may_be_repeated_and_late,
    rule_04_a_mere_notice_may_be_answered: a_mere_notice_may_be_answered,
    rule_05_a_reply_about_an_instance_that_is_gone_is_taken: a_reply_about_a_gone_instance_is_taken,
    rule_06_constraints_come_and_go_in_any_order: constraints_come_and_go_in_any_order,
    rule_07_numbers_in_texts_are_numbers: numbers_in_texts_are_numbers,
    rule_08_a_near_start_shortens_the_window_and_fails_nothing: a_near_start_shortens_the_window,
    rule_09_the_event_is_called_scheduled: |bench| {
        for event in bench.a_whole_session(&json!({})) {
            assert_eq!(event["event_type"], "maintenance.scheduled");
        }
    },
    rule_10_events_hold_what_clients_look_for: events_hold_what_clients_look_for,
    rule_11_questions_about_instances_have_the_form_of_their_kind: questions_have_their_form,
    rule_12_other_questions_name_the_projects_url: other_questions_name_the_projects_url,
    rule_13_addresses_in_events_hold_no_brackets: addresses_hold_no_brackets,
    rule_14_every_value_fits_into_255_characters: every_value_fits,
    rule_15_lists_and_maps_are_python_text: lists_and_maps_are_python_text,
    rule_16_the_endpoint_ends_in_v1: the_endpoint_ends_in_v1,
    rule_17_events_name_the_project_by_its_id: events_name_the_project_by_its_id,
    rule_18_the_list_has_both_its_names: |bench| {
        let id = bench.begin(&["compute-1"]).rsplit('/').next().unwrap().to_owned();
        let list = get(&bench.rig.at("/v1/maintenance")).good();
        assert_eq!((&list["sessions"], &list["session_id"]), (&json!([id]), &json!([id])));
    },
    rule_19_a_slash_behind_a_path_changes_nothing: a_slash_behind_changes_nothing,
    rule_20_a_session_can_be_deleted_in_every_state: a_session_can_be_deleted_in_every_state,
    rule_21_clients_hear_only_states_that_they_know: clients_hear_only_known_states,
}

impl Bench {
    fn begin(&self, hosts: &[&str]) -> String {
        self.rig.begin(&sample_body(hosts))
    }

    /// A session on one host, and the first question with its inbox.
    fn asked(&self) -> (String, Inbox, Traits) {
        let inbox = Inbox::open();
        self.rig.subscribe(&inbox.url);
        let session = self.begin(&["compute-1"]);
        let event = inbox.next();
        (session, inbox, event)
    }

    fn constraint(&self, path: &str, body: &Value) -> Reply {
        call_json("PUT", &self.rig.at(path), body)
    }

    /// Everything that a helpful manager is told in a session over one host.
    fn a_whole_session(&self, terms: &Value) -> Vec<Traits> {
        let inbox = Inbox::open();
        self.rig.subscribe(&inbox.url);
        // It takes its time: a question that is answered is no longer sent to those who have not heard it yet.
        let _manager = self.rig.manager(&["--mode", "slow", "--delay", "1"]);
        let mut body = sample_body(&["compute-1"]);
        body["terms"] = terms.clone();
        let session = self.rig.begin(&body);
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Traits| event["state"] != "MAINTENANCE_COMPLETE") {
            events.push(inbox.next());
        }
        assert_eq!(wait_for_end(&session)["state"], "MAINTENANCE_DONE");
        events
    }
}

/// True for a question that wants an action for each instance.
fn wants_actions(event: &Traits) -> bool {
    ["PREPARE_MAINTENANCE", "PLANNED_MAINTENANCE"].contains(&event["state"].as_str().unwrap())
}

fn every_good_call_is_answered_200(bench: &Bench) {
    let (session, _inbox, event) = bench.asked();
    let reply_url = event["reply_url"].as_str().unwrap();
    let group = json!({"group_id": "g", "project_id": "p", "group_name": "n", "anti_affinity_group": true,
        "max_instances_per_host": 1, "max_impacted_members": 1, "recovery_time": 4, "resource_mitigation": true});
    let instance = json!({"instance_id": "i", "project_id": "p", "group_id": "g", "instance_name": "n",
        "max_interruption_time": 120, "migration_type": "MIGRATE", "resource_mitigation": true, "lead_time": 40});
    for (method, url, body) in [
        ("PUT", bench.rig.at("/v1/instance_group/g"), group.clone()),
        ("PUT", bench.rig.at("/v1/instance/i"), instance.clone()),
        ("GET", bench.rig.at("/v1/instance/i"), json!({})),
        ("GET", bench.rig.at("/v1/instance_group/g"), json!({})),
        ("DELETE", bench.rig.at("/v1/instance/i"), json!({})),
        ("DELETE", bench.rig.at("/v1/instance_group/g"), json!({})),
        ("GET", reply_url.to_owned(), json!({})),
        ("PUT", reply_url.to_owned(), json!({"state": "ACK_MAINTENANCE"})),
        ("PUT", format!("{reply_url}/i"), json!({"state": "ACK_PREPARE_MAINTENANCE"})),
        ("GET", session.clone(), json!({})),
        ("GET", format!("{session}/detail"), json!({})),
        ("PUT", session.clone(), json!({"state": "MAINTENANCE"})),
        ("DELETE", session.clone(), json!({})),
        ("GET", bench.rig.at("/v1/maintenance"), json!({})),
    ] {
        let reply = call_json(method, &url, &body);
        assert_eq!(reply.status, 200, "{method} {url}: {}", reply.body);
    }
}

fn unknown_keys_in_replies_are_ignored(bench: &Bench) {
    let (session, _inbox, event) = bench.asked();
    // Tacker names all its instances, however many they are.
    let ids = vec!["70d1c0de-0f5c-4b7c-9d43-9f0b8a2f9f10"; 50_000];
    let reply = json!({"session_id": "another", "state": "ACK_MAINTENANCE", "instance_ids": ids,
        "more": {"a": [null]}});
    call_json("PUT", event["reply_url"].as_str().unwrap(), &reply).good();
    wait_for(&session, |news| news["state"] != "MAINTENANCE");
}

fn replies_may_be_repeated_and_late(bench: &Bench) {
    let (session, inbox, event) = bench.asked();
    let url = event["reply_url"].as_str().unwrap();
    let answer = |state: &str| call_json("PUT", url, &json!({ "state": state })).good();
    answer("ACK_SCALE_IN");
    answer("ACK_MAINTENANCE");
    answer("ACK_MAINTENANCE");
    // Nothing was taken away, so it is asked again; the doubles of the first round do not answer the second one.
    assert_eq!(inbox.next()["state"], "SCALE_IN");
    answer("ACK_SCALE_IN");
    answer("ACK_SCALE_IN");
    let second = inbox.next();
    assert_eq!((second["state"].as_str(), second["round"].as_u64()), (Some("SCALE_IN"), Some(2)));
    let asks = get(&format!("{session}/detail")).good()["asks"].clone();
    let second = asks.as_array().unwrap().iter().find(|ask| ask["round"] == 2).unwrap();
    assert_eq!(second["status"], "open", "{asks}");
    // A reply that names its question is for that one only, however late it is.
    call_json("PUT", url, &json!({"state": "ACK_SCALE_IN", "ask_id": 1})).good();
    let asks = get(&format!("{session}/detail")).good()["asks"].clone();
    assert_eq!(asks[2]["status"], "open", "{asks}");

    call("DELETE", &session, b"").good();
    while inbox.next()["state"] != "MAINTENANCE_COMPLETE" {}
    answer("ACK_MAINTENANCE_COMPLETE");
    let mut from = 0;
    loop {
        let news = get(&format!("{session}/events?from={from}&wait=5"));
        if news.status == 404 {
            break;
        }
        from = news.good()["next"].as_u64().unwrap();
    }
    answer("ACK_MAINTENANCE_COMPLETE");
    let never = url.replace("/v1/maintenance/", "/v1/maintenance/0");
    assert_eq!(call_json("PUT", &never, &json!({"state": "ACK_MAINTENANCE"})).status, 404);
}

fn a_mere_notice_may_be_answered(bench: &Bench) {
    let (_session, _inbox, event) = bench.asked();
    let url = event["reply_url"].as_str().unwrap();
    for state in ["ACK_INSTANCE_ACTION_DONE", "NACK_INSTANCE_ACTION_DONE", "ACK_INSTANCE_ACTION_FALLBACK"] {
        call_json("PUT", url, &json!({ "state": state })).good();
        call_json("PUT", &format!("{url}/i"), &json!({ "state": state })).good();
    }
}

fn a_reply_about_a_gone_instance_is_taken(bench: &Bench) {
    let (_session, _inbox, event) = bench.asked();
    let url = event["reply_url"].as_str().unwrap();
    let gone = bench.rig.cloud.instances(PROJECT).remove(0);
    bench.rig.cloud.delete(&gone);
    for instance in [gone.id.as_str(), "never-was"] {
        for body in [
            json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_action": "OWN_ACTION", "session_id": "s"}),
            json!({"state": "ACK_PLANNED_MAINTENANCE"}),
            json!({"state": "NACK_PLANNED_MAINTENANCE"}),
        ] {
            call_json("PUT", &format!("{url}/{instance}"), &body).good();
        }
    }
}

fn constraints_come_and_go_in_any_order(bench: &Bench) {
    let instance = |id: &str| json!({"instance_id": id, "project_id": "p", "group_id": "g"});
    let at = |path: &str| bench.rig.at(path);
    call("DELETE", &at("/v1/instance/never-was"), b"").good();
    call("DELETE", &at("/v1/instance_group/never-was"), b"").good();
    // All at once, as Tacker does: members before their group, the group before its members.
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (url, body) = (at(&format!("/v1/instance/i{n}")), instance(&format!("i{n}")));
            scope.spawn(move || call_json("PUT", &url, &body).good());
        }
        scope.spawn(|| {
            call_json("PUT", &at("/v1/instance_group/g"), &json!({"group_id": "g", "project_id": "p"})).good()
        });
    });
    assert_eq!(get(&at("/v1/instance/i7")).good()["group_id"], "g");
    call("DELETE", &at("/v1/instance_group/g"), b"").good();
    assert_eq!(get(&at("/v1/instance_group/g")).status, 404);
    assert_eq!(get(&at("/v1/instance/i7")).good()["group_id"], "g");
    call("DELETE", &at("/v1/instance/i7"), b"").good();
    call("DELETE", &at("/v1/instance/i7"), b"").good();
    assert_eq!(get(&at("/v1/instance/i7")).status, 404);
}

fn numbers_in_texts_are_numbers(bench: &Bench) {
    let tackers = json!({"instance_id": "i", "project_id": "p", "group_id": "g", "instance_name": "VDU1",
        "max_interruption_time": "120,", "migration_type": "MIGRATE", "resource_mitigation": "True,", "lead_time": "60,"});
    let stored = bench.constraint("/v1/instance/i", &tackers).good();
    assert_eq!((&stored["max_interruption_time"], &stored["lead_time"]), (&json!(120), &json!(60)));
    assert_eq!(stored["resource_mitigation"], true);
    let group = json!({"group_id": "g", "project_id": "p", "group_name": "VDU", "anti_affinity_group": "False,",
        "max_instances_per_host": "0,", "max_impacted_members": "1,", "recovery_time": "60,"});
    let stored = bench.constraint("/v1/instance_group/g", &group).good();
    assert_eq!(stored["max_impacted_members"], 1);
    assert_eq!(get(&bench.rig.at("/v1/instance_group/g")).good(), stored);
    let wrong = json!({"project_id": "p", "migration_type": "MIGRATION"});
    assert_eq!(bench.constraint("/v1/instance/i", &wrong).status, 422);
}

fn a_near_start_shortens_the_window(bench: &Bench) {
    let inbox = Inbox::open();
    bench.rig.subscribe(&inbox.url);
    let mut body = sample_body(&["compute-1"]);
    body["terms"] = json!({"maintenance_reply": 4000, "min_reply": 20});
    let session = bench.rig.begin(&body);
    let event = inbox.next();
    wait_for(&session, |news| news["lines"].to_string().contains("reached doctor"));
    let ask = &get(&format!("{session}/detail")).good()["asks"][0];
    let blockers = get(&format!("{session}/blockers")).good();
    let left = blockers["blockers"][0]["seconds_left"].as_u64().unwrap();
    assert!((1..=20).contains(&left), "the start is past, so it is the least time: {blockers}");
    assert_eq!(event["reply_at"].as_str().unwrap().len(), 19);
    assert!(ask["reply_by"].as_str() >= event["reply_at"].as_str(), "{ask}");
    call_json("PUT", event["reply_url"].as_str().unwrap(), &json!({"state": "ACK_MAINTENANCE"})).good();
    wait_for(&session, |news| news["state"] == "SCALE_IN");
}

fn events_hold_what_clients_look_for(bench: &Bench) {
    let events = bench.a_whole_session(&json!({}));
    assert!(events.iter().any(wants_actions), "{events:?}");
    for event in &events {
        for key in ["instance_ids", "session_id", "state", "reply_url"] {
            assert!(event.contains_key(key), "{key} is missing: {event:?}");
        }
        if wants_actions(event) {
            let allowed = event["allowed_actions"].as_array().unwrap();
            assert!(allowed.contains(&json!("MIGRATE")), "{event:?}");
        }
    }
}

fn questions_have_their_form(bench: &Bench) {
    let ends_with = |event: &Traits, tail: &str| event["reply_url"].as_str().unwrap().ends_with(tail);
    // As the first Fenix' `default` workflow: about all of a host.
    for event in bench.a_whole_session(&json!({})).iter().filter(|event| wants_actions(event)) {
        assert_eq!(event["instance_ids"], event["reply_url"]);
        assert!(ends_with(event, &format!("/{}/{PROJECT}", event["session_id"].as_str().unwrap())));
    }
    // As its `vnf` workflow: about each instance by itself.
    let other = Rig::start(&small_cloud());
    let events = Bench { rig: other }.a_whole_session(&json!({"ask_per_instance": true}));
    let about: Vec<&Traits> = events.iter().filter(|event| wants_actions(event)).collect();
    assert!(!about.is_empty());
    for event in about {
        let ids = event["instance_ids"].as_array().unwrap();
        assert_eq!(ids.len(), 1, "{event:?}");
        let (session, instance) = (event["session_id"].as_str().unwrap(), ids[0].as_str().unwrap());
        assert!(ends_with(event, &format!("/{session}/{PROJECT}/{instance}")), "{event:?}");
    }
}

fn other_questions_name_the_projects_url(bench: &Bench) {
    for terms in [json!({}), json!({"ask_per_instance": true})] {
        let bench = Bench { rig: Rig::start(&small_cloud()) };
        let mut seen = BTreeSet::new();
        for event in bench.a_whole_session(&terms) {
            let state = event["state"].as_str().unwrap();
            if ["MAINTENANCE", "SCALE_IN", "MAINTENANCE_COMPLETE"].contains(&state) {
                seen.insert(state.to_owned());
                let url = event["instance_ids"].as_str().unwrap();
                assert!(
                    url.ends_with(&format!("/{}/{PROJECT}", event["session_id"].as_str().unwrap())),
                    "{url}"
                );
            }
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    }
    assert_eq!(get(&bench.rig.at("/healthz")).status, 200);
}

fn addresses_hold_no_brackets(bench: &Bench) {
    for event in bench.a_whole_session(&json!({})) {
        let url = event["reply_url"].as_str().unwrap();
        assert!(url.starts_with("http://127.0.0.1:") && !url.contains(['[', '{']), "{url}");
    }
    for url in ["http://[::1]:12347", "http://{host}:12347"] {
        let data = bench.rig.path("never");
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--public-url", url]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

fn every_value_fits(bench: &Bench) {
    let with = |length: usize| {
        let mut body = sample_body(&["compute-1"]);
        body["metadata"] = json!({ "k": "x".repeat(length) });
        bench.rig.post(&body)
    };
    // `{'k': ''}` has nine characters.
    assert_eq!(with(247).status, 422);
    let inbox = Inbox::open();
    bench.rig.subscribe(&inbox.url);
    with(246).good();
    let event = inbox.next();
    for (name, value) in event["raw"].as_object().unwrap() {
        let length = value.as_str().map_or(0, |text| text.chars().count());
        assert!(length <= 255, "{name} has {length} characters");
    }
    assert_eq!(event["metadata"]["k"].as_str().unwrap().len(), 246);
}

fn lists_and_maps_are_python_text(bench: &Bench) {
    let inbox = Inbox::open();
    bench.rig.subscribe(&inbox.url);
    let mut body = sample_body(&["compute-1"]);
    body["metadata"] = json!({"live": true, "none": null, "list": [1, "a"]});
    bench.rig.begin(&body);
    let event = inbox.next();
    assert_eq!(event["raw"]["metadata"], "{'list': [1, 'a'], 'live': True, 'none': None}");
    assert_eq!(event["raw"]["allowed_actions"], "[]");
    let others =
        Bench { rig: Rig::start(&small_cloud()) }.a_whole_session(&json!({"ask_per_instance": true}));
    let about = others.iter().find(|event| wants_actions(event)).unwrap();
    assert_eq!(about["raw"]["allowed_actions"], "['MIGRATE', 'LIVE_MIGRATE', 'OWN_ACTION']");
    let id = about["instance_ids"][0].as_str().unwrap();
    assert_eq!(about["raw"]["instance_ids"], format!("['{id}']"));
}

fn the_endpoint_ends_in_v1(bench: &Bench) {
    // What a service catalogue holds, to which clients append their paths.
    let endpoint = bench.rig.at("/v1");
    let index = get(&endpoint).good();
    assert_eq!(index["maintenance"], format!("{endpoint}/maintenance"));
    let body = json!({"project_id": "p"});
    call_json("PUT", &format!("{endpoint}/instance_group/g"), &body).good();
    call_json("PUT", &format!("{endpoint}/instance/i"), &body).good();
    let (_session, _inbox, event) = bench.asked();
    assert!(event["reply_url"].as_str().unwrap().starts_with(&format!("{endpoint}/maintenance/")));
}

fn events_name_the_project_by_its_id(bench: &Bench) {
    let inbox = Inbox::open();
    bench.rig.listen("all", "maintenance.*", &inbox.url);
    bench.begin(&["compute-1"]);
    let mut types = BTreeSet::new();
    while types.len() < 2 {
        let event = inbox.next();
        assert_eq!(event["project_id"], PROJECT, "{event:?}");
        types.insert(event["event_type"].as_str().unwrap().to_owned());
    }
    assert!(types.contains("maintenance.session"), "{types:?}");
}

fn a_slash_behind_changes_nothing(bench: &Bench) {
    let (session, _inbox, event) = bench.asked();
    let (id, url) = (session.rsplit('/').next().unwrap(), event["reply_url"].as_str().unwrap());
    let instance = get(url).good()["instance_ids"][0].as_str().unwrap().to_owned();
    let description = get(&bench.rig.at("/openapi.json")).good();
    bench.constraint("/v1/instance/x/", &json!({"project_id": "p"})).good();
    bench.constraint("/v1/instance_group/x/", &json!({"project_id": "p"})).good();
    let mut tried = 0;
    for (template, item) in description["paths"].as_object().unwrap() {
        if item["get"].is_null() || template == "/v1/events" {
            continue;
        }
        let names = [
            ("{session}", id),
            ("{project}", PROJECT),
            ("{host}", "compute-1"),
            ("{name}", "default"),
            ("{id}", "test"),
            ("{group}", "x"),
            ("{digest}", &"0".repeat(64)),
        ];
        let about = if template.starts_with("/v1/instance/") { "x" } else { &instance };
        let path = names.iter().fold(template.clone(), |path, (name, value)| path.replace(name, value));
        let at = bench.rig.at(&path.replace("{instance}", about));
        let quick = |slash: &str| {
            if path.ends_with("/events") { format!("{at}{slash}?wait=0") } else { format!("{at}{slash}") }
        };
        let (bare, slashed) = (get(&quick("")), get(&quick("/")));
        assert_eq!((bare.status, &bare.body), (slashed.status, &slashed.body), "{at}");
        // Nobody has signed that address.
        let expected = if template.ends_with("/content") { 403 } else { 200 };
        assert!(bare.status == expected || template.contains("{name}"), "{at}: {}", bare.body);
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
    call_json("PUT", &format!("{url}/"), &json!({"state": "ACK_MAINTENANCE"})).good();
    call("DELETE", &format!("{session}/"), b"").good();
}

fn a_session_can_be_deleted_in_every_state(bench: &Bench) {
    let gone = |session: &str| {
        let mut from = 0;
        loop {
            let news = get(&format!("{session}/events?from={from}&wait=5"));
            if news.status == 404 {
                return;
            }
            from = news.good()["next"].as_u64().unwrap();
        }
    };
    let delete = |session: &str| {
        assert_eq!(call("DELETE", session, b"").good(), json!({}));
        gone(session);
        assert_eq!(call("DELETE", session, b"").good(), json!({}), "again");
    };
    let (asked, inbox, event) = bench.asked();
    delete(&asked);
    assert_eq!(inbox.next()["state"], "MAINTENANCE_COMPLETE");
    let paused = bench.begin(&["compute-1"]);
    call_json("PUT", &paused, &json!({"condition": "paused"})).good();
    delete(&paused);
    let failed = bench.begin(&["compute-1"]);
    while inbox.next()["state"] != "MAINTENANCE" || !event.contains_key("state") {}
    let url = format!("{failed}/{PROJECT}");
    wait_for(&failed, |news| news["lines"].to_string().contains("reached"));
    call_json("PUT", &url, &json!({"state": "NACK_MAINTENANCE"})).good();
    let end = wait_for_end(&failed);
    assert_eq!(end["state"], "MAINTENANCE_FAILED");
    for _ in 0..2 {
        assert_eq!(get(&failed).good()["state"], "MAINTENANCE_FAILED", "until it is deleted");
    }
    delete(&failed);
}

fn clients_hear_only_known_states(bench: &Bench) {
    let known = [
        "MAINTENANCE",
        "SCALE_IN",
        "MAINTENANCE_COMPLETE",
        "PREPARE_MAINTENANCE",
        "PLANNED_MAINTENANCE",
        "INSTANCE_ACTION_DONE",
    ];
    let events = bench.a_whole_session(&json!({}));
    assert!(events.iter().any(|event| event["state"] == "INSTANCE_ACTION_DONE"));
    for event in events {
        assert!(known.contains(&event["state"].as_str().unwrap()), "{event:?}");
    }
}
