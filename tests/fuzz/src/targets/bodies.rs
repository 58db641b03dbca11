//! What managers and administrators write, read: what is taken means what it said, and what is refused is refused by
//! name.
//!
//! The first line of an input says what the rest is: `session`, `instance ID`, `group ID`, `reply`, `reply INSTANCE`,
//! `literal`, `time` or `event`.

use std::collections::BTreeMap;

use fenix_core::ask::{Ask, AskKind, AskStatus, Reply};
use fenix_core::constraint::Constraint;
use fenix_core::id::{AskId, InstanceId, MessageId, SubscriptionId};
use fenix_core::message::{Content, Format, Message, Secret, Subscription};
use fenix_core::policy::Ceilings;
use fenix_core::policy::Terms;
use fenix_core::record::{Body, Record};
use fenix_core::session::{Pin, Plan};
use fenix_core::time::{Millis, Time};
use fenix_engine::event::Envelope;
use fenix_packages::policy::{Policy, Proof};
use fenix_server::plugins::Catalogue;
use fenix_server::vnfm::{event, literal};
use fenix_server::wire::payload::Base;
use fenix_server::wire::reply::Answered;
use fenix_server::wire::session::{Invalid, Known, Wanted};
use fenix_server::wire::{aodh, cloudevents, constraint, python, reply, session, time};
use fenix_store::codec::{decode, encode};
use serde_json::{Map, Value, json};

use super::is_told;

/// Every word that may stand in a refusal of a session, since it is a key of its body.
const SESSION_WORDS: [&str; 12] = [
    "state",
    "maintenance_at",
    "metadata",
    "workflow",
    "hosts",
    "actions",
    "action",
    "download",
    "policies",
    "policy",
    "terms",
    "window_end",
];

/// Largest record that a session's plan may make: far below what the journal takes, since it is read at every start.
const MAX_PLAN: usize = 16 * 1024;

/// Reads the input as its first line says.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (kind, id) = head.split_once(' ').unwrap_or((head, ""));
    match kind {
        "literal" => a_literal(rest),
        "time" => a_time(rest),
        _ => {}
    }
    let Ok(value) = serde_json::from_str::<Value>(rest) else { return };
    if kind == "event" {
        an_event(&value);
    }
    let Value::Object(body) = value else { return };
    match kind {
        "session" => a_session(&body),
        "instance" => a_constraint(id, &body, constraint::instance),
        "group" => a_constraint(id, &body, constraint::group),
        "reply" => a_reply(&body, (!id.is_empty()).then(|| InstanceId::from(id))),
        _ => {}
    }
}

fn length(body: &Map<String, Value>) -> usize {
    Value::Object(body.clone()).to_string().len()
}

fn a_session(body: &Map<String, Value>) {
    let pin =
        |name: &str| Pin { name: name.into(), version: "0.1.0".into(), digest: "d".into(), undoes: false };
    let catalogue = Catalogue::new([pin("default")], [pin("noop"), pin("reboot")]);
    let allow = vec!["https://repo.example/".parse().expect("a place")];
    let policy = Policy { allow, folder: Some("packages".into()), proof: Proof::None, ..Policy::default() };
    let known = Known { catalogue: &catalogue, defaults: &Terms::default(), packages: &policy };
    let Wanted { plan, hosts, packages, warnings } = match session::read(body, known) {
        Ok(wanted) => wanted,
        Err(Invalid { message, hint }) => {
            is_told(&message, length(body));
            is_told(hint.as_deref().unwrap_or("none"), length(body));
            return assert!(SESSION_WORDS.iter().any(|word| message.contains(word)), "{message}");
        }
    };
    let stated = body.get("hosts").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(hosts.len(), stated, "other hosts than were named");
    assert!(warnings.iter().all(|warning| warning.contains("was ignored")));
    let wanted = packages.into_iter().map(|package| Body::PackageWanted { package });
    for body in wanted.chain([Body::Opened { plan: plan.clone(), rules: 1 }]) {
        let record = Record { seq: 1, at: Time(0), session: Some("s".into()), body };
        let frame = encode(&record).expect("it can be stored");
        assert!(frame.len() <= MAX_PLAN, "a record of {} bytes", frame.len());
        assert_eq!(decode(&frame).expect("and read again"), record);
    }
    managers_read(&plan);
}

