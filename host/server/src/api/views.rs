//! How sessions look from outside. Old keys keep their names and types (contract 1.4); new ones stand beside them.

use fenix_core::blocker::Blocker;
use fenix_core::constraint::Constrained;
use fenix_core::inventory::{HostKind, InstanceState};
use fenix_core::preflight::Unmet;
use fenix_core::session::{Condition, Line, Session, StandingRefusal};
use fenix_core::time::Time;
use serde_json::{Value, json};

use crate::wire::time::iso;

/// A session in a few words.
pub(super) fn summary(session: &Session) -> Value {
    let (condition, why) = condition(&session.condition);
    json!({
        "session_id": session.id.as_str(),
        "state": session.phase.wire(),
        "condition": condition,
        "reason": session.failure.as_deref().or(why),
        "percent_done": session.percent_done(),
        "created_at": iso(session.created_at),
    })
}

/// The word for a condition, and its reason if it has one.
fn condition(condition: &Condition) -> (&'static str, Option<&str>) {
    match condition {
        Condition::Running => ("running", None),
        Condition::Paused => ("paused", None),
        Condition::Parked { why } => ("parked", Some(why)),
        Condition::Closing { .. } => ("closing", None),
        Condition::Ended => ("ended", None),
    }
}

pub(super) fn kind(kind: HostKind) -> &'static str {
    match kind {
        HostKind::Compute => "compute",
        HostKind::Controller => "controller",
        HostKind::Other => "other",
    }
}

pub(super) fn instance_state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Active => "active",
        InstanceState::Building => "building",
        InstanceState::Moving => "moving",
        InstanceState::Moved => "moved",
        InstanceState::Stopped => "stopped",
        InstanceState::Error => "error",
    }
}

/// What a session wants and is not given, and what it waits for; nothing of one that is removed.
pub(super) fn add_wishes(reply: &mut Value, session: Option<&Session>) {
    let refused = session.map(|session| session.refused.iter().map(refusal).collect::<Vec<_>>());
    reply["refused"] = json!(refused.unwrap_or_default());
    reply["waiting"] = session.map_or(
        Value::Null,
        |session| json!({ "on": session.waiting.on, "until": session.waiting.until.map(iso) }),
    );
}

/// One line of history.
pub(super) fn line(line: &Line) -> Value {
    json!({ "seq": line.seq, "at": iso(line.at), "at_ms": line.at.0, "what": line.what, "why": line.why })
}

fn refusal(standing: &StandingRefusal) -> Value {
    json!({
        "decision": serde_json::to_value(&standing.decision).unwrap_or(Value::Null),
        "rule": format!("{:?}", standing.refusal.rule),
        "why": standing.refusal.why,
        "since": iso(standing.since),
        "times": standing.times,
    })
}

/// One constraint that cannot be met.
pub(super) fn unmet(unmet: &Unmet) -> Value {
    let (key, id) = match &unmet.about {
        Constrained::Instance(id) => ("instance_id", id.as_str()),
        Constrained::Group(id) => ("group_id", id.as_str()),
    };
    json!({ "project_id": unmet.project.as_str(), key: id, "why": unmet.why })
}

/// One blocker, with the seconds that are left of it.
pub(super) fn blocker(blocker: &Blocker, now: Time) -> Value {
    json!({
        "what": serde_json::to_value(blocker.what).unwrap_or(Value::Null),
        "on": blocker.on,
        "detail": blocker.detail,
        "since": iso(blocker.since),
        "until": blocker.until.map(iso),
        "seconds_left": blocker.until.map(|until| until.since(now).as_secs_ceil()),
        "then": blocker.then,
    })
}
