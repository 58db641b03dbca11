//! The infrastructure's hosts over all sessions: what is being done on each, when it was last maintained and by what,
//! and why it is left out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fenix_core::id::{HostId, SessionId};
use fenix_core::inventory::{Host, Instance, Service};
use fenix_core::past::{HostPast, Maintained, Quarantined};
use fenix_core::session::{HostStage, Pin};
use fenix_core::state::State as Known;
use fenix_engine::command::Command;
use serde_json::{Value, json};

use super::Api;
use super::access::By;
use super::body::Ids;
use super::error::ApiError;
use super::views::{instance_state, kind};
use crate::wire::time::iso;

type Reply = Result<Json<Value>, ApiError>;

/// `GET /v1/hosts`
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let state = api.desk.state();
    Json(json!({ "hosts": state.inventory.hosts().map(|host| row(&state, host)).collect::<Vec<_>>() }))
}

/// `GET /v1/hosts/{host}`: with the instances on it.
pub(super) async fn show(State(api): State<Arc<Api>>, Ids(id): Ids<String>) -> Reply {
    let state = api.desk.state();
    let host = find(&state, &id)?;
    let mut shown = row(&state, host);
    shown["instance_list"] = state.inventory.holding(&host.id).map(|seen| instance(&state, seen)).collect();
    Ok(Json(shown))
}

fn find<'a>(state: &'a Known, id: &str) -> Result<&'a Host, ApiError> {
    state.inventory.host(&HostId::from(id)).ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        ApiError::not_found(format!("the cloud has no host {shown}"))
            .hint("GET /v1/hosts lists those that it has")
    })
}

/// `DELETE /v1/hosts/{host}/quarantine`: somebody has put the host right.
pub(super) async fn clear(State(api): State<Arc<Api>>, By(by): By, Ids(id): Ids<String>) -> Reply {
    find(&api.desk.state(), &id)?;
    api.desk.command(Some(by), Command::ClearQuarantine { host: HostId::from(&id) }).await?;
    let state = api.desk.state();
    find(&state, &id).map(|host| Json(row(&state, host)))
}

fn row(state: &Known, host: &Host) -> Value {
    let holder = state.lease(&host.id).and_then(|id| state.session(id));
    let stage = holder.and_then(|session| session.hosts.get(&host.id)).map(|work| work.stage.name());
    let past = state.past.host(&host.id).cloned().unwrap_or_default();
    let HostPast { maintained, quarantined } = past;
    let (service, reason) = match &host.service {
        Service::Enabled => ("enabled", None),
        Service::Disabled { reason } => ("disabled", Some(reason.as_str())),
        Service::Absent => ("absent", None),
    };
    json!({
        "hostname": host.id.as_str(),
        "type": kind(host.kind),
        "zone": host.zone.as_str(),
        "up": host.up,
        "service": service,
        "service_reason": reason,
        "instances": state.inventory.count_holding(&host.id),
        "session_id": holder.map(|session| session.id.as_str()),
        "stage": stage.unwrap_or_else(|| HostStage::Waiting.name()),
        "maintained": maintained.as_ref().map(maintained_by),
        "quarantined": quarantined.as_ref().map(left_out),
    })
}

fn maintained_by(maintained: &Maintained) -> Value {
    json!({
        "at": iso(maintained.at),
        "session_id": maintained.session.as_str(),
        "workflow": pin(&maintained.workflow),
        "actions": maintained.actions.iter().map(pin).collect::<Vec<_>>(),
    })
}

fn pin(pin: &Pin) -> Value {
    json!({ "name": pin.name, "version": pin.version, "digest": pin.digest.as_str() })
}

fn left_out(quarantined: &Quarantined) -> Value {
    json!({
        "since": iso(quarantined.at),
        "session_id": quarantined.session.as_str(),
        "why": quarantined.why,
        "begun": quarantined.begun,
    })
}

fn instance(state: &Known, instance: &Instance) -> Value {
    let past = state.past.instance(&instance.id);
    json!({
        "instance_id": instance.id.as_str(),
        "instance_name": instance.name,
        "project_id": instance.project.as_str(),
        "state": instance_state(instance.state),
        "other_host": instance.other_end.as_ref().map(HostId::as_str),
        "moves": past.map_or(0, |past| past.moves),
        "moved_at": past.map(|past| iso(past.at)),
        "moved_from": past.map(|past| past.from.as_str()),
        "moved_in": past.map(|past| SessionId::as_str(&past.session)),
    })
}
