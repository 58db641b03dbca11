//! What a manager makes of what is POSTed to it: an alarm, read as one made for Aodh would, or a CloudEvent.

use serde_json::{Value, json};

use super::literal;

/// Trait code of a text.
const TEXT: u64 = 1;

/// An event, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Names it for ever; a double has the same.
    pub message_id: String,
    /// Its type.
    pub event_type: String,
    /// All its fields by name; of an alarm, lists and maps are read out of their text.
    pub traits: Value,
}

/// Why a body is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no event: {0}")]
pub struct NoEvent(&'static str);

/// Reads an event in either format.
///
/// # Errors
/// Something is missing that every event has.
pub fn read(body: &Value) -> Result<Event, NoEvent> {
    let text = |value: &Value, what| value.as_str().map(ToOwned::to_owned).ok_or(NoEvent(what));
    if !body["specversion"].is_null() {
        return Ok(Event {
            message_id: text(&body["id"], "no id")?,
            event_type: text(&body["type"], "no type")?,
            traits: body["data"].as_object().cloned().map(Value::Object).ok_or(NoEvent("no data"))?,
        });
    }
    let event = &body["reason_data"]["event"];
    let mut traits = json!({});
    for entry in event["traits"].as_array().ok_or(NoEvent("no traits"))? {
        let name = entry[0].as_str().ok_or(NoEvent("a trait without a name"))?;
        let value = &entry[2];
        let decoded = match value.as_str() {
            // Only what looks like a list or map is one, as in Tacker.
            Some(text) if entry[1] == TEXT && text.starts_with(['[', '{']) => {
                literal::parse(text).ok_or(NoEvent("a trait that looks like a list and is none"))?
            }
            Some(_) | None => value.clone(),
        };
        traits[name] = decoded;
    }
    Ok(Event {
        message_id: text(&event["message_id"], "no message_id")?,
        event_type: text(&event["event_type"], "no event_type")?,
        traits,
    })
}

impl Event {
    /// What it is known by: a double has the same. A question is known by its number in its session, and by its
    /// instance if it is about one: it may come again under another id. Everything else is known by its id.
    pub fn key(&self) -> String {
        match self.traits["ask_id"].as_u64() {
            Some(ask) => format!("{}/{ask}/{}", self.text("session_id"), self.traits["instance_ids"][0]),
            None => self.message_id.clone(),
        }
    }

    /// A trait's text; empty if it has none.
    pub fn text(&self, name: &str) -> &str {
        self.traits[name].as_str().unwrap_or_default()
    }
}
