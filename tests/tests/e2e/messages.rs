//! Every message in these tests is held against the published contract: docs/MESSAGES.md and its schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use fenix_core::ask::{Ask, AskKind, AskStatus};
use fenix_core::id::{AskId, MessageId};
use fenix_core::message::{Content, Format, Message, Subscription};
use fenix_core::session::Phase;
use fenix_core::time::{Millis, Time};
use fenix_engine::event::Envelope;
use fenix_server::vnfm::event;
use fenix_server::wire::payload::Base;
use fenix_server::wire::{aodh, cloudevents};
use serde_json::{Value, json};

/// The schemas by name, compiled.
struct Forms {
    all: Schemas,
    by_name: BTreeMap<String, (SchemaIndex, Value)>,
}

impl Forms {
    fn read() -> Forms {
        let (mut all, mut by_name) = (Schemas::new(), BTreeMap::new());
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        for entry in std::fs::read_dir(docs().join("schemas")).unwrap() {
            let path = entry.unwrap().path();
            let schema: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let at = format!("http://fenix.invalid/{name}.json");
            compiler.add_resource(&at, schema.clone()).unwrap();
            let compiled = compiler.compile(&at, &mut all).unwrap_or_else(|why| panic!("{name}: {why:#}"));
            by_name.insert(name, (compiled, schema));
        }
        Forms { all, by_name }
    }

    /// Why a value has not this form.
    fn fits(&self, name: &str, value: &Value) -> Result<(), String> {
        let (schema, _) = self.by_name.get(name).unwrap_or_else(|| panic!("there is no schema {name}"));
        self.all.validate(value, *schema).map_err(|why| format!("{name}: {why:#}\n{value}"))
    }

    /// The same for something that we send: it has no field that is not published.
    fn is_published(&self, name: &str, value: &Value) -> Result<(), String> {
        self.fits(name, value)?;
        let known = self.by_name[name].1["properties"].as_object().unwrap();
        let unknown = value.as_object().unwrap().keys().find(|key| !known.contains_key(*key));
        unknown.map_or(Ok(()), |key| Err(format!("{name}: the field {key} is not published\n{value}")))
    }
}

thread_local! {
    static FORMS: Forms = Forms::read();
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

/// The name of the form that a message's fields must have.
fn form_of(event_type: &str, fields: &Value) -> &'static str {
    match event_type {
        "maintenance.scheduled" if fields["state"].as_str().unwrap().starts_with("INSTANCE_ACTION") => {
            "notice"
        }
        "maintenance.scheduled" => "question",
        "maintenance.host" => "host",
        "maintenance.session" => "session",
        other => panic!("{other} is not published"),
    }
}

/// Holds a message, and the fields in it, against the contract.
#[track_caller]
pub(crate) fn check_message(body: &Value) {
    let format = if body["specversion"].is_null() { "aodh" } else { "cloudevents" };
    let event = event::read(body).unwrap();
    let form = form_of(&event.event_type, &event.traits);
    let fits = |forms: &Forms| {
        forms.is_published(format, body)?;
        forms.is_published(form, &event.traits)
    };
    FORMS.with(fits).unwrap_or_else(|why| panic!("{why}"));
}

/// Holds an answer against the contract.
#[track_caller]
pub(crate) fn check_reply(body: &Value) {
    FORMS.with(|forms| forms.fits("reply", body)).unwrap_or_else(|why| panic!("{why}"));
}

const AT: Time = Time(1_793_700_030_000);

const HOST: &str = "compute-2";

fn ask(kind: AskKind) -> Ask {
    Ask {
        id: AskId(4),
        project: "doctor".into(),
        kind,
        round: 1,
        instances: vec!["i1".into(), "i2".into()],
        host: kind.wants_actions().then(|| HOST.into()),
        opened_at: AT,
        window: Millis::from_secs(40),
        delivered_at: None,
        reply_by: AT,
        chosen: BTreeMap::new(),
        status: AskStatus::Open,
        ended_at: None,
    }
}

fn envelope(content: Content, ask: Option<Ask>) -> Envelope {
    let until = ask.as_ref().map(|ask| AT + ask.window);
    Envelope {
        session: "0f4d1c9e-0000-4000-8000-000000000001".into(),
        message: Message {
            id: MessageId(7),
            to: "vnfm-doctor".into(),
            content,
            queued_at: AT,
            not_before: AT,
            valid_until: AT,
        },
        subscription: Subscription {
            id: "vnfm-doctor".into(),
            project: "doctor".into(),
            event_type: "maintenance.*".into(),
            url: "http://127.0.0.1:1/maintenance".into(),
            format: Format::Aodh,
        },
        ask,
        reply_at: until,
        actions_at: until,
        metadata: r#"{"openstack_version":"Train"}"#.into(),
    }
}

fn base() -> Base {
    Base::new("http://127.0.0.1:12347").unwrap()
}