/// Managers read out of both kinds of messages what the session said.
fn managers_read(plan: &Plan) {
    let metadata: Value = serde_json::from_str(&plan.metadata).expect("metadata is JSON");
    let base = Base::new("http://127.0.0.1:12347").expect("a good address");
    for kind in AskKind::ALL {
        let envelope = envelope(kind, plan);
        for body in [aodh::body(&base, &envelope), cloudevents::body(&base, &envelope)] {
            let read = event::read(&body).expect("managers can read what is sent");
            assert_eq!(read.traits["metadata"], metadata, "{body}");
            assert_eq!(read.traits["state"], kind.wire());
        }
    }
}

fn envelope(kind: AskKind, plan: &Plan) -> Envelope {
    let at = plan.maintenance_at;
    let ask = Ask {
        id: AskId(1),
        project: "p".into(),
        kind,
        round: 1,
        instances: vec!["i".into()],
        host: None,
        opened_at: at,
        window: Millis::from_secs(1),
        delivered_at: None,
        reply_by: at,
        chosen: BTreeMap::new(),
        status: AskStatus::Open,
        ended_at: None,
    };
    let to = SubscriptionId::from("sub");
    Envelope {
        session: "s".into(),
        message: Message {
            id: MessageId(1),
            to: to.clone(),
            content: Content::Ask(ask.id),
            queued_at: at,
            not_before: at,
            valid_until: at,
        },
        subscription: Subscription {
            id: to,
            project: "p".into(),
            event_type: "*".into(),
            url: "http://127.0.0.1:1/".into(),
            format: Format::CloudEvents { secret: Secret::new("0123456789abcdef") },
        },
        ask: Some(ask),
        reply_at: Some(at),
        actions_at: Some(at),
        metadata: plan.metadata.clone(),
    }
}

type ReadConstraint = fn(&str, &Map<String, Value>) -> Result<Constraint, String>;

/// What is shown means what was stated, and says it in the plainest form.
fn a_constraint(id: &str, body: &Map<String, Value>, read: ReadConstraint) {
    let stated = match read(id, body) {
        Ok(stated) => stated,
        Err(why) => {
            is_told(&why, length(body) + id.len());
            return assert!(why.contains('`') || why.contains("the id in the path"), "{why}");
        }
    };
    let shown = constraint::view(&stated, &Ceilings::default());
    let again =
        read(id, shown.as_object().expect("an object is shown")).expect("what is shown can be stated");
    assert_eq!(again, stated);
    assert_eq!(constraint::view(&again, &Ceilings::default()), shown);
}

fn a_reply(body: &Map<String, Value>, instance: Option<InstanceId>) {
    let answer = match reply::read(body, instance.as_ref()) {
        Ok(Answered::Question(answer)) => answer,
        Ok(Answered::Notice) => return,
        Err(why) => {
            is_told(&why, length(body));
            return assert!(why.contains('`'), "{why}");
        }
    };
    let Reply { kind, agrees, actions } = &answer;
    let said = if *agrees { "ACK" } else { "NACK" };
    let mut plain = json!({"state": format!("{said}_{}", kind.wire())});
    for (named, how) in actions {
        match named.as_str() {
            "" => plain["instance_action"] = json!(how.wire()),
            named => plain["instance_actions"][named] = json!(how.wire()),
        }
    }
    if kind.wants_actions() && *agrees && actions.is_empty() && instance.is_none() {
        plain["instance_actions"] = json!({});
    }
    // An instance without a name is not one; beside others there is no way to say the same plainly.
    if actions.len() > 1 && actions.contains_key(&InstanceId::from("")) {
        return;
    }
    let plain = plain.as_object().expect("an object");
    assert_eq!(reply::read(plain, instance.as_ref()), Ok(Answered::Question(answer)), "{plain:?}");
}

fn a_literal(text: &str) {
    let Some(value) = literal::parse(text) else { return };
    let written = python::repr(&value);
    assert_eq!(literal::parse(&written), Some(value), "{written}");
}

fn a_time(text: &str) {
    let at = match time::parse(text) {
        Ok(at) => at,
        Err(error) => return is_told(&error.to_string(), text.len()),
    };
    let seconds = Time(at.0 / 1000 * 1000);
    for written in [time::spaced(at), time::iso(at), format!("{}Z", time::iso(at))] {
        assert_eq!(time::parse(&written), Ok(seconds), "{written}");
    }
}

/// A manager reads any body or refuses it.
fn an_event(body: &Value) {
    match event::read(body) {
        Ok(event) => {
            event.key();
            assert!(event.traits.is_object(), "{event:?}");
        }
        Err(why) => is_told(&why.to_string(), 0),
    }
}
