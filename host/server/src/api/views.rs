//! How sessions look from outside. Old keys keep their names and types (contract 1.4); new ones stand beside them.

use std::collections::BTreeMap;

use fenix_core::ask::Ask;
use fenix_core::blocker::Blocker;
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{HostId, InstanceId};
use fenix_core::inventory::{HostKind, Instance, InstanceState, Inventory};
use fenix_core::session::{
    ActionRun, Condition, HostStage, HostWork, Line, Session, StandingRefusal, Target,
};
use fenix_core::time::Time;
use serde_json::{Map, Value, json};

use crate::wire::payload::metadata;
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

/// Everything about a session and its parts.
pub(super) fn detail(inventory: &Inventory, session: &Session) -> Value {
    let mut reply = summary(session);
    let actions: Vec<Value> = session
        .plan
        .actions
        .iter()
        .map(|spec| {
            let plugin = &spec.plugin;
            json!({ "plugin": plugin.name, "type": spec.stage.wire(), "version": plugin.version,
                "digest": plugin.digest.as_str(), "metadata": metadata(&spec.metadata) })
        })
        .collect();
    reply["session"] = json!({
        "session_id": session.id.as_str(),
        "state": session.phase.wire(),
        "prev_state": session.before_failure.map(fenix_core::session::Phase::wire),
        "maintenance_at": iso(session.plan.maintenance_at),
        "window_end": session.plan.window_end.map(iso),
        "meta": metadata(&session.plan.metadata),
        "workflow": session.plan.workflow.name,
        "workflow_digest": session.plan.workflow.digest.as_str(),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
    });
    reply["hosts"] = session.hosts.iter().map(|(id, work)| host(inventory, session, id, work)).collect();
    reply["instances"] = instances(inventory, session);
    reply["actions"] = json!(actions);
    reply["action_plugin_instances"] = session.work.iter().flat_map(|w| runs(session, w)).collect();
    reply["projects"] = session
        .projects
        .iter()
        .map(|(id, work)| json!({ "project_id": id.as_str(), "managed": work.managed, "told": work.told }))
        .collect();
    reply["asks"] = session.asks.values().map(ask).collect();
    reply["effects"] = session.effects.values().map(effect).collect();
    reply["phases"] = session
        .phases
        .iter()
        .map(|(phase, at)| json!({ "state": phase.wire(), "since_ms": at.0, "since": iso(*at) }))
        .collect();
    reply["waiting"] = json!({ "on": session.waiting.on, "until": session.waiting.until.map(iso) });
    reply
}

fn host(inventory: &Inventory, session: &Session, id: &HostId, work: &HostWork) -> Value {
    let running = session.work.get(&Target::Host(id.clone())).and_then(|runs| runs.last());
    let plugin = running.map(|run| plugin_name(session, run));
    json!({
        "id": id.as_str(),
        "session_id": session.id.as_str(),
        "hostname": id.as_str(),
        "type": kind(work.kind),
        "maintained": work.stage == HostStage::Maintained,
        "disabled": work.fenced,
        "details": left_out(&work.stage),
        "plugin": plugin,
        "plugin_state": running.map(run_state),
        "created_at": iso(session.created_at),
        "updated_at": iso(work.since),
        "stage": work.stage.name(),
        "instances": inventory.holding(id).count(),
    })
}

/// Why a host was left out.
fn left_out(stage: &HostStage) -> Option<&str> {
    match stage {
        HostStage::Quarantined { why, .. } => Some(why),
        HostStage::Waiting
        | HostStage::Fenced
        | HostStage::Working
        | HostStage::Worked
        | HostStage::Maintained => None,
    }
}

pub(super) fn kind(kind: HostKind) -> &'static str {
    match kind {
        HostKind::Compute => "compute",
        HostKind::Controller => "controller",
        HostKind::Other => "other",
    }
}

fn plugin_name<'a>(session: &'a Session, run: &ActionRun) -> Option<&'a str> {
    let spec = session.plan.actions.get(usize::try_from(run.action).ok()?)?;
    Some(&spec.plugin.name)
}