/// One message of every kind that there is.
fn every_message() -> Vec<Envelope> {
    let asked = AskKind::ALL.into_iter().map(|kind| envelope(Content::Ask(AskId(4)), Some(ask(kind))));
    let about = AskKind::ALL.into_iter().filter(|kind| kind.wants_actions());
    let about = about.map(|kind| envelope(Content::AskInstance(AskId(4), "i1".into()), Some(ask(kind))));
    let phases = [
        Phase::Maintenance,
        Phase::ScaleIn,
        Phase::PrepareMaintenance,
        Phase::StartMaintenance,
        Phase::PlannedMaintenance,
        Phase::MaintenanceComplete,
        Phase::MaintenanceDone,
        Phase::MaintenanceFailed,
    ];
    let told = [Content::ActionDone("i1".into()), Content::ActionFallback("i1".into())]
        .into_iter()
        .chain([true, false].map(|in_maintenance| Content::Host { host: HOST.into(), in_maintenance }))
        .chain(phases.map(|state| Content::Session { state, percent: 42 }));
    asked.chain(about).chain(told.map(|content| envelope(content, None))).collect()
}

#[test]
fn every_message_that_there_is_has_its_published_form() {
    for envelope in every_message() {
        check_message(&aodh::body(&base(), &envelope));
        check_message(&cloudevents::body(&base(), &envelope));
    }
}

#[test]
fn what_has_another_form_is_noticed() {
    let message = envelope(Content::Ask(AskId(4)), Some(ask(AskKind::PlannedMaintenance)));
    let good = event::read(&aodh::body(&base(), &message)).unwrap().traits;
    let check = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(FORMS.with(|forms| forms.is_published("question", &bad)).is_err(), "{bad}");
    };
    check("state", json!("LUNCH"));
    check("allowed_actions", json!(["LIVE_MIGRATE"]));
    check("instance_ids", json!(["i1", "i2"]));
    check("reply_at", json!("tomorrow"));
    check("reply_url", json!("http://[::1]/"));
    check("round", json!(0));
    check("lunch", json!(true));
    let reply = |body: Value| FORMS.with(|forms| forms.fits("reply", &body)).is_ok();
    assert!(reply(json!({"state": "ACK_MAINTENANCE", "session_id": "s"})));
    assert!(!reply(json!({"state": "ACK_LUNCH"})));
    assert!(!reply(json!({"state": "ACK_PREPARE_MAINTENANCE"})));
    assert!(!reply(json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_actions": {"i": "EXPLODE"}})));
}

/// The fenced blocks of MESSAGES.md in JSON: the name of the form that stands behind `json`, and the text.
fn examples() -> Vec<(String, Value)> {
    let page = std::fs::read_to_string(docs().join("MESSAGES.md")).unwrap();
    let blocks = page.split("\n```json").skip(1);
    let read = |block: &str| {
        let (form, rest) = block.split_once('\n').unwrap();
        let text = rest.split("\n```").next().unwrap();
        let value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
        (form.trim().to_owned(), value)
    };
    blocks.map(read).collect()
}

#[test]
fn the_examples_on_the_page_have_their_published_forms() {
    let examples = examples();
    let shown: BTreeSet<String> = examples.iter().map(|(form, _)| form.clone()).collect();
    let there: BTreeSet<String> = FORMS.with(|forms| forms.by_name.keys().cloned().collect());
    assert!(there.is_subset(&shown), "every form has an example: {:?}", there.difference(&shown));
    for (form, value) in examples.iter().filter(|(form, _)| !form.is_empty()) {
        FORMS.with(|forms| forms.is_published(form, value)).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn the_examples_on_the_page_are_what_is_really_sent() {
    let examples = examples();
    let shown =
        |form: &str| examples.iter().find(|(name, _)| name == form).map(|(_, value)| value.clone()).unwrap();
    let question = envelope(Content::Ask(AskId(4)), Some(ask(AskKind::PlannedMaintenance)));
    let body = aodh::body(&base(), &question);
    assert_eq!(body, shown("aodh"));
    assert_eq!(event::read(&body).unwrap().traits, shown("question"));
    let moved = envelope(Content::ActionDone("5fe09b54-0000-4000-8000-000000000001".into()), None);
    assert_eq!(cloudevents::body(&base(), &moved), shown("cloudevents"));
}

#[test]
fn the_asyncapi_file_refers_to_what_is_there_and_leaves_nothing_out() {
    let text = std::fs::read_to_string(docs().join("asyncapi.yaml")).unwrap();
    let api: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(api["asyncapi"], "3.0.0");
    let mut schemas = BTreeSet::new();
    for target in references(&api) {
        match target.strip_prefix('#') {
            Some(pointer) => assert!(api.pointer(pointer).is_some(), "{target}"),
            None => {
                assert!(docs().join(&target).is_file(), "{target}");
                schemas.insert(target.trim_start_matches("schemas/").trim_end_matches(".json").to_owned());
            }
        }
    }
    let fields = FORMS.with(|forms| forms.by_name.keys().cloned().collect::<BTreeSet<_>>());
    let formats = BTreeSet::from(["aodh", "cloudevents"].map(ToOwned::to_owned));
    assert_eq!(schemas, &fields - &formats);
    for event_type in ["maintenance.scheduled", "maintenance.host", "maintenance.session"] {
        let channels = api["channels"].as_object().unwrap();
        assert!(channels.values().any(|channel| channel["title"] == event_type), "{event_type}");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, entry)| match entry.as_str() {
                Some(target) if key == "$ref" => vec![target.to_owned()],
                _ => references(entry),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
