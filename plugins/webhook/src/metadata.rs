//! What the session's list of actions says to it, and the names in it that stand for something.

use fenix_sdk::action::{Assignment, Failure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most seconds between two looks: a day. Whoever wants less often wants no poll.
const MAX_EVERY: u32 = 86_400;

/// What to call, and how to learn that it is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Where to.
    pub(crate) url: String,
    /// How.
    #[serde(default = "post")]
    pub(crate) method: String,
    /// With what.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Sent as JSON.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// Statuses that mean yes; any of 200 to 299 if there are none.
    #[serde(default)]
    pub(crate) expect: Vec<u16>,
    /// Where to look until it is done; done with the answer if this is left out.
    #[serde(default)]
    pub(crate) poll: Option<Poll>,
}

/// Where to look until the work is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    /// Read with GET.
    pub(crate) url: String,
    /// Where in the answer the state stands: a JSON pointer (RFC 6901).
    pub(crate) state: String,
    /// States that mean that it is done.
    pub(crate) done: Vec<Value>,
    /// States that mean that it has failed; others mean that it goes on.
    #[serde(default)]
    pub(crate) failed: Vec<Value>,
    /// Seconds between two looks.
    #[serde(default = "ten")]
    pub(crate) every: u32,
    /// Most looks.
    #[serde(default = "hour")]
    pub(crate) looks: u32,
}

fn post() -> String {
    "POST".to_owned()
}

fn ten() -> u32 {
    10
}

fn hour() -> u32 {
    360
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let bad = |why: String| Failure::BadMetadata(format!("webhook: {why}"));
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        match &metadata.poll {
            Some(poll) if !(1..=MAX_EVERY).contains(&poll.every) => {
                Err(bad(format!("poll.every is 1 to {MAX_EVERY} seconds")))
            }
            Some(poll) if poll.done.is_empty() => Err(bad("poll.done names no state".to_owned())),
            Some(_) | None => Ok(metadata),
        }
    }
}

/// What names in texts stand for: `{{host}}`, `{{session}}`, `{{stage}}`, `{{key}}`, and `{{answer/POINTER}}` for a text or a number
/// of the first answer. `{{secret:NAME}}` is left to the host.
pub(crate) struct Names<'a> {
    pub(crate) assignment: &'a Assignment,
    pub(crate) answer: Option<&'a Value>,
}

impl Names<'_> {
    /// A text with the names replaced.
    pub(crate) fn fill(&self, text: &str) -> Result<String, Failure> {
        let wrong = |why: String| Failure::BadMetadata(format!("webhook: {why}"));
        fenix_sdk::template::fill(text, |name| self.value(name), wrong)
    }

    fn value(&self, name: &str) -> Result<String, Failure> {
        let unknown = || {
            Failure::BadMetadata(format!(
                "webhook: {{{{{name}}}}} stands for nothing; there are host, session, stage, key, answer/POINTER and secret:NAME"
            ))
        };
        let assignment = self.assignment;
        match name {
            "host" => assignment.host.clone().ok_or_else(|| {
                Failure::BadMetadata(format!("webhook: there is no host in stage {}", assignment.stage))
            }),
            "session" => Ok(assignment.session.clone()),
            "stage" => Ok(assignment.stage.clone()),
            "key" => Ok(assignment.key.clone()),
            name if name.starts_with("secret:") => Ok(format!("{{{{{name}}}}}")),
            name => {
                let pointer = name.strip_prefix("answer").ok_or_else(unknown)?;
                let answer = self.answer.ok_or_else(unknown)?;
                match answer.pointer(pointer) {
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(Value::Number(number)) => Ok(number.to_string()),
                    Some(_) | None => {
                        Err(Failure::Failed(format!("the answer has no text or number at {pointer:?}")))
                    }
                }
            }
        }
    }

    /// A JSON value with the names in its texts replaced.
    pub(crate) fn fill_all(&self, value: &Value) -> Result<Value, Failure> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill_all(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(key, value): (&String, &Value)| Ok((key.clone(), self.fill_all(value)?));
                Value::Object(fields.iter().map(field).collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }
}
