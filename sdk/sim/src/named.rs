//! Scenarios that showed a fault once, kept as files: a seed is another run as soon as the generator changes, and
//! a file stays what it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::managers::Conduct;
use crate::scenario::{Scenario, SessionSpec};

/// A scenario with what it once showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What must not happen, in a sentence.
    pub what: String,
    /// By what it was found: the generator and the seed.
    pub found: String,
    /// The scenario, made smaller by [`crate::shrink`].
    pub scenario: Scenario,
}

impl Named {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no named scenario.
    pub fn parse(text: &str) -> Result<Named, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text for a file, without what is as usual.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let scenario = &mut value["scenario"];
        prune(scenario, &serde_json::to_value(Scenario::default())?);
        let session = serde_json::to_value(SessionSpec::default())?;
        each(scenario, "sessions", |it| prune(it, &session));
        let conduct = serde_json::to_value(Conduct::default())?;
        each(scenario, "managers", |it| prune(&mut it["conduct"], &conduct));
        for list in ["host", "instance", "group"] {
            each(&mut scenario["cloud"], list, drop_empty);
        }
        Ok(format!("{value:#}\n"))
    }
}

fn each(within: &mut Value, list: &str, change: impl Fn(&mut Value)) {
    within.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

/// Leaves out what is the same in `usual`.
fn prune(value: &mut Value, usual: &Value) {
    let (Some(members), Some(usual)) = (value.as_object_mut(), usual.as_object()) else { return };
    members.retain(|name, member| usual.get(name) != Some(member));
    for (name, member) in members {
        if let Some(usual) = usual.get(name) {
            prune(member, usual);
        }
    }
}

/// Leaves out what is not there, which is as usual in the lists of a cloud.
fn drop_empty(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !matches!(member, Value::Null | Value::Bool(false)) && *member != "");
    }
}
