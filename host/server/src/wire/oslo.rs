//! A message as a notification of OpenStack's message bus: what oslo.messaging sends, envelope 2.0 (contract 2.3).
//!
//! Lists and maps stay what they are: Ceilometer makes Python text of them, and Aodh sends that on.

use fenix_engine::event::Envelope;
use serde_json::{Map, Value, json};

use super::payload::{Base, Field, message_uuid, payload};
use super::time;

/// Who publishes.
const PUBLISHER: &str = "fenix";

/// What is published. The same message is the same notification however often it is sent: receivers drop repeats of
/// the last ones by `_unique_id`.
pub fn notification(base: &Base, envelope: &Envelope) -> Value {
    let id = message_uuid(&envelope.session, envelope.message.id);
    let fields = payload(base, envelope).into_iter().map(|(name, field)| (name.to_owned(), plain(&field)));
    let message = json!({
        "message_id": id.to_string(),
        "_unique_id": id.simple().to_string(),
        "publisher_id": PUBLISHER,
        "event_type": envelope.message.content.event_type(),
        "priority": "INFO",
        "payload": fields.collect::<Map<_, _>>(),
        "timestamp": time::micros(envelope.message.queued_at),
    });
    json!({ "oslo.version": "2.0", "oslo.message": message.to_string() })
}

fn plain(field: &Field) -> Value {
    match field {
        Field::Text(value) => value.clone(),
        Field::Int(number) => json!(number),
        Field::Time(at) => json!(time::iso(*at)),
    }
}
