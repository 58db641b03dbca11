//! What a play sends: real messages, and ones that are changed on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use fenix_core::ask::{Ask, AskKind, AskStatus};
use fenix_core::id::{AskId, InstanceId, MessageId, SessionId};
use fenix_core::message::{Content, Format, Message, Secret, Subscription};
use fenix_core::time::{Millis, Time};
use fenix_engine::event::Envelope;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::wire::payload::Base;
use crate::wire::{aodh, cloudevents};

/// How a message is changed before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not at all.
    None,
    /// It has a field that nobody has heard of.
    Field,
    /// It has a state that nobody has heard of.
    State,
    /// It is signed with another secret.
    Signature,
}

/// The word for what nobody has heard of.
const NEW: &str = "HOST_ADDED";

/// A question as the engine would put it.
pub(super) fn question(
    to: &Subscription,
    id: u32,
    kind: AskKind,
    round: u32,
    instances: Vec<InstanceId>,
) -> Ask {
    Ask {
        id: AskId(id),
        project: to.project.clone(),
        kind,
        round,
        instances,
        host: None,
        opened_at: Time(0),
        window: Millis(0),
        delivered_at: None,
        reply_by: Time(0),
        chosen: BTreeMap::new(),
        status: AskStatus::Open,
        ended_at: None,
    }
}

/// A message as the engine would send it.
pub(super) fn envelope(
    session: &SessionId,
    to: &Subscription,
    id: u32,
    content: Content,
    ask: Option<Ask>,
    (now, window): (Time, Duration),
) -> Envelope {
    let until = now + Millis(u64::try_from(window.as_millis()).unwrap_or(u64::MAX / 2));
    let by = ask.as_ref().map(|_| until);
    Envelope {
        session: session.clone(),
        message: Message {
            id: MessageId(id),
            to: to.id.clone(),
            content,
            queued_at: now,
            not_before: now,
            valid_until: until,
        },
        subscription: to.clone(),
        ask,
        reply_at: by,
        actions_at: by,
        metadata: r#"{"openstack_release":"conformance"}"#.into(),
    }
}

/// Sends a message, and returns what it was answered with, or why not.
pub(super) async fn send(
    client: &Client,
    base: &Base,
    envelope: &Envelope,
    change: Change,
) -> Result<u16, String> {
    let request = client.post(&envelope.subscription.url);
    let request = match &envelope.subscription.format {
        Format::Aodh => {
            let mut body = aodh::body(base, envelope);
            change_alarm(&mut body, change);
            request.header(CONTENT_TYPE, aodh::CONTENT_TYPE).body(body.to_string())
        }
        Format::CloudEvents { secret } => {
            let mut body = cloudevents::body(base, envelope);
            change_event(&mut body, change);
            let body = body.to_string();
            let other = Secret::new("not the one that was agreed on");
            let secret = if change == Change::Signature { &other } else { secret };
            let signature = cloudevents::signature(secret, body.as_bytes());
            request
                .header(CONTENT_TYPE, cloudevents::CONTENT_TYPE)
                .header(cloudevents::SIGNATURE, signature)
                .body(body)
        }
    };
    let response = request.send().await.map_err(|error| {
        if error.is_timeout() { "no answer in time".to_owned() } else { error.without_url().to_string() }
    })?;
    Ok(response.status().as_u16())
}

fn change_alarm(body: &mut Value, change: Change) {
    let Some(traits) = body["reason_data"]["event"]["traits"].as_array_mut() else { return };
    match change {
        Change::None | Change::Signature => {}
        Change::Field => traits.push(json!(["weather", 1, "fine"])),
        Change::State => {
            for entry in traits.iter_mut().filter(|entry| entry[0] == "state") {
                entry[2] = json!(NEW);
            }
        }
    }
}

fn change_event(body: &mut Value, change: Change) {
    match change {
        Change::None | Change::Signature => {}
        Change::Field => body["data"]["weather"] = json!({ "is": ["fine"] }),
        Change::State => body["data"]["state"] = json!(NEW),
    }
}