fn run_state(run: &ActionRun) -> String {
    match &run.report {
        Some(_) => "DONE".into(),
        None => format!("{} %", run.percent),
    }
}

fn runs<'a>(
    session: &'a Session,
    (target, runs): (&'a Target, &'a Vec<ActionRun>),
) -> impl Iterator<Item = Value> + 'a {
    let hostname = match target {
        Target::Host(host) => host.as_str(),
        Target::Pre | Target::Post => "localhost",
    };
    runs.iter().map(move |run| {
        json!({
            "session_id": session.id.as_str(),
            "hostname": hostname,
            "plugin": plugin_name(session, run),
            "state": run_state(run),
            "percent": run.percent,
            "calls": run.calls,
            "report": run.report,
        })
    })
}

/// The instances of the session's projects that are on its hosts, with the last that was asked about each.
fn instances(inventory: &Inventory, session: &Session) -> Value {
    let mut last: BTreeMap<&InstanceId, &Ask> = BTreeMap::new();
    for ask in session.asks.values() {
        last.extend(ask.instances.iter().map(|id| (id, ask)));
    }
    let of_session = |instance: &&Instance| session.hosts.contains_key(&instance.host);
    session
        .projects
        .keys()
        .flat_map(|project| inventory.of_project(project).filter(of_session))
        .map(|instance| instance_row(session, instance, last.get(&instance.id).copied()))
        .collect()
}

fn instance_row(session: &Session, instance: &Instance, ask: Option<&Ask>) -> Value {
    let moves = session.moves.get(&instance.id).copied().unwrap_or(0);
    json!({
        "id": instance.id.as_str(),
        "session_id": session.id.as_str(),
        "instance_id": instance.id.as_str(),
        "instance_name": instance.name,
        "project_id": instance.project.as_str(),
        "project_state": ask.map(|ask| match ask.status.word() {
            "acked" => format!("ACK_{}", ask.kind.wire()),
            "nacked" => format!("NACK_{}", ask.kind.wire()),
            _ => ask.kind.wire().to_owned(),
        }),
        "state": instance_state(instance.state),
        "action": ask.and_then(|ask| ask.consent(&instance.id)).map(fenix_core::ask::MoveHow::wire),
        "action_done": moves > 0,
        "host": instance.host.as_str(),
        "other_host": instance.other_end.as_ref().map(HostId::as_str),
        "group": instance.group.as_ref().map(fenix_core::id::GroupId::as_str),
        "moves": moves,
        "details": null,
    })
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

fn ask(ask: &Ask) -> Value {
    json!({
        "id": ask.id.0,
        "project_id": ask.project.as_str(),
        "state": ask.kind.wire(),
        "round": ask.round,
        "host": ask.host.as_ref().map(HostId::as_str),
        "instance_ids": ask.instances.iter().map(InstanceId::as_str).collect::<Vec<_>>(),
        "chosen": ask.chosen.iter().map(|(id, how)| (id.to_string(), json!(how.wire()))).collect::<Map<_, _>>(),
        "opened_at": iso(ask.opened_at),
        "delivered_at": ask.delivered_at.map(iso),
        "reply_by": iso(ask.reply_by),
        "status": ask.status.word(),
        "ended_at": ask.ended_at.map(iso),
        "answered_after_ms": ask.ended_at.zip(ask.delivered_at).map(|(end, start)| end.since(start).0),
    })
}

fn effect(effect: &Effect) -> Value {
    let (on, to) = match &effect.kind {
        EffectKind::Fence { host } | EffectKind::Release { host } => (host.as_str(), None),
        EffectKind::Move { instance, to, .. } => (instance.as_str(), Some(to.as_str())),
        EffectKind::Work { target: Target::Host(host) } => (host.as_str(), None),
        EffectKind::Work { target: Target::Pre } => ("pre", None),
        EffectKind::Work { target: Target::Post } => ("post", None),
    };
    json!({
        "id": effect.id.0,
        "what": effect.kind.name(),
        "on": on,
        "to": to,
        "reason": effect.reason,
        "since": iso(effect.admitted_at),
        "deadline": iso(effect.deadline),
        "unknown": effect.unknown,
    })
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
