//! Everything about a session and its parts: `GET /v1/maintenance/{session}/detail`.
//!
//! Of a session over a thousand hosts it is some megabytes, so rows are written as they are read off the state, without
//! a tree of values in between. Old keys keep their names and types (contract 1.4); new ones stand beside them.

use std::collections::HashMap;

use fenix_core::ask::{Ask, MoveHow};
use fenix_core::effect::{Effect, EffectKind};
use fenix_core::id::{GroupId, HostId, InstanceId};
use fenix_core::inventory::{Instance, Inventory};
use fenix_core::package::{Package, PackageSpec};
use fenix_core::session::{ActionRun, HostStage, HostWork, Phase, Session, Target};
use fenix_core::standing::Attached;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::views::{instance_state, kind, summary};
use crate::packages::porter::UnderWay;
use crate::wire::payload::metadata;
use crate::wire::time::iso;

/// A session with its parts, to be written.
pub(super) struct Detail<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) session: &'a Session,
    pub(super) under_way: &'a UnderWay,
}

/// A list whose rows are made when they are written.
struct Rows<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Rows<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq((self.0)())
    }
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Detail { inventory, session, under_way } = *self;
        let mut reply = to.serialize_map(None)?;
        for (key, value) in summary(session).as_object().into_iter().flatten() {
            reply.serialize_entry(key, value)?;
        }
        reply.serialize_entry("session", &plan(session))?;
        let hosts = || session.hosts.iter().map(|(id, work)| HostRow::new(inventory, session, id, work));
        reply.serialize_entry("hosts", &Rows(hosts))?;
        let last = last_asks(session);
        let row = |instance| InstanceRow::new(session, instance, &last);
        reply.serialize_entry("instances", &Rows(|| instances(inventory, session).map(row)))?;
        reply.serialize_entry("actions", &actions(session))?;
        reply.serialize_entry("packages", &packages(session, under_way))?;
        let runs = || session.work.iter().flat_map(|(target, runs)| runs_on(session, target, runs));
        reply.serialize_entry("action_plugin_instances", &Rows(runs))?;
        let projects = || {
            session.projects.iter().map(
                |(id, work)| json!({ "project_id": id.as_str(), "managed": work.managed, "told": work.told }),
            )
        };
        reply.serialize_entry("projects", &Rows(projects))?;
        reply.serialize_entry("asks", &Rows(|| session.asks.values().map(|ask| AskRow::new(ask))))?;
        reply.serialize_entry("effects", &Rows(|| session.effects.values().map(effect)))?;
        let phases = || {
            session
                .phases
                .iter()
                .map(|(phase, at)| json!({ "state": phase.wire(), "since_ms": at.0, "since": iso(*at) }))
        };
        reply.serialize_entry("phases", &Rows(phases))?;
        let waiting = json!({ "on": session.waiting.on, "until": session.waiting.until.map(iso) });
        reply.serialize_entry("waiting", &waiting)?;
        reply.end()
    }
}

fn plan(session: &Session) -> Value {
    json!({
        "session_id": session.id.as_str(),
        "state": session.phase.wire(),
        "prev_state": session.before_failure.map(Phase::wire),
        "maintenance_at": iso(session.plan.maintenance_at),
        "window_end": session.plan.window_end.map(iso),
        "meta": metadata(&session.plan.metadata),
        "workflow": session.plan.workflow.name,
        "workflow_digest": session.plan.workflow.digest.as_str(),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
    })
}

fn actions(session: &Session) -> Vec<Value> {
    let row = |spec: &fenix_core::session::ActionSpec| {
        let plugin = &spec.plugin;
        json!({ "plugin": plugin.name, "type": spec.stage.wire(), "version": plugin.version,
            "digest": plugin.digest.as_str(), "metadata": metadata(&spec.metadata) })
    };
    session.plan.actions.iter().map(row).collect()
}

/// What the session brings, and how far it is.
fn packages(session: &Session, under_way: &UnderWay) -> Vec<Value> {
    let fetched = session.packages.fetched.iter().map(Some).chain(std::iter::repeat(None));
    let row = |(spec, fetched): (&PackageSpec, Option<&Package>)| {
        let on_its_way = under_way.of(&session.id, &spec.name).filter(|_| fetched.is_none());
        let state = match (fetched, on_its_way) {
            (Some(_), _) => "here",
            (None, Some(_)) => "fetching",
            (None, None) => "wanted",
        };
        let plugin = |plugin: &Attached| {
            json!({ "name": plugin.pin.name, "version": plugin.pin.version, "kind": plugin.kind,
                "digest": plugin.pin.digest.as_str() })
        };
        json!({
            "name": spec.name,
            "url": spec.url,
            "sha256": fetched.map(|here| &here.digest).or(spec.sha256.as_ref()),
            "signed": spec.signature.is_some(),
            "state": state,
            "bytes": fetched.map(|here| here.bytes).or(on_its_way.map(|progress| progress.bytes)),
            "of": fetched.map(|here| here.bytes).or(on_its_way.and_then(|progress| progress.of)),
            "attempt": on_its_way.map(|progress| progress.attempt),
            "plugins": fetched.map(|here| here.plugins.iter().map(plugin).collect::<Vec<_>>()),
        })
    };
    session.packages.wanted.iter().zip(fetched).map(row).collect()
}

