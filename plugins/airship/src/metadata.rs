//! What the session's list of actions says to it, and the names in it that stand for something.

use fenix_plugin_keystone::{Auth, check_url};
use fenix_sdk::action::{Assignment, Failure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Most seconds between two looks: a day.
const MAX_EVERY: u32 = 86_400;

/// Actions of Shipyard that work on nodes, and have to be told on which.
const OF_NODES: [&str; 2] = ["redeploy_server", "relabel_nodes"];

/// The parameter that says which nodes.
const TARGETS: &str = "target_nodes";

/// The parameter by which an action is known again. Shipyard takes any, keeps them, and heeds those that it knows.
pub(crate) const MARK: &str = "fenix_key";

/// What Shipyard is to do, and by which account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Whose token it uses.
    pub(crate) auth: Auth,
    /// Where Shipyard is; where Keystone's catalog says if this is left out.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// The action of Shipyard.
    pub(crate) name: String,
    /// Its parameters.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Seconds between two looks.
    #[serde(default = "half_a_minute")]
    pub(crate) every: u32,
    /// Most looks.
    #[serde(default = "two_hours")]
    pub(crate) looks: u32,
}

fn half_a_minute() -> u32 {
    30
}

fn two_hours() -> u32 {
    240
}

fn bad(why: String) -> Failure {
    Failure::BadMetadata(format!("airship: {why}"))
}

impl Metadata {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Result<Metadata, Failure> {
        let metadata: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        metadata.auth.check().map_err(bad)?;
        metadata.url.as_ref().map_or(Ok(()), |url| check_url("url", url)).map_err(bad)?;
        let wrong = match &metadata {
            Metadata { name, .. } if name.is_empty() => {
                "name is an action of Shipyard's, like update_software"
            }
            Metadata { every, .. } if !(1..=MAX_EVERY).contains(every) => "every is 1 to 86400 seconds",
            Metadata { looks: 0, .. } => "looks is at least 1",
            Metadata { parameters, .. } if parameters.contains_key(MARK) => {
                "parameters.fenix_key is Fenix's to set, to know the action again"
            }
            _ => return Ok(metadata),
        };
        Err(bad(wrong.to_owned()))
    }

    /// The parameters with the names in their texts replaced, and with what is known without being said.
    pub(crate) fn parameters(&self, assignment: &Assignment, mark: &str) -> Result<Value, Failure> {
        let mut parameters = self.parameters.clone();
        if OF_NODES.contains(&self.name.as_str()) && !parameters.contains_key(TARGETS) {
            parameters.insert(TARGETS.to_owned(), json!(["{{host}}"]));
        }
        let mut filled = fill_all(&Value::Object(parameters), assignment)?;
        filled[MARK] = json!(mark);
        Ok(filled)
    }
}

/// What a name stands for: `{{host}}`, `{{session}}`, `{{stage}}`, `{{key}}`. No secret: Shipyard shows parameters to whoever
/// asks.
fn value(name: &str, assignment: &Assignment) -> Result<String, Failure> {
    match name {
        "host" => assignment
            .host
            .clone()
            .ok_or_else(|| bad(format!("parameters: there is no host in stage {}", assignment.stage))),
        "session" => Ok(assignment.session.clone()),
        "stage" => Ok(assignment.stage.clone()),
        "key" => Ok(assignment.key.clone()),
        name => Err(bad(format!(
            "parameters: {{{{{name}}}}} stands for nothing; there are host, session, stage and key"
        ))),
    }
}

fn fill_all(of: &Value, assignment: &Assignment) -> Result<Value, Failure> {
    let wrong = |why: String| bad(format!("parameters: {why}"));
    Ok(match of {
        Value::String(text) => {
            Value::String(fenix_sdk::template::fill(text, |name| value(name, assignment), wrong)?)
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill_all(item, assignment)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| Ok((key.clone(), fill_all(value, assignment)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => of.clone(),
    })
}
