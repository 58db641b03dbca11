//! What managers answer: `ACK_` and `NACK_` of a state, with an action for each instance (contract 1.2).
//!
//! Unknown keys are ignored: Tacker and the Doctor sample manager send `session_id` and `instance_ids` along.

use std::collections::BTreeMap;

use fenix_core::ask::{AskKind, MoveHow, Reply};
use fenix_core::id::InstanceId;
use serde_json::{Map, Value};

/// A manager's answer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It answers a question.
    Question(Reply),
    /// It answers a mere notice, as Tacker does; there is nothing to do.
    Notice,
}

/// Most instances with an action in one answer: the question is about one host, or a batch of them that is emptied at
/// once, and no host has as many.
pub const MAX_ACTIONS: usize = 2000;

/// States of `maintenance.scheduled` that want no reply and yet get one.
const NOTICES: [&str; 2] = ["INSTANCE_ACTION_DONE", "INSTANCE_ACTION_FALLBACK"];

/// Reads an answer. `instance` is set if it came on that instance's own path.
///
/// # Errors
/// A sentence that names the key that is wrong and what it may be.
pub fn read(body: &Map<String, Value>, instance: Option<&InstanceId>) -> Result<Answered, String> {
    let state = match body.get("state") {
        Some(Value::String(state)) => state.as_str(),
        Some(_) => return Err("`state` must be a text like ACK_MAINTENANCE".into()),
        None => return Err("`state` is missing: ACK_ or NACK_ and the state that is answered".into()),
    };
    let (agrees, asked) = match (state.strip_prefix("ACK_"), state.strip_prefix("NACK_")) {
        (Some(asked), _) => (true, asked),
        (_, Some(asked)) => (false, asked),
        (None, None) => return Err(unknown_state(state)),
    };
    if NOTICES.contains(&asked) {
        return Ok(Answered::Notice);
    }
    let kind =
        AskKind::ALL.into_iter().find(|kind| kind.wire() == asked).ok_or_else(|| unknown_state(state))?;
    let actions =
        if agrees && kind.wants_actions() { read_actions(body, instance)? } else { BTreeMap::new() };
    Ok(Answered::Question(Reply { kind, agrees, actions }))
}

fn unknown_state(state: &str) -> String {
    let known: Vec<&str> = AskKind::ALL.iter().map(|kind| kind.wire()).collect();
    let shown: String = state.chars().take(64).collect();
    format!("`state` is {shown:?}; it must be ACK_ or NACK_ and one of {}", known.join(", "))
}

fn read_actions(
    body: &Map<String, Value>,
    instance: Option<&InstanceId>,
) -> Result<BTreeMap<InstanceId, MoveHow>, String> {
    if let Some(instance) = instance {
        // Some name the instance once more, as on the project's path.
        let named = body.get("instance_actions").and_then(|actions| actions.get(instance.as_str()));
        return match body.get("instance_action").filter(|action| !action.is_null()).or(named) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(action) => Ok([(instance.clone(), action_of("instance_action", action)?)].into()),
        };
    }
    let entries = match body.get("instance_actions") {
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err("`instance_actions` must be an object of instance id and action".into()),
        None if body.contains_key("instance_action") => {
            // One action for all, under no instance's name.
            return Ok(
                [(InstanceId::from(""), action_of("instance_action", &body["instance_action"])?)].into()
            );
        }
        None => return Err("`instance_actions` is missing: an action for each instance".into()),
    };
    if entries.len() > MAX_ACTIONS {
        return Err(format!(
            "`instance_actions` has {} entries, which is more than {MAX_ACTIONS}",
            entries.len()
        ));
    }
    let read = |(id, action): (&String, &Value)| {
        Ok((InstanceId::from(id), action_of(&format!("instance_actions.{id}"), action)?))
    };
    entries.iter().map(read).collect()
}

fn action_of(key: &str, value: &Value) -> Result<MoveHow, String> {
    MoveHow::ALL.into_iter().find(|how| value.as_str() == Some(how.wire())).ok_or_else(|| {
        let known: Vec<&str> = MoveHow::ALL.iter().map(|how| how.wire()).collect();
        let shown: String = value.to_string().chars().take(64).collect();
        format!("`{key}` is {shown}; it must be one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_value(body: &Value, instance: Option<&str>) -> Result<Answered, String> {
        read(body.as_object().unwrap(), instance.map(InstanceId::from).as_ref())
    }

    fn question(kind: AskKind, agrees: bool, actions: &[(&str, MoveHow)]) -> Answered {
        let actions = actions.iter().map(|(id, how)| (InstanceId::from(id), *how)).collect();
        Answered::Question(Reply { kind, agrees, actions })
    }

    #[test]
    fn answers_of_known_clients_are_understood() {
        let check = |body: Value, instance: Option<&str>, expected: Answered| {
            assert_eq!(read_value(&body, instance), Ok(expected), "{body}");
        };
        check(
            json!({"session_id": "s", "state": "ACK_MAINTENANCE", "instance_ids": ["i1"]}),
            None,
            question(AskKind::Maintenance, true, &[]),
        );
        check(json!({"state": "NACK_SCALE_IN"}), None, question(AskKind::ScaleIn, false, &[]));
        check(
            json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_actions": {"i1": "MIGRATE", "i2": "OWN_ACTION"}}),
            None,
            question(
                AskKind::PrepareMaintenance,
                true,
                &[("i1", MoveHow::Migrate), ("i2", MoveHow::OwnAction)],
            ),
        );
        check(
            json!({"state": "ACK_PLANNED_MAINTENANCE", "instance_action": "LIVE_MIGRATE"}),
            Some("i1"),
            question(AskKind::PlannedMaintenance, true, &[("i1", MoveHow::LiveMigrate)]),
        );
        check(
            json!({"state": "ACK_PLANNED_MAINTENANCE", "instance_actions": {"i1": "MIGRATE"}}),
            Some("i1"),
            question(AskKind::PlannedMaintenance, true, &[("i1", MoveHow::Migrate)]),
        );
        check(
            json!({"state": "ACK_PLANNED_MAINTENANCE"}),
            Some("i1"),
            question(AskKind::PlannedMaintenance, true, &[]),
        );
        check(
            json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_action": "MIGRATE"}),
            None,
            question(AskKind::PrepareMaintenance, true, &[("", MoveHow::Migrate)]),
        );
        check(json!({"state": "ACK_INSTANCE_ACTION_DONE"}), None, Answered::Notice);
        check(json!({"state": "NACK_INSTANCE_ACTION_DONE"}), None, Answered::Notice);
    }

    #[test]
    fn wrong_answers_are_refused_by_the_key_that_is_wrong() {
        let check = |body: Value, expected: &str| {
            let error = read_value(&body, None).expect_err(expected);
            assert!(error.contains(expected), "{body}: {error}");
        };
        check(json!({}), "`state` is missing");
        check(json!({"state": 1}), "`state` must be a text");
        check(json!({"state": "MAINTENANCE"}), "ACK_ or NACK_");
        check(json!({"state": "ACK_LUNCH"}), "MAINTENANCE_COMPLETE");
        check(json!({"state": "ACK_PREPARE_MAINTENANCE"}), "`instance_actions` is missing");
        check(json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_actions": ["i1"]}), "must be an object");
        check(
            json!({"state": "ACK_PREPARE_MAINTENANCE", "instance_actions": {"i1": "EXPLODE"}}),
            "instance_actions.i1",
        );
    }
}
