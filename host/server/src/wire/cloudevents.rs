//! A message as a CloudEvent in structured mode, signed with the subscription's secret.
//!
//! The fields are those of every format; lists and maps are JSON, and times end in `Z`. The signature is over the
//! whole body as it is sent, in which id, time and everything else stand, so that a receiver checks one header before
//! it parses anything, and needs no canonical form.

use fenix_core::message::{Content, Secret};
use fenix_engine::event::Envelope;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::payload::{Base, Field, message_uuid, payload};
use super::time;

/// What the body is.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The header with the signature.
pub const SIGNATURE: &str = "fenix-signature";

/// Stands before the signature; another way to sign would have another.
const SCHEME: &str = "sha256=";

/// The body to POST to the subscriber.
pub fn body(base: &Base, envelope: &Envelope) -> Value {
    let data: Map<String, Value> =
        payload(base, envelope).into_iter().map(|(name, field)| (name.to_owned(), value_of(field))).collect();
    let mut event = json!({
        "specversion": "1.0",
        "id": message_uuid(&envelope.session, envelope.message.id).to_string(),
        "source": base.session(&envelope.session),
        "type": envelope.message.content.event_type(),
        "time": utc(envelope.message.queued_at),
        "datacontenttype": "application/json",
        // Texts are compared letter by letter: the zeros keep the order of the numbers.
        "sequence": format!("{:010}", envelope.message.id.0),
        "data": data,
    });
    if let Some(subject) = subject(envelope) {
        event["subject"] = json!(subject);
    }
    event
}

/// What within the session it is about; `None` = the session itself.
fn subject(envelope: &Envelope) -> Option<&str> {
    match &envelope.message.content {
        Content::Ask(_) => Some(envelope.subscription.project.as_str()),
        Content::AskInstance(_, instance)
        | Content::ActionDone(instance)
        | Content::ActionFallback(instance) => Some(instance.as_str()),
        Content::Host { host, .. } => Some(host.as_str()),
        Content::Session { .. } => None,
    }
}

fn value_of(field: Field) -> Value {
    match field {
        Field::Text(value) => value,
        Field::Int(number) => json!(number),
        Field::Time(at) => json!(utc(at)),
    }
}

fn utc(at: fenix_core::time::Time) -> String {
    format!("{}Z", time::iso(at))
}

fn mac(secret: &Secret, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("invariant: HMAC takes a key of any length");
    mac.update(body);
    mac
}

/// The value of [`SIGNATURE`] for a body: `sha256=` and the HMAC-SHA256 in lower-case hex.
pub fn signature(secret: &Secret, body: &[u8]) -> String {
    format!("{SCHEME}{}", hex::encode(mac(secret, body).finalize().into_bytes()))
}

/// True if a body was signed with that secret. Takes the same time wherever the first difference is.
pub fn is_signed(secret: &Secret, body: &[u8], signature: &str) -> bool {
    let tag = signature.strip_prefix(SCHEME).and_then(|tag| hex::decode(tag).ok());
    tag.is_some_and(|tag| mac(secret, body).verify_slice(&tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first one is test case 2 of RFC 4231.
    #[test]
    fn a_signature_is_what_others_compute() {
        let check = |secret: &str, body: &str, expected: &str| {
            let signature = signature(&Secret::new(secret), body.as_bytes());
            assert_eq!(signature, format!("sha256={expected}"));
        };
        check(
            "Jefe",
            "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
    }

    #[test]
    fn only_the_very_body_and_secret_fit_a_signature() {
        let secret = Secret::new("0123456789abcdef");
        let good = signature(&secret, b"{}");
        let check = |secret: &Secret, body: &[u8], signature: &str, wanted: bool| {
            assert_eq!(is_signed(secret, body, signature), wanted, "{signature}");
        };
        check(&secret, b"{}", &good, true);
        check(&secret, b"{ }", &good, false);
        check(&Secret::new("0123456789abcdeF"), b"{}", &good, false);
        check(&secret, b"{}", &good[..good.len() - 2], false);
        check(&secret, b"{}", good.strip_prefix("sha256=").unwrap(), false);
        check(&secret, b"{}", "sha256=", false);
        check(&secret, b"{}", "sha256=zz", false);
        check(&secret, b"{}", "", false);
    }
}
