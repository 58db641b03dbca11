//! A message as the body that Aodh would POST for an event alarm (contract 2.4).
//!
//! A manager made for Aodh cannot tell the difference: traits are three-element lists of name, type code and value,
//! and lists and maps among the values are Python text.

use fenix_engine::event::Envelope;
use serde_json::{Value, json};

use super::payload::{Base, Field, message_uuid, payload, wire_state};
use super::{python, time};

/// Ceilometer's trait type codes.
mod code {
    pub(super) const TEXT: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const DATETIME: u8 = 4;
}

/// What the body is.
pub const CONTENT_TYPE: &str = "application/json";

/// The body to POST to the subscriber.
pub fn body(base: &Base, envelope: &Envelope) -> Value {
    let id = message_uuid(&envelope.session, envelope.message.id);
    let traits: Vec<Value> =
        payload(base, envelope).into_iter().map(|(name, field)| trait_of(name, &field)).collect();
    let event_type = envelope.message.content.event_type();
    json!({
        "alarm_name": format!("fenix_{}", envelope.subscription.id),
        "alarm_id": envelope.subscription.id.as_str(),
        "severity": "moderate",
        "previous": "insufficient data",
        "current": "alarm",
        "reason": format!("{event_type} {} of session {}", wire_state(envelope), envelope.session),
        "reason_data": {
            "type": "event",
            "event": {
                "message_id": id.to_string(),
                "event_type": event_type,
                "generated": time::iso(envelope.message.queued_at),
                "traits": traits,
                "raw": {},
                "message_signature": null,
            },
        },
    })
}

fn trait_of(name: &str, field: &Field) -> Value {
    match field {
        Field::Text(value) => json!([name, code::TEXT, python::text(value)]),
        Field::Int(number) => json!([name, code::INT, number]),
        Field::Time(at) => json!([name, code::DATETIME, time::iso(*at)]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fenix_core::ask::{Ask, AskKind, AskStatus};
    use fenix_core::id::{AskId, HostId, InstanceId, MessageId, SubscriptionId};
    use fenix_core::message::{Content, Format, Message, Subscription};
    use fenix_core::session::Phase;
    use fenix_core::time::{Millis, Time};

    use super::*;

    const AT: Time = Time(1_793_700_030_000);

    fn ask(kind: AskKind) -> Ask {
        Ask {
            id: AskId(1),
            project: "p1".into(),
            kind,
            round: 1,
            instances: vec!["i1".into()],
            host: kind.wants_actions().then(|| HostId::from("h1")),
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
        let wants_reply = ask.is_some();
        Envelope {
            session: "0f4d1c9e-0000-4000-8000-000000000001".into(),
            message: Message {
                id: MessageId(7),
                to: SubscriptionId::from("sub"),
                content,
                queued_at: AT,
                not_before: AT,
                valid_until: AT,
            },
            subscription: Subscription {
                id: SubscriptionId::from("sub"),
                project: "p1".into(),
                event_type: "*".into(),
                url: "http://127.0.0.1:1/maintenance".into(),
                format: Format::Aodh,
            },
            ask,
            reply_at: wants_reply.then_some(AT),
            actions_at: wants_reply.then_some(AT),
            metadata: r#"{"openstack_version":"Train","live":true,"none":null}"#.into(),
        }
    }

    fn traits(envelope: &Envelope) -> BTreeMap<String, (u64, Value)> {
        let body = body(&Base::new("http://127.0.0.1:12347").unwrap(), envelope);
        let traits = body["reason_data"]["event"]["traits"].as_array().unwrap().clone();
        let entry = |t: &Value| (t[0].as_str().unwrap().to_owned(), (t[1].as_u64().unwrap(), t[2].clone()));
        traits.iter().map(entry).collect()
    }

    const URL: &str = "http://127.0.0.1:12347/v1/maintenance/0f4d1c9e-0000-4000-8000-000000000001/p1";

    #[test]
    fn a_question_holds_what_tacker_and_doctor_look_for() {
        for kind in AskKind::ALL {
            let traits = traits(&envelope(Content::Ask(AskId(1)), Some(ask(kind))));
            let get = |name: &str| traits[name].clone();
            assert_eq!(get("state"), (1, json!(kind.wire())));
            assert_eq!(get("session_id").0, 1);
            assert_eq!(get("project_id"), (1, json!("p1")));
            assert_eq!(get("instance_ids"), (1, json!(URL)));
            assert_eq!(get("reply_url"), (1, json!(URL)));
            assert_eq!(
                get("metadata"),
                (1, json!("{'live': True, 'none': None, 'openstack_version': 'Train'}"))
            );
            assert_eq!(get("actions_at"), (4, json!("2026-11-03T10:00:30")));
            assert_eq!(get("reply_at"), (4, json!("2026-11-03T10:00:30")));
            let allowed =
                if kind.wants_actions() { "['MIGRATE', 'LIVE_MIGRATE', 'OWN_ACTION']" } else { "[]" };
            assert_eq!(get("allowed_actions"), (1, json!(allowed)));
        }
    }

    #[test]
    fn a_notice_about_an_instance_lists_it_and_names_no_times() {
        let traits = traits(&envelope(Content::ActionDone(InstanceId::from("i1")), None));
        assert_eq!(traits["state"].1, json!("INSTANCE_ACTION_DONE"));
        assert_eq!(traits["instance_ids"].1, json!("['i1']"));
        assert_eq!(traits["metadata"].1, json!("{}"));
        assert_eq!(traits["reply_url"].1, json!(URL));
        assert!(!traits.contains_key("actions_at") && !traits.contains_key("reply_at"));
    }

    #[test]
    fn hosts_and_progress_are_told_to_whoever_listens() {
        let host = |in_maintenance| {
            traits(&envelope(Content::Host { host: "h1".into(), in_maintenance }, None))["state"].clone()
        };
        assert_eq!(host(true), (1, json!("IN_MAINTENANCE")));
        assert_eq!(host(false), (1, json!("MAINTENANCE_COMPLETE")));
        let progress = traits(&envelope(Content::Session { state: Phase::ScaleIn, percent: 42 }, None));
        assert_eq!(progress["percent_done"], (2, json!(42)));
        assert_eq!(progress["state"], (1, json!("SCALE_IN")));
    }
}