#[derive(serde::Serialize)]
struct HostRow<'a> {
    id: &'a HostId,
    session_id: &'a str,
    hostname: &'a HostId,
    r#type: &'static str,
    maintained: bool,
    disabled: bool,
    details: Option<&'a str>,
    plugin: Option<&'a str>,
    plugin_state: Option<String>,
    created_at: String,
    updated_at: String,
    stage: &'static str,
    instances: usize,
}

impl<'a> HostRow<'a> {
    fn new(inventory: &Inventory, session: &'a Session, id: &'a HostId, work: &'a HostWork) -> Self {
        let running = session.work.get(&Target::Host(id.clone())).and_then(|runs| runs.last());
        HostRow {
            id,
            session_id: session.id.as_str(),
            hostname: id,
            r#type: kind(work.kind),
            maintained: work.stage == HostStage::Maintained,
            disabled: work.fenced,
            details: left_out(&work.stage).or_else(|| not_needed(session, id, work)),
            plugin: running.and_then(|run| plugin_name(session, run)),
            plugin_state: running.map(run_state),
            created_at: iso(session.created_at),
            updated_at: iso(work.since),
            stage: work.stage.name(),
            instances: inventory.count_holding(id),
        }
    }
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

/// What an assessment said of a host on which nothing was to be done.
fn not_needed<'a>(session: &'a Session, host: &HostId, work: &HostWork) -> Option<&'a str> {
    let runs = session.work.get(&Target::Assess(host.clone()));
    let runs = runs.filter(|_| work.stage == HostStage::Maintained && !session.was_worked_on(host))?;
    runs.iter().rev().find_map(|run| run.report.as_deref())
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

fn runs_on<'a>(
    session: &'a Session,
    target: &'a Target,
    runs: &'a [ActionRun],
) -> impl Iterator<Item = Value> + 'a {
    let hostname = target.host().map_or("localhost", HostId::as_str);
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

/// The instances of the session's projects that are on its hosts.
fn instances<'a>(inventory: &'a Inventory, session: &'a Session) -> impl Iterator<Item = &'a Instance> {
    let of_session = |instance: &&Instance| session.hosts.contains_key(&instance.host);
    session.projects.keys().flat_map(move |project| inventory.of_project(project).filter(of_session))
}

/// The last question that was asked about each instance.
fn last_asks(session: &Session) -> HashMap<&InstanceId, &Ask> {
    let about = session.asks.values().flat_map(|ask| ask.instances.iter().map(move |id| (id, &**ask)));
    about.collect()
}

#[derive(serde::Serialize)]
struct InstanceRow<'a> {
    id: &'a InstanceId,
    session_id: &'a str,
    instance_id: &'a InstanceId,
    instance_name: &'a str,
    project_id: &'a str,
    project_state: Option<String>,
    state: &'static str,
    action: Option<&'static str>,
    action_done: bool,
    host: &'a HostId,
    other_host: Option<&'a HostId>,
    group: Option<&'a GroupId>,
    moves: u32,
    details: Option<&'static str>,
}

impl<'a> InstanceRow<'a> {
    fn new(session: &'a Session, instance: &'a Instance, last: &HashMap<&InstanceId, &Ask>) -> Self {
        let moves = session.moves.get(&instance.id).copied().unwrap_or(0);
        let ask = last.get(&instance.id);
        InstanceRow {
            id: &instance.id,
            session_id: session.id.as_str(),
            instance_id: &instance.id,
            instance_name: &instance.name,
            project_id: instance.project.as_str(),
            project_state: ask.map(|ask| match ask.status.word() {
                "acked" => format!("ACK_{}", ask.kind.wire()),
                "nacked" => format!("NACK_{}", ask.kind.wire()),
                _ => ask.kind.wire().to_owned(),
            }),
            state: instance_state(instance.state),
            action: ask.and_then(|ask| ask.consent(&instance.id)).map(MoveHow::wire),
            action_done: moves > 0,
            host: &instance.host,
            other_host: instance.other_end.as_ref(),
            group: instance.group.as_ref(),
            moves,
            details: None,
        }
    }
}

#[derive(serde::Serialize)]
struct AskRow<'a> {
    id: u32,
    project_id: &'a str,
    state: &'static str,
    round: u32,
    host: Option<&'a HostId>,
    instance_ids: &'a [InstanceId],
    chosen: std::collections::BTreeMap<&'a str, &'static str>,
    opened_at: String,
    delivered_at: Option<String>,
    reply_by: String,
    status: &'static str,
    ended_at: Option<String>,
    answered_after_ms: Option<u64>,
}

impl<'a> AskRow<'a> {
    fn new(ask: &'a Ask) -> Self {
        AskRow {
            id: ask.id.0,
            project_id: ask.project.as_str(),
            state: ask.kind.wire(),
            round: ask.round,
            host: ask.host.as_ref(),
            instance_ids: &ask.instances,
            chosen: ask.chosen.iter().map(|(id, how)| (id.as_str(), how.wire())).collect(),
            opened_at: iso(ask.opened_at),
            delivered_at: ask.delivered_at.map(iso),
            reply_by: iso(ask.reply_by),
            status: ask.status.word(),
            ended_at: ask.ended_at.map(iso),
            answered_after_ms: ask.ended_at.zip(ask.delivered_at).map(|(end, start)| end.since(start).0),
        }
    }
}

fn effect(effect: &Effect) -> Value {
    let (on, to) = match &effect.kind {
        EffectKind::Fence { host } | EffectKind::Release { host } => (host.as_str(), None),
        EffectKind::Move { instance, to, .. } => (instance.as_str(), Some(to.as_str())),
        EffectKind::Work { target } => (target.name(), None),
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
